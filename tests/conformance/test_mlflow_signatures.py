"""Signatures that a real MLflow wrote, frozen: we write back every byte of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelserving.signature.schema import Schema, Signature

FROZEN = json.loads((Path(__file__).parent / "data" / "mlflow_signatures.json").read_text("ascii"))


def test_there_are_frozen_signatures():
    assert len(FROZEN["signatures"]) >= 8
    assert len(FROZEN["schemas"]) >= 70
    assert len(FROZEN["params"]) >= 25


@pytest.mark.parametrize("name", FROZEN["signatures"])
def test_the_signature_of_a_logged_model_is_written_back_as_it_was(name):
    form = FROZEN["signatures"][name]

    assert Signature.from_dict(form).to_dict() == form


@pytest.mark.parametrize("text", FROZEN["schemas"])
def test_a_schema_is_written_back_as_it_was(text):
    assert Schema.from_json(text).to_json() == text


@pytest.mark.parametrize("text", FROZEN["params"])
def test_params_are_written_back_as_they_were(text):
    assert Signature.from_dict({"params": text}).to_dict() == {
        "inputs": None,
        "outputs": None,
        "params": text,
    }
