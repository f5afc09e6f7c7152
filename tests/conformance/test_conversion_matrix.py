"""What becomes of a value of each kind under each declared type: here, and in MLflow 3.17 and 3.18.

The two tables are data: ``FRAMES`` for frames, ``REQUESTS`` for JSON cells. They are also the tables
of ``docs/reference/differences-from-mlflow.md``, and a real MLflow confirms its half in the interop tests.
A cell of ``FRAMES`` reads ``theirs/ours``: ``ok`` is converted exactly (or rounded to a float type), ``-``
refused. Why they differ is in ``WHY``, by the pair, or stands in the row of ``REQUESTS``.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from modelserving.errors import DataError, RequestError
from modelserving.scoring.invocations import decode
from modelserving.signature.convert import convert
from modelserving.signature.schema import ColumnSpec, Schema, Signature
from modelserving.signature.types import DataType

TYPES = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


def objects(*values: object) -> pd.Series:
    return pd.Series(list(values), dtype=object)


SERIES = {
    "bool": pd.Series([True, False]),
    "int8": pd.Series([1, 2], dtype="int8"),
    "int16": pd.Series([1, 2], dtype="int16"),
    "int32": pd.Series([1, 2], dtype="int32"),
    "int64": pd.Series([1, 2**60]),
    "int64 small": pd.Series([2, 3]),
    "uint8": pd.Series([1, 2], dtype="uint8"),
    "uint16": pd.Series([1, 2], dtype="uint16"),
    "uint32": pd.Series([1, 2], dtype="uint32"),
    "uint64": pd.Series([1, 2**63], dtype="uint64"),
    "float16": pd.Series([1.5, 2], dtype="float16"),
    "float32": pd.Series([1.5, 2], dtype="float32"),
    "float64": pd.Series([1.5, 2.0]),
    "float64 whole": pd.Series([1.0, 2.0]),
    "float64 nan": pd.Series([1.0, np.nan]),
    "object str": objects("a", "b"),
    "str": pd.Series(["a", "b"], dtype="string"),
    "object int": objects(1, 2),
    "object float": objects(1.5, 2.5),
    "object bool": objects(True, False),
    "object bool/None": objects(True, None),
    "object int/None": objects(1, None),
    "object bytes": objects(b"a", b"b"),
    "object mixed": objects(1, "a"),
    "object Decimal": objects(Decimal("1.5"), Decimal(2)),
    "dt64[ns]": pd.Series(np.array(["2020-01-01"], dtype="datetime64[ns]")),
    "dt64[s]": pd.Series(np.array(["2020-01-01"], dtype="datetime64[s]")),
    "dt64 tz": pd.Series(pd.to_datetime(["2020-01-01T00:00:00+01:00"])),
    "object date": objects(dt.date(2020, 1, 1)),
    "object datestr": objects("2020-01-01"),
    "Int64": pd.Series([1, None], dtype="Int64"),
    "Int64 full": pd.Series([1, 2], dtype="Int64"),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "Float64": pd.Series([1.5, 2], dtype="Float64"),
    "category": pd.Series(["a", "b"], dtype="category"),
}

#                     boolean  integer  long     float    double   string   binary   datetime
FRAMES = """
bool                | ok/ok  | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-
int8                | -/-    | ok/ok  | ok/ok  | -/ok   | ok/ok  | -/-    | -/-    | -/-
int16               | -/-    | ok/ok  | ok/ok  | -/ok   | ok/ok  | -/-    | -/-    | -/-
int32               | -/-    | ok/ok  | ok/ok  | -/ok   | ok/ok  | -/-    | -/-    | -/-
int64               | -/-    | -/-    | ok/ok  | -/-    | -/-    | -/-    | -/-    | -/-
int64 small         | -/-    | -/ok   | ok/ok  | -/ok   | -/ok   | -/-    | -/-    | -/-
uint8               | -/-    | ok/ok  | ok/ok  | -/ok   | ok/ok  | -/-    | -/-    | -/-
uint16              | -/-    | ok/ok  | ok/ok  | -/ok   | ok/ok  | -/-    | -/-    | -/-
uint32              | -/-    | -/ok   | ok/ok  | -/ok   | ok/ok  | -/-    | -/-    | -/-
uint64              | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-
float16             | -/-    | -/-    | -/-    | ok/ok  | ok/ok  | -/-    | -/-    | -/-
float32             | -/-    | -/-    | -/-    | ok/ok  | ok/ok  | -/-    | -/-    | -/-
float64             | -/-    | -/-    | -/-    | -/ok   | ok/ok  | -/-    | -/-    | -/-
float64 whole       | -/-    | -/ok   | -/ok   | -/ok   | ok/ok  | -/-    | -/-    | -/-
float64 nan         | -/-    | -/-    | -/-    | -/ok   | ok/ok  | -/-    | -/-    | -/-
object str          | -/-    | -/-    | -/-    | -/-    | -/-    | ok/ok  | ok/-   | -/-
str                 | -/-    | -/-    | -/-    | -/-    | -/-    | ok/ok  | ok/-   | -/-
object int          | -/-    | -/ok   | ok/ok  | -/ok   | -/ok   | ok/-   | ok/-   | -/-
object float        | -/-    | -/-    | -/-    | -/ok   | ok/ok  | ok/-   | ok/-   | -/-
object bool         | ok/ok  | -/-    | -/-    | -/-    | -/-    | ok/-   | ok/-   | -/-
object bool/None    | ok/-   | -/-    | -/-    | -/-    | ok/-   | ok/-   | ok/-   | -/-
object int/None     | -/-    | -/-    | -/-    | -/ok   | ok/ok  | ok/-   | ok/-   | -/-
object bytes        | ok/-   | -/-    | -/-    | -/-    | -/-    | ok/-   | ok/ok  | -/-
object mixed        | ok/-   | -/-    | -/-    | -/-    | -/-    | ok/-   | ok/-   | -/-
object Decimal      | ok/-   | -/-    | -/-    | -/ok   | ok/ok  | ok/-   | ok/-   | -/-
dt64[ns]            | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | ok/ok
dt64[s]             | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | ok/ok
dt64 tz             | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/ok
object date         | ok/-   | -/-    | -/-    | -/-    | -/-    | ok/-   | ok/-   | ok/ok
object datestr      | -/-    | -/-    | -/-    | -/-    | -/-    | ok/ok  | ok/-   | -/ok
Int64               | -/-    | -/-    | -/-    | -/ok   | -/ok   | -/-    | -/-    | -/-
Int64 full          | -/-    | -/ok   | ok/ok  | -/ok   | -/ok   | -/-    | -/-    | -/-
boolean             | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-    | -/-
Float64             | -/-    | -/-    | -/-    | -/ok   | ok/ok  | -/-    | -/-    | -/-
category            | -/-    | -/-    | -/-    | -/-    | -/-    | -/ok   | -/-    | -/-
"""

WHY = {
    ("-", "ok", "integer"): "every value is an integer in range: what counts is the values, not the dtype",
    ("-", "ok", "long"): "every value is an integer: what counts is the values, not the dtype",
    ("-", "ok", "float"): "integers up to 2**24 are exact; decimals round as their literals in JSON do",
    ("-", "ok", "double"): "integers up to 2**53 are exact",
    ("-", "ok", "string"): "a category of texts holds texts",
    (
        "-",
        "ok",
        "datetime",
    ): "the moment is clear: a zone is converted to UTC, ISO 8601 text is read as over HTTP",
    ("ok", "-", "boolean"): "a required boolean is true or false; MLflow does not look into object columns",
    ("ok", "-", "double"): "true is not a number",
    ("ok", "-", "string"): "only text is text; MLflow does not look into object columns",
    ("ok", "-", "binary"): "only bytes are bytes; MLflow does not look into object columns",
}

FRAME_CELLS = [
    (name.strip(), kind, *cell.strip().split("/"))
    for line in FRAMES.strip().splitlines()
    for name, *cells in [line.split("|")]
    for kind, cell in zip(TYPES, cells, strict=True)
]

REFUSED = "refused"


def moment(text: str) -> np.datetime64:
    return np.datetime64(text, "ns")


REQUESTS = [
    # declared, JSON, what reaches a model in MLflow (in frames / inputs; 3.17 or 3.18), here, why they differ
    ("boolean", "1", "True", REFUSED, "1 is a number"),
    ("boolean", '"x"', "True", REFUSED, "text is no boolean"),
    ("boolean", "null", "False or None", REFUSED, "the column is required"),
    ("boolean", "NaN", "True or refused", REFUSED, "NaN is no boolean"),
    ("boolean", "true", "True", True, ""),
    ("integer", "1.7", "1", REFUSED, "the fraction would be lost"),
    ("integer", '"1"', "1", REFUSED, "text is no number"),
    ("integer", "true", "1", REFUSED, "true is no number"),
    ("integer", "2.0", "2", 2, ""),
    ("integer", "3000000000", "-1294967296 / refused", REFUSED, "it would wrap around"),
    ("integer", "-2147483648", "-2147483648", -2147483648, ""),
    ("long", "2.5", "2", REFUSED, "the fraction would be lost"),
    ("long", "9223372036854775807", "9223372036854775807", 9223372036854775807, ""),
    ("long", "9223372036854775808", "-9223372036854775808 / refused", REFUSED, "it would wrap around"),
    ("long", "18446744073709551616", "refused", REFUSED, ""),
    ("long", "9007199254740993.0", "9007199254740992", REFUSED, "no double has this value: it would change"),
    ("long", "null", "refused", REFUSED, ""),
    ("long", '"1.5"', "refused", REFUSED, ""),
    ("float", "0.1", "0.10000000149011612", 0.10000000149011612, ""),
    ("float", "16777216", "16777216.0", 16777216.0, ""),
    ("float", "16777217", "16777216.0", REFUSED, "no float has this value: it would change"),
    ("float", "1e39", "inf", REFUSED, "it would become infinite"),
    ("float", "null", "nan", "NaN", ""),
    ("double", "null", "nan", "NaN", ""),
    ("double", "NaN", "nan", "NaN", ""),
    ("double", "-Infinity", "-inf", -np.inf, ""),
    (
        "double",
        "9007199254740993",
        "9007199254740992.0",
        REFUSED,
        "no double has this value: it would change",
    ),
    ("double", "-9007199254740992", "-9007199254740992.0", -9007199254740992.0, ""),
    ("double", "18446744073709551616", "1.8446744073709552e+19", REFUSED, "an integer above 2**53"),
    ("double", "1e400", "inf", REFUSED, "it would become infinite"),
    ("double", '"1.5"', "1.5", REFUSED, "text is no number"),
    ("double", "true", "1.0", REFUSED, "true is no number"),
    ("double", '"x"', "refused", REFUSED, ""),
    ("string", "1", "1 / '1'", REFUSED, "a number is no text"),
    ("string", "[1]", "[1] / ['1']", REFUSED, "a list is no text"),
    ("string", '"\\u0000"', "'\\x00' / ''", "\0", "NUL is a character like others"),
    ("string", "null", "None / 'None' or None", REFUSED, "the column is required"),
    ("binary", '"YWI="', "b'ab' / b'YWI='", b"ab", "binary is base64 in every form of a request"),
    ("binary", '"YWI"', "refused / b'YWI'", REFUSED, "base64 is read strictly"),
    ("binary", '"YWI=\\n"', "b'ab' / b'YWI=\\n'", REFUSED, "base64 is read strictly"),
    ("binary", '"_-=="', "b'' / b'_-=='", REFUSED, "base64 is read strictly"),
    ("binary", "1", "refused / b'1'", REFUSED, "a number is no bytes"),
    ("datetime", '"2020-01-01"', "2020-01-01T00:00:00", moment("2020-01-01T00:00:00"), ""),
    (
        "datetime",
        '"2020-01-01 01:02:03.123456"',
        "2020-01-01T01:02:03.123456",
        moment("2020-01-01T01:02:03.123456"),
        "",
    ),
    (
        "datetime",
        '"2020-01-01T00:00:00Z"',
        "refused / 2020-01-01T00:00:00",
        moment("2020-01-01T00:00:00"),
        "UTC is clear",
    ),
    (
        "datetime",
        '"2020-01-01T01:00:00+01:00"',
        "refused / 2020-01-01T00:00:00",
        moment("2020-01-01T00:00:00"),
        "a zone is converted",
    ),
    ("datetime", "1577836800000", "1970-01-01T00:26:17.836800", REFUSED, "a number has no unit"),
    (
        "datetime",
        '"2300-01-01"',
        "refused / 1715-06-13T00:25:26.290448384",
        REFUSED,
        "it is beyond 64 bits of nanoseconds",
    ),
    ("datetime", "null", "NaT", REFUSED, "the column is required"),
]


def signature(kind: str) -> Signature:
    return Signature(Schema((ColumnSpec(DataType[kind], "a"),)))


@pytest.mark.parametrize(("name", "kind", "theirs", "ours"), FRAME_CELLS, ids=lambda value: value)
def test_a_frame_column(name, kind, theirs, ours):
    frame = pd.DataFrame({"a": SERIES[name]})

    if ours == "-":
        with pytest.raises(DataError):
            convert(frame, signature(kind))
    else:
        column = convert(frame, signature(kind)).mapping()["a"]
        assert column.dtype == DataType[kind].dtype
        assert len(column) == len(frame)
    assert theirs == ours or WHY[theirs, ours, kind]


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "inputs", "instances"])
@pytest.mark.parametrize(("kind", "text", "theirs", "ours", "why"), REQUESTS)
def test_a_json_cell(kind, text, theirs, ours, why, form):
    bodies = {
        "dataframe_split": f'{{"dataframe_split": {{"columns": ["a"], "data": [[{text}]]}}}}',
        "dataframe_records": f'{{"dataframe_records": [{{"a": {text}}}]}}',
        "inputs": f'{{"inputs": {{"a": [{text}]}}}}',
        "instances": f'{{"instances": [{{"a": {text}}}]}}',
    }
    body = bodies[form].encode()

    if isinstance(ours, str) and ours == REFUSED:
        with pytest.raises((DataError, RequestError)):
            decode(body, "application/json", signature(kind))
        return
    column = decode(body, "application/json", signature(kind)).data.mapping()["a"]
    assert column.dtype == DataType[kind].dtype
    if isinstance(ours, str) and ours == "NaN":
        assert np.isnan(column[0])
    else:
        assert column[0] == ours


def test_every_kind_of_series_is_in_the_table():
    assert {name for name, *_ in FRAME_CELLS} == set(SERIES)


@pytest.mark.parametrize(("kind", "text", "theirs", "ours", "why"), REQUESTS)
def test_what_mlflow_hands_over_and_we_refuse_has_a_reason(kind, text, theirs, ours, why):
    assert why or theirs == REFUSED or not isinstance(ours, str) or ours != REFUSED
