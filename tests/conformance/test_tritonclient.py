"""The protocol's best-known client, unmodified, against a real server."""

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pytest

from modelserving.flavor import Traits
from modelserving.serving.app import create_app
from modelserving.signature.schema import ColumnSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import DataType

triton = pytest.importorskip("tritonclient.http")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning"
)


class Sums:
    """Sums the rows of an array, or says how long the texts of a column are."""

    def __init__(self, name, inputs, predict):
        self.name, self.version, self.digest = name, 7, None
        self.signature, self.predict = Signature(inputs=inputs), predict
        self.traits = Traits(methods=("predict", "predict_proba"), classes={"predict_proba": ("no", "yes")})

    def predict_rows(self, data, params, *, method=None):
        return self.predict(data, method)


def sums(rows, method):
    total = rows.array().sum(axis=1)
    return np.stack([1 - total, total], axis=1) if method == "predict_proba" else total


def lengths(rows, method):
    return np.array([f"{text}: {len(text)}" for text in rows.mapping()["text"]], dtype=object)


class Quiet(WSGIRequestHandler):
    def get_environ(self):
        environ = super().get_environ()
        if self.headers.get("content-type") is None:
            environ["CONTENT_TYPE"] = ""  # wsgiref says text/plain of what came without a type
        return environ

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def client():
    models = {
        "sums": Sums("sums", Schema((TensorSpec("float32", (-1, 2)),)), sums),
        "lengths": Sums("lengths", Schema((ColumnSpec(DataType.string, "text"),)), lengths),
    }
    with create_app(models) as app, make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        client = triton.InferenceServerClient(
            f"127.0.0.1:{server.server_port}", connection_timeout=10, network_timeout=10
        )
        yield client
        client.close()
        server.shutdown()
        thread.join(10)


def tensor(name, array, datatype, *, binary=True):
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_it_finds_the_server_and_the_models_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("sums")
    assert client.is_model_ready("sums", "7")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]


def test_it_reads_what_a_model_takes(client):
    described = client.get_model_metadata("sums")

    assert described["inputs"] == [{"name": "input-0", "datatype": "FP32", "shape": [-1, 2]}]
    assert described["versions"] == ["7"]


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("asked", [True, False, None])
def test_tensors_go_both_ways_as_json_and_as_raw_bytes(client, sent, asked):
    array = np.array([[0.5, 0.25], [0.125, 0.0]], dtype=np.float32)
    outputs = None if asked is None else [triton.InferRequestedOutput("predict", binary_data=asked)]

    answer = client.infer(
        "sums", [tensor("x", array, "FP32", binary=sent)], outputs=outputs, request_id="a-1"
    )

    assert answer.as_numpy("predict").tolist() == [0.75, 0.125]
    assert answer.as_numpy("predict").dtype == np.float32
    assert answer.get_response()["id"] == "a-1"
    assert (answer.get_response()["model_name"], answer.get_response()["model_version"]) == ("sums", "7")


def test_an_output_is_the_name_of_a_method(client):
    array = np.array([[0.5, 0.25]], dtype=np.float32)
    outputs = [
        triton.InferRequestedOutput("predict_proba"),
        triton.InferRequestedOutput("predict", binary_data=False),
    ]

    answer = client.infer("sums", [tensor("x", array, "FP32")], outputs=outputs)

    assert answer.as_numpy("predict_proba").tolist() == [[0.25, 0.75]]
    assert answer.as_numpy("predict").tolist() == [0.75]


@pytest.mark.parametrize("binary", [True, False])
def test_texts_go_both_ways(client, binary):
    texts = np.array(["ab", "é", ""], dtype=object)
    outputs = [triton.InferRequestedOutput("predict", binary_data=binary)]

    answer = client.infer("lengths", [tensor("text", texts, "BYTES", binary=binary)], outputs=outputs)

    got = [each.decode() if isinstance(each, bytes) else each for each in answer.as_numpy("predict")]
    assert got == ["ab: 2", "é: 1", ": 0"]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_requests_may_be_compressed(client, compression):
    array = np.ones((500, 2), dtype=np.float32)

    answer = client.infer("sums", [tensor("x", array, "FP32")], request_compression_algorithm=compression)

    assert answer.as_numpy("predict").tolist() == [2.0] * 500


def test_it_raises_our_sentence(client):
    array = np.ones((2, 3), dtype=np.float32)

    with pytest.raises(triton.InferenceServerException, match="expected shape"):
        client.infer("sums", [tensor("x", array, "FP32")])

    with pytest.raises(triton.InferenceServerException, match="there is no"):
        client.infer("other", [tensor("x", array, "FP32")])
