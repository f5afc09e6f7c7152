"""Keras models in files: written as ``.keras``, and read as data where Keras's own layers are all they hold.

A ``.keras`` file is a zip of a configuration and weights. Keras makes an object of whatever class the
configuration names, so that is looked at first: every class and function must be one of Keras's own that
computes, none may take its contents from a file or from bytecode, and nothing else may be in the zip.
"""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

from modelserving.errors import FlavorSaveError, MissingDependencyError
from modelserving.flavors import _entry
from modelserving.flavors._code_folder import code_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

CUSTOM_OBJECTS = ("custom_objects.cloudpickle", "global_custom_objects.cloudpickle")
"""MLflow's names for the pickles of a model's own classes."""

_RECORDS = ["config.json", "metadata.json", "model.weights.h5"]
_MODULES = re.compile(
    r"keras\.(activations|constraints|dtype_policies|initializers|layers|losses|metrics|models|ops|optimizers|random"
    r"|regularizers)(\.[a-z_]+)*|keras\.src\.ops\.(image|linalg|math|nn|numpy)"
)
_MODELS = re.compile(r"keras|keras\.src\.models\.\w+", re.ASCII)
_OF_MODELS = frozenset({"DTypePolicy", "Functional", "Model", "Sequential"})
_FUNCTIONS = ("builtins", "keras.activations", "keras.losses", "keras.ops")
_RUN_CODE = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"})
_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_FROM_FILES = ("vocabulary", "idf_weights", "filepath", "file_path", "path")
_LARGEST_CONFIG = 64 << 20


def tier(path: Path) -> Tier:
    """What the model could do: ``native`` for plain layers, whose weights HDF5 reads; else ``code``."""
    return "code" if path.suffix != ".keras" or _beside(path) or why_code(path) else "native"


def why_code(path: Path) -> str | None:
    """What in a ``.keras`` file is more than Keras's own layers, in a few words; None when nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sorted(archive.namelist()) != _RECORDS:
                return "files beside its configuration and weights"
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                return "a configuration of more than 64 MiB"
            config = json.loads(archive.read("config.json"))
        return next(_reasons(config), None)
    except (OSError, EOFError, ValueError, RecursionError, NotImplementedError, zipfile.BadZipFile) as error:
        return f"what cannot be read ({type(error).__name__})"


def _reasons(config: Any) -> Iterator[str]:
    """What in a configuration is not known to compute only."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            if "class_name" in value and not _is_known(value):
                yield f"the class {str(value['class_name'])[:80]!r} of {str(value.get('module'))[:80]!r}"
            for key in _FROM_FILES:
                if isinstance(value.get(key), str):
                    yield f"a layer that reads the file {value[key][:80]!r}"


def _is_known(value: dict[str, Any]) -> bool:
    """Whether an object in a configuration is made by Keras's own, harmless code."""
    kind, module = value["class_name"], value.get("module")
    if not isinstance(kind, str) or kind in _RUN_CODE:
        return False
    if kind in _VALUES:
        return True
    if not isinstance(module, str):
        return False
    if value.get("registered_name") not in (None, kind):
        return False
    if kind == "function":
        return module in _FUNCTIONS
    return bool(_MODULES.fullmatch(module) or (_MODELS.fullmatch(module) and kind in _OF_MODELS))


def write(flavor: str, model: Any, data: Path, custom_objects: dict[str, object] | None) -> None:
    """Write ``model.keras``, and the model's own classes where they are given, into ``data``."""
    import cloudpickle

    try:
        model.save(data / "model.keras")
    except Exception as error:
        reason = f"Keras cannot save it ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
        raise FlavorSaveError(flavor, f"{reason}; build it first") from error
    if custom_objects:
        with (data / CUSTOM_OBJECTS[0]).open("wb") as file:
            cloudpickle.dump(custom_objects, file)


def file_of(flavor: str, folder: Path, config: Config) -> Path:
    """The file, or the folder of a SavedModel, that holds the model."""
    data = _entry.inside(flavor, folder, config.get("data"), "data")
    for name in ("model.keras", "model.h5"):
        if (data / name).is_file():
            return _entry.file_of(flavor, data, {"data": name}, "data")
    if (data / "model" / "saved_model.pb").is_file():
        return data / "model"
    raise _entry.unreadable(flavor, f"'data' names {data.name!r}, which holds no Keras model; log it again")


def read(flavor: str, folder: Path, config: Config, grant: Grant) -> object:
    """The model back, not compiled: it predicts, and is not trained."""
    path = file_of(flavor, folder, config)
    plain = tier(path) == "native" and not config.get("code")
    _entry.require(grant, "native", f"a Keras model ({path.name})")
    if not plain:
        _entry.require(grant, "code", f"Python code ({path.name}, Keras: {_why(path)})")
    with _entry.reading(flavor, path), code_folder(flavor, folder, config, grant):
        if plain:
            return keras(flavor).saving.load_model(path, compile=False, safe_mode=True)
        from modelserving.trust import code

        if path.is_dir():
            return code.load_saved_model(path, grant=grant)
        own: dict[str, object] = {}
        for pickled in _beside(path):
            own.update(code.load_pickle(pickled, grant=grant))  # type: ignore[call-overload]
        return code.load_keras(path, grant=grant, custom_objects=own)


def predict(model: Any, data: Any) -> Any:
    """The answer, as arrays; a frame for a frame whose answer has one or two dimensions."""
    framed = hasattr(data, "columns") and hasattr(data, "to_numpy")
    answer = _in_batches(model, data.to_numpy() if framed else data)
    if framed and getattr(answer, "ndim", 3) <= 2:
        import pandas as pd

        return pd.DataFrame(answer, index=data.index)
    return answer


def keras(flavor: str) -> Any:
    """The package ``keras``, or an error that says how to get it."""
    try:
        import keras
    except ImportError as error:
        raise MissingDependencyError("keras", f"the flavor {flavor!r}", "keras") from error
    return keras


_BATCH = 1024  # rows in one step; more than that at once may not fit into memory


def _in_batches(model: Any, data: Any) -> Any:
    if not hasattr(model, "predict_on_batch"):  # a SavedModel that Keras exported
        return _entry.arrays(model.serve(data))
    first = next(iter(data.values())) if isinstance(data, dict) else data
    if len(first) <= _BATCH:
        return model.predict_on_batch(data)
    return model.predict(data, batch_size=_BATCH, verbose=0)


def _beside(path: Path) -> list[Path]:
    return [path.with_name(name) for name in CUSTOM_OBJECTS if path.with_name(name).exists()]


def _why(path: Path) -> str:
    if _beside(path):
        return f"classes of its own in {_beside(path)[0].name}"
    if path.suffix != ".keras":
        return "a format that can hold code"
    return why_code(path) or "modules that came with it"
