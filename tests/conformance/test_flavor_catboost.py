"""CatBoost models keep the contract of a flavor, and their columns go by name."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine

from modelserving.errors import FlavorLoadError, FlavorSaveError
from modelserving.flavors.catboost import CatBoostFlavor
from modelserving.testing import FlavorTests, grant

catboost = pytest.importorskip("catboost", reason="catboost is not installed")

OPTIONS = {"iterations": 5, "verbose": False, "allow_writing_files": False, "thread_count": 1}


@pytest.fixture
def flavor():
    return CatBoostFlavor()


class TestClassifier(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return CatBoostFlavor()

    @pytest.fixture
    def model(self):
        return catboost.CatBoostClassifier(**OPTIONS).fit(*load_iris(return_X_y=True))

    @pytest.fixture
    def data(self):
        return load_iris().data[::10]


class TestRegressorOnFrames(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return CatBoostFlavor()

    @pytest.fixture
    def data(self):
        return load_diabetes(as_frame=True).data

    @pytest.fixture
    def model(self, data):
        return catboost.CatBoostRegressor(**OPTIONS).fit(data, load_diabetes().target)


class TestTextCategories(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return CatBoostFlavor()

    @pytest.fixture
    def data(self):
        return pd.DataFrame({"city": ["Oslo", "Bergen"] * 10, "age": range(20)})

    @pytest.fixture
    def model(self, data):
        return catboost.CatBoostClassifier(**OPTIONS, cat_features=["city"]).fit(data, ["no", "yes"] * 10)


class TestPlainModel(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return CatBoostFlavor()

    @pytest.fixture
    def model(self):
        X, y = load_wine(return_X_y=True)
        return catboost.CatBoost({**OPTIONS, "loss_function": "RMSE"}).fit(X, y)

    @pytest.fixture
    def data(self):
        return load_wine().data[::20]


def test_the_entry_is_mlflows(flavor, tmp_path):
    model = catboost.CatBoostClassifier(**OPTIONS).fit(*load_iris(return_X_y=True))

    entries = flavor.save(model, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["model.cb"]
    assert entries["catboost"] == {
        "catboost_version": catboost.__version__,
        "code": None,
        "data": "model.cb",
        "model_type": "CatBoostClassifier",
        "save_format": "cbm",
    }
    assert entries["python_function"]["loader_module"] == "mlflow.catboost"
    assert entries["python_function"]["data"] == "model.cb"


def test_columns_of_a_frame_are_matched_by_name(flavor):
    frame = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)[::-1]})
    model = catboost.CatBoostRegressor(**OPTIONS).fit(frame, frame.a * 3)

    answer = flavor.predict(model, frame[["b", "a"]], {}, method="predict")

    assert answer.tolist() == model.predict(frame).tolist()


def test_probabilities_come_with_their_labels_and_params_go_to_the_method(flavor):
    X, y = load_iris(return_X_y=True)
    model = catboost.CatBoostClassifier(**OPTIONS).fit(X, load_iris().target_names[y])

    assert flavor.traits(model).classes["predict_proba"] == ("setosa", "versicolor", "virginica")
    answer = flavor.predict(model, X, {"ntree_end": 2, "unknown": 1}, method="predict_proba")
    assert answer.tolist() == model.predict_proba(X, ntree_end=2).tolist()


def test_a_model_that_was_not_fitted_is_not_saved(flavor, tmp_path):
    with pytest.raises(FlavorSaveError, match="fit it first"):
        flavor.save(catboost.CatBoostClassifier(), tmp_path)


@pytest.mark.parametrize("lie", [{"model_type": "Popen"}, {"save_format": "python"}, {"data": "../model.cb"}])
def test_an_entry_that_lies_is_refused(flavor, tmp_path, lie):
    model = catboost.CatBoostRegressor(**OPTIONS).fit(*load_diabetes(return_X_y=True))
    config = flavor.save(model, tmp_path)["catboost"]

    with grant(tmp_path, "native") as granted, pytest.raises(FlavorLoadError, match=r"expected|names"):
        flavor.load(granted.folder, {**config, **lie}, grant=granted)


def test_a_file_that_is_no_model_is_one_clear_error(flavor, tmp_path):
    model = catboost.CatBoostRegressor(**OPTIONS).fit(*load_diabetes(return_X_y=True))
    config = json.loads(json.dumps(flavor.save(model, tmp_path)["catboost"]))
    (tmp_path / "model.cb").write_bytes(b"not a model")

    with (
        grant(tmp_path, "native") as granted,
        pytest.raises(FlavorLoadError, match=r"'model.cb' cannot be read"),
    ):
        flavor.load(granted.folder, config, grant=granted)
