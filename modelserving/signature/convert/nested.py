"""Values inside values: arrays, objects, maps, and anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelserving.signature.convert.cells import RefusedError, cell, is_missing
from modelserving.signature.convert.limits import MAX_DEPTH
from modelserving.signature.convert.problems import shown
from modelserving.signature.types import Array, ColumnType, DataType, Map, Object

Report = Callable[[str, str, str], None]
"""Told the JSON path, what was expected there, and what was there instead."""


def nested(value: object, kind: ColumnType, *, wire: bool, refuse: Report, path: str = "$") -> object:
    """One value of a nested type, as new lists and dicts of checked values; Python's own types inside.

    Args:
        value: What was sent, not null.
        kind: The declared type.
        wire: It comes from a text format: bytes are base64.
        refuse: Told of everything that does not fit.
        path: Where the value stands.

    Example:
        >>> nested([1, 2.0], Array(DataType.long), wire=True, refuse=print)
        [1, 2]
        >>> nested([1, "x"], Array(DataType.long), wire=True, refuse=print)
        $[1] long 'x'
        [1, None]
    """
    if isinstance(kind, DataType):
        return _scalar(value, kind, wire, refuse, path)
    if isinstance(kind, Array):
        return _array(value, kind, wire, refuse, path)
    if isinstance(kind, Object):
        return _object(value, kind, wire, refuse, path)
    if isinstance(kind, Map):
        return _map(value, kind, wire, refuse, path)
    check_depth(value, refuse, path)
    return value


def check_depth(value: object, refuse: Report, path: str = "$") -> None:
    """Refuse a value in which lists and objects stand more than ``MAX_DEPTH`` deep."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        inside: list[object] = []
        for each in level:
            if type(each) is list:
                inside.extend(item for item in each if type(item) in {list, dict})
            elif type(each) is dict:
                inside.extend(item for item in each.values() if type(item) in {list, dict})
        if not inside:
            return
        level = inside
    refuse(path, f"at most {MAX_DEPTH} levels of lists and objects", "more")


def _scalar(value: object, kind: DataType, wire: bool, refuse: Report, path: str) -> object:
    hole = is_missing(value, wire=wire)
    if hole and kind in {DataType.float, DataType.double}:
        return float("nan")
    try:
        if hole:
            raise RefusedError
        return cell(value, kind, wire=wire)
    except RefusedError as error:
        refuse(path, str(kind) + error.detail, shown(value))
        return None


def _array(value: object, kind: Array, wire: bool, refuse: Report, path: str) -> object:
    if isinstance(value, np.ndarray) and not wire:
        value = value.tolist()
    if not isinstance(value, list) and (wire or not isinstance(value, tuple)):
        refuse(path, str(kind), shown(value))
        return None
    return [
        nested(item, kind.items, wire=wire, refuse=refuse, path=f"{path}[{at}]")
        for at, item in enumerate(value)
    ]


def _object(value: object, kind: Object, wire: bool, refuse: Report, path: str) -> object:
    if not isinstance(value, Mapping):
        refuse(path, str(kind), shown(value))
        return None
    known = {each.name: each for each in kind.properties}
    for name in value:
        if name not in known:
            refuse(f"{path}.{name}", f"only {', '.join(known)}", "an unknown key")
    result: dict[str, object] = {}
    for name, each in known.items():
        if name not in value:
            if each.required:
                refuse(f"{path}.{name}", str(each.type), "no such key")
            continue
        item = value[name]
        if is_missing(item, wire=wire) and not each.required:
            result[name] = None
        else:
            result[name] = nested(item, each.type, wire=wire, refuse=refuse, path=f"{path}.{name}")
    return result


def _map(value: object, kind: Map, wire: bool, refuse: Report, path: str) -> object:
    if not isinstance(value, Mapping):
        refuse(path, str(kind), shown(value))
        return None
    result: dict[str, object] = {}
    for name, item in value.items():
        if not isinstance(name, str):
            refuse(path, "keys that are strings", shown(name))
            continue
        result[name] = nested(item, kind.values, wire=wire, refuse=refuse, path=f"{path}.{name}")
    return result
