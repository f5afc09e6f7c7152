"""Rows on either side of a jump in a model's answers, found by asking: for thresholds behind a scaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelserving.compile.asking import ask
from modelserving.compile.proof import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from modelserving.compile.table import Table
    from modelserving.model import Model

SEARCHES = 64
_PARTS, _ROUNDS = 32, 11  # five bits a round: two doubles of like size are next to each other by then
_SEED = 7


def boundary_rows(
    model: Model, table: Table, columns: Sequence[np.ndarray], method: str, searches: int = SEARCHES
) -> list[np.ndarray]:
    """Pairs of rows that differ in one number, by as little as can be, and yet are answered differently.

    Args:
        model: The model.
        table: Its columns.
        columns: Rows that it answers.
        method: What to ask.
        searches: How many pairs to look for; fewer are found where a column changes no answer.

    Returns:
        The rows of all pairs, as columns; empty ones where all columns are text.
    """
    import numpy as np

    random = np.random.default_rng(_SEED)
    numeric = [at for at, column in enumerate(columns) if column.dtype.kind in "fiu"]
    if not numeric:
        return [column[:0] for column in columns]
    rows = random.integers(0, len(columns[0]), searches)
    which = random.choice(numeric, searches)
    here = [column[rows] for column in columns]
    other = [column[random.integers(0, len(column), searches)] for column in columns]
    low = np.array([float(here[at][row]) for row, at in enumerate(which)])
    high = np.array([float(other[at][row]) for row, at in enumerate(which)])

    def rows_with(values: np.ndarray) -> list[np.ndarray]:
        """For each search as many rows as ``values`` has columns: alike but for the one number."""
        changed = [np.repeat(column, values.shape[1]).reshape(values.shape) for column in here]
        for row, at in enumerate(which):
            changed[at][row] = values[row]
        return [column.reshape(-1) for column in changed]

    def differs(values: np.ndarray) -> np.ndarray:
        answer = ask(model, table.rows(rows_with(values)), method)
        difference = compare(np.repeat(first, values.shape[1], axis=0), answer)
        return np.zeros(values.shape, bool) if difference is None else (difference > 0).reshape(values.shape)

    first = ask(model, table.rows(here), method)
    high = np.where(np.isfinite(low) & np.isfinite(high), high, low)
    found = differs(high[:, None])[:, 0]
    steps = np.arange(1, _PARTS) / _PARTS
    every = np.arange(searches)
    for _ in range(_ROUNDS):
        between = low[:, None] + (high - low)[:, None] * steps
        beyond = np.column_stack([differs(between), np.ones(searches, bool)])
        at = beyond.argmax(axis=1)  # the first that is answered differently
        points = np.column_stack([low, between, high])
        low, high = points[every, at], points[every, at + 1]
    pairs = zip(rows_with(low[:, None]), rows_with(high[:, None]), strict=True)
    return [np.concatenate([below[found], above[found]]) for below, above in pairs]
