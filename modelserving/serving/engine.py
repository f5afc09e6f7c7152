"""Predictions in the model's own threads: a bounded queue, batches of rows, deadlines.

A server's threads, and its event loop, only wait. A model that is not thread-safe has one thread; what queued
while it was busy is its next batch. A batch waits for company only if the last one had some, so a lone client
never waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from modelserving.errors import ModelServingError, OverloadedError, PredictionError, UnavailableError
from modelserving.serving.batch import batch_key, joined, split
from modelserving.serving.job import Job, wake

if TYPE_CHECKING:
    import asyncio

    from modelserving.serving.limits import Limits
    from modelserving.signature.rows import Raw, Rows

_logger = logging.getLogger("modelserving")

_PATIENCE = 5.0
"""Seconds an idle thread sleeps before it looks for itself: a lost wake-up costs this much, not for ever."""

Predict = Callable[["Rows | Raw", Mapping[str, object], "str | None"], object]


class Engine:
    """Runs ``predict`` in threads of its own, which start with the first job.

    Args:
        predict: Called with data, params and method; must be fit for as many threads as there are.
        name: The model's, for errors, logs and thread names.
        limits: How much may wait, how long, and how large a batch may be.
        threads: How many predictions may run at once.
        batching: Whether rows of different requests may share one call.

    Example:
        >>> from modelserving.serving.limits import Limits
        >>> from modelserving.signature.rows import Raw
        >>> engine = Engine(lambda data, params, method: data.value * 2, name="double", limits=Limits())
        >>> engine.submit(Raw(21), {}).result()
        42
        >>> engine.close()
    """

    def __init__(
        self, predict: Predict, *, name: str, limits: Limits, threads: int = 1, batching: bool = False
    ) -> None:
        self.name, self.limits, self.threads = name, limits, threads
        self.batching = batching
        self._predict = predict
        self._queue: deque[Job] = deque()
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._company = threading.Condition(self._lock)
        self._running: set[threading.Thread] = set()
        self._idle = 0
        self._awaited = 0  # jobs that a gathering thread waits for; 0 when none gathers
        self._last = 1  # jobs in the last batch
        self._pace = 0.0  # seconds a job takes, averaged
        self._closed = False

    def submit(self, data: Rows | Raw, params: Mapping[str, object], method: str | None = None) -> Job:
        """Queue a prediction.

        Raises:
            OverloadedError: As many as ``limits.queue`` wait already.
            UnavailableError: The engine is closed.
        """
        job = Job(data, params, method, self.limits.prediction_seconds)
        if self.batching:
            job.key = batch_key(job)
        with self._lock:
            if self._closed:
                raise UnavailableError(self.name, "the app is closed; send the request to a running server")
            if len(self._queue) >= self.limits.queue:
                self._admit()
            self._queue.append(job)
            if self._idle:
                self._arrived.notify()
            elif self._awaited and len(self._queue) >= self._awaited:
                self._company.notify()
            if len(self._queue) > self._idle and len(self._running) < self.threads:
                self._start()
        return job

    def close(self, seconds: float = 10.0) -> None:
        """Finish what runs, fail what waits, and give the threads ``seconds`` to end."""
        with self._lock:
            self._closed = True
            waiting, running = list(self._queue), list(self._running)
            self._queue.clear()
            self._arrived.notify_all()
            self._company.notify_all()
        error = UnavailableError(self.name, "the app was closed; send the request again")
        for job in waiting:
            job.settle(None, error)
        _announce(waiting)
        end = time.monotonic() + seconds
        for thread in running:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def _admit(self) -> None:
        """Drop what nobody waits for any more; if the queue is still full, refuse. The lock is held."""
        self._queue = deque(job for job in self._queue if job.wanted)
        if len(self._queue) >= self.limits.queue:
            raise OverloadedError(min(60.0, max(1.0, self._pace * len(self._queue) / self.threads)))

    def _start(self) -> None:
        """One more thread. The lock is held."""
        thread = threading.Thread(target=self._work, name=f"predict-{self.name}", daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads; those there are go on
            self._running.discard(thread)
            if not self._running:
                self._queue.pop()
                raise OverloadedError(1.0) from None

    def _work(self) -> None:
        """The life of one thread; whatever ends it, nobody is left waiting and another takes its place."""
        batch: list[Job] = []
        try:
            while batch := self._take():
                start = time.monotonic()
                self._answer(batch)
                self._pace += 0.2 * ((time.monotonic() - start) / len(batch) - self._pace)
        except BaseException:  # no bare end of a thread: it would reach stderr without the model's name
            _logger.exception("a prediction thread of model %r ended; another takes its place", self.name)
        finally:
            left = [job for job in batch if not job.done]
            for job in left:
                job.settle(None, PredictionError(self.name, "an end of its prediction thread"))
            _announce(left)
            with self._lock:
                self._running.discard(threading.current_thread())
                if self._queue:
                    self._start()

    def _take(self) -> list[Job]:
        """The next batch, as soon as there is one; empty when the engine is closed."""
        with self._lock:
            while True:
                while not self._queue:
                    if self._closed:
                        return []
                    self._idle += 1
                    try:
                        self._arrived.wait(_PATIENCE)
                    finally:
                        self._idle -= 1
                if self.batching and self._last > 1:
                    self._gather()
                if batch := self._pop():
                    self._last = len(batch)
                    return batch

    def _gather(self) -> None:
        """Wait a moment for as many jobs as the last batch had. The lock is held, but not while waiting."""
        end = time.monotonic() + self.limits.batch_seconds
        self._awaited = self._last
        try:
            while len(self._queue) < self._last and not self._closed:
                rest = end - time.monotonic()
                if rest <= 0 or not self._company.wait(rest):
                    return
        finally:
            self._awaited = 0

    def _pop(self) -> list[Job]:
        """The first job that somebody waits for, and those that may share its call. The lock is held."""
        queue = self._queue
        while queue:
            first = queue.popleft()
            if not first.wanted:
                continue
            if not self.batching or first.key is None:
                return [first]
            batch, others, rows = [first], deque[Job](), first.rows
            while queue and rows < self.limits.batch_rows:
                job = queue.popleft()
                if job.key == first.key and rows + job.rows <= self.limits.batch_rows:
                    if job.wanted:
                        batch.append(job)
                        rows += job.rows
                else:
                    others.append(job)
            queue.extendleft(reversed(others))
            return batch
        return []

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Settle all jobs; where a joint call fails, halve until only the guilty one does."""
        if len(jobs) > 1 and self.batching:
            parts = self._together(jobs)
            if parts is None:
                middle = len(jobs) // 2 if self.batching else 0
                for half in (jobs[:middle], jobs[middle:]) if middle else [[job] for job in jobs]:
                    self._answer(half)
                return
            for job, part in zip(jobs, parts, strict=True):
                job.settle(part)
        else:
            for job in jobs:
                self._alone(job)
        _announce(jobs)

    def _together(self, jobs: Sequence[Job]) -> list[object] | None:
        """One call for all jobs; None if it fails, or if its answer cannot be told apart."""
        try:
            predictions = self._predict(joined(jobs), jobs[0].params, jobs[0].method)
        except BaseException:  # noqa: BLE001 - asked again in halves, down to the one that answers for it
            return None
        parts = split(predictions, jobs)
        if parts is None:
            self.batching = False
            _logger.warning(
                "model %r does not answer one prediction a row; its requests are no longer batched", self.name
            )
        return parts

    def _alone(self, job: Job) -> None:
        """One call for one job."""
        try:
            job.settle(self._predict(job.data, job.params, job.method))
        except ModelServingError as error:
            job.settle(None, error)
        except BaseException as error:  # noqa: BLE001 - even SystemExit: a model must not end its thread
            failed = PredictionError(self.name, type(error).__name__)
            failed.__cause__ = error
            job.settle(None, failed)


def _announce(jobs: Sequence[Job]) -> None:
    """Wake the event loops that wait for these jobs, each loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for job in jobs:
        if job.waiter is not None:
            loop, future = job.waiter
            loops.setdefault(loop, []).append(future)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(wake, futures)
        except RuntimeError:  # the loop was closed: nobody is there to wake
            continue
