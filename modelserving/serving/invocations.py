"""``/invocations`` and ``/models/NAME/invocations``: MLflow's scoring protocol, and so SageMaker's."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from modelserving.errors import excerpt
from modelserving.scoring.answers import JSON, choose, encode_as
from modelserving.scoring.invocations import CONTENT_TYPES, decode, encode
from modelserving.serving.response import HeaderSet, HTTPError, Response
from modelserving.serving.route import Pending, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.serving.models import ServedModel
    from modelserving.serving.request import Request

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_HEADER = 1024
"""Bytes that a header of ours may have."""


def routes(models: Sequence[ServedModel]) -> dict[str, Route]:
    """A route for each model under its name; a model served alone also answers ``/invocations``."""
    found = {f"/models/{model.name}/invocations": _route(model) for model in models}
    if len(models) == 1:
        found["/invocations"] = _route(models[0])
    return found


def _route(model: ServedModel) -> Route:
    headers = answer_headers(model)

    def predict(request: Request) -> Pending:
        method = method_of(request.query)
        accepted = choose(request.header("accept"))
        scoring = decode(request.body, request.header("content-type"), model.signature)
        extra = ignored(scoring.ignored) + _passed_on(request)

        def finish(predictions: Sequence[object]) -> Response:
            if accepted != JSON:
                return Response(
                    200, encode_as(accepted, predictions[0]), answer_headers(model, accepted), extra
                )
            classes = model.classes(method) if method else ()
            return Response(
                200, encode(predictions[0], wrapped=scoring.wrapped, classes=classes), headers, extra
            )

        return Pending((model.submit(scoring.data, scoring.params, method),), finish)

    return Route(post=predict, accepts=frozenset(CONTENT_TYPES))


def method_of(query: str) -> str | None:
    """The method that a query string asks for: ``method=predict_proba``; None for an empty one.

    Raises:
        HTTPError: It has anything else.
    """
    if not query:
        return None
    try:
        [(name, method)] = parse_qsl(query, strict_parsing=True, keep_blank_values=True, max_num_fields=2)
    except ValueError:
        name = method = ""
    if name != "method" or not method:
        raise HTTPError(
            400, f"the query {excerpt(query)} is not understood; send method=NAME, or the path alone"
        )
    return method


def answer_headers(model: ServedModel, content_type: str = JSON) -> HeaderSet:
    """The headers of an answer that this model gave: which one it was, to the byte."""
    return _headers(content_type, model.name, model.version, model.digest)


@lru_cache(maxsize=256)
def _headers(content_type: str, name: str, version: int | None, digest: str | None) -> HeaderSet:
    named = [("Content-Type", content_type)]
    if name.isascii() and name.isprintable():
        named.append(("X-Model-Name", name))
    if version is not None:
        named.append(("X-Model-Version", str(version)))
    if digest is not None:
        named.append(("X-Model-Digest", digest))
    return HeaderSet(named)


def ignored(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The header that lists what was sent and not used, each name percent-encoded; as many as it can hold."""
    if not names:
        return ()
    value = ""
    for name in names:
        longer = (value + ", " if value else "") + quote(name[:_HEADER].encode("utf-8", "replace"), safe=" ")
        if len(longer) > _HEADER:
            break
        value = longer
    return (("X-Ignored-Columns", value or f"{len(names)} names"),)


def _passed_on(request: Request) -> tuple[tuple[str, str], ...]:
    """SageMaker's attributes of a request, which its answer repeats."""
    sent = request.header(_ATTRIBUTES)
    if sent is None or len(sent) > _HEADER or not (sent.isascii() and sent.isprintable()):
        return ()
    return (("X-Amzn-SageMaker-Custom-Attributes", sent),)
