"""TF Serving's and KServe's first protocol: ``instances`` or ``inputs`` in, ``predictions`` out, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.errors import RequestError
from modelserving.scoring import forms
from modelserving.scoring.content import json
from modelserving.scoring.request import ScoringRequest
from modelserving.signature.convert.limits import MAX_DEPTH
from modelserving.signature.convert.params import convert_params
from modelserving.signature.convert.problems import shown
from modelserving.signature.schema import ColumnSpec
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from modelserving.signature.convert.names import Extras
    from modelserving.signature.schema import Schema, Signature

_FORMS = ("instances", "inputs")
_PARAMS = ("parameters", "params")
_DEFAULT = ("serving_default", "")
"""TF Serving's name for the signature that is meant when none is named."""


def decode(
    body: bytes, signature: Signature | None, *, extras: Extras = "ignore"
) -> tuple[ScoringRequest, str | None]:
    """A request's body as checked data and params, and the method that its ``signature_name`` asks for.

    ``instances`` has one entry a row, ``inputs`` one a column; ``parameters``, as Vertex AI has it, or
    ``params`` are those of the model. Bytes are ``{"b64": …}`` or base64 text.

    Raises:
        RequestError: The body cannot be read, or has not exactly one of the two.
        DataError: The data or the params do not fit the signature: everything that is wrong with them.

    Example:
        >>> decode(b'{"instances": [1.0, 2.0, 5.0]}', None)[0].data.array()
        array([1., 2., 5.])
    """
    payload = json.parse(body)
    if not isinstance(payload, dict):
        raise RequestError(
            f"the body must be a JSON object with 'instances' or 'inputs', got {shown(payload)}"
        )
    present = [name for name in _FORMS if name in payload]
    if len(present) != 1:
        raise RequestError(
            f"the body must have 'instances' or 'inputs', this one has {' and '.join(present) or 'neither'}"
        )
    params = [payload[name] for name in _PARAMS if payload.get(name) is not None]
    if len(params) > 1 or (params and not isinstance(params[0], dict)):
        raise RequestError("'parameters' (or 'params') must be one JSON object")
    schema = None if signature is None else signature.inputs
    value = (
        _unwrapped(payload[present[0]], 0)
        if b'"b64"' in body and _takes_bytes(schema)
        else payload[present[0]]
    )
    data, ignored = forms.FORMS[present[0]](value, schema, extras)
    converted = convert_params(params[0] if params else None, () if signature is None else signature.params)
    ignored += tuple(key for key in payload if key not in {*_FORMS, *_PARAMS, "signature_name"})
    return ScoringRequest(data, converted, ignored=ignored), _method(payload.get("signature_name"))


def _method(name: object) -> str | None:
    if name is None or name in _DEFAULT:
        return None
    if not isinstance(name, str):
        raise RequestError(f"'signature_name' must be the name of a method, got {shown(name)}")
    return name


def _takes_bytes(schema: Schema | None) -> bool:
    """Whether a model takes bytes anywhere: only there is ``{"b64": …}`` not an object like any other."""
    if schema is None:
        return False
    return any(
        spec.type is DataType.binary if isinstance(spec, ColumnSpec) else spec.dtype == "bytes"
        for spec in schema
    )


def _unwrapped(value: Any, depth: int) -> Any:
    """The same with each ``{"b64": text}`` as its text."""
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [_unwrapped(item, depth + 1) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("b64"), str):
            return value["b64"]
        return {name: _unwrapped(item, depth + 1) for name, item in value.items()}
    return value
