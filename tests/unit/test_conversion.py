"""``convert_model``: what needs trust becomes what does not, and answers alike."""

import os

import numpy as np
import pytest
from click.testing import CliRunner

from modelserving import load_model, log_model, open_store, save_model
from modelserving.cli import commands
from modelserving.conversion import convert_model
from modelserving.errors import ConversionError, PathTakenError, UntrustedModelError
from modelserving.trust import policy

pytest.importorskip("sklearn")
pytest.importorskip("skops")

from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from modelserving.flavors.sklearn import SklearnFlavor

X = np.random.default_rng(0).normal(size=(60, 3))
PICKLED = SklearnFlavor(serialization_format="cloudpickle")


@pytest.fixture
def fraud():
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    return log_model(model, "fraud", registered_model_name="Fraud", input_example=X[:5], flavor=PICKLED)


def test_the_next_version_is_data_says_what_it_was_and_answers_alike(fraud):
    before = load_model(fraud.model_uri)

    made = convert_model(fraud.model_uri)
    policy.forget(made.digest)
    after = load_model(made.model_uri)

    assert (made.model_uri, before.tier, after.tier) == ("models:/Fraud/2", "code", "data")
    assert open_store().version("Fraud", 2).tags == {"converted_from": "models:/Fraud/1"}
    assert after.methods == before.methods
    assert np.array_equal(after.predict(X, method="predict_proba"), before.predict(X, method="predict_proba"))
    assert after.signature == before.signature


def test_a_model_that_nobody_vouches_for_is_refused_and_a_digest_is_enough(fraud):
    policy.forget(fraud.digest)

    with pytest.raises(UntrustedModelError):
        convert_model(fraud.model_uri)
    assert convert_model(fraud.model_uri, trust=fraud.digest).registered_model_version == 2


def test_a_folder_becomes_a_folder(tmp_path):
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    save_model(model, tmp_path / "old", input_example=X[:2], flavor=PICKLED)

    made = convert_model(tmp_path / "old", output=tmp_path / "new")

    assert made.model_uri == str(tmp_path / "new")
    assert (tmp_path / "new/MLmodel.manifest").exists()
    assert load_model(tmp_path / "new").tier == "data"
    with pytest.raises(PathTakenError):
        convert_model(tmp_path / "old", output=tmp_path / "new")


def test_a_folder_without_a_place_for_the_result_is_an_error(tmp_path):
    save_model(len, tmp_path / "length", input_example="four")

    with pytest.raises(ConversionError, match="name a folder for the result with -o"):
        convert_model(tmp_path / "length")


def test_what_is_more_than_data_stays_as_it_is_and_the_reason_is_one_line(tmp_path):
    info = log_model(
        FunctionTransformer(os.path.basename), "f", registered_model_name="F", flavor=PICKLED, signature=None
    )

    answer = CliRunner().invoke(commands, ["convert", "--to", "skops", info.model_uri])

    assert isinstance(answer.exception, ConversionError)
    assert "basename" in str(answer.exception)
    assert "\n" not in str(answer.exception)
    assert open_store().model("F").latest == 1


def test_a_flavor_without_the_form_says_so():
    info = log_model(len, "length", registered_model_name="Length", input_example="four")

    with pytest.raises(
        ConversionError, match="'python_function' cannot save the model: it does not write skops"
    ):
        convert_model(info.model_uri)
