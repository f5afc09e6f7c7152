"""Making the index anew from the sidecars, after it was lost or damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from modelserving.errors import DamagedModelError, DamagedStoreError, ModelServingError, StoreError
from modelserving.store import _fsops, schema, sidecars
from modelserving.store._failures import translated
from modelserving.store.layout import FOLDERS, STORE, read_format, write_format
from modelserving.store.records import Finding, Rebuilt
from modelserving.store.tables import LOGGED, MODELS, RUNS, VERSIONS, Row, Table
from modelserving.store.trees import Trees, stage
from modelserving.store.unsynced import mark
from modelserving.trust.manifest import scan
from modelserving.uri import check_name

if TYPE_CHECKING:
    from pathlib import Path

    from modelserving.store.index import Index


def rebuild(index: Index, now: int) -> Rebuilt:
    """Put a new index, made from the sidecars, in the place of the old one, kept as ``registry.db.old``.

    All writers wait meanwhile. ``now`` is in milliseconds since 1970; what must be marked as deleted gets it.
    """
    root = index.root
    with translated(root):
        _restore_format(root)
        with index.offline(), stage(root) as aside:
            new = aside.folder / "registry.db"
            with closing(sqlite3.connect(new, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=EXTRA")
                db.execute("BEGIN EXCLUSIVE")
                schema.create(db)
                result = _Rebuild(db, root, now).run()
                _fsops.step("commit", new)
                db.execute("COMMIT")
            index.recover()
            for name in ("registry.db", "registry.db-journal"):
                with suppress(FileNotFoundError):
                    _fsops.unlink(root / f"{name}.old")
                with suppress(
                    OSError
                ):  # kept where the file system knows hard links; the new index is what counts
                    _fsops.link(root / name, root / f"{name}.old")
            # What recovery left is of no use; left beside the new index it would be rolled back into it.
            with suppress(FileNotFoundError):
                _fsops.unlink(root / "registry.db-journal")
            _fsops.rename(new, root / "registry.db")
            _fsops.sync(root)
    return result


def _restore_format(root: Path) -> None:
    try:
        kind = read_format(root)
    except DamagedStoreError:
        kind = None
    if kind not in {None, STORE}:
        raise StoreError(f"{str(root)!r} is an export, which has no index; import it into a store")
    if kind is None:
        missing = [name for name in ("trees", "models") if not (root / name).is_dir()]
        if missing:
            raise StoreError(
                f"{str(root)!r} is not a model store: it has no folder {missing[0]!r}; name a store"
            )
        for name in FOLDERS:
            _fsops.make_folders(root / name, root)
        write_format(root, STORE, root / "tmp")


class _Rebuild:
    """One reading of all sidecars into an empty index."""

    def __init__(self, db: sqlite3.Connection, root: Path, now: int) -> None:
        self.db, self.root, self.now = db, root, now
        self.trees = Trees(root)
        self.problems: list[Finding] = []
        self.usable: dict[str, bool] = {}

    def run(self) -> Rebuilt:
        for table, folder in ((RUNS, "runs"), (LOGGED, "logged")):
            for name in _fsops.names(self.root / folder):
                row = self.read(table, self.root / folder / name)
                if row is not None:
                    self.insert(table, row)
        for name in _fsops.names(self.root / "models"):
            self.model(name)
        count = {
            table: len(table.select(self.db, "WHERE deleted IS NULL")) for table in (MODELS, VERSIONS, RUNS)
        }
        return Rebuilt(count[MODELS], count[VERSIONS], count[RUNS], tuple(self.problems))

    def insert(self, table: Table, row: Row) -> None:
        if table is LOGGED and RUNS.get(self.db, row["run_id"]) is None:
            self.problem(
                sidecars.path(self.root, RUNS, row), "it is missing: the run is only known by its models"
            )
            run = {
                "run_id": row["run_id"],
                "name": f"run-{row['run_id'][:8]}",
                "status": "FINISHED",
                "start_time": row["created"],
                "end_time": None,
                "tags": {},
                "deleted": None,
            }
            RUNS.insert(self.db, run)
            mark(self.db, RUNS, run)
        if table is LOGGED and row["deleted"] is None and not self.complete(row["digest"]):
            row = row | {"deleted": self.now}
            mark(self.db, table, row)
        try:
            table.insert(self.db, row)
        except sqlite3.IntegrityError as error:
            self.problem(sidecars.path(self.root, table, row), f"it contradicts another: {error}")

    def model(self, name: str) -> None:
        """A model and its versions. The numbers in ``model.json`` may lag behind; what is there counts."""
        folder = self.root / "models" / name
        versions = self.versions(name, folder / "versions")
        row = self.read(MODELS, folder / "model.json", missing=len(versions) > 1)
        try:
            check_name(name)
        except ModelServingError as error:
            self.problem(folder, str(error))
            return
        if row is None and not versions:
            return
        found = row or {
            "name": name,
            "folded": name.casefold(),
            "next_version": 1,
            "aliases": {},
            "tags": {},
            "description": "",
            "created": min((version["created"] for version in versions), default=self.now),
            "deleted": None,
        }
        live = {version["version"] for version in versions if version["deleted"] is None}
        if live and found["deleted"] is not None:  # registered again, and the mark of it not yet synced
            found |= {"deleted": None, "aliases": {}, "tags": {}, "description": ""}
        lost = {alias for alias, version in found["aliases"].items() if version not in live}
        for alias in sorted(lost):
            self.problem(
                folder / "model.json",
                f"its alias {alias!r} points to a version that is not there; set it again",
            )
        following = max([found["next_version"], *(version["version"] + 1 for version in versions)])
        found |= {
            "aliases": {alias: version for alias, version in found["aliases"].items() if alias not in lost},
            "next_version": following,
            "latest": max(live, default=None),
        }
        try:
            MODELS.insert(self.db, found)
        except sqlite3.IntegrityError:
            self.problem(folder, "another model has its name in another case")
            return
        if row is None or lost:
            mark(self.db, MODELS, found)
        known = {version["version"]: version for version in versions}
        for number in range(1, following):
            self.version(name, number, known.get(number))

    def version(self, name: str, number: int, row: Row | None) -> None:
        """A version, or a tombstone for a number whose version cannot be had back: it is not used again."""
        file = self.root / "models" / name / "versions" / f"{number}.json"
        if row is None:
            self.problem(file, "it is missing or damaged: the version is lost, its number stays taken")
            row = {
                "name": name,
                "version": number,
                "digest": "",
                "model_id": "",
                "run_id": "",
                "source": "",
                "created": self.now,
                "tags": {},
                "description": "",
                "deleted": self.now,
            }
            mark(self.db, VERSIONS, row)
        elif row["deleted"] is None and not self.complete(row["digest"]):
            row = row | {"deleted": self.now}
            mark(self.db, VERSIONS, row)
        VERSIONS.insert(self.db, row)

    def versions(self, name: str, folder: Path) -> list[Row]:
        if not folder.is_dir():
            return []
        rows = []
        for file in _fsops.names(folder):
            row = self.read(VERSIONS, folder / file)
            if row is not None and row["name"] == name and row["version"] > 0:
                rows.append(row)
            elif row is not None:
                self.problem(folder / file, "it is of another model")
        return rows

    def read(self, table: Table, file: Path, *, missing: bool = True) -> Row | None:
        try:
            found, row = sidecars.read(file)
        except FileNotFoundError:
            if missing:
                self.problem(file, "it is missing")
            return None
        except DamagedStoreError as error:
            self.problem(file, error.reason)
            return None
        if found is not table:
            self.problem(file, f"it is of {found.name!r}, not of {table.name!r}")
            return None
        return row

    def complete(self, digest: str) -> bool:
        """Whether the model is there, its manifest written again if only that was lost."""
        if digest not in self.usable:
            self.usable[digest] = self._complete(digest)
        return self.usable[digest]

    def _complete(self, digest: str) -> bool:
        folder = self.trees.folder(digest)
        try:
            self.trees.manifest(digest)
        except DamagedModelError as error:
            try:
                manifest = scan(folder)
            except DamagedModelError:
                manifest = None
            if manifest is None or manifest.digest != digest:
                self.problem(folder, f"the versions that need it are lost: {error}")
                return False
            with stage(self.root) as aside:
                self.trees.write_manifest(aside, manifest)
        return True

    def problem(self, file: Path, text: str) -> None:
        self.problems.append(Finding("error", str(file.relative_to(self.root)), text))
