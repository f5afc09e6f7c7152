"""``/v2``: the Open Inference Protocol on routes, one set a model, under its name and under its version."""

from __future__ import annotations

import json
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from modelserving.scoring.open_inference import Answer, Predicted, decode, encode, metadata
from modelserving.scoring.open_inference.metadata import EXTENSIONS
from modelserving.serving.invocations import answer_headers, ignored
from modelserving.serving.response import HTTPError, Response
from modelserving.serving.route import Pending, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.scoring.open_inference import InferRequest
    from modelserving.serving.models import ServedModel
    from modelserving.serving.request import Request

_LENGTH = "Inference-Header-Content-Length"
_BINARY = "application/octet-stream"


def routes(models: Sequence[ServedModel]) -> dict[str, Route]:
    """The routes of the server and of each model."""
    server = Route(get=_server)
    found = {
        "/v2": server,
        "/v2/": server,
        "/v2/health/live": Route(get=lambda _request: _json({"live": True})),
        "/v2/health/ready": Route(get=partial(_server_ready, models)),
    }
    for model in models:
        paths = [f"/v2/models/{model.name}"]
        if model.version is not None:
            paths.append(f"{paths[0]}/versions/{model.version}")
        infer = Route(
            post=partial(_infer, model), accepts=frozenset({"application/json", _BINARY}), untyped=True
        )
        for path in paths:
            found[path] = Route(get=partial(_model, model))
            found[f"{path}/ready"] = Route(get=partial(_model_ready, model))
            found[f"{path}/infer"] = infer
    return found


def _server(_request: Request) -> Response:
    return _json({"name": "modelserving", "version": version("modelserving"), "extensions": EXTENSIONS})


def _server_ready(models: Sequence[ServedModel], _request: Request) -> Response:
    for model in models:
        model.ready()
    return _json({"ready": True, "live": True})


def _model_ready(model: ServedModel, _request: Request) -> Response:
    model.ready()
    return _json({"name": model.name, "ready": True})


def _model(model: ServedModel, _request: Request) -> Response:
    model.ready()  # what can be asked of it is known when it is loaded
    number = None if model.version is None else str(model.version)
    return _json(
        metadata(model.name, number, model.signature, platform=model.platform, methods=model.methods)
    )


def _infer(model: ServedModel, request: Request) -> Pending:
    if request.query:
        raise HTTPError(400, "a query is not understood here; name methods among the 'outputs'")
    asked = decode(request.body, request.header(_LENGTH.lower()), model.signature)
    model.ready()
    methods = _methods(model, asked)

    def finish(predictions: Sequence[object]) -> Response:
        answers = [
            Predicted(method, answer, model.classes(method))
            for method, answer in zip(methods, predictions, strict=True)
        ]
        return _answer(model, asked, answers)

    return Pending(tuple(model.submit(asked.data, asked.params, method) for method in methods), finish)


def _methods(model: ServedModel, asked: InferRequest) -> list[str]:
    """The methods to ask: those that are outputs, and the default one for outputs of any other name."""
    default, names = model.methods[0], [output.name for output in asked.outputs]
    methods = [name for name in names if name in model.methods]
    if len(methods) < len(names) or not names:
        methods = [default, *(method for method in methods if method != default)]
    return methods


def _answer(model: ServedModel, asked: InferRequest, answers: Sequence[Predicted]) -> Response:
    outputs = model.signature.outputs if model.signature is not None else None
    number = None if model.version is None else str(model.version)
    answer: Answer = encode(answers, asked, name=model.name, version=number, outputs=outputs)
    extra = ignored(asked.ignored)
    if answer.json_length is None:
        return Response(200, answer.body, answer_headers(model), extra)
    return Response(
        200, answer.body, answer_headers(model, _BINARY), (*extra, (_LENGTH, str(answer.json_length)))
    )


def _json(value: object) -> Response:
    return Response(200, json.dumps(value).encode("ascii"))
