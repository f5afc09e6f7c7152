"""Who says yes to a model that could run code: the one place that asks, and the only maker of a ``Grant``.

Trust belongs to bytes: to the digest of a folder, given by the caller or kept in the user's own trust folder.
A format only decides how much harm an untrusted file could do. Nothing in a model, no store and no
environment variable can say yes.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelserving.errors import DamagedModelError, InvalidTrustError, TrustFolderError, UntrustedModelError
from modelserving.flavor import Grant, Tier
from modelserving.trust.manifest import RECORDED, Manifest, read_folder

Trust = str | Sequence[str] | None
"""What a caller may say: ``"code"``, one digest ``"sha256:…"``, or several digests."""

_DIGEST = re.compile("sha256:([0-9a-f]{64})")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Verified:
    """A folder whose bytes are known and will not be changed by others while this object lives.

    Attributes:
        folder: Where to load from: the folder itself when only its owner can write there, else a private copy
            that goes away with this object. Keep the object as long as the model may read its files.
        manifest: What the folder holds.
    """

    folder: Path
    manifest: Manifest
    stats: dict[str, os.stat_result] = field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        """``sha256:…`` of the manifest."""
        return self.manifest.digest

    def check_unchanged(self) -> None:
        """Raise if a file was changed, swapped or added since it was hashed, even if it was put back.

        Others cannot change these bytes, but another program of the same user can. Reads no file; for after
        loading.

        Raises:
            DamagedModelError: Naming the file or folder.
        """
        for path, before in self.stats.items():
            where = self.folder / path
            try:
                now = os.lstat(where)
            except OSError:
                raise DamagedModelError(str(where), "the file that was verified", "no such file") from None
            if _identity(now) != _identity(before):
                raise DamagedModelError(
                    str(where), "the file that was verified", "changed while it was loaded"
                )


def open_folder(folder: Path, expected: Manifest | None = None) -> Verified:
    """Hash ``folder``, once, so that what is loaded is what was hashed.

    Args:
        folder: The model's folder.
        expected: What it should hold, where a store says so.

    Returns:
        The folder as it stands when nobody but its owner (this user, or root) can write to it, to its files
        or to the folders above it; else a private copy, made of the very bytes that were hashed.

    Raises:
        DamagedModelError: Something is not a regular file, or the bytes are not those of ``expected``.
    """
    folder = Path(os.path.realpath(folder))
    hard_links = expected is not None  # a recorded digest cannot be that of somebody's secret
    if _all_mine([os.lstat(parent) for parent in folder.parents], sticky=True):
        reading = read_folder(folder, hard_links=hard_links)
        if _all_mine(reading.stats.values()):
            verified = Verified(folder, reading.manifest, reading.stats)
            verified.check_unchanged()
            return _checked(verified, expected)
    return _checked(_private_copy(folder, hard_links), expected)


def grant(
    verified: Verified,
    tier: Tier,
    *,
    model: str,
    reason: str,
    trust: Trust = None,
    store: str | None = None,
    trusted_stores: Sequence[str] = (),
) -> Grant:
    """Leave to load a verified folder, or the refusal.

    Args:
        verified: What :func:`open_folder` gave.
        tier: What the files that will be opened could do.
        model: What the caller asked for, a URI or a folder: for the message.
        reason: What in it is not data, such as ``Python code (python_model.pkl, cloudpickle)``.
        trust: What the caller said to this one call.
        store: The location of the store it comes from, None for a plain folder.
        trusted_stores: Locations of the stores whose writers the caller trusts.

    Raises:
        UntrustedModelError: The tier is ``code`` and nobody says yes to this digest.
        InvalidTrustError: ``trust`` is neither ``"code"`` nor digests.
    """
    answer = who_says_yes(verified.digest, trust=trust, store=store, trusted_stores=trusted_stores)
    if tier == "code" and answer is None:
        raise UntrustedModelError(model, verified.digest, tier, reason)
    return Grant(verified.folder, verified.digest, tier, answer)


def who_says_yes(
    digest: str, *, trust: Trust = None, store: str | None = None, trusted_stores: Sequence[str] = ()
) -> str | None:
    """Who vouches for these bytes, in words, or None: the one answer to that question.

    Raises:
        InvalidTrustError: ``trust`` is neither ``"code"`` nor digests.

    Example:
        >>> who_says_yes("sha256:" + 64 * "a", trust="code")
        'the caller, for this one call'
        >>> who_says_yes("sha256:" + 64 * "a", trust=["sha256:" + 64 * "a"])
        'the caller, by digest'
    """
    digests = () if trust is None or trust == "code" else check_digests(trust)
    if trust == "code":
        return "the caller, for this one call"
    if digest in digests:
        return "the caller, by digest"
    if store is not None and _location(store) in {_location(trusted) for trusted in trusted_stores}:
        return f"the caller, for all of the store {store!r}"
    if is_remembered(digest):
        return "you, on this machine"
    return None


def check_digests(trust: str | Sequence[str]) -> tuple[str, ...]:
    """``trust`` as a tuple of digests.

    Raises:
        InvalidTrustError: One of them is not ``sha256:`` and 64 lower-case hexadecimal digits.
    """
    digests = (trust,) if isinstance(trust, str) else tuple(trust)
    for digest in digests:
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise InvalidTrustError(digest)
    return digests


def trust_folder() -> Path:
    """Where the user's own yes is kept, one file per digest: ``$XDG_STATE_HOME/modelserving/trust``.

    Raises:
        TrustFolderError: There is no home directory.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):  # the XDG specification: a relative path is to be ignored
        try:
            state = str(Path.home() / ".local" / "state")
        except RuntimeError as error:
            raise TrustFolderError("~", "there is no home directory; set XDG_STATE_HOME") from error
    return Path(state, "modelserving", "trust")


def remember(digest: str, note: str = "") -> None:
    """Vouch for these bytes: from now on they load for this user without being asked about again.

    Args:
        digest: ``sha256:…`` of a model's manifest.
        note: A line that :func:`remembered` shows, such as the model's URI.

    Raises:
        TrustFolderError: The trust folder cannot be written, or is not this user's alone.
    """
    folder, name = trust_folder(), _file_name(digest)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = _not_private(folder)
        if reason:
            raise TrustFolderError(str(folder), reason)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(folder / name, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(" ".join(note.split())[:1000] + "\n")
    except FileExistsError:
        if not is_remembered(digest):
            raise TrustFolderError(str(folder / name), "it is not a file of yours; remove it") from None
    except OSError as error:
        raise TrustFolderError(str(folder), (error.strerror or "it cannot be written").lower()) from error


def is_remembered(digest: str) -> bool:
    """Whether this user vouched for these bytes on this machine."""
    try:
        folder = trust_folder()
        return not _not_private(folder) and _is_my_file(os.lstat(folder / _file_name(digest)))
    except (OSError, TrustFolderError):
        return False


def forget(digest: str) -> bool:
    """Take back :func:`remember`; whether there was anything to take back.

    Raises:
        TrustFolderError: The trust folder cannot be written.
    """
    path = trust_folder() / _file_name(digest)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise TrustFolderError(str(path), (error.strerror or "it cannot be removed").lower()) from error
    return True


def remembered() -> dict[str, str]:
    """The digests this user vouched for, with their notes, sorted.

    Raises:
        TrustFolderError: The trust folder is not this user's alone, so that nothing in it counts.
    """
    folder = trust_folder()
    if not folder.exists():
        return {}
    reason = _not_private(folder)
    if reason:
        raise TrustFolderError(str(folder), reason)
    notes = {}
    for path in sorted(folder.iterdir()):
        digest = f"sha256:{path.name}"
        if _DIGEST.fullmatch(digest) and _is_my_file(path.lstat()):
            notes[digest] = path.read_text(encoding="utf-8", errors="replace").strip()
    return notes


class _PrivateFolder:
    """The copy that is written while a folder is hashed; nobody else can enter it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def directory(self, path: str) -> None:
        (self.root / path).mkdir(mode=0o700)

    def open(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.root / path, flags, 0o600)


def _private_copy(folder: Path, hard_links: bool) -> Verified:
    root = Path(tempfile.mkdtemp(prefix="modelserving-"))  # 0700
    try:
        copy = root / folder.name if folder.name else root / "model"
        copy.mkdir(mode=0o700)
        reading = read_folder(folder, hard_links=hard_links, copy_to=_PrivateFolder(copy))
        stats = {path: os.lstat(copy / path) for path in reading.stats if path != RECORDED}
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    verified = Verified(copy, reading.manifest, stats)
    weakref.finalize(verified, _remove, root, os.getpid())
    return verified


def _remove(root: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not take its parent's files away
        shutil.rmtree(root, ignore_errors=True)


def _checked(verified: Verified, expected: Manifest | None) -> Verified:
    if expected is not None:
        expected.check(verified.manifest)
    return verified


def _all_mine(stats: Iterable[os.stat_result], *, sticky: bool = False) -> bool:
    """Whether nobody but this user and root can change these files and folders.

    ``sticky`` is for the folders above: in ``/tmp`` others may write, but not rename what is mine.
    """
    return all(
        status.st_uid in {0, os.geteuid()}
        and (not status.st_mode & _OTHERS_WRITE or (sticky and bool(status.st_mode & stat.S_ISVTX)))
        for status in stats
    )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _not_private(folder: Path) -> str:
    """Why the trust folder does not count; "" if it does."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a folder; remove it"
    if status.st_uid != os.geteuid():
        return "it belongs to somebody else; remove it, or set XDG_STATE_HOME"
    if status.st_mode & _OTHERS_WRITE:
        return "others can write to it; remove what you did not put there, then run: chmod 700 on it"
    return ""


def _is_my_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _file_name(digest: str) -> str:
    return check_digests(digest)[0].removeprefix("sha256:")


def _location(text: str) -> str:
    """A store's location in one spelling: an absolute path without links, or the URI as it is."""
    parts = urlsplit(str(text))
    if parts.scheme == "file":
        return os.path.realpath(unquote(parts.path))
    return str(text).rstrip("/") if "://" in str(text) else os.path.realpath(text)
