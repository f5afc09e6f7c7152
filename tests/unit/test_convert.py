from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from modelserving.errors import DataError
from modelserving.signature.convert import convert, convert_params
from modelserving.signature.rows import Raw
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import AnyType, Array, DataType, Map, Object, Property

LONG, DOUBLE, FLOAT, STRING = DataType.long, DataType.double, DataType.float, DataType.string


def columns(*, optional=(), **kinds) -> Signature:
    return Signature(
        Schema(tuple(ColumnSpec(kind, name, name not in optional) for name, kind in kinds.items()))
    )


def numbered(kind, count) -> Signature:
    return Signature(Schema(tuple(ColumnSpec(kind, at) for at in range(count))))


def unnamed(kind) -> Signature:
    return Signature(Schema((ColumnSpec(kind),)))


def tensors(*specs) -> Signature:
    return Signature(Schema(tuple(TensorSpec(*spec) for spec in specs)))


def refusal(data, signature, **options) -> str:
    with pytest.raises(DataError) as error:
        convert(data, signature, **options)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"b": [3, 4], "a": [1.5, 2.0], "x": ["p", "q"]}),
        {"b": [3, 4], "a": np.array([1.5, 2.0])},
        {"b": pd.Series([3, 4]), "a": (1.5, 2)},
        [{"a": 1.5, "b": 3}, {"b": 4, "a": 2}],
    ],
)
def test_columns_are_found_by_name_in_any_order(data):
    rows = convert(data, columns(a=DOUBLE, b=DOUBLE))

    assert rows.names == ("a", "b")
    assert rows.block.tolist() == [[1.5, 3.0], [2.0, 4.0]]
    assert rows.block.flags.c_contiguous


def test_columns_of_different_types_stay_columns():
    rows = convert(pd.DataFrame({"a": [1], "b": ["x"]}), columns(a=LONG, b=STRING))

    assert rows.block is None
    assert [column.dtype.kind for column in rows.columns] == ["i", "O"]


def test_all_missing_columns_are_named_with_the_nearest_name():
    text = refusal(pd.DataFrame({"sepal_widht": [1], "z": [1]}), columns(sepal_width=DOUBLE, age=DOUBLE))

    assert (
        "column 'sepal_width': expected a column of that name, got none; did you mean 'sepal_widht'?" in text
    )
    assert "column 'age'" in text


def test_extra_columns_can_be_refused():
    assert "column 'b': expected only 'a'" in refusal({"a": [1], "b": [2]}, columns(a=LONG), extras="refuse")


def test_a_column_given_twice_is_refused():
    assert "twice" in refusal(pd.DataFrame([[1, 2]], columns=["a", "a"]), columns(a=LONG))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(LONG, None), (STRING, None), (DataType.boolean, None), (DataType.binary, None), (Array(LONG), None)],
)
def test_an_absent_optional_column_is_none(kind, expected):
    rows = convert([{"a": 1}, {"a": 2}], columns(a=LONG, b=kind, optional=("b",)))

    assert rows.mapping()["b"].tolist() == [expected, expected]


def test_an_absent_optional_float_is_nan_and_moment_nat():
    rows = convert([{"a": 1}], columns(a=LONG, b=DOUBLE, c=DataType.datetime, optional=("b", "c")))

    assert np.isnan(rows.mapping()["b"][0])
    assert np.isnat(rows.mapping()["c"][0])


def test_null_in_an_optional_integer_column_makes_objects_of_integers():
    column = convert(pd.DataFrame({"a": [1.0, np.nan]}), columns(a=LONG, optional=("a",))).mapping()["a"]

    assert column.tolist() == [1, None]
    assert type(column[0]) is int


def test_null_in_a_required_integer_column_is_refused():
    assert "row 1, column 'a': expected long, got nan" in refusal(
        pd.DataFrame({"a": [1, None]}), columns(a=LONG)
    )


def test_a_moment_that_is_missing_is_refused_where_it_is_required():
    frame = pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None])})

    assert "row 1, column 'a'" in refusal(frame, columns(a=DataType.datetime))
    assert np.isnat(convert(frame, columns(a=DataType.datetime, optional=("a",))).mapping()["a"][1])


def test_a_timestamp_keeps_its_nanoseconds_and_loses_its_zone():
    moment = pd.Timestamp("2020-01-01T01:00:00.123456789+01:00")

    for data in ({"a": [moment]}, pd.DataFrame({"a": [moment]})):
        assert convert(data, columns(a=DataType.datetime)).mapping()["a"][0] == np.datetime64(
            "2020-01-01T00:00:00.123456789"
        )


def test_a_moment_that_nanoseconds_cannot_hold_is_refused():
    far = np.array(["3000-01-01"], dtype="datetime64[D]")

    assert "from 1677-09-22 to 2262-04-11" in refusal({"a": far}, columns(a=DataType.datetime))


def test_text_is_not_bytes_in_process():
    assert "expected binary, got 'YWI='" in refusal({"a": ["YWI="]}, columns(a=DataType.binary))


def test_masked_values_are_missing():
    masked = np.ma.array([1, 2], mask=[False, True])

    assert convert({"a": masked}, columns(a=LONG, optional=("a",))).mapping()["a"].tolist() == [1, None]
    assert "row 1" in refusal({"a": masked}, columns(a=LONG))


@pytest.mark.parametrize(
    "data", [np.array([[1, 2]]), [[1, 2]], sparse.csr_matrix([[1, 2]]), pd.DataFrame([[1, 2]])]
)
def test_columns_without_names_go_by_position(data):
    assert convert(data, numbered(DOUBLE, 2)).block.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("data", [np.array([[1, 2]]), [[1, 2]]])
def test_columns_without_names_are_refused_where_the_signature_has_names(data):
    assert "expected columns 'a', 'b', got 2 columns without names" in refusal(data, columns(a=LONG, b=LONG))


@pytest.mark.parametrize(
    "data", [[1, 2], np.array([1, 2]), [[1], [2]], np.array([[1], [2]]), pd.Series([1, 2])]
)
def test_one_column_needs_no_name(data):
    assert convert(data, columns(a=LONG)).block.tolist() == [[1], [2]]
    assert convert(data, unnamed(LONG)).block.tolist() == [[1], [2]]


def test_one_value_is_one_row_of_one_column():
    assert convert("x", unnamed(STRING)).mapping()[0].tolist() == ["x"]


def test_a_mapping_of_values_is_one_row():
    assert convert({"a": 1, "b": "x"}, columns(a=LONG, b=STRING)).mapping()["b"].tolist() == ["x"]
    assert convert({"a": [1, 2]}, columns(a=Array(LONG))).mapping()["a"].tolist() == [[1, 2]]
    assert convert({"a": [[1], [2]]}, columns(a=Array(LONG))).mapping()["a"].tolist() == [[1], [2]]


def test_nested_values_are_refused_with_their_path():
    kind = Object((Property("p", Array(LONG)), Property("q", Map(DOUBLE), required=False)))

    text = refusal([{"a": {"p": [1, 2.5], "q": {"k": "x"}, "z": 1}}], columns(a=kind))

    assert "row 0, column 'a', at $.p[1]: expected long, got 2.5" in text
    assert "at $.q.k: expected double, got 'x'" in text
    assert "at $.z" in text


def test_an_array_of_arrays_of_one_length_stays_one_value_a_row():
    column = convert({"a": [[1, 2], [3, 4]]}, columns(a=Array(LONG))).columns[0]

    assert column.shape == (2,)
    assert column[1] == [3, 4]


def test_anything_passes_a_column_of_any():
    value = {"k": [1, None, object]}

    assert convert([{"a": value}], columns(a=AnyType())).mapping()["a"][0] is value


@pytest.mark.parametrize("data", [None, "x", pd.DataFrame({"a": [1]}), np.eye(2)])
def test_without_a_signature_data_is_handed_over_as_it_is(data):
    outputs = columns(a=LONG).inputs

    for signature in (None, Signature(None, outputs)):
        handed = convert(data, signature)
        assert isinstance(handed, Raw)
        assert handed.value is data


def test_a_tensor_has_exactly_the_declared_dtype_and_shape():
    rows = convert(np.array([[1, 2]], dtype="int64"), tensors(("float32", (-1, 2))))

    assert rows.names == ()
    assert rows.block.dtype == np.float32
    assert "expected shape (-1, 2), got shape (1, 3)" in refusal(
        np.ones((1, 3)), tensors(("float32", (-1, 2)))
    )


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint8", [256]),
        ("int8", [-129]),
        ("uint64", [-1]),
        ("uint64", [2**64]),
        ("float16", [2049]),
        ("float16", [1e6]),
        ("int64", [5.7]),
        ("bool", [1]),
        ("float32", ["1"]),
        ("float32", [True]),
        ("datetime64[D]", ["2020-01-01T01:00"]),
    ],
)
def test_an_element_that_would_change_is_refused(dtype, values):
    refusal(values, tensors((dtype, (-1,))))


def test_elements_in_range_are_exact():
    assert convert([2**64 - 1], tensors(("uint64", (-1,)))).block.tolist() == [2**64 - 1]
    assert convert(["a"], tensors(("str", (-1,)))).block.tolist() == ["a"]


def test_a_ragged_tensor_is_refused_with_its_row():
    assert "row 1: expected 2 values, got 1 value" in refusal([[1, 2], [3]], tensors(("float32", (-1, 2))))


def test_a_wrong_element_is_refused_with_its_place():
    text = refusal([[1, 2], [3, "x"]], tensors(("float32", (-1, 2))))

    assert text == "row 1, at $[1][1]: expected float32, got 'x'"


def test_no_rows_have_the_declared_shape():
    assert convert([], tensors(("float32", (-1, 2, 3)))).block.shape == (0, 2, 3)
    assert len(convert([], columns(a=LONG, b=LONG))) == 0


def test_named_tensors_are_columns():
    signature = tensors(("float32", (-1, 2), "x"), ("int64", (-1,), "y"))

    rows = convert({"y": [1], "x": np.eye(2)[:1]}, signature)

    assert rows.mapping()["x"].shape == (1, 2)
    assert "column 'y': expected 1 row as in 'x', got 2" in refusal({"x": [[1, 2]], "y": [1, 2]}, signature)


def test_named_tensors_without_a_common_row_are_one_value():
    signature = tensors(("float32", (-1, 2), "x"), ("float32", (1,), "scale"))

    assert convert({"x": np.eye(2), "scale": [3.0]}, signature).value["scale"].tolist() == [3.0]


def test_a_frame_is_a_tensor_of_two_axes():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})

    assert convert(frame, tensors(("float64", (-1, 2)))).block.tolist() == [[1.0, 0.5], [2.0, 1.5]]
    assert "column 'a'" in refusal(
        pd.DataFrame({"a": [2**53 + 1], "b": [0.5]}), tensors(("float64", (-1, 2)))
    )


def test_a_sparse_matrix_stays_sparse_for_a_tensor():
    handed = convert(sparse.csc_matrix(np.eye(2, dtype="int64")), tensors(("float64", (-1, 2))))

    assert handed.value.format == "csc"
    assert handed.value.dtype == np.float64


SPECS = (
    ParamSpec("t", DOUBLE, 0.5),
    ParamSpec("n", LONG, 3),
    ParamSpec("tags", STRING, ["a"], (-1,)),
    ParamSpec("at", DataType.datetime, None),
)


def test_params_have_their_declared_types_and_defaults():
    assert convert_params(None, SPECS) == {"t": 0.5, "n": 3, "tags": ["a"], "at": None}
    given = convert_params({"t": 1, "n": 2.0, "tags": ["x", "y"], "at": "2020-01-01T00:00:00Z"}, SPECS)
    assert (given["t"], given["n"], given["tags"]) == (1.0, 2, ["x", "y"])
    assert given["at"].isoformat() == "2020-01-01T00:00:00"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"T": 1},
            "at $.params.T: expected only the params 'at', 'n', 't', 'tags', got an unknown one",
        ),
        ({"t": "x"}, "at $.params.t: expected double, got 'x'"),
        ({"t": None}, "at $.params.t: expected double"),
        ({"n": True}, "at $.params.n: expected long, got true"),
        ({"n": 2.5}, "at $.params.n: expected long, got 2.5"),
        ({"tags": "x"}, "at $.params.tags: expected a list of string, got 'x'"),
        ({"tags": ["x", 1]}, "at $.params.tags[1]: expected string, got 1"),
        ([1], "at $.params: expected an object of params, got a list of 1 item"),
    ],
)
def test_params_that_do_not_fit_are_refused(params, text):
    with pytest.raises(DataError) as error:
        convert_params(params, SPECS)
    assert str(error.value).startswith(text)


def test_a_model_without_params_takes_none():
    with pytest.raises(DataError, match="takes none"):
        convert_params({"x": 1}, ())
