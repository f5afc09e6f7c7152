"""One prediction on its way: asked for in one thread, made in another, waited for with a deadline."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from modelserving.errors import DeadlineError
from modelserving.signature.rows import Rows

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from modelserving.signature.rows import Raw

_WAITING = object()


class Job:
    """A request for predictions, and later its outcome.

    The thread that predicts calls :meth:`settle` once. The one that asked waits in :meth:`result`, or on an
    event loop with :meth:`notify` and :meth:`outcome`. After :meth:`abandon` nobody will look, and it is not
    predicted any more.
    """

    __slots__ = (
        "_error",
        "_gate",
        "_outcome",
        "abandoned",
        "data",
        "deadline",
        "key",
        "method",
        "params",
        "rows",
        "seconds",
        "waiter",
    )

    def __init__(
        self, data: Rows | Raw, params: Mapping[str, object], method: str | None, seconds: float
    ) -> None:
        self.data, self.params, self.method = data, params, method
        self.rows = len(data) if isinstance(data, Rows) else 0
        self.key: object = None
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.abandoned = False
        self.waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._outcome: object = _WAITING
        self._error: BaseException | None = None
        self._gate = Lock()
        self._gate.acquire()

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._outcome is not _WAITING

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.abandoned and time.monotonic() < self.deadline

    def settle(self, outcome: object, error: BaseException | None = None) -> None:
        """Record the outcome and release a waiting thread. The engine wakes event loops, many at once."""
        if not self.done:
            self._error, self._outcome = error, outcome
            self._gate.release()

    def abandon(self) -> None:
        """Say that nobody waits any more."""
        self.abandoned = True

    def outcome(self) -> object:
        """What the model returned, once :attr:`done`; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._outcome

    def result(self) -> object:
        """Wait in this thread for the outcome.

        Raises:
            DeadlineError: It did not come in time; the job is abandoned.
        """
        if not self._gate.acquire(timeout=max(0.0, self.deadline - time.monotonic())):
            raise self.expire()
        return self.outcome()

    def expire(self) -> DeadlineError:
        """Abandon the job because its time is over, and say so."""
        self.abandon()
        return DeadlineError(self.seconds)

    def notify(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
        """Have ``future`` of ``loop`` set when the job is done, which may be now. Called on the loop."""
        self.waiter = (loop, future)
        if self.done:  # settled before, or at this moment: then it may be woken twice, which is harmless
            wake([future])


def wake(futures: list[asyncio.Future[None]]) -> None:
    """Set the futures that nobody has set or cancelled; runs on their loop."""
    for future in futures:
        if not future.done():
            future.set_result(None)
