from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from modelserving.errors import UnserializableError
from modelserving.scoring.invocations import encode


class Colour(enum.Enum):
    red = "r"


class Level(enum.IntEnum):
    low = 1


@dataclasses.dataclass
class Box:
    score: float
    _kind: str = "cat"


class Model:
    """Like a pydantic model."""

    def model_dump(self) -> dict[str, object]:
        return {"when": dt.datetime(2020, 1, 1)}  # noqa: DTZ001


class Point(NamedTuple):
    x: int
    y: int


ARRAYS = [
    (np.array([1, 2]), "[1,2]"),
    (np.array([0.1, np.nan, np.inf]), "[0.1,null,null]"),
    (np.array([0.1], dtype="float32"), "[0.10000000149011612]"),
    (np.array([0.1], dtype="float16"), "[0.0999755859375]"),
    (np.array([1.5], dtype="longdouble"), "[1.5]"),
    (np.array([1, 2], dtype=">i4"), "[1,2]"),
    (np.array([[1, 2], [3, 4]])[:, 0], "[1,3]"),
    (np.asfortranarray([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
    (np.array(3), "3"),
    (np.array(np.float32(0.1)), "0.10000000149011612"),
    (np.zeros((0, 3)), "[]"),
    (np.zeros((2, 0)), "[[],[]]"),
    (np.array([True]), "[true]"),
    (np.array([2**64 - 1], dtype="uint64"), f"[{2**64 - 1}]"),
    (np.array(["a", "b"]), '["a","b"]'),
    (np.array([b"a"]), '["YQ=="]'),
    (np.array(["a", None, 1.5], dtype=object), '["a",null,1.5]'),
    (np.array([1j]), '[{"real":0.0,"imag":1.0}]'),
    (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), '[{"a":1,"b":2.0}]'),
    (np.ma.array([1, 2], mask=[False, True]), "[1,null]"),
    (np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"), '["2020-01-01T00:00:00",null]'),
    (np.array(["2020-01-01T00:00:00.5"], dtype="datetime64[ms]"), '["2020-01-01T00:00:00.500000"]'),
    (np.array([["2020-01-01"]], dtype="datetime64[D]"), '[["2020-01-01"]]'),
    (np.array([90061, "NaT"], dtype="timedelta64[s]"), '["P1DT1H1M1S",null]'),
    (np.float32(0.1), "0.10000000149011612"),
    (np.int64(3), "3"),
    (np.bool_(True), "true"),
    (np.datetime64("2020-01-01T00:00:00.123456789"), '"2020-01-01T00:00:00.123456789"'),
    (sparse.csr_matrix([[0, 1.5]]), "[[0.0,1.5]]"),
    (sparse.coo_array([[0, 1]]), "[[0,1]]"),
]

FRAMES = [
    (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), '[{"a":1,"b":"x"},{"a":2,"b":null}]'),
    (pd.DataFrame({0: [0.5], 1: [np.nan]}), '[{"0":0.5,"1":null}]'),
    (pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}), '[{"a":1},{"a":null}]'),
    (pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None])}), '[{"a":"2020-01-01T00:00:00"},{"a":null}]'),
    (pd.DataFrame({"a": pd.Categorical(["u"])}), '[{"a":"u"}]'),
    (pd.DataFrame({"a": np.array([0.1], dtype="float32")}), '[{"a":0.10000000149011612}]'),
    (pd.DataFrame({("a", "b"): [1]}), "[{\"('a', 'b')\":1}]"),
    (pd.DataFrame(), "[]"),
    (pd.Series([1.5]), '[{"0":1.5}]'),
    (pd.Series([1], name="p"), '[{"p":1}]'),
    (pd.Index([1, 2]), "[1,2]"),
    (pd.array([1, None], dtype="Int64"), "[1,null]"),
    (pd.NA, "null"),
    (pd.NaT, "null"),
    (pd.Timestamp("2020-01-01", tz="UTC"), '"2020-01-01T00:00:00+00:00"'),
    (pd.Timedelta("1.5s"), '"P0DT0H0M1.5S"'),
]

OBJECTS = [
    (None, "null"),
    ("é", '"é"'),
    (float("nan"), "null"),
    (2**70, str(2**70)),
    (b"abc" * 60, '"' + "YWJj" * 60 + '"'),
    (bytearray(b"x"), '"eA=="'),
    ((1, [2]), "[1,[2]]"),
    (Point(1, 2), "[1,2]"),
    (range(3), "[0,1,2]"),
    ((each for each in "ab"), '["a","b"]'),
    ({"g": (each for each in "ab"), 1: 2}, '{"g":["a","b"],"1":2}'),
    ({3, 1, 2}, "[1,2,3]"),
    (frozenset({"b", "a"}), '["a","b"]'),
    ({1, "a"}, '[1,"a"]'),
    (collections.deque([1]), "[1]"),
    ({"a": 1}.keys(), '["a"]'),
    ({"a": 1}.values(), "[1]"),
    (Decimal("1.50"), "1.50"),
    (Decimal("NaN"), "null"),
    (Decimal("1E+500"), '"1E+500"'),
    (1 + 2j, '{"real":1.0,"imag":2.0}'),
    (dt.date(2020, 1, 1), '"2020-01-01"'),
    (dt.time(1, 2, tzinfo=dt.UTC), '"01:02:00+00:00"'),
    (dt.timedelta(seconds=-1.5), '"-P0DT0H0M1.5S"'),
    (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (Colour.red, '"r"'),
    (Level.low, "1"),
    (Box(0.5), '{"score":0.5,"_kind":"cat"}'),
    ([Model()], '[{"when":"2020-01-01T00:00:00"}]'),
    ({np.int64(1): 2}, '{"1":2}'),
    ({np.str_("k"): 1}, '{"k":1}'),
    ({None: 1, True: 2, 0.5: 3}, '{"null":1,"true":2,"0.5":3}'),
    ({Colour.red: 1}, '{"r":1}'),
    ({"a": pd.DataFrame({"x": [1]}), "b": np.array([0.5])}, '{"a":[{"x":1}],"b":[0.5]}'),
    ("\ud800", '"\\ud800"'),
]


@pytest.mark.parametrize(("value", "text"), ARRAYS + FRAMES + OBJECTS)
def test_an_answer_is_written_as(value, text):
    answer = encode(value)

    assert answer.decode() == '{"predictions":' + text + "}"
    json.loads(answer, parse_constant=pytest.fail)


def endless():
    loop: list[object] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "an object of class builtins.object at $.predictions"),
        ([{"a": object()}], "builtins.object at $.predictions[0].a"),
        (int, "the class int"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns named 'a'"),
        ({1: 1, "1": 2}, "two keys that both become '1'"),
        ({object(): 1}, "a key of an object of class builtins.object"),
        (endless(), "something nested without end"),
        (sparse.coo_array((10**6, 10**6)), "a sparse matrix of shape (1000000, 1000000)"),
        (range(10**9), "more than 10000000 items"),
        ([10**5000], "an integer of thousands of digits"),
        (np.array([1], dtype="timedelta64[Y]"), "timedelta64[Y]"),
    ],
)
def test_what_has_no_json_form_is_named(value, text):
    with pytest.raises(UnserializableError) as error:
        encode(value)
    assert text in str(error.value)
    assert len(str(error.value)) < 400
