"""Tensors of the Open Inference Protocol into checked data, and predictions into tensors."""

import json

import numpy as np
import pandas as pd
import pytest

from modelserving.errors import DataError, RequestError
from modelserving.scoring.open_inference import InferRequest, Output, Predicted, decode, encode, metadata
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import Array, DataType

FRAME = Signature(Schema((ColumnSpec(DataType.string, "First Name"), ColumnSpec(DataType.integer, "Age"))))
GRID = Signature(Schema((ColumnSpec(DataType.double, "a"), ColumnSpec(DataType.double, "b"))))
MIXED = Signature(Schema((ColumnSpec(DataType.double, "a"), ColumnSpec(DataType.long, "b"))))
TENSOR = Signature(Schema((TensorSpec("float32", (-1, 2)),)))


def tensor(name="x", shape=(2,), datatype="INT64", data=(1, 2), **parameters):
    made = {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data)}
    return {**made, "parameters": parameters} if parameters else made


def read(*tensors, signature=None, **more):
    return decode(json.dumps({"inputs": list(tensors), **more}).encode(), None, signature)


def test_flat_and_nested_data_agree():
    flat = read(tensor(shape=(2, 2), datatype="FP64", data=[1, 2, 3, 4]))
    nested = read(tensor(shape=(2, 2), datatype="FP64", data=[[1, 2], [3, 4]]))

    assert flat.data.array().tolist() == nested.data.array().tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_a_frame_is_one_tensor_a_column(shape):
    names = tensor("First Name", shape, "BYTES", ["Joanne", "Michael"], content_type="str")
    ages = tensor("Age", shape, "INT64", [34, 22])

    request = read(ages, names, signature=FRAME, parameters={"content_type": "pd"})

    assert request.data.names == ("First Name", "Age")
    assert request.data.to("frame").to_dict("list") == {"First Name": ["Joanne", "Michael"], "Age": [34, 22]}
    assert request.data.columns[1].dtype == np.int32


def test_a_frame_of_numbers_may_be_one_tensor():
    request = read(tensor(shape=(2, 2), datatype="FP32", data=[1, 2, 3, 4]), signature=GRID)

    assert request.data.names == ("a", "b")
    assert request.data.block.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_one_tensor_for_columns_of_several_types_is_checked_column_by_column():
    request = read(tensor(shape=(1, 2), datatype="FP64", data=[1.5, 2]), signature=MIXED)

    assert [column.tolist() for column in request.data.columns] == [[1.5], [2]]
    with pytest.raises(DataError, match=r"row 0, column 'b': expected long, got 2\.5"):
        read(tensor(shape=(1, 2), datatype="FP64", data=[1.5, 2.5]), signature=MIXED)


def test_tensors_the_signature_does_not_know_are_listed():
    request = read(tensor("a", data=[1, 2]), tensor("z"), tensor("b"), signature=MIXED)

    assert request.ignored == ("z",)


def test_problems_say_the_row_and_the_column():
    with pytest.raises(DataError) as caught:
        read(tensor("a", datatype="FP64", data=[1, 2]), tensor("b", data=[1, 2.5]), signature=MIXED)

    [problem] = caught.value.problems
    assert (problem.row, problem.column, problem.expected, problem.got) == (1, "b", "int64", "2.5")


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="column 'b': expected a column of that name"):
        read(tensor("a"), signature=MIXED)


@pytest.mark.parametrize(
    ("datatype", "data", "dtype"),
    [
        ("BOOL", [True, False], "bool"),
        ("INT8", [-128, 127], "int8"),
        ("INT16", [-(2**15), 2**15 - 1], "int16"),
        ("INT32", [-(2**31), 2**31 - 1], "int32"),
        ("INT64", [-(2**63), 2**63 - 1], "int64"),
        ("UINT8", [0, 255], "uint8"),
        ("UINT16", [0, 65535], "uint16"),
        ("UINT32", [0, 2**32 - 1], "uint32"),
        ("UINT64", [0, 2**64 - 1], "uint64"),
        ("FP16", [1.5, 2048], "float16"),
        ("FP32", [1.5, 2**24], "float32"),
        ("FP64", [0.1, 2**53], "float64"),
        ("BYTES", ["é", ""], "object"),
    ],
)
def test_every_datatype_keeps_its_values_without_a_signature(datatype, data, dtype):
    array = read(tensor(datatype=datatype, data=data)).data.array()

    assert array.dtype == dtype
    assert array.tolist() == data


def test_the_binary_test_vector_of_the_protocol():
    head = (
        b'{"inputs":[{"name":"a","shape":[2,2],"datatype":"UINT32","parameters":{"binary_data_size":16}},'
        b'{"name":"s","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}}],'
        b'"parameters":{"binary_data_output":true}}'
    )
    tail = bytes.fromhex("01000000 02000000 03000000 04000000 02000000 6162 01000000 63")

    request = decode(head + tail, str(len(head)), None)

    assert (len(head), len(head + tail)) == (218, 245)
    assert [column.tolist() for column in request.data.columns] == [[[1, 2], [3, 4]], [b"ab", b"c"]]
    assert request.binary


@pytest.mark.parametrize(
    ("datatype", "raw", "data"), [("BOOL", "010001", [True, False, True]), ("FP16", "003c", [1.0])]
)
def test_raw_bytes_are_little_endian(datatype, raw, data):
    part = bytes.fromhex(raw)
    entry = {
        "name": "x",
        "shape": [len(data)],
        "datatype": datatype,
        "parameters": {"binary_data_size": len(part)},
    }
    head = json.dumps({"inputs": [entry]}).encode()

    assert decode(head + part, str(len(head)), None).data.array().tolist() == data


def test_a_tensor_of_raw_bytes_can_be_written_to():
    head = json.dumps(
        {"inputs": [{"name": "x", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}]}
    )

    block = decode(head.encode() + bytes(8), str(len(head)), None).data.block

    assert block.flags.writeable
    assert block.flags.aligned


def test_a_raw_binary_request_takes_its_shape_from_the_signature():
    body = np.array([[1, 2], [3, 4], [5, 6]], dtype="<f4").tobytes()

    request = decode(body, "0", TENSOR)

    assert request.data.array().tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert request.binary
    with pytest.raises(RequestError, match="one declared input"):
        decode(body, "0", None)


@pytest.mark.parametrize(
    ("kind", "sent", "content", "value"),
    [
        (DataType.binary, "YQ==", "base64", b"a"),
        (DataType.binary, "YQ==", None, b"a"),
        (DataType.datetime, "2020-01-01T00:00:00", "datetime", np.datetime64("2020-01-01", "ns")),
        (DataType.string, "x", "str", "x"),
        (DataType.string, '"x"', "pd_json", "x"),
        (Array(DataType.long), "[1, 2]", "pd_json", [1, 2]),
        (Array(DataType.long), "[1, 2]", None, [1, 2]),
    ],
)
def test_bytes_become_what_the_column_declares(kind, sent, content, value):
    signature = Signature(Schema((ColumnSpec(kind, "x"),)))
    parameters = {"content_type": content} if content else {}

    request = read(tensor(shape=(1,), datatype="BYTES", data=[sent], **parameters), signature=signature)

    assert request.data.columns[0][0] == value


def test_more_axes_are_a_column_of_lists():
    signature = Signature(Schema((ColumnSpec(Array(DataType.double), "x"),)))

    request = read(tensor(shape=(2, 2), data=[1, 2, 3, 4]), signature=signature)

    assert request.data.columns[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_null_is_missing_where_a_value_may_be():
    signature = Signature(Schema((ColumnSpec(DataType.long, "x", required=False),)))

    request = read(tensor(data=[1, None]), signature=signature)

    assert request.data.columns[0].tolist() == [1, None]


def test_what_is_left_of_the_parameters_are_params():
    signature = Signature(TENSOR.inputs, params=(ParamSpec("top", DataType.long, 1),))
    sent = tensor(shape=(1, 2), datatype="FP32")

    request = read(sent, signature=signature, parameters={"top": 3, "priority": 1, "triton_x": 1})

    assert request.params == {"top": 3}
    with pytest.raises(DataError, match="tip"):
        read(sent, signature=signature, parameters={"tip": 3})


def test_named_tensors_are_found_by_name():
    signature = Signature(Schema((TensorSpec("int64", (-1,), "a"), TensorSpec("float32", (-1, 2), "b"))))

    request = read(tensor("b", (1, 2)), tensor("a", (1,), data=[5]), signature=signature)

    assert [array.tolist() for array in request.data.columns] == [[5], [[1.0, 2.0]]]


def test_content_types_say_what_tensors_are_without_a_signature():
    one = tensor(data=[1, 2])

    assert read(one, parameters={"content_type": "pd"}).data.names == ("x",)
    assert isinstance(read(one, parameters={"content_type": "np"}).data, Rows)
    assert isinstance(read(one, parameters={"content_type": "dict"}).data, Raw)
    assert read(tensor(datatype="BYTES", data=["a", "b"]), parameters={"content_type": "str"}).data.value == [
        "a",
        "b",
    ]
    with pytest.raises(RequestError, match="goes with one tensor"):
        read(one, tensor("y"), parameters={"content_type": "np"})


# --- answers ---


def asked(**more):
    return InferRequest(Rows((), np.zeros((1, 1))), {}, **more)


def written(predictions, request=None, **more):
    answer = encode([Predicted("predict", predictions)], request or asked(), name="iris", version="3", **more)
    assert answer.json_length is None
    return json.loads(answer.body)


def test_an_answer_names_the_model_and_echoes_the_id():
    answer = written(np.array([1, 2]), asked(id="42"))

    assert answer == {
        "model_name": "iris",
        "model_version": "3",
        "id": "42",
        "outputs": [{"name": "predict", "shape": [2], "datatype": "INT64", "data": [1, 2]}],
    }


@pytest.mark.parametrize(
    ("predictions", "datatype", "shape", "data", "content"),
    [
        (np.array([[0.5, np.nan]], dtype=np.float32), "FP32", [1, 2], [0.5, None], None),
        (np.array([True, False]), "BOOL", [2], [True, False], None),
        (np.array([1], dtype=np.uint8), "UINT8", [1], [1], None),
        (np.array([[1, 2], [3, 4]], order="F"), "INT64", [2, 2], [1, 2, 3, 4], None),
        (np.array([1.5], dtype=">f8"), "FP64", [1], [1.5], None),
        ([1, 2], "INT64", [2], [1, 2], None),
        ([0.5, None], "FP64", [2], [0.5, None], None),
        (7, "INT64", [1], [7], None),
        ("x", "BYTES", [1], ["x"], "str"),
        (["a", "b"], "BYTES", [2], ["a", "b"], "str"),
        (np.array(["a", "b"]), "BYTES", [2], ["a", "b"], "str"),
        ([b"a"], "BYTES", [1], ["YQ=="], "base64"),
        (["a", None], "BYTES", [2], ['"a"', "null"], "pd_json"),
        ([{"k": 1}], "BYTES", [1], ['{"k":1}'], "pd_json"),
        ([[1], [1, 2]], "BYTES", [2], ["[1]", "[1,2]"], "pd_json"),
        (np.array(["2020-01-01"], dtype="M8[ns]"), "BYTES", [1], ["2020-01-01T00:00:00"], "datetime"),
        (np.array([]), "FP64", [0], [], None),
    ],
)
def test_predictions_of_every_kind_are_tensors(predictions, datatype, shape, data, content):
    [output] = written(predictions)["outputs"]

    assert (output["datatype"], output["shape"], output["data"]) == (datatype, shape, data)
    assert output.get("parameters", {}).get("content_type") == content


def test_a_frame_answers_with_one_output_a_column():
    outputs = written(pd.DataFrame({"label": ["a", "b"], "score": [0.5, 0.25]}))["outputs"]

    assert [(each["name"], each["data"]) for each in outputs] == [
        ("label", ["a", "b"]),
        ("score", [0.5, 0.25]),
    ]


def test_the_signature_names_the_one_output():
    outputs = Schema((ColumnSpec(DataType.long, "species"),))

    assert written(np.array([1]), outputs=outputs)["outputs"][0]["name"] == "species"


def test_outputs_are_sent_as_raw_bytes_where_that_was_asked_for():
    request = asked(outputs=(Output("label", binary=True), Output("score")))
    predictions = {"label": ["ab", "c"], "score": np.array([0.5, 0.25])}

    answer = encode([Predicted("predict", predictions)], request, name="iris")

    head, tail = json.loads(answer.body[: answer.json_length]), answer.body[answer.json_length :]
    assert head["outputs"][0]["parameters"] == {"content_type": "str", "binary_data_size": 11}
    assert tail == bytes.fromhex("02000000 6162 01000000 63")
    assert head["outputs"][1]["data"] == [0.5, 0.25]


def test_an_output_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(RequestError, match="there is no output 'x'; outputs: 'predict'"):
        encode([Predicted("predict", [1])], asked(outputs=(Output("x"),)), name="iris")


def test_classes_stand_beside_the_output():
    request = asked(outputs=(Output("predict_proba"),))

    answer = encode([Predicted("predict_proba", np.eye(2), ("no", "yes"))], request, name="iris")

    assert json.loads(answer.body)["outputs"][0]["parameters"] == {"classes": '["no","yes"]'}


def test_metadata_are_the_columns_as_tensors():
    described = metadata("people", None, FRAME, platform="python", methods=("predict", "score"))

    assert described["inputs"] == [
        {"name": "First Name", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "str"}},
        {"name": "Age", "datatype": "INT32", "shape": [-1]},
    ]
    assert described["properties"] == {"methods": "predict,score"}
    assert "versions" not in described
