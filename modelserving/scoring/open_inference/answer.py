"""Predictions as the tensors of an answer: JSON, or raw bytes after it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelserving.errors import RequestError, choices, excerpt
from modelserving.scoring.arrays import named_arrays
from modelserving.scoring.moments import durations, moments
from modelserving.scoring.open_inference.datatypes import NAMES
from modelserving.scoring.open_inference.tensor import join_bytes
from modelserving.scoring.predictions import encode_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.scoring.open_inference.request import InferRequest
    from modelserving.signature.schema import Schema


class Answer(NamedTuple):
    """The body of an answer.

    Attributes:
        body: JSON, and after it the raw bytes of the tensors that were asked for so.
        json_length: How many bytes of it are JSON; None if all are.
    """

    body: bytes
    json_length: int | None


class Predicted(NamedTuple):
    """What one method of the model answered.

    Attributes:
        method: Its name.
        predictions: As the model returned them.
        classes: The label of each column; () if it has none.
    """

    method: str
    predictions: object
    classes: Sequence[object] = ()


def encode(
    answers: Sequence[Predicted],
    request: InferRequest,
    *,
    name: str,
    version: str | None = None,
    outputs: Schema | None = None,
) -> Answer:
    """The answer to a request.

    Args:
        answers: Of each method that was asked, the default one first if it was.
        request: What they answer.
        name: The model's.
        version: The model's, None without one.
        outputs: What the signature says the default method answers.

    Raises:
        RequestError: An output was asked for that is neither a method nor among the outputs.
        UnserializableError: The model answered with something that has no JSON form.
    """
    tensors = _chosen(answers, request, outputs)
    header: dict[str, Any] = {"model_name": name}
    if version is not None:
        header["model_version"] = version
    if request.id is not None:
        header["id"] = request.id
    header["outputs"], tails = [], []
    for each, array, binary, classes in tensors:
        tensor, tail = _written(each, array, binary=binary)
        if classes:
            tensor.setdefault("parameters", {})["classes"] = encode_json(list(classes)).decode()
        header["outputs"].append(tensor)
        if tail is not None:
            tails.append(tail)
    text = encode_json(header)
    return Answer(b"".join([text, *tails]), len(text)) if tails else Answer(text, None)


_Chosen = tuple[str, np.ndarray, bool, "Sequence[object]"]


def _chosen(answers: Sequence[Predicted], request: InferRequest, outputs: Schema | None) -> list[_Chosen]:
    """The arrays to send: all of the default method, or those that were asked for, in that order."""
    of_method = {each.method: (_arrays(each, outputs), each.classes) for each in answers}
    if not request.outputs:
        arrays, classes = of_method[answers[0].method]
        return [(each, array, request.binary, classes) for each, array in arrays.items()]
    chosen: list[_Chosen] = []
    for asked in request.outputs:
        if asked.name in of_method:
            arrays, classes = of_method[asked.name]
            names = arrays if len(arrays) > 1 else [asked.name]
            chosen += [
                (each, array, asked.binary, classes)
                for each, array in zip(names, arrays.values(), strict=True)
            ]
            continue
        arrays, classes = of_method[answers[0].method]
        if asked.name not in arrays:
            raise RequestError(f"there is no output {excerpt(asked.name)}; outputs: {choices(arrays)}")
        chosen.append((asked.name, arrays[asked.name], asked.binary, classes))
    return chosen


def _arrays(answer: Predicted, outputs: Schema | None) -> dict[str, np.ndarray]:
    name = answer.method
    if outputs is not None and len(outputs) == 1 and outputs.is_named:
        name = str(outputs.names[0])
    return {
        each: array if array.ndim else array.reshape(1)
        for each, array in named_arrays(answer.predictions, name).items()
    }


def _written(name: str, array: np.ndarray, *, binary: bool) -> tuple[dict[str, Any], bytes | None]:
    """One tensor as JSON, and its raw bytes if it is sent as such."""
    tensor: dict[str, Any] = {"name": name, "shape": list(array.shape)}
    datatype = NAMES.get(array.dtype.newbyteorder("="))
    if datatype is not None:
        tensor["datatype"] = datatype
        if not binary:
            return {**tensor, "data": np.ascontiguousarray(array).reshape(-1)}, None
        tail = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        return {**tensor, "parameters": {"binary_data_size": len(tail)}}, tail
    content, elements = _texts(array)
    tensor["datatype"] = "BYTES"
    if not binary:
        data = [base64.b64encode(each).decode() for each in elements] if content == "base64" else elements
        return {**tensor, "parameters": {"content_type": content}, "data": data}, None
    tail = join_bytes(
        [each if isinstance(each, bytes) else each.encode("utf-8", "surrogatepass") for each in elements]
    )
    known = {} if content == "base64" else {"content_type": content}
    return {**tensor, "parameters": {**known, "binary_data_size": len(tail)}}, tail


def _texts(array: np.ndarray) -> tuple[str, list[Any]]:
    """The content type of an array that is not of numbers, and its elements, all text or all bytes."""
    flat = array.reshape(-1)
    elements: list[Any] = flat.tolist()
    if array.dtype.kind in "mM":
        elements = moments(flat) if array.dtype.kind == "M" else durations(flat)
        if None not in elements:
            return ("datetime" if array.dtype.kind == "M" else "str"), elements
    kinds = set(map(type, elements))
    if kinds <= {str}:
        return "str", elements
    if kinds == {bytes}:
        return "base64", elements
    return "pd_json", [encode_json(each).decode() for each in elements]
