"""One value into one declared type: the table that all faster ways must agree with."""

from __future__ import annotations

import binascii
import math
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from modelserving.signature.convert import datetimes
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from collections.abc import Callable

EXACT_INTEGERS = {"float16": 2**11, "float32": 2**24, "float64": 2**53}
"""Up to where every integer is a value of the float type."""

Target = DataType | np.dtype
"""A column's scalar type, or the dtype of a tensor."""

_DTYPES = {kind: np.dtype(kind.dtype) for kind in DataType}


def dtype_of(target: Target) -> np.dtype:
    """The numpy dtype of a column or tensor of this type."""
    return _DTYPES[target] if isinstance(target, DataType) else target


class RefusedError(ValueError):
    """A value does not fit; ``detail`` follows the type's name in the message, where it says more."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


def cell(value: object, target: Target, *, wire: bool) -> object:
    """One value, not null, as a value of the declared type.

    Args:
        value: What was sent.
        target: The declared type.
        wire: It comes from a text format, in which bytes are base64.

    Raises:
        RefusedError: It would not be the same value.
    """
    dtype = dtype_of(target)
    if dtype.kind in "biufM":
        return _BY_KIND[dtype.kind](value, dtype)
    if target is DataType.binary:
        return _binary(value, wire)
    return _string(value)


def is_missing(value: object, *, wire: bool) -> bool:
    """Whether a value stands for "there is none": null; in process also NaN, NaT and pandas' NA."""
    if value is None or wire:
        return value is None
    if isinstance(value, float | np.floating):
        return bool(value != value)  # noqa: PLR0124 - what NaN is known by
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return type(value).__name__ in {"NAType", "NaTType"}


def fits(number: int, dtype: np.dtype) -> bool:
    """Whether an integer is within the range of an integer dtype."""
    info = np.iinfo(dtype)
    return int(info.min) <= number <= int(info.max)


def _boolean(value: object, _: np.dtype) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise RefusedError


def _integer(value: object, dtype: np.dtype) -> int:
    number = _whole(value)
    if not fits(number, dtype):
        info = np.iinfo(dtype)
        raise RefusedError(f" from {info.min} to {info.max}")
    return number


def _whole(value: object) -> int:
    if isinstance(value, bool | np.bool_):
        raise RefusedError
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        limit = EXACT_INTEGERS[_float_name(value)]
        if not float(value).is_integer():
            raise RefusedError
        if abs(float(value)) >= limit:  # from here on the literal it came from may have been another one
            raise RefusedError(f" (as a float only below {limit})")
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    raise RefusedError


def _float_name(value: object) -> str:
    name = value.dtype.name if isinstance(value, np.floating) else "float64"
    return name if name in EXACT_INTEGERS else "float64"


def _float(value: object, dtype: np.dtype) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number | Decimal):
        raise RefusedError
    if isinstance(value, int | np.integer):
        limit = EXACT_INTEGERS[dtype.name]
        if abs(int(value)) > limit:
            raise RefusedError(f" (integers up to {limit} are exact)")
    elif not isinstance(value, float | np.floating | Decimal):
        raise RefusedError
    number = float(value)
    with np.errstate(over="ignore"):
        rounded = float(dtype.type(number))
    if math.isinf(rounded) and (not math.isinf(number) or (isinstance(value, Decimal) and value.is_finite())):
        raise RefusedError(f" up to {float(np.finfo(dtype).max):.6g}")
    return rounded


def _string(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise RefusedError


def _binary(value: object, wire: bool) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if wire and isinstance(value, str):
        try:
            return binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
        except ValueError as error:
            raise RefusedError(" in base64") from error
    raise RefusedError(" in base64" if wire else "")


def _datetime(value: object, dtype: np.dtype) -> np.datetime64:
    try:
        if isinstance(value, str):
            moment = datetimes.from_text(value)
        elif isinstance(value, date):
            moment = datetimes.from_object(value)
        elif isinstance(value, np.datetime64):
            moment = np.datetime64(datetimes.from_numpy(value).item(), "ns")
        else:
            raise RefusedError(" in ISO 8601")
    except ValueError as error:
        raise RefusedError(" in ISO 8601, from 1677-09-22 to 2262-04-11") from error
    if np.isnat(moment):
        raise RefusedError(" from 1677-09-22 to 2262-04-11")
    if dtype == moment.dtype:
        return moment
    exact: np.datetime64 = moment.astype(dtype)
    if exact != moment:
        raise RefusedError(" exactly")
    return exact


_BY_KIND: dict[str, Callable[[object, np.dtype], object]] = {
    "b": _boolean,
    "i": _integer,
    "u": _integer,
    "f": _float,
    "M": _datetime,
}
