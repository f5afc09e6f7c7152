"""Folders that a real MLflow wrote load without MLflow and predict what it predicted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelserving import load_model
from modelserving.errors import UntrustedModelError

FOLDERS = Path(__file__).parent / "mlflow"
WRITTEN_BY = {
    "lightgbm_sklearn_api": "lightgbm",
    "onnx_tensor_signature": "onnx",
    "pyfunc_function": "python_function",
    "pyfunc_models_from_code": "python_function",
    "sklearn_cloudpickle_iris_forest": "sklearn",
    "sklearn_mixed_columns_proba": "sklearn",
    "sklearn_no_signature": "sklearn",
    "sklearn_pickle_diabetes_linear": "sklearn",
    "sklearn_skops_wine_logistic": "sklearn",
    "xgboost_booster": "xgboost",
}


def test_every_folder_is_tested():
    folders = {path.name for path in FOLDERS.iterdir() if (path / "MLmodel").is_file()}

    assert folders == set(WRITTEN_BY)


@pytest.mark.parametrize("name", WRITTEN_BY)
def test_it_predicts_what_mlflow_predicted(name):
    expected = json.loads((FOLDERS / f"{name}.expected.json").read_text())

    model = trusted(FOLDERS / name)
    predictions = model.predict(asked(expected["request"]), expected["request"].get("params"))

    assert model.flavor.name == WRITTEN_BY[name]
    assert as_json(predictions) == approximately(expected["predictions"])
    assert [module for module in sys.modules if module.partition(".")[0] == "mlflow"] == []


def trusted(folder):
    """The model, trusted by its digest where its code has to run."""
    try:
        return load_model(folder)
    except UntrustedModelError as refusal:
        return load_model(folder, trust=refusal.digest)


def asked(request):
    if "dataframe_split" in request:
        return pd.DataFrame(request["dataframe_split"]["data"], columns=request["dataframe_split"]["columns"])
    if "dataframe_records" in request:
        return pd.DataFrame.from_records(request["dataframe_records"])
    return np.array(request["inputs"], dtype=np.float32)


def as_json(predictions):
    if isinstance(predictions, pd.DataFrame):
        return predictions.to_dict(orient="records")
    if isinstance(predictions, dict):
        return {name: as_json(value) for name, value in predictions.items()}
    return np.asarray(predictions).tolist()


def approximately(value):
    if isinstance(value, dict):
        return {key: approximately(part) for key, part in value.items()}
    if isinstance(value, list):
        return [approximately(part) for part in value]
    return pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
