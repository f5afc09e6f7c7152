"""What the app answers, through either skin."""

from __future__ import annotations

import json
import logging
import re

import numpy as np
import pytest

from modelserving.errors import OverloadedError
from modelserving.serving.limits import Limits

BODY = b'{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'


@pytest.fixture
def app(client, fake_model):
    return client.app(fake_model())


def problem_of(answer):
    body = answer.json
    assert set(body) == {"error_code", "message", "error", "request_id", "problems"}
    assert body["message"] == body["error"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return body


def test_invocations_answer_with_predictions_and_say_which_model_made_them(client, app):
    answer = client.ask(app, body=BODY)

    assert (answer.status, answer.json) == (200, {"predictions": [3.0, 7.0]})
    assert answer.headers["x-model-name"] == "sums"
    assert answer.headers["x-model-version"] == "3"
    assert answer.headers["x-model-digest"] == "sha256:" + "0" * 64


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_ping_answers_an_empty_object(client, app, path):
    answer = client.ask(app, path)

    assert (answer.status, answer.body) == (200, b"{}")


def test_version_is_a_json_string(client, app):
    answer = client.ask(app, "/version")

    assert isinstance(answer.json, str)


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_head_has_the_headers_of_get_and_no_body(client, app, path):
    get, head = client.ask(app, path), client.ask(app, path, method="HEAD")

    assert (head.status, head.body) == (200, b"")
    assert head.headers.get("content-length", str(len(get.body))) == str(len(get.body))
    changing = {"content-length", "x-request-id"}
    assert head.headers.keys() - changing == get.headers.keys() - changing


@pytest.mark.parametrize(
    ("path", "allow"), [("/invocations", "POST"), ("/ping", "GET, HEAD"), ("*", "GET, HEAD, POST")]
)
def test_options_lists_the_methods_without_a_body(client, app, path, allow):
    answer = client.ask(app, path, method="OPTIONS")

    assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", allow)
    assert "content-type" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "post", "X" * 300]
)
def test_another_method_is_405_with_allow(client, app, method):
    answer = client.ask(app, method=method)

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//invocations",
        "/invocations/",
        "/Invocations",
        "/invocations;x=1",
        "/invocations\x00",
        "/é",
        "/metrics",
    ],
)
def test_no_other_spelling_of_a_path_is_known(client, app, path):
    answer = client.ask(app, path, body=BODY)

    assert answer.status == 404
    assert problem_of(answer)["error_code"] == "ENDPOINT_NOT_FOUND"


@pytest.mark.parametrize("length", ["-1", "+3", "1_0", "abc", " 3", "3, 3", "٣", "0x3"])
def test_a_content_length_that_is_no_number_is_400(client, app, length):
    headers = {"content-length": length.encode().decode("latin-1")}

    answer = client.ask(app, body=BODY, length=None, headers=headers)

    assert answer.status == 400
    assert "Content-Length" in problem_of(answer)["message"]


@pytest.mark.parametrize("length", [17, 10**12, int("9" * 30)])
def test_a_length_above_the_limit_is_413(client, fake_model, length):
    app = client.app(fake_model(), limits=Limits(body=16))

    answer = client.ask(app, body=BODY, length=length)

    assert answer.status == 413
    assert "16 bytes" in problem_of(answer)["message"]


def test_no_length_at_all_is_411(client, app):
    assert client.ask(app, body=BODY, length=None).status == 411


def test_a_length_beside_a_transfer_encoding_is_400(client, app):
    assert client.ask(app, body=BODY, headers={"transfer-encoding": "chunked"}).status == 400


@pytest.mark.parametrize("length", [len(BODY) + 1, 100])
def test_fewer_bytes_than_announced_are_not_predicted(client, fake_model, length):
    model = fake_model()

    answer = client.ask(client.app(model), body=BODY, length=length)

    assert answer.status == 400
    assert f"expected {length} bytes, got {len(BODY)}" in problem_of(answer)["message"]
    assert model.calls == []


def test_a_chunked_body_is_read_to_its_end(client, app):
    answer = client.ask(app, body=BODY, length=None, headers={"transfer-encoding": "chunked"})

    assert answer.json == {"predictions": [3.0, 7.0]}


def test_a_chunked_body_above_the_limit_is_413(client, fake_model):
    app = client.app(fake_model(), limits=Limits(body=16))

    assert client.ask(app, body=BODY, length=None, headers={"transfer-encoding": "chunked"}).status == 413


def test_another_transfer_encoding_is_400(client, app):
    assert (
        client.ask(app, body=BODY, length=None, headers={"transfer-encoding": "gzip, chunked"}).status == 400
    )


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "a, b", "é"]
)
def test_a_content_type_that_nobody_reads_is_415_and_names_those_that_are(client, app, content_type):
    sent = content_type and content_type.encode().decode("latin-1")

    answer = client.ask(app, body=BODY, headers={"content-type": sent})

    assert answer.status == 415
    assert "send one of 'application/json', " in problem_of(answer)["message"]


@pytest.mark.parametrize("content_type", ["application/json; foo=bar", "Application/JSON ;charset=utf-8"])
def test_case_and_parameters_of_a_content_type_do_not_matter(client, app, content_type):
    assert client.ask(app, body=BODY, headers={"content-type": content_type}).status == 200


def test_a_charset_that_is_not_utf8_is_415(client, app):
    assert (
        client.ask(app, body=BODY, headers={"content-type": "application/json; charset=utf-16"}).status == 415
    )


@pytest.mark.parametrize(
    ("coding", "status"), [("identity", 200), ("br", 415), ("gzip, gzip", 415), ("deflate", 415)]
)
def test_only_plain_bodies_are_read(client, app, coding, status):
    assert client.ask(app, body=BODY, headers={"content-encoding": coding}).status == status


def test_what_is_refused_is_refused_before_the_body_is_read(fake_model, both):
    class Unread:
        def read(self, size):
            raise AssertionError

    wsgi, _ = both
    app = wsgi.app(fake_model())
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/nowhere",
        "CONTENT_LENGTH": "9",
        "wsgi.input": Unread(),
    }
    statuses = []

    app(environ, lambda status, headers: statuses.append(status))
    app({**environ, "PATH_INFO": "/invocations"}, lambda status, headers: statuses.append(status))

    assert statuses == ["404 Not Found", "415 Unsupported Media Type"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"null", b"[1]", b"{}", b'{"inputs": [[1.0, "x"]]}']
)
def test_a_body_that_cannot_be_read_is_400(client, app, body):
    answer = client.ask(app, method="POST", body=body, headers={"content-type": "application/json"})

    assert answer.status == 400
    assert problem_of(answer)["error_code"] in {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}


def test_data_that_does_not_fit_is_400_with_its_problems(client, app):
    answer = client.ask(app, body=b'{"inputs": [[1.0, "x"]]}')

    [problem, *_] = problem_of(answer)["problems"]
    assert set(problem) == {"row", "column", "path", "expected", "got"}


def test_a_query_is_refused_rather_than_ignored(client, app):
    answer = client.ask(app, body=BODY, query="explain=true")

    assert answer.status == 400
    assert "explain=true" in problem_of(answer)["message"]


def test_a_query_above_its_limit_is_400_on_every_path(client, app):
    assert client.ask(app, "/ping", query="x" * 5000).status == 400


@pytest.mark.parametrize("sent", ["a", "A-b_c.9", "x" * 128])
def test_a_harmless_request_id_is_kept(client, app, sent):
    assert client.ask(app, "/ping", headers={"x-request-id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [None, "", "a b", "a\r\nSet-Cookie: x", "x" * 129, "é", "a\n", "a, b"])
def test_any_other_request_id_is_replaced(client, app, sent):
    headers = {} if sent is None else {"x-request-id": sent}

    answered = client.ask(app, "/ping", headers=headers).headers["x-request-id"]

    assert re.fullmatch("[0-9a-f]{32}", answered)


@pytest.mark.parametrize("path", ["/ping", "/nowhere", "/invocations"])
def test_every_answer_forbids_sniffing_running_and_caching(client, app, path):
    headers = client.ask(app, path, body=BODY, method="POST").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]


def test_a_failing_model_is_500_and_its_secret_only_in_the_log(client, fake_model, caplog):
    def predict(array):
        raise RuntimeError("password=hunter2")

    app = client.app(fake_model(predict))
    with caplog.at_level(logging.ERROR, "modelserving"):
        answer = client.ask(app, body=BODY, headers={"x-request-id": "find-me"})

    assert answer.status == 500
    assert (
        problem_of(answer)["message"]
        == "model 'sums' failed with RuntimeError; see the log for its traceback"
    )
    assert b"hunter2" not in answer.body
    assert "hunter2" in caplog.text
    assert "find-me" in caplog.text


def test_an_answer_that_cannot_be_written_is_500_without_details(client, fake_model, caplog):
    app = client.app(fake_model(lambda array: object()))

    answer = client.ask(app, body=BODY)

    assert answer.status == 500
    assert "object" not in problem_of(answer)["message"]


def test_a_prediction_that_takes_too_long_is_504(client, fake_model, release):
    app = client.app(fake_model(release.wait), limits=Limits(prediction_seconds=0.05))

    answer = client.ask(app, body=BODY)

    assert answer.status == 504
    assert problem_of(answer)["error_code"] == "DEADLINE_EXCEEDED"


def test_a_full_server_says_when_to_come_back(client, fake_model, monkeypatch):
    app = client.app(fake_model())
    app.load()

    def full(*_):
        raise OverloadedError(2.4)

    monkeypatch.setattr(app.app.models[0], "submit", full)
    answer = client.ask(app, body=BODY)

    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert problem_of(answer)["error_code"] == "TEMPORARILY_UNAVAILABLE"


def test_errors_are_strict_json_in_ascii(client, app):
    answer = client.ask(app, "/\U0001f600 \ufffd")

    assert answer.body.isascii()
    assert json.loads(answer.body, parse_constant=pytest.fail)


def test_a_closed_app_answers_503(client, fake_model):
    app = client.app(fake_model())
    with app:
        assert client.ask(app, body=BODY).status == 200

    assert client.ask(app, body=BODY).status == 503
    assert client.ask(app, "/ping").status == 503


def test_predictions_are_not_made_in_the_servers_thread(client, fake_model):
    model = fake_model()

    client.ask(client.app(model), body=BODY)

    assert model.threads == {"predict-sums"}


def test_a_large_body_gets_the_same_answer(client, app):
    rows = np.ones((20_000, 2)).tolist()

    answer = client.ask(app, body=json.dumps({"inputs": rows}).encode())

    assert answer.json == {"predictions": [2.0] * 20_000}


def test_the_limits_must_be_positive():
    with pytest.raises(ValueError, match="limit 'queue' must be more than 0, got 0"):
        Limits(queue=0)
