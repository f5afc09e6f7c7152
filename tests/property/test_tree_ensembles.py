"""Random small forests, asked at their own thresholds and one step beside them: equal to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from sklearn import ensemble, tree  # noqa: E402

from modelserving.flavors._sklearn_onnx import to_onnx  # noqa: E402
from modelserving.signature.schema import Schema, Signature, TensorSpec  # noqa: E402

KINDS = [
    lambda seed, trees: ensemble.RandomForestClassifier(trees, random_state=seed),
    lambda seed, trees: ensemble.RandomForestRegressor(trees, random_state=seed),
    lambda seed, trees: ensemble.ExtraTreesClassifier(trees, random_state=seed),
    lambda seed, trees: ensemble.GradientBoostingRegressor(n_estimators=trees, random_state=seed),
    lambda seed, trees: ensemble.HistGradientBoostingRegressor(max_iter=trees, min_samples_leaf=1),
    lambda seed, trees: tree.DecisionTreeClassifier(random_state=seed, max_depth=trees - 1 or None),
]


def thresholds(model):
    if hasattr(model, "_predictors"):
        return np.concatenate([each.nodes["num_threshold"] for stage in model._predictors for each in stage])
    trees = np.ravel(getattr(model, "estimators_", [model]))
    return np.concatenate([each.tree_.threshold for each in trees])


def at_the_edges(values, features, rows, random):
    near = values.astype(np.float32)
    sides = [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf), near.astype(float)]
    sides += [np.nextafter(near, np.float32(side)).astype(float) for side in (np.inf, -np.inf)]
    return random.choice(np.concatenate(sides), (rows, features))


@settings(max_examples=40, deadline=None)
@given(
    make=st.sampled_from(KINDS),
    seed=st.integers(0, 2**16),
    trees=st.integers(1, 5),
    features=st.integers(1, 4),
    rows=st.integers(2, 40),
    classes=st.integers(1, 4),
)
def test_a_small_forest_is_bit_equal_at_its_thresholds(make, seed, trees, features, rows, classes):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, features)).round(1)
    y = random.integers(0, classes, rows)
    model = make(seed, trees).fit(x, y)
    signature = Signature(Schema((TensorSpec("float64", (-1, features)),)))

    graph, outputs = to_onnx(model, signature)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    probes = at_the_edges(thresholds(model), features, 500, random)

    for method in set(outputs) - {"predict_log_proba"}:
        assert np.array_equal(
            session.run([outputs[method]], {"X": probes})[0], getattr(model, method)(probes)
        )
