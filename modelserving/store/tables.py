"""The tables of the index as values: rows are plain dictionaries, and every row carries a checksum.

SQLite has no checksums of its own. With one in each row a byte that the disk changed is an error, not another
answer.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from modelserving.store._failures import DamagedRowError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: Its name in SQL.
        key: The columns of its primary key.
        columns: All columns, those of the key first.
        mappings: The columns that hold a mapping, as JSON.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    mappings: frozenset[str] = frozenset()
    _select: str = field(init=False)
    _insert: str = field(init=False)
    _update: str = field(init=False)
    _where: str = field(init=False)

    def __post_init__(self) -> None:
        stored = (*self.columns, "checksum")
        where = " AND ".join(f"{column} = ?" for column in self.key)
        changes = ", ".join(f"{column} = ?" for column in stored if column not in self.key)
        write = f"INSERT INTO {self.name} ({', '.join(stored)}) VALUES ({', '.join('?' * len(stored))})"  # noqa: S608 - names of ours
        object.__setattr__(self, "_select", f"SELECT {', '.join(stored)} FROM {self.name} ")  # noqa: S608
        object.__setattr__(self, "_insert", write)
        object.__setattr__(self, "_update", f"UPDATE {self.name} SET {changes} WHERE {where}")  # noqa: S608
        object.__setattr__(self, "_where", f"WHERE {where}")

    def get(self, db: sqlite3.Connection, *key: object) -> Row | None:
        """The row with this key, or None."""
        rows = self.select(db, self._where, key)
        return rows[0] if rows else None

    def select(self, db: sqlite3.Connection, rest: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows that ``SELECT … FROM table <rest>`` finds, each checked against its checksum."""
        return [self._row(stored) for stored in db.execute(self._select + rest, values).fetchall()]

    def insert(self, db: sqlite3.Connection, row: Row) -> None:
        """Add a row."""
        db.execute(self._insert, self._stored(row))

    def update(self, db: sqlite3.Connection, row: Row) -> None:
        """Write all columns of a row that is there."""
        keys = len(self.key)
        stored = self._stored(row)
        db.execute(self._update, (*stored[keys:], *stored[:keys]))

    def _stored(self, row: Row) -> tuple[object, ...]:
        values = tuple(
            json.dumps(row[column], sort_keys=True) if column in self.mappings else row[column]
            for column in self.columns
        )
        return (*values, _checksum(values))

    def _row(self, stored: tuple[object, ...]) -> Row:
        *values, checksum = stored
        if checksum != _checksum(values):
            key = "/".join(str(value) for value in values[: len(self.key)])
            raise DamagedRowError(f"the row {key!r} of {self.name!r} does not match its checksum")
        row: Row = dict(zip(self.columns, values, strict=True))
        for column in self.mappings:
            row[column] = json.loads(row[column])
        return row


def _checksum(values: Sequence[object]) -> int:
    return zlib.crc32(json.dumps(list(values)).encode())


RUNS = Table(
    "runs",
    ("run_id",),
    ("run_id", "name", "status", "start_time", "end_time", "tags", "deleted"),
    frozenset({"tags"}),
)
LOGGED = Table(
    "logged", ("model_id",), ("model_id", "run_id", "name", "ordinal", "digest", "created", "deleted")
)
MODELS = Table(
    "models",
    ("name",),
    ("name", "folded", "next_version", "latest", "aliases", "tags", "description", "created", "deleted"),
    frozenset({"aliases", "tags"}),
)
VERSIONS = Table(
    "versions",
    ("name", "version"),
    (
        "name",
        "version",
        "digest",
        "model_id",
        "run_id",
        "source",
        "created",
        "tags",
        "description",
        "deleted",
    ),
    frozenset({"tags"}),
)
ALL = (RUNS, LOGGED, MODELS, VERSIONS)
