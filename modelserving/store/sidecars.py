"""The sidecars: small JSON files, one for each row of the index, from which it can be made anew.

A sidecar is written in one of two orders:

* *before* the commit: for a new run, logged model or version. A crash in between leaves a sidecar of
  something that was never acknowledged. The next registration takes the same number and overwrites it; until
  then a rebuild may bring it to life, complete.
* *after* the commit: whatever changes a row that is there (aliases, tags, a description, the end of a run, a
  deletion), and the sidecar of a new model. The transaction marks the row in the table ``unsynced``; the
  sidecar is written before the caller hears of success; the mark goes with the commit that follows. After a
  crash in between the next writer finds the mark and writes the sidecar from the index, which is the truth.

So what a sidecar says about aliases and tags was committed, and what was acknowledged is in a sidecar. The
number of a version is the name of its file, because the contents are on the disk before the number is known.
A deleted row's sidecar stays as a tombstone. ``next_version`` and ``latest`` in ``model.json`` may lag behind
the versions beside it, and a rebuild counts those.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from modelserving.errors import DamagedStoreError
from modelserving.store import _fsops
from modelserving.store.tables import LOGGED, MODELS, RUNS, VERSIONS, Row, Table

if TYPE_CHECKING:
    from pathlib import Path

_BY_NAME = {table.name: table for table in (RUNS, LOGGED, MODELS, VERSIONS)}


def path(root: Path, table: Table, row: Row) -> Path:
    """Where the sidecar of a row lies."""
    if table is RUNS:
        return root / "runs" / f"{row['run_id']}.json"
    if table is LOGGED:
        return root / "logged" / f"{row['model_id']}.json"
    if table is MODELS:
        return root / "models" / str(row["name"]) / "model.json"
    return root / "models" / str(row["name"]) / "versions" / f"{row['version']}.json"


def encode(table: Table, row: Row) -> bytes:
    """The bytes of a sidecar: indented for people, with a digest of what it says."""
    content = {column: row[column] for column in table.columns if column != "version"}
    return (
        json.dumps({"kind": table.name, **content, "sha256": _digest(table, content)}, indent=1).encode()
        + b"\n"
    )


def read(file: Path) -> tuple[Table, Row]:
    """The table and the row that a sidecar is about.

    Raises:
        DamagedStoreError: The file is not what was written.
        FileNotFoundError: There is none.
    """
    try:
        content = json.loads(_fsops.read(file, 1 << 24))
        table = _BY_NAME[content.pop("kind")]
        digest = content.pop("sha256")
        if digest != _digest(table, content):
            raise ValueError("it does not match its own digest")
        if table is VERSIONS:
            content["version"] = int(file.stem)
        if set(content) != set(table.columns):
            raise ValueError("it has other fields than such a file has")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedStoreError(str(file), f"it is not a sidecar: {error}") from error
    return table, {column: content[column] for column in table.columns}


def write(root: Path, table: Table, row: Row, aside: Path) -> None:
    """Write a sidecar so that readers see old or new; ``aside`` is a folder on the same disk."""
    prepared = prepare(table, row, aside)
    place(root, table, row, prepared)


def prepare(table: Table, row: Row, aside: Path) -> Path:
    """Write a sidecar's bytes where nobody looks; :func:`place` then only has to give them their name."""
    prepared = (
        aside / f"{table.name}-{hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:16]}.json"
    )
    _fsops.write_new(prepared, [encode(table, row)], 0o644)
    return prepared


def place(root: Path, table: Table, row: Row, prepared: Path) -> None:
    """Give a prepared sidecar its name, for good."""
    target = path(root, table, row)
    _fsops.make_folders(target.parent, root)
    _fsops.rename(prepared, target)
    _fsops.sync(target.parent)


def _digest(table: Table, content: Row) -> str:
    return hashlib.sha256(json.dumps([table.name, content], sort_keys=True).encode()).hexdigest()
