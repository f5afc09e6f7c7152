"""Every flavor of this package keeps the contract that ships as FlavorTests."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelserving.flavors.lightgbm import LightGBMFlavor
from modelserving.flavors.onnx import OnnxFlavor
from modelserving.flavors.python_function import PythonFunctionFlavor
from modelserving.flavors.sklearn import SklearnFlavor
from modelserving.flavors.xgboost import XGBoostFlavor
from modelserving.testing import FlavorTests


class TestSklearnForest(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return SklearnFlavor()

    @pytest.fixture
    def model(self):
        return RandomForestClassifier(n_estimators=5, random_state=0).fit(*load_iris(return_X_y=True))

    @pytest.fixture
    def data(self):
        return load_iris().data[::10]


class TestSklearnPipelineOnFrames(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return SklearnFlavor()

    @pytest.fixture
    def data(self):
        return pd.DataFrame({"age": [22, 35, 58, 41], "city": ["Oslo", "Bergen", "Oslo", "Bergen"]})

    @pytest.fixture
    def model(self, data):
        columns = ColumnTransformer(
            [("number", StandardScaler(), ["age"]), ("text", OneHotEncoder(), ["city"])]
        )
        return make_pipeline(columns, LogisticRegression()).fit(data, [0, 1, 1, 0])


class TestSklearnCloudpickle(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return SklearnFlavor(serialization_format="cloudpickle")

    @pytest.fixture
    def model(self):
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(*load_wine(return_X_y=True))

    @pytest.fixture
    def data(self):
        return load_wine().data[::20]


class TestPythonFunctionCallable(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return PythonFunctionFlavor()

    @pytest.fixture
    def model(self):
        def double(model_input):
            return model_input * 2

        return double

    @pytest.fixture
    def data(self):
        return np.array([[1.0, 2.0], [3.0, 4.0]])


class TestPythonFunctionClass(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return PythonFunctionFlavor(model_config={"add": 3})

    @pytest.fixture
    def model(self):
        class Add:
            def load_context(self, context):
                self.add = context.model_config["add"]

            def predict(self, context, model_input, params=None):
                return model_input + self.add

        return Add()

    @pytest.fixture
    def data(self):
        return pd.DataFrame({"x": [1.0, 2.0]})

    def expected(self, model, data, method):
        return data + 3


class TestPythonFunctionFromCode(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return PythonFunctionFlavor(model_config={"factor": 2})

    @pytest.fixture
    def model(self, tmp_path):
        path = tmp_path / "scale.py"
        path.write_text(
            "import mlflow\n"
            "from mlflow.models import ModelConfig, set_model\n"
            "factor = ModelConfig(development_config={'factor': 1}).get('factor')\n"
            "class Scale(mlflow.pyfunc.PythonModel):\n"
            "    def predict(self, context, model_input, params=None):\n"
            "        return model_input * factor\n"
            "set_model(Scale())\n"
        )
        return path

    @pytest.fixture
    def data(self):
        return np.array([[1.0], [2.0]])

    def expected(self, model, data, method):
        return data * 2


class TestXGBoostClassifier(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return XGBoostFlavor()

    @pytest.fixture
    def model(self):
        return xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(*load_iris(return_X_y=True))

    @pytest.fixture
    def data(self):
        return load_iris().data[::10]


class TestXGBoostBooster(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return XGBoostFlavor(model_format="json")

    @pytest.fixture
    def model(self):
        frame, target = load_diabetes(return_X_y=True, as_frame=True)
        return xgboost.train({"nthread": 1}, xgboost.DMatrix(frame, target), num_boost_round=5)

    @pytest.fixture
    def data(self):
        return load_diabetes(as_frame=True).data[::40]

    def expected(self, model, data, method):
        return model.predict(xgboost.DMatrix(data))


class TestLightGBMClassifier(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return LightGBMFlavor()

    @pytest.fixture
    def model(self):
        return lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(*load_iris(return_X_y=True))

    @pytest.fixture
    def data(self):
        return load_iris().data[::10]


class TestLightGBMBooster(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return LightGBMFlavor()

    @pytest.fixture
    def model(self):
        features, target = load_diabetes(return_X_y=True)
        return lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(features, target), 5)

    @pytest.fixture
    def data(self):
        return load_diabetes().data[::40]


def graph(outputs):
    """A graph of one input with a weight of its own: y = x W, and z = the row sums where it is asked for."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    weights = numpy_helper.from_array(np.array([[1.0], [2.0]], dtype=np.float32), "W")
    nodes = [helper.make_node("MatMul", ["x", "W"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    body = helper.make_graph(nodes[: len(outputs)], "test", [x], made, [weights])
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


class TestOnnxOnArrays(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return OnnxFlavor()

    @pytest.fixture
    def model(self):
        return graph(["y", "z"])

    @pytest.fixture
    def data(self):
        return np.array([[1.0, 2.0], [3.0, 4.0]])

    def expected(self, model, data, method):
        return {"y": np.array([[5.0], [11.0]], dtype=np.float32), "z": -data.astype(np.float32)}


class TestOnnxOnFrames(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return OnnxFlavor()

    @pytest.fixture
    def model(self):
        return graph(["y"])

    @pytest.fixture
    def data(self):
        return pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]})

    def expected(self, model, data, method):
        return pd.DataFrame({"y": np.array([5.0, 11.0], dtype=np.float32)})
