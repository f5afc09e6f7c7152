"""The body of ``POST /v2/models/…/infer``: JSON, raw bytes after it, or the raw bytes of one tensor."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelserving.errors import RequestError, choices, excerpt
from modelserving.scoring.content import json
from modelserving.scoring.open_inference.columns import raw_request_tensor, rows
from modelserving.scoring.open_inference.datatypes import DATATYPES
from modelserving.scoring.open_inference.tensor import Tensor, from_bytes
from modelserving.signature.convert.params import convert_params
from modelserving.signature.convert.problems import shown
from modelserving.signature.convert.tensors import RaggedError, flatten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelserving.signature.convert.names import Extras
    from modelserving.signature.rows import Raw, Rows
    from modelserving.signature.schema import Signature

_ID = re.compile(r"[A-Za-z0-9._:/@+=-]{0,128}", re.ASCII)
_MAX_RANK = 32
_MAX_ELEMENTS = 2**40  # also where another axis is 0: numpy counts the others
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_REQUEST_CONTENT = ("dict", "np", "pd", "str")
_TENSOR_CONTENT = ("base64", "datetime", "np", "pd_json", "str")
_NOT_PARAMS = frozenset({"binary_data_output", "content_type", "headers", "priority", "timeout"})
"""Parameters of the protocol and its clients. What is left are params of the model."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output that was asked for: a method's name, or that of an output of the default method.

    Attributes:
        name: As sent.
        binary: It is to be sent as raw bytes.
    """

    name: str
    binary: bool = False


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One checked request.

    Attributes:
        data: Rows in the order and types of the signature, or a value without rows.
        params: The declared params, defaults filled in.
        id: To be echoed; None if the request has none.
        outputs: Those that were asked for; () for all of the default method.
        binary: Outputs that nobody asked for by name are to be sent as raw bytes.
        ignored: Names of tensors that the signature does not know.
    """

    data: Rows | Raw
    params: dict[str, object]
    id: str | None = None
    outputs: tuple[Output, ...] = ()
    binary: bool = False
    ignored: tuple[str, ...] = ()


def decode(
    body: bytes, json_length: str | None, signature: Signature | None, *, extras: Extras = "ignore"
) -> InferRequest:
    """A request's body as checked data.

    Args:
        body: All of it.
        json_length: The header ``Inference-Header-Content-Length`` as it came: how many bytes of the body are
            JSON. None if all are; ``"0"`` for the bytes of the model's one tensor and no JSON.
        signature: What the model declares; without one, only the tensors themselves are checked.
        extras: What becomes of tensors that the signature does not know.

    Raises:
        RequestError: The body breaks the protocol.
        DataError: The tensors or the params do not fit the signature: everything that is wrong with them.

    Example:
        >>> body = b'{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "INT64", "data": [1, 2, 3, 4]}]}'
        >>> decode(body, None, None).data.array()
        array([[1, 2],
               [3, 4]])
    """
    length = _json_length(json_length, len(body))
    if length == 0 and json_length is not None:
        return _raw(body, signature)
    payload = json.parse(body[:length])
    if not isinstance(payload, dict):
        raise RequestError(f"the body must be a JSON object with 'inputs', got {shown(payload)}")
    parameters = _parameters(payload, "the request")
    content = _content_type(parameters, _REQUEST_CONTENT, "the request")
    tensors = _tensors(payload.get("inputs"), body, length)
    data, ignored = rows(tensors, None if signature is None else signature.inputs, content, extras)
    sent = {name: value for name, value in parameters.items() if _is_param(name)}
    return InferRequest(
        data,
        convert_params(sent, () if signature is None else signature.params),
        id=_id(payload.get("id")),
        outputs=_outputs(payload.get("outputs"), _flag(parameters, "binary_data_output", "the request")),
        binary=_flag(parameters, "binary_data_output", "the request"),
        ignored=ignored,
    )


def _json_length(header: str | None, total: int) -> int:
    if header is None:
        return total
    if not _LENGTH.fullmatch(header) or int(header) > total:
        raise RequestError(
            f"Inference-Header-Content-Length is {excerpt(header)}; "
            f"send how many of the {total} bytes of the body are JSON"
        )
    return int(header)


def _raw(body: bytes, signature: Signature | None) -> InferRequest:
    """A body without JSON: one tensor, whose datatype and shape the signature must say."""
    tensor = raw_request_tensor(body, None if signature is None else signature.inputs)
    data, _ = rows([tensor], signature.inputs if signature else None, None, "refuse")
    return InferRequest(data, convert_params(None, signature.params if signature else ()), binary=True)


def _tensors(inputs: object, body: bytes, at: int) -> list[Tensor]:
    """The tensors of ``inputs``; the raw bytes of those without data follow the JSON, which ends ``at``."""
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(f"'inputs' must be a list of tensors, got {shown(inputs)}")
    tensors: list[Tensor] = []
    names: set[str] = set()
    for position, entry in enumerate(inputs):
        tensor, at = _tensor(entry, position, body, at)
        if tensor.name in names:
            raise RequestError(f"the input {excerpt(tensor.name)} stands twice; send it once")
        names.add(tensor.name)
        tensors.append(tensor)
    if at != len(body):
        raise RequestError(f"{len(body) - at} bytes after the last tensor; send what 'binary_data_size' says")
    return tensors


def _tensor(entry: object, position: int, body: bytes, at: int) -> tuple[Tensor, int]:
    if not isinstance(entry, dict):
        raise RequestError(f"'inputs[{position}]' must be an object, got {shown(entry)}")
    name, datatype = entry.get("name"), entry.get("datatype")
    if not isinstance(name, str) or not name:
        raise RequestError(f"'inputs[{position}].name' must be text, got {shown(name)}")
    where = f"input {excerpt(name)}"
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(f"{where} has datatype {shown(datatype)}; use one of {choices(DATATYPES)}")
    shape = _shape(entry.get("shape"), where)
    parameters = _parameters(entry, where)
    content = _content_type(parameters, _TENSOR_CONTENT, where)
    if any(key.startswith("shared_memory") for key in parameters):
        raise RequestError(f"{where} lies in shared memory, which is not read here; send its data")
    if "binary_data_size" not in parameters:
        return Tensor(name, datatype, shape, _elements(entry, shape, where), content), at
    if "data" in entry:
        raise RequestError(f"{where} has 'data' and 'binary_data_size'; send one of them")
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise RequestError(f"{where} has 'binary_data_size' {shown(size)}; send a number of bytes")
    if at + size > len(body):
        raise RequestError(f"{where} needs {size} bytes after the JSON, there are {len(body) - at}")
    return Tensor(
        name, datatype, shape, from_bytes(body[at : at + size], datatype, shape, where), content
    ), at + size


def _shape(shape: object, where: str) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > _MAX_RANK:
        raise RequestError(f"{where} has shape {shown(shape)}; send a list of at most {_MAX_RANK} lengths")
    for axis in shape:
        if type(axis) is not int or not 0 <= axis < 2**63:
            raise RequestError(f"{where} has {shown(axis)} in its shape; send lengths from 0")
    if math.prod(axis or 1 for axis in shape) > _MAX_ELEMENTS:
        raise RequestError(
            f"{where} has a shape of more than {_MAX_ELEMENTS} elements; send fewer rows at a time"
        )
    return tuple(shape)


def _elements(entry: Mapping[str, Any], shape: tuple[int, ...], where: str) -> list[object]:
    """The elements of ``data``, flat or nested as the shape says; nothing is allocated by its claim."""
    data = entry.get("data")
    if not isinstance(data, list):
        got = f"'data' {shown(data)}" if "data" in entry else "no 'data'"
        raise RequestError(f"{where} has {got}; send a list, flat or nested as its shape")
    elements: list[object] = data
    if len(shape) > 1 and any(type(item) is list for item in data):
        try:
            elements, nested = flatten(data, len(shape))
        except RaggedError as error:
            raise RequestError(
                f"{where} is not nested as its shape: expected {error.expected}, got {error.got}"
            ) from None
        if nested != shape and elements:
            raise RequestError(f"{where} is nested as shape {list(nested)}, its shape is {list(shape)}")
    if len(elements) != math.prod(shape):
        raise RequestError(f"{where}: shape needs {math.prod(shape)} elements, data has {len(elements)}")
    return elements


def _parameters(entry: Mapping[str, Any], where: str) -> dict[str, object]:
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(f"the 'parameters' of {where} must be an object, got {shown(parameters)}")
    return parameters


def _content_type(parameters: Mapping[str, object], known: Sequence[str], where: str) -> str | None:
    content = parameters.get("content_type")
    if content is not None and content not in known:
        raise RequestError(f"{where} has content_type {shown(content)}; use one of {choices(known)}")
    return None if content is None else str(content)


def _flag(parameters: Mapping[str, object], name: str, where: str, *, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"{name!r} of {where} must be true or false, got {shown(value)}")
    return value


def _is_param(name: str) -> bool:
    return name not in _NOT_PARAMS and not name.startswith("triton_")


def _id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RequestError("'id' must be at most 128 letters, digits or ._:/@+=-")
    return value


def _outputs(outputs: object, binary_by_default: bool) -> tuple[Output, ...]:
    if outputs is None:
        return ()
    if not isinstance(outputs, list):
        raise RequestError(f"'outputs' must be a list, got {shown(outputs)}")
    asked: dict[str, Output] = {}
    for position, entry in enumerate(outputs):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise RequestError(f"'outputs[{position}]' must be an object with a 'name', got {shown(entry)}")
        if name in asked:
            raise RequestError(f"the output {excerpt(name)} is asked for twice; ask once")
        where = f"output {excerpt(name)}"
        parameters = _parameters(entry, where)
        for key in parameters:
            if key == "classification" or key.startswith("shared_memory"):
                raise RequestError(f"{where} asks for {key!r}, which is not supported; leave it out")
        asked[name] = Output(name, _flag(parameters, "binary_data", where, default=binary_by_default))
    return tuple(asked.values())
