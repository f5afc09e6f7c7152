"""The command ``serve``: what it passes on, and how it fails."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from modelserving.cli import main
from modelserving.cli.serve import serve
from modelserving.errors import AddressError, MissingDependencyError
from modelserving.serving import server


@pytest.fixture
def called(monkeypatch):
    calls = []
    monkeypatch.setattr(server, "serve", lambda model, **options: calls.append((model, options)))
    return calls


def test_every_option_reaches_the_server(called):
    options = "-p 0 --host ::1 --workers 2 --threads 3 --timeout 1.5 --store s --flavor onnx"
    trusting = "--trust sha256:a --trust sha256:b --trust-store t"

    result = CliRunner().invoke(serve, ["-m", "models:/iris/1", *options.split(), *trusting.split()])

    assert result.exit_code == 0, result.output
    given = {
        "port": 0,
        "host": "::1",
        "workers": 2,
        "threads": 3,
        "timeout": 1.5,
        "store": "s",
        "flavor": "onnx",
    }
    trusted = {"trust": ("sha256:a", "sha256:b"), "trusted_stores": ("t",)}
    assert called == [("models:/iris/1", given | trusted)]


@pytest.mark.parametrize(
    "error",
    [AddressError("127.0.0.1", 80, "permission denied"), MissingDependencyError("granian", "x", "serve")],
)
def test_an_error_is_one_line_on_stderr_and_exit_1(monkeypatch, capsys, error):
    def fail(model, **options):
        raise error

    monkeypatch.setattr(server, "serve", fail)
    monkeypatch.setattr(sys, "argv", ["modelserving", "serve", "-m", "models:/iris/1"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert (ended.value.code, *capsys.readouterr()) == (1, "", f"error: {error}\n")


@pytest.mark.parametrize(
    "wrong", [[], ["-m", "m", "-p", "70000"], ["-m", "m", "--workers", "0"], ["-m", "m", "--timeout", "0"]]
)
def test_wrong_usage_is_exit_2(called, wrong):
    assert CliRunner().invoke(serve, wrong).exit_code == 2
    assert called == []


def test_without_granian_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "granian", None)

    with pytest.raises(MissingDependencyError, match=r"pip install 'modelserving\[serve\]'"):
        server.serve("models:/iris/1")


def test_several_models_are_served_under_their_names(called):
    result = CliRunner().invoke(serve, ["-m", "iris=models:/iris@champion", "-m", "churn=./a=b"])

    assert result.exit_code == 0
    assert called[0][0] == {"iris": "models:/iris@champion", "churn": "./a=b"}


@pytest.mark.parametrize("models", [["models:/a/1", "models:/b/1"], ["a=x", "a=y"], ["a=x", "models:/b/1"]])
def test_several_models_without_names_of_their_own_are_a_mistake(called, models):
    result = CliRunner().invoke(serve, [part for model in models for part in ("-m", model)])

    assert result.exit_code == 2
    assert "several models need names" in result.output
    assert called == []
