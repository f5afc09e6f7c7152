"""Signatures from examples: what a model takes and returns, read off data that it took and returned.

The types are those that MLflow infers. Where MLflow gives up and calls the whole input ``any``, which checks
nothing from then on, an error names the column and what to do; ``any`` is left for what is so: values of
several types in one column, and columns without a single value.

numpy, pandas and scipy are recognised among the modules loaded already, and never imported.
"""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING, TypedDict, TypeGuard, cast

from modelserving.errors import SignatureError, excerpt
from modelserving.signature.infer_types import (
    is_array,
    is_instance_of,
    is_missing,
    type_of_dtype,
    type_of_values,
)
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import AnyType, Array, ColumnType, DataType, Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import pandas as pd

_HOLDS_MISSING = (DataType.float, DataType.double, AnyType())
"""Types whose values have a way to say missing, as NaN or None."""


def infer_signature(
    model_input: object, model_output: object = None, params: Mapping[str, object] | None = None
) -> Signature:
    """The signature of a model, from an example of what it takes and returns.

    Args:
        model_input: What it takes, in any form that :func:`infer_schema` knows; None if anything will do.
        model_output: What it returns; None if that is not to be said.
        params: The parameters a request may set, each with its default.

    Raises:
        SignatureError: Something in the data has no type, or there is no data at all.

    Example:
        >>> print(infer_signature({"a": 1.5, "b": "x"}, [0, 1], params={"top": 3}))
        inputs: ['a': double (required), 'b': string (required)]
        outputs: [long (required)]
        params: ['top': long (default: 3)]
    """
    return Signature(
        None if model_input is None else infer_schema(model_input),
        None if model_output is None else infer_schema(model_output),
        infer_params(params or {}),
    )


def infer_schema(data: object) -> Schema:
    """The schema of data.

    ==============================  ========================================================================
    data                            schema
    ==============================  ========================================================================
    DataFrame                       a named column each; optional if a value is missing
    Series                          one column, named if it is
    ndarray, scipy sparse matrix    one unnamed tensor with any number of rows
    dict of ndarrays                a named tensor each
    another dict                    a named column each; a list in it is one value, of type Array
    list of dicts                   a named column for each key; optional if a row lacks it
    another list                    one unnamed column of its items
    a scalar                        one unnamed column
    ==============================  ========================================================================

    Raises:
        SignatureError: The data, or a column of it, has no type that a signature could name.

    Example:
        >>> print(infer_schema([{"a": 1, "tags": ["x"]}, {"a": 2}]))
        ['a': long (required), 'tags': Array(string) (optional)]
    """
    if _is_frame(data):
        return Schema(tuple(_series_spec(column, _plain_name(name)) for name, column in data.items()))
    if _is_series(data):
        return Schema((_series_spec(data, _plain_name(data.name)),))
    if is_array(data) or _is_sparse(data):
        return Schema((_tensor(data),))
    if isinstance(data, dict):
        if data and all(map(is_array, data.values())):
            return Schema(tuple(_tensor(array, _plain_name(name)) for name, array in data.items()))
        return _schema_of_rows([data])
    if isinstance(data, list):
        if data and all(isinstance(row, dict) for row in data):
            return _schema_of_rows(data)
        if not data:
            raise SignatureError(
                "no signature can be inferred from an empty list; give at least one example in it"
            )
        return Schema((_unnamed(type_of_values(data, "the list"), any(map(is_missing, data))),))
    return Schema((_unnamed(_type_of_scalar(data), missing=False),))


def infer_params(params: Mapping[str, object]) -> tuple[ParamSpec, ...]:
    """The parameters whose defaults are given: a scalar, a list or one-dimensional array of them, or a dict.

    Raises:
        SignatureError: A default is None, empty, or of a type that no parameter has.

    Example:
        >>> [str(spec) for spec in infer_params({"top": 3, "cuts": [0.1, 1]})]
        ["'top': long (default: 3)", "'cuts': double (default: [0.1, 1.0]) (shape: (-1,))"]
    """
    if not isinstance(params, dict):
        raise SignatureError(f"params are {excerpt(params)}; give a dict of names and defaults")
    specs = []
    for name, default in params.items():
        this = f"parameter {excerpt(name)}"
        type_ = type_of_values([default], this)
        shape = None
        if isinstance(type_, Array):
            type_, shape = type_.items, (-1,)
        if not isinstance(type_, DataType | Object) or type_ is DataType.binary:
            raise SignatureError(
                f"the type of {this} cannot be inferred from {excerpt(default)}; declare it with ParamSpec, "
                "or give a number, text, true, false, a datetime, a list of one of these, or a dict"
            )
        specs.append(ParamSpec(name, type_, default, shape))
    return tuple(specs)


class ColumnNotes(TypedDict):
    """What MLflow's types cannot say of columns, by their names."""

    categories: dict[str | int, list[object]]
    """The categories of a categorical column, in their order."""

    time_zones: dict[str | int, str]
    """The time zone of a column of datetimes that has one, such as ``Europe/Oslo``."""


def column_notes(data: object) -> ColumnNotes:
    """The categories and time zones of the columns of a DataFrame or a Series; empty for other data.

    Categories are numbers, text, true and false, or datetimes as ISO 8601 text; a column that has others,
    such as intervals, is left out. An unnamed Series has the name 0 here.

    Example:
        >>> import pandas as pd
        >>> sizes = pd.Categorical(["S", "L"], categories=["S", "M", "L"])
        >>> column_notes(pd.DataFrame({"size": sizes, "price": [1.0, 2.0]}))
        {'categories': {'size': ['S', 'M', 'L']}, 'time_zones': {}}
    """
    notes: ColumnNotes = {"categories": {}, "time_zones": {}}
    for label, column in _columns(data):
        name = _plain_name(label)
        key = name if isinstance(name, str | int) else 0
        if (categories := getattr(column.dtype, "categories", None)) is not None:
            plain = [_plain_category(each) for each in categories.tolist()]
            if None not in plain:
                notes["categories"][key] = plain
        zoned = getattr(column.dtype, "pyarrow_dtype", column.dtype)
        if (zone := getattr(zoned, "tz", None)) is not None:
            notes["time_zones"][key] = str(zone)
    return notes


def _columns(data: object) -> Iterable[tuple[object, pd.Series]]:
    if _is_frame(data):
        return data.items()
    return [(data.name, data)] if _is_series(data) else []


def _plain_category(category: object) -> object:
    """A category as YAML and JSON can hold it; None if they cannot."""
    if isinstance(category, date):
        return category.isoformat()
    return category if isinstance(category, bool | int | float | str) else None


def _series_spec(column: pd.Series, name: object) -> ColumnSpec:
    this = "an unnamed column" if name is None else f"column {excerpt(name)}"
    missing = bool(column.isna().any())
    type_ = _type_of_series(column, this)
    return _unnamed(type_, missing) if name is None else ColumnSpec(type_, name, not missing)  # type: ignore[arg-type]  # it checks


def _type_of_series(column: pd.Series | pd.Index, this: str) -> ColumnType:
    pandas = sys.modules["pandas"]
    dtype = column.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        return _type_of_series(dtype.categories, this)
    if isinstance(dtype, pandas.StringDtype):
        return DataType.string
    if isinstance(dtype, pandas.SparseDtype):
        dtype = dtype.subtype
    if dtype.kind == "O":
        return type_of_values(column.tolist(), this)
    return type_of_dtype(cast("np.dtype", dtype), this)


def _schema_of_rows(rows: list[dict[object, object]]) -> Schema:
    names = dict.fromkeys(name for row in rows for name in row)
    specs = []
    for name in names:
        values = [row[name] for row in rows if name in row]
        required = len(values) == len(rows) and not any(map(is_missing, values))
        type_ = type_of_values(values, f"column {excerpt(name)}")
        specs.append(ColumnSpec(type_, _plain_name(name), required))  # type: ignore[arg-type]  # it checks
    return Schema(tuple(specs))


def _unnamed(type_: ColumnType, missing: bool) -> ColumnSpec:
    if missing and type_ not in _HOLDS_MISSING:
        raise SignatureError(
            f"an unnamed column of type {type_} has missing values, and only a named column can be optional; "
            "give a DataFrame or a dict, which name their columns"
        )
    return ColumnSpec(type_)


def _type_of_scalar(value: object) -> ColumnType:
    kind = type(value)
    if hasattr(value, "to_pandas"):
        raise SignatureError(
            f"no signature can be inferred from a {kind.__name__}; give what its to_pandas() returns"
        )
    if value is None or isinstance(value, tuple | set | frozenset):
        raise SignatureError(
            f"no signature can be inferred from {excerpt(value)}; "
            "give a DataFrame, Series, ndarray, sparse matrix, dict, list or scalar"
        )
    return type_of_values([value], "the value")


def _tensor(array: np.ndarray, name: object = None) -> TensorSpec:
    this = "the array" if name is None else f"array {excerpt(name)}"
    if not array.shape:
        raise SignatureError(
            f"{this} has no axis, and the first is the row; give an array of at least one row"
        )
    dtype = {"U": "str", "S": "bytes"}.get(array.dtype.kind, array.dtype.name)
    return TensorSpec(dtype, (-1, *array.shape[1:]), name)  # type: ignore[arg-type]  # it checks


def _plain_name(name: object) -> object:
    """A name as a Python value where numpy has made it one of its own."""
    return name.item() if is_instance_of(name, "numpy", "generic") else name  # type: ignore[attr-defined]


def _is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    return is_instance_of(data, "pandas", "DataFrame")


def _is_series(data: object) -> TypeGuard[pd.Series]:
    return is_instance_of(data, "pandas", "Series")


def _is_sparse(data: object) -> TypeGuard[np.ndarray]:
    """Whether it is a sparse matrix or array of scipy, which has a shape and a dtype as an ndarray has."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(data))
