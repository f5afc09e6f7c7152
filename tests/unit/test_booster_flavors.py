"""The flavors of XGBoost and LightGBM: classes, columns, options, and files that are not what they say."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelserving.errors import FlavorLoadError, FlavorSaveError
from modelserving.flavors.lightgbm import LightGBMFlavor
from modelserving.flavors.sklearn import SklearnFlavor
from modelserving.flavors.xgboost import XGBoostFlavor
from modelserving.testing import grant

X, y = load_iris(return_X_y=True)
FRAME, TARGET = load_diabetes(return_X_y=True, as_frame=True)


def own_objective(truth, predicted):
    return predicted - truth, np.ones_like(truth)


def again(flavor, model, folder):
    config = flavor.save(model, folder)[flavor.name]
    with grant(folder, flavor.tier(folder, config)) as granted:
        return flavor.load(granted.folder, config, grant=granted)


@pytest.mark.parametrize("kind", [xgboost.XGBRegressor, xgboost.XGBRFRegressor, lightgbm.LGBMRegressor])
def test_the_class_is_the_one_that_was_saved(tmp_path, kind):
    quiet = {"verbose": -1} if kind is lightgbm.LGBMRegressor else {}
    flavor = LightGBMFlavor() if quiet else XGBoostFlavor()
    model = kind(n_estimators=3, **quiet).fit(FRAME, TARGET)

    loaded = again(flavor, model, tmp_path)

    assert type(loaded) is kind
    np.testing.assert_array_equal(loaded.predict(FRAME), model.predict(FRAME))


@pytest.mark.parametrize("flavor", [XGBoostFlavor(), LightGBMFlavor()])
def test_labels_go_with_probabilities(flavor):
    model = (
        xgboost.XGBClassifier(n_estimators=2)
        if flavor.name == "xgboost"
        else lightgbm.LGBMClassifier(n_estimators=2, verbose=-1)
    ).fit(X, y)

    traits = flavor.traits(model)

    assert traits.methods == ("predict", "predict_proba")
    assert traits.classes == {"predict_proba": (0, 1, 2)}


def test_columns_of_a_frame_are_checked_by_name(tmp_path):
    model = again(XGBoostFlavor(), xgboost.XGBRegressor(n_estimators=2).fit(FRAME, TARGET), tmp_path)

    with pytest.raises(ValueError, match="feature_names"):
        XGBoostFlavor().predict(model, FRAME.rename(columns={"bmi": "other"}), {}, method="predict")


def test_columns_of_an_array_count_by_position(tmp_path):
    model = again(XGBoostFlavor(), xgboost.train({}, xgboost.DMatrix(FRAME, TARGET), 3), tmp_path)

    by_name = XGBoostFlavor().predict(model, FRAME, {}, method="predict")
    by_position = XGBoostFlavor().predict(model, FRAME.to_numpy(), {}, method="predict")

    np.testing.assert_array_equal(by_position, by_name)


@pytest.mark.parametrize("kind", ["os.system", "xgboost.sklearn.os", "evil.XGBClassifier"])
def test_a_class_that_is_not_of_the_library_is_refused(tmp_path, kind):
    flavor = XGBoostFlavor()
    config = {
        **flavor.save(xgboost.XGBRegressor(n_estimators=1).fit(FRAME, TARGET), tmp_path)["xgboost"],
        "model_class": kind,
    }

    with grant(tmp_path, "native") as granted, pytest.raises(FlavorLoadError, match="model_class"):
        flavor.load(granted.folder, config, grant=granted)


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(FlavorSaveError, match="fit it first"):
        XGBoostFlavor().save(xgboost.XGBRegressor(), tmp_path)


def test_an_unknown_model_format_is_refused():
    with pytest.raises(FlavorSaveError, match="expected 'json' or 'ubj'"):
        XGBoostFlavor(model_format="xgb")


def test_an_entry_without_a_class_is_a_booster(tmp_path):
    xgboost.train({}, xgboost.DMatrix(FRAME, TARGET), 2).save_model(tmp_path / "model.ubj")

    with grant(tmp_path, "native") as granted:
        assert isinstance(
            XGBoostFlavor().load(granted.folder, {"data": "model.ubj"}, grant=granted), xgboost.Booster
        )


def test_lightgbm_of_its_own_types_is_native_and_with_the_users_own_function_code(tmp_path):
    flavor = LightGBMFlavor()
    plain = flavor.save(lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(FRAME, TARGET), tmp_path)
    assert flavor.tier(tmp_path, plain["lightgbm"]) == "native"

    own = lightgbm.LGBMRegressor(objective=own_objective, n_estimators=2, verbose=-1).fit(FRAME, TARGET)
    entries = flavor.save(own, tmp_path)
    assert flavor.tier(tmp_path, entries["lightgbm"]) == "code"
    assert "cloudpickle" in entries["modelserving"]["note"]


def test_a_pipeline_with_a_booster_is_native(tmp_path):
    flavor = SklearnFlavor()
    model = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=2, verbose=-1)).fit(X, y)
    config = flavor.save(model, tmp_path)["sklearn"]

    assert flavor.tier(tmp_path, config) == "native"
    np.testing.assert_array_equal(again(flavor, model, tmp_path).predict(X), model.predict(X))


def test_params_that_predict_names_are_handed_on(tmp_path):
    model = again(
        LightGBMFlavor(), lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(FRAME, TARGET), tmp_path
    )

    first = LightGBMFlavor().predict(model, FRAME, {"num_iteration": 1, "other": 2}, method="predict")

    np.testing.assert_array_equal(first, model.predict(FRAME, num_iteration=1))


@pytest.mark.parametrize("flavor", [XGBoostFlavor(), LightGBMFlavor()])
def test_a_file_that_is_no_model_is_one_clear_error(tmp_path, flavor):
    (tmp_path / "model").write_bytes(b"not a model")

    with grant(tmp_path, "native") as granted, pytest.raises(FlavorLoadError, match="'model' cannot be read"):
        flavor.load(granted.folder, {"data": "model"}, grant=granted)


def test_frames_come_first_where_the_booster_knows_names():
    on_frame = xgboost.XGBRegressor(n_estimators=1).fit(pd.DataFrame(FRAME), TARGET)
    on_array = xgboost.XGBRegressor(n_estimators=1).fit(FRAME.to_numpy(), TARGET)

    assert XGBoostFlavor().traits(on_frame).takes == ("frame", "array")
    assert XGBoostFlavor().traits(on_array).takes == ("array", "frame")
