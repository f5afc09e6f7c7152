"""The proof that a twin answers as its model does, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelserving.compile.asking import ask
from modelserving.errors import CompileError, UnequalTwinError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from modelserving.compile.table import Table
    from modelserving.model import Model
    from modelserving.signature.rows import Rows

TOLERANCE: Final = 1e-12
"""How far a number of a twin may be from that of its model: absolutely below 1, relatively above."""

_SINGLY = 64  # so many rows are asked about one by one as well: a graph may take another path for one row


@dataclass(frozen=True, slots=True)
class Proof:
    """What was asked of a model and its twin, and how equal their answers were.

    Attributes:
        rows: The rows both answered.
        methods: What both were asked.
        label_mismatches: The rows with another label; 0, or there would be no proof.
        largest_error: The largest difference between two numbers, relative to the model's where that is
        above 1.
        tolerance: The largest difference that was allowed.
    """

    rows: int
    methods: tuple[str, ...]
    label_mismatches: int
    largest_error: float
    tolerance: float

    def to_dict(self) -> dict[str, object]:
        """The form it has in the MLmodel file."""
        return {
            "rows": self.rows,
            "methods": list(self.methods),
            "label_mismatches": self.label_mismatches,
            "largest_error": self.largest_error,
            "tolerance": self.tolerance,
        }


def prove(
    model: Model, twin: Model, rows: Rows, table: Table, *, methods: Sequence[str], tolerance: float
) -> Proof:
    """Ask both about the same rows.

    Args:
        model: The model.
        twin: Its twin.
        rows: What to ask about.
        table: For showing a row.
        methods: What to ask.
        tolerance: How far numbers may be apart.

    Raises:
        UnequalTwinError: They differ; the error shows the worst row.
        CompileError: The model itself cannot answer, or not row by row.
    """
    import numpy as np

    largest = 0.0
    for method in methods:
        expected = ask(model, rows, method)
        got = ask(twin, rows, method)
        difference = compare(expected, got)
        if difference is None:
            raise CompileError(f"{method} answers with {_kind(expected)}, the twin with {_kind(got)}")
        _refuse(difference, expected, got, rows, table=table, method=method, tolerance=tolerance)
        largest = max(largest, float(difference.max(initial=0.0)))
        few = min(_SINGLY, len(rows))
        singly = np.concatenate([ask(twin, rows[at : at + 1], method) for at in range(few)])
        again = compare(expected[:few], singly)
        if again is None:
            raise CompileError(f"{method} of one row has another shape in the twin")
        _refuse(again, expected[:few], singly, rows[:few], table=table, method=method, tolerance=tolerance)
        largest = max(largest, float(again.max(initial=0.0)))
    return Proof(len(rows), tuple(methods), 0, largest, tolerance)


def compare(expected: np.ndarray, got: np.ndarray) -> Any:
    """How far each row of two answers is apart: infinitely where labels differ, or NaN meets a number.

    Returns:
        One float64 a row; None if the answers have another shape or another kind of value.
    """
    import numpy as np

    if expected.shape != got.shape or _family(expected) != _family(got):
        return None
    if expected.dtype.kind != "f":
        apart = np.where(expected.astype(object) != got.astype(object), np.inf, 0.0)
    else:
        with np.errstate(all="ignore"):
            apart = np.abs(expected - got) / np.maximum(1.0, np.abs(expected))
        same = (expected == got) | (np.isnan(expected) & np.isnan(got))
        apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return apart.reshape(len(apart), -1).max(axis=1, initial=0.0)


def _family(array: np.ndarray) -> str:
    return {"U": "text", "O": "text", "i": "whole", "u": "whole", "f": "number", "b": "truth"}.get(
        array.dtype.kind, "?"
    )


def _refuse(
    difference: np.ndarray,
    expected: Any,
    got: Any,
    rows: Rows,
    *,
    table: Table,
    method: str,
    tolerance: float,
) -> None:
    """Raise if any row is further apart than it may be."""
    import numpy as np

    if not (difference > tolerance).any():
        return
    worst = int(difference.argmax())
    labels = expected.dtype.kind != "f"
    finite = difference[np.isfinite(difference)]
    raise UnequalTwinError(
        method=method,
        rows=len(rows),
        mismatches=int((difference > 0).sum()) if labels else 0,
        error=float("inf")
        if len(finite) < len(difference) and not labels
        else float(finite.max(initial=0.0)),
        tolerance=tolerance,
        row=table.row(rows, worst),
        expected=expected[worst].tolist() if hasattr(expected[worst], "tolist") else expected[worst],
        got=got[worst].tolist() if hasattr(got[worst], "tolist") else got[worst],
    )


def _kind(answer: Any) -> str:
    return f"{answer.dtype} of shape {('rows', *answer.shape[1:])}".replace("'", "")
