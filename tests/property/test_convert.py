"""The converter never changes a value in silence, whatever it is given and by whichever way."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.errors import DataError, RequestError, UnserializableError
from modelserving.scoring.content.json import parse, parse_slowly
from modelserving.scoring.invocations import decode, encode
from modelserving.signature.convert import convert
from modelserving.signature.convert.cells import EXACT_INTEGERS
from modelserving.signature.convert.problems import Problems
from modelserving.signature.convert.values import at_once, column, one_by_one
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import AnyType, Array, DataType

INTEGERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.builds(
        lambda power, near, sign: sign * (2**power + near),
        st.sampled_from([0, 11, 24, 31, 32, 53, 63, 64]),
        st.integers(-2, 2),
        st.sampled_from([1, -1]),
    ),
)
NUMBERS = st.one_of(INTEGERS, st.floats(), st.floats(width=32), INTEGERS.map(lambda value: float(value)))
CELLS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=3), st.lists(st.integers(), max_size=2))
NUMERIC = st.sampled_from([DataType.integer, DataType.long, DataType.float, DataType.double])

SIGNATURES = {
    "none": None,
    "columns": Signature(
        Schema(
            (
                ColumnSpec(DataType.double, "a"),
                ColumnSpec(DataType.long, "b", required=False),
                ColumnSpec(DataType.string, "s"),
                ColumnSpec(Array(DataType.datetime), "d", required=False),
            )
        ),
        None,
        (ParamSpec("p", DataType.double, 0.5),),
    ),
    "block": Signature(Schema((ColumnSpec(DataType.float, "a"), ColumnSpec(DataType.float, "b")))),
    "tensor": Signature(Schema((TensorSpec("float32", (-1, 2)),))),
    "tensors": Signature(Schema((TensorSpec("int8", (-1, 2), "a"), TensorSpec("str", (-1,), "b")))),
    "any": Signature(Schema((ColumnSpec(AnyType()),))),
}


def converted(values, kind, *, required=True):
    problems = Problems()
    array = column(values, kind, required=required, refuse=problems.column("a"))
    return array, problems


@given(st.lists(NUMBERS, max_size=5), NUMERIC)
def test_accepted_numbers_are_exact_or_the_nearest_of_the_declared_type(values, kind):
    array, problems = converted(values, kind)

    if problems:
        return
    for value, result in zip(values, array.tolist(), strict=True):
        if isinstance(value, float) and not math.isfinite(value):
            assert array.dtype.kind == "f"
            assert str(result) == str(value)
        elif isinstance(value, int) or array.dtype.kind == "i":
            assert Fraction(result) == Fraction(value)
        else:
            assert Fraction(result) == Fraction(float(array.dtype.type(value)))


@given(INTEGERS, NUMERIC)
def test_an_integer_is_accepted_exactly_when_its_type_says_so(value, kind):
    _, problems = converted([value], kind)

    limit = EXACT_INTEGERS.get(kind.dtype)
    fits = abs(value) <= limit if limit else np.iinfo(kind.dtype).min <= value <= np.iinfo(kind.dtype).max
    assert fits == (not problems)


@given(st.lists(CELLS, max_size=4), st.sampled_from(list(DataType)), st.booleans())
def test_whole_columns_and_single_values_agree(values, kind, required):
    fast = at_once(values, kind, required=required)
    problems = Problems()
    slow = one_by_one(values, kind, required=required, refuse=problems.column("a"), wire=True)

    if fast is not None:
        assert not problems
        assert fast.dtype == slow.dtype
        np.testing.assert_array_equal(fast, slow)


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=4), NUMERIC)
def test_a_block_and_columns_agree(rows, kind):
    names = ["a", "b", "c"]
    body = json.dumps({"dataframe_split": {"columns": names, "data": rows}}).encode()
    block = Signature(Schema(tuple(ColumnSpec(kind, name) for name in names)))
    columns = Signature(Schema((*block.inputs.specs, ColumnSpec(DataType.string, "s", required=False))))

    one, other = outcome(body, block), outcome(body, columns)

    if isinstance(one, str):
        assert one == other
    else:
        for name in names:
            np.testing.assert_array_equal(one[name], other[name])


@given(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=4), NUMERIC)
def test_an_array_and_a_frame_agree(rows, kind):
    try:
        array = np.array(rows, dtype=np.float64)
    except OverflowError:
        return  # an integer beyond any float is no array of floats
    signature = Signature(Schema((ColumnSpec(kind, 0), ColumnSpec(kind, 1))))

    outcomes = []
    for data in (array, pd.DataFrame(array)):
        try:
            outcomes.append(convert(data, signature))
        except DataError as error:
            outcomes.append(error)

    one, other = outcomes
    if isinstance(one, DataError):
        assert str(one) == str(other)
    else:
        assert one.key == other.key
        np.testing.assert_array_equal(one.to("array"), other.to("array"))
        np.testing.assert_array_equal(one.to("array"), one.to("frame").to_numpy())
        assert encode(one.to("array")) == encode(other.to("array"))


@given(
    st.recursive(
        CELLS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=8
    )
)
def test_both_json_parsers_give_the_same_value(value):
    body = json.dumps(value).encode()

    assert repr(either(parse, body)) == repr(either(parse_slowly, body))


@given(st.lists(CELLS, min_size=2, max_size=2), st.sampled_from(sorted(SIGNATURES)))
def test_the_spelling_of_a_request_does_not_matter(cells, name):
    rows = [{"a": cells[0], "b": cells[1], "s": "x:y"}]
    compact = json.dumps({"dataframe_records": rows}, separators=(",", ":")).encode()
    spaced = json.dumps({"dataframe_records": rows}, separators=(" ,\n", "\t: "), indent=1).encode()

    assert repr(outcome(compact, SIGNATURES[name])) == repr(outcome(spaced, SIGNATURES[name]))


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "text/csv"]),
    st.sampled_from(sorted(SIGNATURES)),
)
def test_any_bytes_give_a_request_or_an_error_of_ours(body, content_type, name):
    attempt(body, content_type, SIGNATURES[name])


@given(
    st.dictionaries(
        st.sampled_from(
            ["inputs", "instances", "dataframe_split", "dataframe_records", "params", "messages", "x"]
        ),
        st.recursive(
            CELLS,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["a", "b", "s", "d", "0", "data", "columns", "index"]), inner
                )
            ),
            max_leaves=10,
        ),
        max_size=3,
    ),
    st.sampled_from(sorted(SIGNATURES)),
)
@settings(max_examples=300)
def test_any_json_gives_a_request_or_an_error_of_ours(payload, name):
    attempt(json.dumps(payload).encode(), "application/json", SIGNATURES[name])


@given(
    st.lists(st.lists(st.text('ab1.,-"\n e', max_size=4), max_size=3), max_size=4),
    st.sampled_from(sorted(SIGNATURES)),
)
def test_any_table_gives_a_request_or_an_error_of_ours(rows, name):
    body = "a,b,s\n" + "\n".join(",".join(row) for row in rows)

    attempt(body.encode(), "text/csv", SIGNATURES[name])


@given(st.lists(st.floats(width=32), max_size=5), st.sampled_from(["float16", "float32", "float64"]))
def test_floats_come_out_of_an_answer_as_they_were(values, dtype):
    with np.errstate(over="ignore"):
        array = np.array(values, dtype="float32").astype(dtype)

    answer = orjson.loads(encode(array))["predictions"]

    for value, result in zip(array.tolist(), answer, strict=True):
        assert result is None if not math.isfinite(value) else result == value


@given(
    st.recursive(
        CELLS | st.binary() | st.decimals() | st.dates() | st.timedeltas() | st.sets(st.integers()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=8,
    )
)
def test_what_can_be_written_is_strict_json(value):
    try:
        answer = encode(value)
    except UnserializableError:
        return

    json.loads(answer, parse_constant=pytest.fail)


def either(function, body):
    try:
        return function(body)
    except RequestError:
        return RequestError


def outcome(body, signature):
    try:
        return decode(body, "application/json", signature).data.mapping()
    except DataError as error:
        return str(error)
    except (RequestError, AttributeError):
        return "no rows"


def attempt(body, content_type, signature):
    try:
        request = decode(body, content_type, signature)
    except (RequestError, DataError) as error:
        text = str(error)
        assert text
        assert "\n" not in text
    else:
        assert request.params.keys() == {spec.name for spec in (signature.params if signature else ())}
