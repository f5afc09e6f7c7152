"""Archives of exports: plain ``.tar`` files, the same bytes for the same content, unpacked with suspicion."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from modelserving.errors import MLmodelError, StoreError
from modelserving.mlmodel import safe_relpath
from modelserving.store import _fsops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_MEMBERS = 100_000
MAX_BYTES = 1 << 40
_CHUNK = 1 << 20


def pack(folder: Path, target: Path) -> None:
    """Write all regular files of ``folder`` to the new archive ``target``, sorted, no owners, no times."""
    _fsops.step("open", target)
    with target.open("xb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        seen: set[str] = set()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            problem = _name_problem(member.name, seen)
            if problem:
                raise StoreError(f"cannot put {member.name!r} into an archive: {problem}; export to a folder")
            member.size, member.mode = path.stat().st_size, 0o444
            with path.open("rb") as content:
                _fsops.step("write", target)
                tar.addfile(member, content)
    _fsops.sync(target)


def unpack(source: Path, folder: Path) -> None:
    """Unpack an archive into an empty private folder.

    Only regular files and directories are taken, each name is checked, nothing is overwritten, no link is
    followed, modes and owners of the archive are ignored.

    Raises:
        StoreError: It is not an archive of ours, or holds something else.
    """
    try:
        with tarfile.open(source, "r:") as tar:
            seen: set[str] = set()
            left = MAX_BYTES
            for count, member in enumerate(tar):
                left -= member.size
                if count >= MAX_MEMBERS or left < 0:
                    raise _refused(source, "it holds more than an export may")
                _unpack_member(tar, member, folder, source, seen)
    except (tarfile.TarError, UnicodeError, EOFError) as error:
        raise _refused(source, str(error) or "it is cut off") from error


def _unpack_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, source: Path, seen: set[str]
) -> None:
    name = member.name.rstrip("/") if member.isdir() else member.name
    if not member.isdir() and (not member.isreg() or member.issparse()):
        raise _refused(source, f"{name!r:.80} is not a regular file")
    problem = _name_problem(name, set() if member.isdir() else seen)
    if problem:
        raise _refused(source, f"{name!r:.80} {problem}")
    if member.isdir():
        return
    target = folder.joinpath(*safe_relpath(name))
    target.parent.mkdir(parents=True, exist_ok=True)
    _fsops.write_new(target, _content(tar, member, source), 0o444)


def _name_problem(name: str, seen: set[str]) -> str:
    """Why a file of this name cannot be in an archive beside those ``seen``, "" if it can."""
    try:
        folded = "/".join(safe_relpath(name)).casefold()
    except MLmodelError:
        return "is not a plain path inside a folder"
    if folded in seen:
        return "is in it twice"
    seen.add(folded)
    return ""


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> Iterator[bytes]:
    content, left = tar.extractfile(member), member.size
    while content is not None and left:
        chunk = content.read(min(left, _CHUNK))
        if not chunk:
            raise _refused(source, "it is cut off")
        left -= len(chunk)
        yield chunk


def _refused(source: Path, reason: str) -> StoreError:
    return StoreError(
        f"cannot unpack {str(source)!r}: {reason}; write it again with: modelserving models export"
    )
