"""Lists of Python values into typed arrays: at once where numpy proves every value exact, else one by one."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

import numpy as np

from modelserving.signature.convert.cells import (
    EXACT_INTEGERS,
    RefusedError,
    Target,
    cell,
    dtype_of,
    is_missing,
)
from modelserving.signature.convert.datetimes import NAT
from modelserving.signature.convert.nested import Report, nested
from modelserving.signature.convert.problems import Refuse, shown
from modelserving.signature.types import AnyType, ColumnType, DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = frozenset({int, float})
_NUMBERS_OR_NULL = frozenset({int, float, NoneType})


def column(
    values: Sequence[object],
    kind: ColumnType | np.dtype,
    *,
    required: bool,
    refuse: Refuse,
    wire: bool = True,
) -> np.ndarray:
    """Values as one array of the declared type.

    Args:
        values: One Python value a row.
        kind: The declared type, or the dtype of a tensor's elements.
        required: Null is refused, except in float columns, where it is NaN.
        refuse: Told of each value that does not fit; the array is then of no use.
        wire: The values come from a text format: bytes are base64, and only null is missing.

    Returns:
        One-dimensional, in the declared dtype; of objects if an integer or boolean column has missing values.
    """
    if not isinstance(kind, DataType | np.dtype):
        return objects(
            [
                _nested_cell(value, kind, required, wire, _report(refuse, at))
                for at, value in enumerate(values)
            ]
        )
    array = at_once(values, kind, required=required)
    return one_by_one(values, kind, required=required, refuse=refuse, wire=wire) if array is None else array


def objects(values: Sequence[object]) -> np.ndarray:
    """An array of objects, one a value, even where all values are lists of one length."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def at_once(values: Sequence[object], target: Target, *, required: bool = True) -> np.ndarray | None:
    """Values as one array, if a look at their types and extremes proves that no value changes; else None."""
    types = set(map(type, values))
    dtype = dtype_of(target)
    if not types:
        return np.empty(0, dtype=dtype)
    if dtype.kind == "f":
        return _floats(values, types, dtype) if types <= _NUMBERS_OR_NULL else None
    if dtype.kind in "iu":
        return _integers(values, types, dtype) if types <= _NUMBERS else None
    if dtype.kind == "b":
        return np.array(values, dtype=bool) if types == {bool} else None
    if target is DataType.string and (types == {str} or (not required and types == {str, NoneType})):
        return np.array(values, dtype=object)
    return None


def narrow(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Floats rounded to a float type; None if a finite one would become infinite."""
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        rounded = array.astype(dtype)
    return None if bool(np.any(np.isinf(rounded) & np.isfinite(array))) else rounded


def _floats(values: Sequence[object], types: set[type], dtype: np.dtype) -> np.ndarray | None:
    try:
        array = np.array(values, dtype=np.float64)  # null becomes NaN
    except OverflowError:
        return None
    if int in types:
        limit = EXACT_INTEGERS[dtype.name]
        for at in np.flatnonzero(np.abs(array) >= limit):
            value = values[int(at)]
            if type(value) is int and abs(value) > limit:
                return None
    return narrow(array, dtype)


def _integers(values: Sequence[object], types: set[type], dtype: np.dtype) -> np.ndarray | None:
    if len(types) > 1:
        return None
    wide = np.dtype(np.uint64 if dtype == np.uint64 and int in types else np.int64)
    try:
        array = np.array(values, dtype=wide if int in types else np.float64)
    except OverflowError:
        return None
    return integers(array, dtype)


def integers(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Numbers as an integer dtype; None if one of them has a fraction, is out of range or not exact."""
    if array.dtype == dtype:
        return array
    if array.dtype.kind == "f" and not _whole(array):
        return None
    info = np.iinfo(dtype)
    if array.size and (int(array.min()) < info.min or int(array.max()) > info.max):
        return None
    return array.astype(dtype)


def _whole(array: np.ndarray) -> bool:
    limit = EXACT_INTEGERS.get(array.dtype.name, EXACT_INTEGERS["float64"])
    return bool(np.all((np.abs(array) < limit) & (np.floor(array) == array)))


def one_by_one(
    values: Sequence[object], target: Target, *, required: bool, refuse: Refuse, wire: bool
) -> np.ndarray:
    """Values as one array, each looked at: slower, and able to say which does not fit."""
    dtype = dtype_of(target)
    label = str(target)
    missing = {"f": np.nan, "M": NAT}.get(dtype.kind)
    converted: list[object] = []
    holes = False
    for at, value in enumerate(values):
        hole = is_missing(value, wire=wire)
        if hole and (dtype.kind == "f" or not required):
            holes = True
            converted.append(missing)
            continue
        try:
            if hole:
                raise RefusedError
            converted.append(cell(value, target, wire=wire))
        except RefusedError as error:
            refuse(at, label + error.detail, shown(value))
            converted.append(missing)
            holes = True
    if dtype.kind == "O" or (holes and dtype.kind in "biu"):
        return objects(converted)
    return np.array(converted, dtype=dtype)


def _nested_cell(value: object, kind: ColumnType, required: bool, wire: bool, refuse: Report) -> object:
    if is_missing(value, wire=wire) and (not required or isinstance(kind, AnyType)):
        return None
    return nested(value, kind, wire=wire, refuse=refuse)


def _report(refuse: Refuse, at: int) -> Report:
    """What a nested value at one position tells its problems to."""
    return lambda path, expected, got: refuse(at, expected, got, path)
