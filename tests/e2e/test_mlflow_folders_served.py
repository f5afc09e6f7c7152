"""The folders that a real MLflow wrote are served without it and answer what it answered."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from modelserving import resolve
from modelserving.errors import UntrustedModelError

FOLDERS = Path(__file__).parents[1] / "conformance" / "mlflow"
NAMES = sorted(path.parent.name for path in FOLDERS.glob("*/MLmodel"))
AS_DATA = {"lightgbm_sklearn_api", "onnx_tensor_signature", "sklearn_skops_wine_logistic", "xgboost_booster"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_mlflow_answers_over_http_what_mlflow_answered(name, serve, tmp_path):
    told = json.loads((FOLDERS / f"{name}.expected.json").read_text())
    trust = remedy(FOLDERS / name)

    server = serve("-m", str(FOLDERS / name), *trust, cwd=tmp_path)
    status, _, answer = server.ask("/invocations", told["request"])

    assert status == 200, answer
    assert answer["predictions"] == approximately(told["predictions"])
    assert bool(trust) == (name not in AS_DATA)


def test_without_trust_the_command_says_what_to_give(command, tmp_path):
    folder = str(FOLDERS / "pyfunc_function")

    done = subprocess.run(
        [command, "serve", "-p", "0", "-m", folder], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert f"modelserving serve -m {folder} {' '.join(remedy(folder))}" in done.stderr


def remedy(folder):
    """The option that the refusal tells the user to give; none where nothing is refused."""
    try:
        resolve(folder)
    except UntrustedModelError as refusal:
        return re.search(r"modelserving serve .* (--trust) (sha256:[0-9a-f]{64})$", str(refusal)).groups()
    return ()


def approximately(value):
    if isinstance(value, dict):
        return {key: approximately(part) for key, part in value.items()}
    if isinstance(value, list):
        return [approximately(part) for part in value]
    return pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
