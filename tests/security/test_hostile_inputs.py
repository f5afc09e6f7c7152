"""Bad and hostile requests: each is answered as the table says, in valid JSON, without a traceback or a changed value.

The rows are numbered as in ``docs/reference/http.md``; every case is asked through WSGI and ASGI, and, with the slow
tests, of a real server.
"""

# ruff: noqa: E501, PT018, RUF001 - a table: one case a line

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import io
import json
import logging
import re
import runpy
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest

SERVED = Path(__file__).with_name("served.py")
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
LENGTH = "inference-header-content-length"
ANY = object()
MIB = 1024 * 1024


@dataclass
class Case:
    row: str
    what: str
    path: str
    body: bytes | None
    status: tuple[int, ...]
    answer: object = ANY
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    query: str = ""
    says: str = ""

    def __str__(self):
        return f"{self.row} {self.what}"


CASES: list[Case] = []

# fmt: off


def add(row, what, path, body, status, answer=ANY, **more):
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    status = (status,) if isinstance(status, int) else status
    CASES.append(Case(row, what[:60], path, body, status, answer, **more))


def to(model):
    return f"/models/{model}/invocations"


def typed(content_type, **more):
    return {"headers": {"content-type": content_type, **more}}


def one(model, cell, row, status, answer=ANY, *, column=None, what=None):
    """One cell, in each JSON form; the answer is the value it must come back as."""
    column = column or {"long": "b", "single": "f", "text": "s", "flag": "f", "bytes": "x", "when": "t"}.get(model, model[0])
    text = cell if isinstance(cell, bytes) else json.dumps(cell).encode()
    key = json.dumps(column).encode()
    forms = {
        "records": b'{"dataframe_records": [{%s: %s}]}' % (key, text),
        "split": b'{"dataframe_split": {"columns": [%s], "data": [[%s]]}}' % (key, text),
        "inputs": b'{"inputs": {%s: [%s]}}' % (key, text),
    }
    for name, body in forms.items():
        wanted = ANY if answer is ANY else [[answer]]
        add(row, f"{model} {what or text[:30].decode('latin-1')} {name}", to(model), body, status, wanted)


# --- routing -------------------------------------------------------------------------------------------------------
for path in ("//invocations", "/models/long/invocations/", "/Models/long/invocations", "/models/long/invocations;x=1", "/invocations"):
    add("H029", path, path, {"inputs": {"b": [1]}}, 404)
for path in ("/v2/models/a%00b/ready", "/v2/models/%ff/ready", "/v2/models/%zz", "/v2/models/../../etc", "/v2/models/"):
    add("H031", path, path, None, 404, method="GET")
for number in ("١", " 1", "01", "-1", "2", "1_0", "1.0", "", "99999999999999999999"):
    add("H032", number, f"/v2/models/long/versions/{number}/ready", None, 404, method="GET")
    add("H032", number, f"/v1/models/long/versions/{number}:predict", {"instances": [1]}, 404)
for method in ("PUT", "PATCH", "DELETE", "TRACE"):
    for path in (to("long"), "/v2/models/long/infer", "/v1/models/long:predict", "/ping", "/openapi.json"):
        add("H023", f"{method} {path}", path, b"", 405, method=method)
for path in (to("long"), "/v2/models/long/infer", "/v1/models/long:predict"):
    add("H025", f"GET {path}", path, None, 405, method="GET")
    add("H026", f"OPTIONS {path}", path, None, 204, method="OPTIONS")
LONG1 = {"inputs": {"b": [1]}}
for query in ("x=1", "method=", "method=predict&method=predict", "method=nope", "method", "%ff", "a&b"):
    add("H035", f"query {query}", to("long"), LONG1, 400, query=query)
    add("H035", f"v2 query {query}", "/v2/models/long/infer", LONG1, 400, query=query)
add("H035", "a method", to("long"), LONG1, 200, [[1]], query="method=predict_proba")
add("H035", "query over 4 KiB", to("long"), LONG1, (400, 414, 431), query="x=" + "a" * 5000)

# --- content type, encoding, negotiation ---------------------------------------------------------------------------
add("H040", "no Content-Type", to("long"), LONG1, 415, says=JSON, headers={"content-type": ""})
add("H040", "no Content-Type on v1", "/v1/models/long:predict", {"instances": [1]}, 415, headers={"content-type": ""})
V2LONG = {"inputs": [{"name": "b", "shape": [1], "datatype": "INT64", "data": [1]}]}
add("H040", "no Content-Type on v2", "/v2/models/long/infer", V2LONG, 200, [1], headers={"content-type": ""})
for wrong in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/xml", "json", ";", "é", "application/json, text/csv"):
    for path in (to("long"), "/v2/models/long/infer", "/v1/models/long:predict"):
        add("H041", f"{wrong} {path}", path, LONG1, 415, **typed(wrong))
add("H043", "utf-16", to("long"), LONG1, 415, **typed("application/json; charset=utf-16"))
add("H044", "another parameter", to("long"), LONG1, 200, [[1]], **typed("application/json; foo=bar"))
add("H044", "upper case", to("long"), LONG1, 200, [[1]], **typed("Application/JSON; charset=UTF-8"))
PLAIN = json.dumps(LONG1).encode()
add("H046", "gzip", to("long"), gzip.compress(PLAIN), 200, [[1]], **typed(JSON, **{"content-encoding": "gzip"}))
V2GZIP = gzip.compress(json.dumps(V2LONG).encode())
add("H046", "gzip on v2", "/v2/models/long/infer", V2GZIP, 200, [1], **typed(JSON, **{"content-encoding": "gzip"}))
for what, body in {"not gzip": PLAIN, "cut": gzip.compress(PLAIN)[:-4], "two members": gzip.compress(PLAIN) * 2, "trailing": gzip.compress(PLAIN) + b"x", "empty": b"", "twice": gzip.compress(gzip.compress(PLAIN))}.items():
    add("H046", f"gzip {what}", to("long"), body, 400, **typed(JSON, **{"content-encoding": "gzip"}))
add("H047", "gzip bomb", to("long"), gzip.compress(b" " * 64 * MIB), 413, **typed(JSON, **{"content-encoding": "gzip"}))
for coding in ("br", "gzip, gzip", "deflate", "zstd", "compress", "gzip;q=1"):
    add("H049", coding, to("long"), gzip.compress(PLAIN), 415, **typed(JSON, **{"content-encoding": coding}))
add("H049", "identity", to("long"), PLAIN, 200, [[1]], **typed(JSON, **{"content-encoding": "identity"}))
for accept in ("text/html", "application/xml", "application/json;q=0", "image/*"):
    add("H050", accept, to("long"), LONG1, 406, **typed(JSON, accept=accept))
for accept in ("*/*", "application/*", "text/html, */*;q=0.1", "", ",,;;q=x", "application/json"):
    add("H050", accept, to("long"), LONG1, (200, 406) if "q=x" in accept else 200, **typed(JSON, accept=accept))

# --- JSON text -----------------------------------------------------------------------------------------------------
ALL = ((to("long"), LONG1), ("/v2/models/long/infer", V2LONG), ("/v1/models/long:predict", {"instances": [{"b": 1}]}))
for path, good in ALL:
    text = json.dumps(good).encode()
    for body in (b"", b"   ", b"\n"):
        add("H052", f"empty {path}", path, body, 400)
    for at in range(1, len(text)):
        add("H053", f"cut at {at} {path}", path, text[:at], 400)
    add("H055", f"BOM {path}", path, b"\xef\xbb\xbf" + text, 400)
    for coding in ("utf-16", "utf-16-be", "utf-32"):
        add("H056", f"{coding} {path}", path, text.decode().encode(coding), 400)
    add("H064", f"key twice {path}", path, text[:-1] + b"," + text[1:], 400)
    for nest in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000):
        add("H067", f"nested {path}", path, nest, 400)
    for junk in (b"[" * MIB, b'"' * MIB, b"\\" * MIB, b" " * MIB, b"\x00", b"\xff\xfe", b"null", b"[]", b"1", b'"x"', b"{}"):
        add("H076", f"{junk[:2]!r} {path}", path, junk, 400)
for bad in (b'{"inputs": {"b": [1,]}}', b"{'inputs': {'b': [1]}}", b'{"inputs": {"b": [1]}} // x', b'{"inputs": {"b": [0x1]}}', b'{"inputs": {"b": [+1]}}', b'{"inputs": {"b": [01]}}', b'{"inputs": {"b": [.5]}}', b'{"inputs": {"b": [1.]}}', b'{"inputs": {"b": [1]}} x', b'{"inputs": {"b": ["\t"]}}', b'{"inputs": {"b": ["\\ud800"]}}', b'{"inputs": {"b": [-]}}', b'{"inputs": {"b": [1e]}}'):
    add("H071", repr(bad), to("long"), bad, 400)
for literal in (b"NaN", b"Infinity", b"-Infinity"):
    one("long", literal, "H058", 400)
    add("H058", f"{literal!r} in v2", "/v2/models/long/infer", json.dumps(V2LONG).encode().replace(b'"data": [1]', b'"data": [%s]' % literal), 400)
one("single", b"NaN", "H058", 200, None)
for literal in (b"1e400", b"-1e400"):
    one("single", literal, "H059", 400)
    one("long", literal, "H059", 400)
one("long", b"9" * 5000, "H061", 400, what="5000 digits")
one("long", b"9" * (MIB - 100), "H062", 400, what="a megabyte of digits")
add("H065", "key twice in a record", to("long"), b'{"dataframe_records": [{"b": 1, "b": 2}]}', 400)
add("H068", "depth 70", to("free"), b'{"inputs": ' + b"[" * 70 + b"]" * 70 + b"}", 400)
add("H068", "depth 20", to("free"), b'{"inputs": ' + b"[" * 20 + b"1" + b"]" * 20 + b"}", 200)
one("text", "a\u0000b", "H070", 200, "a\u0000b")
add("H070", "NUL in a column", to("long"), b'{"inputs": {"b\\u0000": [1]}}', 400)
add("H073", "key of 1 MB", to("long"), {"inputs": {"b" * (MIB - 100): [1]}}, 400)
add("H073", "10^5 keys", to("long"), {"inputs": {str(at): 0 for at in range(80_000)}}, 400)
for name in ("__proto__", "__class__", "constructor"):
    add("H074", name, to("long"), {"inputs": {"b": [1], name: [2]}}, 200, [[1]])

# --- request shapes and schema -------------------------------------------------------------------------------------
R = to("rows")
GOOD = {"columns": ["a", "b", "s"], "data": [[1.5, 2, "x"]]}
add("H077", "none", R, {"x": 1}, 400)
add("H077", "two", R, {"inputs": {}, "instances": []}, 400)
for params in ([1], 1, "x", {"u": 1}, {"t": "x"}, {"t": None}, {"t": True}, {"t": [1]}):
    add("H079", f"params {params}", to("params"), {**LONG1, "params": params}, 400)
    add("H079", f"params {params} without any declared", to("long"), {**LONG1, "params": params}, 400)
add("H080", "params NaN", to("params"), b'{"inputs": {"b": [1]}, "params": {"t": NaN}}', (200, 400))
add("H080", "params good", to("params"), {**LONG1, "params": {"t": 1}}, 200, [[1]])
add("H080", "params null", to("long"), {**LONG1, "params": None}, 200, [[1]])
for columns in (7, None, [1, 2], [["a"]], [None], "abs", {}, ["a", "b", 1.5]):
    add("H082", f"columns {columns}", R, {"dataframe_split": {**GOOD, "columns": columns}}, 400)
add("H083", "duplicate columns", R, {"dataframe_split": {"columns": ["a", "a", "b", "s"], "data": [[1.0, 1.0, 2, "x"]]}}, 400)
add("H085", "short row", R, {"dataframe_split": {**GOOD, "data": [[1.5, 2, "x"], [1.5]]}}, 400, says="row 1")
add("H086", "long row", R, {"dataframe_split": {**GOOD, "data": [[1.5, 2, "x", 4]]}}, 400)
for index in ([], [1, 2], 5, "x"):
    add("H088", f"index {index}", R, {"dataframe_split": {**GOOD, "index": index}}, 400)
for index in ([7], [[1]], [None]):
    add("H088", f"index {index}", R, {"dataframe_split": {**GOOD, "index": index}}, 200, [[1.5, 2, "x"]])
add("H089", "extra key", R, {"dataframe_split": {**GOOD, "extra": 1}}, 400)
add("H091", "extra column", R, {"dataframe_records": [{"a": 1.5, "b": 2, "s": "x", "z": 0}]}, 200, [[1.5, 2, "x"]])
add("H092", "permuted", R, {"dataframe_split": {"columns": ["s", "a", "b"], "data": [["x", 1.5, 2]]}}, 200, [[1.5, 2, "x"]])
add("H094", "optional missing", to("optional"), {"dataframe_records": [{"a": 1.5}]}, 200, [[1.5, None]])
for body in ({"dataframe_split": {"columns": ["a", "b", "s"], "data": []}}, {"dataframe_records": []}, {"inputs": {"a": [], "b": [], "s": []}}, {"instances": []}):
    add("H095", f"no rows {body}", R, body, 200, [])
add("H095", "no rows, model fails", to("fails"), {"dataframe_records": []}, 200, [])
add("H097", "different keys", R, {"dataframe_records": [{"a": 1.5, "b": 2, "s": "x"}, {"a": 1.5}]}, 400)
add("H097", "different keys, optional", to("optional"), {"dataframe_records": [{"a": 1.5, "b": 2}, {"a": 2.5}]}, 200, [[1.5, 2], [2.5, None]])
for bad in (True, False, 2.5, 9223372036854775808, 18446744073709551616, -9223372036854775809, None, "1", "", [1], {}, 1e19):
    one("long", bad, "H098", 400)
for good, value in ((2.0, 2), (9223372036854775807, 9223372036854775807), (-9223372036854775808, -9223372036854775808), (0, 0), (b"-0", 0), (b"1e3", 1000)):
    one("long", good, "H100", 200, value)
for bad in ("1.5", "", "NaN", "1,5", True, [1.5], {}, 16777217, 1e39, -1e39):
    one("single", bad, "H107", 400)
for good, value in ((None, None), (1.5, 1.5), (16777216, 16777216.0), (b"0.1", 0.10000000149011612), (b"1e-50", 0.0)):
    one("single", good, "H106", 200, value)
for bad in (5, True, {"z": 1}, ["a"], None, 1.5):
    one("text", bad, "H109", 400)
for good in ("", "NA", "null", "é\U0001f600", "1", " x "):
    one("text", good, "H109", 200, good)
for bad in (1, 0, "true", None, "1", 1.0):
    one("flag", bad, "H110", 400)
one("flag", True, "H110", 200, True)
for bad in ("YQ", "Y Q==", "YQ==\n", "-_-_", "é", 1, None, "=", "YQ===", ["YQ=="]):
    one("bytes", bad, "H112", 400)
one("bytes", "YQ==", "H112", 200, "YQ==")
for bad in ("x", "2020-13-01", 5, True, "0000-01-01", "9999-12-31", "2020-01-01T25:00:00", "", "now", "NaT"):
    one("when", bad, "H112", 400)
for model, bad in (("lists", [1.5]), ("lists", [None]), ("lists", "x"), ("lists", [[1]]), ("lists", [True]), ("object", {}), ("object", {"p": 1, "z": 1}), ("object", {"p": "x"}), ("object", [1]), ("object", 1), ("map", {"k": "x"}), ("map", 5), ("map", {"k": None})):
    one(model, bad, "H113", (400, 200) if bad == {"k": None} else 400)
add("H113", "no list", to("lists"), {"dataframe_records": [{"l": 1}]}, 400)
one("lists", [1, 2], "H113", 200, [1, 2])
one("object", {"p": 1}, "H113", 200, {"p": 1})
add("H115", "unequal lengths", R, {"inputs": {"a": [1.5, 2.5], "b": [1], "s": ["x", "y"]}}, 400)
add("H115", "unequal lengths, no signature", to("free"), {"inputs": {"a": [1, 2], "b": [1]}}, 400)
add("H116", "mixed instances", R, {"instances": [{"a": 1.5, "b": 2, "s": "x"}, 5]}, 400)
add("H116", "mixed, no signature", to("free"), {"instances": [{"a": 1}, 5]}, 400)
add("H118", "10^5 columns", to("long"), {"dataframe_split": {"columns": [f"c{at}" for at in range(50_000)], "data": []}}, 400)
for body in ({"dataframe_split": 5}, {"dataframe_split": []}, {"dataframe_split": {"data": 5}}, {"dataframe_split": {"data": [5]}}, {"dataframe_split": {"data": [[1], [1, 2]]}}, {"dataframe_records": {}}, {"dataframe_records": [1]}, {"dataframe_records": [{"a": 1}, {}]}, {"dataframe_records": None}):
    for model in ("free", "rows", "tensor"):
        add("H119", f"{model} {body}", to(model), body, 400)
for body in ({"inputs": [[1, 2], [3]]}, {"inputs": 5}, {"inputs": [1]}, {"inputs": {"a": 1}}, {"inputs": [[1, "x"]]}, {"inputs": [[1, True]]}, {"inputs": [[[1, 2]]]}, {"inputs": [[16777217, 1]]}, {"inputs": [[1e39, 1]]}):
    add("H119", f"tensor {body}", to("tensor"), body, 400)
add("H119", "tensor null", to("tensor"), {"inputs": [[1, None]]}, 200, [[1.0, None]])
add("H121", "model raises", to("fails"), LONG1, 500)
add("H121", "model raises on v2", "/v2/models/fails/infer", V2LONG, 500)
add("H121", "model raises on v1", "/v1/models/fails:predict", {"instances": [1]}, 500)
add("H122", "NaN answers", to("nan"), LONG1, 200, [None, None, None, 0.5])
add("H122", "NaN answers on v2", "/v2/models/nan/infer", V2LONG, 200, [None, None, None, 0.5])
add("H124", "no JSON form", to("opaque"), LONG1, 500)
add("H125", "model leaves", to("leaves"), LONG1, 500)

# --- CSV -----------------------------------------------------------------------------------------------------------
for row, what, model, body, status, answer in [
    ("H127", "empty", "rows", b"", 400, ANY),
    ("H127", "newline", "rows", b"\n", 400, ANY),
    ("H128", "header only", "rows", b"a,b,s\n", 200, []),
    ("H130", "longer row", "rows", b"a,b,s\n1.5,2,x\n1.5,2,x,4\n", 400, ANY),
    ("H131", "short row", "rows", b"a,b,s\n1.5,2,x\n1.5\n", 400, ANY),
    ("H134", "underscore", "long", b"b\n1_000\n", 400, ANY),
    ("H134", "comma", "long", b'b\n"1,5"\n', 400, ANY),
    ("H134", "hex", "long", b"b\n0x10\n", 400, ANY),
    ("H134", "exponent", "long", b"b\n1e5\n", (200, 400), ANY),
    ("H134", "spaces", "long", b"b\n 1\n", (200, 400), ANY),
    ("H134", "fraction", "long", b"b\n1.5\n", 400, ANY),
    ("H134", "beyond", "long", b"b\n9223372036854775808\n", 400, ANY),
    ("H134", "other digits", "long", "b\n١\n".encode(), 400, ANY),
    ("H136", "semicolons", "rows", b"a;b;s\n1.5;2;x\n", 400, ANY),
    ("H136", "tabs", "rows", b"a\tb\ts\n1.5\t2\tx\n", 400, ANY),
    ("H137", "unclosed quote", "text", b's\n"x\n', 400, ANY),
    ("H137", "quote inside", "text", b's\n"x""y"\n', 200, [['x"y']]),
    ("H137", "newline inside", "text", b's\n"x\ny"\n', 200, [["x\ny"]]),
    ("H137", "CR only", "text", b"s\rx\ry\r", 200, [["x"], ["y"]]),
    ("H139", "latin-1", "text", "s\né\n".encode("latin-1"), 400, ANY),
    ("H139", "NUL", "text", b"s\na\x00b\n", (200, 400), ANY),
    ("H140", "long field", "text", b"s\n" + b"x" * 900_000 + b"\n", (200, 400, 413), ANY),
    ("H140", "10^5 columns", "text", b",".join(b"c%d" % at for at in range(100_000)) + b"\n", 400, ANY),
    ("H083", "columns twice", "text", b"s,s\nx,y\n", 400, ANY),
    ("H131", "tensor short", "tensor", b"x,y\n1,2\n3\n", 400, ANY),
    ("H131", "tensor", "tensor", b"x,y\n1,2\n", 200, [[1.0, 2.0]]),
]:
    add(row, f"CSV {what}", to(model), body, status, answer, **typed(CSV))
for word in ("NA", "null", "None", "nan", "007"):
    add("H133", word, to("text"), f"s\n{word}\n".encode(), 200, [[word]], **typed(CSV))
add("H133", "empty, optional", to("maybe"), b"s,a\n,1.5\n", 200, [[None, 1.5]], **typed(CSV))


# --- npy, Arrow, Parquet -------------------------------------------------------------------------------------------
def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def npy_header(text, data=b""):
    head = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


GOOD_NPY = npy(np.array([[1.5, 2.5], [3.5, 4.5]], dtype=np.float32))
GRID = [[1.5, 2.5], [3.5, 4.5]]
for row, what, body, status, answer in [
    ("H142", "empty", b"", 400, ANY),
    ("H142", "garbage", b"\x00" * 100, 400, ANY),
    ("H151", "pickle", npy(np.array([[1, "x"]], dtype=object)), 400, ANY),
    ("H152", "2^40 rows", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 2)}", b"\x00" * 8), 400, ANY),
    ("H152", "overflowing", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"), 400, ANY),
    ("H152", "negative", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}"), 400, ANY),
    ("H152", "empty but huge", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904)}"), 400, ANY),
    ("H154", "trailing", GOOD_NPY + b"x", 400, ANY),
    ("H154", "short", GOOD_NPY[:-1], 400, ANY),
    ("H154", "Fortran order", npy(np.asfortranarray(np.array(GRID, dtype=np.float32))), 200, GRID),
    ("H154", "big-endian", npy(np.array(GRID, dtype=">f4")), 200, GRID),
    ("H154", "double", npy(np.array(GRID)), 200, GRID),
    ("H154", "too large a double", npy(np.array([[1e39, 1]])), 400, ANY),
    ("H154", "structured", npy(np.array([(1, 2)], dtype=[("a", "f4"), ("b", "f4")])), 400, ANY),
    ("H154", "text", npy(np.array([["a", "b"]])), 400, ANY),
    ("H154", "moments", npy(np.array([["2020", "2021"]], dtype="M8[D]")), 400, ANY),
    ("H154", "bool 7", npy_header("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2)}", b"\x07\x01"), 400, ANY),
    ("H154", "no character", npy_header("{'descr': '<U1', 'fortran_order': False, 'shape': (1, 2)}", b"\xff" * 8), 400, ANY),
    ("H155", "header length", b"\x93NUMPY\x02\x00\xff\xff\xff\x3f{", 400, ANY),
    ("H155", "code", npy_header("__import__('os').system('true')"), 400, ANY),
    ("H155", "parentheses", npy_header("(" * 3000), 400, ANY),
    ("H155", "version 9", b"\x93NUMPY\x09\x00" + GOOD_NPY[8:], 400, ANY),
    ("H154", "good", GOOD_NPY, 200, GRID),
]:
    add(row, f"npy {what}", to("tensor"), body, status, answer, **typed(NPY))
for at in range(0, len(GOOD_NPY), 16):
    add("H142", f"npy cut at {at}", to("tensor"), GOOD_NPY[:at], 400, **typed(NPY))


def arrow_cases():
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    def stream(table, **options):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    def file(table):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    def parquet(table, **options):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, **options)
        return bytes(sink.getvalue())

    good = pa.table({"a": [1.5], "b": [2], "s": ["x"]})
    text = stream(good)
    for kind, body in ((ARROW, text), (PARQUET, parquet(good))):
        add("H142", f"{kind} good", R, body, 200, [[1.5, 2, "x"]], **typed(kind))
        for junk in (b"", b"x" * 100, b"\x00" * 64, b"PAR1PAR1", b"\xff" * 64, b"\xff\xff\xff\xff\xff\xff\xff\x7f"):
            add("H142", f"{kind} {junk[:4]!r}", R, junk, 400, **typed(kind))
        for at in range(64, len(body), 64):
            add("H142", f"{kind} cut at {at}", R, body[:at], (200, 400) if kind == ARROW and at > len(body) - 64 else 400, **typed(kind))
    add("H143", "Arrow file", R, file(good), 400, **typed(ARROW))
    for name in (b"arrow.py_extension_type", b"somebody.own"):
        field = pa.field("a", pa.float64(), metadata={b"ARROW:extension:name": name, b"ARROW:extension:metadata": b"cos\nsystem\n(S'true'\ntR."})
        extended = pa.table([pa.array([1.5]), pa.array([2]), pa.array(["x"])], schema=pa.schema([field, ("b", pa.int64()), ("s", pa.string())]))
        add("H145", name.decode(), R, stream(extended), 400, **typed(ARROW))
    packed = stream(pa.table({"b": np.zeros(100_000, dtype=np.int64)}), compression="zstd")
    at = packed.index((800_000).to_bytes(8, "little"))
    bomb = packed[:at] + (100 * 1024**3).to_bytes(8, "little") + packed[at + 8 :]
    add("H146", "declares 100 GB", to("long"), bomb, 413, **typed(ARROW))
    add("H146", "compressed", to("long"), stream(pa.table({"b": [1, 2]}), compression="lz4"), 200, [[1], [2]], **typed(ARROW))
    for kind, write in ((ARROW, stream), (PARQUET, parquet)):
        for what, column in {
            "nulls": pa.array([1, None]),
            "uint64": pa.array([2**63], pa.uint64()),
            "decimal": pa.array([1], pa.decimal128(5, 2)),
            "fraction": pa.array([1.5]),
            "bool": pa.array([True]),
            "text": pa.array(["1"]),
            "lists": pa.array([[1]]),
            "duration": pa.array([1], pa.duration("s")),
        }.items():
            add("H148", f"{kind} {what} into long", to("long"), write(pa.table({"b": column})), 400, **typed(kind))
        add("H148", f"{kind} moment out of range", to("when"), write(pa.table({"t": pa.array([2**50], pa.timestamp("ms"))})), 400, **typed(kind))
        add("H148", f"{kind} moment", to("when"), write(pa.table({"t": pa.array([1], pa.timestamp("ms", tz="Europe/Oslo"))})), 200, **typed(kind))
        add("H148", f"{kind} float32 range", to("single"), write(pa.table({"f": [1e39]})), 400, **typed(kind))
        add("H148", f"{kind} dictionary", to("text"), write(pa.table({"s": pa.array(["x", "y", "x"]).dictionary_encode()})), 200, [["x"], ["y"], ["x"]], **typed(kind))
        add("H095", f"{kind} no rows", to("long"), write(pa.table({"b": pa.array([], pa.int64())})), 200, [], **typed(kind))
        add("H083", f"{kind} columns twice", to("free"), write(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])) if kind == ARROW else b"x", 400, **typed(kind))
    add("H148", "a view", to("text"), stream(pa.table({"s": pa.array(["x"], pa.string_view())})), 400, **typed(ARROW))
    add("H148", "nothing per row", to("free"), stream(pa.table({"n": pa.nulls(10_000_000)})), 400, **typed(ARROW))
    add("H149", "Parquet bomb", to("long"), parquet(pa.table({"b": pa.array(np.zeros(50_000_000, dtype=np.int64))}), compression="snappy", row_group_size=50_000_000), 413, **typed(PARQUET))
    add("H149", "zstd", to("long"), parquet(pa.table({"b": [1]}), compression="zstd"), 400, **typed(PARQUET))
    wide = pa.table({"s": pa.array(["x" * 500_000] * 3 + ["y"])})
    add("H149", "Parquet dictionary", to("text"), parquet(wide), 200, **typed(PARQUET))


arrow_cases()


# --- Open Inference V2 ---------------------------------------------------------------------------------------------
def v2(model="whole", name="x", shape=(1, 2), datatype="INT64", data=ANY, **more):
    tensor = {"name": name, "shape": list(shape), "datatype": datatype, **({} if data is ANY else {"data": data})}
    return f"/v2/models/{model}/infer", {"inputs": [{**tensor, **more}]}


def v2_cases():
    for row, what, (path, body), status, answer in [
        ("H157", "negative", v2(shape=[-1, 2], data=[1, 2]), 400, ANY),
        ("H158", "too few", v2(shape=[3, 2], data=[1, 2, 3, 4]), 400, ANY),
        ("H158", "too many", v2(shape=[1, 2], data=[1, 2, 3, 4]), 400, ANY),
        ("H160", "2^40 x 2^40", v2(shape=[2**40, 2**40], data=[1]), 400, ANY),
        ("H160", "2^32 x 2^32", v2(shape=[2**32, 2**32], data=[]), 400, ANY),
        ("H160", "0 x 2^62", v2(shape=[0, 2**62], data=[]), 400, ANY),
        ("H160", "2^64", v2(shape=[2**64], data=[1]), 400, ANY),
        ("H160", "10^5 axes", v2(shape=[1] * 100_000, data=[1]), 400, ANY),
        ("H160", "text in shape", v2(shape=["1", 2], data=[1, 2]), 400, ANY),
        ("H160", "true in shape", v2(shape=[True, 2], data=[1, 2]), 400, ANY),
        ("H161", "scalar", v2(shape=[], data=[1]), 400, ANY),
        ("H161", "empty", v2(shape=[0, 2], data=[]), 200, []),
        ("H163", "BF16", v2(datatype="BF16", data=[1, 2]), 400, ANY),
        ("H163", "FP16", v2("tensor", datatype="FP16", data=[1.5, 2]), 200, [1.5, 2.0]),
        ("H163", "FP16 range", v2("tensor", datatype="FP16", data=[70000, 2]), 400, ANY),
        ("H164", "INT8 300", v2(datatype="INT8", data=[300, 1]), 400, ANY),
        ("H164", "UINT8 -1", v2(datatype="UINT8", data=[-1, 1]), 400, ANY),
        ("H164", "INT64 2^63", v2(data=[2**63, 1]), 400, ANY),
        ("H164", "UINT64 2^64", v2(datatype="UINT64", data=[2**64, 1]), 400, ANY),
        ("H164", "UINT64 2^63 into long", v2(datatype="UINT64", data=[2**63, 1]), 400, ANY),
        ("H164", "2.5", v2(data=[2.5, 1]), 400, ANY),
        ("H164", "2.0", v2(data=[2.0, 1]), 200, [2, 1]),
        ("H164", "FP64 2.5 into long", v2(datatype="FP64", data=[2.5, 1]), 400, ANY),
        ("H166", "BOOL 7", v2("flag", "f", [1], "BOOL", [7]), 400, ANY),
        ("H166", "BOOL 0", v2("flag", "f", [1], "BOOL", [0]), 400, ANY),
        ("H166", "BOOL text", v2("flag", "f", [1], "BOOL", ["true"]), 400, ANY),
        ("H166", "BOOL", v2("flag", "f", [1], "BOOL", [True]), 200, [True]),
        ("H166", "INT8 into boolean", v2("flag", "f", [1], "INT8", [1]), 400, ANY),
        ("H167", "abc", v2("tensor", datatype="FP32", data=["abc", 1]), 400, ANY),
        ("H167", "1.5 as text", v2("tensor", datatype="FP32", data=["1.5", 1]), 400, ANY),
        ("H167", "1e39", v2("tensor", datatype="FP32", data=[1e39, 1]), 400, ANY),
        ("H167", "FP64 1e39 into float32", v2("tensor", datatype="FP64", data=[1e39, 1]), 400, ANY),
        ("H167", "2^24+1", v2("tensor", datatype="FP32", data=[2**24 + 1, 1]), 400, ANY),
        ("H167", "true", v2("tensor", datatype="FP32", data=[True, 1]), 400, ANY),
        ("H167", "null", v2("tensor", datatype="FP32", data=[None, 1]), 200, [None, 1.0]),
        ("H169", "nested otherwise", v2(shape=[1, 2], data=[[1], [2]]), 400, ANY),
        ("H169", "nested", v2(shape=[2, 2], data=[[1, 2], [3, 4]]), 200, [1, 2, 3, 4]),
        ("H169", "ragged", v2(shape=[2, 2], data=[[1, 2, 3], [4]]), 400, ANY),
        ("H169", "deeper", v2(shape=[1, 2], data=[[[1], [2]]]), 400, ANY),
        ("H169", "mixed", v2(shape=[1, 2], data=[1, [2]]), 400, ANY),
        ("H169", "scalar", v2(data=5), 400, ANY),
        ("H169", "object", v2(data={"a": 1}), 400, ANY),
        ("H169", "text", v2(data="12"), 400, ANY),
        ("H169", "null", v2(data=None), 400, ANY),
        ("H169", "missing", v2(), 400, ANY),
        ("H169", "BYTES number", v2("text", "s", [1], "BYTES", [5]), 400, ANY),
        ("H169", "BYTES", v2("text", "s", [1], "BYTES", ["é"]), 200, ["é"]),
        ("H169", "BYTES into long", v2("long", "b", [1], "BYTES", ["5"]), 400, ANY),
        ("H169", "INT64 into string", v2("text", "s", [1], "INT64", [5]), 400, ANY),
        ("H169", "base64", v2("bytes", "x", [1], "BYTES", ["YQ="]), 400, ANY),
        ("H172", "tensor content_type", v2(data=[1, 2], parameters={"content_type": "nope"}), 400, ANY),
        ("H172", "tensor parameters", v2(data=[1, 2], parameters=5), 400, ANY),
        ("H172", "shared memory", v2(data=[1, 2], parameters={"shared_memory_region": "x"}), 400, ANY),
        ("H173", "no binary part", v2(parameters={"binary_data_size": 16}), 400, ANY),
        ("H173", "negative", v2(parameters={"binary_data_size": -1}), 400, ANY),
        ("H173", "too large", v2(parameters={"binary_data_size": 2**70}), 400, ANY),
        ("H173", "text", v2(parameters={"binary_data_size": "16"}), 400, ANY),
        ("H173", "and data", v2(data=[1, 2], parameters={"binary_data_size": 0}), 400, ANY),
        ("H178", "no rows", v2("long", "b", [0], data=[]), 200, []),
        ("H157", "no name", v2(name="", data=[1, 2]), 400, ANY),
        ("H157", "name is a number", v2(name=5, data=[1, 2]), 400, ANY),
        ("H157", "datatype int", v2(datatype="int64", data=[1, 2]), 400, ANY),
        ("H157", "datatype list", v2(datatype=[], data=[1, 2]), 400, ANY),
        ("H157", "another column", v2("long", "c", [1], data=[1]), 400, ANY),
        ("H157", "three axes", v2("long", "b", [1, 1, 2], data=[1, 2]), 400, ANY),
        ("H157", "(n, 1)", v2("long", "b", [2, 1], data=[1, 2]), 200, [1, 2]),
        ("H157", "list column", v2("lists", "l", [2, 2], data=[1, 2, 3, 4]), 200, [1, 2, 3, 4]),
        ("H157", "unequal rows", ("/v2/models/optional/infer", {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.5]}, {"name": "b", "shape": [2], "datatype": "INT64", "data": [1, 2]}]}), 400, ANY),
        ("H157", "name twice", ("/v2/models/long/infer", {"inputs": V2LONG["inputs"] * 2}), 400, ANY),
    ]:
        add(row, f"v2 {what}", path, body, status, answer)
    for inputs in ([], None, {}, 5, [5], [None], [[]], "x"):
        add("H170", f"inputs {inputs}", "/v2/models/long/infer", {"inputs": inputs}, 400)
    add("H170", "no inputs", "/v2/models/long/infer", {}, 400)
    path = "/v2/models/long/infer"
    for identity in (5, "x" * MIB, "a\r\nSet-Cookie: x", "a b", "é", {}, [], True, '"'):
        add("H175", f"id {str(identity)[:20]}", path, {**V2LONG, "id": identity}, (400, 413))
    for parameters in (5, [], {"content_type": "nope"}, {"content_type": 5}, {"unknown": 1}, {"binary_data_output": 1}, {"binary_data_output": "yes"}):
        add("H172", f"parameters {parameters}", path, {**V2LONG, "parameters": parameters}, 400)
    for outputs in (5, {}, [5], [{}], [{"name": 5}], [{"name": "nope"}], [{"name": "predict"}] * 2, [{"name": "predict", "parameters": 5}], [{"name": "predict", "parameters": {"binary_data": 1}}], [{"name": "predict", "parameters": {"classification": 3}}]):
        add("H176", f"outputs {outputs}", path, {**V2LONG, "outputs": outputs}, 400)
    for path in ("/v2/models/nope/infer", "/v2/models/long/versions/2/infer", "/v2/models/long/versions/1/infer/", "/v2/models//infer"):
        add("H176", path, path, V2LONG, 404)
    head = json.dumps({"inputs": [{"name": "b", "shape": [2], "datatype": "INT64", "parameters": {"binary_data_size": 16}}]}).encode()
    tail = np.array([1, -5], dtype="<i8").tobytes()
    for what, body, length, status, answer in [
        ("good", head + tail, len(head), 200, [1, -5]),
        ("no header", head + tail, None, 400, ANY),
        ("one byte less", head + tail[:-1], len(head), 400, ANY),
        ("one byte more", head + tail + b"x", len(head), 400, ANY),
        ("length beyond", head + tail, len(head + tail) + 1, 400, ANY),
        ("length short", head + tail, len(head) - 1, 400, ANY),
        ("length long", head + tail, len(head) + 1, 400, ANY),
        ("raw", tail, 0, 200, [1, -5]),
        ("raw, nothing", b"", 0, 200, []),
        ("raw, odd", tail[:-1], 0, 400, ANY),
    ]:
        headers = {"content-type": "application/octet-stream"}
        if length is not None:
            headers[LENGTH] = str(length)
        as_json = ANY if what in {"raw", "raw, nothing"} else answer
        add("H173", f"binary {what}", "/v2/models/long/infer", body, status, as_json, headers=headers)
    for length in ("-1", "+3", "1_0", "abc", " ", "9" * 30, "0x10", "1.0", "٣"):
        add("H173", f"length {length}", "/v2/models/long/infer", head + tail, 400, headers={"content-type": JSON, LENGTH: length})
    for what, size, data, status in [("length beyond", 5, b"\xff\xff\xff\xffx", 400), ("cut", 3, b"\x01\x00\x00", 400), ("not UTF-8", 5, b"\x01\x00\x00\x00\xff", 400), ("two", 8, bytes(8), 400), ("one", 5, b"\x01\x00\x00\x00x", 200)]:
        text = json.dumps({"inputs": [{"name": "s", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}]}).encode()
        add("H173", f"BYTES {what}", "/v2/models/text/infer", text + data, status, ["x"] if status == 200 else ANY, headers={"content-type": JSON, LENGTH: str(len(text))})
    flag = json.dumps({"inputs": [{"name": "f", "shape": [1], "datatype": "BOOL", "parameters": {"binary_data_size": 1}}]}).encode()
    add("H166", "BOOL byte 7", "/v2/models/flag/infer", flag + b"\x07", 400, headers={"content-type": JSON, LENGTH: str(len(flag))})


v2_cases()

# --- V1 ------------------------------------------------------------------------------------------------------------
P = "/v1/models/long:predict"
for body, status, answer in [
    ({"instances": [1], "inputs": [1]}, 400, ANY),
    ({"instances": None}, 400, ANY),
    ({"instances": 5}, 200, [[5]]),
    ({"instances": {}}, 400, ANY),
    ({"instances": [1, "x"]}, 400, ANY),
    ({"instances": [1], "signature_name": 5}, 400, ANY),
    ({"instances": [1], "signature_name": "nope"}, 400, ANY),
    ({"instances": [1], "parameters": [1]}, 400, ANY),
    ({"instances": [1], "parameters": {"x": 1}}, 400, ANY),
    ({"instances": [1, 2]}, 200, [[1], [2]]),
    ({"inputs": {"b": [1, 2]}}, 200, [[1], [2]]),
    ({"instances": [{"b": {"b64": "YQ=="}}]}, 400, ANY),
]:
    add("H077", f"v1 {body}", P, body, status, answer)
add("H112", "v1 b64", "/v1/models/bytes:predict", {"instances": [{"x": {"b64": "YQ=="}}]}, 200, [["YQ=="]])
add("H112", "v1 bad b64", "/v1/models/bytes:predict", {"instances": [{"x": {"b64": "Y Q"}}]}, 400)
for path in ("/v1/models/nope:predict", "/v1/models/long:explain", "/v1/models/long/labels/x:predict", "/v1/models/long:predict:predict"):
    add("H176", path, path, {"instances": [1]}, 404)
for identity in ("a\r\nSet-Cookie: x", "x" * 5000, "a b", "é"):
    add("H037", f"X-Request-Id {identity[:20]!r}", to("long"), LONG1, (200, 400, 431), **typed(JSON, **{"x-request-id": identity}))


# fmt: on
# --- asking --------------------------------------------------------------------------------------------------------
def headers_of(case):
    headers = {"content-type": JSON} if case.body is not None and case.method == "POST" else {}
    headers |= case.headers
    headers = {name: value for name, value in headers.items() if value}
    return headers | ({"content-length": str(len(case.body))} if case.body is not None else {})


def ask_wsgi(app, case):
    environ = {
        "REQUEST_METHOD": case.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(case.path).decode("latin-1"),
        "QUERY_STRING": case.query,
        "wsgi.input": io.BytesIO(case.body or b""),
    }
    for name, value in headers_of(case).items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value.encode().decode(
            "latin-1"
        )
    started = []
    parts = list(app(environ, lambda status, headers, exc_info=None: started.append((status, headers))))
    [(status, headers)] = started
    return int(status[:3]), {name.lower(): value for name, value in headers}, b"".join(parts)


def ask_asgi(app, case):
    messages = [{"type": "http.request", "body": case.body or b"", "more_body": False}]
    sent = []

    async def receive():
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in headers_of(case).items()]
    path = unquote_to_bytes(case.path).decode("utf-8", "replace")
    scope = {
        "type": "http",
        "method": case.method,
        "path": path,
        "root_path": "",
        "query_string": case.query.encode(),
        "headers": headers,
    }
    asyncio.run(app(scope, receive, send))
    got = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, b"".join(message["body"] for message in sent[1:])


def check(case, answer):
    """The answer is one of those the table allows, says nothing it must not, and changes no value."""
    status, headers, body = answer
    assert status in case.status, (status, body[:300])
    assert b"Traceback" not in body and b"secret" not in body and b"\n  File" not in body
    assert "set-cookie" not in headers
    if status == 204:
        assert body == b"" and headers["allow"]
        return
    if case.method == "HEAD" or (LENGTH in headers):
        return
    parsed = json.loads(body, parse_constant=lambda literal: pytest.fail(f"{literal} is no JSON"))
    if status >= 400:
        assert set(parsed) == {"error_code", "message", "error", "request_id", "problems"}
        assert parsed["error"] == parsed["message"] and "\n" not in parsed["message"]
        assert parsed["request_id"] == headers["x-request-id"]
        assert len(parsed["message"]) < 2500 and len(parsed["problems"]) <= 20
        assert case.says in parsed["message"]
        assert not re.search(r"(object has no attribute|unsupported operand|NoneType)", parsed["message"])
        assert (status == 405) == ("allow" in headers)
    elif case.answer is not ANY:
        value = parsed["predictions"] if "predictions" in parsed else parsed["outputs"][0]["data"]
        assert value == case.answer


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def app(request):
    made = runpy.run_path(str(SERVED))[request.param]()
    with made:
        made.load()
        yield (ask_wsgi if request.param == "wsgi" else ask_asgi), made


@pytest.mark.parametrize("row", sorted({case.row for case in CASES}))
def test_bad_requests_are_answered_as_the_table_says(app, row, caplog):
    ask, made = app

    for case in (case for case in CASES if case.row == row):
        caplog.clear()
        with caplog.at_level(logging.DEBUG):
            try:
                check(case, ask(made, case))
            except BaseException as error:
                error.add_note(str(case))
                raise
        failed = [record for record in caplog.records if record.exc_info]
        assert bool(failed) == (500 in case.status), (str(case), failed)


def test_both_skins_give_the_same_answers():
    served = runpy.run_path(str(SERVED))
    with served["wsgi"]() as wsgi, served["asgi"]() as asgi:
        for case in CASES:
            same = replace(case, headers={"x-request-id": "same"} | case.headers)
            first, second = ask_wsgi(wsgi, same), ask_asgi(asgi, same)

            assert first[0] == second[0], str(case)
            assert first[2] == second[2] or case.row == "H037", str(case)


def test_the_count(capsys):
    rows = {case.row for case in CASES}
    with capsys.disabled():
        print(f"\n{len(CASES)} hostile cases of {len(rows)} rows, each through WSGI and ASGI")

    assert len(CASES) > 1000


def ask_server(port, method, target, headers, body):
    """The answer of a real server, also where it comes before the whole body was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, target)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body or b"")
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.slow
def test_a_real_server_answers_them_all_and_stays_up():
    pytest.importorskip("granian")
    process = subprocess.Popen(
        [sys.executable, str(SERVED)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        port = int(re.search(r":(\d+) with", process.stdout.readline())[1])
        asked = 0
        for case in CASES:
            headers = headers_of(case)
            if any("\r" in value or not value.isascii() for value in headers.values()) or " " in case.path:
                continue  # the client refuses to send them
            path = case.path if case.path.isascii() else "/" + "%d9%a1"
            got = ask_server(
                port, case.method, path + ("?" + case.query if case.query else ""), headers, case.body
            )
            asked += 1
            if got[0] in {400, 404, 414, 431} and got[2][:1] != b"{":
                continue  # the server itself refused what is no HTTP
            check(case, got)
        print(f"{asked} hostile cases through granian")
        assert process.poll() is None
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert errors.count("Traceback (most recent call last)") <= 2 * sum(500 in case.status for case in CASES)
