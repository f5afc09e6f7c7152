"""The flavor of Python code: what is called, with what, and what its files name."""

from __future__ import annotations

import pickletools
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from modelserving.errors import FlavorLoadError, FlavorSaveError, UntrustedModelError
from modelserving.flavors import _mlflow_classes as mlflow_classes
from modelserving.flavors.python_function import PythonFunctionFlavor
from modelserving.testing import grant

DATA = np.array([[1.0], [2.0]])
PythonModel = PythonFunctionFlavor.PythonModel


class Plain:
    def __init__(self, factor):
        self.factor = factor

    def predict(self, model_input, params=None):
        return model_input * (params or {}).get("factor", self.factor)


class Derived(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input + len(context.artifacts)


class Streaming:
    def predict(self, model_input):
        return model_input

    def predict_stream(self, model_input, params=None):
        yield from model_input


def ask(model, tmp_path, data=DATA, params=None, method="predict", **options):
    flavor = PythonFunctionFlavor(**options)
    entries = flavor.save(model, tmp_path)
    return ask_saved(entries["python_function"], tmp_path, data, params, method)


def ask_saved(config, folder, data=DATA, params=None, method="predict"):
    flavor = PythonFunctionFlavor()
    with grant(folder, "code") as granted:
        loaded = flavor.load(granted.folder, config, grant=granted)
        return flavor.predict(loaded, data, params or {}, method=method)


def names_in(path):
    return [argument for _, argument, _ in pickletools.genops(path.read_bytes()) if isinstance(argument, str)]


@pytest.mark.parametrize("model", [len, lambda x: x, Plain, Plain(2), Derived, "model.py", np.sin])
def test_callables_and_whatever_predicts_is_accepted(model):
    assert PythonFunctionFlavor().accepts(model)


class Rude:
    def __getattr__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize("model", [object(), int, "a text", pytest.param(Rude(), id="rude"), 3])
def test_others_are_refused(model):
    assert not PythonFunctionFlavor().accepts(model)


def test_a_function_of_one_argument(tmp_path):
    np.testing.assert_array_equal(ask(lambda rows: rows * 2, tmp_path), DATA * 2)


def test_a_function_that_names_params_gets_them(tmp_path):
    def scale(model_input, params=None):
        return model_input * params["factor"]

    np.testing.assert_array_equal(ask(scale, tmp_path, params={"factor": 5}), DATA * 5)


def test_a_function_written_in_c(tmp_path):
    assert ask(len, tmp_path) == 2


def test_an_object_with_params(tmp_path):
    np.testing.assert_array_equal(ask(Plain(3), tmp_path, params={"factor": 4}), DATA * 4)


def test_an_object_stays_what_it_was(tmp_path):
    model = Plain(3)

    PythonFunctionFlavor().save(model, tmp_path)

    assert type(model) is Plain


def test_a_class_is_made_without_arguments(tmp_path):
    np.testing.assert_array_equal(ask(Derived, tmp_path), DATA)


def test_a_context_of_any_name_is_given_to_a_method_of_two_arguments(tmp_path):
    class Model:
        def predict(self, ctx, rows):
            return rows * ctx.model_config["factor"]

    np.testing.assert_array_equal(ask(Model(), tmp_path, model_config={"factor": 7}), DATA * 7)


def test_artifacts_are_copied_and_found_by_name(tmp_path):
    class Model:
        def load_context(self, context):
            self.sum = sum(float(Path(path).read_text()) for path in context.artifacts.values())

        def predict(self, context, model_input):
            return model_input * self.sum

    sources = {}
    for name, value in {"number": "3", "other": "4"}.items():
        (tmp_path / name).mkdir()
        sources[name] = tmp_path / name / "value.txt"
        sources[name].write_text(value)
    folder = tmp_path / "model"
    folder.mkdir()
    flavor = PythonFunctionFlavor(artifacts=sources)
    config = flavor.save(Model(), folder)["python_function"]
    for source in sources.values():
        source.unlink()

    np.testing.assert_array_equal(ask_saved(config, folder), DATA * 7)


def test_a_missing_artifact_is_named(tmp_path):
    with pytest.raises(FlavorSaveError, match=r"artifact 'weights' is 'nowhere.bin', which does not exist"):
        ask(Plain(1), tmp_path, artifacts={"weights": "nowhere.bin"})


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd"])
def test_an_artifact_outside_the_folder_is_refused(tmp_path, path):
    config = dict(PythonFunctionFlavor().save(Derived(), tmp_path)["python_function"])
    config["artifacts"] = {"f": {"path": path, "uri": "x"}}

    with pytest.raises(FlavorLoadError, match=r"artifacts\.f\.path"):
        ask_saved(config, tmp_path)


@pytest.mark.parametrize(("compression", "suffix"), [("lzma", ".xz"), ("bzip2", ".bz2"), ("gzip", ".gz")])
def test_a_compressed_pickle(tmp_path, compression, suffix):
    np.testing.assert_array_equal(ask(Plain(2), tmp_path, python_model_compression=compression), DATA * 2)
    assert (tmp_path / f"python_model.pkl{suffix}").is_file()


def test_an_unknown_compression_is_refused():
    with pytest.raises(FlavorSaveError, match="python_model_compression is 'zip'"):
        PythonFunctionFlavor(python_model_compression="zip")


def test_config_that_is_not_json_is_refused(tmp_path):
    with pytest.raises(FlavorSaveError, match="model_config"):
        ask(Plain(1), tmp_path, model_config={"array": DATA})


def test_what_cannot_be_pickled_leaves_no_file(tmp_path):
    with pytest.raises(FlavorSaveError, match="load_context"):
        ask(Plain(sys._getframe()), tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", [lambda rows: rows, Plain(1), type("Local", (PythonModel,), {})()])
def test_the_pickle_names_classes_of_mlflow_and_nothing_of_this_package(tmp_path, model):
    PythonFunctionFlavor().save(model, tmp_path)

    names = names_in(tmp_path / "python_model.pkl")
    assert "mlflow.pyfunc.model" in names
    assert not [name for name in names if name.startswith("modelserving")]


def test_no_mlflow_is_left_in_the_process(tmp_path):
    ask(Derived(), tmp_path)

    assert not [name for name in sys.modules if name.partition(".")[0] == "mlflow"]


def test_no_mlflow_is_left_after_a_failure(tmp_path):
    (tmp_path / "broken.py").write_text("import mlflow\nraise RuntimeError('on purpose')\n")

    with pytest.raises(FlavorLoadError, match="on purpose"):
        ask(tmp_path / "broken.py", tmp_path_of(tmp_path))

    assert not [name for name in sys.modules if name.partition(".")[0] == "mlflow"]


def tmp_path_of(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    return folder


def test_model_code_that_names_no_model(tmp_path):
    (tmp_path / "forgot.py").write_text("model = len\n")

    with pytest.raises(
        FlavorLoadError, match=r"'forgot.py' names no model; end it with mlflow.models.set_model"
    ):
        ask(tmp_path / "forgot.py", tmp_path_of(tmp_path))


def test_model_code_whose_file_is_missing(tmp_path):
    with pytest.raises(FlavorSaveError, match=r"'nowhere.py' does not exist"):
        ask("nowhere.py", tmp_path)


def test_only_the_name_counts_in_the_path_that_mlflow_wrote(tmp_path):
    (tmp_path / "code_model.py").write_text(
        "from mlflow.models import set_model\nset_model(lambda rows: rows * 9)\n"
    )
    config = {
        "loader_module": "mlflow.pyfunc.loaders.code_model",
        "model_code_path": "/home/somebody/else/code_model.py",
    }

    np.testing.assert_array_equal(ask_saved(config, tmp_path), DATA * 9)


def test_modules_come_along(tmp_path):
    (tmp_path / "my_scaling.py").write_text("FACTOR = 11\n")

    class Model:
        def load_context(self, context):
            import my_scaling

            self.factor = my_scaling.FACTOR

        def predict(self, model_input):
            return model_input * self.factor

    answer = ask(Model(), tmp_path_of(tmp_path), code_paths=[tmp_path / "my_scaling.py"])

    np.testing.assert_array_equal(answer, DATA * 11)
    assert "my_scaling" not in sys.modules


def test_two_paths_of_one_name_are_refused(tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        (tmp_path / parent / "helpers.py").write_text("")

    with pytest.raises(FlavorSaveError, match=r"'helpers.py' twice"):
        ask(Plain(1), tmp_path, code_paths=[tmp_path / "a/helpers.py", tmp_path / "b/helpers.py"])


def test_a_loader_module_of_the_models_own(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_loader.py").write_text(
        "import pathlib\n"
        "class Model:\n"
        "    def __init__(self, factor): self.factor = factor\n"
        "    def predict(self, rows): return rows * self.factor\n"
        "def _load_pyfunc(path): return Model(float(pathlib.Path(path).read_text()))\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "factor.txt").write_text("6")
    config = {"loader_module": "my_loader", "data": "data/factor.txt", "code": "code"}

    np.testing.assert_array_equal(ask_saved(config, tmp_path), DATA * 6)


@pytest.mark.parametrize(
    "loader", ["os", "subprocess", "../os", "", None, "mlflow.sklearn", "mlflow.pyfunc.loaders.chat_model"]
)
def test_no_other_loader_is_imported(tmp_path, loader):
    with pytest.raises(FlavorLoadError, match="loader"):
        ask_saved({"loader_module": loader}, tmp_path)


def test_it_is_always_code(tmp_path):
    flavor = PythonFunctionFlavor()
    config = flavor.save(Plain(1), tmp_path)["python_function"]

    assert flavor.tier(tmp_path, config) == "code"
    with grant(tmp_path, "native") as granted, pytest.raises(UntrustedModelError):
        flavor.load(granted.folder, config, grant=granted)


def test_a_stream_is_an_iterator(tmp_path):
    pieces = ask(Streaming(), tmp_path, data=["a", "b"], method="predict_stream")

    assert list(pieces) == ["a", "b"]


def test_only_a_stream_of_its_own_counts(tmp_path):
    flavor = PythonFunctionFlavor()

    assert flavor.save(Streaming(), tmp_path)["python_function"]["streamable"] is True
    assert flavor.save(Derived(), tmp_path)["python_function"]["streamable"] is False


def test_a_frame_becomes_the_list_that_the_type_hint_asks_for(tmp_path):
    def upper(model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]

    def keys(model_input: list[dict[str, float]]) -> list[list[str]]:
        return [sorted(row) for row in model_input]

    frame = pd.DataFrame({"number": [1.0, 2.0], "text": ["a", "b"]})

    assert ask(upper, tmp_path, data=frame) == ["A", "B"]
    assert ask(keys, tmp_path, data=frame) == [["number", "text"]] * 2


def test_a_loaded_model_can_be_saved_elsewhere_with_all_it_has(tmp_path):
    source = tmp_path / "scale.py"
    source.write_text(
        "from mlflow.models import ModelConfig, set_model\n"
        "factor = ModelConfig().get('factor')\n"
        "set_model(lambda rows: rows * factor)\n"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    flavor = PythonFunctionFlavor()
    config = PythonFunctionFlavor(model_config={"factor": 8}).save(source, first)["python_function"]
    with grant(first, "code") as granted:
        again = flavor.save(flavor.load(granted.folder, config, grant=granted), second)["python_function"]

    np.testing.assert_array_equal(ask_saved(again, second), DATA * 8)


def test_a_class_of_the_program_that_runs_loads_in_another_process(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from modelserving.flavors.python_function import PythonFunctionFlavor\n"
        "class Add:\n"
        "    def predict(self, model_input): return model_input + 1\n"
        "PythonFunctionFlavor().save(Add(), Path(sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
    config = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}

    np.testing.assert_array_equal(ask_saved(config, tmp_path), DATA + 1)


def test_it_records_the_pickler(tmp_path):
    entries = PythonFunctionFlavor().save(len, tmp_path)

    assert entries["python_function"]["cloudpickle_version"] == cloudpickle.__version__


def test_a_class_that_mlflow_saved_with_its_type_hints_loads(tmp_path):
    class Hinted(PythonFunctionFlavor.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input * 2

    model = Hinted()
    model._predict_type_hints = mlflow_classes._TypeHints()  # as MLflow leaves them on what it saves
    with mlflow_classes.named_by(Hinted):
        (tmp_path / "python_model.pkl").write_bytes(cloudpickle.dumps(model))
    config = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}

    np.testing.assert_array_equal(ask_saved(config, tmp_path), DATA * 2)
    assert b"mlflow.models.signature" in (tmp_path / "python_model.pkl").read_bytes()
