"""A real MLflow in an environment of its own, made for this run; we never import it.

Set ``INTEROP_PYTHON`` to a Python that has MLflow and the frameworks of these tests to use that one instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
FRAMEWORKS = (
    "cloudpickle",
    "lightgbm",
    "numpy",
    "onnx",
    "onnxruntime",
    "orjson",
    "pandas",
    "scikit-learn",
    "skops",
)
XGBOOST = "xgboost"  # installed without its library for several GPUs, which is larger than all the rest
TABLE = pytest.StashKey[list[tuple[str, str, int, str]]]()


def pytest_configure(config):
    config.stash[TABLE] = []


def pytest_terminal_summary(terminalreporter, config):
    if rows := config.stash[TABLE]:
        terminalreporter.section("MLflow and modelserving, both ways")
        for name, direction, count, outcome in sorted(rows, key=lambda row: (row[1], row[0])):
            terminalreporter.write_line(f"{direction:47} {name:38} {count:4} rows  {outcome}")


@pytest.fixture
def compare(request):
    """compare(name, direction, answer, expected): a line of the table, and a failure where they differ."""

    def compared(name, direction, answer, expected):
        count = len(next(iter(expected.values()))) if isinstance(expected, dict) else len(expected)
        equal = answer == approximately(expected)
        outcome = "equal" if answer == expected else "equal but for round-off" if equal else "DIFFERENT"
        request.config.stash[TABLE].append((name, direction, count, outcome))
        assert answer == approximately(expected)

    return compared


def approximately(value):
    """The same, up to the round-off of 32-bit floats."""
    if isinstance(value, dict):
        return {key: approximately(part) for key, part in value.items()}
    if isinstance(value, list):
        return [approximately(part) for part in value]
    return pytest.approx(value, rel=1e-6) if isinstance(value, float) else value


@pytest.fixture(scope="session")
def mlflow_python(tmp_path_factory):
    """A Python with a real MLflow from the package registry, and the frameworks as they are here."""
    if "INTEROP_PYTHON" in os.environ:
        return os.environ["INTEROP_PYTHON"]
    folder = tmp_path_factory.mktemp("mlflow")
    python = str(folder / "venv/bin/python")
    run(sys.executable, "-m", "venv", folder / "venv")
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--cache-dir", folder / "cache"]
    run(*install, "mlflow", *(f"{name}=={version(name)}" for name in FRAMEWORKS))
    run(*install, "--no-deps", f"{XGBOOST}=={version(XGBOOST)}")
    return python


def run(*arguments):
    done = subprocess.run(arguments, env=clean_environment(), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr


def clean_environment(**more):
    """This environment without what belongs to the running Python or to an MLflow of the user."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MLFLOW"))}
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true"} | more


class MLflow:
    """A process with a real MLflow that answers questions; see ``mlflow_side.py``."""

    def __init__(self, python, folder, **environment):
        self.errors = folder / "errors.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [python, HERE / "mlflow_side.py"],
                cwd=folder,
                env=clean_environment(**environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, verb, **arguments):
        """The answer to one question; a test failure with MLflow's traceback where there is none."""
        self.process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        answer = json.loads(line)
        assert "value" in answer, answer["error"]
        return answer["value"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def mlflow(mlflow_python, tmp_path_factory):
    """A real MLflow, where modelserving cannot be imported."""
    started = MLflow(mlflow_python, tmp_path_factory.mktemp("alone"))
    yield started
    started.end()


@pytest.fixture(scope="session")
def mlflow_beside_us(mlflow_python, tmp_path_factory):
    """A real MLflow, where modelserving can be imported."""
    started = MLflow(mlflow_python, tmp_path_factory.mktemp("beside"), PYTHONPATH=str(ROOT))
    yield started
    started.end()


@pytest.fixture(scope="session")
def ours(tmp_path_factory):
    """The folder with the models that ``our_models.py`` writes."""
    folder = tmp_path_factory.mktemp("ours")
    run(sys.executable, HERE / "our_models.py", folder)
    return folder
