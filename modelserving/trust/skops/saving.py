"""Write a skops file, and keep it only if it can be read back without trust."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from modelserving.errors import (
    DamagedModelError,
    FlavorLoadError,
    MissingDependencyError,
    UntrustedModelError,
)
from modelserving.trust.skops.reading import load_skops, types_in

if TYPE_CHECKING:
    from modelserving.flavor import Grant


def save_skops(model: object, path: Path, *, grant: Grant | None = None) -> list[str]:
    """Write ``model`` to ``path``, unless it could not be read back without trust.

    Args:
        model: A scikit-learn estimator, fitted or not.
        path: The file to write. It is not there afterwards when there are reasons.
        grant: As for ``load_skops``: with one of tier ``native``, boosters are kept too.

    Returns:
        Why the model cannot be kept as data: the types outside our list, or one sentence. Empty when it was
        written.

    Raises:
        MissingDependencyError: skops is not installed.
    """
    try:
        import skops.io
    except ImportError:
        raise MissingDependencyError("skops", "saving a model as skops", "sklearn") from None
    try:
        skops.io.dump(model, path)
        reasons = types_in(path) if grant is None else []
        if not reasons:
            load_skops(path, grant=grant)
    except (DamagedModelError, UntrustedModelError, FlavorLoadError) as error:
        reasons = [str(error)]
    except Exception as error:  # noqa: BLE001  (skops raises what the objects in the model raise)
        reasons = [f"skops cannot write it: {error}"]
    if reasons:
        path.unlink(missing_ok=True)
    return reasons


def saveable(model: object) -> list[str]:
    """Why ``model`` cannot be saved as data, as :func:`save_skops` says it; empty when it can."""
    with tempfile.TemporaryDirectory(prefix="modelserving-") as folder:
        return save_skops(model, Path(folder, "model.skops"))
