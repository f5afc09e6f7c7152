"""A compiled twin: added where it is proved, refused with the worst row where it is not."""

import logging
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from sklearn.datasets import load_iris  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from modelserving import load_model, log_model, open_store, resolve, save_model  # noqa: E402
from modelserving.compile import compile_model  # noqa: E402
from modelserving.compile.proof import compare  # noqa: E402
from modelserving.errors import CompileError, DataError, UnequalTwinError  # noqa: E402
from modelserving.flavors.sklearn import SklearnFlavor  # noqa: E402

FRAME, LABELS = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def forest():
    return RandomForestClassifier(10, random_state=0).fit(FRAME, LABELS)


@pytest.fixture
def folder(forest, tmp_path):
    save_model(forest, tmp_path / "iris", input_example=FRAME.head())
    return tmp_path / "iris"


class WrongFlavor(SklearnFlavor):
    """Writes a graph in which one threshold has moved a little."""

    def to_onnx(self, model, signature, /):
        graph, outputs = super().to_onnx(model, signature)
        changed = onnx.load_from_string(graph)
        node = next(each for each in changed.graph.node if each.op_type == "TreeEnsemble")
        splits = next(each for each in node.attribute if each.name == "nodes_splits").t
        values = onnx.numpy_helper.to_array(splits).copy()
        values[0] += 1e-6
        splits.CopyFrom(onnx.numpy_helper.from_array(values))
        return changed.SerializeToString(), outputs


def test_a_forest_gets_a_twin_by_default_and_its_proof_is_recorded(folder):
    found = resolve(folder).metadata

    assert set(found.flavors) == {"onnx", "python_function", "sklearn"}
    twin = found.ours["twin"]
    assert twin["rows"] >= 10_000
    assert (twin["label_mismatches"], twin["tolerance"]) == (0, 1e-12)
    assert (folder / "model.onnx").is_file()


def test_load_model_takes_the_model_itself_and_a_server_the_twin(folder):
    assert load_model(folder).flavor.name == "sklearn"
    assert resolve(folder, prefer_twin=True).flavor_name == "onnx"
    assert resolve(folder, prefer_twin=True, flavor="sklearn").flavor_name == "sklearn"


def test_both_answer_alike_by_every_method_and_from_every_form(folder):
    model, twin = load_model(folder), resolve(folder, prefer_twin=True).load()

    for method in ("predict", "predict_proba"):
        for data in (FRAME, FRAME.to_dict("list")):
            assert np.array_equal(twin.predict(data, method=method), model.predict(data, method=method))
    assert twin.traits.classes["predict_proba"] == (0, 1, 2)
    assert twin.traits.rows_independent


def test_a_wrong_twin_is_refused_with_the_worst_row_shown(forest, tmp_path):
    with pytest.raises(UnequalTwinError, match=r"is .+, but .+ in the twin") as caught:
        save_model(forest, tmp_path / "m", flavor=WrongFlavor(), input_example=FRAME.head(), compile="onnx")

    assert set(caught.value.row) == set(FRAME.columns)
    assert caught.value.expected != caught.value.got
    assert not (tmp_path / "m").exists()


def test_a_wrong_twin_is_left_out_by_default_and_the_log_says_why(forest, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "modelserving"):
        info = save_model(forest, tmp_path / "m", flavor=WrongFlavor(), input_example=FRAME.head())

    assert info.flavors == ("python_function", "sklearn")
    assert not (tmp_path / "m" / "model.onnx").exists()
    assert "without a compiled twin" in caplog.text


def test_no_twin_is_made_where_none_is_wanted(forest, tmp_path):
    info = save_model(forest, tmp_path / "m", input_example=FRAME.head(), compile=None)

    assert "onnx" not in info.flavors


def test_a_twin_refuses_what_the_model_refuses(folder):
    twin = resolve(folder, prefer_twin=True).load()
    data = {name: [1.0, np.inf] for name in FRAME.columns}

    with pytest.raises(
        DataError, match=r"row 1, column 'sepal length .cm.': expected a finite number, got inf"
    ):
        twin.predict(data)
    with pytest.raises(DataError, match="float32"):
        twin.predict({name: [1e300] for name in FRAME.columns})


def test_many_rows_are_answered_in_parts_that_fit_together(folder):
    model, twin = load_model(folder), resolve(folder, prefer_twin=True).load()
    many = np.tile(FRAME.to_numpy(), (20, 1))
    frame = {name: many[:, at] for at, name in enumerate(FRAME.columns)}

    assert np.array_equal(twin.predict(frame), model.predict(frame))


def test_a_twin_of_a_pickle_needs_no_trust(forest, tmp_path):
    flavor = SklearnFlavor(serialization_format="cloudpickle")
    save_model(forest, tmp_path / "m", flavor=flavor, input_example=FRAME.head())

    resolved = resolve(tmp_path / "m", prefer_twin=True)

    assert resolved.grant.tier == "native"


def test_a_twin_runs_without_scikit_learn_and_without_pandas(folder):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['sklearn', 'pandas', 'onnx', 'skl2onnx']));"
        "from modelserving import resolve; model = resolve(sys.argv[1], prefer_twin=True).load();"
        "names = [spec.name for spec in model.signature.inputs];"
        "print(model.predict(dict.fromkeys(names, [1.0])).tolist())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )

    expected = load_model(folder).predict({name: [1.0] for name in FRAME.columns}).tolist()
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_a_version_is_compiled_into_a_new_one():
    model = LogisticRegression(max_iter=500).fit(FRAME, LABELS)
    log_model(model, "iris", registered_model_name="Iris", input_example=FRAME.head(), compile=None)

    made = compile_model("models:/Iris/1")

    assert (made.version, made.tags["compiled_from"]) == (2, "1")
    assert "onnx" not in resolve("models:/Iris/1").metadata.flavors
    assert resolve("models:/Iris/2", prefer_twin=True).flavor_name == "onnx"
    assert open_store().version("Iris", 2).tags == {"compiled_from": "1"}


def test_the_command_names_the_new_version():
    from click.testing import CliRunner

    from modelserving.cli.compile import compile as command

    model = LogisticRegression(max_iter=500).fit(FRAME, LABELS)
    log_model(model, "iris", registered_model_name="Iris", input_example=FRAME.head(), compile=None)

    assert CliRunner().invoke(command, ["models:/Iris/1"]).output == "models:/Iris/2\n"


def test_a_model_that_has_a_twin_is_not_compiled_again(forest):
    log_model(forest, "iris", registered_model_name="Iris", input_example=FRAME.head())

    with pytest.raises(CompileError, match="has the flavor 'onnx' already"):
        compile_model("models:/Iris/1")


def test_a_model_without_a_signature_has_no_twin(tmp_path, forest):
    log_model(forest, "iris", registered_model_name="Iris")

    with pytest.raises(CompileError, match="no signature"):
        compile_model("models:/Iris/1")


def test_the_array_path_is_proved_and_not_assumed(tmp_path):
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    by_name = ColumnTransformer([("all", StandardScaler(), list(FRAME.columns))])
    pipeline = make_pipeline(by_name, LogisticRegression()).fit(FRAME, LABELS)
    save_model(pipeline, tmp_path / "by_name", input_example=FRAME.head(), compile=None)
    save_model(pipeline[-1], tmp_path / "by_position", input_example=FRAME.head(), compile=None)

    assert "arrays" not in resolve(tmp_path / "by_name").metadata.ours
    assert resolve(tmp_path / "by_position").metadata.ours["arrays"] is True


@pytest.mark.parametrize(
    ("expected", "got", "apart"),
    [
        ([1, 2], [1, 3], [0, np.inf]),
        (["a"], ["b"], [np.inf]),
        ([np.nan, np.inf], [np.nan, np.inf], [0, 0]),
        ([np.nan], [1.0], [np.inf]),
        ([[0.5, 0.5]], [[0.5, 0.25]], [0.25]),
        ([1e6], [1e6 + 1], [1e-6]),
    ],
)
def test_how_far_answers_are_apart(expected, got, apart):
    assert compare(np.array(expected), np.array(got)).tolist() == pytest.approx(apart)


def test_answers_of_another_kind_or_shape_cannot_be_compared():
    assert compare(np.array([True]), np.array([1])) is None
    assert compare(np.array([1.0]), np.array([[1.0]])) is None
