"""The flavor of TensorFlow: modules as SavedModels, and Keras models that MLflow logged under its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from modelserving.errors import FlavorSaveError, MissingDependencyError
from modelserving.flavor import Traits
from modelserving.flavors import _entry, _keras_file
from modelserving.flavors._code_folder import code_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

_TYPES = ("keras", "tf2-module")


class TensorFlowFlavor:
    """Saves ``tf.Module`` objects as SavedModels.

    A SavedModel is a program: its graph can read and write files. So it needs trust to load.

    Args:
        saved_model_kwargs: For ``tf.saved_model.save``, such as ``{"signatures": {"score": model.score}}``.
            Each signature can be asked as a method of its name.

    Example:
        >>> from modelserving.flavors.tensorflow import TensorFlowFlavor
        >>> TensorFlowFlavor().accepts("not a module")
        False
    """

    name: ClassVar[str] = "tensorflow"
    framework: ClassVar[str] = "tensorflow"
    requires: ClassVar[tuple[str, ...]] = (_entry.first_installed("tensorflow", "tensorflow-cpu"),)
    tiers: ClassVar[tuple[Tier, ...]] = ("native", "code")

    def __init__(self, saved_model_kwargs: Mapping[str, object] | None = None) -> None:
        self.saved_model_kwargs = dict(saved_model_kwargs or {})

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is a ``tf.Module``, or was loaded from a SavedModel."""
        names = {(kind.__module__, kind.__name__) for kind in type(model).__mro__}
        return bool(names & {
            ("tensorflow.python.module.module", "Module"),
            ("tensorflow.python.saved_model.load", "_UserObject"),
        })  # fmt: skip

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write the SavedModel ``tf2model/``.

        Raises:
            FlavorSaveError: TensorFlow cannot save it, or nothing in it could be asked.
        """
        import tensorflow as tf  # type: ignore[import-untyped,unused-ignore]

        path = folder / "tf2model"
        kept = {"signatures": dict(model.signatures)} if getattr(model, "signatures", None) else {}
        try:
            if example is not None and callable(model):
                _ask(model, example, model.__call__)  # gives a function without input_signature its graph
            tf.saved_model.save(model, str(path), **{**kept, **self.saved_model_kwargs})
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            raise FlavorSaveError(self.name, f"{reason}; see tf.saved_model.save") from error
        return {
            self.name: {"code": None, "model_type": "tf2-module", "saved_model_dir": path.name},
            "python_function": _entry.python_function_entry("mlflow.tensorflow"),
        }

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``code`` for a SavedModel; a Keras model is what its layers are."""
        if config.get("code") or config.get("model_type") != "keras":
            return "code"
        return _keras_file.tier(_keras_file.file_of(self.name, folder, config))

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The module or the Keras model back."""
        kind = config.get("model_type")
        if kind not in _TYPES:
            raise _entry.unreadable(self.name, f"its model_type is {kind!r}; expected one of {_TYPES}")
        try:
            import tensorflow  # noqa: F401, ICN001
        except ImportError as error:
            raise MissingDependencyError(self.requires[0], "the flavor 'tensorflow'", "tensorflow") from error
        if kind == "keras":
            return _keras_file.read(self.name, folder, config, grant)
        path = _entry.inside(self.name, folder, config.get("saved_model_dir"), "saved_model_dir")
        _entry.require(grant, "code", f"a TensorFlow program ({path.name}/)")
        from modelserving.trust import code

        with _entry.reading(self.name, path), code_folder(self.name, folder, config, grant):
            return code.load_saved_model(path, grant=grant)

    def traits(self, model: Any, /) -> Traits:
        """``predict``, and a method for each signature of a SavedModel."""
        signatures = [name for name in getattr(model, "signatures", ()) if name.isidentifier()]
        methods = ("predict", *(name for name in sorted(signatures) if name != "predict"))
        return Traits(methods=methods, takes=("array", "columns", "frame"))

    def predict(self, model: Any, data: Any, params: Mapping[str, object], /, *, method: str) -> object:
        """What the module answers when it is called, or what the signature named ``method`` does.

        Args:
            model: The module.
            data: An array, for the one input; a dict, whose arrays are given by name; or a frame, whose
                columns are the named inputs if they are called so, and else together the one input.
            params: Given by name to a module that is called.
            method: ``predict``, or the name of a signature.

        Returns:
            An array for a tensor, and the same nested in tuples, lists and dicts.
        """
        if hasattr(model, "predict_on_batch"):
            return _keras_file.predict(model, data)
        signatures = getattr(model, "signatures", {})
        if method in signatures and method != "predict":
            return _ask(signatures[method], data, signatures[method])
        if callable(model):
            return _ask(model, data, model.__call__, params)
        if "serving_default" not in signatures:
            raise _entry.unreadable(
                self.name, f"nothing in it can be called; its signatures: {[*signatures]}"
            )
        return _ask(signatures["serving_default"], data, signatures["serving_default"])


def _ask(function: Any, data: Any, declared: Any, params: Mapping[str, object] | None = None) -> Any:
    """Call with tensors of the types that ``declared`` was made for."""
    specs, named = _specs(declared)
    framed = hasattr(data, "columns") and hasattr(data, "to_numpy")
    if framed:
        data = (
            {name: data[name].to_numpy() for name in named}
            if set(named) <= set(data.columns) and named
            else data
        )
    if isinstance(data, dict):
        tensors = {name: _tensor(value, named.get(name)) for name, value in data.items()}
        return _entry.arrays(function(**tensors, **(params or {})))
    value = data.to_numpy() if hasattr(data, "to_numpy") else data
    if named and not specs:
        (name, spec), *others = named.items()
        if not others:
            return _entry.arrays(function(**{name: _tensor(value, spec)}))
    return _entry.arrays(function(_tensor(value, specs[0] if specs else None), **(params or {})))


def _specs(declared: Any) -> tuple[list[Any], dict[str, Any]]:
    """What a function was traced with: its inputs by position and by name, as far as that is known."""
    if getattr(declared, "input_signature", None):
        return list(declared.input_signature), {}
    traced = getattr(declared, "concrete_functions", None) or [declared]
    signature = getattr(traced[0], "structured_input_signature", None)
    return (list(signature[0]), dict(signature[1])) if signature else ([], {})


def _tensor(value: Any, spec: Any) -> Any:
    """The value as a tensor; floating point numbers take the precision that is asked for."""
    import tensorflow as tf

    tensor = tf.convert_to_tensor(value)
    wanted = getattr(spec, "dtype", None)
    if wanted is not None and wanted.is_floating and tensor.dtype.is_floating:
        return tf.cast(tensor, wanted)
    return tensor
