"""What may change about registered models: aliases, tags, descriptions, and whether they are there."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelserving.errors import AliasMovedError, AliasNotFoundError, NameTakenError, StoreError
from modelserving.store import sidecars
from modelserving.store.reading import LocalReader
from modelserving.store.tables import LOGGED, MODELS, VERSIONS, Row, Table
from modelserving.store.unsynced import mark, sync
from modelserving.uri import check_alias, check_name, check_version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import EllipsisType


class LocalRegistry(LocalReader):
    """The registered models of the store at ``root``; each method is one commit."""

    def __init__(self, root: Path, seconds: float, clock: Callable[[], float] = time.time) -> None:
        super().__init__(root, seconds)
        self._clock = clock

    def set_alias(
        self, name: str, alias: str, version: int, *, expected: int | EllipsisType | None = ...
    ) -> None:
        """Let an alias point to a version, in one step for all readers.

        Args:
            name: The registered model.
            alias: Such as ``champion``.
            version: Where it shall point.
            expected: Only if it points there now (None: only if it is not set). Left out: whatever it is.

        Raises:
            AliasMovedError: It does not point to ``expected``; nothing was changed.
            ModelNotFoundError, VersionNotFoundError: There is no such thing.
        """
        check_name(name)
        check_alias(alias)
        check_version(version)
        with self._changing() as db:
            row = self._model(db, name)
            self._version(db, row, version)
            actual = row["aliases"].get(alias)
            if expected is not ... and expected != actual:
                raise AliasMovedError(name, alias, expected, actual)
            row["aliases"][alias] = version
            self._update(db, MODELS, row)

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays.

        Raises:
            AliasNotFoundError: There is none.
        """
        check_name(name)
        check_alias(alias)
        with self._changing() as db:
            row = self._model(db, name)
            if alias not in row["aliases"]:
                raise AliasNotFoundError(name, alias, sorted(row["aliases"]))
            del row["aliases"][alias]
            self._update(db, MODELS, row)

    def set_tag(self, name: str, key: str, value: str, *, version: int | None = None) -> None:
        """Set a tag of a model, or of one of its versions."""
        check_tags({key: value})
        with self._changing() as db:
            table, row = self._subject(db, name, version)
            row["tags"][key] = value
            self._update(db, table, row)

    def delete_tag(self, name: str, key: str, *, version: int | None = None) -> None:
        """Remove a tag; one that is not there is no error."""
        with self._changing() as db:
            table, row = self._subject(db, name, version)
            row["tags"].pop(key, None)
            self._update(db, table, row)

    def set_description(self, name: str, text: str, *, version: int | None = None) -> None:
        """Describe a model, or one of its versions; "" removes the description."""
        check_description(text)
        with self._changing() as db:
            table, row = self._subject(db, name, version)
            row["description"] = text
            self._update(db, table, row)

    def delete_version(self, name: str, version: int, *, purge: bool = False) -> None:
        """Delete a version, with the aliases that point to it; its number is never used again.

        Its files stay while a run has the model they belong to, and after that until ``gc`` finds them older
        than its grace.

        Args:
            name: The registered model.
            version: The version.
            purge: Let its run go of the model too, if no other version was registered from it.
        """
        check_name(name)
        check_version(version)
        with self._changing() as db:
            model = self._model(db, name)
            self._delete_version(db, self._version(db, model, version), purge=purge)
            model["aliases"] = {
                alias: number for alias, number in model["aliases"].items() if number != version
            }
            where = "WHERE name = ? AND deleted IS NULL ORDER BY version DESC LIMIT 1"
            rest = VERSIONS.select(db, where, [name])
            model["latest"] = rest[0]["version"] if rest else None
            self._update(db, MODELS, model)

    def delete_model(self, name: str, *, purge: bool = False) -> None:
        """Delete a model with all its versions. Registered again later, it goes on with the next number."""
        check_name(name)
        with self._changing() as db:
            model = self._model(db, name)
            for row in VERSIONS.select(db, "WHERE name = ? AND deleted IS NULL", [name]):
                self._delete_version(db, row, purge=purge)
            gone: Row = {"aliases": {}, "tags": {}, "description": "", "latest": None, "deleted": self._now()}
            self._update(db, MODELS, model | gone)

    # -- what the methods above, and those of LocalStore, are made of --------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One commit, and after it the sidecars of whatever it marked."""
        with self._index.writing() as db:
            yield db
            behind = db.execute("SELECT 1 FROM unsynced LIMIT 1").fetchone() is not None
        if behind:
            sync(self._index)

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _subject(self, db: sqlite3.Connection, name: str, version: int | None) -> tuple[Table, Row]:
        check_name(name)
        model = self._model(db, name)
        if version is None:
            return MODELS, model
        check_version(version)
        return VERSIONS, self._version(db, model, version)

    def _update(self, db: sqlite3.Connection, table: Table, row: Row) -> None:
        table.update(db, row)
        mark(db, table, row)

    def _delete_version(self, db: sqlite3.Connection, row: Row, *, purge: bool) -> None:
        self._update(db, VERSIONS, row | {"deleted": self._now()})
        where = "WHERE digest = ? AND deleted IS NULL"
        if purge and not any(
            other["model_id"] == row["model_id"] for other in VERSIONS.select(db, where, [row["digest"]])
        ):
            logged = LOGGED.get(db, row["model_id"])
            if logged is not None and logged["deleted"] is None:
                self._update(db, LOGGED, logged | {"deleted": self._now()})

    def _insert_version(
        self, db: sqlite3.Connection, version: Row, prepared: Path, aliases: Sequence[str]
    ) -> Row:
        """Insert the next version of its model, and the model if need be; its sidecar gets its name last."""
        name = version["name"]
        model = MODELS.get(db, name)
        fresh: Row = {"latest": None, "aliases": {}, "tags": {}, "description": "", "deleted": None}
        if model is None:
            taken = MODELS.select(db, "WHERE folded = ?", [name.casefold()])
            if taken:
                raise NameTakenError(name, taken[0]["name"])
            model = {
                "name": name,
                "folded": name.casefold(),
                "next_version": 1,
                "created": self._now(),
                **fresh,
            }
            MODELS.insert(db, model)
            mark(db, MODELS, model)
        elif model["deleted"] is not None:
            model |= fresh
            mark(db, MODELS, model)
        number = model["next_version"]
        row = version | {"version": number}
        model |= {"next_version": number + 1, "latest": number}
        model["aliases"] |= dict.fromkeys(aliases, number)
        MODELS.update(db, model)
        VERSIONS.insert(db, row)
        if aliases:
            mark(db, MODELS, model)
        sidecars.place(self.root, VERSIONS, row, prepared)
        return row


def check_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Tags as they are stored.

    Raises:
        StoreError: A key or a value is not text, or too long.
    """
    for key, value in (tags or {}).items():
        if not isinstance(key, str) or not 1 <= len(key) <= 250 or not key.isprintable():
            raise StoreError(f"{key!r:.80} cannot be the name of a tag; use 1 to 250 printable characters")
        if not isinstance(value, str) or len(value) > 8000 or not _encodable(value):
            raise StoreError(f"tag {key!r} cannot hold {value!r:.80}; use text of at most 8000 characters")
    return dict(tags or {})


def check_description(text: str) -> str:
    """A description as it is stored.

    Raises:
        StoreError: It is not text, or too long.
    """
    if not isinstance(text, str) or len(text) > 100_000 or not _encodable(text):
        raise StoreError("a description is text of at most 100000 characters; link to what is longer")
    return text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
