"""Data for a model without a signature: checked for shape only, typed by what the values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING

import numpy as np

from modelserving.signature.convert.problems import Problems, shown
from modelserving.signature.convert.table import assemble, check_rows, same_lengths
from modelserving.signature.convert.tensors import RaggedError, flatten
from modelserving.signature.convert.values import at_once, objects
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from modelserving.signature.convert.names import Name

_MAX_RANK = 32


def natural_column(values: Sequence[object]) -> np.ndarray:
    """Values in the type they have: bool, int64, float64 (null is NaN), else objects.

    A column becomes float64 only if every integer in it stays exact.

    Example:
        >>> natural_column([1, None, 2.5])
        array([1. , nan, 2.5])
        >>> natural_column([1, "a"])
        array([1, 'a'], dtype=object)
    """
    types = set(map(type, values))
    array: np.ndarray | None = None
    if types == {bool}:
        array = at_once(values, DataType.boolean)
    elif types == {int}:
        array = at_once(values, DataType.long)
    elif types & {int, float} and types <= {int, float, NoneType}:
        array = at_once(values, DataType.double)
    elif values and types == {list}:
        array = _numbers(values)  # cells that are lists of one shape: more axes
    return objects(values) if array is None else array


def natural_rows(rows: Sequence[object], names: Sequence[Name] | None) -> Rows:
    """Rows of cells with these names, or 0, 1, … without.

    Raises:
        DataError: Ragged rows.
    """
    if names is None:
        first = rows[0] if rows else []
        names = tuple(range(len(first))) if isinstance(first, list) else ()
    check_rows(rows, len(names))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return _assemble(tuple(names), [natural_column(column) for column in columns], len(rows))


def natural_records(records: Sequence[object]) -> Rows:
    """One object a row; all must have the same keys.

    Raises:
        DataError: Something else than an object, or other keys than the first has.
    """
    problems = Problems()
    first = records[0] if records else {}
    names = list(first) if isinstance(first, Mapping) else []
    for at, record in enumerate(records):
        if not isinstance(record, Mapping):
            problems.add("an object", shown(record), row=at)
        elif record.keys() != dict.fromkeys(names).keys():
            for name in [name for name in names if name not in record][:3]:
                problems.add("the same keys in every row", "no such key", row=at, column=name)
            for name in [name for name in record if name not in names][:3]:
                problems.add("the same keys in every row", "a key the first row has not", row=at, column=name)
    problems.check()
    columns = [natural_column([record[name] for record in records]) for name in names]  # type: ignore[index]
    return _assemble(tuple(names), columns, len(records))


def natural_mapping(mapping: Mapping[str, object]) -> Rows | Raw:
    """Named lists as columns, or the mapping as it came where not every value is a list.

    Raises:
        DataError: Lists of different lengths.
    """
    if not mapping or not all(isinstance(values, list) for values in mapping.values()):
        return Raw(dict(mapping))
    length = same_lengths(mapping)
    columns = [natural_column(values) for values in mapping.values()]  # type: ignore[arg-type]
    return _assemble(tuple(mapping), columns, length)


def natural_list(values: Sequence[object]) -> Rows | Raw:
    """Numbers or booleans in rectangular lists as one array, anything else as it came."""
    array = _numbers(values)
    return Raw(list(values)) if array is None else Rows((), array)


def _numbers(values: Sequence[object]) -> np.ndarray | None:
    rank, inner = 1, values[0] if values else None
    while isinstance(inner, list) and rank < _MAX_RANK:
        rank, inner = rank + 1, inner[0] if inner else None
    try:
        elements, shape = flatten(values, rank)
    except RaggedError:
        return None
    array = natural_column(elements) if elements else np.empty(0)
    return None if array.dtype == object else np.ascontiguousarray(array.reshape(shape))


def _assemble(names: tuple[Name, ...], columns: Sequence[np.ndarray], length: int) -> Rows:
    if not columns:
        return Rows(names, np.empty((length, 0)))
    return assemble(names, columns)
