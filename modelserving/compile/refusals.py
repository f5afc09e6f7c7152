"""What a model refuses to answer: a graph would answer it all the same, so its twin must know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.compile.asking import ask
from modelserving.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from modelserving.compile.table import Table
    from modelserving.model import Model

_ODD = {"nan": float("nan"), "infinity": float("inf"), "large": 1e300}
_UNHEARD = "no category has this name"


def refused_numbers(model: Model, table: Table, row: Sequence[np.ndarray]) -> dict[str, list[str]]:
    """Which columns of numbers refuse NaN, infinity, and what is too large for float32.

    Args:
        model: The model.
        table: Its columns.
        row: One row that the model answers, as columns of length 1.

    Returns:
        ``nan``, ``infinity`` and ``large``, each with the names of columns; a kind that none refuses is left
        out.
    """
    refused: dict[str, list[str]] = {}
    for kind, value in _ODD.items():
        wide = [
            at
            for at, dtype in enumerate(table.dtypes)
            if dtype == "float64" or (dtype == "float32" and kind != "large")
        ]
        if not wide or _answers(model, table, _with(row, wide, value)):
            continue
        names = [table.names[at] for at in wide if not _answers(model, table, _with(row, [at], value))]
        refused[kind] = names or [table.names[at] for at in wide]
    return refused


def known_values(
    model: Model, table: Table, row: Sequence[np.ndarray], words: Sequence[str]
) -> dict[str, list[object]]:
    """For each column of text that does not take any text: the words it takes, of those that are likely.

    Args:
        model: The model.
        table: Its columns.
        row: One row that the model answers, as columns of length 1.
        words: What to try.
    """
    known: dict[str, list[object]] = {}
    for at, dtype in enumerate(table.dtypes):
        if dtype != "object" or _answers(model, table, _with(row, [at], _UNHEARD)):
            continue
        if len(words) > 10_000:
            raise CompileError(f"column {table.names[at]!r} takes only known text, of more than 10,000 kinds")
        known[table.names[at]] = [word for word in words if _answers(model, table, _with(row, [at], word))]
    return known


def _with(row: Sequence[np.ndarray], places: Sequence[int], value: object) -> list[Any]:
    """The row with another value in some places."""
    import numpy as np

    changed = list(row)
    for at in places:
        changed[at] = np.full_like(row[at], value)
    return changed


def _answers(model: Model, table: Table, columns: Sequence[np.ndarray]) -> bool:
    try:
        ask(model, table.rows(columns))
    except Exception:  # noqa: BLE001 - whatever the model, or the check before it, raises
        return False
    return True
