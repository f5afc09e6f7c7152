"""Arrow IPC streams into typed columns: bounded before they are inflated, validated before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelserving.errors import RequestError, excerpt
from modelserving.scoring.content.arrow_messages import declared_bytes
from modelserving.scoring.request import TooLargeError
from modelserving.signature.convert.arrays import array_column
from modelserving.signature.convert.names import Extras, is_tensor, tensors, wanted
from modelserving.signature.convert.natural import natural_column
from modelserving.signature.convert.problems import Problems, Refuse
from modelserving.signature.convert.table import MakeColumn, assemble, from_makers
from modelserving.signature.convert.tensors import from_named, from_unnamed
from modelserving.signature.convert.values import column, objects
from modelserving.signature.types import ColumnType, DataType

if TYPE_CHECKING:
    import pyarrow as pa

    from modelserving.signature.rows import Raw, Rows
    from modelserving.signature.schema import Schema

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
LIMIT = 64 * 1024 * 1024
"""Bytes that compressed buffers may say they hold; more is refused before any is inflated."""

_MAX_DEPTH = 32


def parse(body: bytes) -> pa.Table:
    """The table of an Arrow IPC stream.

    Raises:
        RequestError: It is no such stream, is damaged, or has a column of a type that is not read here.
        ImportError: pyarrow is not installed.
    """
    import pyarrow as pa

    if body[:6] == b"ARROW1":
        raise RequestError("the body is an Arrow file; send it in the streaming format")
    try:
        declared = declared_bytes(body)
        if declared > LIMIT:
            raise TooLargeError(f"buffers that inflate to {declared} bytes")
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            check_schema(reader.schema)
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError, NotImplementedError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"the body is not an Arrow stream: {excerpt(str(error))}") from None
    if table.num_rows > 8 * (len(body) + declared):
        raise RequestError(f"the Arrow stream says it has {table.num_rows} rows, and holds fewer bits")
    return table


def read(
    table: pa.Table, schema: Schema | None, extras: Extras = "ignore"
) -> tuple[Rows | Raw, tuple[str, ...]]:
    """The columns in the types a schema declares, or in their own.

    Raises:
        DataError: Missing columns, or values that do not fit.
    """
    names = list(table.column_names)
    sources = [_Column(table.column(at)) for at in range(len(names))]
    if schema is None:
        _unique(names)
        arrays = [source.natural() for source in sources]
        if not arrays:
            raise RequestError("the table has no columns")
        return assemble(tuple(names), arrays), ()
    if not is_tensor(schema):
        return from_makers(
            [each.maker for each in sources], names, table.num_rows, wanted(schema), extras=extras
        )
    _unique(names)
    arrays = [source.natural() for source in sources]
    specs = tensors(schema)
    if specs[0].name is not None:
        return from_named(
            dict(zip(names, map(_stacked, arrays), strict=True)), specs, extras=extras, wire=False
        )
    if not arrays or any(array.dtype == object for array in arrays):
        raise RequestError("a model of one unnamed tensor takes a table of numbers")
    return from_unnamed(_side_by_side(arrays), specs[0], wire=False), ()


class _Column:
    """One column of a table, and the arrays that can be made of it."""

    def __init__(self, chunked: pa.ChunkedArray) -> None:
        self.type = chunked.type
        self.chunks: list[pa.Array] = chunked.chunks
        self.maker: MakeColumn = self._make

    def natural(self) -> np.ndarray:
        """The column in its own type; objects where values are missing, or are no numbers."""
        import pyarrow as pa

        if pa.types.is_decimal(self.type):
            raise RequestError(f"a column is of type {self.type}; send it as double, or as text")
        parts = [_array(chunk) for chunk in self.chunks]
        if not parts:
            parts = [_array(pa.array([], self.type))]
        if len({part.dtype for part in parts}) > 1:
            parts = [part.astype(object) for part in parts]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if joined.dtype == object and (pa.types.is_floating(self.type) or pa.types.is_integer(self.type)):
            return natural_column(joined.tolist())
        return joined

    def _make(self, kind: ColumnType, required: bool, refuse: Refuse) -> np.ndarray:
        import pyarrow as pa

        if pa.types.is_decimal(self.type) or pa.types.is_duration(self.type) or pa.types.is_time(self.type):
            refuse(None, str(kind), f"values of type {self.type}")
            return objects([])
        made = [_array(chunk) for chunk in self.chunks]
        if any(part.dtype == object for part in made) or not made:
            values = [value for part in made for value in part.tolist()]
            if not isinstance(kind, DataType):
                return column(values, kind, required=required, refuse=refuse, wire=False)
            return array_column(objects(values), kind, required=required, refuse=refuse)
        joined = made[0] if len(made) == 1 else np.concatenate(made)
        return array_column(joined, kind, required=required, refuse=refuse)


def _array(chunk: pa.Array) -> np.ndarray:
    """The values of a chunk: numbers, booleans and moments in their own dtype, all else as objects."""
    import pyarrow as pa

    if pa.types.is_dictionary(chunk.type):
        return _taken(chunk)
    if pa.types.is_timestamp(chunk.type) and chunk.type.tz is not None:
        chunk = chunk.cast(pa.timestamp(chunk.type.unit))  # moments with a zone are UTC inside
    plain = (
        pa.types.is_integer(chunk.type) or pa.types.is_floating(chunk.type) or pa.types.is_boolean(chunk.type)
    )
    if plain and not chunk.null_count:
        return np.array(chunk.to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(chunk.type) or pa.types.is_date32(chunk.type):
        return np.array(chunk.to_numpy(zero_copy_only=False))
    if pa.types.is_date64(chunk.type):
        return np.array(chunk.cast(pa.timestamp("ms")).to_numpy(zero_copy_only=False))
    return objects(chunk.to_pylist())


def _taken(chunk: pa.DictionaryArray) -> np.ndarray:
    """The values of a dictionary column, each made once: few bytes of indices may stand for much text."""
    values = _array(chunk.dictionary)
    if not chunk.null_count:
        return np.asarray(values[chunk.indices.to_numpy(zero_copy_only=False)])
    spread = np.empty(len(chunk), dtype=object)
    known = chunk.is_valid().to_numpy(zero_copy_only=False)
    spread[known] = values.astype(object)[chunk.indices.drop_null().to_numpy(zero_copy_only=False)]
    return spread


def check_schema(schema: pa.Schema) -> None:
    """Refuse types whose values take no bytes, share them, or are made by code of somebody's own."""
    for field in schema:
        if b"ARROW:extension:name" in (field.metadata or {}):
            raise RequestError(f"column {excerpt(field.name)} is of an extension type; send its storage type")
        _check_type(field.type, field.name, 0)


def _check_type(kind: Any, name: str, depth: int) -> None:
    import pyarrow as pa

    types = pa.types
    inside: list[Any] = []
    if types.is_dictionary(kind) and not depth:
        inside = [kind.value_type]
        fine = not types.is_nested(kind.value_type)
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inside, fine = [kind.value_field], True
    elif types.is_struct(kind):
        inside = [kind.field(at) for at in range(kind.num_fields)]
        fine = bool(inside)
    else:
        fine = any(check(kind) for check in _scalar_checks(types)) or (not depth and types.is_null(kind))
    if not fine or depth > _MAX_DEPTH:
        raise RequestError(f"column {excerpt(name)} is of type {excerpt(str(kind))}, which is not read here")
    for each in inside:
        if isinstance(each, pa.Field) and b"ARROW:extension:name" in (each.metadata or {}):
            raise RequestError(f"column {excerpt(name)} holds an extension type; send its storage type")
        _check_type(each.type if isinstance(each, pa.Field) else each, name, depth + 1)


def _scalar_checks(types: Any) -> tuple[Any, ...]:
    return (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_string,
        types.is_large_string,
        types.is_binary,
        types.is_large_binary,
        lambda kind: types.is_fixed_size_binary(kind) and kind.byte_width > 0,
        types.is_timestamp,
        types.is_date,
        types.is_decimal,  # read, and then refused with the column's name
        types.is_duration,
        types.is_time,
    )


def _side_by_side(arrays: list[np.ndarray]) -> np.ndarray:
    """Columns as one array, if no value changes by it."""
    joined = np.stack(arrays, axis=1)
    for at, array in enumerate(arrays):
        if (
            array.dtype.kind in "iu"
            and joined.dtype.kind == "f"
            and not bool((joined[:, at].astype(array.dtype) == array).all())
        ):
            raise RequestError("the columns have no common type that keeps their values; cast them to one")
    return joined


def _stacked(array: np.ndarray) -> object:
    """A column of lists as nested lists, which a tensor of more axes is made from."""
    return array.tolist() if array.dtype == object and array.size and isinstance(array[0], list) else array


def _unique(names: list[str]) -> None:
    problems = Problems()
    for name in {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ():
        problems.add("each column once", "it twice", column=name)
    problems.check()
