"""Keras models keep the contract of a flavor; what loads without trust holds Keras's own layers only."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from modelserving.errors import FlavorSaveError, UntrustedModelError
from modelserving.flavors.keras import KerasFlavor
from modelserving.testing import FlavorTests, grant

keras = pytest.importorskip("keras", reason="keras is not installed")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # TensorFlow's own


def network():
    keras.utils.set_random_seed(0)
    hidden = (
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.BatchNormalization(),
    )
    return keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3, activation="softmax")])


class TestSequential(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return KerasFlavor()

    @pytest.fixture
    def model(self):
        return network()

    @pytest.fixture
    def data(self):
        return load_iris().data[::10].astype(np.float32)

    def expected(self, model, data, method):
        return model.predict(data, verbose=0)


def two_inputs():
    keras.utils.set_random_seed(0)
    left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    return keras.Model(
        {"left": left, "right": right}, {"sum": keras.layers.Dense(1)(joined), "joined": joined}
    )


def saved(folder, model=None, flavor=None):
    flavor = flavor or KerasFlavor()
    return flavor, flavor.save(model or network(), folder)["keras"]


def loaded(folder, flavor, config, tier="native"):
    with grant(folder, tier) as granted:
        return flavor.load(granted.folder, config, grant=granted)


def test_the_entry_is_mlflows(tmp_path):
    entries = KerasFlavor().save(network(), tmp_path)

    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["keras_module.txt", "model.keras"]
    assert entries["keras"] == {
        "data": "data",
        "keras_backend": keras.backend.backend(),
        "keras_version": keras.__version__,
        "save_exported_model": False,
    }
    assert entries["python_function"]["loader_module"] == "mlflow.keras"
    assert "data" not in entries["python_function"]


def test_inputs_and_outputs_go_by_name(tmp_path):
    flavor, config = saved(tmp_path, two_inputs())
    data = {"left": np.ones((3, 2), np.float32), "right": np.ones((3, 3), np.float32)}

    answer = flavor.predict(loaded(tmp_path, flavor, config), data, {}, method="predict")

    assert {name: value.shape for name, value in answer.items()} == {"sum": (3, 1), "joined": (3, 5)}


def test_frames_come_back_as_frames_and_large_batches_in_parts():
    flavor, model = KerasFlavor(), network()
    frame = load_iris(as_frame=True).data.sample(3, random_state=0)

    answer = flavor.predict(model, frame, {}, method="predict")
    assert list(answer.index) == list(frame.index)
    np.testing.assert_allclose(answer.to_numpy(), model.predict(frame.to_numpy(), verbose=0), rtol=1e-6)
    assert flavor.predict(model, np.ones((3000, 4)), {}, method="predict").shape == (3000, 3)
    assert isinstance(answer, pd.DataFrame)


def test_classes_of_its_own_are_pickled_and_need_trust(tmp_path):
    @keras.saving.register_keras_serializable(package="Mine")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return x * 2

    model = keras.Sequential([keras.Input((2,)), Twice()])
    flavor, config = saved(tmp_path, model, KerasFlavor(custom_objects={"Mine>Twice": Twice}))
    keras.saving.get_custom_objects().clear()

    assert flavor.tier(tmp_path, config) == "code"
    with pytest.raises(UntrustedModelError, match=r"custom_objects\.cloudpickle"):
        loaded(tmp_path, flavor, config)
    again = loaded(tmp_path, flavor, config, "code")
    assert flavor.predict(again, np.ones((1, 2), np.float32), {}, method="predict").tolist() == [[2.0, 2.0]]


def test_a_model_that_was_not_built_is_not_saved(tmp_path):
    class Unfinished(keras.Model):
        def get_config(self):
            raise NotImplementedError("no configuration")

    with pytest.raises(FlavorSaveError, match="Keras cannot save it"):
        KerasFlavor().save(Unfinished(), tmp_path)


def layer(**keys):
    def change(config):
        config["config"]["layers"][1].update(keys)

    return change


def layer_config(**keys):
    return lambda config: config["config"]["layers"][1]["config"].update(keys)


HOSTILE = {
    "a lambda": layer_config(
        activation={"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}}
    ),
    "a Lambda layer": layer(class_name="Lambda"),
    "a class of the system": layer(module="subprocess", class_name="Popen"),
    "a module that sounds like it": layer(module="keras_evil.layers"),
    "an inner module": layer(module="keras.src.utils.file_utils", class_name="get_file"),
    "a utility": layer(module="keras.utils", class_name="get_file"),
    "a function that downloads": layer_config(
        activation={"module": "keras.utils", "class_name": "function", "config": "get_file"}
    ),
    "a class registered elsewhere": layer(registered_name="Mine>Dense"),
    "no module": layer(module=None),
    "a program of TensorFlow": layer(class_name="TFSMLayer", config={"filepath": "/tmp/x"}),
    "a file as vocabulary": layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
    "a class that is no text": layer(class_name=["Dense"]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_configuration_with_more_than_layers_is_code(tmp_path, change):
    flavor, config = saved(tmp_path)
    assert flavor.tier(tmp_path, config) == "native"

    rewrite(tmp_path / "data/model.keras", change)

    assert flavor.tier(tmp_path, config) == "code"
    with pytest.raises(UntrustedModelError, match=r"model\.keras"):
        loaded(tmp_path, flavor, config)


def test_a_file_beside_the_weights_makes_it_code(tmp_path):
    flavor, config = saved(tmp_path)
    with zipfile.ZipFile(tmp_path / "data/model.keras", "a") as archive:
        archive.writestr("assets/vocabulary.txt", "x")

    assert flavor.tier(tmp_path, config) == "code"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"cos\nsystem\n"])
def test_a_file_that_is_no_archive_is_code(tmp_path, content):
    flavor, config = saved(tmp_path)
    (tmp_path / "data/model.keras").write_bytes(content)

    assert flavor.tier(tmp_path, config) == "code"


def test_the_usual_layers_are_known_to_be_layers(tmp_path):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, kernel_regularizer="l2")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.LayerNormalization()(keras.layers.MaxPooling2D()(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Reshape((3, 3, 4))(x))
    x = keras.ops.exp(keras.layers.Dense(2, activation=keras.activations.gelu)(x))
    model = keras.Model(image, x)
    model.compile(keras.optimizers.Adam(1e-3), loss=keras.losses.MeanSquaredError(), metrics=["mae"])
    flavor, config = saved(tmp_path, model)

    assert flavor.tier(tmp_path, config) == "native"
    data = np.ones((2, 8, 8, 3), np.float32)
    answer = flavor.predict(loaded(tmp_path, flavor, config), data, {}, method="predict")
    np.testing.assert_allclose(answer, model.predict(data, verbose=0), rtol=1e-6)


def rewrite(path, change):
    """Change the configuration in a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
