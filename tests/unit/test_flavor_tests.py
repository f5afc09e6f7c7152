"""FlavorTests pass for a flavor that keeps the contract, and each lie fails the test named after it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HONEST = """
import json
import pytest
from modelserving.errors import FlavorLoadError, MissingDependencyError, UntrustedModelError
from modelserving.flavor import Traits
from modelserving.testing import FlavorTests

class Scale:
    def __init__(self, factor): self.factor = factor
    def predict(self, data): return [row * self.factor for row in data]

class ScaleFlavor:
    name, framework, requires = "scale", "colorsys", ("scale",)  # any module will do for a framework
    def accepts(self, model): return isinstance(model, Scale)
    def save(self, model, folder, *, example=None):
        (folder / "factor.json").write_text(json.dumps(model.factor))
        return {"scale": {"data": "factor.json"}}
    def tier(self, folder, config): return "native"
    def load(self, folder, config, *, grant):
        if grant.tier == "data":
            raise UntrustedModelError(str(folder), grant.digest, "native", "a factor")
        try:
            import colorsys
        except ImportError as error:
            raise MissingDependencyError("scale", "the flavor 'scale'") from error
        try:
            return Scale(json.loads((folder / config["data"]).read_text()))
        except OSError as error:
            raise FlavorLoadError("scale", "", "no factor") from error
    def traits(self, model): return Traits(thread_safe=True)
    def predict(self, model, data, params, *, method): return model.predict(data)

class TestScale(FlavorTests):
    @pytest.fixture
    def flavor(self): return ScaleFlavor()
    @pytest.fixture
    def model(self): return Scale(3)
    @pytest.fixture
    def data(self): return [1, 2]
"""

LIES = {  # the fact that is broken: what the source says, and what it says then
    "test_it_refuses_what_is_no_model": ("return isinstance(model, Scale)", "return True"),
    "test_accepting_imports_nothing": (
        "def accepts(self, model):",
        "def accepts(self, model): import colorsys;",
    ),
    "test_it_predicts_what_the_model_itself_predicts": ("return model.predict(data)", "return [0, 0]"),
    "test_entries_are_json": ('{"data": "factor.json"}', '{"data": "factor.json", "kind": Scale}'),
    "test_the_tier_is_known_without_the_framework": (
        'config): return "native"',
        'config): import colorsys; return "native"',
    ),
    "test_it_does_not_load_more_than_the_grant_allows": ('if grant.tier == "data"', "if False"),
    "test_it_does_not_load_without_a_grant": (
        "config, *, grant):",
        "config, *, grant=type('G', (), {'tier': 'code'})):",
    ),
    "test_it_works_after_the_folder_has_moved": (
        '{"scale": {"data": "factor.json"}}',
        '{"scale": {"data": str(folder / "factor.json")}}',
    ),
    "test_a_missing_file_is_one_clear_error": ("except OSError as error", "except KeyError as error"),
    "test_a_missing_framework_is_named": ("except ImportError as error", "except KeyError as error"),
    "test_the_tier_of_a_hostile_folder_builds_nothing": (
        'config): return "native"',
        'config): import pickle; pickle.loads((folder / "factor.json").read_bytes())',
    ),
    "test_two_threads_get_the_same_predictions": (
        "def predict(self, data):",
        "def predict(self, data): self.factor += 1;",
    ),
}


def run(source, folder):
    (folder / "test_scale.py").write_text(source)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--import-mode=prepend",
            "test_scale.py",
        ],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "HOME": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return {
        line.partition("::TestScale::")[2].split("[")[0].split(" ")[0]
        for line in done.stdout.splitlines()
        if line.startswith("FAILED")
    }, done


def test_an_honest_flavor_passes(tmp_path):
    failed, done = run(HONEST, tmp_path)

    assert failed == set(), done.stdout
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fact", LIES)
def test_a_lie_is_found(tmp_path, fact):
    truth, lie = LIES[fact]
    assert truth in HONEST

    failed, done = run(HONEST.replace(truth, lie), tmp_path)

    assert fact in failed, done.stdout
