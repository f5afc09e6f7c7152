"""One tensor as it was sent, and the arrays that can be made of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelserving.errors import RequestError
from modelserving.scoring.content import json
from modelserving.scoring.open_inference.datatypes import DTYPES
from modelserving.signature.convert.arrays import array_column
from modelserving.signature.convert.problems import shown
from modelserving.signature.convert.values import column, objects
from modelserving.signature.types import AnyType, ColumnType, DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.signature.convert.problems import Refuse


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of a request, its shape and number of elements checked.

    Attributes:
        name: As sent.
        datatype: The protocol's word.
        shape: As sent.
        elements: An array of the shape, or a flat list of JSON values, or for BYTES of bytes.
        content: Its ``content_type``, None without.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: np.ndarray | list[object]
    content: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether it holds BYTES."""
        return self.datatype == "BYTES"

    def as_declared(self, *, required: bool, refuse: Refuse) -> np.ndarray:
        """Numbers and booleans in the tensor's own datatype and shape; objects where one is missing."""
        if isinstance(self.elements, np.ndarray):
            return self.elements
        made = column(self.elements, DTYPES[self.datatype], required=required, refuse=refuse)
        return made.reshape(self.shape)

    def as_column(self, kind: ColumnType | np.dtype, *, required: bool, refuse: Refuse) -> np.ndarray:
        """The elements in the type that a signature declares, flat or in the tensor's shape.

        Args:
            kind: The declared type.
            required: Whether null is refused.
            refuse: Told of each element that does not fit, by its position among all.
        """
        if self.is_text:
            values = self.texts(kind, refuse)
            made = column(values, kind, required=required, refuse=refuse)
            return made.reshape(self.shape) if isinstance(kind, DataType | np.dtype) else made
        fits = _Told(refuse)
        array = self.as_declared(required=required, refuse=fits)
        return array if fits.told else array_column(array, kind, required=required, refuse=refuse)

    def texts(self, kind: ColumnType | np.dtype, refuse: Refuse) -> list[object]:
        """The elements of BYTES as the values that a column is made of: text, bytes, or parsed JSON."""
        elements = list(self.elements)
        if self.content == "pd_json" or not isinstance(kind, DataType | np.dtype | AnyType):
            return [self._parsed(at, item, refuse) for at, item in enumerate(elements)]
        if kind is DataType.binary and self.content != "base64":
            return elements
        return [self._text(at, item, refuse) for at, item in enumerate(elements)]

    def natural(self, refuse: Refuse) -> np.ndarray:
        """The array for a model that declares nothing: the tensor's own datatype; BYTES as text or bytes."""
        if not self.is_text:
            return self.as_declared(required=True, refuse=refuse)
        elements: list[object] = list(self.elements)
        if self.content == "pd_json":
            elements = [self._parsed(at, item, refuse) for at, item in enumerate(elements)]
        elif self.content == "datetime":
            return self.as_column(DataType.datetime, required=True, refuse=refuse)
        elif self.content == "base64":
            return self.as_column(DataType.binary, required=True, refuse=refuse)
        elif self.content == "str" or not all(isinstance(item, bytes) for item in elements):
            return self.as_column(DataType.string, required=True, refuse=refuse)
        return objects(elements).reshape(self.shape)

    def _text(self, at: int, item: object, refuse: Refuse) -> object:
        if not isinstance(item, bytes):
            return item
        try:
            return item.decode("utf-8")
        except UnicodeDecodeError:
            refuse(at, "text in UTF-8", f"{len(item)} bytes that are not")
            return ""

    def _parsed(self, at: int, item: object, refuse: Refuse) -> object:
        try:
            if isinstance(item, str):
                item = item.encode("utf-8")
            if isinstance(item, bytes):
                return json.parse(item)
        except (RequestError, UnicodeEncodeError):
            pass
        refuse(at, "JSON text", shown(item))
        return None


class _Told:
    """Passes on what is refused, and knows whether anything was."""

    def __init__(self, refuse: Refuse) -> None:
        self.refuse, self.told = refuse, False

    def __call__(self, index: int | None, expected: str, got: str, path: str | None = None) -> None:
        self.told = True
        self.refuse(index, expected, got, path)


def from_bytes(part: bytes, datatype: str, shape: tuple[int, ...], where: str) -> np.ndarray | list[object]:
    """The elements of raw bytes, as an array of this shape; of BYTES as a list.

    Raises:
        RequestError: It is not as many bytes as the shape needs.
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        elements = split_bytes(part, where)
        if len(elements) != count:
            raise RequestError(f"{where}: shape needs {count} elements, its bytes hold {len(elements)}")
        return elements
    dtype = DTYPES[datatype].newbyteorder("<")
    if len(part) != count * dtype.itemsize:
        raise RequestError(f"{where}: shape needs {count * dtype.itemsize} bytes, there are {len(part)}")
    if datatype == "BOOL" and part.translate(None, b"\x00\x01"):
        raise RequestError(f"{where} has a byte that is neither 0 nor 1")
    # a copy: a part of the body is read-only, and where a tensor starts in it is up to the client
    return np.frombuffer(part, dtype).reshape(shape).astype(DTYPES[datatype])


def split_bytes(part: bytes, where: str) -> list[object]:
    """The elements of BYTES: each four bytes of length, little-endian, and as many bytes.

    Raises:
        RequestError: A length points beyond the end.

    Example:
        >>> split_bytes(bytes.fromhex("020000006162 0100000063"), "x")
        [b'ab', b'c']
    """
    elements: list[object] = []
    at, end = 0, len(part)
    while at < end:
        first = at + 4
        at = first + int.from_bytes(part[at:first], "little")
        if first > end or at > end:
            raise RequestError(f"{where}: element {len(elements)} of its BYTES ends after the tensor does")
        elements.append(part[first:at])
    return elements


def join_bytes(elements: Sequence[bytes]) -> bytes:
    """The raw form of BYTES: what :func:`split_bytes` reads."""
    return b"".join(piece for each in elements for piece in (len(each).to_bytes(4, "little"), each))
