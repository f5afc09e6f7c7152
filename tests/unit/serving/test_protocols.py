"""Several models and several protocols in one app, through either skin."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pytest

from modelserving.errors import InvalidURIError
from modelserving.flavor import Traits
from modelserving.serving.app import create_app

BODY = b'{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'
TENSOR = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}


@pytest.fixture
def classifier(fake_model):
    def predict(array):
        return array.sum(axis=1)

    class Classifier(fake_model):
        alias = "champion"

        def __init__(self):
            super().__init__(predict)
            self.traits = Traits(
                methods=("predict", "predict_proba"), classes={"predict_proba": ("no", "yes")}
            )

        def predict_rows(self, data, params, *, method=None):
            if method == "predict_proba":
                return np.array([[0.25, 0.75]] * len(data))
            return super().predict_rows(data, params, method=method)

    return Classifier()


@pytest.fixture
def app(client, classifier):
    return client.app(classifier)


def test_several_models_answer_under_their_names(client, fake_model):
    app = client.app({"twice": fake_model(lambda array: array[:, 0] * 2), "sums": fake_model()})

    assert client.ask(app, "/models/twice/invocations", BODY).json == {"predictions": [2.0, 6.0]}
    assert client.ask(app, "/models/sums/invocations", BODY).json == {"predictions": [3.0, 7.0]}
    assert client.ask(app, "/models/twice/invocations", BODY).headers["x-model-name"] == "twice"
    assert client.ask(app, "/v1/models").json == {"models": ["twice", "sums"]}
    assert client.ask(app, "/invocations", BODY).status == 404


def test_an_unknown_model_is_404_with_those_there_are(client, app):
    answer = client.ask(app, "/v2/models/other")

    assert answer.status == 404
    assert "models: 'sums'" in answer.json["error"]


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a\nb", "..", 5])
def test_a_name_that_cannot_stand_in_a_path_is_refused(fake_model, name):
    with pytest.raises(InvalidURIError, match="a name to serve a model under"):
        create_app({name: fake_model()})


@pytest.mark.parametrize("name", ["my model", "é", "a:predict", "100%"])
def test_any_other_name_will_do(client, fake_model, name):
    app = client.app({name: fake_model()})

    assert client.ask(app, f"/models/{name}/invocations", BODY).status == 200
    assert client.ask(app, f"/v2/models/{name}/ready").json == {"name": name, "ready": True}


def test_a_method_is_asked_for_in_the_query_and_answers_with_its_classes(client, app):
    answer = client.ask(app, "/invocations", BODY, query="method=predict_proba")

    assert answer.json == {"predictions": [[0.25, 0.75]] * 2, "classes": ["no", "yes"]}
    assert client.ask(app, "/invocations", BODY, query="method=predict").json == {"predictions": [3.0, 7.0]}


def test_outputs_of_v2_are_methods(client, app):
    body = {"id": "7", "inputs": [TENSOR], "outputs": [{"name": "predict_proba"}, {"name": "predict"}]}

    answer = client.ask(app, "/v2/models/sums/infer", json.dumps(body).encode())

    assert (answer.json["id"], answer.json["model_name"], answer.json["model_version"]) == ("7", "sums", "3")
    assert [(each["name"], each["data"]) for each in answer.json["outputs"]] == [
        ("predict_proba", [0.25, 0.75]),
        ("predict", [3.0]),
    ]


@pytest.mark.parametrize("path", ["/v2/models/sums", "/v2/models/sums/versions/3"])
def test_v2_describes_a_model_and_says_when_it_is_ready(client, app, path):
    described = client.ask(app, path).json

    assert described["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 2]}]
    assert (described["name"], described["versions"]) == ("sums", ["3"])
    assert client.ask(app, f"{path}/ready").json == {"name": "sums", "ready": True}


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_v2_describes_the_server(client, app, path):
    assert client.ask(app, path).json["extensions"] == ["binary_tensor_data"]
    assert client.ask(app, "/v2/health/live").json == {"live": True}
    assert client.ask(app, "/v2/health/ready").json == {"ready": True, "live": True}


def test_a_model_that_cannot_be_loaded_is_not_ready(client, fake_resolved):
    def load():
        raise RuntimeError("the secret")

    app = client.app(fake_resolved(load))

    for path in ("/v2/health/ready", "/v2/models/sums/ready", "/v2/models/sums", "/v1/models/sums", "/ping"):
        answer = client.ask(app, path)
        assert answer.status == 503, path
        assert b"secret" not in answer.body
    assert client.ask(app, "/v2/health/live").status == 200


@pytest.mark.parametrize(
    "path", ["/v1/models/sums", "/v1/models/sums/versions/3", "/v1/models/sums/labels/champion"]
)
def test_v1_predicts_and_says_its_status(client, app, path):
    rows = {"instances": [[1.0, 2.0]], "signature_name": "serving_default"}

    assert client.ask(app, f"{path}:predict", json.dumps(rows).encode()).json == {"predictions": [3.0]}
    status = client.ask(app, path).json
    assert (status["name"], status["ready"], status["model_version_status"][0]["state"]) == (
        "sums",
        True,
        "AVAILABLE",
    )


def test_v1_asks_a_method_by_signature_name(client, app):
    body = b'{"instances": [[1.0, 2.0]], "signature_name": "predict_proba"}'

    assert client.ask(app, "/v1/models/sums:predict", body).json == {
        "predictions": [[0.25, 0.75]],
        "classes": ["no", "yes"],
    }


def test_sagemakers_attributes_are_passed_back(client, app):
    answer = client.ask(app, body=BODY, headers={"X-Amzn-SageMaker-Custom-Attributes": "trace=7"})

    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"


def test_a_gzip_body_is_as_good_as_a_plain_one(client, app):
    answer = client.ask(app, body=gzip.compress(BODY), headers={"content-encoding": "gzip"})

    assert answer.json == {"predictions": [3.0, 7.0]}


def test_an_answer_is_csv_or_npy_or_arrow_where_that_is_accepted(client, app):
    csv = client.ask(app, body=BODY, headers={"accept": "text/csv"})
    npy = client.ask(app, body=BODY, headers={"accept": "application/x-npy, application/json;q=0.5"})

    assert (csv.headers["content-type"], csv.body) == ("text/csv", b"predictions\r\n3.0\r\n7.0\r\n")
    assert np.load(io.BytesIO(npy.body), allow_pickle=False).tolist() == [3.0, 7.0]


def test_an_answer_is_an_arrow_stream_where_that_is_accepted(client, app):
    pa = pytest.importorskip("pyarrow")

    answer = client.ask(app, body=BODY, headers={"accept": "application/vnd.apache.arrow.stream"})

    assert pa.ipc.open_stream(answer.body).read_all().to_pydict() == {"predictions": [3.0, 7.0]}


def test_without_pyarrow_its_content_types_are_415_with_those_that_are_left(client, app, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    answer = client.ask(app, body=b"x", headers={"content-type": "application/vnd.apache.arrow.stream"})

    assert answer.status == 415
    assert "send UTF-8 as one of: application/json, application/x-npy, text/csv" in answer.json["message"]


def test_columns_that_were_not_used_are_listed(client, fake_model):
    from modelserving.signature.schema import ColumnSpec, Schema, Signature
    from modelserving.signature.types import DataType

    model = fake_model(lambda array: array[:, 0])
    model.signature = Signature(Schema((ColumnSpec(DataType.double, "a"),)))
    app = client.app(model)

    answer = client.ask(app, body=b'{"dataframe_records": [{"a": 1.5, "z": 1, "\\u00e9\\n": 2}]}')

    assert answer.json == {"predictions": [1.5]}
    assert answer.headers["x-ignored-columns"] == "z, %C3%A9%0A"


def test_the_description_of_the_app_is_valid_openapi(client, app):
    validator = pytest.importorskip("openapi_spec_validator")

    document = client.ask(app, "/openapi.json").json

    validator.validate(document)
    assert document["openapi"] == "3.1.0"


def test_the_description_has_every_path_of_the_app(client, classifier, fake_model):
    app = client.app({"my model": classifier, "sums": fake_model()})

    described = client.ask(app, "/openapi.json").json["paths"]

    served = {
        path.replace(" ", "%20"): route.allow for path, route in app.app.routes.items() if path != "/v2/"
    }
    assert {path: ("GET, HEAD" if "get" in item else "POST") for path, item in described.items()} == served


def test_the_description_shows_the_input_example(client, fake_model):
    model = fake_model()
    model.example_request = lambda: BODY

    document = client.ask(client.app(model), "/openapi.json").json

    body = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == json.loads(BODY)


def test_the_description_has_the_columns_and_their_types(client, fake_model):
    from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature
    from modelserving.signature.types import Array, DataType, Map, Object, Property

    model = fake_model()
    kinds = [*DataType, Array(DataType.long), Map(DataType.string), Object((Property("p", DataType.double),))]
    columns = tuple(ColumnSpec(kind, f"c{at}", required=at > 0) for at, kind in enumerate(kinds))
    model.signature = Signature(Schema(columns), params=(ParamSpec("top", DataType.long, 1),))

    document = client.ask(client.app(model), "/openapi.json").json

    pytest.importorskip("openapi_spec_validator").validate(document)
    schema = document["components"]["schemas"]["Invocation0"]
    record = schema["oneOf"][0]["properties"]["dataframe_records"]["items"]
    assert record["properties"]["c0"] == {"type": ["boolean", "null"]}
    assert record["properties"]["c5"] == {"type": "string"}
    assert "c0" not in record["required"]
    assert schema["properties"]["params"]["properties"]["top"]["type"] == "integer"
