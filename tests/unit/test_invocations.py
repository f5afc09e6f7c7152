from __future__ import annotations

import json

import numpy as np
import pytest

from modelserving.errors import DataError, RequestError
from modelserving.scoring.content.json import parse
from modelserving.scoring.invocations import CONTENT_TYPES, decode, encode
from modelserving.scoring.request import UnsupportedMediaTypeError
from modelserving.signature.rows import Raw
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import Array, DataType, Object, Property

D, L, S = DataType.double, DataType.long, DataType.string
MIXED = Signature(
    Schema((ColumnSpec(D, "a"), ColumnSpec(L, "b"), ColumnSpec(S, "s"))), None, (ParamSpec("t", D, 0.5),)
)
NUMBERED = Signature(Schema((ColumnSpec(D, 0), ColumnSpec(D, 1))))
TENSOR = Signature(Schema((TensorSpec("float32", (-1, 2)),)))
NAMED = Signature(Schema((TensorSpec("float32", (-1, 2), "x"), TensorSpec("int64", (-1,), "y"))))
MESSAGE = Object((Property("role", S), Property("content", S)))
CHAT = Signature(Schema((ColumnSpec(Array(MESSAGE), "messages"),)), None, (ParamSpec("temperature", D, 1.0),))


def read(payload, signature=None, **options):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(body, "application/json", signature, **options)


def refusal(payload, signature=None, kind=DataError, **options) -> str:
    with pytest.raises(kind) as error:
        read(payload, signature, **options)
    return str(error.value)


ROW = {"a": 1, "b": 2, "s": "x"}


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"columns": ["a", "b", "s"], "data": [[1, 2, "x"]]}},
        {"dataframe_split": {"columns": ["s", "a", "b"], "data": [["x", 1.0, 2.0]], "index": [7]}},
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"inputs": [ROW]},
        {"inputs": {"a": [1], "b": [2], "s": ["x"]}},
        {"inputs": ROW},
    ],
)
def test_every_form_gives_the_same_rows(payload):
    request = read(payload, MIXED)

    assert {name: column.tolist() for name, column in request.data.mapping().items()} == {
        "a": [1.0],
        "b": [2],
        "s": ["x"],
    }
    assert request.params == {"t": 0.5}
    assert request.wrapped
    assert request.ignored == ()


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": [1, 0], "data": [[2, 1]]}},
        {"dataframe_split": {"columns": ["1", "0"], "data": [[2, 1]]}},
        {"dataframe_split": {"data": [[1, 2]]}},
        {"dataframe_records": [{"1": 2, "0": 1}]},
        {"inputs": [[1, 2]]},
    ],
)
def test_integer_column_names_work_in_every_form(payload):
    assert read(payload, NUMBERED).data.block.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "payload",
    [
        {"inputs": [[1, 2.5]]},
        {"instances": [[1, 2.5]]},
        {"dataframe_split": {"data": [[1, 2.5]]}},
        {"dataframe_records": [{"0": 1, "1": 2.5}]},
    ],
)
def test_a_tensor_can_be_sent_in_every_form(payload):
    block = read(payload, TENSOR).data.block

    assert block.tolist() == [[1.0, 2.5]]
    assert block.dtype == np.float32


@pytest.mark.parametrize(
    "payload",
    [
        {"inputs": {"x": [[1, 2]], "y": [3]}},
        {"instances": [{"x": [1, 2], "y": 3}]},
        {"dataframe_split": {"columns": ["y", "x"], "data": [[3, [1, 2]]]}},
        {"dataframe_records": [{"y": 3, "x": [1, 2]}]},
    ],
)
def test_named_tensors_can_be_sent_in_every_form(payload):
    columns = read(payload, NAMED).data.mapping()

    assert columns["x"].tolist() == [[1.0, 2.0]]
    assert columns["y"].tolist() == [3]


def test_columns_of_an_unnamed_tensor_must_come_in_order():
    assert "in order" in refusal({"dataframe_split": {"columns": [1, 0], "data": [[1, 2]]}}, TENSOR)


def test_what_is_not_used_is_reported():
    payload = {"dataframe_records": [{**ROW, "extra": 1}], "signature_name": "x"}

    assert read(payload, MIXED).ignored == ("extra", "signature_name")
    assert "column 'extra'" in refusal(payload, MIXED, extras="refuse")


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (
            {"dataframe_split": {"columns": ["a", "b", "s"], "data": [[1, 2, "x"], [1]]}},
            "row 1: expected 3 values, got 1 value",
        ),
        (
            {"dataframe_split": {"columns": ["a", "b", "s"], "data": [[1, 2, "x", 4]]}},
            "row 0: expected 3 values, got 4",
        ),
        (
            {"dataframe_split": {"columns": ["a", "b", "s"], "data": [5]}},
            "row 0: expected a list of 3 values, got 5",
        ),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "column 'a': expected each column once"),
        ({"dataframe_split": {"columns": 7, "data": []}}, "at $.dataframe_split.columns"),
        ({"dataframe_split": {"columns": None, "data": []}}, "at $.dataframe_split.columns"),
        ({"dataframe_split": {"columns": [["a"]], "data": []}}, "at $.dataframe_split.columns[0]"),
        ({"dataframe_split": {"columns": [True], "data": []}}, "at $.dataframe_split.columns[0]"),
        (
            {"dataframe_split": {"columns": ["a"], "data": [], "name": 1}},
            "expected only 'columns', 'data' and 'index'",
        ),
        ({"dataframe_split": {"columns": ["a"]}}, "at $.dataframe_split.data"),
        (
            {"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [1, 2]}},
            "at $.dataframe_split.index",
        ),
        ({"dataframe_split": {"data": [[1, 2, "x"]]}}, "expected columns 'a', 'b', 's'"),
        ({"dataframe_split": [1]}, "at $.dataframe_split"),
        ({"dataframe_records": {"a": 1}}, "at $.dataframe_records"),
        ({"dataframe_records": [ROW, 5]}, "row 1: expected an object, got 5"),
        (
            {"dataframe_records": [ROW, {"a": 1, "b": 2}]},
            "row 1, column 's': expected string, got no such key",
        ),
        ({"instances": [ROW, 5]}, "row 1: expected an object, got 5"),
        (
            {"inputs": {"a": [1, 2], "b": [1], "s": ["x", "y"]}},
            "column 'b': expected 2 values as in the first column",
        ),
        ({"inputs": [[1, 2, "x"]]}, "expected columns 'a', 'b', 's'"),
        ({"inputs": {"a": [1], "b": [2], "s": ["x"]}, "params": {"u": 1}}, "at $.params.u"),
    ],
)
def test_data_that_does_not_fit_is_refused(payload, text):
    assert text in refusal(payload, MIXED)


def test_all_problems_are_told_at_once():
    payload = {"dataframe_records": [{"a": "x", "b": 2.5, "s": 1}] * 10}

    with pytest.raises(DataError) as error:
        read(payload, MIXED)
    assert error.value.total == 30
    assert len(error.value.problems) == DataError.LIMIT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"5",
        b"{}",
        b'{"foo": 1}',
        b'{"inputs": 1, "instances": 1}',
        b'{"inputs": 1, "params": [1]}',
        b'\xef\xbb\xbf{"inputs": 1}',
        '{"inputs": 1}'.encode("utf-16"),
        b'{"inputs": [1,]}',
        b"{'inputs': 1}",
        b'{"inputs": 01}',
        b'{"inputs": "\xff"}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": [NaN, "\\ud800"]}',
        b'{"inputs": 1e400}',
        b'{"inputs": -1e400}',
        b'{"inputs": [NaN, 1e400]}',
        b'{"inputs": ' + b"1" * 5000 + b"}",
        b'{"inputs": ' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"inputs": 1, "inputs": 2}',
        b'{"inputs": 1, "inputs" : 2}',
        b'{"inputs": {"a": 1, "a": 2}}',
        b'{"inputs": [[{"a":1,"a":2}]]}',
        b'{"inputs": ' + b"9" * 1_000_000 + b"}",
        b'{"inputs": [NaN, ' + b"9" * 1_000_000 + b"]}",
    ],
)
def test_a_body_that_cannot_be_read_is_refused(body):
    text = refusal(body, None, RequestError)

    assert len(text) < 400


def test_a_body_truncated_anywhere_is_refused():
    body = json.dumps({"dataframe_records": [ROW], "params": {"t": 1.5}}).encode()

    for length in range(len(body)):
        refusal(body[:length], MIXED, RequestError)


def test_colons_in_text_are_not_keys():
    assert parse(b'{"a" : "x:y", "b": ":", "c": "\\":"}') == {"a": "x:y", "b": ":", "c": '":'}


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40, -(10**19)])
def test_integers_beyond_64_bits_stay_integers(number):
    assert parse(json.dumps({"a": [number, 0.5]}).encode()) == {"a": [number, 0.5]}
    assert type(parse(json.dumps([number]).encode())[0]) is int


def test_long_fractions_are_not_taken_for_long_integers():
    assert parse(b"[0.00012345678901234567890, 1.5]") == [0.00012345678901234567890, 1.5]


def test_lists_and_objects_may_stand_64_deep_in_a_value():
    for opening, closing in ((b"[", b"]"), (b'{"k":', b"}")):
        inside = b"1" if opening != b"[" else b'"x"'
        assert isinstance(read(b'{"inputs": ' + opening * 64 + inside + closing * 64 + b"}").data, Raw)
        refusal(b'{"inputs": ' + opening * 65 + inside + closing * 65 + b"}")


@pytest.mark.parametrize(
    ("payload", "names", "value"),
    [
        ({"inputs": [[1, 2], [3, 4.5]]}, (), [[1.0, 2.0], [3.0, 4.5]]),
        ({"inputs": [1, 2**53 + 1]}, (), [1, 2**53 + 1]),
        ({"inputs": [True, False]}, (), [True, False]),
        ({"dataframe_split": {"columns": ["a", 1], "data": [[1, 2], [3, 4]]}}, ("a", 1), [[1, 2], [3, 4]]),
        ({"dataframe_records": [{"a": 1.5, "b": 2.5}]}, ("a", "b"), [[1.5, 2.5]]),
        ({"inputs": {"a": [1, 2], "b": [3, 4]}}, ("a", "b"), [[1, 3], [2, 4]]),
        ({"instances": [{"a": 1, "b": 2}, {"b": 4, "a": 3}]}, ("a", "b"), [[1, 2], [3, 4]]),
    ],
)
def test_without_a_signature_numbers_are_arrays(payload, names, value):
    rows = read(payload).data

    assert rows.names == names
    assert rows.block.tolist() == value


@pytest.mark.parametrize(
    "value",
    ["x", None, 5, [["a", 1]], [[1], [2, 3]], [1, True], [{"a": 1}], {"a": 1}, [0.5, 2**53 + 1], [None, "x"]],
)
def test_without_a_signature_anything_else_is_handed_over_as_it_is(value):
    assert read({"inputs": value}).data.value == value


def test_without_a_signature_columns_have_the_type_of_their_values():
    rows = read(
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, "x", True], [None, None, False]]}}
    ).data

    assert [column.dtype.kind for column in rows.columns] == ["f", "O", "b"]


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_records": [{"a": 1}, {"b": 1}]},
        {"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}},
        {"inputs": {"a": [1, 2], "b": [1]}},
        {"dataframe_records": [5]},
    ],
)
def test_without_a_signature_the_shape_is_checked(payload):
    refusal(payload)


def test_an_llm_body_is_the_input_and_its_answer_stands_alone():
    body = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}

    assert read(body).data.value == body
    assert not read(body).wrapped
    request = read(body, CHAT)
    assert request.data.mapping()["messages"][0] == [{"role": "user", "content": "hi"}]
    assert request.params == {"temperature": 0.5}
    assert not request.wrapped


def test_a_scalar_column_called_input_does_not_change_what_a_body_means():
    signature = Signature(Schema((ColumnSpec(S, "input"),)))

    assert "exactly one of" in refusal({"input": "x"}, signature, RequestError)
    assert read({"inputs": {"input": ["x"]}}, signature).wrapped
    assert "exactly one of" in refusal({"prompt": "x"}, MIXED, RequestError)


def test_a_format_key_wins_over_an_llm_key():
    assert read({"messages": [1], "inputs": [1]}).wrapped


@pytest.mark.parametrize(
    "header",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;Charset="UTF-8"',
        "application/json; x=1",
        "application/json;",
    ],
)
def test_json_is_known_by_its_content_type(header):
    assert decode(b'{"inputs": [1]}', header, None).data.block.tolist() == [1]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "text/plain",
        "*/*",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "\x00",
    ],
)
def test_other_content_types_are_not_read(header):
    with pytest.raises(UnsupportedMediaTypeError, match=r"application/json, .*text/csv") as error:
        decode(b'{"inputs": [1]}', header, None)
    assert error.value.accepted == CONTENT_TYPES


@pytest.mark.parametrize(
    "payload", [{"dataframe_split": {"columns": ["a", "b", "s"], "data": []}}, {"dataframe_records": []}]
)
def test_no_rows_are_rows(payload):
    rows = read(payload, MIXED).data

    assert len(rows) == 0
    assert [column.dtype.kind for column in rows.columns] == ["f", "i", "O"]


def test_answers_are_wrapped_unless_told():
    assert encode(np.array([1, 2])) == b'{"predictions":[1,2]}'
    assert encode({"choices": []}, wrapped=False) == b'{"choices":[]}'
