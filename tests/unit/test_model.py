"""Logging, saving and loading models, and asking them."""

import logging
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelserving
from modelserving.errors import (
    DataError,
    ExampleError,
    FlavorLoadError,
    MLmodelError,
    NoFlavorError,
    PathTakenError,
    RequestError,
    UntrustedModelError,
    VersionNotFoundError,
)
from modelserving.mlmodel import MLmodel
from modelserving.uri import ModelURI

FRAME = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 2.0, 1.0]})
FITTED = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, ["no", "no", "yes", "yes"])


class Failing:
    """A model that cannot answer."""

    def predict(self, model_input):
        raise RuntimeError("the secret is hunter2")


class OnlyPandas:
    """A model that shows what it is given."""

    def predict(self, context, model_input, params=None):
        return pd.Series(model_input.sum(axis=1), index=model_input.index)


@pytest.fixture
def logged():
    return modelserving.log_model(
        FITTED, "pipeline", registered_model_name="Pipe", input_example=FRAME.head(2)
    )


def test_what_was_logged_answers_as_the_model_does(logged):
    for uri in (logged.model_uri, "models:/Pipe/latest", "models:/Pipe/1", f"runs:/{logged.run_id}/pipeline"):
        assert modelserving.load_model(uri).predict(FRAME).tolist() == FITTED.predict(FRAME).tolist()


def test_the_signature_is_inferred_from_the_example_and_its_answer(logged):
    assert str(logged.signature.inputs) == "['a': double (required), 'b': double (required)]"
    assert logged.signature.outputs is not None


def test_every_method_of_the_model_can_be_asked(logged):
    model = modelserving.load_model(logged.model_uri)

    assert model.methods[0] == "predict"
    assert model.predict(FRAME, method="predict_proba").tolist() == FITTED.predict_proba(FRAME).tolist()
    with pytest.raises(RequestError, match=r"'Pipe' has no method 'fly'; its methods: predict, "):
        model.predict(FRAME, method="fly")


def test_the_default_method_can_be_chosen_when_logging():
    info = modelserving.log_model(FITTED, "p", input_example=FRAME.head(2), method="predict_proba")

    model = modelserving.load_model(info.model_uri)

    assert model.methods[0] == "predict_proba"
    assert model.predict(FRAME).shape == (4, 2)
    assert model.metadata.flavors["python_function"]["predict_fn"] == "predict_proba"  # MLflow asks the same


def test_a_default_method_that_the_model_does_not_have_is_refused():
    with pytest.raises(ExampleError, match="not 'fly'"):
        modelserving.log_model(FITTED, "p", input_example=FRAME.head(2), method="fly")

    info = modelserving.log_model(FITTED, "p", signature=modelserving.infer_signature(FRAME), method="fly")
    with pytest.raises(FlavorLoadError, match=r"the model has predict, .*, not 'fly'"):
        modelserving.load_model(info.model_uri)


def test_data_that_does_not_fit_is_refused_with_every_problem(logged):
    model = modelserving.load_model(logged.model_uri)

    with pytest.raises(DataError) as refused:
        model.predict([{"a": "x", "b": 1.0}, {"a": 1.0, "b": True}])

    assert [(problem.row, problem.column) for problem in refused.value.problems] == [(0, "a"), (1, "b")]


def test_columns_may_come_in_any_order(logged):
    model = modelserving.load_model(logged.model_uri)

    assert model.predict(FRAME[["b", "a"]]).tolist() == FITTED.predict(FRAME).tolist()


def test_an_answer_with_row_labels_gets_those_of_the_data():
    info = modelserving.log_model(OnlyPandas(), "sum", input_example=FRAME.head(2))

    answer = modelserving.load_model(info.model_uri).predict(FRAME.set_axis(list("wxyz")))

    assert answer.to_dict() == {"w": 1.0, "x": 1.0, "y": 4.0, "z": 4.0}


def test_a_model_that_cannot_answer_its_own_example_is_not_kept():
    with pytest.raises(ExampleError, match="RuntimeError: the secret is hunter2"):
        modelserving.log_model(Failing(), "failing", registered_model_name="Failing", input_example=FRAME)

    assert modelserving.open_store().models().items == ()


def test_an_object_without_a_flavor_is_refused_with_the_installed_ones():
    with pytest.raises(NoFlavorError, match=r"class 'builtins.int'; installed flavors: .*'sklearn'"):
        modelserving.log_model(7, "seven")


def test_without_example_and_signature_one_line_hints_at_it(caplog):
    modelserving.log_model(len, "length")

    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no signature and no input_example"
    ]


def test_the_logger_is_silent_by_default(capsys):
    handlers = logging.getLogger("modelserving").handlers

    assert [type(handler) for handler in handlers] == [logging.NullHandler]


def test_an_alias_and_the_latest_version_are_found():
    for _ in range(2):
        modelserving.log_model(len, "length", registered_model_name="Length")
    modelserving.open_store().set_alias("Length", "champion", 1)

    assert modelserving.load_model("models:/Length@champion").version == 1
    assert modelserving.load_model("models:/Length/latest").version == 2
    with pytest.raises(VersionNotFoundError, match="no version 3; versions: 1, 2"):
        modelserving.load_model("models:/Length/3")


def test_a_saved_folder_is_complete_or_not_there(tmp_path):
    info = modelserving.save_model(FITTED, tmp_path / "m", input_example=FRAME.head(2))

    assert modelserving.load_model(info.model_uri).predict(FRAME).tolist() == FITTED.predict(FRAME).tolist()
    with pytest.raises(PathTakenError, match="is not an empty folder"):
        modelserving.save_model(FITTED, tmp_path / "m")
    with pytest.raises(ExampleError):
        modelserving.save_model(Failing(), tmp_path / "failing", input_example=FRAME)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_i_made_needs_no_trust_and_what_others_made_does(tmp_path, monkeypatch):
    info = modelserving.save_model(OnlyPandas(), tmp_path / "m")
    assert modelserving.load_model(tmp_path / "m").flavor.name == "python_function"

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))

    with pytest.raises(UntrustedModelError, match=rf"refused: .* --trust {info.digest}"):
        modelserving.load_model(tmp_path / "m")
    assert modelserving.load_model(tmp_path / "m", trust=info.digest).flavor.name == "python_function"


def test_a_folder_without_a_model_is_one_clear_error(tmp_path):
    with pytest.raises(MLmodelError, match="no such folder"):
        modelserving.load_model(tmp_path / "nothing")
    with pytest.raises(MLmodelError, match="no such file"):
        modelserving.load_model(tmp_path)


def test_a_folder_can_be_registered(tmp_path):
    modelserving.save_model(FITTED, tmp_path / "m", input_example=FRAME.head(2))

    version = modelserving.register_model(tmp_path / "m", "Pipe")

    assert (version.name, version.version) == ("Pipe", 1)
    assert modelserving.load_model("models:/Pipe/1").predict(FRAME).tolist() == FITTED.predict(FRAME).tolist()


def test_code_paths_travel_with_the_model(tmp_path):
    (tmp_path / "scaling.py").write_text(
        "FACTOR = 3\n\n\ndef scale(values):\n    return [FACTOR * value for value in values]\n"
    )
    code = "def tripled(model_input):\n    from scaling import scale\n\n    return scale(model_input)\n"
    space = {"__name__": "__main__"}
    exec(code, space)

    info = modelserving.log_model(space["tripled"], "tripled", code_paths=[tmp_path / "scaling.py"])
    (tmp_path / "scaling.py").unlink()

    assert modelserving.load_model(info.model_uri).predict([1, 2]) == [3, 6]


def test_each_thread_has_an_active_run_of_its_own():
    seen = []
    with modelserving.start_run() as run:
        thread = threading.Thread(target=lambda: seen.append(modelserving.active_run()))
        thread.start()
        thread.join()

        assert modelserving.active_run() is run
    assert seen == [None]
    assert modelserving.active_run() is None


def test_a_run_that_fails_is_recorded_as_failed():
    with pytest.raises(ZeroDivisionError), modelserving.start_run() as run:
        1 / 0  # noqa: B018

    assert run.store.run(run.info.run_id).status == "FAILED"


def test_logging_into_another_store_leaves_the_active_run_alone(tmp_path):
    with modelserving.start_run() as run:
        info = modelserving.log_model(len, "length", store=tmp_path / "other")

        assert modelserving.active_run() is run
    assert info.run_id != run.info.run_id
    assert modelserving.load_model(info.model_uri, store=tmp_path / "other").predict("abc") == 3


def test_the_mlmodel_file_says_who_wrote_it_and_with_what(logged):
    located = modelserving.resolve(logged.model_uri)

    metadata = MLmodel.read(located.grant.folder)

    assert metadata.ours["written_by"] == "sklearn"
    assert set(metadata.ours["environment"]) >= {"numpy", "scikit-learn"}
    assert metadata.mlflow_version is None


def test_params_are_checked_and_handed_over():
    def scaled(model_input, params=None):
        return model_input["a"] * params["factor"]

    info = modelserving.log_model(scaled, "scaled", input_example=(FRAME[["a"]], {"factor": 2.0}))
    model = modelserving.load_model(info.model_uri)

    assert model.predict(FRAME[["a"]], {"factor": 3}).tolist() == (FRAME["a"] * 3).tolist()
    assert model.predict(FRAME[["a"]]).tolist() == (FRAME["a"] * 2).tolist()
    with pytest.raises(DataError, match="factor"):
        model.predict(FRAME[["a"]], {"factor": "x"})


def test_a_tensor_signature_takes_arrays():
    info = modelserving.log_model(FITTED[-1], "array", input_example=np.zeros((1, 2)))

    model = modelserving.load_model(info.model_uri)

    assert model.predict(np.ones((3, 2))).shape == (3,)
    with pytest.raises(DataError):
        model.predict(np.ones((3, 5)))


def test_a_model_is_loaded_from_an_archive_of_versions(logged, tmp_path):
    modelserving.open_store().export(tmp_path / "pipe.tar", [ModelURI.parse("models:/Pipe/1")])

    model = modelserving.load_model("models:/Pipe/1", store=tmp_path / "pipe.tar")

    assert model.predict(FRAME).tolist() == FITTED.predict(FRAME).tolist()
