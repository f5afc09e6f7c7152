"""What may be asked of one path, and the two kinds of answer: at once, or when the model has predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from modelserving.serving.job import Job
    from modelserving.serving.request import Request
    from modelserving.serving.response import Response


class Pending(NamedTuple):
    """An answer that waits for predictions.

    Attributes:
        jobs: Will have them, one for each method that was asked.
        finish: Makes the response from what each job has.
    """

    jobs: tuple[Job, ...]
    finish: Callable[[Sequence[object]], Response]

    def abandon(self) -> None:
        """Say that nobody waits any more."""
        for job in self.jobs:
            job.abandon()


Handler = Callable[["Request"], "Response | Pending"]
"""Answers one request whose body has been read; raises whatever is wrong with it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path of an app.

    Attributes:
        get: Answers GET, and HEAD (the skin leaves the body out).
        post: Answers POST; only then is a body read.
        accepts: The content types a POST may have.
        untyped: A POST may also come without one.
        allow: The value of the ``Allow`` header.
    """

    get: Handler | None = None
    post: Handler | None = None
    accepts: frozenset[str] = frozenset()
    untyped: bool = False
    allow: str = field(init=False)

    def __post_init__(self) -> None:
        allowed = ["GET, HEAD"] if self.get else []
        object.__setattr__(self, "allow", ", ".join(allowed + (["POST"] if self.post else [])))
