"""ParamSpec: one parameter that a request may set, and the checked default it has otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeGuard, cast

from modelserving.errors import SignatureError, excerpt
from modelserving.signature.json_form import Form, check_keys, read_type, write_type
from modelserving.signature.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    ColumnType,
    DataType,
    Map,
    Object,
    check_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_WHOLE_NUMBERS = {DataType.integer: 2**31, DataType.long: 2**63}
_EXACT_IN_FLOAT = {DataType.float: 2**24, DataType.double: 2**53}
_FLOAT_LIMIT = 3.4028235677973366e38
"""From here on the nearest binary32 is infinity."""


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One parameter of a model: its name, type, and the value it has when a request does not set it.

    Attributes:
        name: What a request calls it.
        type: A DataType other than binary, or an Object.
        default: A Python value of that type, a list of them, or None for a scalar without a default. A
            datetime may be given as ISO 8601 text; one with a time zone is kept as UTC without zone. Copied
            when the spec is made; hand out copies of lists and dicts, because a model may change them.
        shape: None for one value; (-1,) for a list of any length.

    Raises:
        SignatureError: MLflow has no such parameter, or the default is not of the type.

    Example:
        >>> str(ParamSpec("threshold", DataType.double, 0.5))
        "'threshold': double (default: 0.5)"
        >>> ParamSpec("top", DataType.long, 0.5)
        Traceback (most recent call last):
        ...
        modelserving.errors.SignatureError: the default of parameter 'top' is 0.5; expected long
    """

    name: str
    type: ColumnType
    default: object = field(default=None, hash=False)
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise SignatureError(f"a parameter is named {excerpt(self.name)}; its name must be text")
        check_text(self.name, "a parameter")
        this = f"parameter {excerpt(self.name)}"
        if not isinstance(self.type, DataType | Object) or self.type is DataType.binary:
            raise SignatureError(
                f"{this} has the type {excerpt(self.type)}; use a DataType but binary, or an Object"
            )
        if self.shape is not None and (isinstance(self.type, Object) or self.shape != (-1,)):
            raise SignatureError(
                f"{this} has the shape {excerpt(self.shape)}; use None, or (-1,) for a list of scalars"
            )
        object.__setattr__(self, "default", self._checked_default(f"the default of {this}"))

    def _checked_default(self, this: str) -> object:
        if self.shape is None:
            absent = self.default is None and isinstance(self.type, DataType)
            return None if absent else checked_value(self.default, self.type, this)
        items = _python(self.default)
        if not isinstance(items, list | tuple):
            raise SignatureError(f"{this} is {excerpt(items)}; expected a list of {self.type}")
        return [checked_value(item, self.type, f"{this}, item {at},") for at, item in enumerate(items)]

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.type} (default: {self.default}){shape}"

    @classmethod
    def from_dict(cls, form: Form, place: str = "$") -> ParamSpec:
        """The parameter that MLflow's JSON form describes; ``place`` is where it was found, for errors.

        Older files have ``dtype`` in place of ``type``; both may be there if they agree.
        """
        if "dtype" in form:
            form = {"type": form["dtype"], **form}
            if form.pop("dtype") != form["type"]:
                raise SignatureError(f"{place}: the keys 'type' and 'dtype' differ; keep 'type'")
        own_keys = ("name", "default", "shape")
        check_keys(form, ("shape", "properties"), place, needed=("name", "default", "type"))
        shape = form.get("shape")
        if shape is not None and shape != [-1]:
            raise SignatureError(f"{place}: the key 'shape' is {excerpt(shape)}; expected null or [-1]")
        type_ = read_type(form, place, beside=own_keys)
        return cls(cast("str", form["name"]), type_, form["default"], None if shape is None else (-1,))

    def to_dict(self) -> Form:
        """MLflow's JSON form; datetimes as ISO 8601 text."""
        default = self.default
        if self.type is DataType.datetime:
            default = [_iso(each) for each in default] if isinstance(default, list) else _iso(default)
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "default": default, "shape": shape, **write_type(self.type)}


def checked_value(value: object, type_: ColumnType, this: str, depth: int = 1) -> object:
    """``value`` as a plain Python value of ``type_``, lists and mappings copied.

    Whole numbers are taken for float types as far as they are exact; no other type stands for another.

    Raises:
        SignatureError: It is of another type; ``this`` names it, such as ``the default of parameter 'top'``.
    """
    if depth > MAX_DEPTH:
        raise SignatureError(f"{this} is nested deeper than {MAX_DEPTH} levels; flatten it")
    value = _python(value)
    match type_:
        case DataType.datetime if depth == 1:  # further down JSON has no form for it
            if (moment := _datetime(value)) is not None:
                return moment
        case DataType() if _fits(value, type_):
            return float(cast("float", value)) if type_ in _EXACT_IN_FLOAT else value
        case Array(items=items) if isinstance(value, list | tuple):
            return [
                checked_value(item, items, f"{this}, item {at},", depth + 1) for at, item in enumerate(value)
            ]
        case Map(values=values) if _is_mapping(value):
            return {
                key: checked_value(each, values, f"{this}, {excerpt(key)},", depth + 1)
                for key, each in value.items()
            }
        case Object() if _is_mapping(value):
            return _checked_object(value, type_, this, depth)
        case AnyType():
            return _checked_json(value, this, depth)
    raise SignatureError(f"{this} is {excerpt(value)}; expected {type_}")


def _checked_object(value: Mapping[str, object], type_: Object, this: str, depth: int) -> dict[str, object]:
    known = {each.name: each for each in type_.properties}
    missing = [each.name for each in type_.properties if each.required and each.name not in value]
    unknown = [key for key in value if key not in known]
    if missing or unknown:
        problem = f"lacks {excerpt(missing)}" if missing else f"has the unknown keys {excerpt(unknown)}"
        raise SignatureError(f"{this} {problem}; expected {excerpt(str(type_))}")
    return {
        key: None
        if each is None and not known[key].required
        else checked_value(each, known[key].type, f"{this}, {excerpt(key)},", depth + 1)
        for key, each in value.items()
    }


def _checked_json(value: object, this: str, depth: int) -> object:
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    if isinstance(value, list | tuple):
        return [
            checked_value(each, AnyType(), f"{this}, item {at},", depth + 1) for at, each in enumerate(value)
        ]
    if _is_mapping(value):
        return {
            key: checked_value(each, AnyType(), f"{this}, {excerpt(key)},", depth + 1)
            for key, each in value.items()
        }
    raise SignatureError(f"{this} is {excerpt(value)}; expected what JSON can hold")


def _fits(value: object, type_: DataType) -> bool:
    """Whether a scalar is of a type, datetime and binary apart: JSON has no form for these."""
    if isinstance(value, bool) or type_ is DataType.boolean:
        return isinstance(value, bool) and type_ is DataType.boolean
    if type_ in _WHOLE_NUMBERS:
        limit = _WHOLE_NUMBERS[type_]
        return isinstance(value, int) and -limit <= value < limit
    if type_ in _EXACT_IN_FLOAT:
        if isinstance(value, int):
            return abs(value) <= _EXACT_IN_FLOAT[type_]
        if not isinstance(value, float):
            return False
        return type_ is DataType.double or not _FLOAT_LIMIT <= abs(value) < float("inf")
    return type_ is DataType.string and isinstance(value, str)


def _is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _datetime(value: object) -> date | datetime | None:
    """A date, or a datetime without time zone and in whole microseconds; None if ``value`` is neither."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            try:
                value = datetime.fromisoformat(cast("str", value))
            except ValueError:
                return None
    if not isinstance(value, date):
        return None
    if not isinstance(value, datetime):
        return value
    if getattr(value, "nanosecond", 0):  # a pandas.Timestamp: MLflow's form ends at microseconds
        return None
    try:
        utc = value if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # a zone that moves it out of the years 1 to 9999
        return None
    return datetime.combine(utc.date(), utc.time())


def _iso(value: object) -> str | None:
    return None if value is None else cast("date", value).isoformat()


def _python(value: object) -> object:
    """``value``, or the Python value of a numpy scalar or array; recognised without importing numpy."""
    if type(value).__module__ != "numpy":
        return value
    array = cast("np.ndarray", value)
    if array.dtype.name == "datetime64[ns]":  # Python's ends at microseconds: tolist() would give integers
        coarse = array.astype("datetime64[us]")
        array = coarse if (coarse == array).all() else array
    return cast("object", array.tolist())
