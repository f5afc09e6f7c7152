"""LightGBM's text: every number by which its native code finds something points at something."""

from __future__ import annotations

import re
from typing import Any

from modelserving.trust.boosters.nodes import problem_in_children

MOST_TREES_PER_ROUND = 1 << 16
_END = "end of trees"
_CLASSES = re.compile(r"num_class:(\S*)")


def problem_in_lightgbm(data: bytes) -> str:
    """What is wrong with a model in LightGBM's text form; "" when nothing is.

    Example:
        >>> problem_in_lightgbm(b"a pickle")
        "it does not begin with 'tree'"
    """
    try:
        return _model(data.decode("utf-8"))
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        return str(error)[:200] if type(error) is ValueError else f"of another form ({type(error).__name__})"


def _model(text: str) -> str:
    head, separator, body = text.partition("\nTree=")
    if head.partition("\n")[0] != "tree":
        return "it does not begin with 'tree'"
    if not separator:
        return "" if _END in head else "it ends early"
    body, end, _ = f"Tree={body}".partition(f"\n{_END}")
    if not end:
        return "it ends early"
    fields = _fields(head)
    blocks = [f"Tree={block}" for block in f"\n{body}".split("\nTree=")[1:]]
    problem = _header(fields, len(blocks))
    if problem:
        return problem
    problem = _places(fields["tree_sizes"], blocks)
    features = int(fields["max_feature_idx"]) + 1
    for number, block in enumerate(blocks):
        problem = problem or _tree(_fields(block), features)
        if problem:
            return f"{problem}, in tree {number}"
    return ""


def _fields(block: str) -> dict[str, str]:
    """``key=value`` lines; LightGBM takes one of two with the same key, so there may not be two."""
    found: dict[str, str] = {}
    for line in block.split("\n"):
        key, equals, value = line.partition("=")
        if key.strip() in found:
            raise ValueError(f"it says {key.strip()[:40]!r} twice")
        if equals:
            found[key.strip()] = value
    return found


def _header(fields: dict[str, str], trees: int) -> str:
    features, classes = int(fields["max_feature_idx"]) + 1, int(fields["num_class"])
    each = int(fields["num_tree_per_iteration"])
    if not 1 <= each <= MOST_TREES_PER_ROUND or not 1 <= classes <= MOST_TREES_PER_ROUND or trees % each:
        return f"{trees} trees in rounds of {each}"
    if not 1 <= features < 2**31 or len(fields["feature_names"].split(" ")) != features:
        return f"names of another number than {features} features"
    told = _CLASSES.search(fields.get("objective", ""))
    if each != classes or (told and int(told[1]) != classes):
        return "a number of classes that changes"
    return ""


def _places(sizes: str, blocks: list[str]) -> str:
    """LightGBM reads the trees from where their sizes say they are."""
    real = [len(block.encode()) + 1 for block in blocks]  # with the line end that parted them
    return "" if [int(size) for size in sizes.split()] == real else "sizes of trees that are not theirs"


def _tree(fields: dict[str, str], features: int) -> str:
    import numpy as np

    leaves, sets = int(fields["num_leaves"]), int(fields["num_cat"])
    inner = leaves - 1
    if not 1 <= leaves < 2**31 or len(_numbers(fields, "leaf_value", float)) != leaves:
        return f"values of another number than {leaves} leaves"
    if inner:
        left, right, split, kinds = (
            _numbers(fields, key, int)
            for key in ("left_child", "right_child", "split_feature", "decision_type")
        )
        thresholds = _numbers(fields, "threshold", float)
        if {len(left), len(right), len(split), len(kinds), len(thresholds)} != {inner}:
            return f"arrays of other lengths than {inner} nodes"
        children = np.concatenate([left, right])
        problem = problem_in_children(children[children >= 0], inner)
        if problem:
            return problem
        if (~children[children < 0] >= leaves).any():
            return f"a leaf out of range for {leaves}"
        if (split < 0).any() or (split >= features).any():
            return f"a feature out of range for {features}"
        problem = _sets(fields, sets, thresholds[(kinds & 1) != 0])
        if problem:
            return problem
    return _linear(fields, leaves, features) if fields.get("is_linear", "0").strip() not in {"", "0"} else ""


def _sets(fields: dict[str, str], sets: int, chosen: Any) -> str:
    """The sets of categories, and the thresholds that stand for one of them."""
    if len(chosen) and not ((chosen >= 0) & (chosen < sets)).all():
        return f"a set of categories out of range for {sets}"
    if not sets:
        return ""
    bounds, words = _numbers(fields, "cat_boundaries", int), _numbers(fields, "cat_threshold", int)
    if sets < 0 or len(bounds) != sets + 1 or bounds[0] != 0 or (bounds[1:] < bounds[:-1]).any():
        return "sets of categories out of order"
    return "" if bounds[-1] == len(words) else "sets of categories of another size"


def _linear(fields: dict[str, str], leaves: int, features: int) -> str:
    """The linear models in the leaves."""
    if len(_numbers(fields, "leaf_const", float)) != leaves:
        return f"constants of another number than {leaves} leaves"
    counts = _numbers(fields, "num_features", int)
    if len(counts) != leaves or (counts < 0).any():
        return f"linear models of another number than {leaves} leaves"
    used, factors = _numbers(fields, "leaf_features", int), _numbers(fields, "leaf_coeff", float)
    if not len(used) == len(factors) == counts.sum():
        return "linear models of another size"
    return (
        ""
        if not len(used) or (used.min() >= 0 and used.max() < features)
        else "a linear feature out of range"
    )


def _numbers(fields: dict[str, str], key: str, kind: type) -> Any:
    """The numbers after ``key``, as 64-bit ones."""
    import numpy as np

    return np.array(
        [kind(word) for word in fields.get(key, "").split()], dtype=np.int64 if kind is int else np.float64
    )
