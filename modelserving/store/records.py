"""What a store answers with: runs, logged models, registered models, versions, and where a model lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelserving.trust.manifest import Manifest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what was logged together. Times are milliseconds since 1970, UTC."""

    run_id: str
    name: str
    status: str
    start_time: int
    end_time: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model as it was logged in a run, registered or not."""

    model_id: str
    name: str
    run_id: str
    digest: str
    created: int


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name under which there are versions.

    Attributes:
        aliases: Alias to version.
        latest: The highest version that is not deleted, None when there is none.
    """

    name: str
    aliases: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    latest: int | None = None
    created: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a registered model. Its digest never changes, and its number is never used again.

    Attributes:
        digest: ``sha256:…`` of the model's folder.
        model_id: The logged model it was registered from, in the run ``run_id``.
        source: The URI it was registered from.
    """

    name: str
    version: int
    digest: str
    model_id: str
    run_id: str
    created: int
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """Where the files of a model are, and what they must be.

    Attributes:
        folder: The model's folder. Read it, never write it.
        digest: ``sha256:…`` of the manifest.
        manifest: Every file with its size and digest; nothing has been compared yet.
        artifact: The name it was logged under in its run.
    """

    folder: Path
    digest: str
    manifest: Manifest
    name: str | None = None
    version: int | None = None
    model_id: str | None = None
    run_id: str | None = None
    artifact: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a listing.

    Attributes:
        items: What is on it.
        next: Give it as ``page`` to get the next one; None on the last.

    Example:
        >>> [item for item in Page(("iris", "wine"))]
        ['iris', 'wine']
    """

    items: tuple[T, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that ``doctor`` noticed.

    Attributes:
        severity: ``error``: something was lost or changed. ``warning``: it works, but not as it should.
            ``note``: what a crash may leave behind, for ``gc`` to remove.
        file: The file it is about, relative to the store.
        problem: What is wrong with it, and what to do.
    """

    severity: str
    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What ``gc`` did.

    Attributes:
        trees: The digests whose files were removed.
        bytes: How many bytes that was.
        kept: How many unreferenced trees are too young yet.
        skipped: Why nothing was removed, "" otherwise.
    """

    trees: tuple[str, ...] = ()
    bytes: int = 0
    kept: int = 0
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What ``rebuild`` found in the sidecars.

    Attributes:
        models, versions, runs: How many there are now.
        problems: Sidecars and versions that could not be taken over, and why.
    """

    models: int
    versions: int
    runs: int
    problems: tuple[Finding, ...] = ()
