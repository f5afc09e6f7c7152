"""An app that knows a secret, and every request that a hostile client might send it."""

import io
import itertools
import json

import numpy as np
import pytest

from modelserving import create_app, log_model

CANARY = "hunter2-canary"
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "x\r\ny",
]
SCRIPT = "<script>alert(1)</script>"
BODIES = {
    "rows": b'{"inputs": [[1.0, 2.0]]}',
    "the row that fails": b'{"inputs": [[13.0, 0.0]]}',
    "nothing": b"",
    "script": json.dumps({SCRIPT: [[1.0]]}).encode(),
    "control characters": json.dumps({"inputs": [["\r\nX: y\x1b[31m\x00\u2028"]]}).encode(),
    "no JSON": b"\xff\xfe{",
    "deep": b"[" * 100_000,
    "digits": b'{"inputs": [[' + b"9" * 6000 + b"]]}",
    "a path": json.dumps({"inputs": "/etc/passwd", "model_uri": "http://127.0.0.1:9/x"}).encode(),
}
TYPES = [
    "application/json",
    "text/csv",
    "application/x-pickle",
    "application/octet-stream",
    SCRIPT,
    "text/html",
    None,
]


class Secretive:
    """A model that knows a secret and puts it into what it raises."""

    def __init__(self):
        self.password = CANARY

    def predict(self, rows):
        if (rows == 13).any():
            raise RuntimeError(f"cannot reach postgres://admin:{self.password}@db\n  File {__file__!r}")
        return rows.sum(axis=1)


@pytest.fixture
def secret():
    """A word that stands in the model, its errors, its environment and its paths."""
    return CANARY


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp(f"{CANARY}-home")


@pytest.fixture
def app(home, monkeypatch):
    """An app whose store, environment, model and errors all hold the secret."""
    monkeypatch.setenv("MODELSERVING_STORE", str(home / "store"))
    monkeypatch.setenv("DATABASE_PASSWORD", CANARY)
    info = log_model(
        Secretive(), "secretive", registered_model_name="Secretive", input_example=np.ones((2, 2))
    )
    with create_app(info.model_uri) as app:
        app.load()
        yield app


def ask(app, method, path, body=b"", content_type="application/json", headers=(), query=""):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "",
        "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
        **({"CONTENT_TYPE": content_type} if content_type is not None else {}),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers},
    }  # fmt: skip
    started = []
    parts = app(environ, lambda status, sent, exc_info=None: started.append((status, sent)))
    content = b"".join(parts)
    [(status, sent)] = started
    return int(status[:3]), dict(sent), content, sent


def every_answer(app):
    paths = [
        *app.app.routes,
        "/",
        "/nowhere",
        f"/{SCRIPT}",
        "/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/ping/",
        "//ping",
    ]
    for method, path in itertools.product(METHODS, paths):
        yield (
            (method, path),
            ask(app, method, path, BODIES["rows"] if method in {"POST", "PUT", "PATCH"} else b""),
        )
    posts = [path for path, route in app.app.routes.items() if route.post is not None]
    for path, (name, body), kind in itertools.product(posts, BODIES.items(), TYPES):
        yield (path, name, kind), ask(app, "POST", path, body, kind)
    for value in (SCRIPT, "a\x1b[31m", "x" * 5000, CANARY[:4] + "\x85", "../../x"):
        sent = [
            (name, value)
            for name in ("x-request-id", "host", "accept", "user-agent", "origin", "x-forwarded-for")
        ]
        yield ("headers", value), ask(app, "POST", "/invocations", BODIES["rows"], headers=sent)
        yield ("query", value), ask(app, "GET", "/ping", query=value)


@pytest.fixture
def answers(app):
    """What is asked, and (status, headers, body, headers as sent) of the answer, for some 400 requests."""
    return every_answer(app)
