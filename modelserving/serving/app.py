"""The web application: what is asked for, whether it may be read, and who answers; under WSGI and ASGI alike.

A part of the app (:mod:`~modelserving.serving.health`, :mod:`~modelserving.serving.invocations`) is a
function that returns routes. Both skins take the same four steps: :meth:`App.open` the request, read its
body, call the handler, and wait for the prediction if there is one; what any of them raises,
:func:`~modelserving.serving.response.failure` turns into an answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypedDict

from modelserving.errors import choices, excerpt
from modelserving.serving import health, invocations, open_inference, openapi, predict_v1
from modelserving.serving.limits import Limits
from modelserving.serving.models import ServedModel
from modelserving.serving.request import content_length, inflated
from modelserving.serving.response import EMPTY, HTTPError, Response

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from modelserving.serving.asgi import ASGIApp
    from modelserving.serving.models import Loadable, Loaded
    from modelserving.serving.request import Request
    from modelserving.serving.route import Handler, Pending, Route
    from modelserving.serving.wsgi import WSGIApp


class Call(NamedTuple):
    """A request that was let in.

    Attributes:
        handler: Answers it.
        reads: Whether it has a body to read.
        length: The bytes of the body; None for one that tells its own end.
        slow: It takes more time than the length of the body tells.
    """

    handler: Handler
    reads: bool = False
    length: int | None = None
    slow: bool = False


class App:
    """The routes of some models, and the checks that come before them.

    Args:
        models: What is served, each under a name of its own.
        limits: What the app holds, and how long it waits.
    """

    def __init__(self, models: Sequence[ServedModel], *, limits: Limits) -> None:
        self.models, self.limits = tuple(models), limits
        self.routes: Mapping[str, Route] = {
            **health.routes(self.models),
            **invocations.routes(self.models),
            **open_inference.routes(self.models),
            **predict_v1.routes(self.models),
            **openapi.routes(self.models),
        }

    def open(self, request: Request) -> Call:
        """Who answers this request. What can be refused is refused here, before a byte of the body is read.

        Raises:
            HTTPError: 400, 404, 405, 411, 413 or 415.
        """
        if len(request.query) > self.limits.query:
            raise HTTPError(400, f"the query string is longer than {self.limits.query} bytes")
        method, route = request.method, self.routes.get(request.path)
        if route is None:
            if method == "OPTIONS" and request.path == "*":
                return Call(_options("GET, HEAD, POST"))
            names = choices(model.name for model in self.models)
            raise HTTPError(
                404, f"there is no {excerpt(request.path)} here; models: {names}; paths: see /openapi.json"
            )
        if method == "POST" and route.post is not None:
            length = content_length(request, self.limits.body)
            _check_content_type(request, route)
            if _is_gzip(request):
                return Call(self._inflating(route.post), reads=True, length=length, slow=True)
            return Call(route.post, reads=True, length=length)
        if method in {"GET", "HEAD"} and route.get is not None:
            return Call(route.get)
        if method == "OPTIONS":
            return Call(_options(route.allow))
        allow = (("Allow", route.allow),)
        raise HTTPError(
            405, f"{excerpt(request.path)} does not answer {excerpt(method)}; use {route.allow}", allow
        )

    def _inflating(self, handler: Handler) -> Handler:
        """The handler of a body that comes compressed."""

        def inflate_first(request: Request) -> Response | Pending:
            request.body = inflated(request.body, self.limits.body)
            return handler(request)

        return inflate_first

    @property
    def loaded(self) -> bool:
        """Whether this process has every model ready."""
        return all(model.loaded for model in self.models)

    def load(self) -> None:
        """Load every model in this process now, rather than with the first request.

        Raises:
            ModelServingError: One of them cannot be loaded.
        """
        for model in self.models:
            model.load()

    def close(self) -> None:
        """Stop the prediction threads and let go of the models."""
        for model in self.models:
            model.close()


def _check_content_type(request: Request, route: Route) -> None:
    """Refuse a body that no part would read; its parameters are checked by the part that reads it."""
    sent, accepts = request.header("content-type"), route.accepts
    if sent is None:
        if route.untyped:
            return
        raise HTTPError(415, f"the request has no Content-Type; send one of {choices(accepts)}")
    if sent.partition(";")[0].strip().lower() not in accepts:
        raise HTTPError(415, f"Content-Type {excerpt(sent)} is not supported; send one of {choices(accepts)}")


def _is_gzip(request: Request) -> bool:
    """Whether the body is compressed; once at most, and by nothing else than gzip."""
    coding = request.header("content-encoding")
    if coding is None or coding.strip().lower() == "identity":
        return False
    if coding.strip().lower() not in {"gzip", "x-gzip"}:
        raise HTTPError(
            415, f"Content-Encoding {excerpt(coding)} is not supported; send the body as it is, or gzip"
        )
    return True


def _options(allow: str) -> Handler:
    response = Response(204, b"", EMPTY, (("Allow", allow),))
    return lambda _request: response


Source: TypeAlias = "str | os.PathLike[str] | Loadable | Loaded"
"""What an app can serve: a model URI, the path of a model's folder, a model found or loaded."""


class AppOptions(TypedDict, total=False):
    """What :func:`create_app` and :func:`create_asgi_app` take besides models.

    Attributes:
        store: The store of ``models:/`` and ``runs:/`` URIs; None for the default one.
        flavor: The flavor to load each model with, where it was saved with several.
        trust: Digests of models whose code may run here.
        trusted_stores: Locations of stores whose models' code may run here.
        limits: What the app holds and how long it waits; None for ``Limits()``.
        threads: Predictions that may run at once; None for what the model's traits allow.
    """

    store: str | os.PathLike[str] | None
    flavor: str | None
    trust: str | Sequence[str] | None
    trusted_stores: Sequence[str]
    limits: Limits | None
    threads: int | None


def create_app(model: Source | Mapping[str, Source], **options: Unpack[AppOptions]) -> WSGIApp:
    """A WSGI application that serves one model or several; mount it anywhere, under any prefix.

    A model is found, checked for trust and its signature read at once. It is loaded by ``app.load()`` or by
    the first request of each process, so that an app made before a fork works after it.

    Args:
        model: A model URI, the path of a model's folder, or a model from ``load_model``; or a dict of
            several, each under the name it is to be called by.
        **options: ``store``, ``flavor``, ``trust``, ``trusted_stores``, ``limits``, ``threads``: see
            :class:`AppOptions`.

    Returns:
        The application, with ``load()``, ``close()``, and as a context manager, which closes it.

    Raises:
        InvalidURIError: The URI, or a name in the dict, cannot be read.
        StoreError: There is no such model, version, alias or run.
        UntrustedModelError: Loading it would run code that nobody vouched for.
        MLmodelError: The folder holds no model.

    Example:
        >>> app = create_app("models:/MyRandomForest/latest")  # doctest: +SKIP
        >>> app = create_app({"iris": "models:/iris@champion", "churn": model})  # doctest: +SKIP
    """
    from modelserving.serving.wsgi import WSGIApp

    return WSGIApp(_app(model, **options))


def create_asgi_app(model: Source | Mapping[str, Source], **options: Unpack[AppOptions]) -> ASGIApp:
    """As :func:`create_app`, as an ASGI application: it mounts into FastAPI, and is what ``serve`` runs.

    Its lifespan loads the model at start-up, where the server runs it. Mounted apps have no lifespan of their
    own: there the first request loads, or ``app.load()``.

    Example:
        >>> app = create_asgi_app("models:/MyRandomForest@champion")  # doctest: +SKIP
        >>> fastapi_app.mount("/forest", app)  # doctest: +SKIP
    """
    from modelserving.serving.asgi import ASGIApp

    return ASGIApp(_app(model, **options))


def _app(
    model: Source | Mapping[str, Source],
    *,
    store: str | os.PathLike[str] | None = None,
    flavor: str | None = None,
    trust: str | Sequence[str] | None = None,
    trusted_stores: Sequence[str] = (),
    limits: Limits | None = None,
    threads: int | None = None,
) -> App:
    limits = limits or Limits()
    named: Mapping[str | None, Source] = model if isinstance(model, Mapping) else {None: model}  # type: ignore[assignment]
    served = []
    for name, source in named.items():
        if isinstance(source, str | os.PathLike):
            from modelserving.model import resolve

            source = resolve(
                source,
                store=store,
                flavor=flavor,
                trust=trust,
                trusted_stores=trusted_stores,
                prefer_twin=True,
            )
        served.append(ServedModel(source, limits=limits, name=name, threads=threads))
    return App(served, limits=limits)
