"""MLflow's reader accepts what we write, ours what MLflow writes, and both understand the same."""

from __future__ import annotations

import base64
import dataclasses
import pickle
import runpy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from modelserving.errors import MLmodelError
from modelserving.mlmodel import MLmodel
from modelserving.signature.schema import Signature
from modelserving.signature.types import DataType

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[2]
SIGNATURES = runpy.run_path(str(TESTS / "property" / "test_signature_roundtrip.py"))["signatures"]
MLMODELS = runpy.run_path(str(TESTS / "property" / "test_mlmodel.py"))["mlmodels"]
MATRIX = runpy.run_path(str(TESTS / "conformance" / "test_conversion_matrix.py"))

asking = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would ask MLflow for minutes
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def without_null_moments(signature):
    """The same without datetime params that have no default: MLflow reads those, and fails to write them."""
    kept = [
        spec for spec in signature.params if spec.type is not DataType.datetime or spec.default is not None
    ]
    return dataclasses.replace(signature, params=tuple(kept))


SIGNATURES = SIGNATURES.map(without_null_moments)


def as_we_print_maps(text):
    """MLflow prints ``Map(str -> DataType.long)`` but ``Array(long)``; we print ``Map(str -> long)``."""
    return text.replace("Map(str -> DataType.", "Map(str -> ")


@asking
@given(signatures=st.lists(SIGNATURES, min_size=1, max_size=6))
def test_mlflow_reads_the_signatures_that_we_write(mlflow, signatures):
    forms = [signature.to_dict() for signature in signatures]

    for signature, read in zip(signatures, mlflow.ask("signatures", forms=forms), strict=True):
        assert as_we_print_maps(read["text"]) == str(signature.inputs)
        assert read["again"]["value"] == signature.to_dict()


@pytest.mark.parametrize("seed", range(5))
def test_we_read_the_signatures_that_mlflow_writes_and_write_them_back(mlflow, seed):
    for made in mlflow.ask("generate", seed=seed, count=100):
        signature = Signature.from_dict(made["form"])

        assert signature.to_dict() == {"inputs": None, "outputs": None, "params": None} | made["form"]
        assert str(signature.inputs) == as_we_print_maps(made["text"])


@asking
@given(mlmodels=st.lists(MLMODELS, min_size=1, max_size=4), signature=SIGNATURES)
def test_mlflow_reads_the_mlmodel_files_that_we_write(mlflow, mlmodels, signature):
    forms = [mlmodel.to_dict() | {"signature": signature.to_dict()} for mlmodel in mlmodels]
    texts = [MLmodel.from_dict(form).to_text() for form in forms]

    for text, read in zip(texts, mlflow.ask("mlmodels", texts=texts), strict=True):
        assert "error" not in read, (text, read)
        ours, theirs = MLmodel.from_text(text), MLmodel.from_text(read["value"])
        assert (theirs.flavors, theirs.signature, theirs.ours) == (ours.flavors, ours.signature, ours.ours)
        assert theirs.metadata == ours.metadata


def test_we_read_every_mlmodel_file_that_mlflow_writes_again(mlflow):
    texts = [path.read_text() for path in sorted((TESTS / "conformance" / "mlflow").glob("*/MLmodel"))]

    for text, read in zip(texts, mlflow.ask("mlmodels", texts=texts), strict=True):
        assert MLmodel.from_text(read["value"]).to_dict() == MLmodel.from_text(text).to_dict()


def test_what_the_matrix_says_of_mlflow_and_frames_is_so(mlflow):
    cells = [(name, kind, theirs) for name, kind, theirs, _ in MATRIX["FRAME_CELLS"]]
    packed = [
        (kind, base64.b64encode(pickle.dumps(MATRIX["SERIES"][name])).decode()) for name, kind, _ in cells
    ]

    taken = mlflow.ask("enforce", frames=packed)

    wrong = [(*cell, now) for cell, now in zip(cells, taken, strict=True) if cell[2] != now]
    assert wrong == []


def test_what_the_matrix_says_of_mlflow_and_requests_is_so(mlflow):
    rows = [(kind, value, theirs) for kind, value, theirs, *_ in MATRIX["REQUESTS"]]

    received = mlflow.ask("cells", asked=[row[:2] for row in rows])

    found = [frames if frames == inputs else f"{frames} / {inputs}" for frames, inputs in received]
    assert [
        (*row, now) for row, now in zip(rows, found, strict=True) if now not in row[2].split(" or ")
    ] == []


def test_a_file_with_a_yaml_alias_is_one_that_only_mlflow_reads(mlflow):
    text = "flavors: &a {}\nmetadata: *a\n"

    assert "value" in mlflow.ask("mlmodels", texts=[text])[0]
    with pytest.raises(MLmodelError, match="anchor"):
        MLmodel.from_text(text)
