"""Rows to ask a model and its twin about: far and near around the example, and at split thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

ROWS = 12_000
"""How many probes are drawn: a third far around the example, a third near it, a third at its edges."""

_SEED = 20_240_229  # any; the same probes each time, so that a refusal can be looked into


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Where a model's answers may jump, as far as its graph tells.

    Attributes:
        thresholds: Position of a column → the values it is compared with.
        words: Text that occurs in the graph: categories, above all.
        trees: Whether there are trees in it.
    """

    thresholds: Mapping[int, np.ndarray] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    trees: bool = False


def edges(graph: bytes) -> Edges:
    """Read the edges out of an ONNX graph.

    Thresholds count where trees compare the one input itself, rounded or not; behind a scaler or an encoder
    they are not those of any column.
    """
    import numpy as np
    import onnx

    model = onnx.load_from_string(graph)
    inputs = {each.name for each in model.graph.input}
    same = {next(iter(inputs))} if len(inputs) == 1 else set()
    found: dict[int, np.ndarray] = {}
    words: set[str] = set()
    for node in model.graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in same:
            same.add(node.output[0])
        parts = {each.name: each for each in node.attribute}
        for attribute in node.attribute:
            words.update(text.decode(errors="replace") for text in attribute.strings)
        if node.op_type == "TreeEnsemble" and node.input[0] in same:
            features = np.array(parts["nodes_featureids"].ints)
            splits = onnx.numpy_helper.to_array(parts["nodes_splits"].t)
            found = {int(at): np.unique(splits[features == at]) for at in np.unique(features)}
    trees = any(node.op_type.startswith("TreeEnsemble") for node in model.graph.node)
    return Edges(found, tuple(sorted(words)), trees)


def draw(columns: Sequence[np.ndarray], where: Edges, rows: int = ROWS) -> list[np.ndarray]:
    """Probes, column by column.

    Args:
        columns: The columns of the example, of one length; may be empty.
        where: What is known of the edges.
        rows: How many to draw.

    Returns:
        One array a column, of its dtype: the example's rows first, then ``rows`` others.
    """
    import numpy as np

    random = np.random.default_rng(_SEED)
    base = random.integers(0, max(len(columns[0]), 1), rows)
    drawn = []
    for at, column in enumerate(columns):
        if column.dtype == object:
            new = _words(column, where.words, rows, random)
        elif column.dtype == bool:
            new = random.random(rows) < 0.5
        else:
            new = _numbers(column, where.thresholds.get(at), base, random)
        drawn.append(np.concatenate([column, new.astype(column.dtype)]))
    return drawn


def _words(column: np.ndarray, words: Sequence[str], rows: int, random: Any) -> Any:
    import numpy as np

    there = sorted({each for each in column.tolist() if isinstance(each, str)} | set(words)) or [""]
    choice = np.empty(len(there), object)
    choice[:] = there
    return choice[random.integers(0, len(choice), rows)]


def _numbers(column: np.ndarray, thresholds: np.ndarray | None, base: np.ndarray, random: Any) -> Any:
    """A third far, a third near, a third at thresholds or, without any, at the example's own values."""
    import numpy as np

    rows = len(base)
    values = column.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        values = np.zeros(1) if thresholds is None else thresholds
    spread = float(values.std()) or float(np.abs(values).max()) or 1.0
    centre = values[base % len(values)]
    noise = random.normal(size=rows) * spread
    scale = np.where(random.random(rows) < 0.5, 2.0, 0.05)
    drawn = centre + noise * scale
    third = random.random(rows) < 1 / 3
    drawn[third] = _neighbours(values if thresholds is None else thresholds, int(third.sum()), random)
    if column.dtype.kind in "iu":
        limits = np.iinfo(column.dtype)
        drawn = np.clip(np.rint(drawn), max(limits.min, -(2**53)), min(limits.max, 2**53))
    elif column.dtype == np.float32:
        drawn = drawn.astype(np.float32)
    return drawn


def _neighbours(values: np.ndarray, rows: int, random: Any) -> Any:
    """Each value in turn, exactly or moved to the next double or the next float32 on either side."""
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):
        rounded = values.astype(np.float32)
        sides = [
            values,
            np.nextafter(values, np.inf),
            np.nextafter(values, -np.inf),
            rounded.astype(np.float64),
            np.nextafter(rounded, np.float32(np.inf)).astype(np.float64),
            np.nextafter(rounded, np.float32(-np.inf)).astype(np.float64),
        ]
    everything = np.concatenate(sides)
    everything = everything[np.isfinite(everything) & (np.abs(everything) < 1e38)]
    if not len(everything):
        everything = np.zeros(1)
    order = random.permutation(max(len(everything), rows)) % len(everything)
    return everything[order[:rows]]
