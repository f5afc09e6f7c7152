"""``/openapi.json``: what the app answers, made from the models' signatures."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelserving.scoring.answers import answer_types
from modelserving.scoring.invocations import CONTENT_TYPES
from modelserving.serving.json_schema import params_schema, rows_schemas
from modelserving.serving.response import Response
from modelserving.serving.route import Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelserving.serving.models import ServedModel

Form = dict[str, Any]

_ERRORS = {
    "400": "The request cannot be read, or its data does not fit the signature",
    "406": "The answer cannot be had in the content type that was asked for",
    "411": "No Content-Length",
    "413": "The body is too large",
    "415": "The content type or encoding of the body is not read here",
    "500": "The model failed; the server's log has it under the request id",
    "503": "The model is not ready, or too many requests wait",
    "504": "No prediction in time",
}


def routes(models: Sequence[ServedModel]) -> dict[str, Route]:
    """The route of the description, which is written when it is first asked for."""

    @cache
    def described() -> Response:
        return Response(200, json.dumps(describe(models), allow_nan=False).encode("ascii"))

    return {"/openapi.json": Route(get=lambda _request: described())}


def describe(models: Sequence[ServedModel]) -> Form:
    """The app as an OpenAPI 3.1 document."""
    paths: dict[str, Form] = {
        "/ping": _get("Whether every model is ready"),
        "/health": _get("Whether every model is ready"),
        "/version": _get("The version of this program"),
        "/v2": _get("The server, in the Open Inference Protocol"),
        "/v2/health/live": _get("Whether the server runs"),
        "/v2/health/ready": _get("Whether every model is ready"),
        "/v1/models": _get("The names of the models"),
        "/openapi.json": _get("This document"),
    }
    schemas: dict[str, Form] = {"Error": _ERROR, "Tensors": _TENSORS, "InferResponse": _INFER_RESPONSE}
    for at, model in enumerate(models):
        schemas[f"Invocation{at}"] = _invocation(model)
        schemas[f"Predict{at}"] = _forms(model, ("instances", "inputs"))
        name = quote(model.name, safe="")
        scoring = _scoring(model, f"Invocation{at}", CONTENT_TYPES)
        paths[f"/models/{name}/invocations"] = scoring
        if len(models) == 1:
            paths["/invocations"] = scoring
        paths.update(_v2(name, model), **_v1(name, model, f"Predict{at}"))
    return {
        "openapi": "3.1.0",
        "info": {"title": ", ".join(model.name for model in models), "version": version("modelserving")},
        "paths": _identified(paths),
        "components": {"schemas": schemas, "responses": {"Error": _content("An error", "Error")}},
    }


def _identified(paths: Mapping[str, Form]) -> dict[str, Form]:
    """Each operation with an id of its own."""
    return {
        path: {verb: {**operation, "operationId": f"{verb}{path}"} for verb, operation in item.items()}
        for path, item in paths.items()
    }


def _versions(name: str, model: ServedModel) -> list[str]:
    return [name] if model.version is None else [name, f"{name}/versions/{model.version}"]


def _v2(name: str, model: ServedModel) -> dict[str, Form]:
    paths: dict[str, Form] = {}
    body = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Tensors"}},
        "application/octet-stream": {},
    }
    for each in _versions(f"/v2/models/{name}", model):
        paths[each] = _get("The model's inputs and outputs as tensors")
        paths[f"{each}/ready"] = _get("Whether the model is ready")
        paths[f"{each}/infer"] = {
            "post": {
                "summary": f"Predictions of {model.name}, as tensors",
                "parameters": [_header("Inference-Header-Content-Length", "Bytes of the body that are JSON")],
                "requestBody": {"required": True, "content": body},
                "responses": {
                    "200": {
                        "description": "Predictions",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/InferResponse"}},
                            "application/octet-stream": {},
                        },
                    },
                    **_errors(),
                },
            }
        }
    return paths


def _v1(name: str, model: ServedModel, schema: str) -> dict[str, Form]:
    paths: dict[str, Form] = {}
    each = _versions(f"/v1/models/{name}", model)
    if model.alias is not None:
        each.append(f"/v1/models/{name}/labels/{model.alias}")
    for path in each:
        paths[path] = _get("Whether the model is ready")
        paths[f"{path}:predict"] = _scoring(model, schema, ("application/json",), plain=True)
    return paths


def _scoring(model: ServedModel, schema: str, content_types: Sequence[str], *, plain: bool = False) -> Form:
    answers = ("application/json",) if plain else answer_types()
    example = None if plain else model.example()
    shown = {} if example is None else {"example": example}
    json_body = {"schema": {"$ref": f"#/components/schemas/{schema}"}, **shown}
    method: Form = {
        "name": "method",
        "in": "query",
        "description": "The method to ask, such as predict_proba",
        "schema": {"type": "string"},
    }
    return {
        "post": {
            "summary": f"Predictions of {model.name}",
            **({} if plain else {"parameters": [method]}),
            "requestBody": {
                "required": True,
                "content": {each: json_body if each == "application/json" else {} for each in content_types},
            },
            "responses": {
                "200": {
                    "description": "Predictions",
                    "content": {each: {"schema": _PREDICTIONS} if "json" in each else {} for each in answers},
                },
                **_errors(),
            },
        }
    }


def _invocation(model: ServedModel) -> Form:
    return _forms(model, ("dataframe_records", "dataframe_split", "inputs", "instances"))


def _forms(model: ServedModel, names: Sequence[str]) -> Form:
    """Exactly one of the forms, and the params of the model."""
    rows = rows_schemas(model.signature.inputs if model.signature else None)
    specs = model.signature.params if model.signature else ()
    forms = [{"type": "object", "properties": {name: rows[name]}, "required": [name]} for name in names]
    params = {"params": params_schema(specs)} if specs else {}
    return {"type": "object", "oneOf": forms, "properties": params}


def _get(summary: str) -> Form:
    answers = {"200": {"description": summary, "content": {"application/json": {}}}}
    return {
        "get": {"summary": summary, "responses": {**answers, "503": {"$ref": "#/components/responses/Error"}}}
    }


def _header(name: str, description: str) -> Form:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "integer", "minimum": 0},
    }


def _errors() -> Form:
    return {status: _content(text, "Error") for status, text in _ERRORS.items()}


def _content(description: str, schema: str) -> Form:
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": body}


_TEXT: Form = {"type": "string"}
_PREDICTIONS: Form = {
    "type": "object",
    "properties": {"predictions": {}, "classes": {"type": "array"}},
    "required": ["predictions"],
}
_ERROR: Form = {
    "type": "object",
    "properties": {
        "error_code": _TEXT,
        "message": _TEXT,
        "error": _TEXT,
        "request_id": _TEXT,
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "row": {"type": ["integer", "null"]},
                    "column": {"type": ["string", "integer", "null"]},
                    "path": {"type": ["string", "null"]},
                    "expected": _TEXT,
                    "got": _TEXT,
                },
            },
        },
    },
    "required": ["error_code", "message", "error", "request_id", "problems"],
}
_TENSOR: Form = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": _TEXT,
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
    "required": ["name", "shape", "datatype"],
}
_OUTPUT: Form = {
    "type": "object",
    "properties": {"name": _TEXT, "parameters": {"type": "object"}},
    "required": ["name"],
}
_TENSORS: Form = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
        "outputs": {"type": "array", "items": _OUTPUT},
    },
    "required": ["inputs"],
}
_INFER_RESPONSE: Form = {
    "type": "object",
    "properties": {
        "model_name": _TEXT,
        "model_version": _TEXT,
        "id": _TEXT,
        "outputs": {"type": "array", "items": _TENSOR},
    },
    "required": ["model_name", "outputs"],
}
