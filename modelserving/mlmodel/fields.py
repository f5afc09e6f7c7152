"""What a key of an MLmodel file may hold: one small check per kind of value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any

from modelserving.errors import MLmodelError, excerpt
from modelserving.mlmodel.paths import safe_relpath
from modelserving.mlmodel.restricted_yaml import MAX_DEPTH, MAX_DIGITS, KeyPath, dotted, type_name

Check = Callable[[object, KeyPath], object]
"""Gives the value at the key path back, never None, or raises MLmodelError when it is not of its kind."""

_HIGHEST_INTEGER = 10**MAX_DIGITS


def plain(value: object, where: KeyPath = ()) -> object:
    """A copy of ``value`` that YAML can hold: None, bool, int, float, str, lists, and dicts with sorted keys.

    Raises:
        MLmodelError: It is, or contains, something else, or is nested too deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if abs(value) >= _HIGHEST_INTEGER // 10:
            raise MLmodelError(f"a number of more than {MAX_DIGITS - 1} digits", None, dotted(where))
        return int(value)
    if isinstance(value, float):
        return float(value)
    if not isinstance(value, list | tuple | Mapping):
        raise unexpected(value, "str, int, float, bool, list, dict or null", where)
    if len(where) >= MAX_DEPTH:
        raise MLmodelError(f"nested more than {MAX_DEPTH} deep", None, dotted(where))
    if isinstance(value, Mapping):
        return _plain_mapping(value, where)
    return [plain(item, (*where, position)) for position, item in enumerate(value)]


def _text(value: str, where: KeyPath) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MLmodelError("a lone surrogate, which is not Unicode,", None, dotted(where)) from None
    return str.__str__(value)  # a subclass may print itself otherwise


def _plain_mapping(value: Mapping[Any, object], where: KeyPath) -> dict[str | int, object]:
    copy: dict[str | int, object] = {}
    for key, item in value.items():
        name: Any = plain(key, where) if isinstance(key, str | int) else key
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise MLmodelError(f"unexpected key of type {type_name(key)} (expected str)", None, dotted(where))
        copy[name] = plain(item, (*where, name))
    return dict(sorted(copy.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))


def unexpected(value: object, expected: str, where: KeyPath) -> MLmodelError:
    """The error for a value of the wrong type."""
    return MLmodelError(f"unexpected type {type_name(value)} (expected {expected})", None, dotted(where))


def text(value: object, where: KeyPath) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise unexpected(value, "str", where)
    return value


def version(value: object, where: KeyPath) -> str:
    """A version: text, which the reader does not take for a number where it has no quotes."""
    return text(value, where)


def boolean(value: object, where: KeyPath) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise unexpected(value, "bool", where)
    return value


def integer(value: object, where: KeyPath) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise unexpected(value, "int", where)
    return value


def mapping(value: object, where: KeyPath) -> Mapping[Any, object]:
    """Any mapping."""
    if not isinstance(value, Mapping):
        raise unexpected(value, "dict", where)
    return value


def sequence(value: object, where: KeyPath) -> Sequence[object]:
    """Any list."""
    if not isinstance(value, list):
        raise unexpected(value, "list", where)
    return value


def path(value: object, where: KeyPath) -> str:
    """The path of a file or folder below the model's folder."""
    given = text(value, where)
    try:
        safe_relpath(given)
    except MLmodelError as error:
        raise MLmodelError(error.reason, None, dotted(where)) from None
    return given


def path_if_text(value: object, where: KeyPath) -> object:
    """A path when it is text; for a key whose meaning another package defines."""
    return path(value, where) if isinstance(value, str) else value


def foreign_path(value: object, where: KeyPath) -> str:
    """A path on the machine that wrote the model; only its last part counts, a file of the model."""
    return path(PureWindowsPath(text(value, where)).name, where)  # of Windows, which divides at both slashes


def list_of(check: Check) -> Check:
    """A list whose items pass ``check``."""

    def checked(value: object, where: KeyPath) -> object:
        for position, item in enumerate(sequence(value, where)):
            check(item, (*where, position))
        return value

    return checked


def mapping_of(check: Check) -> Check:
    """A mapping from text to values that pass ``check``."""

    def checked(value: object, where: KeyPath) -> object:
        for key, item in keyed(value, where).items():
            check(item, (*where, key))
        return value

    return checked


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """A mapping by text whose ``fields``, unless null, pass their checks; other keys hold anything."""

    def checked(value: object, where: KeyPath) -> object:
        items = keyed(value, where)
        for key in required:
            if items.get(key) is None:
                raise MLmodelError(f"missing key {key!r}", None, dotted(where))
        for key, check in fields.items():
            if items.get(key) is not None:
                check(items[key], (*where, key))
        return value

    return checked


def keyed(value: object, where: KeyPath) -> Mapping[str, object]:
    """A mapping whose keys are all text."""
    items = mapping(value, where)
    for key in items:
        if not isinstance(key, str):
            raise MLmodelError(
                f"unexpected key {excerpt(key)} of type {type_name(key)} (expected str)", None, dotted(where)
            )
    return items


texts: Check = list_of(text)
"""A list of text."""
