"""An export: chosen versions of a store as a plain read-only folder, which is read without SQLite."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modelserving.errors import (
    DamagedStoreError,
    InvalidURIError,
    ModelNotFoundError,
    RunNotFoundError,
    StoreError,
    VersionNotFoundError,
)
from modelserving.store import _fsops, sidecars
from modelserving.store._failures import translated
from modelserving.store.layout import EXPORT, read_format
from modelserving.store.reading import model_of, number_of, version_of
from modelserving.store.records import Located, LoggedModel, Page, RegisteredModel, Run, Version
from modelserving.store.trees import Trees
from modelserving.uri import ModelURI, check_name, check_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelserving.store.tables import Row


class ExportedStore:
    """The reading half of a store, on what ``export`` wrote: a folder, or an archive, unpacked first.

    Args:
        root: The folder or the ``.tar`` file.

    Raises:
        StoreError: It is not an export.
    """

    def __init__(self, root: str | Path) -> None:
        self.location = Path(root).absolute()
        self.root = self.location
        with translated(self.location):
            if self.location.is_file():
                self.root = Path(tempfile.mkdtemp(prefix="modelserving-"))
                self._unpacked = weakref.finalize(self, _remove, self.root)
                from modelserving.store import archive

                archive.unpack(self.location, self.root)
            if read_format(self.root) != EXPORT:
                raise StoreError(
                    f"{str(self.location)!r} is not an export; write one with: modelserving models export"
                )
        self._trees = Trees(self.root)

    def run(self, run_id: str) -> Run:
        """No run is in an export.

        Raises:
            RunNotFoundError: Always.
        """
        raise RunNotFoundError(run_id, f"the export {str(self.location)!r}")

    def logged(self, run_id: str, name: str) -> LoggedModel:
        """No run is in an export.

        Raises:
            RunNotFoundError: Always.
        """
        raise RunNotFoundError(run_id, f"the export {str(self.location)!r}, which has no {name!r} of it")

    def model(self, name: str) -> RegisteredModel:
        """The registered model ``name``, as far as it was exported.

        Raises:
            ModelNotFoundError: There is none.
        """
        return model_of(self._model(name))

    def version(self, name: str, version: int) -> Version:
        """One version of a registered model.

        Raises:
            ModelNotFoundError: There is no such model.
            VersionNotFoundError: It has no such version, or that was not exported.
        """
        self._model(name)
        return version_of(self._version(name, version))

    def locate(self, uri: ModelURI) -> Located:
        """Where the files of ``models:/…`` are, and what they must be; as for a store."""
        if uri.kind == "run":
            raise RunNotFoundError(str(uri.run_id), f"the export {str(self.location)!r}")
        if uri.kind == "path" or not uri.name:
            raise InvalidURIError(str(uri), "a folder is not in a store")
        row = self._version(uri.name, number_of(self._model(uri.name), uri))
        with translated(self.location):
            manifest = self._trees.manifest(row["digest"])
        return Located(
            self._trees.folder(row["digest"]),
            row["digest"],
            manifest,
            row["name"],
            row["version"],
            row["model_id"],
            row["run_id"],
            row["source"].rpartition("/")[2] or None,
            uri.alias,
        )

    def models(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        limit: int = 100,
        page: str | None = None,
    ) -> Page[RegisteredModel]:
        """Registered models in the order of their names; as for a store."""
        rows = [self._model(found) for found in self.names() if name in found and found > (page or "")]
        rows = [row for row in rows if _has(row, tags)]
        return Page(
            tuple(model_of(row) for row in rows[:limit]),
            rows[limit - 1]["name"] if len(rows) > limit else None,
        )

    def versions(self, name: str, *, limit: int = 100, page: str | None = None) -> Page[Version]:
        """The versions of a registered model, the newest first; as for a store."""
        self._model(name)
        numbers = [number for number in reversed(self.numbers(name)) if page is None or number < int(page)]
        found = tuple(version_of(self._version(name, number)) for number in numbers[:limit])
        return Page(found, str(found[-1].version) if len(numbers) > limit else None)

    def search(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        digest: str | None = None,
        run_id: str | None = None,
        limit: int = 100,
        page: str | None = None,
    ) -> Page[Version]:
        """Versions of all registered models that match every condition given; as for a store."""
        after, _, number = (page or "/0").partition("/")
        rows = [
            row
            for found in self.names()
            if name in found
            for row in (self._version(found, version) for version in self.numbers(found))
            if (row["name"], row["version"]) > (after, int(number))
            and _has(row, tags)
            and digest in {None, row["digest"]}
            and run_id in {None, row["run_id"]}
        ]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            tuple(version_of(row) for row in rows[:limit]),
            f"{last['name']}/{last['version']}" if last else None,
        )

    def close(self) -> None:
        """Remove what was unpacked, if anything was."""
        if self.root != self.location:
            self._unpacked()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise StoreError(
            f"the export {str(self.location)!r} is read-only; import it into a store to change it"
        )

    create_run = finish_run = delete_run = stage = log_model = register = _refuse
    set_alias = delete_alias = set_tag = delete_tag = set_description = delete_version = delete_model = (
        _refuse
    )
    gc = _refuse

    def names(self) -> list[str]:
        """The names of all registered models."""
        with translated(self.location):
            return _fsops.names(self.root / "models")

    def numbers(self, name: str) -> list[int]:
        """The versions of a registered model, ascending."""
        with translated(self.location):
            files = _fsops.names(self.root / "models" / name / "versions")
        return sorted(
            int(file.removesuffix(".json")) for file in files if file.removesuffix(".json").isdigit()
        )

    def _model(self, name: str) -> Row:
        check_name(name)
        try:
            with translated(self.location):
                return self._read(self.root / "models" / name / "model.json")
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
        raise ModelNotFoundError(name, f"the export {str(self.location)!r}", self.names()[:10])

    def _version(self, name: str, version: int) -> Row:
        check_version(version)
        try:
            with translated(self.location):
                return self._read(self.root / "models" / name / "versions" / f"{version}.json")
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
        raise VersionNotFoundError(name, version, self.numbers(name)[-10:])

    def _read(self, file: Path) -> Row:
        table, row = sidecars.read(file)
        if sidecars.path(self.root, table, row) != file:
            raise DamagedStoreError(str(file), "it is of something else")
        return row


def _has(row: Row, tags: Mapping[str, str] | None) -> bool:
    return all(row["tags"].get(key) == value for key, value in (tags or {}).items())


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
