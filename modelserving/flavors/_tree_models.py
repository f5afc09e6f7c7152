"""scikit-learn's tree models as ONNX: every answer computed as scikit-learn computes it, in double.

Forests and gradient boosting see their rows as float32, histogram boosting sees them in double. Leaf values
are added up in the order of the trees, starting from the same value, and then divided or sent through the
same link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.errors import CompileError
from modelserving.flavors._onnx_graph import DOUBLE, FLOAT, INT64
from modelserving.flavors._trees import Tree, constant_tree, sums, value_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelserving.flavors._onnx_graph import GraphWriter

    Answers = dict[str, str]

_CONSTANT_STRATEGIES = ("prior", "most_frequent", "constant", "mean", "median", "quantile")


def is_tree_model(model: object) -> bool:
    """Whether :func:`answers` can write this model; not a subclass, which may answer otherwise."""
    return _name(type(model)) in _FAMILIES


def answers(graph: GraphWriter, model: Any, x: str) -> Answers:
    """Add a fitted tree model to a graph.

    Args:
        graph: Where it is added.
        model: An estimator that :func:`is_tree_model` says yes to.
        x: The tensor of rows, double, shape (rows, features).

    Returns:
        For each method the name of the tensor that answers it.

    Raises:
        CompileError: It was fitted in a way that cannot be written.
    """
    return _FAMILIES[_name(type(model))](graph, model, x)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _forest_classifier(graph: GraphWriter, model: Any, x: str) -> Answers:
    if model.n_outputs_ != 1:
        raise CompileError("it answers with several labels a row")
    trees = _estimators(model)
    total = value_sums(graph, _as_float32(graph, x), [_tree(each) for each in trees])
    return _voted(graph, model, _mean(graph, model, total))


def _forest_regressor(graph: GraphWriter, model: Any, x: str) -> Answers:
    trees = [_tree(each) for each in _estimators(model)]
    total = _mean(graph, model, value_sums(graph, _as_float32(graph, x), trees))
    return {"predict": _flat(graph, total) if model.n_outputs_ == 1 else total}


def _gradient_boosting(graph: GraphWriter, model: Any, x: str) -> Answers:
    import numpy as np

    start = getattr(model, "init_", "zero")
    if start != "zero" and getattr(start, "strategy", None) not in _CONSTANT_STRATEGIES:
        raise CompileError(f"its first guess is a {type(start).__qualname__}; fit it without 'init'")
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]  # noqa: SLF001
    stages = [[_tree(each, model.learning_rate) for each in stage] for stage in model.estimators_]
    raw = _boosted(graph, _as_float32(graph, x), base, stages)
    if hasattr(model, "classes_"):
        return _boosted_classifier(graph, model, raw, len(base), tie=1)
    return {"predict": _flat(graph, raw)}


def _histogram_boosting(graph: GraphWriter, model: Any, x: str) -> Answers:
    base = model._baseline_prediction.reshape(-1)  # noqa: SLF001
    stages = [[_histogram_tree(each.nodes) for each in stage] for stage in model._predictors]  # noqa: SLF001
    raw = _boosted(graph, x, base, stages)
    if hasattr(model, "classes_"):
        return _boosted_classifier(graph, model, raw, len(base), tie=0)
    flat = _flat(graph, raw)
    return {"predict": graph.add("Exp", flat) if _link(model) == "LogLink" else flat}


_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
_FAMILIES: dict[str, Callable[[GraphWriter, Any, str], Answers]] = {
    "sklearn.ensemble._forest.ExtraTreesClassifier": _forest_classifier,
    "sklearn.ensemble._forest.ExtraTreesRegressor": _forest_regressor,
    "sklearn.ensemble._forest.RandomForestClassifier": _forest_classifier,
    "sklearn.ensemble._forest.RandomForestRegressor": _forest_regressor,
    "sklearn.ensemble._gb.GradientBoostingClassifier": _gradient_boosting,
    "sklearn.ensemble._gb.GradientBoostingRegressor": _gradient_boosting,
    f"{_HISTOGRAM}.HistGradientBoostingClassifier": _histogram_boosting,
    f"{_HISTOGRAM}.HistGradientBoostingRegressor": _histogram_boosting,
    "sklearn.tree._classes.DecisionTreeClassifier": _forest_classifier,
    "sklearn.tree._classes.DecisionTreeRegressor": _forest_regressor,
    "sklearn.tree._classes.ExtraTreeClassifier": _forest_classifier,
    "sklearn.tree._classes.ExtraTreeRegressor": _forest_regressor,
}


def _estimators(model: Any) -> list[Any]:
    """The trees of a forest; a single tree is a forest of its own."""
    return list(getattr(model, "estimators_", [model]))


def _tree(estimator: Any, scale: float = 1.0) -> Tree:
    nodes = estimator.tree_
    value = nodes.value[:, 0, :] if nodes.n_outputs == 1 else nodes.value[:, :, 0]
    return Tree(
        nodes.children_left,
        nodes.children_right,
        nodes.feature,
        nodes.threshold,
        nodes.missing_go_to_left,
        scale * value,
    )


def _histogram_tree(nodes: Any) -> Tree:
    import numpy as np

    if nodes["is_categorical"].any():
        raise CompileError("it was fitted with categorical features; encode them in a pipeline instead")
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    return Tree(
        left,
        right,
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["missing_go_to_left"],
        nodes["value"][:, None],
    )


def _boosted(graph: GraphWriter, x: str, base: Any, stages: Sequence[Sequence[Tree]]) -> str:
    """The sum of a first guess and of one tree a stage, for each column of the answer."""
    trees = [*(constant_tree(float(value)) for value in base), *(tree for stage in stages for tree in stage)]
    return sums(graph, x, trees, [*range(len(base))] * (len(stages) + 1), len(base))


def _boosted_classifier(graph: GraphWriter, model: Any, raw: str, columns: int, tie: int) -> Answers:
    """No log of probabilities: that of one near 0, a difference of doubles, has few correct digits.

    ``tie`` is the class whose number a raw score of exactly 0 means, where there are two.
    """
    import numpy as np

    if columns > 1:
        probabilities = graph.add("Softmax", raw, axis=1)
        best = graph.add("ArgMax", raw, axis=1, keepdims=0)
        return {
            "predict": _labels(graph, model, best),
            "predict_proba": probabilities,
            "decision_function": raw,
        }
    loss = type(model._loss).__name__  # noqa: SLF001
    if loss not in ("HalfBinomialLoss", "ExponentialLoss"):
        raise CompileError(f"its loss is a {loss}; fit it with 'log_loss'")
    doubled = graph.add("Mul", raw, graph.constant(np.float64(2))) if loss == "ExponentialLoss" else raw
    second = graph.add("Sigmoid", doubled)
    first = graph.add("Sub", graph.constant(np.float64(1)), second)
    flat = _flat(graph, raw)
    chosen = graph.add("GreaterOrEqual" if tie else "Greater", flat, graph.constant(np.float64(0)))
    return {
        "predict": _labels(graph, model, graph.add("Cast", chosen, to=INT64)),
        "predict_proba": graph.add("Concat", first, second, axis=1),
        "decision_function": flat,
    }


def _voted(graph: GraphWriter, model: Any, probabilities: str) -> Answers:
    best = graph.add("ArgMax", probabilities, axis=1, keepdims=0)  # the first of equals, as numpy's
    return {
        "predict": _labels(graph, model, best),
        "predict_proba": probabilities,
        "predict_log_proba": graph.add("Log", probabilities),
    }


def _labels(graph: GraphWriter, model: Any, numbers: str) -> str:
    classes = model.classes_
    if classes.dtype.kind in "UO":
        classes = classes.astype(object)
        if not all(isinstance(each, str) for each in classes):
            raise CompileError("its labels are neither numbers nor text")
    return graph.add("Gather", graph.constant(classes), numbers, axis=0)


def _mean(graph: GraphWriter, model: Any, total: str) -> str:
    import numpy as np

    if not hasattr(model, "estimators_"):
        return total
    return graph.add("Div", total, graph.constant(np.float64(len(model.estimators_))))


def _as_float32(graph: GraphWriter, x: str) -> str:
    """The rows rounded to float32, which scikit-learn's trees compare, in double again."""
    return graph.add("Cast", graph.add("Cast", x, to=FLOAT), to=DOUBLE)


def _flat(graph: GraphWriter, column: str) -> str:
    """A tensor of one column as a tensor of one axis."""
    import numpy as np

    return graph.add("Squeeze", column, graph.constant(np.array([1])))


def _link(model: Any) -> str:
    return type(model._loss.link).__name__  # noqa: SLF001
