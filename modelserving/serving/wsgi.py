"""The WSGI skin: an app under gunicorn, waitress, mod_wsgi, or mounted in Flask and Django."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from modelserving.serving.request import Request, incomplete, request_id, too_large
from modelserving.serving.response import HTTPError, Response, failure
from modelserving.serving.route import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

    from modelserving.serving.app import App

_CHUNK = 64 * 1024
_REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class WSGIApp:
    """A WSGI callable; ``load()`` and ``close()`` are optional, and a ``with`` block closes it."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = _request(environ)
        try:
            response = self._respond(request, environ)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            response = failure(error, request.id)
        body = response.body
        headers = [*response.headers.text, *response.extra, ("X-Request-Id", request.id)]
        if (
            request.method == "HEAD"
        ):  # no Content-Length either: some servers and checkers compare it with what is sent
            body = b""
        elif response.status != 204:
            headers.append(("Content-Length", str(len(body))))
        start_response(_REASONS[response.status], headers)
        return [body] if body else []

    def _respond(self, request: Request, environ: WSGIEnvironment) -> Response:
        call = self.app.open(request)
        if call.reads:
            request.body = self._read(call.length, environ)
        answer = call.handler(request)
        return _finished(answer) if isinstance(answer, Pending) else answer

    def _read(self, length: int | None, environ: WSGIEnvironment) -> bytes:
        """The whole body, or an error: servers hand over part of one as if it were all."""
        if length is None and not environ.get("wsgi.input_terminated"):
            raise HTTPError(411, "this server does not hand over chunked bodies; send a Content-Length")
        stream: InputStream = environ["wsgi.input"]
        try:
            body = (
                _read_exactly(stream, length)
                if length is not None
                else _read_to_end(stream, self.app.limits.body)
            )
        except HTTPError:
            raise
        except TimeoutError:
            raise HTTPError(408, "the body did not arrive in time; send it again") from None
        except Exception as error:
            raise HTTPError(400, "the body could not be read; send it again") from error
        if length is not None and len(body) != length:
            raise incomplete(len(body), length)
        return body

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


def _request(environ: WSGIEnvironment) -> Request:
    path = environ.get("PATH_INFO", "")
    if not path.isascii():  # WSGI hands over bytes as latin-1
        path = path.encode("latin-1").decode("utf-8", "replace")
    header = _headers(environ)
    return Request(
        environ["REQUEST_METHOD"],
        path,
        environ.get("QUERY_STRING", ""),
        header,
        request_id(header("x-request-id")),
    )


def _finished(answer: Pending) -> Response:
    try:
        return answer.finish([job.result() for job in answer.jobs])
    except BaseException:
        answer.abandon()
        raise


def _headers(environ: WSGIEnvironment) -> Callable[[str], str | None]:
    def header(name: str) -> str | None:
        key = name.upper().replace("-", "_")
        if key in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            return environ.get(key) or None  # PEP 3333: empty means absent
        return environ.get("HTTP_" + key)

    return header


def _read_exactly(stream: InputStream, length: int) -> bytes:
    parts, left = [], length
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_to_end(stream: InputStream, limit: int) -> bytes:
    body = bytearray()
    while part := stream.read(_CHUNK):
        body += part
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)
