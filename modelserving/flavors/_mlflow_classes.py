"""MLflow's model classes, as far as a saved model names them, so that it loads where MLflow is not installed.

They carry MLflow's own module names: what pickles them writes MLflow's names, and a real MLflow loads that
without this package. ``importable`` makes the names importable for the length of a block.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

_LOCK = threading.RLock()
_CONFIG: ContextVar[Mapping[str, object] | None] = ContextVar("modelserving model config", default=None)
_MADE: ContextVar[list[object] | None] = ContextVar("modelserving models from code", default=None)


class PythonModel:
    """A model written in Python: subclass it and write ``predict``.

    ``predict`` takes ``(self, context, model_input, params=None)`` or ``(self, model_input, params=None)``.
    """

    def load_context(self, context: object) -> None:
        """Called once, after loading; does nothing unless overridden."""

    def predict(self, context: object, model_input: object, params: object = None) -> object:
        """What the model answers to ``model_input``."""
        raise NotImplementedError(f"{type(self).__qualname__} has no predict")

    def predict_stream(self, context: object, model_input: object, params: object = None) -> Iterator[object]:
        """What the model answers, piece by piece."""
        raise NotImplementedError(f"{type(self).__qualname__} has no predict_stream")


class _FunctionPythonModel(PythonModel):
    """One callable as a model; a pickle of it holds ``func``."""

    def __init__(self, func: Callable[..., object], signature: object = None) -> None:
        self.func, self.signature = func, signature

    def predict(self, model_input: object, params: object = None) -> object:  # type: ignore[override]  # as in MLflow
        return self.func(model_input)


class PythonModelContext:
    """What ``load_context`` and ``predict`` are given.

    Attributes:
        artifacts: The absolute path of each artifact, by name.
        model_config: The configuration the model was saved with, None when there is none.
    """

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, object] | None) -> None:
        self.artifacts, self.model_config = artifacts, model_config


class ModelConfig:
    """The configuration of a model from code: the one it was saved with, else ``development_config``.

    Args:
        development_config: A mapping, or the path of a YAML file, for running the file by itself.

    Example:
        >>> ModelConfig(development_config={"temperature": 0.5}).get("temperature")
        0.5
    """

    def __init__(self, *, development_config: Mapping[str, object] | str | None = None) -> None:
        config = _CONFIG.get()
        self.config = development_config if config is None else config
        if self.config is None:
            raise FileNotFoundError(
                "no model_config was given when the model was saved; save it with model_config="
            )

    def to_dict(self) -> dict[str, object]:
        """All of the configuration."""
        if isinstance(self.config, Mapping):
            return dict(self.config)
        import yaml

        return dict(yaml.safe_load(Path(str(self.config)).read_text(encoding="utf-8")) or {})

    def get(self, key: str) -> object:
        """One value; ``KeyError`` when there is none."""
        return self.to_dict()[key]


def set_model(model: object) -> None:
    """Name the model of a file of model code; when the file runs by itself this does nothing.

    Args:
        model: A ``PythonModel``, any object with ``predict``, or a callable.
    """
    made = _MADE.get()
    if made is not None:
        made.append(model)


class MlflowException(Exception):  # noqa: N818
    """What MLflow raises for input that does not fit a type hint."""


class FuncInfo(NamedTuple):
    """A type hint and the parameter it stands at; functions with type hints refer to it in their pickles."""

    input_type_hint: object
    input_param_name: str


class _TypeHints:
    """The type hints of ``predict``, which MLflow leaves on every ``PythonModel`` it saves."""

    def __init__(self, input_: object = None, output: object = None) -> None:
        self.input, self.output = input_, output


def pyfunc(func: Callable[..., object]) -> Callable[..., object]:
    """MLflow's decorator for functions with type hints; the hint is looked at when the model is asked."""
    return func


def _validate_model_input(
    args: tuple[object, ...], kwargs: dict[str, object], index: int, hint: object, name: str
) -> tuple[tuple[object, ...], dict[str, object]]:
    """What a function that MLflow wrapped calls first: turn the input into what its type hint says."""
    if name in kwargs:
        return args, {**kwargs, name: as_hinted(kwargs[name], hint)}
    if index >= len(args):
        return args, kwargs
    return (*args[:index], as_hinted(args[index], hint), *args[index + 1 :]), kwargs


def as_hinted(value: object, hint: Any) -> object:
    """``value`` as the type hint asks: mappings become the pydantic models that a ``list[Model]`` names."""
    if isinstance(value, list) and any(
        hasattr(part, "model_validate") for part in getattr(hint, "__args__", ())
    ):
        import pydantic

        return pydantic.TypeAdapter(hint).validate_python(value)
    return value


_NAMES: Mapping[str, Mapping[str, object]] = {
    "mlflow": {},
    "mlflow.exceptions": {"MlflowException": MlflowException},
    "mlflow.models": {"ModelConfig": ModelConfig, "set_model": set_model},
    "mlflow.models.model": {"set_model": set_model},
    "mlflow.models.model_config": {"ModelConfig": ModelConfig},
    "mlflow.models.signature": {"_TypeHints": _TypeHints},
    "mlflow.pyfunc": {"PythonModel": PythonModel, "PythonModelContext": PythonModelContext},
    "mlflow.pyfunc.model": {
        "PythonModel": PythonModel,
        "PythonModelContext": PythonModelContext,
        "_FunctionPythonModel": _FunctionPythonModel,
    },
    "mlflow.pyfunc.utils": {"pyfunc": pyfunc},
    "mlflow.pyfunc.utils.data_validation": {
        "FuncInfo": FuncInfo,
        "MlflowException": MlflowException,
        "_validate_model_input": _validate_model_input,
        "pyfunc": pyfunc,
    },
}

for _kind, _module in (
    (PythonModel, "mlflow.pyfunc.model"),
    (PythonModelContext, "mlflow.pyfunc.model"),
    (_FunctionPythonModel, "mlflow.pyfunc.model"),
    (ModelConfig, "mlflow.models.model_config"),
    (set_model, "mlflow.models.model"),
    (_TypeHints, "mlflow.models.signature"),
    (MlflowException, "mlflow.exceptions"),
    (FuncInfo, "mlflow.pyfunc.utils.data_validation"),
    (pyfunc, "mlflow.pyfunc.utils.data_validation"),
    (_validate_model_input, "mlflow.pyfunc.utils.data_validation"),
):
    _kind.__module__ = _module  # what a pickle of it names


@contextmanager
def importable() -> Iterator[None]:
    """A block in which the names above can be imported, from a real MLflow where one is installed.

    Where none is, nothing named ``mlflow`` is left in ``sys.modules`` afterwards.
    """
    with _LOCK:
        installed = find_spec("mlflow") is not None
    if installed:
        yield
    else:
        with _standing_in():
            yield


@contextmanager
def named_by(kind: type) -> Iterator[None]:
    """A block in which a model of class ``kind`` can be pickled with MLflow's classes named, not copied."""
    ours = any(base is PythonModel for base in kind.__mro__)
    with _standing_in() if ours else nullcontext():
        yield


@contextmanager
def _standing_in() -> Iterator[None]:
    """A block in which ``mlflow`` is the modules below; afterwards ``sys.modules`` is as it was."""
    with _LOCK:
        before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_mlflow(name)}
        sys.modules.update(_modules())
        try:
            yield
        finally:
            for name in [name for name in sys.modules if _is_mlflow(name)]:
                del sys.modules[name]
            sys.modules.update(before)


@contextmanager
def running_code(config: Mapping[str, object] | None) -> Iterator[list[object]]:
    """A block whose ``ModelConfig`` is ``config``, and whose ``set_model`` calls end up in the list it gives.

    A real MLflow keeps both in one place per process, so that only one such block runs at a time.
    """
    made: list[object] = []
    config_token, made_token = _CONFIG.set(config), _MADE.set(made)
    try:
        with _LOCK, _told_to_mlflow(config) as real:
            yield made
            if not made and getattr(real, "__mlflow_model__", None) is not None:
                made.append(vars(real)["__mlflow_model__"])
    finally:
        _CONFIG.reset(config_token)
        _MADE.reset(made_token)


@contextmanager
def _told_to_mlflow(config: Mapping[str, object] | None) -> Iterator[object]:
    """Tell a real MLflow the configuration; give the module in which it keeps what ``set_model`` was told."""
    import mlflow.models.model as told  # type: ignore[import-not-found,unused-ignore]  # the stand-in, or a real one: whichever ``importable`` chose
    import mlflow.models.model_config as asked  # type: ignore[import-not-found,unused-ignore]

    before = vars(told).get("__mlflow_model__"), vars(asked).get("__mlflow_model_config__")
    vars(told)["__mlflow_model__"] = None
    vars(asked)["__mlflow_model_config__"] = None if config is None else dict(config)
    try:
        yield told
    finally:
        vars(told)["__mlflow_model__"], vars(asked)["__mlflow_model_config__"] = before


def _is_mlflow(name: str) -> bool:
    return name.partition(".")[0] == "mlflow"


def _modules() -> dict[str, ModuleType]:
    """Fresh modules with the names above, each an attribute of the one it belongs to."""
    modules: dict[str, ModuleType] = {}
    for name, content in _NAMES.items():
        module = ModuleType(name, "A stand-in for a module of MLflow, which is not installed.")
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        vars(module).update(content)
        modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(modules[parent], last, module)
    return modules
