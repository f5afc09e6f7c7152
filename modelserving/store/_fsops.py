"""Every file operation of the store, and nothing else: the one place where a test can make any of them fail.

Each operation calls :data:`hook`, if there is one, with its name and its path before it happens. A test's
hook counts, raises ``OSError``, kills the process, or (for ``write``) returns how many bytes to write at
most. The commit of the index, which happens inside SQLite, announces itself the same way through
:func:`step`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

hook: Callable[[str, str], int | None] | None = None
"""Called with the name and the path of every operation before it happens."""

NOT_A_FILE = errno.EINVAL
"""The ``errno`` of reading what is not a regular file, or too large to be one of ours."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def step(operation: str, path: str | Path) -> int | None:
    """Announce an operation to the hook."""
    return None if hook is None else hook(operation, os.fspath(path))


def mkdir(path: Path, mode: int = 0o700) -> None:
    """Make one directory."""
    step("mkdir", path)
    path.mkdir(mode)


def rename(source: Path, target: Path) -> None:
    """Give a file or directory its new name, at once for every reader."""
    step("rename", target)
    source.rename(target)


def link(source: Path, target: Path) -> None:
    """Give a file a second name."""
    step("link", target)
    target.hardlink_to(source)


def unlink(path: Path) -> None:
    """Remove a file."""
    step("unlink", path)
    path.unlink()


def rmdir(path: Path) -> None:
    """Remove an empty directory."""
    step("rmdir", path)
    path.rmdir()


def chmod(path: Path, mode: int) -> None:
    """Change the mode of a file or directory, following no link."""
    step("chmod", path)
    descriptor = os.open(path, _READ)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def names(folder: Path) -> list[str]:
    """The names in a directory, sorted."""
    step("list", folder)
    return sorted(os.listdir(folder))  # noqa: PTH208 - names only, one system call


def read(path: Path, limit: int = 64 << 20) -> bytes:
    """All bytes of a regular file; anything else, or more than ``limit``, is an ``OSError``, never a wait."""
    step("read", path)
    descriptor = os.open(path, _READ)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise OSError(NOT_A_FILE, "not a regular file of a sensible size", os.fspath(path))
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read()
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a directory's names, are on the disk.

    A failure is final: the system may have dropped the pages, so trying again would tell a lie.
    """
    step("fsync", path)
    descriptor = os.open(path, _READ)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, chunks: Iterable[bytes], mode: int = 0o600) -> None:
    """Write a file that must not exist yet, its bytes on the disk afterwards; a failure leaves no file."""
    step("open", path)
    descriptor = os.open(path, _NEW, mode)
    try:
        try:
            for chunk in chunks:
                _write_all(descriptor, chunk, path)
            step("fsync", path)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, data: bytes, path: Path) -> None:
    rest = memoryview(data)
    while rest:
        most = step("write", path)
        rest = rest[os.write(descriptor, rest if most is None else rest[:most]) :]


def make_folders(folder: Path, root: Path) -> None:
    """Make ``folder`` and what lacks between it and ``root``, each on the disk before the next."""
    if folder == root or folder.is_dir():
        return
    make_folders(folder.parent, root)
    with suppress(FileExistsError):
        mkdir(folder)
    sync(folder.parent)


def lock(path: Path, *, exclusive: bool) -> int | None:
    """An open descriptor that holds a lock on ``path``, or None when somebody else holds it.

    The lock is gone when the descriptor is closed, or with the process: no crash leaves one behind.
    """
    step("lock", path)
    descriptor = os.open(path, _READ)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remove_tree(folder: Path) -> None:
    """Remove a directory of ours with all it holds, read-only or not; links are removed, not followed."""
    chmod(folder, 0o700)
    for name in names(folder):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            unlink(path)
    rmdir(folder)
