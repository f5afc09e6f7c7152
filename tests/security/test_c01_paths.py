"""C01: a path that somebody wrote into an MLmodel file stays inside the model's folder."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.errors import MLmodelError
from modelserving.mlmodel import MLmodel, safe_relpath

SAFE = {
    "model.pkl": ("model.pkl",),
    "data/model/saved_model.pb": ("data", "model", "saved_model.pb"),
    "artifacts/my file (1).bin": ("artifacts", "my file (1).bin"),
    ".hidden/..double": (".hidden", "..double"),
    "~/x": ("~", "x"),
    "..%2fx": ("..%2fx",),  # nobody decodes it again
    "modèle/日本語.onnx": ("modèle", "日本語.onnx"),
    "console.txt": ("console.txt",),
    "a" * 255: ("a" * 255,),
}
UNSAFE = [
    *(
        "",
        ".",
        "..",
        "/",
        "//",
        "./x",
        "x/.",
        "../x",
        "x/..",
        "x/../y",
        "x/../../y",
        "x//y",
        "x/",
        "/etc/passwd",
    ),
    *(
        "//proc/self/root/etc/passwd",
        "..\\x",
        "x\\..\\..\\y",
        "\\\\host\\share",
        "C:x",
        "C:/x",
        "file:///etc/passwd",
    ),
    *(
        "models:/a/1",
        "https://host/x",
        "x:stream",
        "x\x00.pkl",
        "x\n",
        "\tx",
        "x\x7f",
        "x\x85",
        "x\u2028y",
        "x\ud800",
    ),
    *(
        "x ",
        "x.",
        "x /y",
        "x./y",
        "...",
        " .",
        "CON",
        "con",
        "CON.txt",
        "sub/NUL",
        "aux.tar.gz",
        "Lpt1",
        "COM¹.x",
    ),
    *(
        "nul .txt",
        "CONIN$",
        "prn/x",
        "a" * 256,
        "é" * 128,
        "/".join(["abcdefg"] * 129),
        "e\u0301.txt",
        "x" * 10**6,
    ),
]
# a config with this path in it, and the key path the error must name
PATH_KEYS = {
    "flavors.sklearn.pickled_model": lambda path: {"sklearn": {"pickled_model": path}},
    "flavors.sklearn.code": lambda path: {"sklearn": {"code": path}},
    "flavors.onnx.data": lambda path: {"onnx": {"data": path}},
    "flavors.xgboost.data": lambda path: {"xgboost": {"data": path}},
    "flavors.lightgbm.data": lambda path: {"lightgbm": {"data": path}},
    "flavors.catboost.data": lambda path: {"catboost": {"data": path}},
    "flavors.pytorch.model_data": lambda path: {"pytorch": {"model_data": path}},
    "flavors.pytorch.extra_files[0].path": lambda path: {"pytorch": {"extra_files": [{"path": path}]}},
    "flavors.tensorflow.saved_model_dir": lambda path: {"tensorflow": {"saved_model_dir": path}},
    "flavors.keras.data": lambda path: {"keras": {"data": path}},
    "flavors.python_function.data": lambda path: _pyfunc(data=path),
    "flavors.python_function.code": lambda path: _pyfunc(code=path),
    "flavors.python_function.model_path": lambda path: _pyfunc(model_path=path),
    "flavors.python_function.python_model": lambda path: _pyfunc(python_model=path),
    "flavors.python_function.env": lambda path: _pyfunc(env=path),
    "flavors.python_function.env.conda": lambda path: _pyfunc(env={"conda": path}),
    "flavors.python_function.artifacts.a.path": lambda path: _pyfunc(
        artifacts={"a": {"path": path, "uri": "s3://x"}}
    ),
    "flavors.of_a_stranger.data": lambda path: {"of_a_stranger": {"data": path}},
}


def _pyfunc(**keys: object) -> dict[str, object]:
    return {"python_function": {"loader_module": "mlflow.pyfunc.model", **keys}}


@pytest.mark.parametrize(("text", "parts"), SAFE.items())
def test_a_safe_path_is_its_parts(text, parts):
    assert safe_relpath(text) == parts


@pytest.mark.parametrize("text", UNSAFE, ids=lambda text: ascii(text[:30]))
def test_an_unsafe_path_is_refused(text):
    with pytest.raises(MLmodelError, match="unsafe path") as caught:
        safe_relpath(text)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, 3, b"model.pkl", ["model.pkl"]])
def test_what_is_not_text_is_refused(value):
    with pytest.raises(MLmodelError, match="unsafe path"):
        safe_relpath(value)


@pytest.mark.parametrize("key", PATH_KEYS)
@pytest.mark.parametrize(
    "path", ["../outside/evil.pkl", "/etc/passwd", "a/../../b", "..\\x", "x\x00"], ids=ascii
)
def test_an_unsafe_path_is_refused_under_every_key(key, path):
    with pytest.raises(MLmodelError, match="unsafe path") as caught:
        MLmodel.from_dict({"flavors": PATH_KEYS[key](path)})

    assert caught.value.key == key


@pytest.mark.parametrize("key", PATH_KEYS)
def test_a_safe_path_is_kept_under_every_key(key):
    flavors = PATH_KEYS[key]("data/model.bin")

    assert MLmodel.from_dict({"flavors": copy.deepcopy(flavors)}).flavors == flavors


@pytest.mark.parametrize("key", ["artifact_path", "serving_input_path"])
def test_an_unsafe_path_to_the_input_example_is_refused(key):
    with pytest.raises(MLmodelError) as caught:
        MLmodel.from_dict({"flavors": {}, "saved_input_example_info": {key: "../../x"}})

    assert caught.value.key == f"saved_input_example_info.{key}"


@pytest.mark.parametrize(
    "path", ["/srv/ml/out/_code_model.py", "C:\\work\\model.py", "model.py", "../model.py"]
)
def test_of_a_path_on_the_writers_machine_only_the_name_counts(path):
    MLmodel.from_dict({"flavors": _pyfunc(model_code_path=path)})


@pytest.mark.parametrize("path", ["/", "..", "/srv/..", "/srv/NUL.py", "a\x00", "C:\\"])
def test_a_path_on_the_writers_machine_without_a_safe_name_is_refused(path):
    with pytest.raises(MLmodelError) as caught:
        MLmodel.from_dict({"flavors": _pyfunc(model_code_path=path)})

    assert caught.value.key == "flavors.python_function.model_code_path"


@given(
    st.lists(st.sampled_from(["..", ".", "/", "\\", "%2e", "a", ":", "\x00", " ", "é", "nul"])).map("".join)
    | st.text()
)
def test_any_text_leads_below_the_folder_or_is_refused(tmp_path_factory, text):
    try:
        parts = safe_relpath(text)
    except MLmodelError:
        return

    folder = tmp_path_factory.getbasetemp().resolve()
    assert "/".join(parts) == text
    assert folder in folder.joinpath(*parts).resolve().parents
