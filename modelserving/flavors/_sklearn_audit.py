"""Which of scikit-learn's estimators answer each row by itself, and may be asked by two threads at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE = frozenset({
    "calibration", "compose", "discriminant_analysis", "ensemble", "feature_selection", "kernel_ridge",
    "linear_model", "mixture", "multiclass", "multioutput", "naive_bayes", "neural_network", "pipeline",
    "svm", "tree",
})  # fmt: skip
"""Modules all of whose estimators do."""

_SOME = {
    "cluster": {"BisectingKMeans", "KMeans", "MiniBatchKMeans"},
    "cross_decomposition": {"CCA", "PLSCanonical", "PLSRegression"},
    "decomposition": {"FactorAnalysis", "FastICA", "IncrementalPCA", "KernelPCA", "PCA", "TruncatedSVD"},
    "feature_extraction": {
        "CountVectorizer", "DictVectorizer", "FeatureHasher", "HashingVectorizer", "TfidfTransformer",
        "TfidfVectorizer",
    },
    "impute": {"KNNImputer", "SimpleImputer"},
    "kernel_approximation": {"Nystroem", "PolynomialCountSketch", "RBFSampler", "SkewedChi2Sampler"},
    "model_selection": {
        "FixedThresholdClassifier", "GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV",
        "RandomizedSearchCV", "TunedThresholdClassifierCV",
    },
    "neighbors": {"KNeighborsClassifier", "KNeighborsRegressor", "NearestCentroid"},
    "preprocessing": {
        "Binarizer", "KBinsDiscretizer", "LabelBinarizer", "MaxAbsScaler", "MinMaxScaler", "Normalizer",
        "OneHotEncoder", "OrdinalEncoder", "PolynomialFeatures", "PowerTransformer", "QuantileTransformer",
        "RobustScaler", "SplineTransformer", "StandardScaler", "TargetEncoder",
    },
    "random_projection": {"GaussianRandomProjection", "SparseRandomProjection"},
}  # fmt: skip
"""Modules some of whose estimators do.

Not here: what draws at random when asked (DummyClassifier), solves for all rows together (NMF), fails for all
when one row has no neighbour (RadiusNeighborsClassifier), or calls the user's function (FunctionTransformer).
"""


def audited(model: object) -> bool:
    """Whether every estimator in ``model``, itself included, is one of the above; a subclass is not."""
    found = False
    for part in _parts(model, set()):
        found = True
        if not _known(type(part)):
            return False
    return found


def _known(kind: type) -> bool:
    package, _, rest = kind.__module__.partition(".")
    module = rest.partition(".")[0]
    return package == "sklearn" and (module in _WHOLE or kind.__name__ in _SOME.get(module, ()))


def _parts(value: object, seen: set[int]) -> Iterator[object]:
    """Every estimator reachable through attributes, lists, tuples, dicts and arrays of objects."""
    if id(value) in seen:
        return
    seen.add(id(value))
    inside: object = ()
    if hasattr(type(value), "get_params"):
        yield value
        inside = vars(value).values()
    elif isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, list | tuple):
        inside = value
    elif getattr(getattr(value, "dtype", None), "hasobject", False) and hasattr(value, "ravel"):
        inside = value.ravel().tolist()
    for part in inside:  # type: ignore[attr-defined]  # each of the above can be iterated
        if not isinstance(part, str | bytes | int | float | type(None)):
            yield from _parts(part, seen)
