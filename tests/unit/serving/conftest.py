"""A model whose answer is the sum of each row, and the two ways to ask an app."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from modelserving.flavor import Traits
from modelserving.serving.app import create_app, create_asgi_app
from modelserving.signature.rows import Rows
from modelserving.signature.schema import Schema, Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JSON = "application/json"


class FakeModel:
    """What ``load_model`` gives, as far as serving looks."""

    def __init__(self, predict: Callable[..., object] | None = None, **traits: object) -> None:
        self.name, self.version, self.digest = "sums", 3, "sha256:" + "0" * 64
        self.signature = Signature(inputs=Schema((TensorSpec("float64", (-1, 2)),)))
        self.traits = Traits(**traits)
        self.predict = predict or (lambda array: array.sum(axis=1))
        self.calls: list[int] = []
        self.threads: set[str] = set()

    def predict_rows(self, data, params, *, method=None):
        array = data.array() if isinstance(data, Rows) else np.asarray(data.value)
        self.calls.append(len(array))
        self.threads.add(threading.current_thread().name)
        return self.predict(array)


class FakeResolved:
    """What ``resolve`` gives: to be loaded in each process."""

    def __init__(self, load: Callable[[], object] = FakeModel) -> None:
        described = FakeModel()
        self.name, self.version, self.digest = described.name, described.version, described.digest
        self.signature, self.flavor_name = described.signature, "fake"
        self.loads, self._load = 0, load

    def load(self, *, verify=False):
        self.loads += 1
        return self._load()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Client:
    """Asks through one skin; ``length`` overrides the Content-Length, None leaves it out."""

    skin: str
    opened: list = field(default_factory=list)

    def app(self, model, **options):
        make = create_app if self.skin == "wsgi" else create_asgi_app
        app = make(model, **options)
        self.opened.append(app)
        return app

    def ask(self, app, path="/invocations", body=b"", *, method=None, headers=None, length=..., query=""):
        method = method or ("POST" if body else "GET")
        headers = {**({"content-type": JSON} if body else {}), **(headers or {})}
        if length is ... and method == "POST":
            length = len(body)
        if length is not None and length is not ...:
            headers["content-length"] = str(length)
        headers = {name: value for name, value in headers.items() if value is not None}
        ask = _ask_wsgi if self.skin == "wsgi" else _ask_asgi
        return ask(app, method, path, query, headers, body)


def _ask_wsgi(app, method, path, query, headers, body):
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    started = []
    parts = list(app(environ, lambda status, headers, exc_info=None: started.append((status, headers))))
    [(status, sent)] = started
    return Answer(int(status[:3]), {name.lower(): value for name, value in sent}, b"".join(parts))


def _ask_asgi(app, method, path, query, headers, body):
    messages = [{"type": "http.request", "body": body, "more_body": False}]
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
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    got = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], got, b"".join(message["body"] for message in rest))


@pytest.fixture
def fake_model() -> type[FakeModel]:
    return FakeModel


@pytest.fixture
def fake_resolved() -> type[FakeResolved]:
    return FakeResolved


@pytest.fixture(params=["wsgi", "asgi"])
def client(request) -> Iterator[Client]:
    client = Client(request.param)
    yield client
    for app in client.opened:
        app.close()


@pytest.fixture
def both() -> Iterator[tuple[Client, Client]]:
    clients = Client("wsgi"), Client("asgi")
    yield clients
    for client in clients:
        for app in client.opened:
            app.close()


class Release:
    """A model that waits until the test is over, or says so."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def wait(self, array):
        self.event.wait(30)
        return array.sum(axis=1)


@pytest.fixture
def release() -> Iterator[Release]:
    release = Release()
    yield release
    release.event.set()
