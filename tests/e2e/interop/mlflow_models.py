"""Models that MLflow writes, each with a request to ask it with; run by a Python that has MLflow.

Every function below saves one model into the folder it is given and returns a request to ask it with.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import cloudpickle
import lightgbm
import mlflow
import numpy as np
import onnx
import pandas as pd
import xgboost
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as MLflow pickles the classes of a notebook


def split(frame):
    """A request as MLflow's own client makes it of a DataFrame."""
    plain = frame.astype(object).where(frame.notna(), None)
    return {"dataframe_split": plain.to_dict("split", index=False)}


def columns(**kinds):
    """A schema of columns; a type ending in ``?`` is optional."""
    specs = []
    for name, kind in kinds.items():
        optional = isinstance(kind, str) and kind.endswith("?")
        specs.append(
            ColSpec(kind.rstrip("?") if isinstance(kind, str) else kind, name, required=not optional)
        )
    return Schema(specs)


def sklearn_histogram_boosting_with_gaps(path):
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    model = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(frame, target)
    mlflow.sklearn.save_model(model, path, input_example=frame[:2], serialization_format="cloudpickle")
    return split(frame[:50])


def sklearn_neighbours_proba(path):
    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(3)).fit(frame, target)
    signature = mlflow.models.infer_signature(frame, model.predict_proba(frame))
    mlflow.sklearn.save_model(
        model, path, signature=signature, pyfunc_predict_fn="predict_proba", serialization_format="pickle"
    )
    return split(frame[:40])


def sklearn_texts(path):
    frame = pd.DataFrame(
        {"title": ["good book", "bad film", "good film", "bad book"] * 5, "stars": [5.0, 1.0, 4.0, 2.0] * 5}
    )
    features = ColumnTransformer([("title", TfidfVectorizer(), "title")], remainder="passthrough")
    model = make_pipeline(features, LogisticRegression()).fit(frame, [1, 0, 1, 0] * 5)
    mlflow.sklearn.save_model(
        model, path, signature=mlflow.models.infer_signature(frame), serialization_format="cloudpickle"
    )
    return split(pd.DataFrame({"title": ["good", "bad", "ünknown", ""], "stars": [3.0, 3.0, 5.0, 0.0]}))


def sklearn_tensor(path):
    features, target = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), Ridge()).fit(features, target)
    signature = ModelSignature(Schema([TensorSpec(np.dtype("float64"), (-1, 13))]))
    mlflow.sklearn.save_model(model, path, signature=signature, serialization_format="cloudpickle")
    return {"inputs": features[:30].tolist()}


def sklearn_skops(path):
    frame, target = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, target)
    mlflow.sklearn.save_model(model, path, input_example=frame[:2], serialization_format="skops")
    return split(frame[::3])


class FillsGaps(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        frame = model_input.reindex(columns=["a", "b", "c"])
        gaps = frame["b"].isna().astype(int)
        return pd.DataFrame(
            {"sum": frame["a"] + frame["b"].fillna(100.0), "gaps": gaps, "c": frame["c"].fillna("none")}
        )


def pyfunc_optional_columns(path):
    signature = ModelSignature(columns(a="double", b="double?", c="string?"))
    mlflow.pyfunc.save_model(path, python_model=FillsGaps(), signature=signature)
    return {"dataframe_records": [{"a": 1.5, "b": 2.0, "c": "x"}, {"a": 2.5}, {"a": 3, "b": None, "c": None}]}


class Params(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        told = {
            name: value.tolist() if isinstance(value, np.ndarray) else str(value)
            for name, value in params.items()
        }
        return [json.dumps(told, sort_keys=True, default=str)] * len(model_input)


def pyfunc_params(path):
    params = ParamSchema(
        [
            ParamSpec("temperature", DataType.double, 0.5),
            ParamSpec("count", DataType.long, 3),
            ParamSpec("loud", DataType.boolean, False),
            ParamSpec("name", DataType.string, "ünder"),
            ParamSpec("weights", DataType.double, [0.5, 0.25], (-1,)),
            ParamSpec("since", DataType.datetime, np.datetime64("2020-01-02T03:04:05")),
        ]
    )
    mlflow.pyfunc.save_model(
        path, python_model=Params(), signature=ModelSignature(columns(a="long"), params=params)
    )
    return {
        "dataframe_records": [{"a": 1}, {"a": 2}],
        "params": {"temperature": 1.25, "loud": True, "weights": [1.0]},
    }


class Nested(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [
            float(np.sum(vector)) + len(person["name"]) + sum(counts.values()) + sum(map(len, words))
            for vector, person, counts, words in zip(
                model_input["vector"],
                model_input["person"],
                model_input["counts"],
                model_input["words"],
                strict=True,
            )
        ]


def pyfunc_arrays_objects_maps(path):
    person = Object([Property("name", DataType.string), Property("age", DataType.long, required=False)])
    signature = ModelSignature(
        columns(
            vector=Array(DataType.double),
            person=person,
            counts=Map(DataType.long),
            words=Array(Array(DataType.string)),
        )
    )
    mlflow.pyfunc.save_model(path, python_model=Nested(), signature=signature)
    row = {
        "vector": [0.5, 2.0],
        "person": {"name": "Ada", "age": 36},
        "counts": {"x": 1, "y": 2},
        "words": [["a"], ["b", "c"]],
    }
    return {"dataframe_records": [row, {**row, "vector": [], "person": {"name": "Bo"}, "counts": {}}]}


class Anything(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [type(value).__name__ for value in model_input["value"]]


def pyfunc_any(path):
    mlflow.pyfunc.save_model(
        path, python_model=Anything(), signature=ModelSignature(columns(value=AnyType()))
    )
    return {"dataframe_records": [{"value": "text"}, {"value": {"a": 1}}]}


class Lookup(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.table = json.loads(Path(context.artifacts["table"]).read_text())
        self.names = sorted(each.name for each in Path(context.artifacts["folder"]).iterdir())

    def predict(self, context, model_input, params=None):
        unknown = context.model_config["unknown"]
        return [f"{self.table.get(key, unknown)} of {len(self.names)}" for key in model_input["key"]]


def pyfunc_artifacts(path):
    made = Path(path).parent / "made"
    (made / "folder").mkdir(parents=True)
    (made / "table.json").write_text('{"a": 1, "b": 2}')
    (made / "folder" / "one").write_text("1")
    mlflow.pyfunc.save_model(
        path,
        python_model=Lookup(),
        artifacts={"table": str(made / "table.json"), "folder": str(made / "folder")},
        model_config={"unknown": "nothing"},
        signature=ModelSignature(columns(key="string")),
    )
    return {"inputs": {"key": ["a", "b", "z"]}}


def module(path, name, source):
    """A module beside the model, to be copied into its ``code`` folder."""
    made = Path(path).parent / "modules" / f"{name}.py"
    made.parent.mkdir(exist_ok=True)
    made.write_text(textwrap.dedent(source))
    return made


def pyfunc_code_paths(path):
    file = module(path, "interop_scaling", "def scaled(values):\n    return values * 3\n")

    class Scaled(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            from interop_scaling import scaled

            return scaled(model_input["x"].to_numpy())

    mlflow.pyfunc.save_model(
        path, python_model=Scaled(), code_paths=[str(file)], signature=ModelSignature(columns(x="float"))
    )
    return {"dataframe_split": {"columns": ["x"], "data": [[1.5], [-2.25]]}}


def pyfunc_loader_module(path):
    file = module(
        path,
        "interop_loader",
        """
        from pathlib import Path


        class Model:
            def __init__(self, added):
                self.added = added

            def predict(self, model_input, params=None):
                return (model_input["x"] + self.added).tolist()


        def _load_pyfunc(data_path):
            return Model(int((Path(data_path)).read_text()))
        """,
    )
    data = Path(path).parent / "number.txt"
    data.write_text("40")
    mlflow.pyfunc.save_model(
        path,
        loader_module="interop_loader",
        data_path=str(data),
        code_paths=[str(file)],
        signature=ModelSignature(columns(x="long")),
    )
    return {"dataframe_records": [{"x": 2}, {"x": -40}]}


class Moments(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        at = model_input["at"]
        return pd.DataFrame({"hour": at.dt.hour.astype("int64"), "next": at + pd.Timedelta(days=1)})


def pyfunc_datetimes(path):
    signature = ModelSignature(columns(at="datetime", label="string"))
    mlflow.pyfunc.save_model(path, python_model=Moments(), signature=signature)
    return {
        "dataframe_split": {
            "columns": ["label", "at"],
            "data": [["x", "2024-02-28T23:30:00"], ["y", "1999-12-31T00:00:00"]],
        }
    }


def pyfunc_named_tensors(path):
    class Distance(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return np.sqrt(((model_input["left"] - model_input["right"]) ** 2).sum(axis=(1, 2)))

    signature = ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2), name) for name in ("left", "right")])
    )
    mlflow.pyfunc.save_model(path, python_model=Distance(), signature=signature)
    return {"inputs": {"left": [[[1, 2], [3, 4]]] * 3, "right": [[[0, 0.5], [3, 4]]] * 3}}


def pyfunc_from_code(path):
    file = module(
        path,
        "interop_from_code",
        """
        import mlflow
        from mlflow.models import ModelConfig, set_model

        factor = ModelConfig(development_config={"factor": 1}).get("factor")


        class Scale(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return model_input["x"] * factor


        set_model(Scale())
        """,
    )
    mlflow.pyfunc.save_model(
        path,
        python_model=str(file),
        model_config={"factor": 7},
        signature=ModelSignature(columns(x="double")),
    )
    return {"dataframe_records": [{"x": 2.0}, {"x": 0.5}]}


def pyfunc_type_hints(path):
    def shout(model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]

    mlflow.pyfunc.save_model(path, python_model=shout, input_example=["a"])
    return {"inputs": ["quiet", "words"]}


def xgboost_classifier(path):
    frame, target = load_iris(return_X_y=True, as_frame=True)
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(frame, target)
    mlflow.xgboost.save_model(model, path, input_example=frame[:2], model_format="json")
    return split(frame[::5])


def lightgbm_booster(path):
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    model = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame, target), 10)
    mlflow.lightgbm.save_model(model, path, signature=mlflow.models.infer_signature(frame))
    return split(frame[::10])


def onnx_two_inputs(path):
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("a", "b")]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None, 2])]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "test", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, 2), name) for name in ("a", "b")])
    )
    mlflow.onnx.save_model(model, path, signature=signature)
    return {"inputs": {"a": [[1, 2], [3, 4]], "b": [[0.5, 0.25], [-3, -4]]}}


MODELS = {
    function.__name__: function
    for function in (
        lightgbm_booster,
        onnx_two_inputs,
        pyfunc_any,
        pyfunc_arrays_objects_maps,
        pyfunc_artifacts,
        pyfunc_code_paths,
        pyfunc_datetimes,
        pyfunc_from_code,
        pyfunc_loader_module,
        pyfunc_named_tensors,
        pyfunc_optional_columns,
        pyfunc_params,
        pyfunc_type_hints,
        sklearn_histogram_boosting_with_gaps,
        sklearn_neighbours_proba,
        sklearn_skops,
        sklearn_tensor,
        sklearn_texts,
        xgboost_classifier,
    )
}
