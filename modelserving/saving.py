"""Writing a model into a folder: its files, its MLmodel, its example, and the proof that it answers.

``save_model`` gives a folder; ``runs.log_model`` writes the same files into a store.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from modelserving import discovery, environment, golden
from modelserving.compile import TOLERANCE, Compile, add_twin, answers_alike_on_arrays
from modelserving.errors import ExampleError, PathTakenError, TrustFolderError
from modelserving.example import save_example
from modelserving.flavor import Flavor
from modelserving.mlmodel import FORMAT, MLmodel
from modelserving.model import load_written
from modelserving.signature.infer import column_notes, infer_signature
from modelserving.signature.schema import Signature
from modelserving.trust import manifest, policy

logger = logging.getLogger("modelserving")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What was written, and how to ask for it.

    Attributes:
        model_uri: ``models:/NAME/VERSION`` when registered, else ``runs:/RUN_ID/NAME``, else the folder.
        model_id: ``m-`` and 32 hexadecimal digits.
        run_id: The run it was logged in, None when it was saved to a folder.
        registered_model_name: The registered model it became a version of, None when not registered.
        registered_model_version: That version.
        digest: ``sha256:…`` of the whole folder.
        signature: What it takes and returns; None when neither given nor inferred.
        flavors: The names under ``flavors:`` in its MLmodel file, sorted.
    """

    model_uri: str
    model_id: str
    run_id: str | None
    registered_model_name: str | None
    registered_model_version: int | None
    digest: str
    signature: Signature | None
    flavors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is written; the keyword arguments that ``save_model`` and ``log_model`` share."""

    flavor: str | Flavor | None = None
    signature: Signature | None = None
    input_example: object = None
    code_paths: Sequence[str | os.PathLike[str]] = ()
    pip_requirements: Sequence[str] | None = None
    metadata: Mapping[str | int, object] | None = None
    method: str | None = None
    compile: Compile = "auto"
    compile_tolerance: float = TOLERANCE


def save_model(
    model: object,
    path: str | os.PathLike[str],
    *,
    flavor: str | Flavor | None = None,
    signature: Signature | None = None,
    input_example: object = None,
    code_paths: Sequence[str | os.PathLike[str]] = (),
    pip_requirements: Sequence[str] | None = None,
    metadata: Mapping[str | int, object] | None = None,
    method: str | None = None,
    compile: Compile = "auto",  # noqa: A002
    compile_tolerance: float = TOLERANCE,
) -> ModelInfo:
    """Write a model into a folder, complete or not at all.

    Args:
        model: A fitted estimator, a callable, an object with ``predict``, or whatever an installed flavor
            accepts.
        path: A folder that does not exist yet, or is empty.
        flavor: The flavor that shall save it, by name or as an object with options; chosen by the model's
            class if None.
        signature: What the model takes and returns; inferred from the example if None.
        input_example: Data the model can be asked with, or a pair of data and params. The saved model is
            loaded back and asked with it before this function returns.
        code_paths: Files and folders of Python code that the model needs, copied beside it.
        pip_requirements: Lines for ``requirements.txt``; the versions installed here if None.
        metadata: Anything to keep with the model; YAML values.
        method: What ``predict`` asks of it by default, such as ``predict_proba``.
        compile: ``auto`` adds an ONNX twin where one can be made and is proved equal to the model, ``onnx``
            raises where that cannot be, None adds none. Needs an input example, and the extra ``compile``.
        compile_tolerance: How far a number of the twin may be from the model's.

    Raises:
        NoFlavorError: No installed flavor can save it.
        SignatureError: The example is of a kind that no signature can describe.
        ExampleError: The saved model cannot answer its own example.
        CompileError: A twin is insisted on, and cannot be made or is not equal.
        PathTakenError: The folder holds something already.

    Example:
        >>> save_model(len, "length", input_example="four").flavors
        ('python_function',)
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise PathTakenError(str(target))
    options = Options(
        flavor,
        signature,
        input_example,
        code_paths,
        pip_requirements,
        metadata,
        method,
        compile,
        compile_tolerance,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        model_id = new_model_id()
        written = write_model(model, staged, options, model_id=model_id)
        found = manifest.scan(staged)
        manifest.write_recorded(staged, found)
        staged.chmod(0o755)
        staged.replace(target)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    remember(found.digest, str(target))
    return ModelInfo(
        str(target),
        model_id,
        None,
        None,
        None,
        found.digest,
        written.signature,
        tuple(sorted(written.flavors)),
    )


def remember(digest: str, note: str) -> None:
    """Vouch for a model that was made here.

    Where that cannot be kept, the model is still good: it will be asked about.
    """
    try:
        policy.remember(digest, note)
    except TrustFolderError as error:
        logger.warning("%s; loading this model again will need its digest as trust=", error)


def new_model_id() -> str:
    """``m-`` and 32 random hexadecimal digits."""
    return f"m-{os.urandom(16).hex()}"


def write_model(
    model: object,
    folder: Path,
    options: Options,
    *,
    model_id: str,
    artifact: str | None = None,
    run_id: str | None = None,
) -> MLmodel:
    """Write a model and everything about it into an empty folder that nobody else sees yet.

    Args:
        model: The model.
        folder: The folder.
        options: How to write it.
        model_id: Its id.
        artifact: The name it is logged under.
        run_id: The run it is logged in.

    Returns:
        What its MLmodel file says.
    """
    chosen = discovery.flavor_to_save(model, options.flavor)
    example, params = _example_and_params(options.input_example)
    entries = {name: dict(config) for name, config in chosen.save(model, folder, example=example).items()}
    noted = entries.pop("modelserving", {})
    if options.method and "predict_fn" in entries.get("python_function", {}):
        entries["python_function"]["predict_fn"] = options.method  # MLflow asks the same
    if options.code_paths:
        _copy_code(options.code_paths, folder / "code")
        for entry in entries.values():
            entry["code"] = "code"
    required = sorted({*chosen.requires, "numpy"})
    requirements = options.pip_requirements
    environment.write_environment(folder, environment.pin(required) if requirements is None else requirements)

    signature, ours = options.signature, _ours(chosen, required, options.method) | noted
    info = None
    if example is not None:
        info = save_example(example, folder, params=params)
        ours |= {key: notes for key, notes in column_notes(example).items() if notes}
        signature = signature or infer_signature(example, params=params)
    elif signature is None:
        logger.warning(
            "no signature and no input_example: requests to this model will not be checked; give one of them"
        )
    written = MLmodel(
        flavors=entries,
        signature=signature,
        model_id=model_id,
        model_uuid=model_id,
        artifact_path=artifact,
        run_id=run_id,
        utc_time_created=str(datetime.now(UTC).replace(tzinfo=None)),
        saved_input_example_info=info,
        metadata=options.metadata,
        model_size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        ours=ours,
    )
    if example is not None:
        written = _answered(written, folder, chosen, example, params, options=options)
    written.write(folder)
    return written


def _answered(
    written: MLmodel,
    folder: Path,
    flavor: Flavor,
    example: object,
    params: Mapping[str, object] | None,
    *,
    options: Options,
) -> MLmodel:
    """The same, once the saved files were loaded back and asked.

    With what was seen, and with a proved twin.
    """
    try:
        model = load_written(folder, written, flavor)
        predictions = model.predict(example, params)
    except Exception as error:  # whatever the model or its framework raises
        raise ExampleError(f"{type(error).__name__}: {error}") from error
    if written.signature is not None and options.signature is None:
        written = replace(written, signature=infer_signature(example, predictions, params))
    ours = {**written.ours, **golden.record(folder, written, predictions, model.predict)}
    if answers_alike_on_arrays(model, example):
        ours["arrays"] = True
    written = replace(written, ours=ours)
    return add_twin(
        model, folder, written, example, compile=options.compile, tolerance=options.compile_tolerance
    )


def _example_and_params(given: object) -> tuple[object, Mapping[str, object] | None]:
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        return given
    return given, None


def _ours(flavor: Flavor, required: Sequence[str], method: str | None) -> dict[str, object]:
    ours: dict[str, object] = {
        "format": FORMAT,
        "version": environment.installed(["modelserving"]).get("modelserving", "unknown"),
        "written_by": flavor.name,
        "environment": environment.installed(required),
    }
    return ours | ({"method": method} if method else {})


def _copy_code(paths: Sequence[str | os.PathLike[str]], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for each in map(Path, paths):
        if each.is_dir():
            shutil.copytree(each, folder / each.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(each, folder / each.name)
