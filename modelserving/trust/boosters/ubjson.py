"""Universal Binary JSON as XGBoost writes it: typed arrays become numpy arrays, all else plain values."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MAX_DEPTH = 64
_NUMBERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
"""Kind to its form, in the letters that ``struct`` and numpy share."""

_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


def parse_ubjson(data: bytes) -> Any:
    r"""The value in ``data``.

    Raises:
        ValueError: It is not UBJSON, names a key twice, is nested too deeply or has bytes after its end.

    Example:
        >>> parse_ubjson(b"{i\x01a[#i\x02i\x07Ti\x01bSi\x01x}")
        {'a': [7, True], 'b': 'x'}
    """
    reader = _Reader(data)
    value = reader.value(reader.take(1), 0)
    if reader.at != len(data):
        raise ValueError("there are bytes after its end")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("it ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def value(self, kind: bytes, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _NUMBERS:
            form = _NUMBERS[kind]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if kind == b"C":
            return self.take(1).decode("ascii")
        if kind == b"S":
            return self.text()
        if kind == b"[":
            return self.array(depth)
        if kind == b"{":
            return self.object(depth)
        raise ValueError(f"it has a value of the unknown kind {kind!r}")

    def length(self) -> int:
        kind = self.take(1)
        if kind not in _NUMBERS or kind in {b"d", b"D"}:
            raise ValueError("it has a length that is no integer")
        length = int(self.value(kind, 0))
        if not 0 <= length <= len(self.data):  # every item takes a byte at least
            raise ValueError("it ends early")
        return length

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")

    def array(self, depth: int) -> list[Any] | np.ndarray:
        kind = None
        if self.peek() == b"$":
            self.take(1)
            kind = self.take(1)
            if self.peek() != b"#":
                raise ValueError("it has a typed array without a length")
        if self.peek() != b"#":
            return self.open_array(depth)
        self.take(1)
        length = self.length()
        if kind is None:
            return [self.value(self.take(1), depth + 1) for _ in range(length)]
        if kind not in _NUMBERS:
            raise ValueError(f"it has an array of the unknown kind {kind!r}")
        return self.numbers(_NUMBERS[kind], length)

    def numbers(self, form: str, length: int) -> np.ndarray:
        import numpy as np

        dtype = np.dtype(form)
        return np.frombuffer(self.take(length * dtype.itemsize), dtype)

    def open_array(self, depth: int) -> list[Any]:
        items = []
        while (kind := self.take(1)) != b"]":
            items.append(self.value(kind, depth + 1))
        return items

    def object(self, depth: int) -> dict[str, Any]:
        if self.peek() in {b"$", b"#"}:
            raise ValueError("it has an object of a form that XGBoost does not write")
        found: dict[str, Any] = {}
        while self.peek() != b"}":
            key = self.text()
            if key in found:
                raise ValueError(f"it names {key[:40]!r} twice")
            found[key] = self.value(self.take(1), depth + 1)
        self.take(1)
        return found
