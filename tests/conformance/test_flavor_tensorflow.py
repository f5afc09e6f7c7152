"""TensorFlow modules keep the contract of a flavor; a SavedModel is a program and needs trust."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from modelserving.errors import FlavorLoadError, FlavorSaveError, UntrustedModelError
from modelserving.flavors.tensorflow import TensorFlowFlavor
from modelserving.testing import FlavorTests, grant

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # TensorFlow's own


class Linear(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        return tf.nn.softmax(x @ self.weights)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def score(self, x):
        return {"scores": x @ self.weights, "rows": tf.shape(x)[0]}


class TestModule(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return TensorFlowFlavor()

    @pytest.fixture
    def model(self):
        return Linear()

    @pytest.fixture
    def data(self):
        return load_iris().data[::10].astype(np.float32)

    def expected(self, model, data, method):
        return model(tf.constant(data)).numpy()


def saved(folder, flavor=None, model=None, example=None):
    flavor = flavor or TensorFlowFlavor()
    return flavor, flavor.save(model or Linear(), folder, example=example)["tensorflow"]


def loaded(folder, flavor, config):
    with grant(folder, "code") as granted:
        return flavor.load(granted.folder, config, grant=granted)


def test_the_entry_is_mlflows(tmp_path):
    entries = TensorFlowFlavor().save(Linear(), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["tf2model"]
    assert entries["tensorflow"] == {"code": None, "model_type": "tf2-module", "saved_model_dir": "tf2model"}
    assert entries["python_function"]["loader_module"] == "mlflow.tensorflow"
    assert "data" not in entries["python_function"]


def test_signatures_are_methods_and_take_names_frames_and_doubles(tmp_path):
    model = Linear()
    flavor, config = saved(tmp_path, TensorFlowFlavor({"signatures": {"score": model.score}}), model)
    again = loaded(tmp_path, flavor, config)
    rows = load_iris().data[:3]

    assert flavor.traits(again).methods == ("predict", "score")
    by_position = flavor.predict(again, rows, {}, method="score")
    by_name = flavor.predict(again, {"x": rows}, {}, method="score")
    assert by_position["scores"].tolist() == by_name["scores"].tolist()
    assert by_position["rows"] == 3
    frame = pd.DataFrame(rows)
    expected = model(tf.constant(rows, tf.float32)).numpy().tolist()
    assert flavor.predict(again, frame, {}, method="predict").tolist() == expected


def test_a_function_without_a_declared_input_gets_its_graph_from_the_example(tmp_path):
    class Plain(tf.Module):
        @tf.function
        def __call__(self, x):
            return x * 2

    flavor, config = saved(tmp_path, model=Plain(), example=np.ones((2, 2), np.float32))

    answer = flavor.predict(loaded(tmp_path, flavor, config), np.ones((2, 2)), {}, method="predict")
    assert answer.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert answer.dtype == np.float32


def test_an_example_the_module_cannot_take_is_a_clear_error(tmp_path):
    with pytest.raises(FlavorSaveError, match=r"see tf\.saved_model\.save"):
        saved(tmp_path, example=np.ones((2, 7), np.float32))


def test_a_program_is_not_loaded_without_trust(tmp_path):
    flavor, config = saved(tmp_path)

    assert flavor.tier(tmp_path, config) == "code"
    with grant(tmp_path, "native") as granted, pytest.raises(UntrustedModelError, match="TensorFlow program"):
        flavor.load(granted.folder, config, grant=granted)


def test_a_model_type_of_another_time_is_named(tmp_path):
    flavor, config = saved(tmp_path)

    with pytest.raises(FlavorLoadError, match="its model_type is 'tf1-estimator'"):
        loaded(tmp_path, flavor, {**config, "model_type": "tf1-estimator"})


def test_a_keras_model_that_mlflow_logged_as_tensorflows_is_read(tmp_path):
    keras = pytest.importorskip("keras", reason="keras is not installed")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    (tmp_path / "data").mkdir()
    model.save(tmp_path / "data/model.keras")
    config = {"data": "data", "model_type": "keras", "keras_version": tf.__version__, "save_format": "tf"}
    flavor, data = TensorFlowFlavor(), np.ones((3, 4), np.float32)

    assert flavor.tier(tmp_path, config) == "native"
    answer = flavor.predict(loaded(tmp_path, flavor, config), data, {}, method="predict")
    assert answer.tolist() == model.predict(data, verbose=0).tolist()
