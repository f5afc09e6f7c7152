"""The one property that keeps a walk down a tree inside of it, whatever library wrote the tree."""

from __future__ import annotations

from typing import Any


def problem_in_children(children: Any, count: int) -> str:
    """What is wrong with the children of all inner nodes of a tree, node 0 being its root; "" if nothing is.

    Every child exists and has one parent, and the root has none: so no walk from the root comes back to where
    it was, though children may stand before their parents.

    Args:
        children: An array of the numbers of all children.
        count: How many nodes there are.
    """
    import numpy as np

    if not len(children):
        return ""
    if children.min() < 1 or children.max() >= count:
        return f"a child out of range for {count} nodes"
    if len(np.unique(children)) != len(children):
        return "a child with two parents"
    return ""
