"""The flavor of scikit-learn: what it accepts, how it saves, and what it says of a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from modelserving.errors import FlavorLoadError, FlavorSaveError, UntrustedModelError
from modelserving.flavors.sklearn import SklearnFlavor
from modelserving.testing import grant

X, y = load_iris(return_X_y=True)
FLAVOR = SklearnFlavor()


class Doubling(BaseEstimator):
    """An estimator of the user's own, which no allow-list knows."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X * 2


class Quacking:
    """Not a BaseEstimator, but one to all who ask."""

    def fit(self, X, y=None): ...
    def get_params(self, deep=True): ...
    def set_params(self, **params): ...
    def predict(self, X): ...


def saved(model, tmp_path, flavor=FLAVOR):
    return flavor.save(model, tmp_path)


def loaded(config, folder, tier="code"):
    with grant(folder, tier) as granted:
        return FLAVOR.load(granted.folder, config, grant=granted)


@pytest.mark.parametrize(
    "model", [LinearRegression(), make_pipeline(StandardScaler()), Doubling(), Quacking()]
)
def test_estimators_are_accepted(model):
    assert FLAVOR.accepts(model)


@pytest.mark.parametrize("model", [LinearRegression, Quacking, np.ones(3), len, "model.py"])
def test_classes_and_other_objects_are_refused(model):
    assert not FLAVOR.accepts(model)


def test_a_model_of_known_types_is_saved_as_data(tmp_path):
    entries = saved(LogisticRegression(max_iter=1000).fit(X, y), tmp_path)

    assert entries["sklearn"]["serialization_format"] == "skops"
    assert entries["sklearn"]["pickled_model"] == "model.skops"
    assert FLAVOR.tier(tmp_path, entries["sklearn"]) == "data"
    assert "modelserving" not in entries


def test_a_model_with_a_type_of_the_users_own_is_pickled_and_a_note_says_why(tmp_path):
    entries = saved(make_pipeline(StandardScaler(), Doubling()).fit(X, y), tmp_path)

    assert entries["sklearn"]["serialization_format"] == "cloudpickle"
    assert "Doubling" in entries["modelserving"]["note"]
    assert FLAVOR.tier(tmp_path, entries["sklearn"]) == "code"


def test_skops_on_request_refuses_what_could_not_be_loaded_again(tmp_path):
    with pytest.raises(FlavorSaveError, match="Doubling"):
        saved(Doubling(), tmp_path, SklearnFlavor(serialization_format="skops"))


def test_an_unknown_format_is_refused_when_the_flavor_is_made():
    with pytest.raises(FlavorSaveError, match="expected None or one of"):
        SklearnFlavor(serialization_format="joblib")


def test_the_entries_have_the_keys_that_mlflow_writes(tmp_path):
    entries = saved(LogisticRegression(max_iter=1000).fit(X, y), tmp_path, SklearnFlavor("pickle"))

    assert set(entries["sklearn"]) == {
        "code", "pickled_model", "serialization_format", "sklearn_version", "skops_trusted_types",
    }  # fmt: skip
    assert set(entries["python_function"]) == {
        "env",
        "loader_module",
        "model_path",
        "predict_fn",
        "python_version",
    }
    assert entries["python_function"]["loader_module"] == "mlflow.sklearn"


def test_a_transformer_has_no_python_function_entry(tmp_path):
    assert set(saved(StandardScaler().fit(X), tmp_path)) == {"sklearn"}


def test_an_entry_without_a_format_is_a_pickle(tmp_path):
    config = dict(saved(LinearRegression().fit(X, y), tmp_path, SklearnFlavor("pickle"))["sklearn"])
    del config["serialization_format"]

    assert isinstance(loaded(config, tmp_path), LinearRegression)


def test_types_that_the_file_calls_trusted_are_not(tmp_path):
    import skops.io

    skops.io.dump(Doubling(), tmp_path / "model.skops")
    config = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "skops_trusted_types": [f"{Doubling.__module__}.Doubling"],
    }

    assert FLAVOR.tier(tmp_path, config) == "code"
    with pytest.raises(UntrustedModelError, match="Doubling"):
        loaded(config, tmp_path, tier="data")


@pytest.mark.parametrize("path", ["../model.pkl", "/etc/passwd", "", 7, "a\\b", "missing.pkl"])
def test_a_path_that_is_no_file_of_the_model_is_refused(tmp_path, path):
    with pytest.raises(FlavorLoadError, match="pickled_model"):
        loaded({"pickled_model": path, "serialization_format": "pickle"}, tmp_path)


def test_a_damaged_pickle_is_one_clear_error(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x05not a pickle")

    with pytest.raises(FlavorLoadError, match=r"'model.pkl' cannot be read"):
        loaded({"pickled_model": "model.pkl", "serialization_format": "pickle"}, tmp_path)


def test_the_first_method_is_predict_and_the_others_follow():
    forest = RandomForestClassifier(3).fit(X, y)

    assert FLAVOR.traits(forest).methods == ("predict", "predict_proba", "predict_log_proba")


def test_a_transformer_is_asked_to_transform():
    assert FLAVOR.traits(StandardScaler().fit(X)).methods == ("transform",)


def test_columns_of_probabilities_are_labelled():
    names = np.array(["setosa", "versicolor", "virginica"])[y]

    classes = FLAVOR.traits(LogisticRegression(max_iter=1000).fit(X, names)).classes

    assert classes["predict_proba"] == ("setosa", "versicolor", "virginica")
    assert classes["decision_function"] == ("setosa", "versicolor", "virginica")


def test_a_decision_of_two_classes_has_one_column_and_no_labels():
    classes = FLAVOR.traits(LogisticRegression(max_iter=1000).fit(X, y > 0)).classes

    assert classes["predict_proba"] == (False, True)
    assert "decision_function" not in classes


def test_one_versus_one_decisions_have_no_labels_even_inside_a_search():
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")), {}, cv=2).fit(
        X, y
    )

    assert "decision_function" not in FLAVOR.traits(search).classes


def test_regressors_and_several_outputs_have_no_labels():
    several = MultiOutputClassifier(LogisticRegression(max_iter=1000)).fit(X, np.column_stack([y, y]))

    assert FLAVOR.traits(LinearRegression().fit(X, y)).classes == {}
    assert FLAVOR.traits(several).classes == {}


def test_audited_estimators_may_share_a_call():
    traits = FLAVOR.traits(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y))

    assert traits.rows_independent
    assert traits.thread_safe


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(FunctionTransformer(np.cumsum), LinearRegression()),
        make_pipeline(StandardScaler(), Doubling()),
        Quacking(),
    ],
)
def test_anything_else_inside_may_not(model):
    traits = FLAVOR.traits(model)

    assert not traits.rows_independent
    assert not traits.thread_safe


def test_frames_come_first_where_the_fit_saw_column_names():
    frame = pd.DataFrame(X, columns=list("abcd"))

    assert FLAVOR.traits(LinearRegression().fit(frame, y)).takes == ("frame", "array")
    assert FLAVOR.traits(LinearRegression().fit(X, y)).takes == ("array", "frame")


@pytest.mark.parametrize("fitted_on_frame", [False, True])
def test_the_other_form_is_taken_without_a_warning(tmp_path, fitted_on_frame):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = LinearRegression().fit(frame if fitted_on_frame else X, y)
    config = saved(model, tmp_path)["sklearn"]

    again = loaded(config, tmp_path)

    asked = FLAVOR.predict(again, X if fitted_on_frame else frame, {}, method="predict")
    np.testing.assert_allclose(asked, model.predict(frame if fitted_on_frame else X))


def test_params_reach_a_method_that_names_them_and_are_dropped_by_others():
    process = GaussianProcessRegressor(optimizer=None).fit(X[:20], y[:20])

    _, deviation = FLAVOR.predict(process, X[:3], {"return_std": True, "other": 1}, method="predict")

    assert deviation.shape == (3,)
    assert FLAVOR.predict(LinearRegression().fit(X, y), X[:3], {"other": 1}, method="predict").shape == (3,)
