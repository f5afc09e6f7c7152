from __future__ import annotations

import numpy as np
import pytest

from modelserving.errors import DataError, RequestError
from modelserving.scoring.invocations import decode
from modelserving.signature.schema import ColumnSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import Array, DataType


def one(kind, *, required=True) -> Signature:
    return Signature(
        Schema((ColumnSpec(kind, "a", required), ColumnSpec(DataType.string, "z", required=False)))
    )


def read(text, signature=None):
    return decode(text if isinstance(text, bytes) else text.encode(), "text/csv", signature).data


def cells(kind, *texts, required=True):
    quoted = "".join('"' + text.replace('"', '""') + '",\n' for text in texts)
    return read("a,z\n" + quoted, one(kind, required=required)).mapping()["a"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("long", "9223372036854775807", 2**63 - 1),
        ("long", "-5", -5),
        ("long", "2.0", 2),
        ("long", "9007199254740993.0", 2**53 + 1),
        ("long", " 7 ", 7),
        ("integer", "007", 7),
        ("double", "1.5e3", 1500.0),
        ("double", "9007199254740992", 2.0**53),
        ("double", "1e300", 1e300),
        ("double", "inf", np.inf),
        ("float", "0.1", float(np.float32(0.1))),
        ("boolean", "True", True),
        ("boolean", "false", False),
        ("string", "NA", "NA"),
        ("string", "007", "007"),
        ("string", "", ""),
        ("string", "a\nb", "a\nb"),
        ("string", 'a"b', 'a"b'),
        ("binary", "YWI=", b"ab"),
        ("datetime", "2020-01-01T01:00:00+01:00", np.datetime64("2020-01-01")),
    ],
)
def test_a_cell_has_the_declared_type(kind, text, value):
    column = cells(DataType[kind], text)

    assert column.dtype == DataType[kind].dtype
    assert column[0] == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("long", text)
        for text in (
            "",
            "NA",
            "2.5",
            "1_000",
            "1,5",
            "0x10",
            "1e5",
            "9223372036854775808",
            "true",
            "\u0661",
            "nan",
        )
    ]
    + [
        ("double", text)
        for text in (
            "NA",
            "null",
            "1_000",
            "1,5",
            "0x10",
            "9007199254740993",
            "1e400",
            "True",
            "1 2",
            "--1",
            "\u0661",
        )
    ]
    + [("float", text) for text in ("16777217", "1e39")]
    + [("boolean", text) for text in ("1", "yes", "", "t")]
    + [("datetime", text) for text in ("", "1577836800", "2020", "01/02/2020", "2020-02-30")]
    + [("binary", "YWI"), ("integer", "3000000000"), ("long", "1" * 5000)],
)
def test_a_cell_that_would_change_is_refused(kind, text):
    with pytest.raises(DataError) as error:
        cells(DataType[kind], text)
    assert error.value.problems[0].row == 0
    assert error.value.problems[0].column == "a"


def test_an_empty_cell_is_missing_only_in_optional_and_float_columns():
    assert np.isnan(cells(DataType.double, "")[0])
    assert cells(DataType.string, "", required=False).tolist() == [None]
    assert cells(DataType.long, "1", "", required=False).tolist() == [1, None]
    assert np.isnat(cells(DataType.datetime, "", required=False)[0])


def test_lists_are_json_in_their_cell():
    assert cells(Array(DataType.long), "[1, 2]", "[]").tolist() == [[1, 2], []]
    with pytest.raises(DataError, match=r"at \$\[1\]"):
        cells(Array(DataType.long), "[1, 2.5]")


def test_columns_are_found_by_name_and_others_ignored():
    request = decode(b",b,a\n0,x,1\n1,y,2\n", "text/csv", one(DataType.long))

    assert request.data.mapping()["a"].tolist() == [1, 2]
    assert request.ignored == ("", "b")


@pytest.mark.parametrize("text", ["a,b\r1,2\r3,4\r", "a,b\r\n1,2\r\n3,4", "\ufeffa,b\n1,2\n3,4\n\n"])
def test_line_endings_and_a_byte_order_mark_do_not_matter(text):
    assert read(text, Signature(Schema((TensorSpec("int64", (-1, 2)),)))).block.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "body", [b"", b"\n", b'a\n"x', b'a\n"x"y\n', b"a\n\xff\n", "a\n1".encode("utf-16"), b"a\n" + b"x" * 10**6]
)
def test_a_body_that_is_not_csv_is_refused(body):
    with pytest.raises(RequestError):
        read(body)


@pytest.mark.parametrize(
    ("text", "line"), [("a,z\n1,2\n1\n", 3), ('a,z\n"x\ny",2\n1,2,3\n', 4), ("a,z\n\n1,2\n", 2)]
)
def test_a_row_of_another_width_is_refused_with_its_line(text, line):
    with pytest.raises(DataError, match=f"on line {line}"):
        read(text)


def test_a_header_alone_is_no_rows():
    assert len(read("a,z\n", one(DataType.double))) == 0
    assert read("x,y\n", Signature(Schema((TensorSpec("float32", (-1, 2)),)))).block.shape == (0, 2)


def test_a_column_given_twice_is_refused():
    for signature in (None, one(DataType.long)):
        with pytest.raises(DataError, match="twice"):
            read("a,a\n1,2\n", signature)


def test_named_tensors_are_columns():
    signature = Signature(Schema((TensorSpec("float32", (-1,), "x"), TensorSpec("str", (-1,), "y"))))

    columns = read("y,x,w\nNA,1.5,q\n", signature).mapping()

    assert columns["x"].tolist() == [1.5]
    assert columns["y"].tolist() == ["NA"]


def test_integer_column_names_are_found_by_their_text():
    signature = Signature(Schema((ColumnSpec(DataType.long, 0), ColumnSpec(DataType.long, 1))))

    assert read("1,0\n20,10\n", signature).block.tolist() == [[10, 20]]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2"], [1, 2]),
        (["1", ""], [1.0, None]),
        (["1.5", "2"], [1.5, 2.0]),
        (["007", "2"], ["007", "2"]),
        (["NA", "2"], ["NA", "2"]),
        (["true", "False"], [True, False]),
        (["1", "true"], ["1", "true"]),
        (["9" * 25, "1"], ["9" * 25, "1"]),
    ],
)
def test_without_a_signature_a_column_has_the_type_it_looks_like(texts, values):
    column = read("a,z\n" + "".join(f"{text},x\n" for text in texts)).mapping()["a"]

    assert [None if value != value else value for value in column.tolist()] == values
