"""C13: a model for native code that nobody vouches for is first tried in a child, which may die of it."""

import os
import textwrap

import pytest

from modelserving import canary, child, discovery, load_model
from modelserving.errors import UntrustedModelError
from modelserving.inspection import inspect_model

FLAVOR = """
    import os, sys, time
    from pathlib import Path
    from modelserving.flavor import Traits

    class Flavor:
        name, framework, requires = "fragile", "", ()
        tiers = ("native",)
        def accepts(self, model, /): return False
        def save(self, model, folder, /, *, example=None): raise NotImplementedError
        def tier(self, folder, config, /): return "native"
        def traits(self, model, /): return Traits()
        def load(self, folder, config, /, *, grant):
            with open(config["log"], "a") as log:
                log.write(f"{os.getpid()} {os.environ.get('PYTHONPATH', '').count(':') > 0}\\n")
            print("noise on standard output", flush=True)
            if config["does"] == "crash on load":
                os.kill(os.getpid(), 11)
            if config["does"] == "hang":
                time.sleep(600)
            if config["does"] == "leave":
                os._exit(7)
            if config["does"] == "raise":
                raise ValueError("not a model")
            return config["does"]
        def predict(self, model, data, params, /, *, method):
            if model == "crash on predict":
                os.abort()
            return [0.0] * len(data)
"""


@pytest.fixture
def fragile(tmp_path, monkeypatch):
    """Makes folders of models of an installed flavor whose native code does as the model says."""
    site = tmp_path / "site"
    info = site / "fragile-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[modelserving.flavors]\nfragile = fragile_flavor:Flavor\n")
    (site / "fragile_flavor.py").write_text(textwrap.dedent(FLAVOR))
    monkeypatch.syspath_prepend(str(site))
    discovery.offers.cache_clear()
    discovery.flavor.cache_clear()

    def make(does):
        folder = tmp_path / f"model that does {does}"
        folder.mkdir()
        (folder / "MLmodel").write_text(
            f"flavors:\n  fragile:\n    does: {does}\n    log: {tmp_path}/log\n"
            'signature:\n  inputs: \'[{"type": "double", "name": "a", "required": true}]\'\n'
        )
        return folder

    yield make
    discovery.offers.cache_clear()
    discovery.flavor.cache_clear()


def processes(tmp_path):
    return [int(line.split()[0]) for line in (tmp_path / "log").read_text().splitlines()]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("crash on load", r"it crashed \(SIGSEGV\)"),
        ("crash on predict", r"it crashed \(SIGABRT\)"),
        ("leave", "it ended with exit code 7"),
    ],
)
def test_a_model_that_kills_the_child_is_refused_and_the_parent_is_unharmed(fragile, does, said, tmp_path):
    with pytest.raises(UntrustedModelError, match=said) as caught:
        load_model(fragile(does))

    assert caught.value.tier == "native"
    assert caught.value.digest in str(caught.value)
    assert os.getpid() not in processes(tmp_path)


def test_a_model_that_hangs_is_refused_when_its_time_is_up(fragile, monkeypatch):
    monkeypatch.setattr(canary, "SECONDS", 3.0)

    with pytest.raises(UntrustedModelError, match="it did not end within 3 s"):
        load_model(fragile("hang"))


def test_a_model_that_survives_is_loaded_here_and_tried_only_once(fragile, tmp_path, capfd):
    folder = fragile("nothing bad")

    first, second = load_model(folder), load_model(folder)

    assert first.predict([{"a": 1.0}]) == second.predict([{"a": 1.0}]) == [0.0]
    assert [pid == os.getpid() for pid in processes(tmp_path)] == [False, True, True]
    assert capfd.readouterr().out.count("noise") == 2  # what the child prints is dropped


def test_an_ordinary_error_is_met_here_with_its_own_words(fragile):
    with pytest.raises(ValueError, match="not a model"):
        load_model(fragile("raise"))


@pytest.mark.parametrize("vouched", ["code", "digest"])
def test_a_model_that_somebody_vouches_for_is_not_tried(fragile, vouched, tmp_path):
    folder = fragile("nothing bad at all")
    digest = inspect_model(folder).digest

    load_model(folder, trust="code" if vouched == "code" else digest)

    assert processes(tmp_path) == [os.getpid()]


def test_a_child_that_cannot_be_started_refuses_too(fragile, monkeypatch):
    monkeypatch.setattr(child.sys, "executable", "/nonexistent/python")

    with pytest.raises(UntrustedModelError, match="no process could be started"):
        load_model(fragile("nothing bad either"))


def test_zeros_fit_every_signature():
    import numpy as np
    import pandas as pd

    from modelserving import infer_signature
    from modelserving.signature.convert import convert

    for data in (
        [{"a": 1, "b": "x", "c": True, "d": [1.5], "e": {"f": 1}}],
        pd.DataFrame({"when": pd.to_datetime(["2026-01-01"]), "raw": [b"x"], "n": np.array([1], "int32")}),
        np.ones((2, 3, 4), "float32"),
        {"left": np.ones((2, 3)), "right": np.ones(2)},
        pd.DataFrame({0: [1.0], 1: [2.0]}),
        ["text"],
        3.5,
    ):
        signature = infer_signature(data)
        convert(canary.zeros(signature), signature)
