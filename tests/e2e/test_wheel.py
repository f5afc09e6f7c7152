"""The wheel alone, installed where the source tree is absent, does the whole way."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
import modelserving

X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(X, y)
modelserving.log_model(model, "iris", registered_model_name="Iris", input_example=X[:2])
expected = model.predict(X[:3]).tolist()
print(json.dumps({"file": modelserving.__file__, "expected": expected, "rows": X[:3].tolist()}))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """An environment with the wheel in it and the source tree not; the other packages are those of this
    one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    wheels = folder / "wheels"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, ROOT, cwd=folder)
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    (wheel,) = wheels.iterdir()
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[serve,sklearn]", cwd=folder)
    return folder, python, wheel


def run(*arguments, cwd):
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_logs_and_serves_without_the_source_tree(elsewhere, serve):
    folder, python, _ = elsewhere
    (folder / "script.py").write_text(SCRIPT)

    told = json.loads(run(python, folder / "script.py", cwd=folder).splitlines()[-1])
    server = serve("-m", "models:/Iris/1", cwd=folder, command=str(python.with_name("modelserving")))
    _, _, answer = server.ask("/invocations", {"inputs": told["rows"]})

    assert str(ROOT) not in told["file"]
    assert answer == {"predictions": told["expected"]}


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_types_and_nothing_else(elsewhere):
    names = zipfile.ZipFile(elsewhere[2]).namelist()

    assert "modelserving/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"modelserving"}


@pytest.mark.slow
def test_what_serving_needs_is_at_most_25_packages(elsewhere):
    listed = run(elsewhere[1], "-m", "pip", "list", "--format=freeze", cwd=elsewhere[0]).split()
    tools = {"pip", "setuptools", "wheel"}
    packages = sorted(line.partition("==")[0] for line in listed if line.partition("==")[0] not in tools)

    print(f"{len(packages)} packages: {', '.join(packages)}")

    assert len(packages) <= 25
