"""One estimator in one file: skops where it can be read without running code, else a pickle."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from modelserving.errors import FlavorSaveError, MissingDependencyError
from modelserving.flavors import _entry
from modelserving.flavors._code_folder import code_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

Serialization = Literal["skops", "cloudpickle", "pickle"]

_FILES: Mapping[object, str] = {"skops": "model.skops", "cloudpickle": "model.pkl", "pickle": "model.pkl"}
FORMATS = sorted(str(name) for name in _FILES)


@dataclass(frozen=True, slots=True)
class EstimatorFile:
    """What was written.

    Attributes:
        name: The file, in the model's folder.
        form: How it was written.
        trusted: The types that MLflow must be told to trust in a skops file, None when there are none.
        note: Why it is a pickle, when nobody asked for one.
    """

    name: str
    form: Serialization
    trusted: list[str] | None = None
    note: str | None = None

    @property
    def entries(self) -> dict[str, dict[str, object]]:
        """The note, where :meth:`Flavor.save` hands it over; nothing without one."""
        return {"modelserving": {"note": self.note}} if self.note else {}


def check_format(flavor: str, form: Serialization | None) -> None:
    """Refuse a ``serialization_format`` that does not exist."""
    if form is not None and form not in _FILES:
        raise FlavorSaveError(flavor, f"serialization_format is {form!r}; expected None or one of {FORMATS}")


def write(flavor: str, model: object, folder: Path, wanted: Serialization | None) -> EstimatorFile:
    """Write ``model`` in the format that is wanted; None for skops if possible and cloudpickle if not.

    Raises:
        FlavorSaveError: skops is wanted and the file would need trust to load, or no pickle can be made.
    """
    note = None
    if wanted in (None, "skops"):
        path = folder / _FILES["skops"]
        reasons = _write_skops(model, path)
        if not reasons:
            return EstimatorFile(path.name, "skops", _untrusted_by_skops(path))
        why = f"{', '.join(reasons[:3])}" + (f" and {len(reasons) - 3} more" if len(reasons) > 3 else "")
        if wanted == "skops":
            raise FlavorSaveError(flavor, f"not known to be data: {why}; leave serialization_format out")
        note = f"saved as cloudpickle, which needs trust to load; not known to be data: {why}"
    form: Serialization = "pickle" if wanted == "pickle" else "cloudpickle"
    path = folder / _FILES[form]
    _write_pickle(flavor, model, path, form)
    return EstimatorFile(path.name, form, note=note)


def tier(path: Path, form: object) -> Tier:
    """What the file could do; reads it, and builds nothing."""
    if form != "skops":
        return "code"
    from modelserving.trust import skops

    return skops.tier(path)


def read(flavor: str, folder: Path, path: Path, config: Config, grant: Grant) -> object:
    """The estimator in ``path``, whose format the entry names; MLflow 1.x named none, and meant pickle.

    scikit-learn's remark that an input has, or has not, the feature names of the fit is silenced for this
    process: the signature has matched the columns already.
    """
    form = config.get("serialization_format", "pickle")
    if form not in _FILES:
        raise _entry.unreadable(flavor, f"its serialization_format is {form!r}; expected one of {FORMATS}")
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", f"the flavor {flavor!r}", "sklearn") from error
    warnings.filterwarnings("ignore", r"X (has|does not have valid) feature names", UserWarning, r"sklearn\.")
    with _entry.reading(flavor, path), code_folder(flavor, folder, config, grant):
        return _read_skops(path, grant) if form == "skops" else _read_pickle(path, grant)


def _read_skops(path: Path, grant: Grant) -> object:
    from modelserving.trust import skops
    from modelserving.trust.code import load_skops_code

    needed = skops.tier(path)
    if needed == "code":
        others = ", ".join(skops.types_in(path)[:3])
        _entry.require(grant, needed, f"types that are not known to be data ({path.name}: {others})")
        return load_skops_code(path, grant=grant)
    _entry.require(grant, needed, f"a booster ({path.name})")
    return skops.load_skops(path, grant=grant)


def _read_pickle(path: Path, grant: Grant) -> object:
    from modelserving.trust.code import load_pickle

    _entry.require(grant, "code", f"Python code ({path.name}, pickle)")
    return load_pickle(path, grant=grant)


def _write_skops(model: object, path: Path) -> list[str]:
    """Write the file if it can be read without running code; else why not."""
    from modelserving.trust import skops

    try:
        reasons = skops.save_skops(model, path)
    except MissingDependencyError as error:
        return [str(error)]
    if reasons and _write_booster(model, path):
        return []
    return reasons


def _write_booster(model: object, path: Path) -> bool:
    """Write a file that holds a booster, which native code reads; whether there is nothing else in it."""
    import skops.io

    try:
        skops.io.dump(model, path)
        native = tier(path, "skops") != "code"
    except Exception:  # noqa: BLE001  skops raises what the objects in the model raise
        native = False
    if not native:
        path.unlink(missing_ok=True)
    return native


def _untrusted_by_skops(path: Path) -> list[str] | None:
    import skops.io

    return sorted(skops.io.get_untrusted_types(file=path)) or None


def _write_pickle(flavor: str, model: object, path: Path, form: Serialization) -> None:
    import cloudpickle

    dump = pickle.dump if form == "pickle" else cloudpickle.dump
    try:
        with path.open("wb") as file:
            dump(model, file)
    except Exception as error:
        path.unlink(missing_ok=True)
        reason = f"cannot pickle a {type(model).__qualname__!r} ({type(error).__name__}: {error})"
        raise FlavorSaveError(flavor, f"{reason}; remove what cannot be pickled from it") from error
