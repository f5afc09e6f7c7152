"""MLflow's scoring protocol: the body of ``POST /invocations`` into checked data, predictions into bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from werkzeug.http import parse_options_header

from modelserving.errors import RequestError
from modelserving.scoring import forms
from modelserving.scoring.content import arrow, csv, json, npy, parquet
from modelserving.scoring.predictions import encode_json
from modelserving.scoring.request import ScoringRequest, UnsupportedMediaTypeError
from modelserving.signature.convert.params import convert_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelserving.signature.convert.names import Extras
    from modelserving.signature.rows import Raw, Rows
    from modelserving.signature.schema import Schema, Signature

_UTF8 = {"utf-8", "utf8"}


def decode(
    body: bytes, content_type: str | None, signature: Signature | None, *, extras: Extras = "ignore"
) -> ScoringRequest:
    """A request's body as checked data and params.

    Args:
        body: All of it, not compressed.
        content_type: The Content-Type header as it came.
        signature: What the model declares; without one, only the form is checked.
        extras: What becomes of columns that the signature does not know.

    Raises:
        UnsupportedMediaTypeError: The content type is missing, or not one of :data:`CONTENT_TYPES`, or not
            UTF-8.
        RequestError: The body cannot be read, or does not say which form its data has.
        DataError: The data or the params do not fit the signature: everything that is wrong with them.

    Example:
        >>> decode(b'{"inputs": [[1, 2], [3, 4]]}', "application/json", None).data.array()
        array([[1, 2],
               [3, 4]])
    """
    try:
        return _READERS[media_type(content_type)](body, signature, extras)
    except ImportError:  # pyarrow is an extra
        raise UnsupportedMediaTypeError(content_type, sorted(set(CONTENT_TYPES) - _NEED_PYARROW)) from None


def encode(predictions: object, *, wrapped: bool = True, classes: Sequence[object] = ()) -> bytes:
    """Predictions as the JSON of an answer: ``{"predictions": …}``, or alone if not ``wrapped``.

    ``classes``, the label of each column, stand beside the predictions.

    NaN and infinities become null, so that the answer is JSON whatever the model says; all other values are
    exact.

    Raises:
        UnserializableError: The model answered with something that has no JSON form.

    Example:
        >>> import numpy as np
        >>> encode(np.array([0.5, np.nan]))
        b'{"predictions":[0.5,null]}'
    """
    if classes:
        return encode_json({"predictions": predictions, "classes": list(classes)})
    if isinstance(predictions, np.ndarray):  # the usual answer, without a dict around it
        body = encode_json(predictions)
        return b'{"predictions":' + body + b"}" if wrapped else body
    return encode_json({"predictions": predictions} if wrapped else predictions)


def media_type(content_type: str | None) -> str:
    """The content type without its parameters, if it is one of :data:`CONTENT_TYPES` in UTF-8.

    Raises:
        UnsupportedMediaTypeError: It is not.
    """
    found = None if content_type is None else _media_type(content_type)
    if found is None:
        raise UnsupportedMediaTypeError(content_type, CONTENT_TYPES)
    return found


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> str | None:
    name, options = parse_options_header(content_type)
    if name.lower() not in _READERS or options.get("charset", "utf-8").lower() not in _UTF8:
        return None
    return name.lower()


def _read_json(body: bytes, signature: Signature | None, extras: Extras) -> ScoringRequest:
    payload = json.parse(body)
    if not isinstance(payload, dict):
        raise RequestError(f"the body must be a JSON object with {_one_of()}; this one is no object")
    schema = None if signature is None else signature.inputs
    specs = () if signature is None else signature.params
    present = [name for name in forms.FORMS if name in payload]
    if not present and forms.takes_llm(payload, schema):
        return _read_llm(payload, signature, extras)
    if len(present) != 1:
        found = f"this one has {' and '.join(map(repr, present))}" if present else "this one has none of them"
        raise RequestError(f"the body must be a JSON object with {_one_of()}; {found}")
    name = present[0]
    data, ignored = forms.FORMS[name](payload[name], schema, extras)
    params = payload.get("params")
    if params is not None and not isinstance(params, dict):
        raise RequestError("'params' must be a JSON object")
    if len(payload) > 1 + ("params" in payload):
        ignored += tuple(key for key in payload if key not in {name, "params"})
    return ScoringRequest(data, convert_params(params, specs), ignored=ignored)


def _read_llm(payload: dict[str, object], signature: Signature | None, extras: Extras) -> ScoringRequest:
    specs = () if signature is None else signature.params
    names = {spec.name for spec in specs}
    params = {name: value for name, value in payload.items() if name in names}
    body = {name: value for name, value in payload.items() if name not in names}
    data, ignored = forms.llm(body, None if signature is None else signature.inputs, extras)
    return ScoringRequest(data, convert_params(params, specs), wrapped=False, ignored=ignored)


def _read_csv(body: bytes, signature: Signature | None, extras: Extras) -> ScoringRequest:
    schema: Schema | None = None if signature is None else signature.inputs
    data, ignored = csv.read(csv.parse(body), schema, extras)
    return ScoringRequest(
        data, convert_params(None, () if signature is None else signature.params), ignored=ignored
    )


def _read_arrow(body: bytes, signature: Signature | None, extras: Extras) -> ScoringRequest:
    return _table(arrow.parse(body), arrow.read, signature, extras)


def _read_parquet(body: bytes, signature: Signature | None, extras: Extras) -> ScoringRequest:
    return _table(parquet.parse(body), arrow.read, signature, extras)


def _read_npy(body: bytes, signature: Signature | None, extras: Extras) -> ScoringRequest:
    return _table(npy.parse(body), npy.read, signature, extras)


def _table(
    table: Any,
    read: Callable[..., tuple[Rows | Raw, tuple[str, ...]]],
    signature: Signature | None,
    extras: Extras,
) -> ScoringRequest:
    """A body that is data and nothing else: no params but the declared defaults."""
    data, ignored = read(table, None if signature is None else signature.inputs, extras)
    params = convert_params(None, () if signature is None else signature.params)
    return ScoringRequest(data, params, ignored=ignored)


def _one_of() -> str:
    return f"exactly one of {', '.join(map(repr, forms.FORMS))}"


_READERS: Mapping[str, Callable[[bytes, Signature | None, Extras], ScoringRequest]] = {
    "application/json": _read_json,
    "text/csv": _read_csv,
    arrow.MEDIA_TYPE: _read_arrow,
    npy.MEDIA_TYPE: _read_npy,
    parquet.MEDIA_TYPE: _read_parquet,
}

_NEED_PYARROW = {arrow.MEDIA_TYPE, parquet.MEDIA_TYPE}

CONTENT_TYPES = tuple(sorted(_READERS))
"""The content types that requests may have."""
