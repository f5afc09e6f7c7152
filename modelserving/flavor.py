"""What a flavor is: the one interface between this package and a machine-learning framework.

A flavor is a class found through the entry-point group ``modelserving.flavors``. It saves a native model into
a folder, says how much harm the files could do, loads them again, and predicts. Everything else (the store,
the signature, HTTP) is the same for all of them. ``docs/how-to/add-a-flavor.md`` builds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from modelserving.signature.types import Form

if TYPE_CHECKING:
    from pathlib import Path

    from modelserving.signature.schema import Signature

Tier = Literal["data", "native", "code"]
"""What an untrusted file of a kind could do: nothing, crash a native parser, or run any code."""

Config = Mapping[str, object]
"""A flavor's entry under ``flavors:`` in the MLmodel file; all that passes from ``save`` to ``load``."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to load one folder. Only ``trust/policy.py`` makes one, after it has checked every byte.

    Attributes:
        folder: The verified folder, which will not change while the model is loaded.
        digest: ``sha256:…`` of its manifest.
        tier: The most harm that was agreed to.
        vouched_by: Who said yes to these bytes, in words. None when nobody did, which only ``code`` needs:
            then what native code shall read is checked first.
    """

    folder: Path
    digest: str
    tier: Tier
    vouched_by: str | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """What serving must know of one loaded model. Every default is the safe one.

    Attributes:
        methods: What can be asked of it; the first is the default.
        takes: The forms of data it accepts, best first.
        classes: For a method that answers with one column per class: the label of each column.
        rows_independent: Rows of different requests may share one call.
        thread_safe: Two threads may predict at once.
        fork_safe: A child process may use what its parent loaded.
    """

    methods: tuple[str, ...] = ("predict",)
    takes: tuple[Form, ...] = ("frame", "array")
    classes: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    rows_independent: bool = False
    thread_safe: bool = False
    fork_safe: bool = False


@runtime_checkable
class Flavor(Protocol):
    """How models of one framework are saved, loaded and asked.

    Options are arguments of the constructor, by MLflow's keywords; without any it must work too.
    """

    name: ClassVar[str]
    """The key under ``flavors:`` in the MLmodel file."""

    framework: ClassVar[str]
    """The import name of the package whose classes it saves; "" for none."""

    requires: ClassVar[tuple[str, ...]]
    """Distributions it needs: recorded, pinned, and named when they are missing.

    A flavor may have ``tiers`` too, for ``modelserving flavors``: what :meth:`tier` says of its models.
    """

    def accepts(self, model: object, /) -> bool:
        """Whether this flavor can save ``model``. Imports nothing and never raises."""
        ...

    def save(self, model: object, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``model`` into ``folder``, which exists and holds nothing of this flavor yet.

        Args:
            model: An object that ``accepts`` said yes to.
            folder: Where the model's files go. Other files may stand beside them.
            example: An input the model can be asked with, where the caller gave one.

        Returns:
            Entries for ``flavors:``: its own and, if MLflow can load it, ``python_function``. JSON values
            only.
        """
        ...

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """What the files named by ``config`` could do.

        May read bytes; builds no object, imports no framework.
        """
        ...

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The native model back from ``folder``, which is verified and will not change.

        Raises:
            FlavorLoadError: The files are not what ``config`` says.
            MissingDependencyError: The framework is not installed.
        """
        ...

    def traits(self, model: object, /) -> Traits:
        """What serving must know of this loaded model."""
        ...

    def predict(self, model: object, data: object, params: Mapping[str, object], /, *, method: str) -> object:
        """Ask ``model``.

        ``data`` comes in the first of ``traits(model).takes`` that the request can be given in.
        """
        ...


@runtime_checkable
class SupportsONNX(Protocol):
    """A flavor whose models can be written as an ONNX graph."""

    def to_onnx(self, model: object, signature: Signature, /) -> tuple[bytes, Mapping[str, str]]:
        """The graph as bytes, and for each method the name of the graph's output that answers it."""
        ...
