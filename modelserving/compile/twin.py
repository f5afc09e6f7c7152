"""A twin added to a model's folder: a second flavor, with its proof in the MLmodel file."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from modelserving import discovery, environment
from modelserving.compile.asking import ask, one_thread
from modelserving.compile.boundaries import boundary_rows
from modelserving.compile.probes import Edges, draw, edges
from modelserving.compile.proof import TOLERANCE, Proof, prove
from modelserving.compile.refusals import known_values, refused_numbers
from modelserving.compile.table import Table
from modelserving.errors import CompileError, FlavorLoadError, MissingDependencyError, UnequalTwinError
from modelserving.flavor import SupportsONNX
from modelserving.model import load_written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from modelserving.mlmodel import MLmodel
    from modelserving.model import Model
    from modelserving.signature.rows import Rows

Compile = Literal["auto", "onnx"] | None
"""``auto``: a twin where one can be made and proved. ``onnx``: a twin, or an error. None: no twin."""

FLAVOR: Final = "onnx"
FILE: Final = "model.onnx"
MAY_BE_LEFT_OUT: Final = frozenset({"predict_log_proba"})  # the log of a number near 0 has few correct digits

logger = logging.getLogger("modelserving")


def add_twin(
    model: Model,
    folder: Path,
    written: MLmodel,
    example: object,
    *,
    compile: Compile = "onnx",  # noqa: A002 - the word log_model has for it
    tolerance: float = TOLERANCE,
) -> MLmodel:
    """Write an ONNX twin into a model's folder, if it can be proved equal.

    Args:
        model: The model, loaded from the folder.
        folder: The folder, which nobody else sees yet.
        written: What its MLmodel file shall say.
        example: Its input example, None if it has none.
        compile: What to do when there can be no twin: go without it, or raise.
        tolerance: How far a number of the twin may be from the model's, absolutely below 1, relatively above.

    Returns:
        What the MLmodel file shall say with the twin: ``flavors: onnx`` and ``modelserving: twin``.

    Raises:
        UnequalTwinError: The twin differs.
        CompileError: The model cannot be written as ONNX.
        MissingDependencyError: What writes or runs ONNX is not installed.
    """
    if compile is None or FLAVOR in written.flavors:
        return written
    try:
        with one_thread():
            return _with_twin(model, folder, written, example, tolerance)
    except Exception as error:
        (folder / FILE).unlink(missing_ok=True)
        if compile == "onnx":
            raise
        known = isinstance(error, CompileError | MissingDependencyError)
        logger.log(logging.INFO if known else logging.WARNING, "logged without a compiled twin: %s", error)
        return written


def _with_twin(model: Model, folder: Path, written: MLmodel, example: object, tolerance: float) -> MLmodel:
    if not isinstance(model.flavor, SupportsONNX):
        raise CompileError(f"flavor {model.flavor.name!r} does not write ONNX", model.name)
    _need("onnxruntime", "onnx")
    _need("onnx", "compile")
    table = Table(model.signature)
    signature = model.signature
    assert signature is not None and signature.inputs is not None  # noqa: S101, PT018 - Table has seen to it
    schema = signature.inputs
    graph, outputs = model.flavor.to_onnx(model.native, signature)
    outputs = {method: outputs[method] for method in model.methods if method in outputs}
    if model.method not in outputs:
        raise CompileError(
            f"the graph does not answer {model.method!r}, the model's default method", model.name
        )
    (folder / FILE).write_bytes(graph)
    where = edges(graph)
    columns = draw(_columns(table, example), where)
    row = [column[:1] for column in columns]
    twin = {
        "methods": outputs,
        "classes": {
            method: list(model.traits.classes[method]) for method in outputs if method in model.traits.classes
        },
        "columns": list(schema.names) if not schema.is_tensor and schema.is_named else table.names,
        "rows_independent": model.traits.rows_independent,
        "refuses": refused_numbers(model, table, row),
        "knows": known_values(model, table, row, _words(columns, where.words)),
    }
    columns = _acceptable(columns, table, twin)
    columns = _with_boundaries(model, table, columns, where)
    described = _described(written, twin)
    try:
        loaded = load_written(folder, described, discovery.flavor(FLAVOR))
    except FlavorLoadError as error:
        raise CompileError(f"onnxruntime cannot run the graph ({error.reason})", model.name) from error
    proof = _proved(model, loaded, table.rows(columns), table, twin, tolerance=tolerance)
    return _recorded(_described(written, twin), proof, folder)


def _columns(table: Table, example: object) -> list[np.ndarray]:
    """The columns of the example; empty ones without it."""
    import numpy as np

    if example is None:
        return [np.empty(0, dtype) for dtype in table.dtypes]
    return table.columns(example)


def _words(columns: list[np.ndarray], words: tuple[str, ...]) -> list[str]:
    there = {each for column in columns if column.dtype == object for each in column.tolist()}
    return sorted(each for each in there | set(words) if isinstance(each, str))


def _acceptable(columns: list[np.ndarray], table: Table, twin: Mapping[str, Any]) -> list[np.ndarray]:
    """The probes without what the model refuses, and with NaN and infinity where it does not."""
    import numpy as np

    random = np.random.default_rng(len(columns))
    changed = []
    for name, column in zip(table.names, columns, strict=True):
        new = column.copy()
        if name in twin["knows"]:
            known = twin["knows"][name]
            unknown = ~np.isin(column.astype(str), known)
            new[unknown] = random.choice(np.array(known, object), int(unknown.sum()))
        for kind, value in (("nan", np.nan), ("infinity", np.inf), ("infinity", -np.inf)):
            if column.dtype.kind == "f" and name not in twin["refuses"].get(kind, ()):
                new[random.random(len(new)) < 0.05] = value
        changed.append(new)
    return changed


def _with_boundaries(model: Model, table: Table, columns: list[np.ndarray], where: Edges) -> list[np.ndarray]:
    """The probes, and the rows next to jumps that the graph did not tell of."""
    import numpy as np

    if where.thresholds:
        return columns
    method = "predict_proba" if where.trees and "predict_proba" in model.methods else model.method
    jumps = (
        where.trees or ask(model, table.rows([column[:1] for column in columns]), method).dtype.kind != "f"
    )
    if not jumps:
        return columns
    more = boundary_rows(model, table, columns, method)
    return [np.concatenate(parts) for parts in zip(columns, more, strict=True)]


def _proved(
    model: Model, loaded: Model, rows: Rows, table: Table, twin: dict[str, Any], *, tolerance: float
) -> Proof:
    """The proof, without the methods that may be left out and are not equal."""
    for method in MAY_BE_LEFT_OUT.intersection(twin["methods"]) - {model.method}:
        try:
            prove(model, loaded, rows, table, methods=[method], tolerance=tolerance)
        except UnequalTwinError:
            twin["methods"] = {name: output for name, output in twin["methods"].items() if name != method}
            twin["classes"].pop(method, None)
    return prove(model, loaded, rows, table, methods=list(twin["methods"]), tolerance=tolerance)


def _described(written: MLmodel, twin: Mapping[str, object]) -> MLmodel:
    """The MLmodel with the entry of the twin."""
    entry = {
        "code": None,
        "data": FILE,
        "onnx_session_options": None,
        "onnx_version": environment.installed(["onnx"]).get("onnx"),
        "providers": ["CPUExecutionProvider"],
        "twin": twin,
    }
    return replace(written, flavors={**written.flavors, FLAVOR: entry})


def _recorded(written: MLmodel, proof: Proof, folder: Path) -> MLmodel:
    """The MLmodel with the proof."""
    record = {**proof.to_dict(), "flavor": FLAVOR, "environment": environment.installed(["onnxruntime"])}
    size = (written.model_size_bytes or 0) + (folder / FILE).stat().st_size
    return replace(written, ours={**written.ours, "twin": record}, model_size_bytes=size)


def _need(distribution: str, extra: str) -> None:
    if not environment.installed([distribution]):
        raise MissingDependencyError(distribution, "a compiled twin", extra)
