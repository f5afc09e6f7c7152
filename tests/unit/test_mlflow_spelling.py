"""MLflow's spelling of this package: scripts change one import."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modelserving import mlflow
from modelserving.errors import StoreError
from modelserving.model import Model

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])
FITTED = LogisticRegression().fit(X, [0, 0, 1, 1])


def test_a_model_is_logged_in_a_run_and_found_there():
    with mlflow.start_run(run_name="first") as run:
        info = mlflow.sklearn.log_model(FITTED, "model", input_example=X[:2])

    assert info.model_uri == f"runs:/{run.info.run_id}/model"
    assert mlflow.pyfunc.load_model(info.model_uri).predict(X).tolist() == FITTED.predict(X).tolist()


@pytest.mark.parametrize(
    "keywords", [{"sk_model": FITTED, "artifact_path": "m"}, {"sk_model": FITTED, "name": "m"}]
)
def test_mlflows_keywords_are_understood(keywords):
    info = mlflow.sklearn.log_model(**keywords, registered_model_name="M", await_registration_for=300)

    assert (info.registered_model_name, info.registered_model_version) == ("M", 1)


def test_a_flavors_own_load_model_gives_the_native_model():
    mlflow.sklearn.log_model(FITTED, name="m", registered_model_name="M")

    assert type(mlflow.sklearn.load_model("models:/M/latest")) is LogisticRegression
    assert type(mlflow.pyfunc.load_model("models:/M/latest")) is Model


def test_options_of_a_flavor_are_keywords_as_in_mlflow(tmp_path):
    mlflow.sklearn.save_model(FITTED, path=tmp_path / "m", serialization_format="cloudpickle")

    assert (tmp_path / "m/model.pkl").is_file()


def test_pyfunc_predict_fn_becomes_the_default_method():
    mlflow.sklearn.log_model(FITTED, name="m", registered_model_name="M", pyfunc_predict_fn="predict_proba")

    assert mlflow.pyfunc.load_model("models:/M/1").predict(X).shape == (4, 2)


def test_python_models_derive_from_mlflows_class():
    class Doubler(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return [value * 2 for value in model_input]

    info = mlflow.pyfunc.log_model(python_model=Doubler(), name="doubler")

    assert mlflow.pyfunc.load_model(info.model_uri).predict([1, 2]) == [2, 4]


def test_signatures_are_inferred_under_mlflows_name():
    signature = mlflow.models.infer_signature(X, FITTED.predict(X))

    assert str(signature.inputs) == "[Tensor('float64', (-1, 2))]"


def test_a_model_is_registered_under_a_second_name():
    info = mlflow.sklearn.log_model(FITTED, name="m")

    assert mlflow.register_model(info.model_uri, "Second").version == 1


def test_a_run_can_be_active_without_a_with_statement():
    run = mlflow.start_run()
    try:
        assert mlflow.active_run() is run
        with pytest.raises(StoreError, match="is active; end it before"):
            mlflow.start_run()
    finally:
        mlflow.end_run()

    assert mlflow.active_run() is None


@pytest.mark.parametrize("name", ["log_metric", "log_param", "set_experiment", "MlflowClient", "nothing"])
def test_what_this_package_does_not_do_says_so(name):
    with pytest.raises(AttributeError, match=f"does not have mlflow.{name}: .*use MLflow beside it"):
        getattr(mlflow, name)


def test_what_a_flavor_does_not_do_says_so():
    with pytest.raises(AttributeError, match=r"does not have mlflow\.sklearn\.autolog"):
        mlflow.sklearn.autolog()


def test_an_unknown_keyword_is_an_error_and_not_ignored():
    with pytest.raises(TypeError, match="nonsense"):
        mlflow.sklearn.log_model(FITTED, name="m", nonsense=1)
