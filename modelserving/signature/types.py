"""The types a column or a parameter can have: MLflow's scalar types, and arrays, objects and maps of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from modelserving.errors import SignatureError, choices, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH = 32
"""How deep arrays, objects and maps may be nested in one type."""


class DataType(Enum):
    """A scalar type, by the name it has in an MLmodel file.

    ==========  ==============================  ====================
    name        values                          numpy dtype
    ==========  ==============================  ====================
    boolean     true and false                  bool
    integer     -2**31 … 2**31-1                int32
    long        -2**63 … 2**63-1                int64
    float       IEEE 754 binary32               float32
    double      IEEE 754 binary64               float64
    string      Unicode text                    object (str)
    binary      bytes                           object (bytes)
    datetime    a moment, without time zone     datetime64[ns]
    ==========  ==============================  ====================
    """

    boolean = "boolean"
    integer = "integer"
    long = "long"
    float = "float"
    double = "double"
    string = "string"
    binary = "binary"
    datetime = "datetime"

    def __str__(self) -> str:
        return self.value

    @property
    def dtype(self) -> str:
        """The numpy dtype of a column of this type, by name: ``int64`` for long, ``object`` for string."""
        return _DTYPES[self]


_DTYPES = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
    DataType.string: "object",
    DataType.binary: "object",
    DataType.datetime: "datetime64[ns]",
}


@dataclass(frozen=True, slots=True)
class Array:
    """A list whose items all have one type.

    Raises:
        SignatureError: ``items`` is not a type.

    Example:
        >>> str(Array(DataType.string))
        'Array(string)'
    """

    items: ColumnType

    def __post_init__(self) -> None:
        check_type(self.items, "the items of an array")

    def __str__(self) -> str:
        return f"Array({self.items})"


@dataclass(frozen=True, slots=True)
class Property:
    """One named value of an object."""

    name: str
    type: ColumnType
    required: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise SignatureError(f"a property is named {excerpt(self.name)}; its name must be text")
        check_text(self.name, "a property")
        check_type(self.type, f"property {excerpt(self.name)}")
        check_required(self.required, f"property {excerpt(self.name)}")

    def __str__(self) -> str:
        return f"{self.name}: {self.type} ({'required' if self.required else 'optional'})"


@dataclass(frozen=True, slots=True)
class Object:
    """A mapping with known keys, kept sorted by name, each with a type of its own.

    Raises:
        SignatureError: There is no property, or two have one name.

    Example:
        >>> str(Object((Property("b", DataType.long), Property("a", DataType.string, required=False))))
        '{a: string (optional), b: long (required)}'
    """

    properties: tuple[Property, ...]

    def __post_init__(self) -> None:
        for each in self.properties:
            if not isinstance(each, Property):
                raise SignatureError(
                    f"an object holds {excerpt(each)}; every one of its properties must be a Property"
                )
        if not self.properties:
            raise SignatureError("an object has no properties; give it one, or use Map or AnyType")
        if twice := duplicates(each.name for each in self.properties):
            raise SignatureError(f"an object has properties of one name: {choices(twice)}; rename them")
        object.__setattr__(self, "properties", tuple(sorted(self.properties, key=lambda each: each.name)))

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.properties)) + "}"


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping from any strings to values of one type.

    Raises:
        SignatureError: ``values`` is not a type.

    Example:
        >>> str(Map(Array(DataType.double)))
        'Map(str -> Array(double))'
    """

    values: ColumnType

    def __post_init__(self) -> None:
        check_type(self.values, "the values of a map")

    def __str__(self) -> str:
        return f"Map(str -> {self.values})"


@dataclass(frozen=True, slots=True)
class AnyType:
    """Any value, handed to the model as it came."""

    def __str__(self) -> str:
        return "Any"


ColumnType = DataType | Array | Object | Map | AnyType
"""What a column can hold."""


def check_type(type_: object, owner: str) -> None:
    """Raise SignatureError unless ``type_``, that of ``owner``, is a type that is not nested too deep."""
    if not isinstance(type_, ColumnType):
        raise SignatureError(
            f"{owner} has the type {excerpt(type_)}; use a DataType, such as DataType.double, "
            "or Array, Object, Map or AnyType"
        )
    if _depth(type_) > MAX_DEPTH:
        raise SignatureError(f"{owner} is nested deeper than {MAX_DEPTH} levels; use AnyType further down")


def _depth(type_: ColumnType) -> int:
    """How many levels a type has, 1 for a scalar. What is below ``type_`` was checked when it was made."""
    match type_:
        case Array(items=inner) | Map(values=inner):
            return 1 + _depth(inner)
        case Object(properties=properties):
            return 1 + max(_depth(each.type) for each in properties)
        case _:
            return 1


def check_required(required: object, owner: str) -> None:
    """Raise SignatureError unless ``required`` is true or false."""
    if not isinstance(required, bool):
        raise SignatureError(f"{owner} has required={excerpt(required)}; it is either true or false")


def check_text(text: str, owner: str) -> None:
    """Raise SignatureError if ``text`` holds half a surrogate pair, which no answer could carry as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SignatureError(
            f"{owner} is named {excerpt(text)}, which is not valid Unicode; rename it"
        ) from None


def duplicates(names: Iterable[str]) -> list[str]:
    """The names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


Form = Literal["frame", "array", "columns"]
"""What a model can be given: a DataFrame, an ndarray, or a dict of name to ndarray."""
