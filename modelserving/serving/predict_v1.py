"""``/v1``: TF Serving's and KServe's first protocol on routes: by name, by version and by alias."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from modelserving.scoring.invocations import encode
from modelserving.scoring.predict_v1 import decode
from modelserving.serving.invocations import answer_headers, ignored
from modelserving.serving.response import HTTPError, Response
from modelserving.serving.route import Pending, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.serving.models import ServedModel
    from modelserving.serving.request import Request


def routes(models: Sequence[ServedModel]) -> dict[str, Route]:
    """The routes of each model, and the list of their names."""
    names = json.dumps({"models": [model.name for model in models]}).encode("ascii")
    found = {"/v1/models": Route(get=lambda _request: Response(200, names))}
    for model in models:
        paths = [f"/v1/models/{model.name}"]
        if model.version is not None:
            paths.append(f"{paths[0]}/versions/{model.version}")
        if model.alias is not None:
            paths.append(f"{paths[0]}/labels/{model.alias}")
        predict = Route(post=partial(_predict, model), accepts=frozenset({"application/json"}))
        for path in paths:
            found[path] = Route(get=partial(_status, model))
            found[f"{path}:predict"] = predict
    return found


def _status(model: ServedModel, _request: Request) -> Response:
    """KServe's status and TF Serving's in one body; their clients look at different keys."""
    model.ready()
    state = {
        "version": str(model.version or 1),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    body = {"name": model.name, "ready": True, "model_version_status": [state]}
    return Response(200, json.dumps(body).encode("ascii"))


def _predict(model: ServedModel, request: Request) -> Pending:
    if request.query:
        raise HTTPError(400, "a query is not understood here; name a method by 'signature_name'")
    scoring, method = decode(request.body, model.signature)

    def finish(predictions: Sequence[object]) -> Response:
        classes = model.classes(method) if method else ()
        body = encode(predictions[0], classes=classes)
        return Response(200, body, answer_headers(model), ignored(scoring.ignored))

    return Pending((model.submit(scoring.data, scoring.params, method),), finish)
