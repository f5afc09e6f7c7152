"""Models go both ways: what MLflow writes we serve without it, and what we write MLflow loads and serves."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelserving import load_model, resolve
from modelserving.errors import UntrustedModelError
from modelserving.scoring.invocations import encode

pytestmark = pytest.mark.slow


def names_in(script):
    """The names in the table ``MODELS`` of a script that this Python cannot, or shall not, import."""
    source = (Path(__file__).parent / script).read_text()
    return sorted(re.findall(r"^ +(\w+),$", source.partition("\nMODELS = ")[2], re.MULTILINE))


THEIRS = names_in("mlflow_models.py")
OURS = names_in("our_models.py")
AS_DATA = {"lightgbm_booster", "onnx_two_inputs", "sklearn_skops", "xgboost_classifier"}


def test_there_are_more_than_ten_models_of_either():
    assert len(THEIRS) > 10
    assert len(OURS) > 10


@pytest.fixture(scope="module", params=THEIRS)
def written(request, mlflow, tmp_path_factory):
    """Of one model that MLflow wrote: its folder, a request, and MLflow's answer."""
    folder = tmp_path_factory.mktemp("theirs")
    told = mlflow.ask("write", folder=str(folder), name=request.param)
    return folder / request.param, told["request"], told["predictions"]


def test_a_model_of_mlflow_answers_here_as_there(written, compare):
    folder, request, expected = written

    model = loaded(folder)
    answer = json.loads(encode(model.predict(data_of(request), request.get("params"))))

    compare(folder.name, "MLflow wrote, in process here", answer["predictions"], expected)
    assert [name for name in sys.modules if name.partition(".")[0] == "mlflow"] == []


def test_a_model_of_mlflow_answers_over_http(written, compare, serve, tmp_path):
    folder, request, expected = written
    trust = remedy(folder)

    server = serve("-m", str(folder), *trust, cwd=tmp_path)
    status, _, answer = server.ask("/invocations", request)

    assert status == 200, answer
    compare(folder.name, "MLflow wrote, over HTTP here", answer["predictions"], expected)
    assert bool(trust) == (folder.name not in AS_DATA)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside modelserving"])
def test_a_model_of_ours_answers_in_mlflow_as_it_did(name, beside, ours, request, compare):
    reader = request.getfixturevalue("mlflow_beside_us" if beside else "mlflow")
    told = json.loads((ours / f"{name}.expected.json").read_text())

    answer = reader.ask("predict", folder=str(ours / name), request=told["request"])

    where = "beside modelserving" if beside else "without modelserving"
    compare(name, f"modelserving wrote, MLflow {where}", answer, told["predictions"])
    assert reader.ask("about")["modelserving"] == beside


def test_mlflow_models_serve_serves_a_model_of_ours(ours, mlflow_python, tmp_path, compare):
    told = json.loads((ours / "sklearn_cloudpickle.expected.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(mlflow_python).with_name("mlflow"), "models", "serve", "--env-manager", "local"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "-m", ours / "sklearn_cloudpickle", "-p", str(port)],
            cwd=tmp_path,
            env=environment_of(mlflow_python),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            answer = asked_when_ready(f"http://127.0.0.1:{port}", told["request"], process, tmp_path / "log")
        finally:
            end_group(process)

    compare(
        "sklearn_cloudpickle",
        "modelserving wrote, mlflow models serve",
        answer["predictions"],
        told["predictions"],
    )


def loaded(folder):
    """The model, trusted by its digest where its code has to run."""
    try:
        return load_model(folder)
    except UntrustedModelError as refusal:
        return load_model(folder, trust=refusal.digest)


def data_of(request):
    """The data of a request as somebody has it in process."""
    if "dataframe_split" in request:
        return pd.DataFrame(request["dataframe_split"]["data"], columns=request["dataframe_split"]["columns"])
    if "dataframe_records" in request:
        return request["dataframe_records"]
    inputs = request["inputs"]
    if isinstance(inputs, dict):
        return {name: np.array(values) for name, values in inputs.items()}
    return np.array(inputs)


def remedy(folder):
    """The option that the refusal tells the user to give; none where nothing is refused."""
    try:
        resolve(folder)
    except UntrustedModelError as refusal:
        return re.search(r"modelserving serve .* (--trust) (sha256:[0-9a-f]{64})$", str(refusal)).groups()
    return ()


def environment_of(python):
    """The environment in which a command of another virtual environment finds its Python first."""
    return {
        **os.environ,
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def asked_when_ready(address, body, process, log):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
            continue
        data = json.dumps(body).encode()
        question = urllib.request.Request(
            f"{address}/invocations", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(question, timeout=30) as answer:
            return json.loads(answer.read())
    pytest.fail(f"mlflow models serve did not start: {log.read_text()}")


def end_group(process):
    """End MLflow's command and the server that it started, by the group made for them."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)
