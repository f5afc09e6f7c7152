"""The flavor of ONNX: how inputs are fed, what comes back, and what a file may not decide."""

from __future__ import annotations

import os
import signal

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelserving.errors import FlavorLoadError, FlavorSaveError, ModelServingError
from modelserving.flavors._onnx_file import external_files
from modelserving.flavors.onnx import OnnxFlavor
from modelserving.testing import grant


def value(name, kind=TensorProto.FLOAT, shape=(None, 2)):
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(nodes, inputs, outputs, weights=()):
    body = helper.make_graph(nodes, "test", inputs, outputs, list(weights))
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def negative(kind=TensorProto.FLOAT):
    return model_of([helper.make_node("Neg", ["x"], ["y"])], [value("x", kind)], [value("y", kind)])


def weighted():
    weights = numpy_helper.from_array(np.arange(200, dtype=np.float32).reshape(2, 100), "W")
    return model_of(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        [value("x")],
        [value("y", shape=(None, 100))],
        [weights],
    )


@pytest.fixture
def opened(tmp_path):
    """A function that saves a model and gives it back loaded."""
    grants = []

    def load(model, flavor=None, **changes):
        flavor = flavor or OnnxFlavor()
        config = {**flavor.save(model, tmp_path)["onnx"], **changes}
        grants.append(grant(tmp_path, "native"))
        granted = grants[-1].__enter__()
        return flavor.load(granted.folder, config, grant=granted)

    return load


def predict(model, data):
    return OnnxFlavor().predict(model, data, {}, method="predict")


def test_doubles_are_rounded_where_the_graph_asks_for_floats(opened):
    assert predict(opened(negative()), np.array([[1.5, 2.5]]))["y"].dtype == np.float32


def test_doubles_stay_doubles_where_the_graph_takes_them(opened):
    answer = predict(opened(negative(TensorProto.DOUBLE)), np.array([[0.1, 0.2]]))["y"]

    assert answer.dtype == np.float64
    np.testing.assert_array_equal(answer, [[-0.1, -0.2]])


def test_whole_numbers_are_not_turned_into_floats(opened):
    with pytest.raises(Exception, match="Unexpected input data type"):
        predict(opened(negative()), np.array([[1, 2]]))


def test_a_frame_of_one_value_per_row_comes_back_as_a_frame(opened):
    total = model_of(
        [helper.make_node("ReduceSum", ["x", "axes"], ["total"], keepdims=1)],
        [value("x")],
        [value("total", shape=(None, 1))],
        [numpy_helper.from_array(np.array([1]), "axes")],
    )

    answer = predict(opened(total), pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]}))

    pd.testing.assert_frame_equal(answer, pd.DataFrame({"total": np.array([3, 7], dtype=np.float32)}))


def test_a_frame_with_wider_outputs_comes_back_as_arrays(opened):
    answer = predict(opened(negative()), pd.DataFrame({"a": [1.0], "b": [2.0]}))

    np.testing.assert_array_equal(answer["y"], [[-1, -2]])


@pytest.mark.parametrize("shape", [(None,), (None, 1)])
def test_each_column_feeds_the_input_of_its_name(opened, shape):
    joined = model_of(
        [helper.make_node("Add", ["number", "other"], ["sum"])],
        [value("number", shape=shape), value("other", shape=shape)],
        [value("sum", shape=shape)],
    )

    answer = predict(
        opened(joined), pd.DataFrame({"other": [10.0, 20.0], "ignored": ["x", "y"], "number": [1.0, 2.0]})
    )

    assert answer["sum"].tolist() == [11.0, 22.0]


def test_text_from_a_frame(opened):
    same = model_of(
        [helper.make_node("Identity", ["word"], ["same"])],
        [value("word", TensorProto.STRING, (None, 1))],
        [value("same", TensorProto.STRING, (None, 1))],
    )

    assert predict(opened(same), pd.DataFrame({"word": ["a", "b"]}))["same"].tolist() == ["a", "b"]


def test_an_array_for_several_inputs_is_refused(opened):
    joined = model_of(
        [helper.make_node("Add", ["a", "b"], ["sum"])], [value("a"), value("b")], [value("sum")]
    )

    with pytest.raises(ModelServingError):
        predict(opened(joined), np.ones((2, 2)))


def test_threads_are_the_callers_and_never_the_files(opened):
    options = {"intra_op_num_threads": 64, "inter_op_num_threads": 64}
    model = opened(negative(), OnnxFlavor(intra_op_num_threads=2), onnx_session_options=options)

    assert model.session.get_session_options().intra_op_num_threads == 2
    assert model.session.get_session_options().inter_op_num_threads == 1


def test_a_provider_that_is_not_there_is_left_out(opened):
    model = opened(
        negative(), OnnxFlavor(onnx_execution_providers=["NoSuchProvider", "CPUExecutionProvider"])
    )

    assert model.session.get_providers() == ["CPUExecutionProvider"]


def test_a_forked_child_makes_a_session_of_its_own(opened):
    model = opened(negative())
    before = id(model.session)
    signal.alarm(60)
    child = os.fork()
    if child == 0:
        answer = predict(model, np.array([[1.0, 2.0]]))["y"].tolist()
        os._exit(0 if id(model.session) != before and answer == [[-1.0, -2.0]] else 1)

    _, status = os.waitpid(child, 0)
    signal.alarm(0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert id(model.session) == before


def with_external_data(folder, location):
    model = weighted()
    onnx.save_model(
        model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    text = (folder / "model.onnx").read_bytes()
    assert len(location) == len("weights.bin")
    (folder / "model.onnx").write_bytes(text.replace(b"weights.bin", location.encode()))
    return {"data": "model.onnx"}


def test_weights_beside_the_graph_are_found_and_saved_again(tmp_path):
    folder, again = tmp_path / "one", tmp_path / "two"
    folder.mkdir()
    again.mkdir()
    config = with_external_data(folder, "weights.bin")
    flavor = OnnxFlavor()

    with grant(folder, "native") as granted:
        model = flavor.load(granted.folder, config, grant=granted)
        flavor.save(model, again)

    assert model.files == ("model.onnx", "weights.bin")
    assert sorted(path.name for path in again.iterdir()) == ["model.onnx", "weights.bin"]
    assert predict(model, np.ones((1, 2)))["y"].shape == (1, 100)


@pytest.mark.parametrize("location", ["../eights.b", "/etc/passwd", "not_there.b"])
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    config = with_external_data(tmp_path, location)

    with grant(tmp_path, "native") as granted, pytest.raises(FlavorLoadError, match="external data"):
        OnnxFlavor().load(granted.folder, config, grant=granted)


def test_a_graph_whose_weights_are_elsewhere_is_not_saved(tmp_path):
    with_external_data(tmp_path, "weights.bin")
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)

    with pytest.raises(FlavorSaveError, match="weights are in other files"):
        OnnxFlavor().save(model, tmp_path)


def test_external_files_are_found_in_graphs_within_graphs():
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="inner.bin")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["v"], value=tensor)], "branch", [], [value("v")]
    )
    choice = helper.make_node("If", ["condition"], ["y"], then_branch=branch, else_branch=branch)
    model = model_of([choice], [value("condition", TensorProto.BOOL, ())], [value("y")])

    assert external_files(model.SerializeToString()) == {"inner.bin"}


def test_a_truncated_graph_is_refused_at_every_length(tmp_path):
    graph = weighted().SerializeToString()
    for length in range(0, len(graph), 7):
        (tmp_path / "model.onnx").write_bytes(graph[:length])
        with grant(tmp_path, "native") as granted, pytest.raises(FlavorLoadError):
            OnnxFlavor().load(granted.folder, {"data": "model.onnx"}, grant=granted)
