"""In-process data (frames, arrays, dicts, lists, scalars) by the same rule as requests."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelserving.signature.convert.arrays import array_column, series_array
from modelserving.signature.convert.names import Extras, Name, Wanted, is_tensor, tensors, wanted
from modelserving.signature.convert.problems import Problems, count, shown, wrong
from modelserving.signature.convert.table import (
    MakeColumn,
    from_columns,
    from_makers,
    from_records,
    from_rows,
    mismatch,
    same_lengths,
)
from modelserving.signature.convert.tensors import from_named, from_unnamed
from modelserving.signature.convert.values import column
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.types import AnyType, Array, ColumnType, DataType

if TYPE_CHECKING:
    import pandas as pd

    from modelserving.signature.schema import Signature, TensorSpec


def convert(data: object, signature: Signature | None, *, extras: Extras = "ignore") -> Rows | Raw:
    """Data of any kind as a model with this signature takes it, no value changed in silence.

    Args:
        data: A DataFrame, Series, ndarray, scipy sparse matrix, dict of lists or arrays, list of dicts, list
            of rows,
            list of values, or one value.
        signature: What the model declares; without inputs in it the data is handed over as it is.
        extras: What becomes of columns that the signature does not know.

    Returns:
        Rows in the order and the types of the signature; Raw for what has no rows.

    Raises:
        DataError: The data does not fit: everything that is wrong with it.

    Example:
        >>> from modelserving.signature.schema import ColumnSpec, Schema, Signature
        >>> schema = Schema((ColumnSpec(DataType.long, "a"), ColumnSpec(DataType.long, "b")))
        >>> convert({"b": [2], "a": [1.0]}, Signature(schema)).block
        array([[1, 2]])
    """
    schema = None if signature is None else signature.inputs
    if schema is None:
        return Raw(data)
    if is_tensor(schema):
        return _to_tensors(data, tensors(schema), extras)
    return _to_columns(data, wanted(schema), extras)


def is_one_row(mapping: Mapping[str, object], want: Wanted) -> bool:
    """Whether the values of a mapping are cells of one row, not columns: each looks like its type."""
    answers = {
        _looks_like_cell(mapping[str(name)], kind)
        for name, kind in zip(want.names, want.kinds, strict=True)
        if str(name) in mapping
    }
    return True in answers and False not in answers


def _looks_like_cell(value: Any, kind: ColumnType) -> bool | None:
    """Whether a value is a cell of this type rather than a list of such cells; None if it cannot be said."""
    if value is None or isinstance(kind, AnyType):
        return None
    is_list = (isinstance(value, Sequence) and not isinstance(value, str | bytes)) or isinstance(
        value, np.ndarray
    )
    if not isinstance(kind, Array):
        return not (is_list or _is_series(value))
    if not is_list:
        return None
    first = next((item for item in value if item is not None), None)
    return None if first is None else _looks_like_cell(first, kind.items)


def _to_columns(data: Any, want: Wanted, extras: Extras) -> Rows | Raw:
    if _is_frame(data):
        makers = [_maker(data.iloc[:, at]) for at in range(data.shape[1])]
        return from_makers(makers, list(data.columns), len(data), want, extras=extras)[0]
    if _is_series(data):
        name = data.name if data.name is not None or len(want.names) > 1 else want.names[0]
        return from_makers([_maker(data)], [name], len(data), want, extras=extras)[0]
    if _is_sparse(data):
        data = data.toarray()
    if isinstance(data, np.ndarray):
        return _array_columns(data, want, extras)
    if isinstance(data, Mapping):
        return _mapping_columns(data, want, extras)
    if isinstance(data, list | tuple):
        return _list_columns(list(data), want, extras)
    return _list_columns([data], want, extras)


def _array_columns(array: np.ndarray, want: Wanted, extras: Extras) -> Rows:
    if array.ndim < 2:
        array = array.reshape(-1, 1)
    if array.ndim != 2:
        raise wrong("rows and columns", f"an array of shape {array.shape}")
    names = positions(array.shape[1], want)
    makers = [_maker(array[:, at]) for at in range(array.shape[1])]
    return from_makers(makers, names, len(array), want, extras=extras)[0]


def positions(width: int, want: Wanted) -> Sequence[Name]:
    """The names of columns that came without: 0, 1, …, or the signature's own if it has just one.

    Raises:
        DataError: The signature's columns have other names, so that nothing says which is which.
    """
    if len(want.names) == 1 and width == 1:
        return want.names
    if all(isinstance(name, int) for name in want.names):
        return range(width)
    raise mismatch(want, f"{count(width, 'column')} without names")


def _mapping_columns(mapping: Mapping[Any, Any], want: Wanted, extras: Extras) -> Rows:
    if is_one_row(mapping, want):
        return from_records([mapping], want, extras=extras, wire=False)[0]
    for name, values in mapping.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise wrong("a list", shown(values), column=name)
    length = same_lengths(mapping)
    return from_makers(
        [_maker(values) for values in mapping.values()], list(mapping), length, want, extras=extras
    )[0]


def _list_columns(values: list[Any], want: Wanted, extras: Extras) -> Rows:
    if values and all(isinstance(value, Mapping) for value in values) and not _holds_mappings(want):
        return from_records(values, want, extras=extras, wire=False)[0]
    if len(want.names) == 1 and not _are_rows_of_one(values, want.kinds[0]):
        return from_columns([values], want.names, want, extras=extras, wire=False)[0]
    if not values:
        return from_rows([], want.names, want)[0]
    rows = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    width = len(rows[0]) if isinstance(rows[0], list | tuple) else 1
    return from_rows(rows, list(positions(width, want)), want, extras=extras, wire=False)[0]


def _holds_mappings(want: Wanted) -> bool:
    """Whether a list of mappings is one unnamed column of objects rather than records."""
    return len(want.names) == 1 and want.names[0] == 0 and not isinstance(want.kinds[0], DataType)


def _are_rows_of_one(values: list[Any], kind: ColumnType) -> bool:
    """Whether a list is of rows with one cell each, such as ``[[1], [2]]`` for one scalar column."""
    return (
        isinstance(kind, DataType)
        and bool(values)
        and all(isinstance(value, list | tuple) for value in values)
    )


def _maker(values: Any) -> MakeColumn:
    def make(kind: ColumnType, required: bool, refuse: Any) -> np.ndarray:
        if _is_series(values):
            return array_column(series_array(values), kind, required=required, refuse=refuse)
        if isinstance(values, np.ndarray) and (values.ndim == 1 or not isinstance(kind, DataType)):
            return array_column(values, kind, required=required, refuse=refuse)
        return column(list(values), kind, required=required, refuse=refuse, wire=False)

    return make


def _to_tensors(data: Any, specs: tuple[TensorSpec, ...], extras: Extras) -> Rows | Raw:
    if specs[0].name is None:
        if _is_sparse(data):
            return _sparse(data, specs[0])
        if _is_frame(data):
            data = _frame_array(data, specs[0])
        elif _is_series(data):
            data = series_array(data)
        if isinstance(data, Mapping):
            raise wrong("one array", shown(dict(data)))
        return from_unnamed(data, specs[0], wire=False)
    if _is_frame(data):
        data = {name: series_array(data.iloc[:, at]) for at, name in enumerate(data.columns)}
    if not isinstance(data, Mapping):
        if len(specs) > 1:
            raise wrong("tensors " + ", ".join(repr(spec.name) for spec in specs), shown(data))
        data = {str(specs[0].name): data}
    arrays = {name: series_array(value) if _is_series(value) else value for name, value in data.items()}
    return from_named(arrays, specs, extras=extras, wire=False)[0]


def _frame_array(frame: pd.DataFrame, spec: TensorSpec) -> np.ndarray:
    """A frame as the array of a tensor ``(-1, n)``: columns by position, checked before they are joined."""
    if len(spec.shape) != 2 or spec.shape[1] not in {-1, frame.shape[1]}:
        raise wrong(f"shape {spec.shape}", f"a frame of shape {frame.shape}")
    problems = Problems()
    dtype = np.dtype(object if spec.dtype in {"str", "bytes", "object"} else spec.dtype)
    joined = np.empty(frame.shape, dtype=dtype)
    for at, name in enumerate(frame.columns):
        values = series_array(frame.iloc[:, at])
        if dtype.kind != "O":
            values = array_column(values, dtype, required=True, refuse=problems.column(name))
        if not problems:
            joined[:, at] = values
    problems.check()
    return joined


def _sparse(matrix: Any, spec: TensorSpec) -> Raw:
    """A sparse matrix of the declared dtype, handed over as sparse: its rows cannot be joined to others."""
    if len(spec.shape) != 2 or any(
        want not in {-1, have} for have, want in zip(matrix.shape, spec.shape, strict=True)
    ):
        raise wrong(f"shape {spec.shape}", f"a sparse matrix of shape {matrix.shape}")
    problems = Problems()
    values = matrix.tocsr()
    converted = array_column(values.data, np.dtype(spec.dtype), required=True, refuse=problems.column(None))
    problems.check()
    if bool(converted.dtype == matrix.dtype):
        return Raw(matrix)
    values = values.copy() if values is matrix else values
    values.data = converted
    return Raw(values.asformat(matrix.format))


def _is_frame(value: object) -> Any:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _is_series(value: object) -> Any:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series)


def _is_sparse(value: object) -> Any:
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and scipy.issparse(value)
