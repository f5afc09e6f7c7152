"""Fitted decision trees as arrays, and as the ``TreeEnsemble`` operator of ONNX that answers in double.

The operator adds up leaf values tree after tree, in the order given, which is how scikit-learn does it: the
sums come out equal to the last bit. A leaf of the operator holds one number. Where a leaf holds several (the
probabilities of classes), the operator finds the *leaf* of each tree, and the values are looked up and added
in a second step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelserving.errors import CompileError
from modelserving.flavors._onnx_graph import INT64, tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from modelserving.flavors._onnx_graph import GraphWriter

LARGEST_LOOKUP = 4096
"""Trees times values a leaf, up to which the sums of one row are looked up; beyond, memory would be the
limit."""


LARGEST_ENSEMBLE = 1_000_000
"""Inner nodes, beyond which writing and loading a graph would take many seconds and gigabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One fitted binary tree: node 0 is the root, and what is ``<=`` the threshold goes left.

    Attributes:
        left: For each node the number of its left child, negative for a leaf.
        right: Likewise its right child.
        feature: The column that is compared.
        threshold: What it is compared with, float64.
        nan_left: Whether NaN goes left.
        value: What a leaf answers, float64 of shape (nodes, values).
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    nan_left: np.ndarray
    value: np.ndarray


def constant_tree(value: float) -> Tree:
    """A tree of one leaf: what a sum begins with."""
    import numpy as np

    none = np.full(1, -1)
    return Tree(none, none, none, np.zeros(1), np.zeros(1, bool), np.full((1, 1), value))


def sums(graph: GraphWriter, x: str, trees: Sequence[Tree], targets: Sequence[int], n_targets: int) -> str:
    """Add what the sums of one-valued trees need to a graph.

    Args:
        graph: Where it is added.
        x: The tensor of rows, double, shape (rows, features).
        trees: In the order in which they are added up.
        targets: Of each tree, the column of the answer that it adds to.
        n_targets: The number of those columns.

    Returns:
        The name of a tensor of double, shape (rows, n_targets).
    """
    weights = [tree.value[tree.left < 0, 0] for tree in trees]
    return _operator(graph, x, trees, weights, targets=targets, n_targets=n_targets)


def value_sums(graph: GraphWriter, x: str, trees: Sequence[Tree]) -> str:
    """Add what the sums of many-valued trees need to a graph.

    Args:
        graph: Where it is added.
        x: The tensor of rows, double, shape (rows, features).
        trees: In the order in which they are added up; all with the same number of values.

    Returns:
        The name of a tensor of double, shape (rows, values).
    """
    width = trees[0].value.shape[1]
    if width == 1 or len(trees) * width > LARGEST_LOOKUP:
        singles = [_column(tree, at) for tree in trees for at in range(width)]
        return sums(graph, x, singles, [*range(width)] * len(trees), width)
    return _looked_up(graph, x, trees)


def _column(tree: Tree, at: int) -> Tree:
    value = tree.value[:, at : at + 1]
    return Tree(tree.left, tree.right, tree.feature, tree.threshold, tree.nan_left, value)


def _looked_up(graph: GraphWriter, x: str, trees: Sequence[Tree]) -> str:
    """The leaf a row falls into, one column a tree; its values from one table; their sum in order."""
    import numpy as np

    table = np.concatenate([tree.value[tree.left < 0] for tree in trees])
    ends = np.cumsum([np.count_nonzero(tree.left < 0) for tree in trees])
    numbers = [part.astype(np.float64) for part in np.split(np.arange(len(table)), ends[:-1])]
    leaves = _operator(graph, x, trees, numbers, targets=range(len(trees)), n_targets=len(trees))
    values = graph.add("Gather", graph.constant(table), graph.add("Cast", leaves, to=INT64), axis=0)
    running = graph.add("CumSum", values, graph.constant(np.int64(1)))  # ReduceSum keeps to no order
    return graph.add("Gather", running, graph.constant(np.int64(len(trees) - 1)), axis=1)


def _operator(
    graph: GraphWriter,
    x: str,
    trees: Sequence[Tree],
    weights: Sequence[np.ndarray],
    *,
    targets: Sequence[int],
    n_targets: int,
) -> str:
    """The operator: ``weights`` are those of each tree's leaves in the order of their nodes."""
    import numpy as np

    size = sum(len(tree.left) for tree in trees) // 2
    if size > LARGEST_ENSEMBLE:
        raise CompileError(f"its trees have {size:,} nodes; {LARGEST_ENSEMBLE:,} are the most")
    parts = []
    node, leaf = 0, 0
    for tree, weight in zip(trees, weights, strict=True):
        parts.append(_numbered(tree, node, leaf))
        node, leaf = node + len(parts[-1]["nodes_featureids"]), leaf + len(weight)
    joined: dict[str, Any] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    splits = joined.pop("nodes_splits")
    roots = np.cumsum([0, *(len(part["nodes_featureids"]) for part in parts[:-1])])
    ids = np.repeat(targets, [len(weight) for weight in weights])
    return graph.add(
        "TreeEnsemble",
        x,
        domain="ai.onnx.ml",
        aggregate_function=1,  # the sum
        post_transform=0,  # none
        n_targets=n_targets,
        tree_roots=roots.tolist(),
        nodes_splits=tensor(splits),
        nodes_modes=tensor(np.zeros(len(splits), np.uint8)),  # left where <=
        leaf_weights=tensor(np.concatenate(weights)),
        leaf_targetids=ids.tolist(),
        **{key: array.tolist() for key, array in joined.items()},
    )


def _numbered(tree: Tree, node: int, leaf: int) -> dict[str, np.ndarray]:
    """The inner nodes of a tree, numbered from ``node``, and its leaves, numbered from ``leaf``."""
    import numpy as np

    is_leaf = tree.left < 0
    if is_leaf[0]:  # the operator wants a node at the root: one that leads to the same leaf either way
        zero, one, here = np.zeros(1, np.int64), np.ones(1, np.int64), np.full(1, leaf)
        return _attributes(zero, np.zeros(1), zero, (here, one), (here, one))
    number = np.where(is_leaf, leaf + np.cumsum(is_leaf) - 1, node + np.cumsum(~is_leaf) - 1)
    left, right = tree.left[~is_leaf], tree.right[~is_leaf]
    return _attributes(
        tree.feature[~is_leaf],
        tree.threshold[~is_leaf],
        tree.nan_left[~is_leaf],
        (number[left], is_leaf[left]),
        (number[right], is_leaf[right]),
    )


def _attributes(
    feature: np.ndarray,
    threshold: np.ndarray,
    nan_left: np.ndarray,
    left: tuple[np.ndarray, np.ndarray],
    right: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    return {
        "nodes_featureids": feature.astype("int64"),
        "nodes_splits": threshold.astype("float64"),
        "nodes_missing_value_tracks_true": nan_left.astype("int64"),
        "nodes_truenodeids": left[0].astype("int64"),
        "nodes_trueleafs": left[1].astype("int64"),
        "nodes_falsenodeids": right[0].astype("int64"),
        "nodes_falseleafs": right[1].astype("int64"),
    }
