"""A stranger's package adds a flavor: listed, logged, loaded and served by the unchanged command."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "flavor_package"
PAGE = (ROOT / "docs/how-to/add-a-flavor.md").read_text()
FILES = sorted(path.name for path in PACKAGE.iterdir() if path.is_file())


def run(*arguments, cwd, **env):
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MODELSERVING"))
    }
    done = subprocess.run(
        arguments, cwd=cwd, env=inherited | env, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", FILES)
def test_the_page_shows_every_file_of_the_package_as_it_is(name):
    shown = re.search(
        rf"<!-- file: {re.escape(name)} -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )

    assert shown is not None
    assert shown[1] == (PACKAGE / name).read_text()


def test_it_keeps_the_contract(tmp_path):
    tests = shutil.copy(PACKAGE / "test_nearest_mean_flavor.py", tmp_path)

    output = run(
        sys.executable, "-m", "pytest", "-q", "-W", "error", "--rootdir", tmp_path, tests, cwd=tmp_path,
        PYTHONPATH=str(PACKAGE), PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip

    assert int(re.search(r"(\d+) passed", output)[1]) > 25
    assert "skipped" not in output


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A fresh environment with the two packages, each from its wheel; its folder and its interpreter."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for source in (ROOT, PACKAGE):
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "-w",
            folder / "wheels",
            source,
            cwd=folder,
        )
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    (ours,), (theirs,) = folder.glob("wheels/modelserving-*"), folder.glob("wheels/nearest_mean-*")
    run(python, "-m", "pip", "install", "-q", f"{ours}[serve]", theirs, cwd=folder)
    return folder, python


@pytest.mark.slow
def test_it_is_listed_logged_loaded_and_served_by_the_unchanged_command(elsewhere, serve, monkeypatch):
    folder, python = elsewhere
    monkeypatch.delenv("MODELSERVING_STORE")
    command = str(python.with_name("modelserving"))
    code = re.search(r"^```python\n(import modelserving\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
    body = re.search(r"-d '(.*?)'", PAGE)[1]

    listed = {
        row["flavor"]: row for row in json.loads(run(command, "flavors", "--json", cwd=folder))["flavors"]
    }
    printed = run(python, "-c", code, cwd=folder)
    server = serve("-m", "models:/Sizes/1", cwd=folder, command=command)
    status, _, answer = server.ask("/invocations", body.encode())

    row = listed["nearest_mean"]
    assert (row["package"], row["version"], row["tier"], row["needs"]) == (
        "nearest-mean",
        "1.2.0",
        ["data"],
        [],
    )
    assert listed["sklearn"]["install"] == "pip install 'modelserving[sklearn]'"
    assert len(printed.splitlines()) == 4
    assert (status, answer) == (200, {"predictions": ["low", "high"]})
