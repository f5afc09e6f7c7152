"""MLflow's JSON form of types, read strictly: what schema.py and params.py share.

A reader here takes a value parsed from JSON and the place it was found at, such as ``inputs[3].items``, and
gives a checked object or raises SignatureError naming that place. Stricter than MLflow in these ways:

* a key that a form does not have is refused everywhere; MLflow refuses it in scalar columns and drops it
  elsewhere, so that a mistyped ``requird`` would silently make a column optional;
* a key given twice is refused, where MLflow takes the last;
* ``required`` must be true, false or null, where MLflow takes anything.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from modelserving.errors import SignatureError, choices, excerpt
from modelserving.signature.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    ColumnType,
    DataType,
    Map,
    Object,
    Property,
    duplicates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Form = dict[str, object]
"""A JSON object."""

_INNER_KEY = {"array": "items", "object": "properties", "map": "values"}
_NAMES = (*(each.value for each in DataType), *_INNER_KEY, "any", "tensor")


def read_list(text: object, place: str) -> Iterator[tuple[Form, str]]:
    """The JSON objects of the list that ``text`` is, each with its place."""
    if not isinstance(text, str):
        raise SignatureError(f"{place}: expected a list written as JSON text, got {excerpt(text)}")
    try:
        forms = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, place))
    except SignatureError:  # a ValueError too, from _unique
        raise
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}"
        raise SignatureError(
            f"{place}: not JSON ({reason}); log the model again or correct the file"
        ) from None
    except RecursionError:
        raise SignatureError(
            f"{place}: JSON nested deeper than {MAX_DEPTH} levels; simplify the types"
        ) from None
    except ValueError:  # Python's own limit on the digits of one integer
        raise SignatureError(f"{place}: JSON with an integer of thousands of digits; use a float") from None
    if not isinstance(forms, list):
        raise SignatureError(f"{place}: expected a JSON list, got {excerpt(forms)}")
    for position, form in enumerate(forms):
        where = f"{place}[{position}]"
        if not isinstance(form, dict):
            raise SignatureError(f"{where}: expected a JSON object, got {excerpt(form)}")
        yield form, where


def _unique(pairs: list[tuple[str, object]], place: str) -> Form:
    form = dict(pairs)
    if len(form) < len(pairs):
        twice = duplicates(key for key, _ in pairs)[0]
        raise SignatureError(
            f"{place}: the key {excerpt(twice)} is given twice in one JSON object; keep one of them"
        )
    return form


def check_keys(form: Form, known: Iterable[str], place: str, *, needed: Iterable[str] = ()) -> None:
    """Raise SignatureError if ``form`` lacks a key that is needed, or has one that is not known."""
    for key in needed:
        if key not in form:
            raise SignatureError(f"{place}: the key {key!r} is missing; add it")
    known = {*known, *needed}
    for key in form:
        if key not in known:
            raise SignatureError(f"{place}: unknown key {excerpt(key)}; known here: {choices(known)}")


def read_type(form: Form, place: str, *, beside: tuple[str, ...] = (), depth: int = 1) -> ColumnType:
    """The type that ``form`` describes by ``type`` and, below it, ``items``, ``properties`` or ``values``.

    Args:
        form: A JSON object.
        place: Where it was found.
        beside: Keys it may have that say something else than the type.
        depth: On which level of a nested type it stands.
    """
    if depth > MAX_DEPTH:
        raise SignatureError(
            f"{place}: nested deeper than {MAX_DEPTH} levels; use the type 'any' further down"
        )
    kind = form.get("type")
    if (
        kind == "sparkml_vector"
    ):  # Spark's own vector: a list of doubles to everybody else, and written back as that
        check_keys(form, beside, place, needed=("type",))
        return Array(DataType.double)
    inner_key = _INNER_KEY.get(kind) if isinstance(kind, str) else None
    check_keys(form, beside, place, needed=("type", inner_key) if inner_key else ("type",))
    if inner_key is None:
        return _scalar_type(kind, place)
    inner, where = form[inner_key], f"{place}.{inner_key}"
    if not isinstance(inner, dict):
        raise SignatureError(f"{where}: expected a JSON object, got {excerpt(inner)}")
    if kind == "object":
        return Object(tuple(_read_property(name, each, where, depth) for name, each in inner.items()))
    inner_type = read_type(inner, where, depth=depth + 1)
    return Array(inner_type) if kind == "array" else Map(inner_type)


def _scalar_type(kind: object, place: str) -> DataType | AnyType:
    if kind == "any":
        return AnyType()
    try:
        return DataType(kind)
    except ValueError:
        raise SignatureError(f"{place}: unknown type {excerpt(kind)}; use one of {choices(_NAMES)}") from None


def _read_property(name: str, form: object, place: str, depth: int) -> Property:
    where = f"{place}.{excerpt(name)}"
    if not isinstance(form, dict):
        raise SignatureError(f"{where}: expected a JSON object, got {excerpt(form)}")
    type_ = read_type(form, where, beside=("required",), depth=depth + 1)
    return Property(name, type_, read_required(form, where, absent=True))


def read_required(form: Form, place: str, *, absent: bool) -> bool:
    """What ``required`` says: ``absent`` if it is not there, false if it is null, as MLflow reads it."""
    required = form.get("required", absent)
    if required is not None and not isinstance(required, bool):
        raise SignatureError(f"{place}: the key 'required' is {excerpt(required)}; expected true or false")
    return bool(required)


def write_type(type_: ColumnType) -> Form:
    """The form of a type, in MLflow's order of keys.

    Example:
        >>> write_type(Array(DataType.long))
        {'type': 'array', 'items': {'type': 'long'}}
    """
    match type_:
        case DataType():
            return {"type": type_.value}
        case Array(items=items):
            return {"type": "array", "items": write_type(items)}
        case Map(values=values):
            return {"type": "map", "values": write_type(values)}
        case Object(properties=properties):
            forms = {each.name: {**write_type(each.type), "required": each.required} for each in properties}
            return {"type": "object", "properties": forms}
        case AnyType():
            return {"type": "any"}


def write_list(forms: Iterable[Form]) -> str:
    """The forms as one JSON text, byte for byte as MLflow would write it."""
    return json.dumps(list(forms))
