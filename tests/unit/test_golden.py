"""What a model answered when it was logged is kept, and compared when somebody asks for that."""

import json
import logging
import random

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelserving import infer_signature, load_model, save_model
from modelserving.errors import GoldenRowsError, MLmodelError, PredictionError
from modelserving.golden import differences


@pytest.fixture
def folder(tmp_path):
    """A saved model with golden rows."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    save_model(LogisticRegression(max_iter=500).fit(X, y), tmp_path / "iris", input_example=X[::40])
    (tmp_path / "iris/MLmodel.manifest").unlink()  # tests change the folder on purpose
    return tmp_path / "iris"


def ours(folder):
    return yaml.safe_load((folder / "MLmodel").read_text())["modelserving"]


def change(folder, **keys):
    """Change what stands under ``modelserving:``."""
    content = yaml.safe_load((folder / "MLmodel").read_text())
    content["modelserving"].update(keys)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def test_the_answers_to_the_example_are_kept_beside_it(folder):
    assert ours(folder)["golden"] == "golden.json"
    assert json.loads((folder / "golden.json").read_text()) == {"predictions": [0, 0, 1, 2]}


def test_a_model_that_answers_as_it_did_is_loaded(folder):
    assert load_model(folder, verify=True).predict(load_iris(as_frame=True).data[:1]).tolist() == [0]


def test_a_difference_is_shown_with_its_place_and_only_when_asked_for(folder):
    (folder / "golden.json").write_text(json.dumps({"predictions": [0, 1, 1, 1]}))

    load_model(folder, trust="code")
    with pytest.raises(GoldenRowsError) as caught:
        load_model(folder, trust="code", verify=True)

    assert (caught.value.path, caught.value.expected, caught.value.got, caught.value.total) == (
        "$[1]",
        "1",
        "0",
        2,
    )
    assert "at $[1] expected 1, got 0 and 1 more; install the versions" in str(caught.value)


def test_probabilities_are_compared_when_they_are_the_default(tmp_path):
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X, y)

    save_model(model, tmp_path / "m", input_example=X[:2], method="predict_proba")

    golden = json.loads((tmp_path / "m/golden.json").read_text())["predictions"]
    np.testing.assert_allclose(golden, model.predict_proba(X[:2]))
    load_model(tmp_path / "m", verify=True)


def test_params_of_the_example_are_asked_again(tmp_path):
    class Scale:
        def predict(self, context, model_input, params=None):
            return model_input * params["factor"]

    save_model(Scale(), tmp_path / "m", input_example=(np.array([[1.0]]), {"factor": 3}))

    assert json.loads((tmp_path / "m/golden.json").read_text()) == {"predictions": [[3.0]]}
    load_model(tmp_path / "m", verify=True)


def test_a_model_that_answers_differently_each_time_has_none(tmp_path):
    save_model(lambda model_input: random.random(), tmp_path / "m", input_example=[1, 2])

    assert "golden" not in ours(tmp_path / "m")
    assert not (tmp_path / "m/golden.json").exists()


def test_answers_without_a_json_form_are_not_kept(tmp_path):
    save_model(
        lambda model_input: object(), tmp_path / "m", input_example=[1], signature=infer_signature([1])
    )

    assert "golden" not in ours(tmp_path / "m")


def test_a_model_without_golden_rows_passes(tmp_path, caplog):
    save_model(len, tmp_path / "m")

    with caplog.at_level(logging.INFO, "modelserving"):
        load_model(tmp_path / "m", verify=True)

    assert "has no golden rows" in caplog.text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"predictions', "[" * 100_000])
def test_golden_rows_that_cannot_be_read_are_one_clear_error(folder, content):
    (folder / "golden.json").write_text(content)

    with pytest.raises(MLmodelError, match="golden rows cannot be read"):
        load_model(folder, trust="code", verify=True)


@pytest.mark.parametrize("path", ["../golden.json", "/etc/passwd", "a\\b"])
def test_golden_rows_lie_inside_the_folder(folder, path):
    change(folder, golden=path)

    with pytest.raises(MLmodelError, match=r"golden"):
        load_model(folder, trust="code")


def test_a_model_that_fails_now_is_named(tmp_path):
    class Moody:
        def predict(self, context, model_input):
            if (tmp_path / "broken").exists():
                raise KeyError("secret")
            return [1]

    save_model(Moody(), tmp_path / "m", input_example=[1])
    (tmp_path / "broken").touch()

    with pytest.raises(PredictionError, match="model 'm' failed with KeyError"):
        load_model(tmp_path / "m", verify=True)


@pytest.mark.parametrize(
    ("expected", "got", "place"),
    [
        ([1.0], [1.0 + 1e-6], None),
        ([0.0], [1e-9], None),
        ([1.0], [1.001], "$[0]"),
        ([1], [2], "$[0]"),
        ([1], [1.0], None),
        ([1], [True], "$[0]"),
        ([1], ["1"], "$[0]"),
        ([None], [0.0], "$[0]"),
        ([1, 2], [1], "$"),
        ([{"a": 1}], [{"a": 2}], "$[0].a"),
        ([{"a": 1}], [{"b": 1}], "$[0]"),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}], None),
    ],
)
def test_what_counts_as_a_difference(expected, got, place):
    assert next((path for path, *_ in differences(expected, got)), None) == place


def test_other_versions_are_one_warning_that_names_them(folder, caplog):
    change(folder, environment={"numpy": "0.9", "scikit-learn": "1.0.2"})

    load_model(folder, trust="code")

    (warning,) = [each for each in caplog.records if each.name == "modelserving"]
    assert warning.levelname == "WARNING"
    text = warning.getMessage()
    assert "made with numpy 0.9, installed is" in text
    assert "made with scikit-learn 1.0.2, installed is" in text
    assert "pip install 'scikit-learn==1.0.2'" in text


def test_the_same_versions_are_silent(folder, caplog):
    load_model(folder)

    assert caplog.records == []


def test_requirements_that_mlflow_wrote_are_compared_as_far_as_the_flavor_needs_them(folder, caplog):
    content = yaml.safe_load((folder / "MLmodel").read_text())
    del content["modelserving"]
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    (folder / "requirements.txt").write_text("mlflow==3.17.2\nscikit-learn==1.0.2\npandas==0.1")

    load_model(folder, trust="code", flavor="sklearn")

    (warning,) = caplog.records
    assert "scikit-learn 1.0.2" in warning.getMessage()
    assert "mlflow" not in warning.getMessage()
    assert "pandas" not in warning.getMessage()


def test_frames_with_categories_are_asked_as_they_were(tmp_path):
    frame = pd.DataFrame({"n": [1, 2], "city": pd.Categorical(["Oslo", "Bergen"])})

    save_model(lambda model_input: model_input["city"].astype(str), tmp_path / "m", input_example=frame)

    load_model(tmp_path / "m", verify=True)
