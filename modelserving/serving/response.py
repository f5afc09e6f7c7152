"""One HTTP response, and how an error becomes one: the same body and the same headers on every route."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING

from modelserving.errors import (
    DataError,
    DeadlineError,
    ModelServingError,
    OverloadedError,
    PredictionError,
    Problem,
    RequestError,
    SignatureError,
    UnavailableError,
)
from modelserving.scoring.request import NotAcceptableError, TooLargeError, UnsupportedMediaTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_logger = logging.getLogger("modelserving")

_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'"),
    ("Cache-Control", "no-store"),
)


class HeaderSet:
    """Headers that many responses share, built once in the form of each skin.

    Attributes:
        text: Pairs of str, for WSGI.
        raw: Pairs of bytes with lower-case names, for ASGI.
    """

    __slots__ = ("raw", "text")

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.text = [*headers, *_ALWAYS]
        self.raw = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in self.text]


JSON = HeaderSet([("Content-Type", "application/json")])
EMPTY = HeaderSet()


class Response:
    """A status, the bytes of a body, shared headers, and a few of its own (``extra``)."""

    __slots__ = ("body", "extra", "headers", "status")

    def __init__(
        self, status: int, body: bytes, headers: HeaderSet = JSON, extra: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.status, self.body, self.headers, self.extra = status, body, headers, extra


class HTTPError(ModelServingError):
    """A request that the app refuses before any model sees it.

    Attributes:
        status: The HTTP status.
        reason: The sentence for the client.
        headers: Headers of the answer, such as ``Allow``.
    """

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status, reason, headers)
        self.status, self.reason, self.headers = status, reason, headers

    def __str__(self) -> str:
        return self.reason


_CODES: Mapping[int, str] = {
    404: "ENDPOINT_NOT_FOUND",
    403: "PERMISSION_DENIED",
    503: "TEMPORARILY_UNAVAILABLE",
}

_STATUSES: Mapping[type[Exception], tuple[int, str]] = {
    UnsupportedMediaTypeError: (415, "BAD_REQUEST"),
    TooLargeError: (413, "BAD_REQUEST"),
    NotAcceptableError: (406, "BAD_REQUEST"),
    RequestError: (400, "BAD_REQUEST"),
    DataError: (400, "INVALID_PARAMETER_VALUE"),
    SignatureError: (400, "INVALID_PARAMETER_VALUE"),
    OverloadedError: (503, "TEMPORARILY_UNAVAILABLE"),
    UnavailableError: (503, "TEMPORARILY_UNAVAILABLE"),
    DeadlineError: (504, "DEADLINE_EXCEEDED"),
    PredictionError: (500, "INTERNAL_ERROR"),
}
"""Errors whose sentence a client may read. Every other one is a 500 that names only the request id."""


def failure(error: Exception, request_id: str) -> Response:
    """The answer to a request that raised ``error``; what is not the client's fault goes to the log."""
    status, code, extra = _classify(error)
    if status >= 500:
        _log(error, status, request_id)
    known = code is not None
    message = str(error) if known else "internal error; the server's log has it under this request id"
    body = {
        "error_code": code or "INTERNAL_ERROR",
        "message": message,
        "error": message,
        "request_id": request_id,
        "problems": [_problem(problem) for problem in error.problems] if isinstance(error, DataError) else [],
    }
    return Response(status, json.dumps(body, allow_nan=False).encode("ascii"), JSON, extra)


def _classify(error: Exception) -> tuple[int, str | None, tuple[tuple[str, str], ...]]:
    """The status, MLflow's error code (None: say nothing), and the headers for an error."""
    if isinstance(error, HTTPError):
        return error.status, _CODES.get(error.status, "BAD_REQUEST"), error.headers
    for kind in type(error).__mro__:
        if kind in _STATUSES:
            status, code = _STATUSES[kind]
            extra: tuple[tuple[str, str], ...] = ()
            if isinstance(error, OverloadedError):
                extra = (("Retry-After", str(max(1, math.ceil(error.retry_after)))),)
            return status, code, extra
    return 500, None, ()


def _log(error: Exception, status: int, request_id: str) -> None:
    """One line for what a full or slow server does by design; the traceback for what it should not do."""
    if status == 500:
        _logger.error("request %s failed", request_id, exc_info=error)
    elif not isinstance(error, OverloadedError):  # a line for each of these would be the next overload
        _logger.warning("request %s: %s", request_id, error, exc_info=error.__cause__)


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "row": problem.row,
        "column": problem.column,
        "path": problem.path,
        "expected": problem.expected,
        "got": problem.got,
    }
