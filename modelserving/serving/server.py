"""``modelserving serve``: worker processes that each load the model, and one parent that only watches them.

The parent never loads a model. Workers are spawned, not forked, because what numerical libraries start in a
process does not survive a fork. Each loads its model before it opens the port, so a port that answers is
ready.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from modelserving.errors import AddressError, MissingDependencyError, ModelServingError, UnavailableError
from modelserving.serving.app import create_asgi_app
from modelserving.serving.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from typing import Self

    from modelserving.serving.asgi import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger("modelserving")

DRAIN = 30
"""Seconds that a worker may take to finish what is in flight before it is killed."""


def serve(
    model: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    *,
    host: str = "127.0.0.1",
    port: int = 5000,
    workers: int = 1,
    threads: int | None = None,
    timeout: float = 60.0,
    store: str | os.PathLike[str] | None = None,
    flavor: str | None = None,
    trust: str | Sequence[str] | None = None,
    trusted_stores: Sequence[str] = (),
    limits: Limits | None = None,
) -> None:
    """Serve a model over HTTP until SIGTERM or Ctrl-C. To be called in the main thread.

    Prints one line with the URL once the model answers.

    Args:
        model: A model URI or the path of a model's folder, or several under names of their own. An alias is
            read once: all workers serve that version.
        host: The address to listen on.
        port: The port; 0 for any free one.
        workers: Processes, each with its own copy of the model.
        threads: Predictions at once in one worker; None for what the model's traits allow.
        timeout: Seconds from a request's arrival at the model to its answer; later ones are answered 504.
        store: The store of ``models:/`` and ``runs:/`` URIs; None for the default one.
        flavor: The flavor to load it with, where it was saved with several.
        trust: Digests of models whose code may run here.
        trusted_stores: Locations of stores whose models' code may run here.
        limits: What the app holds; its ``prediction_seconds`` give way to ``timeout``.

    Raises:
        MissingDependencyError: The extra ``serve`` is not installed.
        AddressError: The port is in use, or is not ours to open.
        UnavailableError: The workers cannot load the model, or keep ending.
        ModelServingError: The model cannot be found, or is not trusted.

    Example:
        >>> serve("models:/MyRandomForest@champion", port=5000, workers=2)  # doctest: +SKIP
        MyRandomForest version 3 (sklearn) at http://127.0.0.1:5000 with 2 workers
    """
    _require_granian()
    from modelserving.model import resolve

    trust = None if trust is None else ((trust,) if isinstance(trust, str) else tuple(trust))
    named = model if isinstance(model, Mapping) else {"": model}
    finding = {"store": store, "flavor": flavor, "trust": trust, "trusted_stores": trusted_stores}
    pinned: dict[str, tuple[str, str | None]] = {}
    titles = []
    for name, uri in named.items():
        found = resolve(uri, prefer_twin=True, **finding)  # type: ignore[arg-type]
        exact = os.fspath(uri) if found.version is None else f"models:/{found.name}/{found.version}"
        pinned[name] = exact, found.alias
        version = "" if found.version is None else f" version {found.version}"
        titles.append(f"{name or found.name}{version} ({found.flavor.name})")
    limits = replace(limits or Limits(), prediction_seconds=timeout)
    factory = partial(_pinned_app, pinned, finding, limits=limits, threads=threads)
    run(factory, ", ".join(titles), host=host, port=port, workers=workers)


def _pinned_app(
    pinned: Mapping[str, tuple[str, str | None]],
    finding: Mapping[str, object],
    *,
    limits: Limits,
    threads: int | None,
) -> ASGIApp:
    """The app of one worker: each model in the version the parent found, under the alias it was asked for."""
    from modelserving.model import resolve

    found = {
        name: replace(resolve(uri, prefer_twin=True, **finding), alias=alias)  # type: ignore[arg-type]
        for name, (uri, alias) in pinned.items()
    }
    return create_asgi_app(found.get("") or found, limits=limits, threads=threads)


def run(
    factory: Callable[[], ASGIApp], title: str, *, host: str = "127.0.0.1", port: int = 5000, workers: int = 1
) -> None:
    """Run the app that ``factory`` makes in each worker; see :func:`serve`.

    Args:
        factory: Called in each worker; has to be picklable.
        title: What is served, for the line that is printed and for errors.
        host: The address to listen on.
        port: The port; 0 for any free one.
        workers: The number of processes.
    """
    _require_granian()
    from granian import Granian

    with _reserved(host, port) as own_port, _spawning(), _Workers(factory, title) as watched:
        server = Granian(
            title,
            address=host,
            port=own_port,
            workers=workers,
            interface="asgi",  # type: ignore[arg-type]
            http="1",  # type: ignore[arg-type]
            websockets=False,
            log_enabled=False,
            respawn_failed_workers=True,
            workers_kill_timeout=DRAIN,
        )
        plural = "" if workers == 1 else "s"
        url = f"http://{f'[{host}]' if ':' in host else host}:{own_port}"
        watched.watch(server, workers, f"{title} at {url} with {workers} worker{plural}")
        code: object = 0
        try:
            server.serve(target_loader=watched.loader, wrap_loader=False)
        except SystemExit as end:
            code = end.code
        if watched.failure is not None:
            raise UnavailableError(title, watched.failure)
        if (
            code and not server.interrupt_signal
        ):  # a worker that was faster to stop than its parent is no failure
            raise UnavailableError(title, "its worker processes keep ending; the log says why")


def _require_granian() -> None:
    try:
        import granian  # noqa: F401
    except ImportError:
        raise MissingDependencyError("granian", "the command 'serve'", "serve") from None


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    """The port, kept from others while workers come and go.

    The workers share it by SO_REUSEPORT, with which a second server would start on it just as well: so look
    first whether anybody listens.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            port = alone.getsockname()[1]
        with socket.socket(family, kind, protocol) as shared:
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                shared.bind((host, port, *address[2:]))
            yield port
    except OSError as error:
        raise AddressError(host, port, (error.strerror or str(error)).lower()) from None


@contextmanager
def _spawning() -> Iterator[None]:
    """Granian starts workers by the process-wide method, which is fork on Linux."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


class _Workers:
    """What the parent knows of its workers: each says over a pipe when it is ready, or why it cannot be.

    Attributes:
        loader: What each worker calls for its app.
        failure: Why the server could not start; None if it could.
    """

    def __init__(self, factory: Callable[[], ASGIApp], title: str) -> None:
        self.title = title
        self.failure: str | None = None
        self._news, tell = multiprocessing.Pipe(duplex=False)
        alive, self._alive = multiprocessing.Pipe(duplex=False)
        self.loader = _Loader(factory, tell, alive)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._news, self._alive, self.loader.tell, self.loader.alive):
            end.close()

    def watch(self, server: Any, workers: int, line: str) -> None:
        """Print ``line`` when all workers are ready; stop ``server`` if one cannot start."""
        address = (server.bind_addr, server.bind_port)
        threading.Thread(target=self._watch, args=(server, workers, address, line), daemon=True).start()

    def _watch(self, server: Any, workers: int, address: tuple[str, int], line: str) -> None:
        ready = 0
        try:
            while True:
                news = json.loads(self._news.recv_bytes())
                if "failed" in news and ready < workers:
                    self.failure = news["failed"]
                    server.signal_handler_interrupt()
                    return
                ready += "ready" in news
                if ready == workers and _answers(address):
                    sys.stdout.write(line + "\n")
                    sys.stdout.flush()
                elif ready > workers:
                    _logger.warning(
                        "a worker of %s ended and was replaced by process %d", self.title, news["ready"]
                    )
        except (EOFError, OSError):  # the server has ended
            return


def _answers(address: tuple[str, int]) -> bool:
    """Whether the port opens within ten seconds: workers say they are ready just before they listen."""
    pause = threading.Event()
    for _ in range(1000):
        try:
            socket.create_connection(address, timeout=1.0).close()
        except OSError:
            pause.wait(0.01)
        else:
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Loader:
    """Makes the app of one worker; pickled to it.

    Attributes:
        factory: Makes the app.
        tell: Where to say ``{"ready": pid}`` or ``{"failed": reason}``.
        alive: Comes to its end when the parent does.
    """

    factory: Callable[[], ASGIApp]
    tell: Connection
    alive: Connection

    def __call__(self) -> _Announced:
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # a terminal sends Ctrl-C to all; the parent passes SIGTERM on
        logging.basicConfig(
            format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING, stream=sys.stderr
        )
        logging.getLogger("modelserving").setLevel(logging.INFO)
        threading.Thread(target=self._follow_parent, daemon=True).start()
        try:
            app = self.factory()
            app.load()
        except Exception as error:  # noqa: BLE001 - the parent says it, in one line
            self.say(failed=_sentence(error))
            raise SystemExit(1) from None
        return _Announced(app, self)

    def say(self, **news: object) -> None:
        """Tell the parent, if it is there; less than PIPE_BUF bytes cannot mix with another worker's."""
        try:
            self.tell.send_bytes(json.dumps(news).encode("ascii"))
        except OSError:
            return

    def _follow_parent(self) -> None:
        """End when the parent has ended, however it did: finish what is in flight, but not for ever."""
        self.alive.poll(None)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(DRAIN)
        os._exit(1)


class _Announced:
    """The app of a worker, which tells the parent when the server has taken it up."""

    def __init__(self, app: ASGIApp, loader: _Loader) -> None:
        self.app, self.loader = app, loader

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            return self.app(scope, receive, send)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # again: the server has set its own by now

        async def announce(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.loader.say(ready=os.getpid())
            await send(message)

        return self.app(scope, receive, announce)


def _sentence(error: Exception) -> str:
    """One line for a terminal: ours as it is, anything else with its class."""
    text = str(error).replace("\n", " ")[:600]
    return text if isinstance(error, ModelServingError) else f"{type(error).__name__}: {text}"
