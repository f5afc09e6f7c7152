"""Arrays and Series into the declared types, by whole-array checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelserving.signature.convert import datetimes
from modelserving.signature.convert.cells import EXACT_INTEGERS, Target, dtype_of
from modelserving.signature.convert.values import column, integers, narrow, objects, one_by_one
from modelserving.signature.types import ColumnType, DataType

if TYPE_CHECKING:
    import pandas as pd

    from modelserving.signature.convert.problems import Refuse


def array_column(
    array: np.ndarray, kind: ColumnType | np.dtype, *, required: bool, refuse: Refuse
) -> np.ndarray:
    """An array of any dtype as one of the declared type and the same shape; the caller's own if it fits.

    Args:
        array: What was given; with more than one axis only for scalar types.
        kind: The declared type, or the dtype of a tensor's elements.
        required: Missing values (NaN, NaT, None) are refused, except in float columns.
        refuse: Told of each value that does not fit, by its position in the flattened array.
    """
    if not isinstance(kind, DataType | np.dtype):
        return column(_items(array), kind, required=required, refuse=refuse, wire=False)
    if isinstance(array, np.ma.MaskedArray):
        mask, array = np.ma.getmaskarray(array), objects(list(array.data.reshape(-1))).reshape(array.shape)
        array[mask] = None
    whole = _at_once(np.asarray(array), kind)
    if whole is not None and not (required and _has_nat(whole)):
        return whole
    if array.dtype.kind in "mcV":
        refuse(None, str(kind), f"values of dtype {array.dtype}")
        return array
    flat = one_by_one(_scalars(array), kind, required=required, refuse=refuse, wire=False)
    return flat.reshape(array.shape)


def series_array(series: pd.Series[Any]) -> np.ndarray:
    """The values of a pandas Series as numpy has them, without a change of value.

    Categories become their values, moments with a time zone UTC without one, and missing values of pandas'
    own types None.
    """
    dtype: Any = series.dtype
    if isinstance(dtype, np.dtype):
        return series.to_numpy()
    if getattr(dtype, "tz", None) is not None:
        naive: np.ndarray = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return naive
    if getattr(dtype, "categories", None) is not None:
        categories = dtype.categories.to_series()
        series = series.astype(categories.dtype) if not series.isna().any() else series.astype(object)
        return series_array(series)
    missing = series.isna().to_numpy()
    native = getattr(dtype, "numpy_dtype", None)
    if not missing.any() and isinstance(native, np.dtype) and native.kind in "biufM":
        return series.to_numpy(dtype=native)
    values = series.to_numpy(dtype=object).copy()
    values[missing] = None
    return values


def _at_once(array: np.ndarray, target: Target) -> np.ndarray | None:
    """The whole array converted, if no value changes; None if that is not proved."""
    dtype, kind = dtype_of(target), array.dtype.kind
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if kind == "b" and dtype.kind == "b":
        return array
    if kind in "iuf" and dtype.kind in "iu":
        return integers(array, dtype)
    if kind in "iu" and dtype.kind == "f":
        return _integers_as_floats(array, dtype)
    if kind == "f" and dtype.kind == "f":
        return narrow(array, dtype)
    if kind == "M" and dtype.kind == "M":
        return _moments(array, dtype)
    return None


def _integers_as_floats(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    limit = EXACT_INTEGERS[dtype.name]
    if array.size and (int(array.max()) > limit or int(array.min()) < -limit):
        return None
    return array.astype(dtype)


def _moments(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    moments: np.ndarray = datetimes.from_numpy(array).astype(dtype)
    same = (moments == array) | (np.isnat(moments) & np.isnat(array))
    return moments if bool(same.all()) else None


def _has_nat(array: np.ndarray) -> bool:
    return array.dtype.kind == "M" and bool(np.isnat(array).any())


def _scalars(array: np.ndarray) -> list[object]:
    """The elements as scalars that still know their type: float32 stays float32, nanoseconds stay."""
    return list(array.reshape(-1)) if array.dtype.kind in "fM" else array.reshape(-1).tolist()


def _items(array: np.ndarray) -> list[object]:
    return array.tolist() if array.dtype.kind in "biufUSO" else list(array)
