"""Nested lists and arrays into tensors of a declared dtype and shape."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from modelserving.signature.convert.arrays import array_column
from modelserving.signature.convert.names import Extras, match
from modelserving.signature.convert.problems import Problems, count, shown
from modelserving.signature.convert.values import column
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.types import AnyType, ColumnType, DataType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelserving.signature.schema import TensorSpec

_TEXT: dict[str, ColumnType] = {
    "str": DataType.string,
    "bytes": DataType.binary,
    "object": AnyType(),
}


class RaggedError(ValueError):
    """Nested lists that are no array."""

    def __init__(self, row: int | None, expected: str, got: str) -> None:
        super().__init__(row, expected, got)
        self.row, self.expected, self.got = row, expected, got


def flatten(value: object, rank: int) -> tuple[list[object], tuple[int, ...]]:
    """The elements of nested lists of a known rank, and their shape; nothing is allocated from a claim.

    Where there are no elements, axes inside the empty one are not known, and left out of the shape.

    Raises:
        RaggedError: The lists are not ``rank`` deep, or not rectangular.
    """
    level: list[object] = [value]
    shape: list[int] = []
    for depth in range(rank):
        if not level:
            break
        if not set(map(type, level)) <= {list, tuple}:
            at, item = next((at, item) for at, item in enumerate(level) if not isinstance(item, list | tuple))
            raise RaggedError(_row(at, shape), f"lists nested {rank} deep", f"{shown(item)} at depth {depth}")
        lengths = list(map(len, level))  # type: ignore[arg-type]
        if len(set(lengths)) > 1:
            at = next(at for at, length in enumerate(lengths) if length != lengths[0])
            raise RaggedError(_row(at, shape), count(lengths[0], "value"), count(lengths[at], "value"))
        shape.append(lengths[0])
        level = list(chain.from_iterable(level)) if len(level) != 1 else list(level[0])  # type: ignore[arg-type,call-overload]
    return level, tuple(shape)


def tensor(value: object, spec: TensorSpec, problems: Problems, *, wire: bool = True) -> np.ndarray | None:
    """One tensor from nested lists or an array.

    Args:
        value: Nested lists of Python values, or an ndarray.
        spec: The declared dtype and shape.
        problems: Told of what does not fit; the result is then of no use.
        wire: The value comes from a text format: bytes are base64.

    Returns:
        A C-contiguous array of exactly the declared dtype, whose shape fits the declared one.
    """
    kind = _TEXT.get(spec.dtype) or np.dtype(spec.dtype)
    rank = len(spec.shape)
    elements: list[object] | np.ndarray
    if isinstance(value, np.ndarray):
        elements, shape = value, value.shape
    else:
        try:
            elements, shape = flatten(value, rank)
        except RaggedError as error:
            problems.add(error.expected, error.got, row=error.row, column=spec.name)
            return None
        shape += tuple(max(axis, 0) for axis in spec.shape[len(shape) :])
    if not _fits(shape, spec.shape):
        problems.add(f"shape {_dims(spec.shape)}", f"shape {_dims(shape)}", column=spec.name)
        return None

    def refuse(index: int | None, expected: str, got: str, path: str | None = None) -> None:
        place = None if index is None else np.unravel_index(index, shape)
        inside = "".join(f"[{at}]" for at in place[1:]) if place else ""
        where = f"$[{place[0]}]{inside}" if place and inside else None
        problems.add(
            expected, got, row=int(place[0]) if place else None, column=spec.name, path=path or where
        )

    if isinstance(elements, np.ndarray):
        return _array(elements, kind, refuse)
    made = column(elements, kind, required=spec.dtype != "object", refuse=refuse, wire=wire)
    return np.ascontiguousarray(made.reshape(shape))


def from_named(
    values: Mapping[str, object],
    specs: Sequence[TensorSpec],
    *,
    extras: Extras = "ignore",
    wire: bool = True,
) -> tuple[Rows | Raw, tuple[str, ...]]:
    """Named tensors, found by name; as Rows where their first axis is one and the same.

    Raises:
        DataError: Missing tensors, or what does not fit.
    """
    problems = Problems()
    names = tuple("" if spec.name is None else spec.name for spec in specs)
    given = list(values)
    places, ignored = match(given, names, [True] * len(names), problems, extras)
    arrays: list[np.ndarray] = []
    for spec, place in zip(specs, places, strict=True):
        made = None if place is None else tensor(values[given[place]], spec, problems, wire=wire)
        if made is not None:
            arrays.append(made)
    problems.check()
    if len({array.shape[:1] for array in arrays}) == 1 and arrays[0].ndim:
        return Rows(names, None, tuple(arrays)), ignored
    _same_rows(specs, arrays)
    return Raw(dict(zip(names, arrays, strict=True))), ignored


def from_unnamed(value: object, spec: TensorSpec, *, wire: bool = True) -> Rows | Raw:
    """The one tensor of a schema without names.

    Raises:
        DataError: It does not fit.
    """
    problems = Problems()
    made = tensor(value, spec, problems, wire=wire)
    problems.check()
    if made is None or made.ndim == 0:
        return Raw(made)
    return Rows((), made)


def _array(array: np.ndarray, kind: ColumnType | np.dtype, refuse: object) -> np.ndarray:
    if isinstance(kind, AnyType):
        return np.ascontiguousarray(array, dtype=object)
    made = array_column(array, kind, required=True, refuse=refuse)  # type: ignore[arg-type]
    return np.ascontiguousarray(made) if made.ndim else made


def _same_rows(specs: Sequence[TensorSpec], arrays: Sequence[np.ndarray]) -> None:
    """Tensors whose first axis is free must agree on it; those of fixed shape stand for themselves."""
    problems = Problems()
    free = [(spec, array) for spec, array in zip(specs, arrays, strict=True) if spec.shape[:1] == (-1,)]
    for spec, array in free:
        if len(array) != len(free[0][1]):
            problems.add(
                f"{count(len(free[0][1]), 'row')} as in {free[0][0].name!r}",
                str(len(array)),
                column=spec.name,
            )
    problems.check()


def _fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    if len(shape) != len(declared):
        return False
    return all(want in {-1, have} for have, want in zip(shape, declared, strict=True))


def _dims(shape: Sequence[int]) -> str:
    return "(" + ", ".join(str(each) for each in shape) + ("," if len(shape) == 1 else "") + ")"


def _row(at: int, shape: Sequence[int]) -> int | None:
    """The row that the list at a position of one level belongs to."""
    if not shape:
        return None
    inner = 1
    for each in shape[1:]:
        inner *= each
    return at // max(inner, 1)
