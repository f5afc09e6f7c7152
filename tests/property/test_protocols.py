"""Any bytes are an answer or an error of ours; ways that say the same thing give the same data."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from modelserving.errors import DataError, RequestError
from modelserving.scoring import open_inference, predict_v1
from modelserving.scoring.answers import choose
from modelserving.scoring.invocations import CONTENT_TYPES, decode
from modelserving.serving.request import inflated
from modelserving.serving.response import HTTPError
from modelserving.signature.convert import convert
from modelserving.signature.rows import Raw
from modelserving.signature.schema import ColumnSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import DataType

FRAME = Signature(
    Schema(
        (ColumnSpec(DataType.double, "a"), ColumnSpec(DataType.long, "b"), ColumnSpec(DataType.string, "s"))
    )
)
TENSOR = Signature(Schema((TensorSpec("float64", (-1, 2)),)))
SIGNATURES = st.sampled_from([None, FRAME, TENSOR])
FLOATS = st.floats(width=64, allow_nan=False, allow_infinity=False)
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.tuples(FLOATS, LONGS, TEXTS), min_size=1, max_size=5)

JSONS = st.recursive(
    st.none() | st.booleans() | LONGS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", "s", "x"]) | JSONS,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | JSONS,
        "datatype": st.sampled_from([*open_inference.datatypes.DATATYPES, "BF16"]) | JSONS,
        "data": st.lists(JSONS, max_size=4) | JSONS,
        "parameters": st.fixed_dictionaries(
            {},
            optional={
                "content_type": st.sampled_from(["str", "pd_json", "np", "base64", "datetime"]) | JSONS,
                "binary_data_size": st.integers(-1, 40),
            },
        )
        | JSONS,
    },
)
V2 = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | JSONS},
    optional={
        "id": TEXTS | JSONS,
        "parameters": JSONS,
        "outputs": st.lists(st.fixed_dictionaries({"name": TEXTS}), max_size=2) | JSONS,
    },
)


def refused_or_read(read):
    message = ""
    try:
        read()
    except (RequestError, DataError) as error:
        message = str(error)

    assert "\n" not in message


def plain(data):
    if isinstance(data, Raw):
        return data.value
    return [str(column.dtype) for column in data.columns or (data.block,)], [
        column.tolist() for column in data.columns or (data.block,)
    ]


@given(st.binary(max_size=200), st.sampled_from(CONTENT_TYPES), SIGNATURES)
def test_any_bytes_of_any_content_type_are_read_or_refused(body, content_type, signature):
    refused_or_read(lambda: decode(body, content_type, signature))


@given(st.binary(max_size=200), st.none() | st.text(max_size=4) | st.integers(-1, 200).map(str), SIGNATURES)
def test_any_bytes_are_tensors_or_refused(body, length, signature):
    refused_or_read(lambda: open_inference.decode(body, length, signature))


@settings(max_examples=300)
@given(V2, st.binary(max_size=48), SIGNATURES)
def test_anything_like_a_request_of_v2_is_read_or_refused(request, tail, signature):
    head = json.dumps(request).encode()

    refused_or_read(lambda: open_inference.decode(head + tail, str(len(head)), signature))


@given(
    st.binary(max_size=100) | JSONS.map(lambda value: json.dumps({"instances": value}).encode()), SIGNATURES
)
def test_any_bytes_are_a_request_of_v1_or_refused(body, signature):
    refused_or_read(lambda: predict_v1.decode(body, signature))


@given(st.text(max_size=60) | st.sampled_from(["*/*", "text/csv;q=0.5, */*"]))
def test_any_accept_header_chooses_or_is_refused(accept):
    refused_or_read(lambda: choose(accept))


@given(st.binary(max_size=100))
def test_any_bytes_inflate_or_are_refused(body):
    status, plain = 200, b""
    try:
        plain = inflated(body, 50)
    except HTTPError as error:
        status = error.status

    assert status in {200, 400, 413}
    assert len(plain) <= 50


@settings(max_examples=150)
@given(st.data(), st.integers(1, 4))
def test_damaged_tables_are_read_or_refused(data, flips):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"a": [1.5, 2.5], "b": [1, None], "s": pa.array(["x", "y"]).dictionary_encode()})
    sink = io.BytesIO()
    kind = data.draw(
        st.sampled_from(["application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"])
    )
    if kind.endswith("parquet"):
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    body = bytearray(sink.getvalue())
    for _ in range(flips):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    refused_or_read(lambda: decode(bytes(body), kind, FRAME))


@given(ROWS)
def test_every_content_type_gives_the_same_data(rows):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    a, b, s = (list(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"a": a, "b": b, "s": pd.Series(s, dtype=object)})
    table = pa.table({"s": s, "a": a, "b": b})
    arrow, parquet = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(arrow, table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, parquet)
    column = [("a", "FP64", a), ("b", "INT64", b), ("s", "BYTES", s)]
    v2 = [{"name": name, "shape": [len(rows)], "datatype": kind, "data": data} for name, kind, data in column]
    split = {"columns": ["a", "b", "s"], "data": rows}
    expected = plain(convert(frame, FRAME))

    for body, content_type in [
        (json.dumps({"dataframe_split": split}).encode(), "application/json"),
        (json.dumps({"inputs": {"a": a, "b": b, "s": s}}).encode(), "application/json"),
        (arrow.getvalue(), "application/vnd.apache.arrow.stream"),
        (parquet.getvalue(), "application/vnd.apache.parquet"),
    ]:
        assert plain(decode(body, content_type, FRAME).data) == expected
    assert plain(open_inference.decode(json.dumps({"inputs": v2}).encode(), None, FRAME).data) == expected
    records = [dict(zip("abs", row, strict=True)) for row in rows]
    assert plain(predict_v1.decode(json.dumps({"instances": records}).encode(), FRAME)[0].data) == expected


@given(nst.arrays(np.float64, st.tuples(st.integers(0, 4), st.just(2)), elements=FLOATS))
def test_an_array_is_the_same_as_json_npy_and_tensors(array):
    file = io.BytesIO()
    np.save(file, array)
    entry = {"name": "x", "shape": list(array.shape), "datatype": "FP64"}
    flat = json.dumps({"inputs": [{**entry, "data": array.reshape(-1).tolist()}]}).encode()
    nested = json.dumps({"inputs": [{**entry, "data": array.tolist()}]}).encode()
    head = json.dumps({"inputs": [{**entry, "parameters": {"binary_data_size": array.nbytes}}]}).encode()
    raw = array.astype("<f8").tobytes()

    read = [
        decode(file.getvalue(), "application/x-npy", TENSOR),
        open_inference.decode(flat, None, TENSOR),
        open_inference.decode(nested, None, TENSOR),
        open_inference.decode(head + raw, str(len(head)), TENSOR),
        open_inference.decode(raw, "0", TENSOR),
    ]

    for each in read:
        assert each.data.block.dtype == np.float64
        assert each.data.block.shape == array.shape
        assert each.data.block.tobytes() == array.tobytes()


@given(
    nst.arrays(
        st.sampled_from(["bool", "int8", "uint64", "int64", "float16", "float32", "float64"]),
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
    )
)
def test_an_answer_can_be_sent_back_as_a_request(array):
    request = open_inference.InferRequest(Raw(None), {}, binary=True)
    answer = open_inference.encode([open_inference.Predicted("x", array)], request, name="m")
    head = json.loads(answer.body[: answer.json_length])
    sent = json.dumps({"inputs": head["outputs"]}).encode()

    back = open_inference.decode(sent + answer.body[answer.json_length :], str(len(sent)), None).data.block

    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
