"""The rows whose sidecar is older than they: marked in the transaction that changes them, synced after."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modelserving.errors import ModelServingError
from modelserving.store import sidecars
from modelserving.store._failures import translated
from modelserving.store.tables import ALL, Row, Table
from modelserving.store.trees import stage

if TYPE_CHECKING:
    import sqlite3

    from modelserving.store.index import Index

_log = logging.getLogger("modelserving")
_TABLES = {table.name: table for table in ALL}


def mark(db: sqlite3.Connection, table: Table, row: Row) -> None:
    """In the transaction that changes a row: its sidecar is to be written."""
    key = "/".join(str(row[column]) for column in table.key)
    db.execute("INSERT OR REPLACE INTO unsynced (kind, key) VALUES (?, ?)", [table.name, key])


def marked(db: sqlite3.Connection) -> list[tuple[Table, Row]]:
    """The rows that are marked, by whomever."""
    found = []
    for kind, key in db.execute("SELECT kind, key FROM unsynced").fetchall():
        table = _TABLES[kind]
        name, _, version = key.partition("/")
        row = table.get(db, name, int(version)) if version else table.get(db, key)
        if row is not None:
            found.append((table, row))
    return found


def sync(index: Index) -> None:
    """Write the sidecars of all marked rows, and take the marks away.

    What they say is committed already, so a failure here is no failure of the caller's: the marks stay, and
    the next writer does it.
    """
    try:
        with translated(index.root), stage(index.root) as aside, index.writing() as db:
            for table, row in marked(db):
                sidecars.write(index.root, table, row, aside.folder)
            db.execute("DELETE FROM unsynced")
    except ModelServingError as error:
        _log.warning("the sidecars of %s will be written later: %s", index.root, error)
