"""One HTTP request as the app sees it, whichever skin it came through."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelserving.errors import excerpt
from modelserving.serving.response import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


@dataclass(slots=True)
class Request:
    """A request: its head at once, its body once the app has agreed to read it.

    Attributes:
        method: As sent, such as ``POST``.
        path: Percent-decoded, without the prefix the app is mounted under.
        query: The raw query string.
        header: The value of a header by its lower-case name, or None. A repeated header is joined by ``",
            "``.
        id: The client's ``X-Request-Id`` where it is safe to repeat, else a new one.
        body: The bytes that were read.
    """

    method: str
    path: str
    query: str
    header: Callable[[str], str | None]
    id: str
    body: bytes = b""


def request_id(sent: str | None) -> str:
    """The id to answer and log with: the client's own if it is harmless in a header and a log line."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent
    return os.urandom(16).hex()


def content_length(request: Request, limit: int) -> int | None:
    """How many bytes the body is said to have; None for a body that tells its own end (chunked).

    Raises:
        HTTPError: 400 for a length that is no number or stands beside a Transfer-Encoding, 411 for none at
            all, 413 for more than ``limit``.
    """
    declared, coding = request.header("content-length"), request.header("transfer-encoding")
    if coding is not None:
        if declared is not None:
            raise HTTPError(400, "Content-Length and Transfer-Encoding exclude each other; send one of them")
        if coding.strip().lower() != "chunked":
            raise HTTPError(
                400,
                f"Transfer-Encoding {excerpt(coding)} is not understood; send chunked, or a Content-Length",
            )
        return None
    if declared is None:
        raise HTTPError(411, "the request has no Content-Length; send one")
    if not (declared.isascii() and declared.isdigit()):
        raise HTTPError(400, f"Content-Length {excerpt(declared)} is not a number of bytes")
    if len(declared) > 18 or int(declared) > limit:
        raise too_large(limit)
    return int(declared)


def inflated(body: bytes, limit: int) -> bytes:
    """A gzip body as it was before, at most ``limit`` bytes of it made.

    Raises:
        HTTPError: 413 for more than ``limit`` bytes, 400 for what is not one whole gzip member.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise HTTPError(400, f"the body is not gzip: {excerpt(str(error))}") from None
    if len(plain) > limit:
        raise too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise HTTPError(400, "the body is not one whole gzip member; send all of it, and nothing after it")
    return plain


def too_large(limit: int) -> HTTPError:
    """The answer to a body of more than ``limit`` bytes."""
    return HTTPError(413, f"the body is larger than the limit of {limit} bytes; send fewer rows at a time")


def incomplete(read: int, declared: int | None) -> HTTPError:
    """The answer to a body that ended early, or went on after its end."""
    expected = "its last chunk" if declared is None else f"{declared} bytes"
    return HTTPError(400, f"incomplete body: expected {expected}, got {read} bytes")
