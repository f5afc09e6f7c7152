"""What a request asks, whatever protocol and content type it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelserving.errors import RequestError, excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.signature.rows import Raw, Rows


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One checked request.

    Attributes:
        data: Rows in the order and types of the signature, or one value without rows.
        params: The declared params, defaults filled in.
        wrapped: The answer is ``{"predictions": …}``; False for the answer to an LLM-style body, which
            stands alone.
        ignored: Names that were sent and not used: columns the signature does not know, unknown top-level
            keys.
    """

    data: Rows | Raw
    params: dict[str, object] = field(default_factory=dict)
    wrapped: bool = True
    ignored: tuple[str, ...] = ()


class TooLargeError(RequestError):
    """The body says it holds more than is read at once; ``what`` says of what."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"the body holds {self.what}, which is too large; send fewer rows at a time"


class NotAcceptableError(RequestError):
    """The answer cannot be given in a content type that was asked for.

    Attributes:
        asked: The Accept header as it came.
        reason: Why not, and what would do.
    """

    def __init__(self, asked: str, reason: str) -> None:
        super().__init__(asked, reason)
        self.asked, self.reason = asked, reason

    def __str__(self) -> str:
        return f"Accept {excerpt(self.asked)} cannot be met: {self.reason}"


class UnsupportedMediaTypeError(RequestError):
    """The body is of a content type that is not read here.

    Attributes:
        got: The Content-Type header as it came, None if there was none.
        accepted: The content types that would do.
    """

    def __init__(self, got: str | None, accepted: Sequence[str]) -> None:
        super().__init__(got, tuple(accepted))
        self.got, self.accepted = got, tuple(accepted)

    def __str__(self) -> str:
        found = "no Content-Type" if self.got is None else f"Content-Type {excerpt(self.got)}"
        return f"{found} is not supported; send UTF-8 as one of: {', '.join(sorted(self.accepted))}"
