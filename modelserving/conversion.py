"""A model that needs trust, kept once more as one that needs none.

The model is loaded in a throw-away process, for to load it is to run its code. That process writes the new
folder, loads it back and compares the predictions; this one checks what came of it, and keeps it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from modelserving import child, discovery
from modelserving.errors import ConversionError, FlavorSaveError, ModelServingError, PathTakenError
from modelserving.example import load_example
from modelserving.flavor import Flavor
from modelserving.mlmodel import MLmodel
from modelserving.model import Model, Resolved, load_written, resolve
from modelserving.saving import ModelInfo, Options, new_model_id, remember, write_model
from modelserving.store import Store, open_store
from modelserving.trust import manifest
from modelserving.trust.policy import Trust

Form = Literal["skops"]

SECONDS = 600.0
"""How long the child may take."""


def convert_model(
    uri: str | os.PathLike[str],
    to: Form = "skops",
    *,
    output: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | Store | None = None,
    trust: Trust = None,
    trusted_stores: Sequence[str] = (),
) -> ModelInfo:
    """Keep a model whose files could run code as one whose files are data, with the same predictions.

    Args:
        uri: The model. Its code runs once, in a child process, so it must be trusted.
        to: The form; ``skops``, for estimators of scikit-learn and what is built on it.
        output: A new folder to write to. None makes a new version of the registered model, tagged
            ``converted_from``.
        store: A store or its location; ``MODELSERVING_STORE``, else ``./modelstore``, if None.
        trust: Digests to trust, or ``"code"`` for whatever this call loads.
        trusted_stores: Locations of stores whose writers are trusted.

    Returns:
        The new version, or the new folder. No alias is moved to it.

    Raises:
        UntrustedModelError: Nobody vouches for the model.
        ConversionError: It holds more than data, would answer otherwise, or there is no place to keep it.
        PathTakenError: ``output`` exists and is not an empty folder.

    Example:
        >>> convert_model("models:/Fraud/3", trust="sha256:9f2c…").model_uri  # doctest: +SKIP
        'models:/Fraud/4'
    """
    text = os.fspath(uri)
    resolved = resolve(text, store=store, trust=trust, trusted_stores=trusted_stores)
    if output is not None:
        return _into_folder(resolved, to, Path(output))
    if resolved.version is None:
        raise ConversionError(text, "it is no registered version; name a folder for the result with -o")
    return _into_store(resolved, to, open_store(store))


def _into_folder(resolved: Resolved, to: Form, target: Path) -> ModelInfo:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise PathTakenError(str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        model_id = new_model_id()
        written = _converted(resolved, to, staged, {"model_id": model_id})
        found = manifest.scan(staged)
        manifest.write_recorded(staged, found)
        staged.chmod(0o755)
        staged.replace(target)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    remember(found.digest, str(target))
    flavors = tuple(sorted(written.flavors))
    return ModelInfo(str(target), model_id, None, None, None, found.digest, written.signature, flavors)


def _into_store(resolved: Resolved, to: Form, store: Store) -> ModelInfo:
    model_id, source = new_model_id(), f"models:/{resolved.name}/{resolved.version}"
    artifact = resolved.metadata.artifact_path or "model"
    run = store.create_run(f"conversion of {source}")
    status = "FAILED"
    try:
        with store.stage() as staged:
            names = {"model_id": model_id, "run_id": run.run_id, "artifact": artifact}
            written = _converted(resolved, to, staged, names)
            logged, version = store.log_model(
                staged,
                artifact,
                run_id=run.run_id,
                model_id=model_id,
                registered_model_name=resolved.name,
                tags={"converted_from": source},
            )
        status = "FINISHED"
    finally:
        store.finish_run(run.run_id, status=status)
    number = version.version if version else None
    remember(logged.digest, f"models:/{resolved.name}/{number}")
    return ModelInfo(
        model_uri=f"models:/{resolved.name}/{number}",
        model_id=model_id,
        run_id=run.run_id,
        registered_model_name=resolved.name,
        registered_model_version=number,
        digest=logged.digest,
        signature=written.signature,
        flavors=tuple(sorted(written.flavors)),
    )


def _converted(resolved: Resolved, to: Form, folder: Path, names: Mapping[str, str]) -> MLmodel:
    """Have a child write the model into ``folder``; what it says there, once that is known to be no code."""
    request = {
        "uri": resolved.uri,
        "source": str(resolved.verified.folder),
        "digest": resolved.digest,
        "flavor": resolved.flavor_name,
        "target": str(folder),
        "to": to,
        "names": dict(names),
    }
    answer = child.ask("conversion", request, seconds=SECONDS)
    if answer.problem:
        raise ConversionError(resolved.uri, answer.problem)
    try:
        written = MLmodel.read(folder)
        chosen = discovery.flavor_to_load(written.flavors, None, str(written.ours.get("written_by")))
        tier = chosen.tier(folder, written.flavors[chosen.name])
    except ModelServingError as error:
        raise ConversionError(resolved.uri, str(error)) from error
    if tier == "code":
        raise ConversionError(resolved.uri, "the result would still need trust; keep the model as it is")
    return written


def in_child(request: Mapping[str, Any]) -> Mapping[str, object]:
    """Load the model, write it anew, and compare."""
    # The parent was told whom to trust, and said yes to these very bytes.
    original = resolve(request["source"], flavor=request["flavor"], trust=request["digest"])
    model, folder = original.load(), Path(request["target"])
    flavor = _flavor_for(model, request["to"])
    metadata = original.metadata
    example, params = _example(model, original)
    options = Options(
        flavor=flavor,
        signature=metadata.signature,
        input_example=example if params is None else (example, params),
        metadata=metadata.metadata,
        method=model.method,
    )
    names = dict(request["names"])
    written = write_model(model.native, folder, options, **names)
    if example is not None:
        converted = load_written(folder, written, flavor)
        for method in model.methods:
            _same(model, converted, example, params, method)
    return {}


def _flavor_for(model: Model, to: str) -> Flavor:
    """The flavor that saves the native model, told to write this form."""
    chosen = discovery.flavor_to_save(model.native)
    try:
        made: Flavor = type(chosen)(serialization_format=to)  # type: ignore[call-arg]
    except TypeError:
        reason = f"it does not write {to}; log the model again with a flavor that needs no trust"
        raise FlavorSaveError(chosen.name, reason) from None
    return made


def _example(model: Model, resolved: Resolved) -> tuple[Any, Mapping[str, object] | None]:
    info = resolved.metadata.saved_input_example_info
    if not info:
        return None, None
    return load_example(resolved.verified.folder, info, model.signature)


def _same(one: Model, other: Model, example: Any, params: Mapping[str, object] | None, method: str) -> None:
    """Raise unless both answer alike, to the last bit."""
    import numpy as np

    try:
        answers = [each.predict(example, params, method=method) for each in (one, other)]
    except Exception as error:  # whatever the model or its framework raises
        raise ModelServingError(f"{method} of its input example failed ({error})") from error
    first, second = (np.asarray(answer) for answer in answers)
    numbers = first.dtype.kind in "fc" and second.dtype.kind in "fc"
    if not np.array_equal(first, second, equal_nan=numbers):
        raise ModelServingError(f"{method} of its input example would answer otherwise")
