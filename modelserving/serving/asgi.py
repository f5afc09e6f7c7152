"""The ASGI skin: what ``modelserving serve`` runs, and what mounts into FastAPI and Starlette.

The event loop reads, decodes small bodies and waits; predictions, large bodies and the loading of models are
elsewhere. So a slow client or a stuck model keeps nobody else waiting, ``/ping`` least of all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from modelserving.serving.request import Request, incomplete, request_id, too_large
from modelserving.serving.response import HTTPError, Response, failure
from modelserving.serving.route import Pending

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from modelserving.serving.app import App
    from modelserving.serving.job import Job

_logger = logging.getLogger("modelserving")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SMALL = 64 * 1024
"""Bytes of a body that is decoded on the loop: that takes less than a visit to another thread is worth."""

_WATCH_AFTER = 0.05
"""Seconds before a waiting request looks whether its client is still there; most are answered by then."""


class Disconnected(Exception):  # noqa: N818 - not an error of ours
    """The client left before the answer."""


class ASGIApp:
    """An ASGI 3 callable; ``load()`` and ``close()`` are optional, and a ``with`` block closes it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._in_flight = 0
        self._last_done: asyncio.Event | None = None  # set while shutting down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow a server's lifespan."""
        if scope["type"] == "http":
            self._in_flight += 1
            try:
                await self._http(scope, receive, send)
            finally:
                self._in_flight -= 1
                if self._last_done is not None and not self._in_flight:
                    self._last_done.set()
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            msg = f"only http is served here, not {scope['type']!r}"
            raise NotImplementedError(msg)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)
        try:
            response = await self._respond(request, receive)
        except Disconnected:
            _logger.info("request %s: the client left before the answer", request.id)
            return
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            response = failure(error, request.id)
        headers = [*response.headers.raw, (b"x-request-id", request.id.encode("ascii"))]
        if response.status != 204:
            headers.append((b"content-length", b"%d" % len(response.body)))
        headers += [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.extra]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})

    async def _respond(self, request: Request, receive: Receive) -> Response:
        call = self.app.open(request)
        if call.reads:
            request.body = await self._read(call.length, receive)
        aside = call.slow or len(request.body) > _SMALL
        if aside or not self.app.loaded:  # a handler may have to load the model
            answer = await asyncio.to_thread(call.handler, request)
        else:
            answer = call.handler(request)
        if not isinstance(answer, Pending):
            return answer
        try:
            for job in answer.jobs:
                await _done(job, receive)
        except BaseException:
            answer.abandon()
            raise
        outcomes = [job.outcome() for job in answer.jobs]
        return await asyncio.to_thread(answer.finish, outcomes) if aside else answer.finish(outcomes)

    async def _read(self, length: int | None, receive: Receive) -> bytes:
        """The whole body within its time, or an error; never what came before a connection broke."""
        limit = self.app.limits.body if length is None else length
        parts: list[bytes] = []
        read, more = 0, True
        try:
            async with asyncio.timeout(self.app.limits.body_seconds):
                while more and (
                    read != length or not parts
                ):  # all of it is here: the last message adds nothing
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise incomplete(read, length)
                    part = message.get("body", b"")
                    parts.append(part)
                    read += len(part)
                    more = message.get("more_body", False)
                    if read > limit:
                        raise too_large(limit) if length is None else incomplete(read, length)
        except TimeoutError:
            raise HTTPError(
                408, f"the body did not arrive within {self.app.limits.body_seconds:g} s"
            ) from None
        if length is not None and read != length:
            raise incomplete(read, length)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await asyncio.to_thread(self.load)
                except Exception as error:  # noqa: BLE001 - the server ends, and says why
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._drain()
                await asyncio.to_thread(self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _drain(self) -> None:
        """Let what is in flight end; each request has its deadlines, and the server one for all of them."""
        if self._in_flight:
            self._last_done = asyncio.Event()
            await self._last_done.wait()

    @property
    def loaded(self) -> bool:
        """Whether this process has the model ready."""
        return self.app.loaded

    def load(self) -> None:
        """Load the model in this process now, rather than with the first request."""
        self.app.load()

    def close(self) -> None:
        """Stop the prediction threads; later requests are answered 503."""
        self.app.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _done(job: Job, receive: Receive) -> None:
    """Wait until the job is done.

    Raises:
        DeadlineError: Its time is over.
        Disconnected: The client left; the job is abandoned.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    job.notify(loop, future)
    timer = loop.call_later(_WATCH_AFTER, _wake, future)
    try:
        await future
    except asyncio.CancelledError:
        job.abandon()
        raise
    finally:
        timer.cancel()
    if not job.done:
        await _done_slowly(job, receive)


async def _done_slowly(job: Job, receive: Receive) -> None:
    """As :func:`_done`, with an eye on the clock and on the client."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    job.notify(loop, future)
    client = asyncio.ensure_future(_left(receive))
    try:
        rest = max(0.0, job.deadline - time.monotonic())
        await asyncio.wait({future, client}, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        if job.done:
            return
        if client.done():
            client.result()
            job.abandon()
            raise Disconnected
        raise job.expire()
    except asyncio.CancelledError:
        job.abandon()
        raise
    finally:
        client.cancel()


async def _left(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        continue


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _request(scope: Scope) -> Request:
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    if root and path.startswith(root):
        path = path[len(root) :]
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b", " + value if name in headers else value

    def header(name: str) -> str | None:
        value = headers.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope["method"], path, query, header, request_id(header("x-request-id")))
