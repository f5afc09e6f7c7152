"""The flavor of what is written in Python: callables, classes with ``predict``, files of model code."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import IO, Any, ClassVar, Literal

from modelserving.errors import FlavorSaveError
from modelserving.flavor import Config, Grant, Tier, Traits
from modelserving.flavors import _entry
from modelserving.flavors import _mlflow_classes as mlflow_classes
from modelserving.flavors._code_folder import code_folder, copy_code
from modelserving.flavors._python_model import LoadedPythonModel, own_stream, picklable

Compression = Literal["lzma", "bzip2", "gzip"]
_Artifacts = Mapping[str, str | Path]

_PICKLED = "mlflow.pyfunc.model"
_FROM_CODE = "mlflow.pyfunc.loaders.code_model"
_CHAT = (
    "mlflow.pyfunc.loaders.chat_agent",
    "mlflow.pyfunc.loaders.chat_model",
    "mlflow.pyfunc.loaders.responses_agent",
)
_SUFFIXES: Mapping[str | None, str] = {None: "", "lzma": ".xz", "bzip2": ".bz2", "gzip": ".gz"}


class PythonFunctionFlavor:
    """Saves callables, objects with ``predict``, and files of model code, so that MLflow loads them as well.

    ``predict`` takes ``(context, model_input, params=None)``, ``(model_input, params=None)`` or ``(x)``.
    ``load_context(context)`` is called once after loading, where there is one. Functions and classes of a
    notebook, or of the program that runs, are saved whole; those of other modules by name: give their files
    as ``code_paths``.

    Args:
        artifacts: Files and folders to save with the model, by name; found again in ``context.artifacts``.
        model_config: JSON values to save with the model; found again in ``context.model_config``.
        code_paths: Files and packages the model imports, saved with it.
        python_model_compression: ``lzma``, ``bzip2`` or ``gzip``; None leaves the pickle as it is.

    Example:
        >>> from modelserving.flavors.python_function import PythonFunctionFlavor
        >>> PythonFunctionFlavor().accepts(lambda rows: [2 * row for row in rows])
        True
    """

    name: ClassVar[str] = "python_function"
    framework: ClassVar[str] = ""
    requires: ClassVar[tuple[str, ...]] = ("cloudpickle",)
    tiers: ClassVar[tuple[Tier, ...]] = ("code",)

    PythonModel = mlflow_classes.PythonModel
    ModelConfig = mlflow_classes.ModelConfig
    set_model = staticmethod(mlflow_classes.set_model)

    def __init__(
        self,
        artifacts: _Artifacts | None = None,
        model_config: Mapping[str, object] | None = None,
        code_paths: Iterable[str | Path] = (),
        python_model_compression: Compression | None = None,
    ) -> None:
        if python_model_compression not in _SUFFIXES:
            known = sorted(name for name in _SUFFIXES if name)
            raise FlavorSaveError(
                "python_function",
                f"python_model_compression is {python_model_compression!r}; expected one of {known}, or None",
            )
        self.artifacts = dict(artifacts or {})
        self.model_config = model_config
        self.code_paths = tuple(code_paths)
        self.python_model_compression = python_model_compression

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is a callable, has ``predict``, or is the path of a ``.py`` file."""
        if isinstance(model, str | PurePath):
            return str(model).endswith(".py")
        try:
            return callable(getattr(model, "predict", None)) or (
                callable(model) and not isinstance(model, type)
            )
        except Exception:  # noqa: BLE001
            return False

    def save(self, model: object, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``python_model.pkl`` or a copy of the file of model code, ``artifacts/`` and ``code/``.

        Raises:
            FlavorSaveError: It cannot be pickled, a path does not exist, or ``model_config`` holds no JSON
            values.
        """
        model, artifacts, config, code_paths = self._what_to_save(model)
        keys: dict[str, object] = {
            "cloudpickle_version": _entry.installed_version("cloudpickle"),
            "streamable": False,
        }
        note = None
        if isinstance(model, str | PurePath):
            keys["model_code_path"] = _copy_model_code(Path(model), folder)
        else:
            python_model, note = picklable(model)
            keys["streamable"] = own_stream(python_model) is not None
            keys["python_model"] = self._pickle(python_model, folder)
            if self.python_model_compression:
                keys["python_model_compression"] = self.python_model_compression
        if artifacts:
            keys["artifacts"] = _copy_artifacts(artifacts, folder)
        if config is not None:
            keys["config"] = _json(config)
        keys["code"] = copy_code(self.name, code_paths, folder)
        loader = _FROM_CODE if "model_code_path" in keys else _PICKLED
        entries: dict[str, Config] = {self.name: _entry.python_function_entry(loader, **keys)}
        if note:
            entries["modelserving"] = {"note": note}
        return entries

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``code``, always."""
        return "code"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> LoadedPythonModel:
        """The model back, with its context, after ``load_context``.

        Pickles and code that name MLflow's classes find MLflow where it is installed, and stand-ins where it
        is not.
        """
        loader = config.get("loader_module")
        _entry.require(grant, "code", f"Python code ({loader})")
        settings = config.get("config")
        context = mlflow_classes.PythonModelContext(
            _artifacts(folder, config), settings if isinstance(settings, dict) else None
        )
        code = _entry.inside(self.name, folder, config["code"], "code") if config.get("code") else None
        with code_folder(self.name, folder, config, grant):
            made, source = self._read(folder, config, grant)
            return LoadedPythonModel(made, context, source, tuple(code.iterdir()) if code else ())

    def traits(self, model: object, /) -> Traits:
        """``predict``, and ``predict_stream`` where there is one; nothing is known of the user's code."""
        streams = isinstance(model, LoadedPythonModel) and model.streams
        return Traits(methods=("predict", "predict_stream") if streams else ("predict",))

    def predict(self, model: object, data: object, params: Mapping[str, object], /, *, method: str) -> object:
        """What the model answers; for ``predict_stream`` an iterator."""
        return getattr(model, method)(data, params)

    def _what_to_save(
        self, model: object
    ) -> tuple[object, _Artifacts, Mapping[str, object] | None, tuple[str | Path, ...]]:
        """Model, artifacts, configuration and code: what was given here, else what a loaded model has."""
        if not isinstance(model, LoadedPythonModel):
            return model, self.artifacts, self.model_config, self.code_paths
        return (
            model.source or model.python_model,
            self.artifacts or dict(model.context.artifacts),
            model.context.model_config if self.model_config is None else self.model_config,
            self.code_paths or model.code_paths,
        )

    def _pickle(self, model: object, folder: Path) -> str:
        """Write the pickle, in which MLflow's classes are named, not copied; its file name."""
        import cloudpickle

        path = folder / f"python_model.pkl{_SUFFIXES[self.python_model_compression]}"
        try:
            with mlflow_classes.named_by(type(model)), _opened(path, self.python_model_compression) as file:
                cloudpickle.dump(model, file)
        except Exception as error:
            path.unlink(missing_ok=True)
            reason = f"cannot pickle the model ({type(error).__name__}: {error})"
            raise FlavorSaveError(
                "python_function",
                f"{reason}; make what it holds in load_context, or save a file of model code",
            ) from error
        return path.name

    def _read(self, folder: Path, config: Config, grant: Grant) -> tuple[object, Path | None]:
        """The object that was saved, by its loader; and the file that made it, if one did."""
        loader = config.get("loader_module")
        if loader == _PICKLED:
            return self._unpickle(folder, config, grant), None
        if loader == _FROM_CODE:
            written = str(
                config.get("model_code_path") or ""
            )  # MLflow writes the path on the machine of the writer
            name = written.replace("\\", "/").rpartition("/")[2]
            path = _entry.file_of(self.name, folder, {"model_code_path": name}, "model_code_path")
            return self._run_code(path, config, grant), path
        return self._ask_loader(folder, config, grant), None

    def _unpickle(self, folder: Path, config: Config, grant: Grant) -> object:
        from modelserving.trust.code import load_pickle

        path = _entry.file_of(self.name, folder, config, "python_model")
        compression = config.get("python_model_compression")
        if compression not in _SUFFIXES:
            raise _entry.unreadable(
                self.name, f"its python_model_compression is {compression!r}, which is not known"
            )
        packed: Any = {"bzip2": "bz2"}.get(str(compression), compression)
        with mlflow_classes.importable(), _entry.reading(self.name, path):
            return load_pickle(path, grant=grant, compression=packed)

    def _run_code(self, path: Path, config: Config, grant: Grant) -> object:
        """Run the file of model code; the model it named."""
        from modelserving.trust.code import load_module_file

        settings = config.get("config")
        running = mlflow_classes.running_code(settings if isinstance(settings, dict) else None)
        with mlflow_classes.importable(), running as made, _entry.reading(self.name, path):
            load_module_file(path, grant=grant, name="model_code")
        if not made:
            raise _entry.unreadable(
                self.name, f"{path.name!r} names no model; end it with mlflow.models.set_model(model)"
            )
        return made[-1]

    def _ask_loader(self, folder: Path, config: Config, grant: Grant) -> object:
        """What ``_load_pyfunc`` of a loader module in the model's own code folder gives."""
        from modelserving.trust.code import load_module_file

        loader = config.get("loader_module")
        if not isinstance(loader, str) or not all(part.isidentifier() for part in loader.split(".")):
            raise _entry.unreadable(
                self.name, f"its loader_module is {loader!r}; expected the name of a module"
            )
        if loader in _CHAT:
            raise _entry.unreadable(
                self.name, f"its loader {loader!r} is for chat models, which are not supported"
            )
        if loader.startswith("mlflow."):
            other = loader.split(".")[1]
            raise _entry.unreadable(
                self.name, f"its loader {loader!r} is the flavor {other!r}; load it with flavor={other!r}"
            )
        path = folder.joinpath(str(config.get("code") or "code"), *loader.split(".")).with_suffix(".py")
        if not path.is_file():
            raise _entry.unreadable(
                self.name, f"its loader module {loader!r} is not in the model's own code folder"
            )
        data = (
            folder if config.get("data") is None else _entry.inside(self.name, folder, config["data"], "data")
        )
        settings = (config["config"],) if config.get("config") else ()
        with mlflow_classes.importable(), _entry.reading(self.name, path):
            return load_module_file(path, grant=grant, name=loader.rpartition(".")[2])._load_pyfunc(  # noqa: SLF001
                str(data), *settings
            )


def _opened(path: Path, compression: Compression | None) -> IO[Any]:
    """The file, open for writing, packed as asked for."""
    opener: Any = {None: open, "lzma": lzma.open, "bzip2": bz2.open, "gzip": gzip.open}[compression]
    return opener(path, "wb")  # type: ignore[no-any-return]


def _copy_model_code(source: Path, folder: Path) -> str:
    if not source.is_file():
        raise FlavorSaveError(
            "python_function",
            f"the file of model code {str(source)!r} does not exist; give the path of a .py file",
        )
    shutil.copyfile(source, folder / source.name)
    return source.name


def _copy_artifacts(artifacts: _Artifacts, folder: Path) -> dict[str, dict[str, str]]:
    """Copy each artifact into ``artifacts/``; what the entry says of them, as MLflow writes it."""
    entry = {}
    for name, given in artifacts.items():
        source = Path(str(given).removeprefix("file://"))
        if not source.exists():
            raise FlavorSaveError(
                "python_function",
                f"the artifact {name!r} is {str(given)!r}, which does not exist; give a local file or folder",
            )
        target = folder / "artifacts" / source.name
        number = 1
        while target.exists():
            number += 1
            target = folder / "artifacts" / str(number) / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        entry[name] = {"path": target.relative_to(folder).as_posix(), "uri": str(given)}
    return entry


def _artifacts(folder: Path, config: Config) -> dict[str, str]:
    """The absolute path of each artifact, by name."""
    recorded = config.get("artifacts") or {}
    if not isinstance(recorded, Mapping):
        raise _entry.unreadable("python_function", "its 'artifacts' is not a mapping of names to paths")
    found = {}
    for name, entry in recorded.items():
        path = entry.get("path") if isinstance(entry, Mapping) else None
        found[name] = str(_entry.inside("python_function", folder.resolve(), path, f"artifacts.{name}.path"))
    return found


def _json(config: Mapping[str, object]) -> dict[str, object]:
    try:
        return dict(json.loads(json.dumps(dict(config), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise FlavorSaveError(
            "python_function",
            f"model_config holds what JSON cannot ({error}); give strings, numbers, lists and mappings",
        ) from error
