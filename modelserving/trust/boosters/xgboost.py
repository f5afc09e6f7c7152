"""XGBoost's JSON and UBJSON: every number by which its native code finds something points at something."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelserving.trust.boosters.nodes import problem_in_children
from modelserving.trust.boosters.ubjson import parse_ubjson

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CATEGORIES = 1 << 24  # XGBoost's own limit; a set of them is kept as a bit field
MOST_GROUPS = 1 << 20


def problem_in_xgboost(data: bytes) -> str:
    """What is wrong with a model in XGBoost's JSON or UBJSON; "" when nothing is.

    Example:
        >>> problem_in_xgboost(b"binf")
        "not JSON or UBJSON; save it again with Booster.save_model('model.ubj')"
    """
    try:
        found = _parsed(data)
        if ("Model" in found) == ("learner" in found):  # pickled, or saved
            return "not a model, or more than one"
        return _model(found.get("Model", found))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return str(error)[:200] if type(error) is ValueError else f"of another form ({type(error).__name__})"


def _parsed(data: bytes) -> dict[str, Any]:
    """XGBoost looks at the second byte as well."""
    if data[:1] != b"{":
        raise ValueError("not JSON or UBJSON; save it again with Booster.save_model('model.ubj')")
    if data[1:].lstrip()[:1] in {b'"', b"}"}:
        found = json.loads(data, object_pairs_hook=_unique)
    else:
        found = parse_ubjson(data)
    return dict(found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it names a key twice")
    return found


def _model(model: Mapping[str, Any]) -> str:
    learner = model["learner"]
    sizes = {
        key: int(learner["learner_model_param"].get(key, 0))
        for key in ("num_feature", "num_class", "num_target")
    }
    features, groups = sizes["num_feature"], max(1, sizes["num_class"], sizes["num_target"])
    if not 0 <= features < 2**31 or groups > MOST_GROUPS:
        return "sizes out of range"
    booster = learner["gradient_booster"]
    if booster["name"] == "gblinear":
        right = (features + 1) * groups == len(booster["model"]["weights"])
        return "" if right else "weights of another number"
    if booster["name"] == "dart":
        trees = booster["gbtree"]["model"]
        if len(booster["weight_drop"]) != len(trees["trees"]):
            return "weights of another number than trees"
        return _forest(trees, features, groups)
    if booster["name"] == "gbtree":
        return _forest(booster["model"], features, groups)
    return "a booster of an unknown kind"


def _forest(model: Mapping[str, Any], features: int, groups: int) -> str:
    trees, info = model["trees"], _integers(model["tree_info"])
    count = int(model["gbtree_model_param"]["num_trees"])
    if not len(trees) == len(info) == count:
        return f"{len(trees)} trees, where {count} are announced"
    if count and (info.min() < 0 or info.max() >= groups):
        return f"a tree of a class out of range for {groups}"
    steps = _integers(model.get("iteration_indptr", [0, count]))
    if len(steps) and (steps[0] != 0 or steps[-1] != count or (steps[1:] < steps[:-1]).any()):
        return "rounds that are not made of its trees"
    for number, tree in enumerate(trees):
        problem = _tree(tree, features, groups)
        if problem:
            return f"{problem}, in tree {number}"
    return _categories(model.get("cats"), features)


def _tree(tree: Mapping[str, Any], features: int, groups: int) -> str:
    import numpy as np

    count = int(tree["tree_param"]["num_nodes"])
    width = int(tree["tree_param"].get("size_leaf_vector", 1) or 1)
    left, right, split = (
        _integers(tree[key]) for key in ("left_children", "right_children", "split_indices")
    )
    lengths = {
        len(left),
        len(right),
        len(split),
        *(len(tree[key]) for key in ("split_conditions", "default_left")),
    }
    if count < 1 or lengths != {count}:
        return f"arrays of other lengths than {count} nodes"
    inner = left != -1
    if width > 1:
        problem = _vector_leaves(tree, right[~inner], count, width, groups)
    else:
        problem = "" if (right[~inner] == -1).all() else "a node with one child"
    problem = problem or problem_in_children(np.concatenate([left[inner], right[inner]]), count)
    if problem:
        return problem
    if (split[inner] < 0).any() or (split[inner] >= features).any():
        return f"a feature out of range for {features}"
    return _splits(tree, inner, count)


def _vector_leaves(tree: Mapping[str, Any], leaves: Any, count: int, width: int, groups: int) -> str:
    """The leaves of a tree that answers for several targets: each names its row in the table of values."""
    if width != groups:
        return f"leaves of {width} values for {groups} targets"
    if "leaf_weights" not in tree:
        return "" if len(tree["base_weights"]) == count * width else "leaf values of another number"
    rows = len(tree["leaf_weights"]) // width
    if rows * width != len(tree["leaf_weights"]) or len(tree["base_weights"]) not in {count, count * width}:
        return "leaf values of another number"
    return "" if not len(leaves) or (leaves.min() >= 0 and leaves.max() < rows) else "a leaf out of range"


def _splits(tree: Mapping[str, Any], inner: Any, count: int) -> str:
    """The sets of categories that categorical splits name."""
    kinds = _integers(tree.get("split_type", [0] * count))
    nodes, starts, sizes, categories = (
        _integers(tree.get(key, []))
        for key in ("categories_nodes", "categories_segments", "categories_sizes", "categories")
    )
    if len(kinds) != count or not len(nodes) == len(starts) == len(sizes):
        return "sets of categories of another number"
    if len(nodes) and (nodes[0] < 0 or nodes[-1] >= count or (nodes[1:] <= nodes[:-1]).any()):
        return "sets of categories for nodes out of range"
    if (starts < 0).any() or (sizes < 0).any() or (starts + sizes > len(categories)).any():
        return "a set of categories out of range"
    if len(categories) and (categories.min() < 0 or categories.max() >= MOST_CATEGORIES):
        return "a category out of range"
    named = set(nodes.tolist())
    if any(node not in named for node in ((kinds != 0) & inner).nonzero()[0].tolist()):
        return "a categorical split without its set"
    return ""


def _categories(table: Mapping[str, Any] | None, features: int) -> str:
    """The table that maps the categories of a frame to numbers, which XGBoost 3.1 and later keep."""
    if table is None or not len(table["feature_segments"]):
        return ""
    steps, order = _integers(table["feature_segments"]), _integers(table["sorted_idx"])
    if len(table["enc"]) != features or len(steps) != features + 1:
        return "categories of another number of features"
    if steps[0] != 0 or steps[-1] != len(order) or (steps[1:] < steps[:-1]).any():
        return "categories out of range"
    for encoded, start, end in zip(table["enc"], steps[:-1].tolist(), steps[1:].tolist(), strict=True):
        here, count = order[start:end], end - start
        offsets = _integers(encoded["offsets"]) if "offsets" in encoded else None
        entries = max(0, len(offsets) - 1) if offsets is not None else len(encoded["values"])
        if entries != count or (count and (here.min() < 0 or here.max() >= count)):
            return "categories out of range"
        if offsets is not None and len(offsets):
            rising = offsets[0] == 0 and not (offsets[1:] < offsets[:-1]).any()
            if not rising or offsets[-1] > len(encoded["values"]):
                return "categories out of range"
    return ""


def _integers(values: Any) -> Any:
    """The values as 64-bit integers; ``ValueError`` for anything else."""
    import numpy as np

    array = np.asarray(values)
    if not array.size:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise ValueError("an array of integers holds something else")
    return array.astype(np.int64)
