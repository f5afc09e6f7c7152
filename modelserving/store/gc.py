"""Taking away what nothing refers to any more: trees of deleted versions, and what crashes left behind."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from modelserving.errors import DamagedStoreError
from modelserving.store import _fsops
from modelserving.store._failures import translated
from modelserving.store.records import Collected
from modelserving.store.tables import ALL, LOGGED, MODELS, RUNS, VERSIONS
from modelserving.store.trees import Trees

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from modelserving.store.index import Index

DAY = 24 * 3600.0
_CLOCKS_AGREE = 3600.0  # seconds between our clock and the file system's


def collect(index: Index, now: float, grace: float) -> Collected:
    """Remove what has been unreferenced for longer than ``grace`` seconds; ``now`` is in seconds since 1970.

    Under the write lock names are only taken away (renamed into ``trash/``); the bytes go afterwards. A tree
    that a living process is about to register is pinned by its stage and stays, whatever the grace.
    """
    root = index.root
    with translated(root):
        if not (root / "FORMAT").exists():
            return Collected()
        with index.writing() as db:
            reason = _clock_problem(db, root, now)
            if reason:
                return Collected(skipped=reason)
            removed, kept = _Sweep(db, root, now, grace).run()
        size = _empty_trash(root)
    return Collected(tuple(sorted(removed)), size, kept)


class _Sweep:
    """One pass under the write lock."""

    def __init__(self, db: sqlite3.Connection, root: Path, now: float, grace: float) -> None:
        self.db, self.root, self.now, self.grace = db, root, now, grace
        self.trees = Trees(root)

    def run(self) -> tuple[list[str], int]:
        # What is there is listed before the pins: a tree that appears in between is not in the list, and one
        # that was there before was pinned before.
        there = {
            name.removesuffix(".json") for folder in ("trees", "manifests") for name in self.names(folder)
        }
        logged, runs = self.names("logged"), self.names("runs")
        pins, busy = self.stages()
        needed = pins | self.referenced()
        removed, kept = [], 0
        for name in sorted(there - needed):
            if self.old(self.root / "trees" / name, f"sha256:{name}"):
                self.discard(name)
                removed.append(f"sha256:{name}")
            else:
                kept += 1
        if not busy:
            self.forget_unacknowledged(logged, runs)
        return removed, kept

    def names(self, folder: str) -> list[str]:
        return _fsops.names(self.root / folder)

    def referenced(self) -> set[str]:
        """The digests that a version or a run has; every row checked: a damaged one must cost no tree."""
        answer = self.db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if answer != "ok":
            raise DamagedStoreError(str(self.root / "registry.db"), str(answer))
        rows = (row for table in (VERSIONS, LOGGED) for row in table.select(self.db, "WHERE deleted IS NULL"))
        return {row["digest"].removeprefix("sha256:") for row in rows}

    def stages(self) -> tuple[set[str], bool]:
        """The digests that living stages pin, and whether there are any stages; dead ones are thrown away."""
        pins: set[str] = set()
        busy = False
        for name in self.names("tmp"):
            folder = self.root / "tmp" / name
            with suppress(
                FileNotFoundError
            ):  # a stage that ends now has committed nothing that we do not see
                if not folder.is_dir():
                    self.forget_file(folder)
                elif (held := _fsops.lock(folder, exclusive=True)) is None:
                    busy = True
                    pins.update(_fsops.names(folder))
                else:
                    self.throw_away(folder, held)
        return pins, busy

    def forget_file(self, file: Path) -> None:
        if self.now - file.lstat().st_mtime > DAY:
            _fsops.unlink(file)

    def throw_away(self, stage: Path, held: int) -> None:
        try:
            if self.now - stage.stat().st_mtime >= self.grace:
                _fsops.rename(stage, self.root / "trash" / f"{stage.name}.{uuid.uuid4().hex}")
        finally:
            os.close(held)

    def old(self, tree: Path, digest: str) -> bool:
        """Whether nothing has referred to a tree for the whole grace."""
        times = [0.0]
        with suppress(FileNotFoundError):
            times.append(tree.stat().st_mtime)
        for table in (VERSIONS, LOGGED):
            times += [row["deleted"] / 1000 for row in table.select(self.db, "WHERE digest = ?", [digest])]
        return self.now - max(times) >= self.grace

    def discard(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.trees.discard(f"sha256:{name}")
        with suppress(FileNotFoundError):
            _fsops.unlink(self.root / "manifests" / f"{name}.json")

    def forget_unacknowledged(self, logged: list[str], runs: list[str]) -> None:
        """Sidecars of what was never committed. No stage is alive, so nobody is about to commit them."""
        for table, folder, names in ((LOGGED, "logged", logged), (RUNS, "runs", runs)):
            for name in names:
                if table.get(self.db, name.removesuffix(".json")) is None:
                    self.forget(self.root / folder / name)
        for model in self.names("models"):
            row = MODELS.get(self.db, model)
            following = row["next_version"] if row else 1
            with suppress(FileNotFoundError):
                # the number is the next one, or there was no commit; more than one cannot be left over
                self.forget(self.root / "models" / model / "versions" / f"{following}.json")
            if row is None:
                with suppress(OSError):  # not empty
                    _fsops.rmdir(self.root / "models" / model / "versions")
                    _fsops.rmdir(self.root / "models" / model)

    def forget(self, file: Path) -> None:
        if self.now - file.stat().st_mtime >= self.grace:
            _fsops.unlink(file)


def _empty_trash(root: Path) -> int:
    """Remove what was thrown away; how many bytes that was."""
    size = 0
    for name in _fsops.names(root / "trash"):
        folder = root / "trash" / name
        with suppress(FileNotFoundError):  # another gc may be at it
            size += sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
            _fsops.remove_tree(folder)
    return size


def _clock_problem(db: sqlite3.Connection, root: Path, now: float) -> str:
    """Why the clock cannot be trusted with deleting by age, "" if it can."""
    times = [0]
    for table in ALL:
        columns = [
            column for column in ("created", "start_time", "end_time", "deleted") if column in table.columns
        ]
        times += [row[column] or 0 for row in table.select(db, "") for column in columns]
    newest = max(times) / 1000
    if now < newest:
        return f"the clock is {newest - now:.0f} s behind the newest entry of the store; set it right"
    probe = root / "tmp" / f"clock-{uuid.uuid4().hex}"
    _fsops.write_new(probe, [])
    try:
        apart = abs(probe.stat().st_mtime - now)
    finally:
        _fsops.unlink(probe)
    if apart > _CLOCKS_AGREE:
        return f"the clock and the file system's are {apart:.0f} s apart; set them right"
    return ""
