"""Looking at everything a store holds, and saying what is not as it should be. Nothing is changed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from modelserving.errors import DamagedModelError, DamagedStoreError, ModelServingError
from modelserving.store import _fsops, sidecars
from modelserving.store.layout import FOLDERS, read_format
from modelserving.store.records import Finding
from modelserving.store.tables import ALL, LOGGED, MODELS, VERSIONS, Row, Table
from modelserving.store.trees import Trees, hexadecimal
from modelserving.store.unsynced import marked

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from modelserving.store.index import Index

_LAGS = {MODELS: {"next_version", "latest"}}  # a registration does not write model.json again


def examine(index: Index, *, quick: bool = False) -> tuple[Finding, ...]:
    """Everything that is wrong with a store; ``quick`` leaves the bytes of the models unread."""
    return tuple(_Examination(index, quick=quick).run())


class _Examination:
    """One look at a store."""

    def __init__(self, index: Index, *, quick: bool) -> None:
        self.index, self.root, self.quick = index, index.root, quick
        self.trees = Trees(self.root)
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        if not self.root.exists():
            return self.findings
        if not (self.root / "FORMAT").exists() and not self.names("models") and not self.names("runs"):
            self.add(
                "note",
                self.root / "FORMAT",
                "the store was never finished, nothing is in it; the next write goes on",
            )
            return self.findings
        self.layout()
        try:
            with self.index.reading() as db:
                self.database(db)
                rows = {table: table.select(db, "") for table in ALL}
                behind = {sidecars.path(self.root, table, row) for table, row in marked(db)}
        except ModelServingError as error:
            self.add("error", self.index.path, f"{error}")
            rows, behind = None, set()
        if rows is not None:
            self.numbers(rows)
            self.sidecars(rows, behind)
            self.unreferenced(rows)
            self.models(rows)
        self.leftovers()
        return self.findings

    def add(self, severity: str, file: Path, problem: str) -> None:
        self.findings.append(Finding(severity, str(file.relative_to(self.root)), problem))

    def layout(self) -> None:
        try:
            if read_format(self.root) is None:
                self.add("error", self.root / "FORMAT", "it is missing; run: modelserving store rebuild")
        except ModelServingError as error:
            self.add("error", self.root / "FORMAT", str(error))
        for name in FOLDERS:
            if not (self.root / name).is_dir():
                self.add("error", self.root / name, "the folder is missing; run: modelserving store rebuild")
        status = self.root.stat()
        if status.st_mode & 0o022:
            self.add(
                "warning",
                self.root / "FORMAT",
                "others may write to the store; run: chmod go-w on its folder",
            )
        if status.st_uid not in {os.getuid(), 0}:
            self.add(
                "warning", self.root / "FORMAT", f"the store belongs to user {status.st_uid}, not to you"
            )

    def database(self, db: sqlite3.Connection) -> None:
        for (answer,) in db.execute("PRAGMA integrity_check(20)").fetchall():
            if answer != "ok":
                self.add("error", self.index.path, f"{answer}; run: modelserving store rebuild")
        for table, *_ in db.execute("PRAGMA foreign_key_check").fetchall():
            self.add(
                "error",
                self.index.path,
                f"a row of {table!r} refers to nothing; run: modelserving store rebuild",
            )

    def numbers(self, rows: dict[Table, list[Row]]) -> None:
        """Versions are 1 to n without a gap, and aliases point to what is there."""
        numbers: dict[str, set[int]] = {row["name"]: set() for row in rows[MODELS]}
        live: set[tuple[str, int]] = set()
        for row in rows[VERSIONS]:
            numbers[row["name"]].add(row["version"])
            if row["deleted"] is None:
                live.add((row["name"], row["version"]))
        for row in rows[MODELS]:
            name = row["name"]
            if numbers[name] != set(range(1, row["next_version"])):
                self.add(
                    "error",
                    self.index.path,
                    f"versions of {name!r} are gone from it; run: modelserving store rebuild",
                )
            for alias, version in row["aliases"].items():
                if (name, version) not in live:
                    self.add(
                        "error",
                        self.index.path,
                        f"alias {alias!r} of {name!r} points to no version; set it again",
                    )

    def sidecars(self, rows: dict[Table, list[Row]], behind: set[Path]) -> None:
        known = set()
        for table, found in rows.items():
            for row in found:
                file = sidecars.path(self.root, table, row)
                known.add(file)
                if file in behind:
                    self.add("note", file, "it is older than the index; the next write renews it")
                else:
                    self.sidecar(table, row, file)
        for pattern in ("runs/*", "logged/*", "models/*/model.json", "models/*/versions/*"):
            for file in sorted(self.root.glob(pattern)):
                if file not in known:
                    self.add(
                        "note", file, "it was never acknowledged; gc removes it, a rebuild would take it over"
                    )

    def sidecar(self, table: Table, row: Row, file: Path) -> None:
        try:
            _, says = sidecars.read(file)
        except FileNotFoundError:
            self.add("error", file, "it is missing; any change of what it describes writes it again")
        except DamagedStoreError as error:
            self.add("error", file, f"{error.reason}; any change of what it describes writes it again")
        else:
            lags = _LAGS.get(table, set())
            differ = sorted(key for key in row if key not in lags and says.get(key) != row[key])
            if differ:
                self.add(
                    "error", file, f"it differs from the index in {', '.join(differ)}; the index is right"
                )

    def unreferenced(self, rows: dict[Table, list[Row]]) -> None:
        used = self.digests(rows)
        for folder in ("trees", "manifests"):
            for name in self.names(folder):
                if name.removesuffix(".json") not in used:
                    self.add(
                        "note",
                        self.root / folder / name,
                        "nothing refers to it; gc removes it after its grace",
                    )

    def models(self, rows: dict[Table, list[Row]]) -> None:
        for name in sorted(self.digests(rows)):
            folder = self.trees.folder(name)
            try:
                if self.quick:
                    self.trees.manifest(f"sha256:{name}")
                else:
                    self.trees.check(f"sha256:{name}")
            except DamagedModelError as error:
                self.add("error", folder, str(error))
                continue
            loose = [
                path for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.lstat().st_mode) & 0o222
            ]
            if loose:
                self.add(
                    "warning",
                    loose[0],
                    "it may be written to, which nothing should; run: chmod -R a-w on the tree",
                )

    def digests(self, rows: dict[Table, list[Row]]) -> set[str]:
        used = (row for table in (VERSIONS, LOGGED) for row in rows[table] if row["deleted"] is None)
        return {hexadecimal(row["digest"]) for row in used}

    def leftovers(self) -> None:
        for folder in ("tmp", "trash"):
            for name in self.names(folder):
                path = self.root / folder / name
                held = _fsops.lock(path, exclusive=True) if path.is_dir() else None
                if held is not None:
                    os.close(held)
                    self.add("note", path, "a process that ended left it; gc removes it")

    def names(self, folder: str) -> list[str]:
        return _fsops.names(self.root / folder) if (self.root / folder).is_dir() else []
