"""The WSGI skin against the standard's own checkers, and mounted."""

from __future__ import annotations

import io
import json
import threading
import urllib.error
import urllib.request
import wsgiref.util
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client

from modelserving.serving.app import create_app

BODY = b'{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'
JSON = "application/json"
PREDICTIONS = {"predictions": [3.0, 7.0]}


@pytest.fixture
def app(fake_model):
    with create_app(fake_model()) as app:
        yield app


def validated(app, method="GET", path="/ping", body=b"", **environ):
    """The status and body of one request under wsgiref's validator."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    wsgiref.util.setup_testing_defaults(environ)
    started = []
    answer = validator(app)(environ, lambda status, headers, exc_info=None: started.append(status))
    try:
        return started[0], b"".join(answer)
    finally:
        answer.close()


REQUESTS = [
    ("GET", "/ping", b"", 200),
    ("HEAD", "/ping", b"", 200),
    ("POST", "/invocations", BODY, 200),
    ("GET", "/invocations", b"", 405),
    ("POST", "/invocations", b"{", 400),
    ("GET", "/nowhere", b"", 404),
]
OPTIONS = ("OPTIONS", "/ping", b"", 204)
"""Not for werkzeug's lint, which asks of a 204 for the Content-Length that RFC 9110 forbids it."""


@pytest.mark.parametrize(("method", "path", "body", "status"), [*REQUESTS, OPTIONS])
@pytest.mark.parametrize("prefix", ["", "/mounted"])
def test_wsgiref_finds_nothing_wrong(app, method, path, body, status, prefix):
    sent = {"CONTENT_TYPE": JSON, "CONTENT_LENGTH": str(len(body))} if body else {}

    answered, _ = validated(app, method, path, body, SCRIPT_NAME=prefix, **sent)

    assert answered.startswith(str(status))


@pytest.mark.parametrize(("method", "path", "body", "status"), REQUESTS)
def test_werkzeugs_lint_finds_nothing_wrong(app, method, path, body, status):
    with Client(LintMiddleware(app)).open(
        path, method=method, data=body or None, content_type=JSON
    ) as answer:
        assert answer.status_code == status


@pytest.mark.parametrize(("method", "path", "body", "status"), REQUESTS)
def test_it_answers_the_same_mounted_in_a_flask_app(app, method, path, body, status):
    site = flask.Flask("site")
    site.add_url_rule("/ping", view_func=lambda: "the site's own")
    site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/models/forest": LintMiddleware(app)})
    client = site.test_client()

    with client.open(f"/models/forest{path}", method=method, data=body or None, content_type=JSON) as answer:
        assert answer.status_code == status
        assert not (status == 200 and body) or answer.json == PREDICTIONS
    assert client.get("/ping").data == b"the site's own"


def test_a_chunked_body_is_411_where_the_server_cannot_tell_its_end(app):
    status, _ = validated(
        app, "POST", "/invocations", BODY, CONTENT_TYPE=JSON, HTTP_TRANSFER_ENCODING="chunked"
    )

    assert status == "411 Length Required"


@pytest.mark.parametrize(
    ("error", "status"), [(OSError("reset"), "400 Bad Request"), (TimeoutError(), "408 Request Timeout")]
)
def test_a_body_that_breaks_off_is_an_answer_not_a_traceback(app, error, status):
    class Broken(io.BytesIO):
        def read(self, size):
            raise error

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/invocations",
        "CONTENT_TYPE": JSON,
        "CONTENT_LENGTH": "9",
    }
    started = []

    app({**environ, "wsgi.input": Broken()}, lambda status, headers: started.append(status))

    assert started == [status]


def test_a_body_in_many_pieces_is_whole(app):
    class Trickle(io.BytesIO):
        def read(self, size):
            return super().read(min(size, 3))

    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/invocations", "CONTENT_TYPE": JSON}
    started = []

    answer = app(
        {**environ, "CONTENT_LENGTH": str(len(BODY)), "wsgi.input": Trickle(BODY)},
        lambda *s: started.append(s[0]),
    )

    assert (started, json.loads(b"".join(answer))) == (["200 OK"], PREDICTIONS)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(app):
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(30)


def test_it_runs_under_a_server_of_the_standard_library(app):
    with served(validator(app)) as url:
        request = urllib.request.Request(f"{url}/invocations", BODY, {"Content-Type": JSON})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer) == PREDICTIONS
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"{url}/nowhere", timeout=30)
        caught.value.close()
