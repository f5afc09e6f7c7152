"""What a store is, whoever keeps it: what models, runs and the command line are written against."""

# ruff: noqa: D102 - one place documents the methods, and the docstring of the class says which

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import EllipsisType

    from modelserving.store.records import (
        Collected,
        Located,
        LoggedModel,
        Page,
        RegisteredModel,
        Run,
        Version,
    )
    from modelserving.uri import ModelURI


class Store(Protocol):
    """Registered models, their versions and aliases, runs and the models logged in them.

    Each method is documented at :class:`~modelserving.store.local.LocalStore`. All raise subclasses of
    :class:`~modelserving.errors.StoreError`. A store that only reads refuses the second half with that error.
    """

    root: Path
    location: Path

    def locate(self, uri: ModelURI) -> Located: ...
    def run(self, run_id: str) -> Run: ...
    def logged(self, run_id: str, name: str) -> LoggedModel: ...
    def model(self, name: str) -> RegisteredModel: ...
    def version(self, name: str, version: int) -> Version: ...
    def models(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        limit: int = 100,
        page: str | None = None,
    ) -> Page[RegisteredModel]: ...
    def versions(self, name: str, *, limit: int = 100, page: str | None = None) -> Page[Version]: ...
    def search(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        digest: str | None = None,
        run_id: str | None = None,
        limit: int = 100,
        page: str | None = None,
    ) -> Page[Version]: ...
    def close(self) -> None: ...

    def create_run(self, name: str | None = None, *, tags: Mapping[str, str] | None = None) -> Run: ...
    def finish_run(self, run_id: str, *, status: str = "FINISHED") -> Run: ...
    def delete_run(self, run_id: str) -> None: ...
    def stage(self) -> AbstractContextManager[Path]: ...
    def log_model(
        self,
        folder: Path,
        name: str,
        *,
        run_id: str,
        model_id: str | None = None,
        registered_model_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        aliases: Sequence[str] = (),
        description: str = "",
        source: str | None = None,
    ) -> tuple[LoggedModel, Version | None]: ...
    def register(
        self,
        name: str,
        *,
        model_id: str,
        tags: Mapping[str, str] | None = None,
        aliases: Sequence[str] = (),
        description: str = "",
    ) -> Version: ...
    def set_alias(
        self, name: str, alias: str, version: int, *, expected: int | EllipsisType | None = ...
    ) -> None: ...
    def delete_alias(self, name: str, alias: str) -> None: ...
    def set_tag(self, name: str, key: str, value: str, *, version: int | None = None) -> None: ...
    def delete_tag(self, name: str, key: str, *, version: int | None = None) -> None: ...
    def set_description(self, name: str, text: str, *, version: int | None = None) -> None: ...
    def delete_version(self, name: str, version: int, *, purge: bool = False) -> None: ...
    def delete_model(self, name: str, *, purge: bool = False) -> None: ...
    def gc(self, *, grace: float = ...) -> Collected: ...
