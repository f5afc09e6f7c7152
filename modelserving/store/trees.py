"""The trees: model folders named by the SHA-256 of their manifest, never changed once they have that name.

A model is built in a *stage*, a private folder on the same file system. It is sealed (read-only, every byte
on the disk), hashed, and renamed to its name. The stage holds a lock as long as its process lives, and a pin
for the digest it is about to need; ``gc`` leaves alone what a living stage pins, however young or old it is.
"""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from modelserving.errors import DamagedModelError
from modelserving.store import _fsops
from modelserving.trust.manifest import Manifest, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EXISTS = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class Stage:
    """A private folder in ``tmp/`` of a store, removed when it is left.

    Attributes:
        folder: The folder itself.
        model: The empty folder in it that a model is built in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.model = folder, folder / "model"

    def pin(self, digest: str) -> None:
        """Keep ``gc`` from the tree ``digest`` until this stage is left."""
        with suppress(FileExistsError):
            _fsops.mkdir(self.folder / hexadecimal(digest))


@contextmanager
def stage(root: Path) -> Iterator[Stage]:
    """A new stage in the store at ``root``."""
    while True:
        folder = root / "tmp" / f"{os.getpid()}-{uuid.uuid4().hex}"
        _fsops.make_folders(folder.parent, root)
        _fsops.mkdir(folder)
        try:
            held = _fsops.lock(folder, exclusive=True)
        except FileNotFoundError:
            held = None
        if held is not None and folder.exists():
            break
        if held is not None:
            os.close(held)  # gc was quicker than our lock, and took the folder for one of a dead process
    try:
        _fsops.mkdir(folder / "model")
        yield Stage(folder)
    finally:
        with suppress(
            OSError
        ):  # what cannot be removed now, gc removes: this must not hide what happened inside
            _fsops.remove_tree(folder)
        os.close(held)


def hexadecimal(digest: str) -> str:
    """The hex part of ``sha256:<hex>``, which is what files are named by."""
    return digest.removeprefix("sha256:")


class Trees:
    """The trees and manifests of the store at ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, digest: str) -> Path:
        """Where the model ``digest`` lies."""
        return self.root / "trees" / hexadecimal(digest)

    def manifest(self, digest: str) -> Manifest:
        """The manifest of the model ``digest``, checked against that name.

        Raises:
            DamagedModelError: The manifest or the folder is missing, or the manifest was changed.
        """
        path = self._manifest_file(digest)
        try:
            manifest = Manifest.from_bytes(_fsops.read(path))
        except FileNotFoundError:
            raise DamagedModelError(str(path), digest, "no such file") from None
        except (DamagedModelError, OSError) as error:
            if isinstance(error, PermissionError):
                raise
            raise DamagedModelError(str(path), digest, "something else") from error
        if manifest.digest != digest:
            raise DamagedModelError(str(path), digest, manifest.digest)
        if not self.folder(digest).is_dir():
            raise DamagedModelError(str(self.folder(digest)), "a folder", "no such folder")
        return manifest

    def check(self, digest: str) -> int:
        """Read every byte of the model ``digest`` and compare; the bytes it takes.

        Raises:
            DamagedModelError: Naming the file that is not what was written.
        """
        manifest, folder = self.manifest(digest), self.folder(digest)
        try:
            manifest.check(scan(folder))
        except DamagedModelError as error:
            file = error.file if os.path.isabs(error.file) else str(folder / error.file)  # noqa: PTH117 - it is text
            raise DamagedModelError(file, error.expected, error.actual) from error
        return sum(entry.size for entry in manifest.entries)

    def put(self, stage: Stage) -> tuple[str, bool]:
        """Give the staged model its name.

        Returns:
            Its digest, and whether the folder that has the name must be replaced, because it is damaged.
        """
        manifest = scan(stage.model)
        digest = manifest.digest
        stage.pin(digest)
        seal(stage.model)
        self.write_manifest(stage, manifest)
        if self._place(stage.model, digest):
            return digest, False
        try:
            self.check(digest)
        except DamagedModelError:
            return digest, True
        return digest, False

    def ensure(self, stage: Stage, digest: str, *, replace: bool) -> None:
        """Under the write lock: if the tree is not there, the staged copy, kept until now, becomes it."""
        folder = self.folder(digest)
        if replace and folder.is_dir():
            self.discard(digest)
        if not folder.is_dir():
            self._place(stage.model, digest)
        if not self._manifest_file(digest).exists():
            self.write_manifest(stage, scan(folder))

    def discard(self, digest: str) -> Path:
        """Under the write lock: take the name away from a tree; ``gc`` removes the folder returned."""
        trash = self.root / "trash" / f"{hexadecimal(digest)}.{uuid.uuid4().hex}"
        folder = self.folder(digest)
        _fsops.chmod(folder, 0o700)  # a directory that moves must be writable: its '..' changes
        _fsops.rename(folder, trash)
        return trash

    def _manifest_file(self, digest: str) -> Path:
        return self.root / "manifests" / f"{hexadecimal(digest)}.json"

    def write_manifest(self, stage: Stage, manifest: Manifest) -> None:
        """Write a manifest under its name."""
        aside, target = stage.folder / "manifest.json", self._manifest_file(manifest.digest)
        _fsops.write_new(aside, [manifest.to_bytes()], 0o444)
        _fsops.rename(aside, target)
        _fsops.sync(target.parent)

    def _place(self, folder: Path, digest: str) -> bool:
        try:
            _fsops.rename(folder, self.folder(digest))
        except OSError as error:
            if error.errno not in _EXISTS:
                raise
            return False
        _fsops.chmod(self.folder(digest), 0o555)  # only now: a directory that moves must be writable
        _fsops.sync(self.root / "trees")
        return True


def seal(folder: Path) -> None:
    """Make every file of a folder read-only and wait until all of it is on the disk, its directories last."""
    for current, folders, files in os.walk(folder, topdown=False):
        here = folder.joinpath(current)
        for name in files:
            _fsops.chmod(here / name, 0o444)
            _fsops.sync(here / name)
        for name in folders:
            _fsops.chmod(here / name, 0o555)
        _fsops.sync(here)
