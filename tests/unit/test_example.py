from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from modelserving.errors import MLmodelError, UnserializableError
from modelserving.example import load_example, save_example, serving_request
from modelserving.scoring.invocations import decode
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import DataType

NAMED = Signature(Schema((ColumnSpec(DataType.double, "a"), ColumnSpec(DataType.long, "b"))))


def written(folder, name="input_example.json"):
    return json.loads((folder / name).read_text())


def test_a_frame_keeps_names_values_and_types(tmp_path):
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [2, 3]})

    info = save_example(frame, tmp_path)

    assert info == {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }
    assert written(tmp_path) == {"columns": ["a", "b"], "data": [[1.0, 2], [None, 3]]}
    pd.testing.assert_frame_equal(load_example(tmp_path, info, NAMED)[0], frame)


def test_a_frame_without_names_is_written_without(tmp_path):
    info = save_example(pd.DataFrame([[1, 2]]), tmp_path)

    assert info["pandas_orient"] == "values"
    assert written(tmp_path) == {"data": [[1, 2]]}
    assert written(tmp_path, "serving_input_example.json") == {"dataframe_split": {"data": [[1, 2]]}}


def test_an_array_comes_back_in_its_dtype(tmp_path):
    array = np.array([[0.1, np.nan]], dtype="float32")

    info = save_example(array, tmp_path)
    data, params = load_example(tmp_path, info, Signature(Schema((TensorSpec("float32", (-1, 2)),))))

    assert info["type"] == "ndarray"
    assert written(tmp_path) == [[0.10000000149011612, None]]
    np.testing.assert_array_equal(data, array)
    assert data.dtype == np.float32
    assert params is None


def test_named_arrays_come_back_by_name(tmp_path):
    signature = Signature(Schema((TensorSpec("float32", (-1, 2), "x"),)))

    info = save_example({"x": np.eye(2, dtype="float32")}, tmp_path)

    assert load_example(tmp_path, info, signature)[0]["x"].tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_a_sparse_matrix_comes_back_sparse(tmp_path, form):
    matrix = sparse.random(4, 3, density=0.5, format=form, random_state=0)

    info = save_example(matrix, tmp_path)
    data, _ = load_example(tmp_path, info, None)

    assert info["type"] == f"sparse_matrix_{form}"
    assert data.format == form
    assert (data != matrix).nnz == 0


@pytest.mark.parametrize("example", [{"a": [1, 2]}, ["x", "y"], 5, "text", [{"a": None}]])
def test_json_values_come_back_as_they_were(tmp_path, example):
    info = save_example(example, tmp_path)

    assert info["type"] == "json_object"
    assert load_example(tmp_path, info, None) == (example, None)
    assert json.loads(serving_request(tmp_path, info)) == {"inputs": example}


def test_params_stand_beside_the_example(tmp_path):
    signature = Signature(NAMED.inputs, None, (ParamSpec("at", DataType.datetime, None),))
    moment = dt.datetime(2020, 1, 1)  # noqa: DTZ001

    info = save_example((pd.DataFrame({"a": [1.0], "b": [2]}), {"at": moment}), tmp_path)

    assert info["params"] == "true"
    assert load_example(tmp_path, info, signature)[1] == {"at": moment}
    assert decode(serving_request(tmp_path, info), "application/json", signature).params == {"at": moment}


def test_params_of_an_llm_body_stand_at_its_top(tmp_path):
    info = save_example({"messages": []}, tmp_path, params={"temperature": 1})

    assert json.loads(serving_request(tmp_path, info)) == {"messages": [], "temperature": 1}
    assert load_example(tmp_path, info, None) == ({"messages": []}, {"temperature": 1})


@pytest.mark.parametrize(
    ("example", "signature"),
    [
        (pd.DataFrame({"a": [1.5], "b": [2]}), NAMED),
        (np.eye(2, dtype="float32"), Signature(Schema((TensorSpec("float32", (-1, 2)),)))),
        ({"a": [1, 2.5], "b": [1, 2]}, NAMED),
    ],
)
def test_the_request_made_from_an_example_asks_it(tmp_path, example, signature):
    info = save_example(example, tmp_path)

    rows = decode(serving_request(tmp_path, info), "application/json", signature).data

    assert len(rows) in {1, 2}


def test_an_example_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(UnserializableError):
        save_example({"a": object()}, tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", ".", "..", "a/b", 5])
def test_a_path_outside_the_folder_is_not_opened(tmp_path, name):
    with pytest.raises(MLmodelError, match="artifact_path"):
        load_example(tmp_path, {"artifact_path": name}, None)


@pytest.mark.parametrize("body", [None, b"", b"{", b"[1, 2", b'{"data": 5}'])
def test_a_file_that_is_no_example_is_an_error_of_the_model(tmp_path, body):
    if body is not None:
        (tmp_path / "input_example.json").write_bytes(body)

    with pytest.raises(MLmodelError, match="input example"):
        load_example(tmp_path, {"type": "dataframe"}, None)
