"""Checks of the fitted attributes that scikit-learn's compiled code combines: sound parts must fit together.

Each check takes the attributes of one estimator, its parts already built and checked, and returns what is
wrong. Estimators without a check predict through numpy, scipy.sparse on checked matrices, BLAS behind numpy,
or compiled code that compares shapes itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

State = dict[str, Any]


def decision_tree(state: State) -> str:
    """One tree: what the estimator lets in is what its tree looks at."""
    if "tree_" not in state:
        return ""
    return _tree_takes(state["tree_"], state.get("n_features_in_"))


def forest(state: State) -> str:
    """Forests: the input is checked once, for all trees."""
    return _trees_take(state.get("estimators_", []), state.get("n_features_in_"))


def isolation_forest(state: State) -> str:
    """Isolation forests: each tree gets all features, or its own selection."""
    if "estimators_" not in state:
        return ""
    n_features = state["n_features_in_"]
    if len(state["estimators_"]) != len(state["estimators_features_"]):
        return "selections of features for another number of trees"
    for part, features in zip(state["estimators_"], state["estimators_features_"], strict=True):
        problem = _trees_take([part], n_features if state["_max_features"] == n_features else len(features))
        if problem:
            return problem
    return ""


def gradient_boosting(state: State) -> str:
    """Gradient boosting: one row of trees for each iteration, as wide as the scores that it adds to."""
    if "estimators_" not in state:
        return ""
    trees, width = state["estimators_"], state.get("n_trees_per_iteration_", 1)
    if trees.ndim != 2 or trees.shape[1] != width:
        return f"trees of shape {trees.shape} for {width} scores"
    if width > 1 and state["init_"] != "zero":
        prior = state["init_"]
        if type(prior).__name__ != "DummyClassifier" or len(prior.class_prior_) != width:
            return "first scores of another number of classes"
        if len(prior.classes_) != width or prior.n_outputs_ != 1 or prior.strategy != "prior":
            return "first scores of another number of classes"
    return _trees_take(trees.ravel(), state["n_features_in_"])


def _trees_take(parts: Iterable[Any], n_features: object) -> str:
    for part in parts:
        if vars(part).get("n_features_in_") != n_features:
            return f"a tree for {vars(part).get('n_features_in_')} features in a model for {n_features}"
        problem = _tree_takes(part.tree_, n_features)
        if problem:
            return problem
    return ""


def _tree_takes(tree: Any, n_features: object) -> str:
    if type(tree).__name__ != "Tree" or type(n_features) is not int or tree.n_features != n_features:
        return f"a tree for other than {n_features} features"
    return ""


def hist_gradient_boosting(state: State) -> str:
    """Histogram gradient boosting: features and category sets are those that the bin mapper knows."""
    import numpy as np

    if "_predictors" not in state:
        return ""
    n_features, width, bins = state["n_features_in_"], state["n_trees_per_iteration_"], state["_bin_mapper"]
    categorical = np.asarray(vars(bins)["is_categorical_"])
    if (
        state.get("_in_fit")
        or categorical.shape != (n_features,)
        or not 0 < len(vars(bins)["bin_thresholds_"]) == n_features
    ):
        return "bins of other features"
    for feature in np.flatnonzero(categorical):
        known = np.asarray(vars(bins)["bin_thresholds_"][feature])
        if known.size and not (known.min() >= 0 and known.max() <= 255):
            return "a category out of range"
    if np.asarray(state["_baseline_prediction"]).size != width:
        return "a baseline of another number of scores"
    for iteration in state["_predictors"]:
        if len(iteration) != width:
            return "an iteration with another number of trees"
        for predictor in iteration:
            nodes = vars(predictor)["nodes"]
            inner = nodes[nodes["is_leaf"] == 0]
            if (inner["feature_idx"] >= n_features).any():
                return f"a feature out of range for {n_features}"
            if not categorical[inner["feature_idx"][inner["is_categorical"] != 0]].all():
                return "categories of a feature that has none"
    return _binner(vars(bins), n_features)


def _binner(bins: Mapping[str, Any], n_features: int) -> str:
    return (
        ""
        if all(getattr(item, "ndim", 1) == 1 for item in bins["bin_thresholds_"][:n_features])
        else "bins of another form"
    )


def libsvm(state: State) -> str:
    """Support vector machines: libsvm takes its own arrays' word for every length."""
    import numpy as np

    if "support_vectors_" not in state:
        return ""
    vectors, counts, support = state["support_vectors_"], state["_n_support"], state["support_"]
    kernel, n_features = state["kernel"], state["n_features_in_"]
    n_vectors, n_classes = len(support), len(state.get("classes_", (0, 1)))
    n_pairs = n_classes * (n_classes - 1) // 2
    if kernel not in {"linear", "poly", "rbf", "sigmoid"} or n_classes < 2:
        return f"the kernel {str(kernel)[:40]!r}"
    if vectors.shape != (n_vectors, n_features) or counts.shape != (n_classes,) or support.ndim != 1:
        return f"support vectors of shape {vectors.shape}"
    of_classes = "classes_" in state
    if counts.min() < 0 or (int(counts.sum()) if of_classes else int(counts[0])) != n_vectors:
        return "support vectors of another number"
    for key in ("dual_coef_", "_dual_coef_"):
        if state[key].shape != (n_classes - 1, n_vectors):
            return f"coefficients of shape {state[key].shape}"
    if state["intercept_"].shape != (n_pairs,) or state["_intercept_"].shape != (n_pairs,):
        return "intercepts of another number"
    if any(np.asarray(state[key]).size not in {0, n_pairs} for key in ("_probA", "_probB")):
        return "probabilities of another number"
    if state["_probA"].size != state["_probB"].size or (of_classes and (type(state["_sparse"]) is not bool)):
        return "probabilities of another number"
    return "" if state["_sparse"] == hasattr(vectors, "tocsr") else "sparse and dense mixed"


def neighbors(state: State) -> str:
    """Nearest neighbours: index, rows and labels belong together."""
    import numpy as np

    if "_fit_X" not in state:
        return ""
    rows = state["_fit_X"].shape
    if (
        len(rows) != 2
        or rows[1] != state["n_features_in_"]
        or state.get("n_samples_fit_", rows[0]) != rows[0]
    ):
        return f"rows of shape {rows}"
    index = state.get("_tree")
    if index is not None and np.asarray(index.data).shape != rows:
        return "an index of other rows"
    labels, classes = state.get("_y"), state.get("classes_")
    if labels is None:
        return ""
    if len(labels) != rows[0]:
        return "labels of other rows"
    if classes is None:
        return ""
    columns = [(labels, classes)] if labels.ndim == 1 else list(zip(labels.T, classes, strict=True))
    for column, known in columns:
        if column.dtype.kind not in "iu" or (
            column.size and not 0 <= column.min() <= column.max() < len(known)
        ):
            return "a label out of range"
    return ""


def density(state: State) -> str:
    """Kernel density: the index has the features that are let in."""
    index = state.get("tree_")
    fits = index is None or index.data.shape[1] == state["n_features_in_"]
    return "" if fits else "an index of other features"


def k_means(state: State) -> str:
    """k-means: centres have the features that are let in; the number of threads has a bound."""
    if "cluster_centers_" not in state:
        return ""
    centres, n_features = state["cluster_centers_"], state["n_features_in_"]
    if centres.ndim != 2 or centres.shape[1] != n_features:
        return f"centres of shape {centres.shape}"
    if type(state.get("_n_threads", 1)) is not int or not 1 <= state.get("_n_threads", 1) <= 1024:
        return "a number of threads out of range"
    waiting = [state["_bisecting_tree"]] if "_bisecting_tree" in state else []
    while waiting:
        node = waiting.pop()
        if node.center.shape != (n_features,):
            return f"a centre of shape {node.center.shape}"
        waiting.extend(child for child in (node.left, node.right) if child is not None)
    return ""


def hasher(state: State) -> str:
    """Feature hashing: a number of columns to divide by."""
    n_features = state["n_features"]
    if type(n_features) is not int or not 1 <= n_features < 2**31:
        return "no number of features"
    return vectorizer(state)


def vectorizer(state: State) -> str:
    """Text: column numbers stay inside the matrix, and no document is the name of a file to read."""
    if state.get("input", "content") != "content":
        return f"the input {str(state['input'])[:40]!r}: files named by requests"
    vocabulary = state.get("vocabulary_")
    if vocabulary is None:
        return ""
    columns = set(vocabulary.values())
    if len(columns) != len(vocabulary) or not all(
        type(column) is int and 0 <= column < len(columns) for column in columns
    ):
        return "a column out of range"
    return ""


def one_hot(state: State) -> str:
    """One-hot encoding: the width of each feature's block is that of its categories."""
    if "categories_" not in state:
        return ""
    categories, widths, dropped = (
        state["categories_"],
        state["_n_features_outs"],
        state.get("_drop_idx_after_grouping"),
    )
    if not len(categories) == len(widths) == state["n_features_in_"]:
        return "categories of other features"
    grouped = state.get("_default_to_infrequent_mappings") if state.get("_infrequent_enabled") else None
    for feature, (known, width) in enumerate(zip(categories, widths, strict=True)):
        columns, groups = len(known), grouped[feature] if grouped is not None else None
        if known.ndim != 1:
            return "categories of another form"
        if groups is not None:
            if len(groups) != columns or groups.dtype.kind != "i" or not columns or groups.min() < 0:
                return "a group out of range"
            columns = int(groups.max()) + 1
        if dropped is not None and dropped[feature] is not None:
            if not 0 <= dropped[feature] < columns:
                return "a dropped category out of range"
            columns -= 1
        if width != columns:
            return f"{width} columns for {columns} categories"
    return ""


def ordinal(state: State) -> str:
    """Ordinal encoding: one table of categories for each feature."""
    if "categories_" not in state:
        return ""
    fits = len(state["categories_"]) == state["n_features_in_"] and all(
        table.ndim == 1 for table in state["categories_"]
    )
    return "" if fits else "categories of other features"


def _for(check: Callable[[State], str], module: str, names: str) -> dict[str, Callable[[State], str]]:
    return {f"sklearn.{module}.{name}": check for name in names.split()}


CHECKS: dict[str, Callable[[State], str]] = {
    **_for(
        decision_tree,
        "tree._classes",
        "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
    ),
    **_for(forest, "ensemble._forest", "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier"),
    **_for(forest, "ensemble._forest", "ExtraTreesRegressor RandomTreesEmbedding"),
    **_for(isolation_forest, "ensemble._iforest", "IsolationForest"),
    **_for(gradient_boosting, "ensemble._gb", "GradientBoostingClassifier GradientBoostingRegressor"),
    **_for(
        hist_gradient_boosting,
        "ensemble._hist_gradient_boosting.gradient_boosting",
        "HistGradientBoostingClassifier HistGradientBoostingRegressor",
    ),
    **_for(libsvm, "svm._classes", "SVC NuSVC SVR NuSVR OneClassSVM"),
    **_for(neighbors, "neighbors._classification", "KNeighborsClassifier RadiusNeighborsClassifier"),
    **_for(neighbors, "neighbors._regression", "KNeighborsRegressor RadiusNeighborsRegressor"),
    **_for(neighbors, "neighbors._unsupervised", "NearestNeighbors"),
    **_for(neighbors, "neighbors._graph", "KNeighborsTransformer RadiusNeighborsTransformer"),
    **_for(neighbors, "neighbors._lof", "LocalOutlierFactor"),
    **_for(density, "neighbors._kde", "KernelDensity"),
    **_for(k_means, "cluster._kmeans", "KMeans MiniBatchKMeans"),
    **_for(k_means, "cluster._bisect_k_means", "BisectingKMeans"),
    **_for(hasher, "feature_extraction._hash", "FeatureHasher"),
    **_for(hasher, "feature_extraction.text", "HashingVectorizer"),
    **_for(vectorizer, "feature_extraction.text", "CountVectorizer TfidfVectorizer"),
    **_for(vectorizer, "feature_extraction._dict_vectorizer", "DictVectorizer"),
    **_for(one_hot, "preprocessing._encoders", "OneHotEncoder"),
    **_for(ordinal, "preprocessing._encoders", "OrdinalEncoder"),
    **_for(ordinal, "preprocessing._target_encoder", "TargetEncoder"),
}
