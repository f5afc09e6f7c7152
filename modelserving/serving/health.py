"""``/ping``, ``/health`` and ``/version``: whether the models are ready, and which program this is."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from modelserving.serving.response import Response
from modelserving.serving.route import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.serving.models import ServedModel
    from modelserving.serving.request import Request


def routes(models: Sequence[ServedModel]) -> dict[str, Route]:
    """The routes that say how the app is.

    ``/ping`` and ``/health`` answer 200 when every model is loaded, which the first of them may do itself:
    behind a load balancer that asks before it sends anything, nobody else would. 503 when one cannot be.
    """
    alive = Response(200, b"{}")

    def ping(_request: Request) -> Response:
        for model in models:
            model.ready()
        return alive

    @cache
    def program() -> Response:  # reading it takes longer than a prediction
        return Response(200, json.dumps(version("modelserving")).encode("ascii"))

    return {
        "/ping": Route(get=ping),
        "/health": Route(get=ping),
        "/version": Route(get=lambda _request: program()),
    }
