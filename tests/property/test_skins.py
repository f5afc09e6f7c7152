"""WSGI and ASGI give the same answer, byte for byte, whatever is sent."""

from __future__ import annotations

import asyncio
import io
import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelserving.flavor import Traits
from modelserving.serving.app import create_app, create_asgi_app
from modelserving.serving.limits import Limits
from modelserving.signature.rows import Rows
from modelserving.signature.schema import Schema, Signature, TensorSpec


class Sums:
    name, version, digest = "sums", 1, None
    signature = Signature(inputs=Schema((TensorSpec("float64", (-1, 2)),)))
    traits = Traits(rows_independent=True)

    def predict_rows(self, data, params, *, method=None):
        array = data.array() if isinstance(data, Rows) else np.asarray(data.value)
        return array.sum(axis=1)


LIMITS = Limits(body=4096)


@pytest.fixture(scope="module")
def apps():
    with create_app(Sums(), limits=LIMITS) as wsgi, create_asgi_app(Sums(), limits=LIMITS) as asgi:
        yield wsgi, asgi


def by_wsgi(app, method, path, query, headers, body):
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    started = []
    sent = b"".join(app(environ, lambda status, answered: started.append((int(status[:3]), answered))))
    [(status, answered)] = started
    return status, {name.lower(): value for name, value in answered}, sent


def by_asgi(app, method, path, query, headers, body, cuts=()):
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    parts = [body[first:last] for first, last in pairwise(bounds)]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages[-1]["more_body"] = False
    sent = []

    async def receive():
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    answered = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], answered, b"".join(message["body"] for message in rest)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
good_rows = st.lists(
    st.lists(st.floats(allow_nan=False, width=32), min_size=2, max_size=2), min_size=1, max_size=4
)
bodies = (
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps({"inputs": value}).encode())
    | good_rows.map(lambda rows: json.dumps({"inputs": rows}).encode())
)
content_types = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/Json",
        "text/csv",
        "text/plain",
        "",
        "a, b",
        None,
    ]
)
methods = st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT", "post", "TRACE"])
paths = st.sampled_from(
    ["/invocations", "/invocations", "/invocations", "/ping", "/version", "*", "//", "/é"]
)
lengths = st.none() | st.sampled_from(["-1", "+3", "abc", "0", "9" * 30, "chunked"]) | st.integers(-3, 5000)


@settings(max_examples=250, deadline=None)
@given(
    methods,
    paths,
    st.sampled_from(["", "", "x=1", "x" * 5000]),
    content_types,
    lengths,
    bodies,
    st.lists(st.integers(0, 99), max_size=3),
)
@example("POST", "/invocations", "", "application/json", None, b'{"inputs": [[1.0, 2.0]]}', [])
@example("POST", "/invocations", "", "application/json", "chunked", b'{"inputs": [[1.0, 2.0]]}', [3, 9])
@example("POST", "/invocations", "", "application/json", 0, b"", [])
@example("POST", "/invocations", "", "application/json", "chunked", b" " * 5000, [50])
def test_both_skins_give_the_same_answer_and_it_is_never_a_server_error(
    apps, method, path, query, content_type, length, body, cuts
):
    headers = {"x-request-id": "same"}
    if content_type:
        headers["content-type"] = content_type
    if length == "chunked":
        headers["transfer-encoding"] = "chunked"
    else:  # an integer is a body that is shorter or longer than it says
        headers["content-length"] = (
            length if isinstance(length, str) else str(len(body) + max(0, length or 0))
        )
    wsgi, asgi = apps

    status, answered, sent = by_wsgi(wsgi, method, path, query, headers, body)
    other = by_asgi(asgi, method, path, query, headers, body, cuts)

    assert (status, sent) == (other[0], other[2])
    if method == "HEAD":
        other[1].pop("content-length", None)  # allowed to be left out, and has to be for some WSGI checkers
    assert answered == other[1]
    assert status < 500
    assert not sent or json.loads(sent, parse_constant=pytest.fail) is not None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=20))
def test_nothing_a_client_sends_comes_back_unescaped(apps, path, sent_id):
    headers = {"x-request-id": sent_id.encode("utf-8", "replace").decode("latin-1")}
    wsgi, _ = apps

    status, answered, sent = by_wsgi(
        wsgi, "GET", "/" + path.encode("utf-8", "replace").decode(), "", headers, b""
    )

    assert sent.isascii()
    assert len(sent) < 1000
    assert all(value.isascii() and value.isprintable() for value in answered.values())
    assert status in {200, 404, 405}
