"""What an error of the system or of SQLite means to somebody who uses a store."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelserving.errors import (
    DamagedStoreError,
    ModelServingError,
    StoreBusyError,
    StoreError,
    StoreFullError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REMEDIES = {
    errno.EROFS: "the file system is read-only; name another store, or mount it for writing",
    errno.EACCES: "permission denied; run as the user who owns the store",
    errno.EPERM: "not permitted; run as the user who owns the store",
    errno.EMFILE: "this process has too many open files; raise 'ulimit -n'",
    errno.ENFILE: "the system has too many open files; try again later",
    errno.EIO: "the disk reports an error; look at the system's log, then run: modelserving store doctor",
    errno.ENOTDIR: "part of the path is not a folder; name another store",
}
_UNREADABLE = frozenset({errno.EMFILE, errno.ENFILE, errno.EIO})  # which says nothing about what is in a file
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
    }
)


class DamagedRowError(Exception):
    """A row of the index is not what was written."""


@contextmanager
def translated(root: Path, *, seconds: float = 0) -> Iterator[None]:
    """Turn the errors of the system and of SQLite in the body into errors of the store ``root``."""
    try:
        yield
    except ModelServingError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in _UNREADABLE:
            raise from_system(cause, root) from error
        raise
    except OSError as error:
        raise from_system(error, root) from error
    except (sqlite3.Error, DamagedRowError, UnicodeDecodeError) as error:  # a message may quote damaged text
        raise from_sqlite(error, root, seconds) from error


def from_system(error: OSError, root: Path) -> StoreError:
    """The error that an ``OSError`` in the store ``root`` becomes."""
    words = (error.strerror or type(error).__name__).lower()
    if error.errno in FULL:
        return StoreFullError(str(root), words)
    remedy = _REMEDIES.get(error.errno or 0, f"{words}; run: modelserving store doctor")
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(root)
    return StoreError(f"cannot use {place!r}: {remedy}")


def from_sqlite(error: Exception, root: Path, seconds: float) -> Exception:
    """The error that an error of SQLite in the store ``root`` becomes; a mistake of ours stays as it is."""
    index = str(root / "registry.db")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # without a code: text that is no text
    primary = code & 0xFF
    if primary in _BUSY:
        return StoreBusyError(str(root), seconds)
    if primary == sqlite3.SQLITE_FULL:
        return StoreFullError(str(root), "database or disk is full")
    if (
        isinstance(error, DamagedRowError | UnicodeDecodeError)
        or primary in _DAMAGED
        or code == sqlite3.SQLITE_IOERR_SHORT_READ
    ):
        return DamagedStoreError(index, str(error))
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return error
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return StoreError(
            f"cannot read {index!r}: a writer died in its commit, and this medium is read-only; "
            "open the store once where it can be written, then copy it again"
        )
    if primary == sqlite3.SQLITE_READONLY:
        return StoreError(f"cannot write {index!r}: it is read-only; name another store, or make it writable")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreError(
            f"cannot open {index!r}: check that you may read the folder and that files can be opened"
        )
    return StoreError(f"cannot use {index!r}: {error}; run: modelserving store doctor")
