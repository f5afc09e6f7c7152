"""Columns found by name: in any order, extras noted, all missing ones listed with the nearest name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np  # for the annotation of a dataclass

from modelserving.errors import DataError, choices
from modelserving.signature.convert.cells import dtype_of
from modelserving.signature.convert.problems import Problems, shown, wrong
from modelserving.signature.schema import ColumnSpec, Schema, TensorSpec
from modelserving.signature.types import ColumnType, DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Extras = Literal["ignore", "refuse"]
"""What becomes of columns that the signature does not know."""

Name = str | int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The columns of a schema, looked up once.

    Attributes:
        names: Their names, in order; 0, 1, … where the schema has none.
        kinds: Their types.
        required: Whether each must be there.
        common: The one numeric dtype of all columns, if their values can stand in one array.
    """

    names: tuple[Name, ...]
    kinds: tuple[ColumnType, ...]
    required: tuple[bool, ...]
    common: np.dtype | None


_known: dict[int, tuple[Schema, Wanted]] = {}  # by identity: hashing a wide schema costs more than a request


def wanted(schema: Schema) -> Wanted:
    """The columns of a column schema."""
    entry = _known.get(id(schema))
    if entry is not None and entry[0] is schema:
        return entry[1]
    if len(_known) >= 256:
        _known.clear()
    result = _look_up(schema)
    _known[id(schema)] = (schema, result)
    return result


def match(
    given: Sequence[object],
    names: Sequence[Name],
    required: Sequence[bool],
    problems: Problems,
    extras: Extras,
) -> tuple[list[int | None], tuple[str, ...]]:
    """Where each wanted column stands among the given, None for an absent one, and the names of the others.

    Raises:
        DataError: A name is given twice. Everything else goes to ``problems``.
    """
    at: dict[object, int] = {}
    for position, name in enumerate(given):
        if name in at:
            raise wrong("each column once", "it twice", column=name)
        at[name] = position
    places = [_place(at, name) for name in names]
    taken = {place for place in places if place is not None}
    others = [name for position, name in enumerate(given) if position not in taken]
    for name, place, needed in zip(names, places, required, strict=True):
        if place is None and needed:
            hint = nearest(name, others) if problems.total < DataError.LIMIT else ""
            problems.add("a column of that name", f"none{hint}", column=name)
    if extras == "refuse":
        for name in others:
            problems.add(f"only {choices(names)}", "an unknown column", column=_as_name(name))
    return places, tuple(str(name) for name in others)


def nearest(name: object, others: Iterable[object]) -> str:
    """``; did you mean 'b'?`` where one of the others is much like the name, else nothing."""
    spelled = {str(other)[:80].casefold(): other for other in list(others)[:200]}
    close = difflib.get_close_matches(str(name)[:80].casefold(), list(spelled), 1)
    return f"; did you mean {shown(spelled[close[0]])}?" if close else ""


def _place(at: dict[object, int], name: Name) -> int | None:
    place = at.get(name)
    if place is None and isinstance(name, int):
        place = at.get(str(name))
    return place


def _as_name(name: object) -> Name:
    return name if isinstance(name, int) else str(name)


def _look_up(schema: Schema) -> Wanted:
    specs = [spec for spec in schema.specs if isinstance(spec, ColumnSpec)]
    names = tuple(at if spec.name is None else spec.name for at, spec in enumerate(specs))
    kinds = tuple(spec.type for spec in specs)
    return Wanted(names, kinds, tuple(bool(spec.required) for spec in specs), _common(kinds))


def _common(kinds: Sequence[ColumnType]) -> np.dtype | None:
    first = kinds[0]
    if (
        isinstance(first, DataType)
        and dtype_of(first).kind in "biuf"
        and all(kind is first for kind in kinds)
    ):
        return dtype_of(first)
    return None


def is_tensor(schema: Schema) -> bool:
    """Whether the schema is of tensors."""
    return isinstance(schema.specs[0], TensorSpec)


def tensors(schema: Schema) -> tuple[TensorSpec, ...]:
    """The tensors of a tensor schema."""
    return tuple(spec for spec in schema.specs if isinstance(spec, TensorSpec))
