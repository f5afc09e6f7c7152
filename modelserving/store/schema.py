"""The tables of the index, as SQL: one script for each step from an empty file to the layout of today.

A script that has been released is never changed. A new layout is a new script at the end, and each runs once,
whole, in the transaction that raises ``user_version``.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from modelserving.store import _fsops

APPLICATION_ID: Final = 0x6D737631
"""Written into the header of the file, so that another program's database is never taken for ours."""

_FIRST = """
CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  start_time INTEGER NOT NULL,
  end_time INTEGER,
  tags TEXT NOT NULL,
  deleted INTEGER,
  checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE logged (
  model_id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES runs,
  name TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  digest TEXT NOT NULL,
  created INTEGER NOT NULL,
  deleted INTEGER,
  checksum INTEGER NOT NULL,
  UNIQUE (run_id, name, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX logged_by_digest ON logged (digest);

CREATE TABLE models (
  name TEXT PRIMARY KEY,
  folded TEXT NOT NULL UNIQUE,
  next_version INTEGER NOT NULL,
  latest INTEGER,
  aliases TEXT NOT NULL,
  tags TEXT NOT NULL,
  description TEXT NOT NULL,
  created INTEGER NOT NULL,
  deleted INTEGER,
  checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  name TEXT NOT NULL REFERENCES models,
  version INTEGER NOT NULL CHECK (version > 0),
  digest TEXT NOT NULL,
  model_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  source TEXT NOT NULL,
  created INTEGER NOT NULL,
  tags TEXT NOT NULL,
  description TEXT NOT NULL,
  deleted INTEGER,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_digest ON versions (digest);

CREATE TABLE unsynced (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER versions_stay BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'a version is never removed, only marked as deleted'); END;

CREATE TRIGGER versions_do_not_change BEFORE UPDATE ON versions
WHEN (OLD.name, OLD.version, OLD.digest, OLD.model_id, OLD.run_id, OLD.source, OLD.created)
  IS NOT (NEW.name, NEW.version, NEW.digest, NEW.model_id, NEW.run_id, NEW.source, NEW.created)
  OR (OLD.deleted IS NOT NULL AND NEW.deleted IS NOT OLD.deleted)
BEGIN SELECT RAISE(ABORT, 'a version never changes'); END;

CREATE TRIGGER models_stay BEFORE DELETE ON models
BEGIN SELECT RAISE(ABORT, 'a model is never removed, only marked as deleted'); END;

CREATE TRIGGER numbers_go_up BEFORE UPDATE ON models WHEN NEW.next_version < OLD.next_version OR NEW.name <>
OLD.name BEGIN SELECT RAISE(ABORT, 'a version number is never used again'); END;

CREATE TRIGGER logged_does_not_change BEFORE UPDATE ON logged
WHEN (OLD.model_id, OLD.run_id, OLD.name, OLD.ordinal, OLD.digest) IS NOT
  (NEW.model_id, NEW.run_id, NEW.name, NEW.ordinal, NEW.digest)
BEGIN SELECT RAISE(ABORT, 'a logged model never changes'); END;
"""

SCRIPTS: list[str] = [_FIRST]
"""``SCRIPTS[n]`` takes an index from ``user_version`` n to n + 1."""


def create(db: sqlite3.Connection, layout: int = 0) -> None:
    """Take an index from ``layout`` to the layout of today, inside the caller's transaction."""
    for script in SCRIPTS[layout:]:
        for statement in statements(script):
            _fsops.step("migrate", "registry.db")
            db.execute(statement)
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={len(SCRIPTS)}")


def statements(script: str) -> list[str]:
    """The single statements of a script."""
    found, pending = [], ""
    for line in script.strip().splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return [statement for statement in found if statement]
