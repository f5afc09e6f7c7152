"""Rows, records and columns of Python values into checked Rows, in the order of the signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from modelserving.signature.convert.names import Extras, Name, Wanted, match
from modelserving.signature.convert.problems import Problems, Refuse, count, shown, wrong
from modelserving.signature.convert.values import at_once, column
from modelserving.signature.rows import Rows
from modelserving.signature.types import ColumnType

MakeColumn = Callable[[ColumnType, bool, Refuse], np.ndarray]
"""Makes one column of a declared type, required or not, and tells what does not fit."""

Checked = tuple[Rows, tuple[str, ...]]
"""Rows, and the names of the columns that were left out."""


def from_rows(
    rows: Sequence[Sequence[object]],
    given: Sequence[object],
    want: Wanted,
    *,
    extras: Extras = "ignore",
    wire: bool = True,
) -> Checked:
    """Rows whose cells stand in the order of ``given``.

    Args:
        rows: A list or tuple of cells a row.
        given: The names of the cells.
        want: The columns of the signature.
        extras: What becomes of names the signature does not know.
        wire: The cells come from a text format: bytes are base64.

    Raises:
        DataError: Ragged rows, missing columns, or cells that do not fit.
    """
    same_order = tuple(given) == want.names
    check_rows(rows, len(given))
    if same_order and want.common is not None:
        block = _block(rows, want)
        if block is not None:
            return Rows(want.names, block), ()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(given)
    return from_columns(columns, given, want, extras=extras, wire=wire)


def from_records(
    records: Sequence[object], want: Wanted, *, extras: Extras = "ignore", wire: bool = True
) -> Checked:
    """One mapping a row. A key that only some of them have is refused where the column is required.

    Raises:
        DataError: What is no mapping, missing keys, or values that do not fit.
    """
    keys = tuple(_key(name, records) for name in want.names)
    try:
        rows = _cells(records, keys)
    except (KeyError, TypeError):
        return _uneven_records(records, want, extras, wire)
    if sum(map(len, records)) != len(rows) * len(keys):  # type: ignore[arg-type]
        return _uneven_records(records, want, extras, wire)
    return from_rows(rows, want.names, want, extras=extras, wire=wire)


def from_columns(
    columns: Sequence[Sequence[object]],
    given: Sequence[object],
    want: Wanted,
    *,
    extras: Extras = "ignore",
    wire: bool = True,
) -> Checked:
    """Columns of Python values, all of one length, in the order of ``given``.

    Raises:
        DataError: Missing columns, or values that do not fit.
    """

    def maker(values: Sequence[object]) -> MakeColumn:
        return lambda kind, required, refuse: column(
            values, kind, required=required, refuse=refuse, wire=wire
        )

    length = len(columns[0]) if columns else 0
    return from_makers([maker(values) for values in columns], given, length, want, extras=extras)


def from_makers(
    makers: Sequence[MakeColumn],
    given: Sequence[object],
    length: int,
    want: Wanted,
    *,
    extras: Extras = "ignore",
) -> Checked:
    """Columns of any source, each made in its declared type when its place in the signature is known.

    Raises:
        DataError: Missing columns, or values that do not fit.
    """
    problems = Problems()
    places, ignored = match(given, want.names, want.required, problems, extras)
    arrays: list[np.ndarray] = []
    for name, kind, required, place in zip(want.names, want.kinds, want.required, places, strict=True):
        if place is not None:
            arrays.append(makers[place](kind, required, problems.column(name)))
        elif not required:
            arrays.append(column([None] * length, kind, required=False, refuse=problems.column(name)))
    problems.check()
    return assemble(want.names, arrays), ignored


def assemble(names: tuple[Name, ...], arrays: Sequence[np.ndarray]) -> Rows:
    """Columns as Rows: one block when all are of one numeric dtype, else as they are."""
    first = arrays[0]
    if first.dtype.kind in "biuf" and all(each.dtype == first.dtype and each.ndim == 1 for each in arrays):
        return Rows(names, np.ascontiguousarray(np.stack(arrays, axis=1)))
    return Rows(names, None, tuple(arrays))


def check_rows(rows: Sequence[object], width: int) -> None:
    """Refuse what is no list of cells, and rows of another width.

    Raises:
        DataError: With every such row.
    """
    if set(map(type, rows)) <= {list, tuple} and set(map(len, rows)) <= {width}:  # type: ignore[arg-type]
        return
    problems = Problems()
    for at, row in enumerate(rows):
        if not isinstance(row, list | tuple):
            problems.add(f"a list of {count(width, 'value')}", shown(row), row=at)
        elif len(row) != width:
            problems.add(count(width, "value"), count(len(row), "value"), row=at)
    problems.check()


def same_lengths(columns: Mapping[Any, Any]) -> int:
    """The common length of all columns.

    Raises:
        DataError: They differ, with the length of each that differs from the first.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    length = next(iter(lengths.values()), 0)
    problems = Problems()
    for name, other in lengths.items():
        if other != length:
            problems.add(count(length, "value") + " as in the first column", str(other), column=name)
    problems.check()
    return length


def _block(rows: Sequence[Sequence[object]], want: Wanted) -> np.ndarray | None:
    """All rows as one array, if every cell is proved to be of the one type of all columns."""
    if want.common is None:
        return None
    flat = rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))
    array = at_once(flat, want.common)
    if array is None or array.dtype != want.common:
        return None
    return array.reshape(len(rows), len(want.names))


def _cells(records: Sequence[object], keys: tuple[object, ...]) -> list[tuple[object, ...]]:
    """The cells of each record in the order of ``keys``; KeyError or TypeError where there is none."""
    if not set(map(type, records)) <= {dict}:
        raise TypeError
    pick: Callable[[Any], Any] = itemgetter(*keys)
    picked = map(pick, records)
    return [(cell,) for cell in picked] if len(keys) == 1 else list(picked)


def _key(name: Name, records: Sequence[object]) -> object:
    """The key a column has in records: an integer name is text there, as JSON's keys are."""
    if isinstance(name, int) and records and isinstance(records[0], Mapping) and name not in records[0]:
        return str(name)
    return name


def _uneven_records(records: Sequence[object], want: Wanted, extras: Extras, wire: bool) -> Checked:
    """The same for records that lack keys or have others: slower, and able to say which."""
    problems = Problems()
    given: dict[object, None] = {}
    for at, record in enumerate(records):
        if not isinstance(record, Mapping):
            problems.add("an object", shown(record), row=at)
        else:
            given.update(dict.fromkeys(record))
    problems.check()
    names = list(given)
    places, ignored = match(names, want.names, want.required, problems, extras)
    problems.check()
    arrays = []
    for name, kind, required, place in zip(want.names, want.kinds, want.required, places, strict=True):
        key = None if place is None else names[place]
        values = [record.get(key) for record in records if isinstance(record, Mapping)]
        if required and key is not None:
            for at, record in enumerate(records):
                if isinstance(record, Mapping) and key not in record:
                    problems.add(str(kind), "no such key", row=at, column=name)
                    values[at] = None
        refuse = problems.column(name) if not problems else _unless(problems, name, key, records)
        arrays.append(column(values, kind, required=required, refuse=refuse, wire=wire))
    problems.check()
    return assemble(want.names, arrays), ignored


def _unless(problems: Problems, name: Name, key: object, records: Sequence[object]) -> Refuse:
    """Like ``problems.column``, silent for rows whose key is missing, which have been noted."""
    note = problems.column(name)

    def refuse(index: int | None, expected: str, got: str, path: str | None = None) -> None:
        record = None if index is None else records[index]
        if not isinstance(record, Mapping) or key in record:
            note(index, expected, got, path)

    return refuse


def mismatch(want: Wanted, got: str) -> Exception:
    """The error for data without names where the signature has some."""
    return wrong("columns " + ", ".join(repr(name) for name in want.names[:20]), got)
