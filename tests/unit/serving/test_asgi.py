"""The ASGI skin: mounted, over its lifespan, with slow and leaving clients."""

from __future__ import annotations

import asyncio
import json
import threading

import fastapi
import httpx
import pytest

from modelserving.serving.app import create_asgi_app
from modelserving.serving.limits import Limits

BODY = b'{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'
JSON = {"content-type": "application/json"}
REQUESTS = [
    ("GET", "/ping", b"", 200),
    ("HEAD", "/ping", b"", 200),
    ("OPTIONS", "/ping", b"", 204),
    ("POST", "/invocations", BODY, 200),
    ("GET", "/invocations", b"", 405),
    ("POST", "/invocations", b"{", 400),
    ("GET", "/nowhere", b"", 404),
]


@pytest.fixture
def app(fake_model):
    with create_asgi_app(fake_model()) as app:
        yield app


def scope(path="/invocations", method="POST", headers=(), root_path=""):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root_path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *headers],
    }


def length(body=BODY):
    return (b"content-length", b"%d" % len(body))


def answer_to(app, asked, messages):
    """The messages an app sends; after the last of ``messages`` the client is silent."""
    sent = []

    async def main():
        waiting = asyncio.Queue()
        for message in messages:
            waiting.put_nowait(message)

        async def send(message):
            sent.append(message)

        await asyncio.wait_for(app(asked, waiting.get, send), 30)

    asyncio.run(main())
    return sent


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(("method", "path", "body", "status"), REQUESTS)
def test_it_answers_mounted_in_a_fastapi_app(app, method, path, body, status):
    site = fastapi.FastAPI()

    @site.get("/ping")
    def ping():
        return "the site's own"

    site.mount("/models/forest", app)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://site") as client:
            answer = await client.request(
                method, f"/models/forest{path}", content=body, headers=JSON if body else None
            )
            return answer, await client.get("/ping")

    answer, own = asyncio.run(ask())
    assert answer.status_code == status
    assert not (status == 200 and body) or answer.json() == {"predictions": [3.0, 7.0]}
    assert own.json() == "the site's own"


@pytest.mark.parametrize("path", ["/forest/ping", "/ping"])
def test_the_prefix_is_taken_off_whether_the_server_left_it_in_the_path_or_not(app, path):
    [start, _] = answer_to(app, scope(path, "GET", root_path="/forest"), [])

    assert start["status"] == 200


def test_a_prefix_is_whole_segments(app):
    [start, _] = answer_to(app, scope("/forestping", "GET", root_path="/forest"), [])

    assert start["status"] == 404


def test_a_body_in_many_messages_is_whole(app):
    messages = [part(BODY[:5], True), part(b"", True), part(BODY[5:], True), part(b"")]

    [start, sent] = answer_to(app, scope(headers=[length()]), messages)

    assert (start["status"], json.loads(sent["body"])) == (200, {"predictions": [3.0, 7.0]})


@pytest.mark.parametrize(
    ("headers", "messages"),
    [
        ([length()], [part(BODY[:5], True), {"type": "http.disconnect"}]),
        ([length()], [part(BODY[:5])]),
        ([length()], [part(BODY + b" ")]),
        ([(b"transfer-encoding", b"chunked")], [{"type": "http.disconnect"}]),
        ([(b"transfer-encoding", b"chunked")], [part(BODY, True), {"type": "http.disconnect"}]),
    ],
)
def test_a_body_that_broke_off_is_400_and_not_predicted(fake_model, headers, messages):
    model = fake_model()
    with create_asgi_app(model) as app:
        [start, sent] = answer_to(app, scope(headers=headers), messages)

    assert start["status"] == 400
    assert b"incomplete body" in sent["body"]
    assert model.calls == []


def test_a_body_that_does_not_arrive_is_408(fake_model):
    with create_asgi_app(fake_model(), limits=Limits(body_seconds=0.05)) as app:
        [start, sent] = answer_to(app, scope(headers=[length()]), [part(BODY[:5], True)])

    assert start["status"] == 408
    assert b"0.05 s" in sent["body"]


@pytest.mark.parametrize(
    "repeated",
    [
        [length(), length()],
        [length(), (b"content-type", b"application/json")],
        [length(), (b"transfer-encoding", b"chunked")],
    ],
)
def test_a_header_sent_twice_is_refused(app, repeated):
    [start, _] = answer_to(app, scope(headers=repeated), [part(BODY)])

    assert start["status"] in {400, 415}


def test_a_client_that_leaves_ends_its_request_without_an_answer(fake_model, release):
    with create_asgi_app(fake_model(release.wait)) as app:
        sent = answer_to(app, scope(headers=[length()]), [part(BODY), {"type": "http.disconnect"}])
        release.event.set()

    assert sent == []


def test_what_waits_behind_a_stuck_prediction_is_not_predicted_when_its_client_left(fake_model, release):
    model = fake_model(release.wait)
    with create_asgi_app(model, limits=Limits(prediction_seconds=0.3)) as app:
        answer_to(app, scope(headers=[length()]), [part(BODY)])
        answer_to(app, scope(headers=[length()]), [part(BODY), {"type": "http.disconnect"}])
        release.event.set()

    assert model.calls == [2]


def test_ping_is_answered_while_the_model_is_stuck(fake_model, release):
    async def main(app):
        async def silent():
            await asyncio.Event().wait()

        body = [part(BODY)]

        async def receive():
            return body.pop() if body else await silent()

        async def ignore(message):
            pass

        stuck = asyncio.ensure_future(app(scope(headers=[length()]), receive, ignore))
        while not app.app.models[0]._source.calls:
            await asyncio.sleep(0)
        sent = []

        async def send(message):
            sent.append(message)

        await asyncio.wait_for(app(scope("/ping", "GET"), silent, send), 30)
        assert not stuck.done()
        release.event.set()
        await asyncio.wait_for(stuck, 30)
        return sent[0]["status"]

    with create_asgi_app(fake_model(release.wait)) as app:
        assert asyncio.run(main(app)) == 200


def test_its_lifespan_loads_and_closes(fake_resolved):
    app = create_asgi_app(fake_resolved())
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    sent = answer_to(app, {"type": "lifespan"}, messages)

    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert app.app.models[0]._source.loads == 1
    assert not app.loaded


def test_a_lifespan_that_cannot_load_says_why(fake_resolved):
    def load():
        raise RuntimeError("no such file")

    sent = answer_to(
        create_asgi_app(fake_resolved(load)), {"type": "lifespan"}, [{"type": "lifespan.startup"}]
    )

    assert sent == [{"type": "lifespan.startup.failed", "message": "no such file"}]


def test_shutdown_waits_for_what_is_in_flight(fake_model, release):
    async def main(app):
        sent, silent = [], asyncio.Event()
        body = [part(BODY)]

        async def receive():
            return body.pop() if body else await silent.wait()

        async def send(message):
            sent.append(message["type"])

        asked = asyncio.ensure_future(app(scope(headers=[length()]), receive, send))
        while not app.app.models[0]._source.calls:
            await asyncio.sleep(0)
        threading.Timer(0.1, release.event.set).start()
        messages = [{"type": "lifespan.shutdown"}]

        async def shutdown():
            return messages.pop()

        await asyncio.wait_for(app({"type": "lifespan"}, shutdown, send), 30)
        await asked
        return sent

    app = create_asgi_app(fake_model(release.wait))
    assert asyncio.run(main(app)) == [
        "http.response.start",
        "http.response.body",
        "lifespan.shutdown.complete",
    ]


def test_a_websocket_is_refused(app):
    with pytest.raises(NotImplementedError, match="only http"):
        answer_to(app, {"type": "websocket"}, [])
