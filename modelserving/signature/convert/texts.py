"""Cells of text (CSV) into the declared types: the same rule, with a grammar for each type's text.

Numbers are decimal digits with an optional sign, point and exponent (integers: no exponent, and only zeros
after a
point); spaces around them are dropped. Booleans are true and false in any case. Nothing else is a number: not
``1_000``, ``1,5``, ``0x10`` or ``NA``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import orjson

from modelserving.signature.convert.cells import EXACT_INTEGERS, Target, dtype_of
from modelserving.signature.convert.limits import MAX_DIGITS
from modelserving.signature.convert.problems import Refuse, shown
from modelserving.signature.convert.values import column, narrow, objects
from modelserving.signature.types import AnyType, DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}
_BOOLEANS = {"true": True, "false": False}
_FLOAT_CHARACTERS = re.compile(r"[0-9+\-.eE,]*", re.ASCII)
_NATURAL_INTEGERS = re.compile(r"(?:-?(?:0|[1-9][0-9]{0,17})\n)+", re.ASCII)
_NATURAL_NUMBERS = re.compile(r"(?:(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)?\n)+", re.ASCII)


def text_column(
    cells: Sequence[str], kind: Target | AnyType, *, required: bool, refuse: Refuse
) -> np.ndarray:
    """Cells as one array of the declared type; an empty cell is missing in float and in optional columns.

    Args:
        cells: One text a row.
        kind: The declared type, or the dtype of a tensor's elements.
        required: An empty cell is refused, except in float and string columns, where it is NaN and empty
            text.
        refuse: Told of each cell that does not fit.
    """
    if isinstance(kind, AnyType):
        return objects([None if cell == "" and not required else cell for cell in cells])
    if dtype_of(kind).kind == "f":
        fast = _floats(cells, dtype_of(kind))
        if fast is not None:
            return fast
    values = _values(cells, kind, required)
    return column(values, kind, required=required, refuse=_as_text(refuse, cells), wire=True)


def tensor_texts(cells: Sequence[str], dtype: str, refuse: Refuse) -> np.ndarray:
    """Cells as elements of a tensor's dtype, by numpy's name or ``str``, ``bytes``, ``object``."""
    kinds: dict[str, Target | AnyType] = {
        "str": DataType.string,
        "bytes": DataType.binary,
        "object": AnyType(),
    }
    return text_column(cells, kinds.get(dtype) or np.dtype(dtype), required=True, refuse=refuse)


def natural_text_column(cells: Sequence[str]) -> np.ndarray:
    """Cells in the type they all look like: int64, float64 (an empty cell is NaN), bool, else text.

    Example:
        >>> natural_text_column(["1", "2"])
        array([1, 2])
        >>> natural_text_column(["007", "2"])
        array(['007', '2'], dtype=object)
    """
    joined = "\n".join(cells) + "\n"
    if cells and _NATURAL_INTEGERS.fullmatch(joined):
        return np.array(list(map(int, cells)), dtype=np.int64)
    if any(cells) and _NATURAL_NUMBERS.fullmatch(joined):
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
        integers = not re.search(r"[.eE]", joined)
        if not np.isinf(numbers).any() and not (
            integers and np.any(np.abs(numbers) > EXACT_INTEGERS["float64"])
        ):
            return numbers
    if cells and {cell.lower() for cell in set(cells)} <= _BOOLEANS.keys():
        return np.array([cell.lower() == "true" for cell in cells])
    return objects(cells)


def _floats(cells: Sequence[str], dtype: np.dtype) -> np.ndarray | None:
    """All cells as floats if they are JSON's numbers below the exact integers; else None."""
    joined = ",".join(cells)
    if not _FLOAT_CHARACTERS.fullmatch(joined):
        return None
    try:
        array = np.array(orjson.loads(f"[{joined}]"), dtype=np.float64)  # ten times as fast as float()
    except ValueError:
        return None
    if len(array) != len(cells):  # a cell was "1,5"
        return None
    if not bool(np.all(np.abs(array) <= EXACT_INTEGERS[dtype.name] - 1)):
        return None
    return narrow(array, dtype)


def _values(cells: Sequence[str], kind: Target, required: bool) -> list[object]:
    """Each cell as the Python value its text means; as text, to be refused, if it means none."""
    dtype = dtype_of(kind)
    if dtype.kind == "O":
        return [None if cell == "" and not required else cell for cell in cells]
    read = {"f": _number, "i": _integer, "u": _integer, "b": _boolean}.get(dtype.kind, str.strip)
    return [None if cell == "" else read(cell) for cell in cells]


def _integer(cell: str) -> object:
    match = _INTEGER.fullmatch(cell.strip(" \t"))
    return cell if match is None or len(cell) > MAX_DIGITS else int(match[1])


def _number(cell: str) -> object:
    text = cell.strip(" \t")
    if text.lower() in _NOT_FINITE:
        return float(text)
    if not _NUMBER.fullmatch(text) or len(text) > MAX_DIGITS:
        return cell
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    return cell if np.isinf(number) else number


def _boolean(cell: str) -> object:
    return _BOOLEANS.get(cell.strip(" \t").lower(), cell)


def _as_text(refuse: Refuse, cells: Sequence[str]) -> Refuse:
    """Shows the cell as it was sent, not the value it was read as."""

    def told(index: int | None, expected: str, got: str, path: str | None = None) -> None:
        cell = None if index is None or path is not None else cells[index]
        refuse(index, expected, "an empty cell" if cell == "" else got if cell is None else shown(cell), path)

    return told
