"""Runs, and logging a model into one: what ties a model to a run and to a registered name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Self

from modelserving.compile import TOLERANCE, Compile
from modelserving.errors import StoreError
from modelserving.flavor import Flavor
from modelserving.mlmodel import MLmodel
from modelserving.saving import ModelInfo, Options, new_model_id, remember, write_model
from modelserving.signature.schema import Signature
from modelserving.store import Run, Store, Version, open_store
from modelserving.trust import policy
from modelserving.trust.manifest import RECORDED
from modelserving.uri import ModelURI

_active: ContextVar[ActiveRun | None] = ContextVar("modelserving_active_run", default=None)


class ActiveRun:
    """A run that models are logged into until it ends; use it with ``with``.

    Attributes:
        info: Its record, with ``run_id``.
        store: The store that keeps it.
    """

    def __init__(self, info: Run, store: Store) -> None:
        self.info, self.store = info, store

    def __repr__(self) -> str:
        return f"<ActiveRun {self.info.run_id}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("FINISHED" if kind is None else "FAILED")

    def end(self, status: str = "FINISHED") -> None:
        """End the run. Ending it twice changes nothing."""
        if _active.get() is self:
            _active.set(None)
            self.store.finish_run(self.info.run_id, status=status)


def start_run(
    *,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | os.PathLike[str] | Store | None = None,
) -> ActiveRun:
    """Begin a run; it is the active one of this thread or task until it ends.

    Args:
        name: What people shall call it.
        tags: Anything to keep with it.
        store: A store or its location; ``MODELSERVING_STORE``, else ``./modelstore``, if None.

    Raises:
        StoreError: A run is active already, or the store cannot take it.

    Example:
        >>> with start_run() as run:
        ...     info = log_model(len, "length")
        >>> info.run_id == run.info.run_id
        True
    """
    active = _active.get()
    if active is not None:
        raise StoreError(f"run {active.info.run_id!r} is active; end it before you start another")
    opened = open_store(store)
    run = ActiveRun(opened.create_run(name, tags=tags), opened)
    _active.set(run)
    return run


def active_run() -> ActiveRun | None:
    """The run of this thread or task that has not ended, None if there is none."""
    return _active.get()


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one."""
    run = _active.get()
    if run is not None:
        run.end(status)


def log_model(
    model: object,
    name: str,
    *,
    registered_model_name: str | None = None,
    flavor: str | Flavor | None = None,
    signature: Signature | None = None,
    input_example: object = None,
    code_paths: Sequence[str | os.PathLike[str]] = (),
    pip_requirements: Sequence[str] | None = None,
    metadata: Mapping[str | int, object] | None = None,
    tags: Mapping[str, str] | None = None,
    method: str | None = None,
    compile: Compile = "auto",  # noqa: A002
    compile_tolerance: float = TOLERANCE,
    store: str | os.PathLike[str] | Store | None = None,
) -> ModelInfo:
    """Write a model into the store, complete or not at all, and register it if asked to.

    Without an active run one is opened for it and ended.

    Args:
        model: A fitted estimator, a callable, an object with ``predict``, or whatever an installed flavor
            accepts.
        name: What it is called in its run, as in ``runs:/RUN_ID/NAME``.
        registered_model_name: Make it the next version of this registered model.
        flavor: The flavor that shall save it; chosen by the model's class if None.
        signature: What the model takes and returns; inferred from the example if None.
        input_example: Data the model can be asked with, or a pair of data and params; see
            :func:`modelserving.save_model`.
        code_paths: Files and folders of Python code that the model needs.
        pip_requirements: Lines for ``requirements.txt``; the versions installed here if None.
        metadata: Anything to keep inside the model; YAML values.
        tags: Anything to keep with the registered version, changeable later.
        method: What ``predict`` asks of it by default.
        compile: ``auto``, ``onnx`` or None: whether to add a proved ONNX twin; see
            :func:`modelserving.save_model`.
        compile_tolerance: How far a number of the twin may be from the model's.
        store: A store or its location; that of the active run, else ``MODELSERVING_STORE``, else
            ``./modelstore``.

    Returns:
        When this function returns, the model is on disk and stays there whatever happens to this process.

    Raises:
        NoFlavorError: No installed flavor can save it.
        ExampleError: The saved model cannot answer its own example.
        CompileError: A twin is insisted on, and cannot be made or is not equal.
        StoreError: The store cannot take it.

    Example:
        >>> info = log_model(len, "length", registered_model_name="Length", input_example="four")
        >>> info.model_uri
        'models:/Length/1'
    """
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
    model_id = new_model_id()
    with _active_or_new(store) as run, run.store.stage() as folder:
        run_id = run.info.run_id
        written = write_model(model, folder, options, model_id=model_id, artifact=name, run_id=run_id)
        logged, version = run.store.log_model(
            folder,
            name,
            run_id=run_id,
            model_id=model_id,
            registered_model_name=registered_model_name,
            tags=tags,
        )
    model_uri = f"models:/{version.name}/{version.version}" if version else f"runs:/{run_id}/{name}"
    remember(logged.digest, model_uri)
    return ModelInfo(
        model_uri=model_uri,
        model_id=model_id,
        run_id=run_id,
        registered_model_name=version.name if version else None,
        registered_model_version=version.version if version else None,
        digest=logged.digest,
        signature=written.signature,
        flavors=tuple(sorted(written.flavors)),
    )


@contextmanager
def _active_or_new(store: str | os.PathLike[str] | Store | None) -> Iterator[ActiveRun]:
    """The active run if it is of this store, else a new one that ends with the block."""
    active = _active.get()
    if active is not None and (store is None or open_store(store).root == active.store.root):
        yield active
        return
    token = _active.set(None)
    try:
        with start_run(store=store) as run:
            yield run
    finally:
        _active.reset(token)


def register_model(
    model_uri: str | os.PathLike[str],
    name: str,
    *,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    store: str | os.PathLike[str] | Store | None = None,
) -> Version:
    """Make a model the next version of a registered model.

    Args:
        model_uri: A model of this store, or the path of a folder, which is copied into the store.
        name: The registered model; it is made if there is none of this name.
        tags: Anything to keep with the version.
        description: What people shall read of the version.
        store: A store or its location; that of the active run, else ``MODELSERVING_STORE``, else
            ``./modelstore``.

    Raises:
        InvalidURIError: The URI or the name cannot be.
        StoreError: There is no such model, or the store cannot take the version.

    Example:
        >>> info = log_model(len, "length")
        >>> register_model(info.model_uri, "Lengths").version
        1
    """
    run = _active.get()
    opened = run.store if store is None and run is not None else open_store(store)
    asked = ModelURI.parse(os.fspath(model_uri))
    if asked.kind == "path":
        model_id = _copy_in(opened, Path(str(asked.path)))
    else:
        model_id = str(opened.locate(asked).model_id)
    return opened.register(name, model_id=model_id, tags=tags, description=description)


def _copy_in(store: Store, folder: Path) -> str:
    """The id, in the store, of a model that was outside of it. No trust comes with it."""
    verified = policy.open_folder(folder)
    MLmodel.read(verified.folder)  # what is no model is not taken in
    run = store.create_run(f"import of {folder.name}")
    with store.stage() as staged:
        shutil.copytree(verified.folder, staged, dirs_exist_ok=True, ignore=shutil.ignore_patterns(RECORDED))
        logged, _ = store.log_model(staged, folder.resolve().name, run_id=run.run_id, source=str(folder))
    store.finish_run(run.run_id)
    return logged.model_id
