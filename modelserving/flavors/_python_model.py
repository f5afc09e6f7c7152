"""A model written in Python: made ready to be pickled, and asked once it is loaded."""

from __future__ import annotations

import copy
import inspect
import sys
import types
import typing

from modelserving.errors import FlavorLoadError
from modelserving.flavors import _mlflow_classes as mlflow_classes
from modelserving.flavors._entry import PACKAGE

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


class LoadedPythonModel:
    """A Python model with its context, after ``load_context``.

    Attributes:
        python_model: The object that was saved.
        context: What ``load_context`` and ``predict`` are given: ``artifacts`` and ``model_config``.
        source: The file of model code it was made by, None for a pickle.
        code_paths: The modules it brought along.
    """

    def __init__(
        self,
        python_model: object,
        context: mlflow_classes.PythonModelContext,
        source: Path | None = None,
        code_paths: tuple[Path, ...] = (),
    ) -> None:
        self.python_model, self.context = python_model, context
        self.source, self.code_paths = source, code_paths
        load_context = getattr(python_model, "load_context", None)
        if callable(load_context):
            load_context(context)
        self._predict = _Call(_function_of(python_model), context)
        stream = own_stream(python_model)
        self._stream = _Call(stream, context) if stream else None

    @property
    def streams(self) -> bool:
        """Whether the model has a ``predict_stream`` of its own."""
        return self._stream is not None

    def predict(self, model_input: object, params: Mapping[str, object] | None = None) -> object:
        """What the model answers."""
        return self._predict(model_input, params)

    def predict_stream(
        self, model_input: object, params: Mapping[str, object] | None = None
    ) -> Iterator[object]:
        """What the model answers, piece by piece."""
        if self._stream is None:
            reason = f"a {type(self.python_model).__qualname__!r} has no predict_stream; ask predict"
            raise FlavorLoadError("python_function", PACKAGE, reason)
        return typing.cast("Iterator[object]", self._stream(model_input, params))


class _Call:
    """How one function wants to be called: with a context or not, with params or not, on which type."""

    def __init__(self, function: Callable[..., object], context: object) -> None:
        parameters = _parameters(function)
        inputs = [name for name in parameters if name not in ("self", "params")]
        self.function = function
        self.with_params = "params" in parameters
        with_context = "context" in parameters or (len(inputs) == 2 and inspect.ismethod(function))
        self.before = (context,) if with_context else ()
        self.hint = _hint(function, inputs[len(self.before)] if len(inputs) > len(self.before) else "")

    def __call__(self, model_input: object, params: Mapping[str, object] | None) -> object:
        model_input = _as_hinted(model_input, self.hint)
        if self.with_params:
            return self.function(*self.before, model_input, params=dict(params) if params else None)
        return self.function(*self.before, model_input)


def picklable(model: object) -> tuple[object, str | None]:
    """The object to pickle so that MLflow can load it too, and a note when it cannot.

    A callable becomes MLflow's own wrapper of one. An object that is not a ``PythonModel`` becomes a copy
    whose class is its own and MLflow's at once: MLflow asks every model for ``load_context``.
    """
    model = model() if isinstance(model, type) else model
    if isinstance(model, LoadedPythonModel):
        model = model.python_model
    python_model, function_model = _mlflow_bases()
    if not callable(getattr(model, "predict", None)):
        wrapper: object = object.__new__(function_model)
        vars(wrapper).update(func=model, signature=None)
        return wrapper, None
    if is_python_model(type(model)):
        return model, None
    kind = type(model)
    try:
        both = types.new_class(
            kind.__name__, (kind, python_model), {}, lambda body: body.update(__module__=kind.__module__)
        )
        twin = copy.copy(model)
        twin.__class__ = both
    except TypeError as error:
        return model, f"MLflow cannot load it: {kind.__qualname__!r} cannot also be a PythonModel ({error})"
    return twin, None


def is_python_model(kind: type) -> bool:
    """Whether a class is a ``PythonModel``, MLflow's own or the one that stands in for it."""
    return any(
        (base.__module__, base.__name__) == ("mlflow.pyfunc.model", "PythonModel") for base in kind.__mro__
    )


def own_stream(model: object) -> Callable[..., object] | None:
    """The model's ``predict_stream``, unless it is the one every ``PythonModel`` has, which only raises."""
    stream = getattr(model, "predict_stream", None)
    function = getattr(stream, "__func__", stream)
    default = getattr(function, "__qualname__", "") == "PythonModel.predict_stream"
    return stream if callable(stream) and not default else None


def _mlflow_bases() -> tuple[type, type]:
    """``PythonModel`` and the wrapper of a callable: those of an imported MLflow, else the stand-ins."""
    module = sys.modules.get("mlflow.pyfunc.model", mlflow_classes)
    return module.PythonModel, module._FunctionPythonModel  # noqa: SLF001


def _function_of(python_model: object) -> Callable[..., object]:
    """What to call: the callable in MLflow's wrapper of one, else the method ``predict``, else the object."""
    if type(python_model).__name__ == "_FunctionPythonModel" and is_python_model(type(python_model)):
        python_model = vars(python_model)["func"]
    found = getattr(python_model, "predict", python_model)
    if not callable(found):
        reason = f"a {type(python_model).__qualname__!r} is no model; it needs predict(), or to be a callable"
        raise FlavorLoadError("python_function", PACKAGE, reason)
    return typing.cast("Callable[..., object]", found)


def _parameters(function: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C, without a signature
        return {}


def _hint(function: Callable[..., object], name: str) -> object:
    """The type hint of one parameter, None when there is none that can be read."""
    try:
        return typing.get_type_hints(inspect.unwrap(function)).get(name)
    except Exception:  # noqa: BLE001
        return None


def _as_hinted(model_input: object, hint: object) -> object:
    """A DataFrame as the list that ``list[str]`` or ``list[dict[…]]`` asks for; everything else as it is."""
    if typing.get_origin(hint) is not list:
        return model_input
    (item,) = typing.get_args(hint) or (None,)
    if hasattr(model_input, "to_dict") and hasattr(model_input, "columns"):
        if item is str:
            texts = [column for column in model_input.columns if isinstance(model_input[column].iloc[0], str)]  # type: ignore[index]
            model_input = model_input[texts[0]].tolist() if texts else model_input  # type: ignore[index]
        elif item is dict or typing.get_origin(item) is dict or hasattr(item, "model_validate"):
            model_input = model_input.to_dict(orient="records")
    return mlflow_classes.as_hinted(model_input, hint)
