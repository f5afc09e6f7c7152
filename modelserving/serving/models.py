"""A model being served: known at once, loaded by the first request of each process, again after a fork."""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import time
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, cast

from modelserving.errors import (
    DeadlineError,
    InvalidURIError,
    ModelServingError,
    RequestError,
    UnavailableError,
    choices,
    excerpt,
)
from modelserving.serving.engine import Engine
from modelserving.serving.job import Job
from modelserving.signature.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelserving.flavor import Traits
    from modelserving.serving.limits import Limits
    from modelserving.signature.rows import Raw
    from modelserving.signature.schema import Signature

_SHOWN = 64 * 1024
"""Bytes of an input example that are worth showing."""

_logger = logging.getLogger("modelserving")


class Described(Protocol):
    """What is known of a model before it is loaded, and after."""

    @property
    def name(self) -> str:
        """What it is called by in URLs, errors and logs."""
        ...

    @property
    def version(self) -> int | None:
        """Its version, if it is registered."""
        ...

    @property
    def digest(self) -> str | None:
        """``sha256:…`` of its files, if they are known."""
        ...

    @property
    def signature(self) -> Signature | None:
        """What it takes and returns, if it was logged with that."""
        ...


class Loaded(Described, Protocol):
    """A model that can be asked; :class:`modelserving.model.Model` is one."""

    @property
    def traits(self) -> Traits:
        """How it may be asked."""
        ...

    def predict_rows(
        self, data: Rows | Raw, params: Mapping[str, object], *, method: str | None = None
    ) -> object:
        """What the model returns for data that was checked against its signature."""
        ...


class Loadable(Described, Protocol):
    """A model that was found and may be loaded; :class:`modelserving.model.Resolved` is one."""

    def load(self, *, verify: bool = False) -> Loaded:
        """The model, with its framework imported; ``verify`` asks it its example, as when it was logged."""
        ...


class ServedModel:
    """One model of an app.

    Args:
        source: What to load in each process; or a model that is loaded already, good for this process only
            unless its traits say ``fork_safe``.
        limits: Those of the app.
        name: What it is called here; None for its own name.
        threads: Predictions that may run at once; None for one, or for a thread-safe model one a CPU, at most
            four.
    """

    def __init__(
        self,
        source: Loadable | Loaded,
        *,
        limits: Limits,
        name: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.name = source.name if name is None else name
        self.version, self.digest, self.signature = source.version, source.digest, source.signature
        self.alias: str | None = getattr(source, "alias", None)  # a model that was loaded has none
        self.methods: tuple[str, ...] = ()
        self.platform = f"modelserving_{getattr(getattr(source, 'flavor', None), 'name', 'python')}"
        _check_name(self.name)
        self._source, self._limits, self._threads = source, limits, threads
        self._made_in = os.getpid()
        self._closed = False
        self._reset()
        _reset_after_fork(self)

    def _reset(self) -> None:
        """As in a process that has done nothing yet."""
        self._lock = threading.Lock()
        self._classes: Mapping[str, tuple[object, ...]] = {}
        self._attempt: Future[Engine] | None = None
        self._engine: Engine | None = None
        self._pid = os.getpid()

    @property
    def loaded(self) -> bool:
        """Whether this process has it ready."""
        return self._engine is not None and self._pid == os.getpid()

    def load(self) -> None:
        """Have the model ready in this process; whoever comes while it loads waits for the same attempt.

        Raises:
            ModelServingError: It cannot be loaded; the next call tries again.
            DeadlineError: Somebody else's attempt takes longer than a prediction may.
        """
        self._ready()

    def submit(self, data: Rows | Raw, params: Mapping[str, object], method: str | None = None) -> Job:
        """Queue a prediction; loads the model first if this process has not. No rows have no predictions.

        Raises:
            RequestError: The model has no such method.
            OverloadedError: Too many wait already.
            UnavailableError: The model cannot be loaded here, or the app is closed.
        """
        engine = self._engine
        if engine is None or self._pid != os.getpid():
            engine = self._engine_for_a_request()
        if method is not None and method not in self.methods:
            raise RequestError(
                f"model {self.name!r} has no method {excerpt(method)}; methods: {choices(self.methods)}"
            )
        if isinstance(data, Rows) and not len(data):
            job = Job(data, params, method, self._limits.prediction_seconds)
            job.settle([])
            return job
        return engine.submit(data, params, method)

    def example(self) -> object:
        """The body of ``/invocations`` that asks the input example, parsed; None if there is none to show."""
        request = getattr(self._source, "example_request", None)
        try:
            body = request() if request else None
            return json.loads(body) if body and len(body) <= _SHOWN and b"NaN" not in body else None
        except (ModelServingError, ValueError):  # an example is a help, not a need
            return None

    def classes(self, method: str) -> tuple[object, ...]:
        """The label of each column that a method answers with; () if it has none, or is not loaded."""
        return tuple(self._classes.get(method, ()))

    def ready(self) -> None:
        """As :meth:`load`, for a request: a failure is logged, and raised without its details.

        Raises:
            UnavailableError: The model cannot be loaded here, or the app is closed.
        """
        if not self.loaded:
            self._engine_for_a_request()

    def close(self) -> None:
        """Stop the prediction threads and let go of the model; requests are refused from now on."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _engine_for_a_request(self) -> Engine:
        try:
            return self._ready()
        except (UnavailableError, DeadlineError):
            raise
        except Exception as error:
            reason = f"it could not be loaded ({type(error).__name__}); the server's log says why"
            raise UnavailableError(self.name, reason) from error

    def _ready(self) -> Engine:
        """The engine of this process, made by whoever comes first."""
        if self._pid != os.getpid():  # a fork that Python was not told of
            self._reset()
        with self._lock:
            if self._closed:
                raise UnavailableError(self.name, "the app is closed; send the request to a running server")
            if self._engine is not None:
                return self._engine
            attempt, first = self._attempt, self._attempt is None
            if attempt is None:
                attempt = self._attempt = Future()
        if not first:
            try:
                return attempt.result(self._limits.prediction_seconds)
            except TimeoutError:
                raise DeadlineError(self._limits.prediction_seconds) from None
        return self._make(attempt)

    def _make(self, attempt: Future[Engine]) -> Engine:
        """Load, and let everybody who waits for this attempt have its outcome."""
        try:
            engine = self._start()
        except BaseException as error:
            with self._lock:
                self._attempt = None
            attempt.set_exception(error)
            raise
        with self._lock:
            self._attempt = None
            if self._closed:
                engine.close()
            else:
                self._engine = engine
        attempt.set_result(engine)
        return engine

    def _start(self) -> Engine:
        start = time.monotonic()
        model = self._model()
        traits = model.traits
        self.methods = getattr(model, "methods", traits.methods)  # a model may have a default of its own
        self._classes = traits.classes
        threads = self._threads or (min(4, _cpus()) if traits.thread_safe else 1)
        if threads > 1 and not traits.thread_safe:
            _logger.warning("model %r is not thread-safe: one prediction thread, not %d", self.name, threads)
            threads = 1
        engine = Engine(
            lambda data, params, method: model.predict_rows(data, params, method=method),
            name=self.name,
            limits=self._limits,
            threads=threads,
            batching=traits.rows_independent,
        )
        _logger.info(
            "loaded model %r in %.2f s: %d prediction thread(s), batching %s",
            self.name,
            time.monotonic() - start,
            threads,
            "on" if engine.batching else "off",
        )
        return engine

    def _model(self) -> Loaded:
        if not hasattr(self._source, "predict_rows"):
            return self._source.load()
        source = cast("Loaded", self._source)
        if self._made_in != os.getpid() and not source.traits.fork_safe:
            reason = (
                "it was loaded before this process was forked, which its framework may not survive; "
                "give create_app the model's URI, so that each process loads its own"
            )
            raise UnavailableError(self.name, reason)
        return source


def _check_name(name: object) -> None:
    """Refuse a name that cannot stand in a path, or would be two parts of one."""
    if (
        not isinstance(name, str)
        or not name
        or not name.isprintable()
        or set(name) & set("/\\")
        or name in {".", ".."}
    ):
        raise InvalidURIError(
            str(name), "it has to be printable text without a slash", "a name to serve a model under"
        )


def _cpus() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_served: weakref.WeakSet[ServedModel] = weakref.WeakSet()


def _reset_after_fork(model: ServedModel) -> None:
    """Have a forked child start afresh: threads of its parent are not there, locks may be held for ever."""
    _served.add(model)
    _watch_forks()


@functools.cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forked)


def _forked() -> None:
    for model in list(_served):
        model._reset()  # noqa: SLF001 - the same module
