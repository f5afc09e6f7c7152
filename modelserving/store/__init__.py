"""Where models, versions, aliases and runs live."""

from __future__ import annotations

import os
from pathlib import Path

from modelserving.store._failures import translated
from modelserving.store.exported import ExportedStore
from modelserving.store.layout import EXPORT, read_format
from modelserving.store.local import LocalStore
from modelserving.store.records import LoggedModel, Run, Version
from modelserving.store.store import Store

__all__ = ["ExportedStore", "LocalStore", "LoggedModel", "Run", "Store", "Version", "open_store"]


def open_store(location: str | os.PathLike[str] | Store | None = None) -> Store:
    """The store at ``location``: a folder, or what ``export`` wrote, be it a folder or an archive.

    Opening a store does not make it; the first write does.

    Args:
        location: A path, or an open store, which is given back. None: that of the environment variable
            ``MODELSERVING_STORE``, else ``./modelstore``.

    Raises:
        StoreError: There is something else at ``location``, or a store of a newer version.

    Example:
        >>> open_store("does/not/exist").models().items
        ()
    """
    if location is not None and not isinstance(location, str | os.PathLike):
        return location
    path = Path(location or os.environ.get("MODELSERVING_STORE") or "modelstore")
    with translated(path):
        exported = path.is_file() or read_format(path) == EXPORT
    return ExportedStore(path) if exported else LocalStore(path)
