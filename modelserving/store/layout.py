"""The folders of a store, and the ``FORMAT`` file that says a folder is one, whole, and of which layout."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final

from modelserving.errors import DamagedStoreError, StoreError
from modelserving.store import _fsops

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS: Final = ("trees", "manifests", "logged", "runs", "models", "tmp", "trash")
STORE: Final = "modelserving store"
EXPORT: Final = "modelserving export"
LAYOUT: Final = 1


def read_format(root: Path) -> str | None:
    """What kind of folder this is, :data:`STORE` or :data:`EXPORT`; None when it has no ``FORMAT`` file.

    Raises:
        DamagedStoreError: The file does not say what such a file says.
        StoreError: It is of a newer layout than this version knows.
    """
    path = root / "FORMAT"
    try:
        found = json.loads(_fsops.read(path, 4096))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno != _fsops.NOT_A_FILE:
            raise
        raise DamagedStoreError(str(path), "it is not what a store writes there") from error
    layout, kind = (found.get("format"), found.get("kind")) if isinstance(found, dict) else (None, None)
    if type(layout) is int and layout > LAYOUT:
        raise StoreError(
            f"{str(path)!r} has layout {layout}, this version knows up to {LAYOUT}; "
            "run: pip install -U modelserving"
        )
    if layout != LAYOUT or kind not in {STORE, EXPORT}:
        raise DamagedStoreError(str(path), "it is not what a store writes there")
    return str(kind)


def write_format(root: Path, kind: str, aside: Path) -> None:
    """Write the ``FORMAT`` file of a folder, which makes it complete; ``aside`` is on the same disk."""
    prepared = aside / f"FORMAT-{uuid.uuid4().hex}"
    _fsops.write_new(prepared, [json.dumps({"format": LAYOUT, "kind": kind}).encode() + b"\n"], 0o644)
    _fsops.rename(prepared, root / "FORMAT")
    _fsops.sync(root)
