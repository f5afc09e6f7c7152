import bz2
import gzip
import importlib
import lzma
import pickle
import sys

import cloudpickle
import pytest

from modelserving.errors import UntrustedModelError
from modelserving.trust.code import code_folder, load_joblib, load_module_file, load_pickle
from modelserving.trust.policy import grant, open_folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def allow(folder, tier="code"):
    return grant(open_folder(folder), tier, model="m", reason="Python code", trust="code")


@pytest.mark.parametrize(
    ("compression", "pack"),
    [(None, bytes), ("gzip", gzip.compress), ("bz2", bz2.compress), ("lzma", lzma.compress)],
)
def test_a_pickle_loads_packed_or_not(folder, compression, pack):
    (folder / "m.pkl").write_bytes(pack(pickle.dumps({"a": 1})))

    assert load_pickle(folder / "m.pkl", grant=allow(folder), compression=compression) == {"a": 1}


def test_a_function_that_cloudpickle_wrote_by_value_loads(folder):
    (folder / "m.pkl").write_bytes(cloudpickle.dumps(lambda x: x + 1))

    assert load_pickle(folder / "m.pkl", grant=allow(folder))(1) == 2


def test_joblib_files_load(folder):
    joblib = pytest.importorskip("joblib")
    joblib.dump([1, 2], folder / "m.joblib", compress=3)

    assert load_joblib(folder / "m.joblib", grant=allow(folder)) == [1, 2]


def test_stand_ins_are_taken_before_anything_is_imported(folder):
    class StandIn:
        pass

    (folder / "m.pkl").write_bytes(b"cmlflow.pyfunc.model\nPythonModel\n.")
    loaded = load_pickle(
        folder / "m.pkl", grant=allow(folder), find_class={("mlflow.pyfunc.model", "PythonModel"): StandIn}
    )

    assert loaded is StandIn
    assert "mlflow" not in sys.modules


@pytest.mark.parametrize("tier", ["data", "native"])
def test_a_grant_for_less_than_code_opens_no_pickle(folder, tier):
    (folder / "m.pkl").write_bytes(b"c__nowhere__\nx\n.")

    for load in (load_pickle, load_joblib, lambda path, grant: load_module_file(path, grant=grant, name="m")):
        with pytest.raises(UntrustedModelError):
            load(folder / "m.pkl", grant=allow(folder, tier))
    with pytest.raises(UntrustedModelError), code_folder(folder, grant=allow(folder, tier)):
        pass


@pytest.mark.parametrize("path", ["../other.pkl", "/etc/hostname"])
def test_a_grant_is_for_one_folder(folder, path):
    (folder.parent / "other.pkl").write_bytes(pickle.dumps(1))

    with pytest.raises(UntrustedModelError):
        load_pickle(folder / path, grant=allow(folder))


def test_a_file_runs_as_a_module_and_its_classes_can_be_found(folder):
    (folder / "model.py").write_text("class Model:\n    here = __file__\n")
    module = load_module_file(folder / "model.py", grant=allow(folder), name="code_model")

    assert module.Model.here == str(folder / "model.py")
    assert sys.modules[module.Model.__module__] is module
    assert not (folder / "__pycache__").exists()


def test_a_module_that_fails_is_not_left_behind(folder):
    (folder / "model.py").write_text("1 / 0")

    with pytest.raises(ZeroDivisionError):
        load_module_file(folder / "model.py", grant=allow(folder), name="code_model_fails")
    assert not [name for name in sys.modules if name.startswith("code_model_fails")]


HELPERS = """
import package.inner
from package import inner as again
value = {value!r}
def late():
    import other_helper
    from package.late import value as packaged
    return other_helper.value, packaged
"""


def write_code(folder, value):
    (folder / "code" / "package").mkdir(parents=True)
    for path, text in {
        "my_helpers.py": HELPERS.format(value=value),
        "other_helper.py": f"value = {value!r}\n",
        "package/__init__.py": "from . import inner\n",
        "package/inner.py": "from package import late\nfrom .late import value\n",
        "package/late.py": f"value = {value!r}\n",
    }.items():
        (folder / "code" / path).write_text(text)
    return folder


def load(folder):
    with code_folder(folder / "code", grant=allow(folder)):
        return importlib.import_module("my_helpers")


def test_two_models_with_modules_of_one_name_do_not_meet(tmp_path):
    one, two = (load(write_code(tmp_path / name, name)) for name in ("one", "two"))

    assert (one.value, two.value) == ("one", "two")
    assert one.again.value == "one"
    assert one.late() == ("one", "one")
    assert two.late() == ("two", "two")
    assert one.late() == ("one", "one")


def test_nothing_is_left_behind(tmp_path):
    before = sys.path.copy(), sys.meta_path.copy(), set(sys.modules)
    load(write_code(tmp_path / "model", 1)).late()

    assert (sys.path, sys.meta_path, set(sys.modules)) == before
    assert not list(tmp_path.rglob("__pycache__"))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("my_helpers")


def test_a_module_of_the_application_gets_its_name_back(tmp_path, monkeypatch):
    theirs = type(sys)("my_helpers")
    monkeypatch.setitem(sys.modules, "my_helpers", theirs)

    assert load(write_code(tmp_path / "model", 1)) is not theirs
    assert sys.modules["my_helpers"] is theirs


def test_a_load_that_fails_leaves_nothing_behind(tmp_path):
    folder = write_code(tmp_path / "model", 1)
    (folder / "code" / "my_helpers.py").write_text("import other_helper\n1 / 0")
    before = sys.meta_path.copy(), set(sys.modules)

    with pytest.raises(ZeroDivisionError):
        load(folder)
    assert (sys.meta_path, set(sys.modules)) == before


def test_a_module_imports_another_one_only_once(tmp_path):
    folder = write_code(tmp_path / "model", 1)
    (folder / "code" / "my_helpers.py").write_text(
        "import other_helper\nimport my_helpers as me\nvalue = me\n"
    )
    (folder / "code" / "other_helper.py").write_text("import my_helpers\nseen = my_helpers\n")
    module = load(folder)

    assert module.value is module
    assert module.other_helper.seen is module


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_function_brought_by_value_still_finds_the_modules_of_its_model(tmp_path, name):
    def predict():
        import other_helper

        return other_helper.value

    folder = write_code(tmp_path / name, name)
    (folder / "m.pkl").write_bytes(cloudpickle.dumps(predict))
    (folder / "model.py").write_text(
        "def predict():\n    import other_helper\n    return other_helper.value\n"
    )
    allowed = allow(folder)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        (folder / "m.pkl").write_bytes(cloudpickle.dumps(predict))
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    with code_folder(folder / "code", grant=allowed):
        loaded = load_pickle(folder / "m.pkl", grant=allowed)
        module = load_module_file(folder / "model.py", grant=allowed, name="m")

    assert loaded() == name
    assert module.predict() == name
