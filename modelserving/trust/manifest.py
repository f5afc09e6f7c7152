"""What a model folder holds, byte for byte, and the digest that names it.

A manifest lists every file of a folder: its path, its size, its SHA-256. The SHA-256 of the manifest's one
canonical form is the digest of the model. Reading a folder follows no link and refuses what is not a regular
file. A folder may carry its own manifest, which then must be true; with or without it the digest is the same.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from modelserving.errors import DamagedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDED = "MLmodel.manifest"
"""The file in which a saved folder says what it holds. It is no part of the model: its content follows from
the other files, or the folder is damaged."""

CHUNK = 1 << 20
MAX_RECORDED = 64 << 20
MAX_FILES = 100_000
MAX_DEPTH = 32

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = (
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)  # non-blocking: a FIFO put in its place must not hang us
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class Destination(Protocol):
    """Where :func:`read_folder` puts a copy of what it reads."""

    def directory(self, path: str) -> None:
        """Make the directory ``path``."""

    def open(self, path: str) -> int:
        """A file descriptor to write the new file ``path`` to."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file of a model: its path with ``/`` between the parts, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        reason = _path_problem(self.path)
        if reason:
            raise DamagedModelError(str(self.path), "a path inside the model", reason)
        if type(self.size) is not int or self.size < 0:
            raise DamagedModelError(self.path, "a size in bytes", repr(self.size)[:40])
        if not isinstance(self.sha256, str) or not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise DamagedModelError(self.path, "a SHA-256 in hex", repr(self.sha256)[:80])


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of a model folder, sorted by path.

    Attributes:
        entries: One for each file. Directories are only parts of paths.
        digest: ``sha256:…`` of :meth:`to_bytes`: the name of exactly these bytes in exactly these places.

    Example:
        >>> Manifest((Entry("MLmodel", 3, hashlib.sha256(b"abc").hexdigest()),)).digest[:14]
        'sha256:9fb064c'
    """

    entries: tuple[Entry, ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        entries = tuple(sorted(self.entries))
        for entry, following in pairwise(entries):
            if entry.path == following.path:
                raise DamagedModelError(entry.path, "one entry in the manifest", "two")
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "digest", f"sha256:{hashlib.sha256(self.to_bytes()).hexdigest()}")

    @property
    def size(self) -> int:
        """How many bytes the files hold together."""
        return sum(entry.size for entry in self.entries)

    def to_bytes(self) -> bytes:
        """The canonical form: one line of ASCII JSON, entries sorted by path, keys sorted, no spaces."""
        form = [{"path": entry.path, "sha256": entry.sha256, "size": entry.size} for entry in self.entries]
        return (
            json.dumps(form, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """The manifest that :meth:`to_bytes` wrote; no other form is accepted.

        Raises:
            DamagedModelError: ``data`` is not the canonical form of a manifest.
        """
        try:
            manifest = cls(tuple(Entry(**item) for item in json.loads(data)))
        except (ValueError, TypeError, RecursionError):
            manifest = None
        if manifest is None or manifest.to_bytes() != data:
            raise DamagedModelError("the manifest", "its canonical form", "something else")
        return manifest

    def check(self, found: Manifest) -> None:
        """Raise unless ``found`` lists the same files with the same bytes.

        Raises:
            DamagedModelError: Naming the first file that was changed, is missing, or should not be there.
        """
        wanted, there = ({entry.path: entry for entry in which.entries} for which in (self, found))
        for path in sorted(wanted.keys() | there.keys()):
            if path not in there:
                raise DamagedModelError(path, f"sha256:{wanted[path].sha256}", "no such file")
            if path not in wanted:
                raise DamagedModelError(path, "no such file", f"sha256:{there[path].sha256}")
            if wanted[path] != there[path]:
                raise DamagedModelError(path, f"sha256:{wanted[path].sha256}", f"sha256:{there[path].sha256}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What :func:`read_folder` saw: the manifest, and the ``stat`` of every file and directory."""

    manifest: Manifest
    stats: dict[str, os.stat_result]


def scan(folder: Path, *, hard_links: bool = True) -> Manifest:
    """The manifest of ``folder``, every file read once.

    Args:
        folder: The model's folder. It may be reached through links; nothing in it may be one.
        hard_links: Whether a file may have a second name somewhere. For a folder from elsewhere it may not:
            the second name could be that of a file which is none of the model's business.

    Raises:
        DamagedModelError: Something in the folder is not a regular file, cannot be read, or has a name that
            cannot be written down.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "MLmodel").write_text("flavors: {}")
        ...     [entry.path for entry in scan(Path(folder)).entries]
        ['MLmodel']
    """
    return read_folder(folder, hard_links=hard_links).manifest


def read_folder(folder: Path, *, hard_links: bool, copy_to: Destination | None = None) -> Reading:
    """Hash every file of ``folder`` in one pass, writing the same bytes to ``copy_to`` where one is given."""
    reader = _Reader(str(folder), hard_links, copy_to)
    try:
        top = os.open(folder, _DIRECTORY & ~os.O_NOFOLLOW)
    except OSError as error:
        raise DamagedModelError(str(folder), "a folder", _words(error)) from error
    try:
        reader.directory(top, "", 0)
    finally:
        os.close(top)
    manifest = Manifest(tuple(reader.entries))
    if reader.recorded is not None:
        _check_recorded(reader, manifest)
    return Reading(manifest, reader.stats)


def write_recorded(folder: Path, manifest: Manifest) -> None:
    """Put the manifest of a folder beside its files, so that a copy of it that was changed is noticed."""
    (folder / RECORDED).write_bytes(manifest.to_bytes())


def _check_recorded(reader: _Reader, found: Manifest) -> None:
    """Raise unless the folder's own record says just what is there."""
    try:
        Manifest.from_bytes(reader.recorded or b"").check(found)
    except DamagedModelError as error:
        if error.file == "the manifest":
            raise reader.damaged(RECORDED, "a manifest", "something else") from None
        raise reader.damaged(error.file, f"{error.expected} by its {RECORDED}", error.actual) from None


class _Reader:
    """One walk over a folder by directory descriptors, so that no rename on the way leads it elsewhere."""

    def __init__(self, folder: str, hard_links: bool, copy_to: Destination | None) -> None:
        self.folder, self.hard_links, self.copy_to = folder, hard_links, copy_to
        self.entries: list[Entry] = []
        self.stats: dict[str, os.stat_result] = {}
        self.buffer = memoryview(bytearray(CHUNK))
        self.recorded: bytes | None = None

    def directory(self, descriptor: int, path: str, depth: int) -> None:
        self.stats[path] = os.fstat(descriptor)
        if depth > MAX_DEPTH:
            raise self.damaged(path, f"at most {MAX_DEPTH} folders inside each other", "more")
        try:
            names = sorted(os.listdir(descriptor))
        except OSError as error:
            raise self.damaged(path, "a readable folder", _words(error)) from error
        for name in names:
            inner = f"{path}/{name}" if path else name
            reason = _path_problem(inner)
            if reason:
                raise self.damaged(inner, "a name that a manifest can hold", reason)
            with self.opened(descriptor, name, inner) as (child, status):
                if stat.S_ISDIR(status.st_mode):
                    if self.copy_to:
                        self.copy_to.directory(inner)
                    self.directory(child, inner, depth + 1)
                elif inner == RECORDED:
                    self.stats[inner] = status
                    self.recorded = self.content(child, inner, status.st_size)
                else:
                    self.file(child, inner, status)

    @contextmanager
    def opened(self, parent: int, name: str, path: str) -> Iterator[tuple[int, os.stat_result]]:
        """``name`` in ``parent``, no link followed; looked at before, for to open a device may act on it."""
        try:
            self.refuse_special(path, os.stat(name, dir_fd=parent, follow_symlinks=False))
            child = os.open(name, _FILE, dir_fd=parent)
        except OSError as error:
            raise self.damaged(path, "a regular file", _words(error)) from error
        try:
            status = os.fstat(child)
            self.refuse_special(path, status)
            yield child, status
        finally:
            os.close(child)

    def refuse_special(self, path: str, status: os.stat_result) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind not in {stat.S_IFREG, stat.S_IFDIR}:
            raise self.damaged(path, "a regular file", _KINDS.get(kind, "something else"))
        if kind == stat.S_IFREG and status.st_nlink > 1 and not self.hard_links:
            raise self.damaged(
                path, "a file with one name", "a hard link; copy the folder without hard links"
            )

    def file(self, descriptor: int, path: str, status: os.stat_result) -> None:
        if len(self.entries) >= MAX_FILES:
            raise self.damaged(path, f"at most {MAX_FILES} files", "more")
        target = self.copy_to.open(path) if self.copy_to else None
        try:
            size, sha256 = self.digest(descriptor, target, path, status.st_size)
        finally:
            if target is not None:
                os.close(target)
        self.stats[path] = status
        self.entries.append(Entry(path, size, sha256))

    def content(self, descriptor: int, path: str, size: int) -> bytes:
        if size > MAX_RECORDED:
            raise self.damaged(path, f"at most {MAX_RECORDED} bytes", f"{size}")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(size + 1)

    def digest(self, descriptor: int, target: int | None, path: str, expected: int) -> tuple[int, str]:
        hasher, size = hashlib.sha256(), 0
        while True:
            try:
                count = os.readv(descriptor, [self.buffer])
            except OSError as error:
                raise self.damaged(path, "a readable file", _words(error)) from error
            size += count
            if size > expected or (not count and size < expected):  # also ends for a file that keeps growing
                raise self.damaged(path, f"{expected} bytes", "a file that changes while it is read")
            if not count:
                return size, hasher.hexdigest()
            chunk = self.buffer[:count]
            hasher.update(chunk)
            while target is not None and chunk:
                chunk = chunk[os.write(target, chunk) :]

    def damaged(self, path: str, expected: str, actual: str) -> DamagedModelError:
        shown = f"{self.folder}/{path}".encode("utf-8", "backslashreplace").decode()
        return DamagedModelError(shown, expected, actual)


def _path_problem(path: object) -> str:
    """Why ``path`` cannot stand in a manifest; "" if it can."""
    if not isinstance(path, str):
        return "not text"
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "not UTF-8"
    if length > 4096:
        return "longer than 4096 bytes"
    if re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", path):
        return "a control character"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "an empty part, '.' or '..'"
    return ""


def _words(error: OSError) -> str:
    """What an ``OSError`` means, in words, without the path that it quotes."""
    if error.errno == errno.ELOOP:
        return "a symbolic link"
    return (error.strerror or type(error).__name__).lower()
