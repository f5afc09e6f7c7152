"""Models that we write, each with a request and what the fitted model answers; run as a user's script is."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelserving import save_model
from modelserving.flavors.python_function import PythonFunctionFlavor
from modelserving.flavors.sklearn import SklearnFlavor


def split(frame):
    plain = frame.astype(object).where(frame.notna(), None)
    return {"dataframe_split": plain.to_dict("split", index=False)}


def sklearn_skops(path):
    frame, target = load_wine(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)
    save_model(model, path, input_example=frame[:2])
    return split(frame[::5]), model.predict(frame[::5])


def sklearn_cloudpickle(path):
    frame = pd.DataFrame({"age": [22, 35, 58, 41] * 5, "city": ["Oslo", "Łódź", "São Paulo", "Łódź"] * 5})
    columns = ColumnTransformer([("age", StandardScaler(), ["age"]), ("city", OneHotEncoder(), ["city"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, ["no", "yes", "no", "yes"] * 5)
    save_model(model, path, input_example=frame[:2], flavor=SklearnFlavor(serialization_format="cloudpickle"))
    return split(frame), model.predict(frame)


def sklearn_proba(path):
    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(n_estimators=10, random_state=0).fit(frame, target)
    save_model(model, path, input_example=frame[:2], method="predict_proba")
    return split(frame[:50]), model.predict_proba(frame[:50])


def sklearn_array(path):
    features, target = load_diabetes(return_X_y=True)
    model = GradientBoostingRegressor(n_estimators=10, random_state=0).fit(features, target)
    save_model(model, path, input_example=features[:2])
    return {"inputs": features[:40].tolist()}, model.predict(features[:40])


def sklearn_no_signature(path):
    features, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    save_model(model, path)
    return {"inputs": features[::10].tolist()}, model.predict(features[::10])


def onnx_graph(path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    weights = numpy_helper.from_array(np.array([[1.0], [2.0]], dtype=np.float32), "W")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "W"], ["y"])], "test", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save_model(model, path, input_example=np.array([[1, 2]], dtype=np.float32))
    return {"inputs": [[1, 2], [3, 4], [0.5, 0.25]]}, {"y": [[5.0], [11.0], [1.0]]}


def function(path):
    def double(model_input):
        return model_input["x"].to_numpy() * 2

    save_model(double, path, input_example=pd.DataFrame({"x": [1.0]}))
    return {"dataframe_records": [{"x": 1.5}, {"x": -2.0}]}, [3.0, -4.0]


class Lookup:
    def load_context(self, context):
        self.table = json.loads(Path(context.artifacts["table"]).read_text())

    def predict(self, context, model_input, params=None):
        added = (params or {}).get("added", 0)
        return [self.table.get(key, context.model_config["unknown"]) + added for key in model_input["key"]]


def class_with_artifacts_and_params(path):
    table = path.parent / "table.json"
    table.write_text('{"a": 1, "b": 2}')
    save_model(
        Lookup(),
        path,
        flavor=PythonFunctionFlavor(artifacts={"table": table}, model_config={"unknown": -1}),
        input_example=(pd.DataFrame({"key": ["a"]}), {"added": 0}),
    )
    return {"dataframe_records": [{"key": "a"}, {"key": "z"}], "params": {"added": 10}}, [11, 9]


class Tripled:
    def predict(self, context, model_input, params=None):
        from our_interop_module import tripled

        return tripled(model_input["x"].to_numpy())


def code_paths(path):
    module = path.parent / "our_interop_module.py"
    module.write_text("def tripled(values):\n    return values * 3\n")
    save_model(Tripled(), path, input_example=pd.DataFrame({"x": [1]}), code_paths=[module])
    return {"dataframe_split": {"columns": ["x"], "data": [[2], [-3]]}}, [6, -9]


def from_code(path):
    file = path.parent / "our_from_code.py"
    file.write_text(
        textwrap.dedent(
            """
            import mlflow
            from mlflow.models import ModelConfig, set_model

            factor = ModelConfig(development_config={"factor": 1}).get("factor")


            class Scale(mlflow.pyfunc.PythonModel):
                def predict(self, context, model_input, params=None):
                    return model_input["x"] * factor


            set_model(Scale())
            """
        )
    )
    flavor = PythonFunctionFlavor(model_config={"factor": 7})
    save_model(file, path, flavor=flavor, input_example=pd.DataFrame({"x": [1.0]}))
    return {"dataframe_records": [{"x": 2.0}, {"x": 0.5}]}, [{"x": 14.0}, {"x": 3.5}]


def xgboost_classifier(path):
    frame, target = load_iris(return_X_y=True, as_frame=True)
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(frame, target)
    save_model(model, path, input_example=frame[:2])
    return split(frame[::5]), model.predict(frame[::5])


def xgboost_booster(path):
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    model = xgboost.train({"nthread": 1}, xgboost.DMatrix(frame, target), num_boost_round=5)
    save_model(model, path, input_example=frame[:2])
    return split(frame[::10]), model.predict(xgboost.DMatrix(frame[::10]))


def lightgbm_classifier(path):
    frame, target = load_iris(return_X_y=True, as_frame=True)
    model = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(frame, target)
    save_model(model, path, input_example=frame[:2])
    return split(frame[::5]), model.predict(frame[::5])


def lightgbm_booster(path):
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    model = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame, target), 10)
    save_model(model, path, input_example=frame[:2])
    return split(frame[::10]), model.predict(frame[::10])


MODELS = (
    class_with_artifacts_and_params,
    code_paths,
    from_code,
    function,
    lightgbm_booster,
    lightgbm_classifier,
    onnx_graph,
    sklearn_array,
    sklearn_cloudpickle,
    sklearn_no_signature,
    sklearn_proba,
    sklearn_skops,
    xgboost_booster,
    xgboost_classifier,
)


def main(folder):
    for model in MODELS:
        request, predictions = model(folder / model.__name__)
        predictions = predictions.tolist() if isinstance(predictions, np.ndarray) else predictions
        told = json.dumps({"request": request, "predictions": predictions})
        (folder / f"{model.__name__}.expected.json").write_text(told)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
