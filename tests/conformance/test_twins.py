"""Every estimator that has a twin, on real data: as equal as is claimed, on more than 10,000 rows."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

from sklearn import datasets, ensemble, linear_model, neighbors, pipeline, preprocessing, svm, tree
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer

from modelserving import load_model, resolve, save_model

FORESTS = [
    ensemble.ExtraTreesClassifier,
    ensemble.ExtraTreesRegressor,
    ensemble.RandomForestClassifier,
    ensemble.RandomForestRegressor,
    tree.DecisionTreeClassifier,
    tree.DecisionTreeRegressor,
    tree.ExtraTreeClassifier,
    tree.ExtraTreeRegressor,
]
BOOSTED = [
    ensemble.GradientBoostingClassifier,
    ensemble.GradientBoostingRegressor,
    ensemble.HistGradientBoostingClassifier,
    ensemble.HistGradientBoostingRegressor,
]


def data(kind, name=None):
    if kind.__name__.endswith("Regressor"):
        return datasets.load_diabetes(return_X_y=True, as_frame=True)
    return getattr(datasets, f"load_{name or 'iris'}")(return_X_y=True, as_frame=True)


def twins(model, example, folder, **options):
    """The model and its twin, as they are loaded back, and the proof."""
    save_model(model, folder, input_example=example, compile="onnx", **options)
    resolved = resolve(folder, prefer_twin=True)
    assert resolved.flavor_name == "onnx"
    return load_model(folder), resolved.load(), resolved.metadata.ours["twin"]


def asked(model, rows, method):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(model.predict(rows, method=method))


@pytest.mark.parametrize("kind", FORESTS, ids=lambda kind: kind.__name__)
def test_a_forest_is_bit_equal(kind, tmp_path):
    x, y = data(kind)
    forest = kind(random_state=0).fit(x, y)

    model, twin, proof = twins(forest, x.head(20), tmp_path / "model")

    assert proof["rows"] >= 10_000
    assert proof["label_mismatches"] == 0
    for method in set(twin.methods) - {"predict_log_proba"}:
        assert np.array_equal(asked(model, x, method), asked(twin, x, method))
    assert proof["largest_error"] < 1e-15  # what there is comes from the logarithm
    print(kind.__name__, proof)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "wine"])
def test_a_forest_of_other_data_is_bit_equal(name, tmp_path):
    x, y = data(ensemble.RandomForestClassifier, name)
    forest = ensemble.RandomForestClassifier(random_state=0).fit(x.to_numpy(), y)

    model, twin, proof = twins(forest, x.to_numpy()[:50], tmp_path / "model")

    assert proof["rows"] >= 10_000
    assert np.array_equal(
        asked(model, x.to_numpy(), "predict_proba"), asked(twin, x.to_numpy(), "predict_proba")
    )


@pytest.mark.parametrize("kind", BOOSTED, ids=lambda kind: kind.__name__)
def test_boosted_trees_agree_within_the_tolerance(kind, tmp_path):
    x, y = data(kind)
    boosted = kind(random_state=0).fit(x, y)

    model, twin, proof = twins(boosted, x.head(20), tmp_path / "model")

    assert proof["rows"] >= 10_000
    assert proof["label_mismatches"] == 0
    assert proof["largest_error"] <= 1e-15
    assert np.array_equal(asked(model, x, "predict"), asked(twin, x, "predict"))
    print(kind.__name__, proof)


@pytest.mark.parametrize("kind", [ensemble.RandomForestClassifier, ensemble.HistGradientBoostingClassifier])
def test_nan_goes_where_the_model_sends_it(kind, tmp_path):
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x[np.random.default_rng(0).random(x.shape) < 0.1] = np.nan
    fitted = kind(random_state=0).fit(x, y)

    model, twin, _ = twins(fitted, x[:50], tmp_path / "model")

    assert np.array_equal(asked(model, x, "predict"), asked(twin, x, "predict"))
    assert np.isnan(x).any(axis=1).sum() > 500


def mixed():
    import pandas as pd

    random = np.random.default_rng(0)
    rows = 400
    frame = pd.DataFrame(
        {
            "age": random.uniform(18, 80, rows),
            "city": random.choice(["Oslo", "Bergen", "Tromsø"], rows),
            "visits": random.integers(0, 20, rows),
        }
    )
    return frame, ((frame["age"] > 40) ^ (frame["city"] == "Oslo")).astype(int)


def columns(**options):
    return ColumnTransformer(
        [
            (
                "numbers",
                pipeline.make_pipeline(SimpleImputer(), preprocessing.StandardScaler()),
                ["age", "visits"],
            ),
            ("text", preprocessing.OneHotEncoder(**options), ["city"]),
        ]
    )


PIPELINES = {
    "knn": neighbors.KNeighborsClassifier(),
    "linear regression": linear_model.LinearRegression(),
    "scaler and forest": pipeline.make_pipeline(
        preprocessing.StandardScaler(), ensemble.RandomForestClassifier(n_estimators=20, random_state=0)
    ),
    "scaler and logistic regression": pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_agrees_within_the_tolerance(name, tmp_path):
    x, y = datasets.load_wine(return_X_y=True, as_frame=True)

    model, twin, proof = twins(PIPELINES[name].fit(x, y), x.head(20), tmp_path / "model")

    assert proof["rows"] >= 10_000
    assert proof["largest_error"] <= 1e-12
    if "regression" not in name:
        assert np.array_equal(asked(model, x, "predict_proba"), asked(twin, x, "predict_proba"))


@pytest.mark.parametrize(
    "final", [linear_model.LogisticRegression(), ensemble.RandomForestClassifier(20)], ids=str
)
def test_text_and_numbers_are_one_input_each(final, tmp_path):
    x, y = mixed()
    fitted = pipeline.make_pipeline(columns(handle_unknown="ignore"), final).fit(x, y)

    model, twin, proof = twins(fitted, x.head(50), tmp_path / "model")

    assert [name for name, _, _ in twin.native.graph.inputs] == ["age", "city", "visits"]
    assert np.array_equal(asked(model, x, "predict"), asked(twin, x, "predict"))
    assert proof["rows"] >= 10_000


def test_what_skl2onnx_cannot_do_in_double_is_refused(tmp_path):
    from modelserving.errors import CompileError

    x, y = datasets.load_diabetes(return_X_y=True)

    with pytest.raises(CompileError):
        twins(svm.SVR().fit(x, y), x[:20], tmp_path / "model")
