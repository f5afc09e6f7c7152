"""An ONNX file read as far as its references to other files, without the ``onnx`` package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The numbers of the fields in onnx.proto3 that lead to tensors, by message; a tensor lists its external file
# as pairs of a key and a value.
_NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_DEEPEST = 64


def external_files(graph: bytes) -> set[str]:
    """The locations of external data that an ONNX model names.

    Raises:
        ValueError: The bytes are not a protocol buffer, or nested too deeply.
    """
    if (
        b"location" not in graph
    ):  # the key that every reference has; a forest's numbers take long to walk over
        return set()
    return set(_locations("model", memoryview(graph), 0))


def _locations(message: str, body: memoryview, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError(f"graphs within graphs, more than {_DEEPEST} deep")
    if message == "entry":
        pair = {number: bytes(value).decode("utf-8") for number, value in _fields(body)}
        if pair.get(1) == "location":
            yield pair.get(2, "")
        return
    nested = _NESTED[message]
    for number, value in _fields(body):
        if number in nested:
            yield from _locations(nested[number], value, depth + 1)


def _fields(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The length-delimited fields of one message; the others hold numbers."""
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            _, at = _varint(body, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            length, at = _varint(body, at)
            if at + length > len(body):
                raise ValueError("it ends early")
            yield number, body[at : at + length]
            at += length
        else:
            raise ValueError(f"unknown wire type {wire}")
    if at != len(body):
        raise ValueError("it ends early")


def _varint(body: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(body):
            raise ValueError("it ends early")
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 10 bytes")
