"""The flavor of scikit-learn: estimators, pipelines, and what quacks like them."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, ClassVar

from modelserving.flavor import Traits
from modelserving.flavors import _entry, _estimator_file
from modelserving.flavors._sklearn_audit import audited

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier
    from modelserving.flavors._estimator_file import Serialization
    from modelserving.signature.schema import Signature

METHODS = (
    "predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "decision_function",
    "transform", "score_samples",
)  # fmt: skip
"""What an estimator may offer, in the order in which the first it has becomes the default."""

_PER_CLASS = ("predict_proba", "predict_log_proba", "predict_joint_log_proba", "decision_function")


class SklearnFlavor:
    """Saves scikit-learn estimators as skops where every type is known to be data, else as cloudpickle.

    Args:
        serialization_format: ``skops``, ``cloudpickle`` or ``pickle``. None decides: skops when every type
        in the
            model is on this package's allow-list, so that it loads anywhere without trust; else cloudpickle.
        pyfunc_predict_fn: The method that MLflow, and ``predict`` here, ask when the caller names none.

    Example:
        >>> from modelserving.flavors.sklearn import SklearnFlavor
        >>> SklearnFlavor(serialization_format="skops").accepts("not an estimator")
        False
    """

    name: ClassVar[str] = "sklearn"
    framework: ClassVar[str] = "sklearn"
    requires: ClassVar[tuple[str, ...]] = ("scikit-learn", "skops")
    tiers: ClassVar[tuple[Tier, ...]] = ("data", "native", "code")

    def __init__(
        self, serialization_format: Serialization | None = None, pyfunc_predict_fn: str = "predict"
    ) -> None:
        _estimator_file.check_format(self.name, serialization_format)
        self.serialization_format = serialization_format
        self.pyfunc_predict_fn = pyfunc_predict_fn

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is an estimator, or has ``fit``, ``get_params`` and a method to ask."""
        if isinstance(model, type) or "sklearn.base" not in sys.modules:
            return False
        if any(
            base.__module__ == "sklearn.base" and base.__name__ == "BaseEstimator"
            for base in type(model).__mro__
        ):
            return True
        quacks = all(
            callable(getattr(type(model), name, None)) for name in ("fit", "get_params", "set_params")
        )
        return quacks and any(hasattr(type(model), name) for name in METHODS)

    def save(self, model: object, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``model.skops`` or ``model.pkl``.

        Returns:
            The entries ``sklearn`` and, when the estimator has the method MLflow would ask,
            ``python_function``. When the model could not be saved as data, ``modelserving`` holds a ``note``
            that says why.

        Raises:
            FlavorSaveError: skops was asked for and some type in the model is not on the allow-list, or it
            cannot be
                pickled.
        """
        written = _estimator_file.write(self.name, model, folder, self.serialization_format)
        entries: dict[str, Config] = {
            self.name: {
                "code": None,
                "pickled_model": written.name,
                "serialization_format": written.form,
                "skops_trusted_types": written.trusted,
                "sklearn_version": _entry.installed_version("scikit-learn"),
            }
        }
        if _offers(model, self.pyfunc_predict_fn):
            entries["python_function"] = _entry.python_function_entry(
                "mlflow.sklearn", model_path=written.name, predict_fn=self.pyfunc_predict_fn
            )
        return entries | written.entries

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``data`` for skops of types on our allow-list, ``native`` with a booster in it, else ``code``."""
        if config.get("code") or config.get("serialization_format") != "skops":
            return "code"
        return _estimator_file.tier(self._file(folder, config), "skops")

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The estimator back."""
        return _estimator_file.read(self.name, folder, self._file(folder, config), config, grant)

    def traits(self, model: object, /) -> Traits:
        """What the estimator offers; rows and threads may share it where all its parts have been audited."""
        by_position = not hasattr(model, "feature_names_in_")
        known = audited(model)
        return Traits(
            methods=tuple(name for name in METHODS if _offers(model, name)),
            takes=("array", "frame") if by_position else ("frame", "array"),
            classes=_classes(model),
            rows_independent=known,
            thread_safe=known,
        )

    def to_onnx(self, model: object, signature: Signature, /) -> tuple[bytes, Mapping[str, str]]:
        """The estimator as an ONNX graph in double; see :func:`modelserving.flavors._sklearn_onnx.to_onnx`.

        Raises:
            CompileError: Some part of it cannot be written as ONNX.
            MissingDependencyError: A package that writes ONNX is not installed.
        """
        from modelserving.flavors._sklearn_onnx import to_onnx

        return to_onnx(model, signature)

    def predict(self, model: object, data: object, params: Mapping[str, object], /, *, method: str) -> object:
        """What ``model.method(data)`` answers; params that the method does not name are dropped."""
        ask = getattr(model, method)
        if not params:
            return ask(data)
        named = inspect.signature(ask).parameters
        return ask(data, **{name: value for name, value in params.items() if name in named})

    def _file(self, folder: Path, config: Config) -> Path:
        return _entry.file_of(self.name, folder, config, "pickled_model", "model_path", "data")


def _offers(model: object, method: str) -> bool:
    """Whether a method can be called; scikit-learn hides those that an option or a part rules out."""
    try:
        return callable(getattr(model, method, None))
    except Exception:  # noqa: BLE001
        return False


def _classes(model: object) -> dict[str, tuple[object, ...]]:
    """For each method with one column per class: the labels of its columns."""
    labels = _labels(model)
    if not labels:
        return {}
    found = {name: labels for name in _PER_CLASS if _offers(model, name)}
    one_column = len(labels) == 2 or any(
        getattr(part, "decision_function_shape", "ovr") != "ovr" for part in _last(model)
    )
    if one_column:  # two classes share one column; one-versus-one has a column for each pair
        found.pop("decision_function", None)
    return found


def _labels(model: object) -> tuple[object, ...]:
    """``classes_`` as Python values; () for a regressor, and for several outputs."""
    try:
        classes = getattr(model, "classes_", None)
    except Exception:  # noqa: BLE001
        return ()
    if getattr(classes, "ndim", None) != 1:
        return ()
    return tuple(classes.tolist())  # type: ignore[union-attr]  # an array, as it has one dimension


def _last(model: object) -> Iterator[object]:
    """The model and what answers in its stead: the best of a search, the last step of a pipeline."""
    while model is not None:
        yield model
        steps = getattr(model, "steps", None)
        model = steps[-1][1] if isinstance(steps, list) and steps else getattr(model, "best_estimator_", None)
