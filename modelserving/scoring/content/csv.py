"""CSV text into typed columns: strict where a number is declared, and text left as it is where text is."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelserving.errors import DataError, RequestError
from modelserving.scoring.content import json
from modelserving.signature.convert.names import Extras, is_tensor, tensors, wanted
from modelserving.signature.convert.problems import Problems, Refuse, count
from modelserving.signature.convert.table import MakeColumn, assemble, from_makers
from modelserving.signature.convert.tensors import from_named, from_unnamed
from modelserving.signature.convert.texts import natural_text_column, tensor_texts, text_column
from modelserving.signature.convert.values import column
from modelserving.signature.types import Array, ColumnType, Map, Object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.signature.rows import Raw, Rows
    from modelserving.signature.schema import Schema, TensorSpec


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a CSV text.

    Attributes:
        names: The header.
        columns: One tuple of cells a name, all of one length.
        length: The number of rows.
    """

    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    length: int


def parse(body: bytes) -> Table:
    r"""Comma-separated text in UTF-8 with a header, as RFC 4180 has it; any line ending, BOM allowed.

    Raises:
        RequestError: It is not UTF-8, has no header, or breaks the rules of quoting.
        DataError: A row has more or fewer cells than the header, with the line it stands on.

    Example:
        >>> parse(b'a,b\n1,"x\ny"\n').columns
        (('1',), ('x\ny',))
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError("the body is not CSV that can be read: it is not UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(reader)
        while rows and not rows[-1]:  # empty lines at the end
            rows.pop()
        if not rows or not rows[0]:
            raise RequestError("the body is not CSV that can be read: it has no header")
        header, cells = tuple(rows[0]), rows[1:]
    except csv.Error as error:
        raise RequestError(f"the body is not CSV that can be read: line {reader.line_num}: {error}") from None
    if set(map(len, cells)) <= {len(header)}:
        columns = tuple(zip(*cells, strict=True)) if cells else ((),) * len(header)
        return Table(header, columns, len(cells))
    raise _uneven(text, len(header))


def read(
    table: Table, schema: Schema | None, extras: Extras = "ignore"
) -> tuple[Rows | Raw, tuple[str, ...]]:
    """The columns in the types a schema declares, or in those they look like.

    An empty cell is missing in an optional or a float column; ``NA``, ``null`` and ``007`` are text.

    Raises:
        DataError: Missing columns, or cells that do not fit.
    """
    if schema is None:
        _unique(table.names)
        return assemble(table.names, [natural_text_column(column) for column in table.columns]), ()
    if is_tensor(schema):
        return _read_tensors(table, tensors(schema), extras)
    return from_makers(
        [_maker(column) for column in table.columns], table.names, table.length, wanted(schema), extras=extras
    )


def _maker(cells: Sequence[str]) -> MakeColumn:
    def make(kind: ColumnType, required: bool, refuse: Refuse) -> np.ndarray:
        if isinstance(kind, Array | Object | Map):
            return column([_json(cell) for cell in cells], kind, required=required, refuse=refuse)
        return text_column(cells, kind, required=required, refuse=refuse)

    return make


def _json(cell: str) -> object:
    """A cell of lists or objects, which is JSON; as text, to be refused, if it is not."""
    try:
        return json.parse(cell.encode()) if cell else None
    except RequestError:
        return cell


def _read_tensors(
    table: Table, specs: tuple[TensorSpec, ...], extras: Extras
) -> tuple[Rows | Raw, tuple[str, ...]]:
    problems = Problems()
    declared = {spec.name: spec.dtype for spec in specs}
    unnamed = declared.get(None)
    columns: dict[str, np.ndarray] = {}
    _unique(table.names)
    for name, cells in zip(table.names, table.columns, strict=True):
        dtype = unnamed or declared.get(name)
        columns[name] = tensor_texts(cells, dtype or "object", problems.column(name))
    problems.check()
    if unnamed is None:
        return from_named(columns, specs, extras=extras)
    arrays = list(columns.values())
    return from_unnamed(np.stack(arrays, axis=1), specs[0]), ()


def _unique(names: Sequence[str]) -> None:
    problems = Problems()
    for at, name in enumerate(names):
        if name in names[:at]:
            problems.add("each column once", "it twice", column=name)
    problems.check()


def _uneven(text: str, width: int) -> DataError:
    """The error for rows of another width, each with its line."""
    problems = Problems()
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    next(reader)
    for at, row in enumerate(reader):
        if len(row) != width:
            problems.add(count(width, "cell"), f"{count(len(row), 'cell')} on line {reader.line_num}", row=at)
    return DataError(problems.first, problems.total)
