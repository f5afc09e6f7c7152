"""Checks of what a skops file puts into objects whose compiled code trusts it: trees, indices, matrices.

scikit-learn's compiled code follows child pointers and indexes arrays without looking. A file is data only if
that cannot leave the arrays. Each check takes the state of an object before it is built and returns what is
wrong with it, "" when nothing is. What a check does not know it refuses: at worst a model stays a pickle.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from modelserving.trust.boosters import problem_in_lightgbm, problem_in_xgboost
from modelserving.trust.skops.archive import FREE_BYTES, MAX_RATIO, parse_npy
from modelserving.trust.skops.estimators import CHECKS as ESTIMATOR_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable


def problem_in_state(name: str, state: Any) -> str:
    """What is wrong with the state of an object of the class ``name``; "" when nothing is."""
    check = _CHECKS.get(name) or ESTIMATOR_CHECKS.get(name)
    if name.startswith("sklearn.metrics._dist_metrics."):
        check = metric
    if check is None:
        return ""
    try:
        return check(state)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return f"a state of another form ({type(error).__name__}: {error})"[:200]


def tree(state: Any) -> str:
    """``Tree``: arguments ``(n_features, n_classes, n_outputs)``, and the arrays of nodes and values."""
    import numpy as np

    (n_features, n_classes, n_outputs), content = state
    nodes, values, count = content["nodes"], content["values"], content["node_count"]
    if not (type(n_features) is type(n_outputs) is type(count) is int and n_features >= 0 < n_outputs):
        return "sizes that are no numbers"
    if n_classes.shape != (n_outputs,) or n_classes.dtype.kind not in "iu" or n_classes.min() < 1:
        return "class counts of another number"
    if nodes.ndim != 1 or not 0 < len(nodes) == count < 2**31:
        return f"{len(nodes)} nodes for a node count of {count}"
    if values.shape != (count, n_outputs, int(n_classes.max())) or values.dtype != np.float64:
        return f"values of shape {values.shape}"
    left, right, feature = (nodes[key] for key in ("left_child", "right_child", "feature"))
    inner = left != -1
    if np.any((right == -1) == inner):
        return "a node with one child"
    problem = _children(left[inner], right[inner], np.flatnonzero(inner), count)
    if problem:
        return problem
    if np.any((feature[inner] < 0) | (feature[inner] >= n_features)):
        return f"a feature out of range for {n_features}"
    if np.isnan(nodes["threshold"][inner]).any() or np.isnan(values).any():
        return "a threshold or value that is not a number"
    return ""


def _children(left: Any, right: Any, parent: Any, count: int) -> str:
    """Each child stands after its parent, so that there is no loop, and exists."""
    for child in (left.astype("i8"), right.astype("i8")):
        if (child >= count).any() or (child < 0).any():
            return f"a child out of range for {count} nodes"
        if (child <= parent).any():
            return "a child that does not stand after its parent"
    return ""


def tree_predictor(state: Any) -> str:
    """``TreePredictor`` of histogram boosting; features are checked with the model that holds it."""
    import numpy as np

    nodes = state["nodes"]
    if nodes.ndim != 1 or not 0 < len(nodes) < 2**31:
        return "no nodes"
    for key in ("binned_left_cat_bitsets", "raw_left_cat_bitsets"):
        if state[key].ndim != 2 or state[key].shape[1] != 8 or state[key].dtype != np.uint32:
            return f"{key} of shape {state[key].shape}"
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    problem = _children(nodes["left"][inner], nodes["right"][inner], inner, len(nodes))
    if problem:
        return problem
    if (nodes["feature_idx"][inner] < 0).any():
        return "a feature out of range"
    sets = min(len(state["binned_left_cat_bitsets"]), len(state["raw_left_cat_bitsets"]))
    if (nodes["bitset_idx"][inner][nodes["is_categorical"][inner] != 0] >= sets).any():
        return f"a category set out of range for {sets}"
    return ""


def binary_tree(state: Any) -> str:
    """``KDTree`` and ``BallTree``: the index, the nodes and their bounds fit the data and each other."""
    import numpy as np

    data, index, nodes, bounds, leaf_size, n_levels, n_nodes, *counters, metric, weights = state
    if (
        data.ndim != 2
        or data.dtype not in {np.dtype("f8"), np.dtype("f4")}
        or not len(data)
        or not data.shape[1]
    ):
        return "no data"
    if index.shape != (len(data),) or index.dtype.kind != "i" or index.min() < 0 or index.max() >= len(data):
        return "an index out of range"
    if (
        not all(type(number) is int for number in (leaf_size, n_levels, n_nodes, *counters))
        or len(counters) != 4
    ):
        return "sizes that are no numbers"
    if leaf_size < 1 or not 1 <= n_levels <= 40 or n_nodes != 2**n_levels - 1 or nodes.shape != (n_nodes,):
        return f"{nodes.shape} nodes for {n_levels} levels"
    if bounds.ndim != 3 or bounds.shape[0] not in {1, 2} or bounds.shape[1:] != (n_nodes, data.shape[1]):
        return f"bounds of shape {bounds.shape}"
    start, end = nodes["idx_start"], nodes["idx_end"]
    if (start < 0).any() or (end < start).any() or (end > len(data)).any():
        return "a node out of range"
    if (2 * np.flatnonzero(nodes["is_leaf"] == 0) + 2 >= n_nodes).any():
        return "a node whose children are out of range"
    if weights is not None and weights.shape != (len(data),):
        return "weights of another number"
    return _metric_for(metric, data.shape[1])


def _metric_for(metric: Any, n_features: int) -> str:
    name, (_, vector, _) = type(metric).__name__, metric.__getstate__()
    if name.startswith("SEuclidean") and len(vector) != n_features:
        return "variances of another number"
    if name.startswith("Minkowski") and len(vector) not in {0, n_features}:
        return "weights of another number"
    return (
        "a distance on a sphere for other than two features"
        if name.startswith("Haversine") and n_features != 2
        else ""
    )


def kd_tree(state: Any) -> str:
    """``KDTree``: as ``BallTree``, with lower and upper bounds."""
    return "bounds of one kind only" if state[3].shape[0] != 2 else binary_tree(state)


def metric(state: Any) -> str:
    """A distance: its exponent, a vector and a matrix."""
    import numpy as np

    exponent, vector, matrix = state
    if not isinstance(exponent, int | float) or vector.ndim != 1 or matrix.ndim != 2:
        return "a state of another form"
    return "" if vector.dtype == matrix.dtype == np.float64 else "numbers of another type"


def spline(state: Any) -> str:
    """``BSpline``: knots in order, enough of them and of coefficients for the degree."""
    import numpy as np

    knots, coefficients = (
        state[f"_{key}"] if f"_{key}" in state else state[key] for key in "tc"
    )  # scipy 1.15
    degree = state["k"]
    if type(degree) is not int or not 0 <= degree < 100:
        return "no degree"
    if (
        knots.ndim != 1
        or knots.dtype != np.float64
        or not np.isfinite(knots).all()
        or (np.diff(knots) < 0).any()
    ):
        return "knots out of order"
    enough = (
        len(knots) >= 2 * (degree + 1) and coefficients.ndim and len(coefficients) >= len(knots) - degree - 1
    )
    return "" if enough and state.get("axis", 0) == 0 else "too few knots or coefficients"


def sparse(matrix: Any) -> str:
    """A sparse matrix: index pointers rise, indices stay inside the shape."""
    if matrix.format not in {"csr", "csc", "coo"} or matrix.data.dtype.kind not in "biufc":
        return f"a matrix in the form {matrix.format}"
    if matrix.format == "coo":
        rows, columns = matrix.row, matrix.col
        inside = not matrix.nnz or (
            min(rows.min(), columns.min()) >= 0
            and rows.max() < matrix.shape[0]
            and columns.max() < matrix.shape[1]
        )
        return "" if inside else "an index out of range"
    matrix.check_format(full_check=True)
    return ""


def npz(data: bytearray) -> str:
    """The zip inside the zip that holds a sparse matrix: a handful of arrays without objects, no bomb."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            infos = file.infolist()
            names = [info.filename for info in infos]
            if (
                len(infos) > 8
                or len(set(names)) != len(names)
                or any(info.compress_type not in {0, 8} for info in infos)
            ):
                return "other members"
            if sum(info.file_size for info in infos) > FREE_BYTES + MAX_RATIO * len(data):
                return "a zip bomb"
            arrays = {name: parse_npy(bytearray(file.read(name))) for name in names}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        return f"no zip file ({error})"[:80]
    if any(array is None for array in arrays.values()):
        return "a member that is no array"
    form = arrays.get("format.npy")
    return (
        ""
        if form is not None and form.item() in {b"csr", b"csc", b"coo", "csr", "csc", "coo"}
        else "another format"
    )


def bit_generator(state: Any) -> str:
    """A random generator: its position stands inside its table."""
    import numpy as np

    inner = state["state"]
    if state["bit_generator"] == "MT19937":
        key = inner["key"]
        if key.shape != (624,) or key.dtype != np.uint32 or not 0 <= inner["pos"] <= 624:
            return "a position out of range"
    if state["bit_generator"] == "Philox" and not (
        0 <= state["buffer_pos"] <= 4 and len(state["buffer"]) == 4
    ):
        return "a position out of range"
    return ""


def xgboost_booster(state: Any) -> str:
    """XGBoost's ``Booster``: what it wrote to be pickled, a configuration and the model."""
    handle = state.get("handle")
    return "" if handle is None else problem_in_xgboost(bytes(handle))


def lightgbm_booster(state: Any) -> str:
    """LightGBM's ``Booster``: its text; before version 4 under another name."""
    texts = [state[key] for key in ("_handle", "handle") if state.get(key) is not None]
    return next(filter(None, (problem_in_lightgbm(text.encode()) for text in texts)), "")


_CHECKS: dict[str, Callable[[Any], str]] = {
    "lightgbm.basic.Booster": lightgbm_booster,
    "xgboost.core.Booster": xgboost_booster,
    "sklearn.tree._tree.Tree": tree,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": tree_predictor,
    "scipy.interpolate._bsplines.BSpline": spline,
    "scipy.sparse": sparse,
    "npz": npz,
    "numpy.random.BitGenerator": bit_generator,
    **{f"sklearn.neighbors._kd_tree.{name}": kd_tree for name in ("KDTree", "KDTree64")},
    **{f"sklearn.neighbors._ball_tree.{name}": binary_tree for name in ("BallTree", "BallTree64")},
}
