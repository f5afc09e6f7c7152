"""From a fitted model to a prediction over HTTP, in both spellings, with the installed command."""

import json
import os
import signal
import subprocess
import sys

import pytest

OURS = """
import json
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import make_classification
import modelserving

X, y = make_classification(n_samples=100, n_features=4, random_state=42)
model = RandomForestClassifier(random_state=42).fit(X, y)
with modelserving.start_run() as run:
    info = modelserving.log_model(model, "random-forest-model", registered_model_name="MyRandomForest")
by_version = modelserving.load_model("models:/MyRandomForest/latest").predict(X[:2])
by_run = modelserving.load_model(f"runs:/{run.info.run_id}/random-forest-model").predict(X[:2])
app = modelserving.create_app("models:/MyRandomForest/latest")
modelserving.register_model(info.model_uri, "Other")
modelserving.open_store().set_alias("MyRandomForest", "champion", 1)
assert by_version.tolist() == by_run.tolist() == model.predict(X[:2]).tolist()
"""

MLFLOWS = """
import json
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import make_classification
from modelserving import mlflow

X, y = make_classification(n_samples=100, n_features=4, random_state=42)
model = RandomForestClassifier(random_state=42).fit(X, y)
with mlflow.start_run() as run:
    mlflow.sklearn.log_model(model, "random-forest-model", registered_model_name="MyRandomForest")
uri = "models:/MyRandomForest/latest"
assert mlflow.pyfunc.load_model(uri).predict(X[:2]).tolist() == model.predict(X[:2]).tolist()
assert type(mlflow.sklearn.load_model(uri)) is RandomForestClassifier
"""

TELL = """
rows = [[0.1, -0.2, 0.3, -0.4], [0.5, 0.6, -0.7, 0.8]]
print(json.dumps({"run": run.info.run_id, "expected": model.predict(rows).tolist()}))
"""

BODY = {"dataframe_split": {"columns": [0, 1, 2, 3], "data": [[0.1, -0.2, 0.3, -0.4], [0.5, 0.6, -0.7, 0.8]]}}


@pytest.fixture(scope="module", params=[OURS, MLFLOWS], ids=["ours", "mlflow's"])
def trained(request, tmp_path_factory):
    """What the seed script says of itself, and the folder it ran in; its store is ./modelstore there."""
    folder = tmp_path_factory.mktemp("seed")
    (folder / "script.py").write_text(request.param + TELL)
    env = {key: value for key, value in os.environ.items() if key != "MODELSERVING_STORE"}
    env |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), folder


in_our_spelling = pytest.mark.parametrize("trained", [OURS], ids=["ours"], indirect=True)


@pytest.fixture
def logged(trained, monkeypatch):
    monkeypatch.delenv("MODELSERVING_STORE")
    return trained


@pytest.mark.parametrize(
    "uri", ["models:/MyRandomForest/latest", "models:/MyRandomForest/1", "runs:/{run}/random-forest-model"]
)
def test_the_seed_script_is_served_and_answers_as_the_model_does(logged, serve, uri):
    told, folder = logged

    server = serve("-m", uri.format(run=told["run"]), cwd=folder)

    assert server.ask("/ping")[0] == 200
    status, _, answer = server.ask("/invocations", BODY)
    assert (status, answer) == (200, {"predictions": told["expected"]})


@in_our_spelling
def test_an_alias_is_a_label_of_the_first_protocol(logged, serve):
    told, folder = logged

    server = serve("-m", "models:/MyRandomForest@champion", cwd=folder)

    rows = BODY["dataframe_split"]["data"]
    status, _, answer = server.ask("/v1/models/MyRandomForest/labels/champion:predict", {"instances": rows})
    assert (status, answer) == (200, {"predictions": told["expected"]})


@in_our_spelling
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_server_ends_cleanly(logged, serve, number):
    server = serve("-m", "models:/MyRandomForest/1", cwd=logged[1])

    server.process.send_signal(number)
    _, errors = server.process.communicate(timeout=30)

    assert server.process.returncode == 0
    assert "Traceback" not in errors


def test_predict_without_a_server_gives_the_same_answer(logged, command):
    told, folder = logged
    (folder / "in.json").write_text(json.dumps(BODY))
    (folder / "in.csv").write_text("0,1,2,3\n0.1,-0.2,0.3,-0.4\n0.5,0.6,-0.7,0.8\n")

    for name in ("in.json", "in.csv"):
        arguments = [command, "predict", "-m", "models:/MyRandomForest/latest", "-i", name, "-o", "out.json"]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=60)

        assert done.returncode == 0, done.stderr
        assert json.loads((folder / "out.json").read_text()) == {"predictions": told["expected"]}


@in_our_spelling
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/Nothing/1", "no model named 'Nothing'"),
        ("models:/MyRandomForest/9", "has no version 9; versions: 1"),
        ("models:/MyRandomForest@nobody", "has no alias 'nobody'"),
        ("runs:/" + "0" * 32 + "/x", "no run '0000"),
        ("models:/", "is not a model URI"),
        ("no/such/folder", "no/such/folder"),
        (".", "MLmodel"),
    ],
)
@pytest.mark.parametrize("verb", ["serve", "predict"])
def test_what_cannot_be_found_is_one_clear_line(logged, command, verb, uri, message):
    options = ["-p", "0"] if verb == "serve" else ["-i", "script.py"]

    done = subprocess.run(
        [command, verb, "-m", uri, *options], cwd=logged[1], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@in_our_spelling
def test_a_port_in_use_is_one_clear_line(logged, serve, command):
    server = serve("-m", "models:/MyRandomForest/1", cwd=logged[1])
    port = server.address.rpartition(":")[2]

    arguments = [command, "serve", "-m", "models:/MyRandomForest/1", "-p", port]
    done = subprocess.run(arguments, cwd=logged[1], capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@in_our_spelling
def test_a_bad_body_is_a_400_that_says_what_is_wrong(logged, serve):
    server = serve("-m", "models:/MyRandomForest/1", cwd=logged[1])

    for body in (b"not JSON", b"", b"{}", b'{"instances": [[1]], "inputs": [[1]]}'):
        status, headers, answer = server.ask("/invocations", body)

        assert (status, answer["error_code"]) == (400, "BAD_REQUEST")
        assert answer["error"] == answer["message"]
        assert answer["request_id"] == headers["X-Request-Id"]
        assert "Traceback" not in json.dumps(answer)
