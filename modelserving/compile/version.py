"""A registered version compiled later on, as a version of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from modelserving.compile.proof import TOLERANCE
from modelserving.compile.twin import FLAVOR, add_twin
from modelserving.errors import CompileError
from modelserving.example import load_example
from modelserving.model import resolve
from modelserving.store import Store, Version, open_store
from modelserving.trust import policy

if TYPE_CHECKING:
    from modelserving.trust.policy import Trust

TAG = "compiled_from"


def compile_model(
    model_uri: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | Store | None = None,
    tolerance: float = TOLERANCE,
    trust: Trust = None,
    trusted_stores: Sequence[str] = (),
) -> Version:
    """Add a proved ONNX twin to a registered model, as its next version: a version itself never changes.

    Args:
        model_uri: A version, an alias or ``latest`` of a registered model.
        store: A store or its location; ``MODELSERVING_STORE``, else ``./modelstore``, if None.
        tolerance: How far a number of the twin may be from the model's, absolutely below 1, relatively above.
        trust: Digests to trust, or ``"code"`` for whatever this call loads.
        trusted_stores: Locations of stores whose writers are trusted.

    Returns:
        The new version, tagged ``compiled_from`` with the number of the one it was made from.

    Raises:
        UnequalTwinError: The twin differs from the model; the error shows the worst row.
        CompileError: The model is not registered, has a twin, or cannot be written as ONNX.
        MissingDependencyError: What writes or runs ONNX is not installed.

    Example:
        >>> from modelserving import log_model
        >>> info = log_model(len, "length", registered_model_name="Length")
        >>> compile_model(info.model_uri)
        Traceback (most recent call last):
        modelserving.errors.CompileError: no ONNX twin of 'Length' can be made: flavor 'python_function' does
        not write ONNX
    """
    opened = open_store(store)
    resolved = resolve(model_uri, store=opened, trust=trust, trusted_stores=trusted_stores)
    if resolved.version is None:
        raise CompileError(
            "it is not registered; register it first: modelserving.register_model(uri, name)", resolved.name
        )
    if FLAVOR in resolved.metadata.flavors:
        raise CompileError(f"it has the flavor {FLAVOR!r} already", resolved.name)
    model, source = resolved.load(), resolved.verified.folder
    info = resolved.metadata.saved_input_example_info
    example = load_example(source, info, resolved.signature)[0] if info else None
    run = opened.create_run(f"compile {resolved.name} {resolved.version}")
    with opened.stage() as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        model_id = f"m-{os.urandom(16).hex()}"
        written = replace(resolved.metadata, model_id=model_id, model_uuid=model_id, run_id=run.run_id)
        add_twin(model, folder, written, example, compile="onnx", tolerance=tolerance).write(folder)
        logged, version = opened.log_model(
            folder,
            resolved.metadata.artifact_path or resolved.name,
            run_id=run.run_id,
            model_id=model_id,
            registered_model_name=resolved.name,
            tags={TAG: str(resolved.version)},
        )
    opened.finish_run(run.run_id)
    if policy.is_remembered(
        resolved.digest
    ):  # whoever vouched for the model's code vouched for this copy of it
        policy.remember(logged.digest)
    assert version is not None  # noqa: S101 - it was registered
    return version
