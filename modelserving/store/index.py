"""The index of a store: one SQLite file, whose commit is the only moment at which anything becomes visible.

A rollback journal with ``synchronous=EXTRA``, never a write-ahead log: what was committed survives a power
cut. Every write takes the write lock first (``BEGIN IMMEDIATE``), so no transaction is upgraded and none
deadlocks. Reading opens the file read-only. Each thread of each process has connections of its own, opened
again after a fork.

While a transaction is open, the process holds a shared lock on the ``FORMAT`` file, so that a rebuild, which
takes it exclusively, never puts a new index in place under a writer. Nobody but SQLite ever opens
``registry.db``: closing any descriptor of it would drop the locks of the whole process.
"""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote

from modelserving.errors import DamagedStoreError, StoreBusyError, StoreError
from modelserving.store import _fsops, schema
from modelserving.store._failures import translated
from modelserving.store._gate import GATE
from modelserving.store.layout import FOLDERS, STORE, read_format, write_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")
Mode = Literal["ro", "rw", "rwc"]

_CHECKED_WHOLE = 64 << 20
"""An index up to this size, some 200,000 versions, is checked whole when it is opened: 10 ms per MB."""

_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process: a child must neither use nor close them."""


class _Opened:
    """A connection with what it was opened on."""

    def __init__(self, db: sqlite3.Connection, identity: tuple[int, int], layout: int) -> None:
        self.db, self.identity, self.layout, self.pid = db, identity, layout, os.getpid()

    def close(self) -> None:
        if self.pid == os.getpid():
            with GATE.inside():
                self.db.close()
        else:
            _inherited.append(self.db)

    def __del__(self) -> None:
        self.close()


class Index:
    """The SQLite file of the store at ``root``.

    Args:
        root: The absolute path of the store.
        seconds: How long to wait for another writer before :class:`StoreBusyError`.
    """

    def __init__(self, root: Path, seconds: float = 30.0) -> None:
        self.root, self.seconds = root, seconds
        self.path = root / "registry.db"
        self._local = threading.local()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view. A store that does not exist reads as an empty one, and is not made."""
        with translated(self.root, seconds=self.seconds), GATE.inside():
            db = self._view()
            try:
                yield db
            finally:
                db.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The write lock; the body's changes are committed together. A missing store is made."""
        with translated(self.root, seconds=self.seconds), self._no_rebuild(), GATE.inside():
            db = self._begin()
            try:
                yield db
                _fsops.step("commit", self.path)
                self._patiently(lambda: db.execute("COMMIT"), db)
            finally:
                if db.in_transaction:
                    db.rollback()

    def close(self) -> None:
        """Close this thread's connections; the next use opens new ones."""
        self._local.__dict__.clear()

    def recover(self) -> None:
        """Let SQLite roll back what a writer left that died in its commit, if the file can be opened."""
        with GATE.inside(), suppress(sqlite3.Error, StoreError):
            self._open("rw").close()

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Keep every writer out, of this process and others, without touching the index."""
        with translated(self.root, seconds=self.seconds), self._lock(exclusive=True):
            yield

    def ensure(self) -> None:
        """Make the store if there is none."""
        if not (self.root / "FORMAT").exists():
            self.create()

    def create(self) -> None:
        """Make the folders, the index and the ``FORMAT`` file, in this order; many processes may at once."""
        with translated(self.root, seconds=self.seconds):
            self._claim()
            for name in FOLDERS:
                _fsops.make_folders(self.root / name, self.root)
            with GATE.inside():
                self._open("rwc").close()
            if read_format(self.root) is None:
                write_format(self.root, STORE, self.root / "tmp")

    def _claim(self) -> None:
        """Make the root, or refuse a folder that holds something else."""
        ours = {*FOLDERS, "FORMAT", "registry.db", "registry.db-journal"}
        try:
            names = set(_fsops.names(self.root))
        except FileNotFoundError:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                _fsops.mkdir(self.root)
            _fsops.sync(self.root.parent)
            return
        if names - ours and "FORMAT" not in names:
            raise StoreError(
                f"{str(self.root)!r} is not a model store: it holds other files; name an empty or new folder"
            )

    @contextmanager
    def _no_rebuild(self) -> Iterator[None]:
        self.ensure()
        with self._lock(exclusive=False):
            yield

    @contextmanager
    def _lock(self, *, exclusive: bool) -> Iterator[None]:
        deadline = time.monotonic() + self.seconds
        while (descriptor := _fsops.lock(self.root / "FORMAT", exclusive=exclusive)) is None:
            if time.monotonic() > deadline:
                raise StoreBusyError(str(self.root), self.seconds)
            time.sleep(0.01)
        try:
            yield
        finally:
            os.close(descriptor)

    def _begin(self) -> sqlite3.Connection:
        while True:
            if self._identity() is None:
                raise DamagedStoreError(str(self.path), "it is missing")
            opened = self._connection("rw")
            self._patiently(lambda: opened.db.execute("BEGIN IMMEDIATE"))  # noqa: B023 - called at once
            if self._identity() == opened.identity:
                return opened.db
            opened.db.rollback()  # the file was replaced while we waited: look at the new one

    def _view(self) -> sqlite3.Connection:
        """A connection inside a read transaction."""
        complete = read_format(self.root) is not None  # asked first: it is written last
        if self._identity() is None:
            if complete:
                raise DamagedStoreError(str(self.path), "it is missing")
            return self._empty()
        try:
            return self._started(self._connection("ro"))
        except sqlite3.OperationalError as error:
            unfinished = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
            if not unfinished or not os.access(self.path, os.W_OK) or not os.access(self.root, os.W_OK):
                raise
        return self._started(
            self._connection("rw")
        )  # a writer died in its commit: this rolls back what it left

    def _started(self, opened: _Opened) -> sqlite3.Connection:
        if opened.layout == 0:
            return self._empty()
        if opened.layout < len(schema.SCRIPTS):
            opened = self._connection("rw")
        self._patiently(lambda: opened.db.execute("BEGIN"))
        try:
            self._patiently(
                lambda: opened.db.execute("SELECT 1 FROM models LIMIT 1")
            )  # takes the lock, and so the view
        except BaseException:
            opened.db.rollback()
            raise
        return opened.db

    def _empty(self) -> sqlite3.Connection:
        """An index with nothing in it, which is what a store says that does not exist yet."""
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        schema.create(db)
        self._local.empty = _Opened(db, (0, 0), 0)
        return db

    def _connection(self, mode: Mode) -> _Opened:
        """This thread's connection of this process to the file that is there now."""
        opened: _Opened | None = self._local.__dict__.get(mode)
        identity = self._identity()
        if opened is None or opened.pid != os.getpid() or opened.identity != identity or opened.layout == 0:
            opened = self._local.__dict__[mode] = self._open(mode)
        return opened

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):  # to open a FIFO would never end
            raise DamagedStoreError(str(self.path), "it is not a regular file")
        return status.st_dev, status.st_ino

    def _open(self, mode: Mode) -> _Opened:
        _fsops.step("open", self.path)
        complete = read_format(self.root) is not None
        uri = f"file:{quote(os.fsencode(self.path))}?mode={mode}"
        db = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            for pragma in (
                "foreign_keys=ON",
                "trusted_schema=OFF",
                "cell_size_check=ON",
                "synchronous=EXTRA",
            ):
                self._patiently(lambda: db.execute(f"PRAGMA {pragma}"))  # noqa: B023 - called at once
            if mode != "ro":
                self._prepare(db, complete=complete)
            layout = self._patiently(lambda: self._check(db, complete=complete))
            identity = self._identity()
            if identity is None:
                raise DamagedStoreError(str(self.path), "it is missing")
            return _Opened(db, identity, layout)
        except BaseException:
            db.close()
            raise

    def _prepare(self, db: sqlite3.Connection, *, complete: bool) -> None:
        """Bring the layout up to date, in one transaction that one process wins and all others find done."""
        if self._patiently(lambda: self._layout(db)) == len(schema.SCRIPTS):
            return
        self._patiently(lambda: db.execute("BEGIN EXCLUSIVE"))
        try:
            self._migrate(db, self._layout(db), complete=complete)
            _fsops.step("commit", self.path)
            self._patiently(lambda: db.execute("COMMIT"), db)
        finally:
            if db.in_transaction:
                db.rollback()

    def _migrate(self, db: sqlite3.Connection, layout: int, *, complete: bool) -> None:
        if layout == 0 and complete:
            raise DamagedStoreError(str(self.path), "it is empty, but the store is not")
        schema.create(db, layout)

    def _layout(self, db: sqlite3.Connection) -> int:
        """The layout of the file, 0 for a new one; what is not ours, or newer than we know, is refused."""
        alone = not db.in_transaction
        if alone:
            db.execute("BEGIN")  # the three answers must be of one moment
        try:
            layout = int(db.execute("PRAGMA user_version").fetchone()[0])
            application = int(db.execute("PRAGMA application_id").fetchone()[0])
            tables = int(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        finally:
            if alone:
                db.rollback()
        if application != schema.APPLICATION_ID and (application or layout or tables):
            raise DamagedStoreError(str(self.path), "it belongs to another program")
        if layout > len(schema.SCRIPTS):
            raise StoreError(
                f"{str(self.path)!r} has layout {layout}, this version knows up to {len(schema.SCRIPTS)}; "
                "run: pip install -U modelserving"
            )
        return layout

    def _check(self, db: sqlite3.Connection, *, complete: bool) -> int:
        layout = self._layout(db)
        if layout == 0:
            if complete:
                raise DamagedStoreError(str(self.path), "it is empty, but the store is not")
            return 0
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "delete":
            raise DamagedStoreError(str(self.path), f"its journal mode is {mode!r}, not 'delete'")
        pages, size = (
            int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size")
        )
        if pages * size <= _CHECKED_WHOLE:
            answer = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if answer != "ok":
                raise DamagedStoreError(str(self.path), str(answer))
        return layout

    def _patiently(self, action: Callable[[], T], db: sqlite3.Connection | None = None) -> T:
        """Try again while another process holds a lock.

        SQLite's own waiting grows to 100 ms a time and lets the disk idle between writers; a millisecond does
        not.
        """
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            pause = random.uniform(0.0003, 0.001)  # noqa: S311 - only to keep writers apart
            if db is not None and db.in_transaction:
                time.sleep(pause)
            else:
                with GATE.outside():
                    time.sleep(pause)
