"""The reading half of a local store: nothing here writes, and what does not exist reads as empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelserving.errors import (
    AliasNotFoundError,
    DamagedStoreError,
    InvalidURIError,
    ModelNotFoundError,
    RunNotFoundError,
    StoreError,
    VersionNotFoundError,
)
from modelserving.store import sidecars
from modelserving.store._failures import translated
from modelserving.store.index import Index
from modelserving.store.records import Located, LoggedModel, Page, RegisteredModel, Run, Version
from modelserving.store.tables import LOGGED, MODELS, RUNS, VERSIONS, Row, Table
from modelserving.store.trees import Trees
from modelserving.uri import ModelURI, check_alias, check_name, check_run_id, check_version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_A_FEW = 10


class LocalReader:
    """What can be asked of the store at ``root``."""

    def __init__(self, root: Path, seconds: float) -> None:
        self.root = self.location = root
        self._index = Index(root, seconds)
        self._trees = Trees(root)

    def run(self, run_id: str) -> Run:
        """The run with this id.

        Raises:
            RunNotFoundError: There is none.
        """
        check_run_id(run_id)
        with self._index.reading() as db:
            return run_of(self._run(db, run_id))

    def logged(self, run_id: str, name: str) -> LoggedModel:
        """The model that was logged last under ``name`` in a run.

        Raises:
            RunNotFoundError: There is no such run.
            ModelNotFoundError: Nothing was logged in it under that name.
        """
        check_run_id(run_id)
        with self._index.reading() as db:
            return logged_of(self._logged(db, run_id, name))

    def model(self, name: str) -> RegisteredModel:
        """The registered model ``name``.

        Raises:
            ModelNotFoundError: There is none.
        """
        check_name(name)
        with self._index.reading() as db:
            return model_of(self._model(db, name))

    def version(self, name: str, version: int) -> Version:
        """One version of a registered model.

        Raises:
            ModelNotFoundError: There is no such model.
            VersionNotFoundError: It has no such version.
        """
        check_name(name)
        check_version(version)
        with self._index.reading() as db:
            return version_of(self._version(db, self._model(db, name), version))

    def locate(self, uri: ModelURI) -> Located:
        """Where the files of ``models:/…`` or ``runs:/…`` are, and what they must be.

        Alias and digest are read in one view: a reader sees the old version or the new one, whole. The files
        are not read here; compare ``located.manifest`` with what is there before using them.

        Raises:
            ModelNotFoundError, VersionNotFoundError, AliasNotFoundError, RunNotFoundError: There is no such
            thing. DamagedModelError: The model's manifest or folder is missing or was changed.
            DamagedStoreError: The index is not what was written.
        """
        with self._index.reading() as db:
            if uri.kind == "run" and uri.run_id and uri.path:
                found = self._logged(db, uri.run_id, uri.path)
                return self._located(
                    found["digest"], found["model_id"], found["run_id"], artifact=found["name"]
                )
            if uri.kind == "path" or not uri.name:
                raise InvalidURIError(str(uri), "a folder is not in a store")
            model = self._model(db, uri.name)
            row = self._version(db, model, number_of(model, uri))
            logged = LOGGED.get(db, row["model_id"])
        return self._located(
            row["digest"],
            row["model_id"],
            row["run_id"],
            name=row["name"],
            version=row["version"],
            artifact=logged["name"] if logged else None,
            alias=uri.alias,
        )

    def models(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        limit: int = 100,
        page: str | None = None,
    ) -> Page[RegisteredModel]:
        """Registered models in the order of their names.

        Args:
            name: Only those whose name contains this.
            tags: Only those that have all of these tags.
            limit: At most this many on one page.
            page: The ``next`` of the page before.
        """
        where, values = _filter(tags, "deleted IS NULL AND name > ? AND instr(name, ?)", [page or "", name])
        with self._index.reading() as db:
            rows = MODELS.select(db, f"WHERE {where} ORDER BY name LIMIT ?", [*values, _limit(limit) + 1])
        following = rows[limit - 1]["name"] if len(rows) > limit else None
        return Page(tuple(model_of(row) for row in rows[:limit]), following)

    def versions(self, name: str, *, limit: int = 100, page: str | None = None) -> Page[Version]:
        """The versions of a registered model, the newest first.

        Raises:
            ModelNotFoundError: There is no such model.
        """
        check_name(name)
        before = _token(page) if page else 1 << 62
        with self._index.reading() as db:
            self._model(db, name)
            where = "WHERE name = ? AND version < ? AND deleted IS NULL ORDER BY version DESC LIMIT ?"
            rows = VERSIONS.select(db, where, [name, before, _limit(limit) + 1])
        following = str(rows[limit - 1]["version"]) if len(rows) > limit else None
        return Page(tuple(version_of(row) for row in rows[:limit]), following)

    def search(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        digest: str | None = None,
        run_id: str | None = None,
        limit: int = 100,
        page: str | None = None,
    ) -> Page[Version]:
        """Versions of all registered models that match every condition given, by name and number.

        Args:
            name: Part of the model's name.
            tags: Tags of the version.
            digest: The digest of the model's folder, ``sha256:…``.
            run_id: The run it was logged in.
            limit: At most this many on one page.
            page: The ``next`` of the page before.
        """
        after, _, number = (page or "/0").partition("/")
        condition = "deleted IS NULL AND (name, version) > (?, ?) AND instr(name, ?)"
        where, values = _filter(tags, condition, [after, _token(number), name])
        for column, wanted in (("digest", digest), ("run_id", run_id)):
            if wanted is not None:
                where, values = f"{where} AND {column} = ?", [*values, wanted]
        with self._index.reading() as db:
            rows = VERSIONS.select(
                db, f"WHERE {where} ORDER BY name, version LIMIT ?", [*values, _limit(limit) + 1]
            )
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            tuple(version_of(row) for row in rows[:limit]),
            f"{last['name']}/{last['version']}" if last else None,
        )

    def rows(self, wanted: Iterable[tuple[str, int]]) -> tuple[list[Row], list[Row]]:
        """For an export: the rows of these versions' models, with their aliases only, and of the versions."""
        chosen = sorted(set(wanted))
        models, versions = [], []
        with self._index.reading() as db:
            for name in sorted({name for name, _ in chosen}):
                row = self._model(db, name)
                numbers = [number for other, number in chosen if other == name]
                versions += [self._version(db, row, number) for number in numbers]
                aliases = {alias: number for alias, number in row["aliases"].items() if number in numbers}
                models.append(row | {"aliases": aliases, "latest": numbers[-1]})
        return models, versions

    def close(self) -> None:
        """Close what this thread has open; the next use opens it again."""
        self._index.close()

    def _located(self, digest: str, model_id: str, run_id: str, **rest: object) -> Located:
        with translated(self.root):
            manifest = self._trees.manifest(digest)
        return Located(self._trees.folder(digest), digest, manifest, model_id=model_id, run_id=run_id, **rest)  # type: ignore[arg-type]

    def _run(self, db: sqlite3.Connection, run_id: str) -> Row:
        row = RUNS.get(db, run_id)
        if row is None:
            self._not_lost(db, RUNS, {"run_id": run_id})
        if row is None or row["deleted"] is not None:
            raise RunNotFoundError(run_id, f"the store {str(self.root)!r}")
        return row

    def _logged(self, db: sqlite3.Connection, run_id: str, name: str) -> Row:
        self._run(db, run_id)
        where = "WHERE run_id = ? AND name = ? AND deleted IS NULL ORDER BY ordinal DESC LIMIT 1"
        rows = LOGGED.select(db, where, [run_id, name])
        if rows:
            return rows[0]
        self._sound(db)
        there = LOGGED.select(db, "WHERE run_id = ? AND deleted IS NULL LIMIT ?", [run_id, _A_FEW])
        raise ModelNotFoundError(name, f"the run {run_id!r}", sorted({row["name"] for row in there}))

    def _model(self, db: sqlite3.Connection, name: str) -> Row:
        row = MODELS.get(db, name)
        if row is None:
            self._not_lost(db, MODELS, {"name": name})
        if row is None or row["deleted"] is not None:
            there = MODELS.select(db, "WHERE deleted IS NULL ORDER BY name LIMIT ?", [_A_FEW])
            raise ModelNotFoundError(name, f"the store {str(self.root)!r}", [row["name"] for row in there])
        return row

    def _version(self, db: sqlite3.Connection, model: Row, version: int) -> Row:
        row = VERSIONS.get(db, model["name"], version)
        if row is None and version < model["next_version"]:
            reason = f"version {version} of {model['name']!r} is gone from it"  # deleted ones stay, marked
            raise DamagedStoreError(str(self._index.path), reason)
        if row is None or row["deleted"] is not None:
            where = "WHERE name = ? AND deleted IS NULL ORDER BY version DESC LIMIT ?"
            there = VERSIONS.select(db, where, [model["name"], _A_FEW])
            raise VersionNotFoundError(model["name"], version, [row["version"] for row in there])
        return row

    def _not_lost(self, db: sqlite3.Connection, table: Table, row: Row) -> None:
        """What the index does not know, but a sidecar does, may have been lost: look closely first."""
        if sidecars.path(self.root, table, row).exists():
            self._sound(db)
            table.select(db, "")  # every row is checked

    def _sound(self, db: sqlite3.Connection) -> None:
        answer = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if answer != "ok":
            raise DamagedStoreError(str(self._index.path), str(answer))


def run_of(row: Row) -> Run:
    """The record of a row."""
    return Run(**{key: row[key] for key in ("run_id", "name", "status", "start_time", "end_time", "tags")})


def logged_of(row: Row) -> LoggedModel:
    """The record of a row."""
    return LoggedModel(**{key: row[key] for key in ("model_id", "name", "run_id", "digest", "created")})


def model_of(row: Row) -> RegisteredModel:
    """The record of a row."""
    keys = ("name", "aliases", "tags", "description", "latest", "created")
    return RegisteredModel(**{key: row[key] for key in keys})


def version_of(row: Row) -> Version:
    """The record of a row."""
    return Version(**{key: row[key] for key in VERSIONS.columns if key != "deleted"})


def number_of(model: Row, uri: ModelURI) -> int:
    """The version that a URI means."""
    if uri.kind == "alias":
        check_alias(uri.alias or "")
        if uri.alias not in model["aliases"]:
            raise AliasNotFoundError(model["name"], str(uri.alias), sorted(model["aliases"]))
        return int(model["aliases"][uri.alias])
    if uri.kind == "latest":
        if model["latest"] is None:
            raise VersionNotFoundError(model["name"], "latest")
        return int(model["latest"])
    return int(uri.version or 0)


def _filter(tags: Mapping[str, str] | None, where: str, values: list[object]) -> tuple[str, list[object]]:
    for key, value in (tags or {}).items():
        where += " AND EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)"
        values = [*values, key, value]
    return where, values


def _limit(limit: int) -> int:
    if not 1 <= limit <= 10_000:
        raise StoreError(f"a page of {limit!r} is not possible; ask for 1 to 10000")
    return limit


def _token(page: str) -> int:
    if not page.isascii() or not page.isdigit():
        raise StoreError(f"{page[:40]!r} is not the 'next' of a page; give back what the page before said")
    return int(page)
