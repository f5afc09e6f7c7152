"""The MLmodel file: read, checked, written."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from pathlib import Path

import pytest
import yaml

from modelserving.errors import MLmodelError
from modelserving.mlmodel import FORMAT, MLmodel

FROZEN = sorted(Path(__file__).parents[1].glob("conformance/mlflow/*/MLmodel"))
frozen = pytest.mark.parametrize("file", FROZEN, ids=lambda file: file.parent.name)

# what MLflow 1.x wrote: no mlflow_version, env as text, data for model_path, columns without "required"
OLD = """\
artifact_path: model
flavors:
  python_function:
    data: model.pkl
    env: conda.yaml
    loader_module: mlflow.sklearn
    python_version: 3.6.5
  sklearn:
    pickled_model: model.pkl
    sklearn_version: 0.20.3
run_id: 5d3b1b8a5d3b4a0f8b1f2a7d3a0e9c1d
signature:
  inputs: '[{"name": "x", "type": "double"}]'
  outputs: '[{"type": "double"}]'
utc_time_created: '2021-03-11 08:20:07.100000'
"""

EVERY_KEY = """\
artifact_path: file:///srv/mlruns/0/models/m-1/artifacts
auth_policy: {system_auth_policy: {resources: {}}, user_auth_policy: {api_scopes: [a]}}
databricks_runtime: 8.3.x
env_vars: [OPENAI_API_KEY]
flavors:
  onnx: {data: model.onnx, onnx_session_options: {intra_op_num_threads: 1}, onnx_version: 1.23.2,
    providers: [[CUDAExecutionProvider, {device_id: 0}], CPUExecutionProvider]}
  python_function:
    artifacts: {f: {path: artifacts/art.txt, uri: /srv/art.txt}}
    config: {t: 1, 2: two}
    loader_module: mlflow.pyfunc.model
    model_code_path: /home/x/model.py
    streamable: false
  pytorch: {extra_files: [{path: extra_files/a}], model_data: data, requirements_file: {path: r.txt}}
  tensorflow: {meta_graph_tags: [serve], model_type: keras, saved_model_dir: tf2, signature_def_key: null}
  unheard_of: {anything: [1, {a: b}], data: {not: a path}}
is_signature_from_type_hint: false
metadata: {k: v, 2024: year, nested: [1.5, true, null]}
mlflow_version: 3.18.0
model_id: m-0123456789abcdef0123456789abcdef
model_size_bytes: 641
model_uuid: m-0123456789abcdef0123456789abcdef
modelserving: {format: 1, version: 0.1.0, written_by: sklearn, method: predict, environment: {numpy: 1.26.0},
  categories: {city: [Oslo, Rome]}, time_zones: {t: Europe/Oslo}, note: hello, later: [1]}
prompts: [prompts:/p/1]
resources: {api_version: '1', databricks: {}}
run_id: 0123456789abcdef0123456789abcdef
saved_input_example_info: {artifact_path: input_example.json, pandas_orient: split, params: 'true',
  serving_input_path: serving_input_example.json, type: dataframe}
something_new: {kept: [as, it, is]}
something_null: null
type_hint_from_example: true
utc_time_created: yesterday
"""

# a value of every type, by the names that messages use
WRONG = {"str": "text", "int": 5, "float": 1.5, "bool": True, "list": [[]], "dict": {"a": {"b": {}}}}


def places(value, path=()):
    """Every key path of a parsed file."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def with_value(form, path, value):
    changed = copy.deepcopy(form)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def error_of(form) -> MLmodelError:
    with pytest.raises(MLmodelError) as caught:
        MLmodel.from_dict(form, "m/MLmodel")
    return caught.value


@frozen
def test_what_mlflow_wrote_is_written_back_but_for_its_nulls(file):
    text = file.read_text()
    kept = [line for line in text.splitlines() if line not in {"model_id: null", "prompts: null"}]

    assert MLmodel.read(file.parent).to_text().splitlines() == kept


@frozen
def test_reading_what_was_written_gives_an_equal_mlmodel(file):
    mlmodel = MLmodel.read(file.parent)

    assert MLmodel.from_text(mlmodel.to_text()) == mlmodel
    assert MLmodel.from_dict(mlmodel.to_dict()) == mlmodel
    assert pickle.loads(pickle.dumps(mlmodel)) == mlmodel


@pytest.mark.parametrize("text", [OLD, EVERY_KEY])
def test_every_key_is_kept_and_written_back(text):
    written = yaml.safe_load(MLmodel.from_text(text).to_text())
    expected = yaml.safe_load(text)
    for form in (written, expected):
        form.pop("signature", None)

    assert written == expected
    assert list(written) == sorted(written)


def test_old_forms_are_read():
    mlmodel = MLmodel.from_text(OLD)

    assert mlmodel.mlflow_version is None
    assert mlmodel.flavors["python_function"]["env"] == "conda.yaml"
    assert mlmodel.flavors["python_function"]["data"] == "model.pkl"
    assert mlmodel.signature.inputs.names == ("x",)


def test_unknown_keys_stand_in_extra_and_ours_in_ours():
    mlmodel = MLmodel.from_text(EVERY_KEY)

    assert mlmodel.extra == {"something_new": {"kept": ["as", "it", "is"]}, "something_null": None}
    assert mlmodel.ours["written_by"] == "sklearn"


def test_a_new_mlmodel_says_nothing_it_was_not_told():
    assert MLmodel(flavors={"f": {}}).to_text() == "flavors:\n  f: {}\n"


def test_the_order_of_keys_makes_no_difference():
    one = MLmodel(flavors={"a": {"x": 1, "y": 2}, "b": {}}, metadata={"k": 1, "j": {"b": 1, "a": 2}, 3: 4})
    other = MLmodel(flavors={"b": {}, "a": {"y": 2, "x": 1}}, metadata={3: 4, "j": {"a": 2, "b": 1}, "k": 1})

    assert one.to_text() == other.to_text()


def test_later_changes_to_what_it_was_made_from_do_not_reach_it():
    flavors = {"f": {"list": [1]}}
    mlmodel = MLmodel(flavors=flavors)

    flavors["f"]["list"].append(2)
    assert mlmodel.flavors == {"f": {"list": [1]}}


@pytest.mark.parametrize("version", ["1.10", "3", "1e5", "2.0.0"])
def test_a_version_without_quotes_is_the_text_that_stands_there(version):
    mlmodel = MLmodel.from_text(
        f"flavors: {{sklearn: {{sklearn_version: {version}}}}}\nmlflow_version: {version}\n"
    )

    assert mlmodel.flavors["sklearn"]["sklearn_version"] == version
    assert mlmodel.mlflow_version == version
    assert MLmodel.from_text(mlmodel.to_text()) == mlmodel


def test_a_wrong_type_is_named_with_key_path_and_file():
    error = error_of({"flavors": {"sklearn": {"pickled_model": 5}}})

    assert (
        str(error) == "unexpected type int (expected str) in 'flavors.sklearn.pickled_model' of 'm/MLmodel'"
    )


@pytest.mark.parametrize("text", [EVERY_KEY, *(file.read_text() for file in FROZEN)])
def test_a_wrong_type_at_any_key_is_an_error_with_its_path_or_a_key_that_holds_anything(text):
    form = yaml.safe_load(text)
    refused = set()

    for path in places(form):
        for value in WRONG.values():
            try:
                MLmodel.from_dict(with_value(form, path, value))
            except MLmodelError as error:
                refused.add(".".join(map(str, path)))
                assert error.key, (path, value)  # noqa: PT017
                assert error.key.split(".")[0].split("[")[0] == path[0], (path, value)  # noqa: PT017

    free = (
        "extra",
        "metadata.",
        "config.",
        "resources.",
        "auth_policy.",
        "something_",
        "unheard_of.",
        "later",
    )
    free += (
        "onnx_session_options.",
        "categories.city.",
        "providers.0.1.",
        "meta_graph_tags.0",
        "signature_def_key.",
    )
    for path in places(form):
        name = ".".join(map(str, path))
        assert name in refused or any(part in name for part in free), name


@pytest.mark.parametrize("value", [None, 5, "text", [], [{}]])
def test_a_file_that_is_no_mapping_is_refused(value):
    with pytest.raises(MLmodelError):
        MLmodel.from_dict(value)


@pytest.mark.parametrize(
    ("form", "key", "reason"),
    [
        ({}, None, "missing key 'flavors'"),
        ({"flavors": None}, None, "missing key 'flavors'"),
        ({"flavors": {"python_function": {}}}, "flavors.python_function", "missing key 'loader_module'"),
        ({"flavors": {1: {}}}, "flavors", "unexpected key 1 of type int (expected str)"),
        ({"flavors": {"f": None}}, "flavors.f", "unexpected type null (expected dict)"),
        ({"flavors": {"f": {2: 1}}}, "flavors.f", "unexpected key 2 of type int (expected str)"),
        ({"flavors": {}, 1: 2}, None, "unexpected key 1 of type int (expected str)"),
        (
            {"flavors": {}, "signature": {"inputs": [1]}},
            "signature.inputs",
            "unexpected type list (expected str)",
        ),
        ({"flavors": {}, "modelserving": {"note": "x"}}, "modelserving", "missing key 'format'"),
        ({"flavors": {}, "modelserving": {"format": 0}}, "modelserving.format", "format 0 does not exist"),
        (
            {"flavors": {}, "modelserving": {"format": "1"}},
            "modelserving.format",
            "unexpected type str (expected int)",
        ),
    ],
)
def test_what_is_wrong_is_said(form, key, reason):
    error = error_of(form)

    assert (error.key, error.reason, error.path) == (key, reason, "m/MLmodel")


@pytest.mark.parametrize(
    "inputs", ["not JSON", "{}", "[" * 100_000, "[1]", '[{"type": "nope"}]', "[]" * 2, '"x"']
)
def test_a_signature_that_is_none_is_refused(inputs):
    assert error_of({"flavors": {}, "signature": {"inputs": inputs}}).key == "signature"


def test_a_newer_format_names_the_version_that_reads_it():
    error = error_of(
        {"flavors": {}, "modelserving": {"format": FORMAT + 1, "version": "9.1.0", "method": ["new"]}}
    )

    assert "modelserving>=9.1.0" in str(error)
    assert error.key == "modelserving.format"


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j, Path("x"), {None: 1}, {1.5: 1}, {True: 1}, "\ud800", 10**2000]
)
def test_metadata_that_yaml_cannot_hold_is_refused_when_made(value):
    with pytest.raises(MLmodelError) as caught:
        MLmodel(flavors={}, metadata={"k": [value]})

    assert caught.value.key == "metadata.k[0]"


def test_metadata_that_contains_itself_is_refused():
    loop = {}
    loop["loop"] = loop

    with pytest.raises(MLmodelError, match="nested more than 32 deep"):
        MLmodel(flavors={}, metadata=loop)


def test_a_known_key_cannot_hide_in_extra():
    with pytest.raises(MLmodelError, match="its own field"):
        MLmodel(flavors={}, extra={"run_id": "x"})


@frozen
def test_truncated_at_any_length_it_is_an_mlmodel_or_an_error(file):
    text = file.read_text()

    for end in range(len(text)):
        try:
            MLmodel.from_text(text[:end], "MLmodel")
        except MLmodelError as error:
            assert str(error).isprintable()  # noqa: PT017


def test_what_is_written_is_read_from_the_folder(tmp_path):
    mlmodel = MLmodel(flavors={"f": {"a": "é"}}, metadata={"long": "word " * 100})

    mlmodel.write(tmp_path)
    assert MLmodel.read(tmp_path) == mlmodel
    assert [file.name for file in tmp_path.iterdir()] == ["MLmodel"]


def test_writing_again_replaces_the_file_and_follows_no_link(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").symlink_to(outside)

    MLmodel(flavors={}).write(folder)
    assert outside.read_text() == "precious"
    assert MLmodel.read(folder) == MLmodel(flavors={})


def make_link(file: Path) -> None:
    file.with_name("real").write_text("flavors: {}")
    file.symlink_to("real")


BAD_FILES = {
    "missing": lambda _: None,
    "a folder": lambda file: file.mkdir(),
    "a link": make_link,
    "a link to itself": lambda file: file.symlink_to(file.name),
    "a FIFO": os.mkfifo,
    "empty": lambda file: file.touch(),
    "not UTF-8": lambda file: file.write_bytes(b"flavors: {}\n# \xff"),
    "UTF-16": lambda file: file.write_text("flavors: {}", encoding="utf-16"),
    "UTF-8 with a mark": lambda file: file.write_text("flavors: {}", encoding="utf-8-sig"),
    "NULs": lambda file: file.write_bytes(b"flavors: {}\0"),
    "too large": lambda file: file.write_text("flavors: {}\n" + "#" * (1 << 20)),
    "a sparse gigabyte": lambda file: (file.touch(), os.truncate(file, 1 << 30)),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_an_error_that_names_it_and_does_not_hang(kind, tmp_path):
    file = tmp_path / "MLmodel"
    BAD_FILES[kind](file)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            MLmodel.read(tmp_path)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)

    assert not thread.is_alive()
    assert isinstance(errors[0], MLmodelError)
    assert errors[0].path == str(file)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(MLmodelError, match="give the folder of a saved model"):
        MLmodel.read(tmp_path / "nowhere")
