"""The flavor of NearestMean: its labels and means as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from modelserving.errors import FlavorLoadError, MissingDependencyError
from modelserving.flavor import Traits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

FILE = "nearest_mean.json"


class NearestMeanFlavor:
    """Saves a NearestMean as data: loading it runs nothing of it, so it needs no trust."""

    name: ClassVar[str] = "nearest_mean"
    framework: ClassVar[str] = "nearest_mean"
    requires: ClassVar[tuple[str, ...]] = ("nearest-mean",)
    tiers: ClassVar[tuple[Tier, ...]] = ("data",)

    def accepts(self, model: object, /) -> bool:
        """Whether it is a NearestMean; where that was never imported, nothing is one."""
        module = sys.modules.get("nearest_mean")
        return module is not None and isinstance(model, module.NearestMean)

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``nearest_mean.json``, and say so in the entry."""
        content = {"labels": model.labels.tolist(), "means": model.means.tolist()}
        (folder / FILE).write_text(json.dumps(content, allow_nan=False))
        return {self.name: {"data": FILE}}

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """JSON can do nothing; modules that came with the model can do anything."""
        return "code" if config.get("code") else "data"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The model back."""
        try:
            from nearest_mean import NearestMean
        except ImportError as error:
            raise MissingDependencyError("nearest-mean", "the flavor 'nearest_mean'") from error
        try:
            content = json.loads((folder / FILE).read_bytes())
            return NearestMean(content["labels"], content["means"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise FlavorLoadError(self.name, "nearest-mean", f"{FILE!r} cannot be read ({error})") from error

    def traits(self, model: Any, /) -> Traits:
        """It may be asked for labels and for distances, from any thread, in batches, on arrays."""
        return Traits(
            methods=("predict", "distances"),
            takes=("array",),
            classes={"distances": tuple(model.labels.tolist())},
            rows_independent=True,
            thread_safe=True,
            fork_safe=True,
        )

    def predict(self, model: Any, data: Any, params: Mapping[str, object], /, *, method: str) -> object:
        """What the method of that name answers."""
        return getattr(model, method)(data)
