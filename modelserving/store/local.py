"""LocalStore: the default store, a folder on a local disk, for any number of processes at once."""

from __future__ import annotations

import os
import re
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelserving.errors import ModelNotFoundError, StoreError
from modelserving.store import doctor, exporting, gc, rebuild, sidecars
from modelserving.store._failures import FULL, from_system, translated
from modelserving.store.gc import DAY
from modelserving.store.reading import logged_of, run_of, version_of
from modelserving.store.registry import LocalRegistry, check_description, check_tags
from modelserving.store.tables import LOGGED, RUNS, VERSIONS, Row
from modelserving.store.trees import Stage, stage
from modelserving.store.unsynced import sync
from modelserving.uri import check_alias, check_artifact_name, check_name, check_run_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from modelserving.store.records import Collected, Finding, LoggedModel, Rebuilt, Run, Version
    from modelserving.uri import ModelURI


class LocalStore(LocalRegistry):
    """A store in the folder ``root``.

    What a method returned is on the disk, and stays through crash, ``kill -9`` and power cut. An error means
    that nothing visible changed. Nothing in the folder is absolute: move it, copy it, mount it elsewhere.

    Args:
        root: The folder. It is made by the first write, not before.
        seconds: How long to wait for other writers before :class:`StoreBusyError`.
        clock: Seconds since 1970; what a test gives instead of :func:`time.time`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = LocalStore(Path(folder, "store"))
        ...     run = store.create_run()
        ...     with store.stage() as model:
        ...         _ = (model / "MLmodel").write_text("flavors: {}")
        ...         _, version = store.log_model(model, "m", run_id=run.run_id, registered_model_name="iris")
        ...     store.close()
        ...     version.version
        1
    """

    def __init__(
        self, root: str | Path, *, seconds: float = 30.0, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(Path(os.path.abspath(root)), seconds, clock)  # noqa: PTH100 - Path.absolute() keeps '..'
        self._stages: dict[Path, Stage] = {}

    # -- runs ---------------------------------------------------------------------------------------------

    def create_run(self, name: str | None = None, *, tags: Mapping[str, str] | None = None) -> Run:
        """Begin a run; ``name`` is for people and need not be unique."""
        run_id = uuid.uuid4().hex
        row: Row = {
            "run_id": run_id,
            "name": name or f"run-{run_id[:8]}",
            "status": "RUNNING",
            "start_time": self._now(),
            "end_time": None,
            "tags": check_tags(tags),
            "deleted": None,
        }
        with self._stage() as aside:
            sidecars.write(self.root, RUNS, row, aside.folder)
            with self._index.writing() as db:
                if RUNS.get(db, run_id) is None:  # a rebuild may have found its sidecar meanwhile
                    RUNS.insert(db, row)
        return run_of(row)

    def finish_run(self, run_id: str, *, status: str = "FINISHED") -> Run:
        """End a run; ``status`` is ``FINISHED``, ``FAILED`` or ``KILLED``.

        Raises:
            RunNotFoundError: There is no such run.
        """
        if status not in {"FINISHED", "FAILED", "KILLED"}:
            raise StoreError(f"a run cannot end as {status!r}; choose 'FAILED', 'FINISHED' or 'KILLED'")
        check_run_id(run_id)
        with self._changing() as db:
            row = self._run(db, run_id) | {"status": status, "end_time": self._now()}
            self._update(db, RUNS, row)
        return run_of(row)

    def delete_run(self, run_id: str) -> None:
        """Delete a run and let go of the models logged in it; registered versions stay.

        Raises:
            RunNotFoundError: There is no such run.
        """
        check_run_id(run_id)
        with self._changing() as db:
            self._update(db, RUNS, self._run(db, run_id) | {"deleted": self._now()})
            for row in LOGGED.select(db, "WHERE run_id = ? AND deleted IS NULL", [run_id]):
                self._update(db, LOGGED, row | {"deleted": self._now()})

    # -- models -------------------------------------------------------------------------------------------

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """A private empty folder on the store's disk to build a model in; gone afterwards, logged or not."""
        with ExitStack() as stack:
            with translated(self.root):
                self._index.ensure()
                made = stack.enter_context(stage(self.root))
            self._stages[made.model] = made
            try:
                yield made.model
            except OSError as error:
                if error.errno in FULL:
                    raise from_system(error, self.root) from error
                raise
            finally:
                del self._stages[made.model]

    def log_model(
        self,
        folder: Path,
        name: str,
        *,
        run_id: str,
        model_id: str | None = None,
        registered_model_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        aliases: Sequence[str] = (),
        description: str = "",
        source: str | None = None,
    ) -> tuple[LoggedModel, Version | None]:
        """Keep the model built in ``folder``, and register it if a name is given: both or neither.

        Args:
            folder: What :meth:`stage` gave. It is taken, and no longer there afterwards.
            name: The name of the model in its run.
            run_id: The run.
            model_id: An id for it, ``m-`` and 32 hex digits; None makes one.
            registered_model_name: The registered model that gets a new version, made if there is none.
            tags: Of the new version.
            aliases: Names that point to the new version from now on.
            description: Of the new version.
            source: Where the version says it is from; None: ``runs:/<run_id>/<name>``.

        Raises:
            RunNotFoundError: There is no such run.
            NameTakenError: A model has this name in another case.
            DamagedModelError: Something in the folder is not a regular file.
            StoreFullError, StoreBusyError, StoreError: The store could not take it; nothing was kept.
        """
        made = self._stages.get(folder)
        if made is None:
            raise StoreError(f"cannot log {str(folder)!r}: build the model in the folder that stage() gives")
        model_id = _check_names(name, model_id, run_id, registered_model_name, aliases)
        with translated(self.root):
            ordinal = self._ordinal(run_id, name)
            digest, damaged = self._trees.put(made)
            logged: Row = {
                "model_id": model_id,
                "run_id": run_id,
                "name": name,
                "ordinal": ordinal,
                "digest": digest,
                "created": self._now(),
                "deleted": None,
            }
            sidecars.write(self.root, LOGGED, logged, made.folder)
            version = self._unnumbered(registered_model_name or "", logged, tags, description, source)
            prepared = sidecars.prepare(VERSIONS, version, made.folder) if registered_model_name else None
        with self._changing() as db:
            self._run(db, run_id)
            self._trees.ensure(made, digest, replace=damaged)
            self._insert_logged(db, logged, made)
            if prepared:
                version = self._insert_version(db, version, prepared, aliases)
        return logged_of(logged), version_of(version) if prepared else None

    def register(
        self,
        name: str,
        *,
        model_id: str,
        tags: Mapping[str, str] | None = None,
        aliases: Sequence[str] = (),
        description: str = "",
    ) -> Version:
        """Make a logged model the next version of ``name``, which is made if there is no such model.

        Raises:
            ModelNotFoundError: There is no logged model with this id.
            NameTakenError: A model has this name in another case.
        """
        check_name(name)
        for alias in aliases:
            check_alias(alias)
        with self._index.reading() as db:
            version = self._unnumbered(name, self._logged_by_id(db, model_id), tags, description, None)
        with self._stage() as aside:
            prepared = sidecars.prepare(VERSIONS, version, aside.folder)
            with self._changing() as db:
                self._logged_by_id(db, model_id)
                return version_of(self._insert_version(db, version, prepared, aliases))

    # -- the store as a whole -----------------------------------------------------------------------------

    def gc(self, *, grace: float = DAY) -> Collected:
        """Remove the files of models that nothing refers to, and what crashes left behind.

        Args:
            grace: Only what has been unreferenced for this many seconds. 0 is safe for writers; a day
                also gives time to servers that are about to load what was just deleted.

        Returns:
            What was removed, or why nothing was: a clock that cannot be right removes nothing.
        """
        return gc.collect(self._index, self._clock(), grace)

    def doctor(self, *, quick: bool = False) -> tuple[Finding, ...]:
        """Everything that is not as it should be; nothing is changed. ``quick`` does not read the models."""
        return doctor.examine(self._index, quick=quick)

    def rebuild(self) -> Rebuilt:
        """Make the index anew from the sidecars; the old one is kept as ``registry.db.old``.

        A version whose registration was cut off by a crash may appear, complete, though it was never
        acknowledged.
        """
        result = rebuild.rebuild(self._index, self._now())
        sync(self._index)
        return result

    def export(self, target: str | Path, uris: Sequence[ModelURI]) -> Path:
        """Write versions as a plain read-only folder, or as an archive if ``target`` ends in ``.tar``.

        What is written is read without SQLite, by :func:`open_store` too. It has the aliases of the versions
        in it, and no runs.

        Raises:
            ModelNotFoundError, VersionNotFoundError, AliasNotFoundError: There is no such version.
            DamagedModelError: The files of a version are not what was logged.
            StoreError: There is something at ``target``.
        """
        return exporting.export(self, Path(target), uris)

    def import_(self, source: str | Path) -> list[Version]:
        """Register every version of an export, each as the next of its name.

        A version whose very bytes the model has already is left out. An alias is set where there is none of
        its name.

        Raises:
            DamagedModelError: A file in the export is not what was exported.
            StoreError: It is not an export, or an archive that holds what it must not.
        """
        return exporting.take_in(self, Path(source))

    # -- what the methods above are made of ---------------------------------------------------------------

    @contextmanager
    def _stage(self) -> Iterator[Stage]:
        with translated(self.root):
            self._index.ensure()
            with stage(self.root) as made:
                yield made

    def _logged_by_id(self, db: sqlite3.Connection, model_id: str) -> Row:
        row = LOGGED.get(db, model_id)
        if row is None or row["deleted"] is not None:
            raise ModelNotFoundError(model_id, f"the store {str(self.root)!r}")
        return row

    def _ordinal(self, run_id: str, name: str) -> int:
        """Which model of this name in its run the next one will be, most likely."""
        with self._index.reading() as db:
            self._run(db, run_id)
            return _next_ordinal(db, run_id, name)

    def _insert_logged(self, db: sqlite3.Connection, row: Row, made: Stage) -> None:
        if LOGGED.get(db, row["model_id"]) is not None:  # a rebuild found its sidecar meanwhile
            return
        ordinal = _next_ordinal(db, row["run_id"], row["name"])
        if ordinal != row["ordinal"]:  # somebody logged under the same name in the same run meanwhile
            row["ordinal"] = ordinal
            sidecars.write(self.root, LOGGED, row, made.folder)
        LOGGED.insert(db, row)

    def _unnumbered(
        self, name: str, logged: Row, tags: Mapping[str, str] | None, description: str, source: str | None
    ) -> Row:
        """A version that has everything but its number."""
        return {
            "name": name,
            "digest": logged["digest"],
            "model_id": logged["model_id"],
            "run_id": logged["run_id"],
            "source": source or f"runs:/{logged['run_id']}/{logged['name']}",
            "created": self._now(),
            "tags": check_tags(tags),
            "description": check_description(description),
            "deleted": None,
        }


def _next_ordinal(db: sqlite3.Connection, run_id: str, name: str) -> int:
    where = "WHERE run_id = ? AND name = ? ORDER BY ordinal DESC LIMIT 1"
    last = LOGGED.select(db, where, [run_id, name])
    return int(last[0]["ordinal"]) + 1 if last else 1


def _check_names(
    name: str, model_id: str | None, run_id: str, registered: str | None, aliases: Sequence[str]
) -> str:
    """Check all names of a model to log; its id."""
    check_artifact_name(name)
    check_run_id(run_id)
    model_id = model_id or f"m-{uuid.uuid4().hex}"
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9-]{0,63}", model_id):
        raise StoreError(
            f"{model_id!r:.80} cannot be the id of a model; leave it out, or use letters, digits and '-'"
        )
    if registered is not None:
        check_name(registered)
    for alias in aliases:
        check_alias(alias)
    return model_id
