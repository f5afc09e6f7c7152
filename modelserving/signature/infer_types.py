"""The type that values have in common: the part of inference that looks at the values themselves."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, TypeGuard, cast

from modelserving.errors import SignatureError, excerpt
from modelserving.signature.types import MAX_DEPTH, AnyType, Array, ColumnType, DataType, Object, Property

if TYPE_CHECKING:
    import numpy as np

_CLASSES: tuple[tuple[type | tuple[type, ...], DataType], ...] = (
    (bool, DataType.boolean),  # before int, which it is to Python
    (int, DataType.long),
    (float, DataType.double),
    (str, DataType.string),
    ((bytes, bytearray), DataType.binary),
    (date, DataType.datetime),
)
_DTYPES = {
    **dict.fromkeys(("b1",), DataType.boolean),
    **dict.fromkeys(("i1", "i2", "i4", "u1", "u2"), DataType.integer),
    **dict.fromkeys(("i8", "u4"), DataType.long),
    **dict.fromkeys(("f2", "f4"), DataType.float),
    "f8": DataType.double,
}
_UNSIZED_DTYPES = {"b": DataType.boolean, "U": DataType.string, "S": DataType.binary, "M": DataType.datetime}
_WHOLE = {DataType.integer, DataType.long}
_NUMBERS = {*_WHOLE, DataType.float, DataType.double}
_NEVER_MISSING = frozenset((bool, int, str, bytes, list, dict))
_REMEDIES = {
    "u": "convert it to int64, or to float64 if larger numbers occur",
    "f": "convert it to float64",
    "c": "split it into its real and its imaginary part",
    "m": "convert it to a number, such as seconds",
}


def type_of_values(values: Sequence[object], this: str, depth: int = 1) -> ColumnType:
    """The one type of all values, missing ones aside; AnyType if there is none, or no value.

    Whole numbers among floats are floats, and a NaN among whole numbers makes them floats, as in a numpy
    array. Lists are Arrays, mappings are Objects whose properties are optional where one lacks them.

    Args:
        values: Python values, numpy scalars and arrays, to any depth.
        this: What errors call it, such as ``column 'a'``.
        depth: On which level of a nested value they stand.

    Raises:
        SignatureError: A value is of a class that no type stands for.

    Example:
        >>> str(type_of_values([{"a": 1}, None, {"a": 2.5, "b": ["x"]}], "this"))
        '{a: double (required), b: Array(string) (optional)}'
    """
    if depth > MAX_DEPTH:
        raise SignatureError(f"{this} is nested deeper than {MAX_DEPTH} levels; flatten it")
    present = [value for value in values if not is_missing(value)]
    classes = set(map(type, present))
    mappings, lists = (
        {each for each in classes if issubclass(each, kind)} for kind in (Mapping, _list_classes())
    )
    if mappings and mappings == classes:
        return _type_of_mappings(cast("list[Mapping[str, object]]", present), this, depth)
    if lists and lists == classes:
        return _type_of_lists(present, this, depth)
    if mappings or lists:
        return AnyType()
    types = {_type_of_class(each, this) for each in classes}
    _check_whole_numbers(present, this)
    if types <= _NUMBERS and any(isinstance(value, float) for value in values):
        types.add(DataType.double)
    return _common(types)


def _common(types: set[DataType]) -> DataType | AnyType:
    if len(types) == 1:
        return next(iter(types))
    if not types or not types <= _NUMBERS:
        return AnyType()
    return DataType.long if types <= _WHOLE else DataType.double


def _type_of_mappings(values: list[Mapping[str, object]], this: str, depth: int) -> ColumnType:
    names = dict.fromkeys(name for value in values for name in value)
    properties = []
    for name in names:
        given = [value[name] for value in values if name in value]
        required = len(given) == len(values) and not any(map(is_missing, given))
        type_ = type_of_values(given, f"{this}, property {excerpt(name)}", depth + 1)
        properties.append(Property(name, type_, required))
    return Object(tuple(properties)) if properties else AnyType()


def _type_of_lists(values: list[object], this: str, depth: int) -> ColumnType:
    arrays = [value for value in values if is_array(value) and value.dtype.kind != "O"]
    ranks = {value.ndim for value in values if is_array(value)}
    if len(arrays) == len(values) and len(ranks) == 1:  # without a look at every number
        type_: ColumnType = _common(
            {type_of_dtype(dtype, this) for dtype in {array.dtype for array in arrays}}
        )
        for _ in range(ranks.pop()):
            type_ = Array(type_)
        return type_
    if 0 in ranks:
        return AnyType()
    items = [item for value in values for item in cast("Sequence[object]", value)]
    return Array(type_of_values(items, f"{this}, items", depth + 1))


def type_of_dtype(dtype: np.dtype, this: str) -> DataType:
    """The type of a numpy dtype, or of one of pandas that holds numbers, booleans or datetimes.

    Raises:
        SignatureError: MLflow's types hold no such values: 64 bits without sign, complex numbers, durations.
    """
    type_ = _UNSIZED_DTYPES.get(dtype.kind) or _DTYPES.get(f"{dtype.kind}{dtype.itemsize}")
    if type_ is None:
        remedy = _REMEDIES.get(dtype.kind, "convert it to numbers or text")
        raise SignatureError(f"{this} holds {dtype}, for which a signature has no type; {remedy}")
    return type_


def _type_of_class(kind: type, this: str) -> DataType:
    for classes, type_ in _CLASSES:
        if issubclass(kind, classes):
            return type_
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        return type_of_dtype(numpy.dtype(kind), this)
    remedy = (
        "convert it to float, or to text" if issubclass(kind, Decimal) else "convert it to numbers or text"
    )
    if issubclass(kind, tuple | set | frozenset):
        remedy = "make it a list"
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise SignatureError(f"{this} holds {name}, for which a signature has no type; {remedy}")


def _check_whole_numbers(values: list[object], this: str) -> None:
    numbers = [value for value in values if isinstance(value, int)]
    for number in (min(numbers), max(numbers)) if numbers else ():
        if not -(2**63) <= number < 2**63:
            raise SignatureError(
                f"{this} holds {excerpt(number)}, which 64 bits do not; convert it to float, or to text"
            )


def is_missing(value: object) -> bool:
    """Whether a value says that there is none: None, NaN, and what pandas and numpy have for it."""
    if type(value) in _NEVER_MISSING:  # most values are: a million of text take 0.3 s instead of 0.9
        return False
    if value is None or isinstance(value, float):
        return value is None or value != value  # noqa: PLR0124  # NaN is what differs from itself
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.floating | numpy.datetime64) and bool(value != value)  # noqa: PLR0124


def is_array(value: object) -> TypeGuard[np.ndarray]:
    """Whether a value is an ndarray."""
    return is_instance_of(value, "numpy", "ndarray")


def is_instance_of(value: object, module: str, name: str) -> bool:
    """Whether a value is of the class ``name`` of ``module``, which then is loaded already."""
    class_ = getattr(sys.modules.get(module), name, None)
    return class_ is not None and isinstance(value, class_)


def _list_classes() -> tuple[type, ...]:
    numpy = sys.modules.get("numpy")
    return (list,) if numpy is None else (list, numpy.ndarray)
