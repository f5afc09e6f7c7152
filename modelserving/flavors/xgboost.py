"""The flavor of XGBoost: boosters and the scikit-learn classes, as UBJSON or JSON."""

from __future__ import annotations

import sys
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modelserving.errors import FlavorSaveError, MissingDependencyError
from modelserving.flavor import Traits
from modelserving.flavors import _entry
from modelserving.trust.boosters import problem_in_xgboost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

_CLASSES = ("XGBClassifier", "XGBModel", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker", "XGBRegressor")
_BOOSTER = "xgboost.core.Booster"


class XGBoostFlavor:
    """Saves XGBoost models in the library's own format, which holds data only and is read by native code.

    Args:
        model_format: ``ubj`` or ``json``.

    Example:
        >>> from modelserving.flavors.xgboost import XGBoostFlavor
        >>> XGBoostFlavor(model_format="json").accepts("not a booster")
        False
    """

    name: ClassVar[str] = "xgboost"
    framework: ClassVar[str] = "xgboost"
    requires: ClassVar[tuple[str, ...]] = ("xgboost",)
    tiers: ClassVar[tuple[Tier, ...]] = ("native",)

    def __init__(self, model_format: Literal["ubj", "json"] = "ubj") -> None:
        if model_format not in ("ubj", "json"):
            raise FlavorSaveError(self.name, f"model_format is {model_format!r}; expected 'json' or 'ubj'")
        self.model_format = model_format

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is a ``Booster``, or of one of the library's scikit-learn classes."""
        return "xgboost" in sys.modules and _class_of(model) is not None

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``model.ubj`` or ``model.json``.

        Raises:
            FlavorSaveError: The model has not been fitted.
        """
        path = folder / f"model.{self.model_format}"
        try:
            model.save_model(path)
        except Exception as error:
            path.unlink(missing_ok=True)
            raise FlavorSaveError(self.name, f"{_first_line(error)}; fit it first") from error
        return {
            self.name: {
                "code": None,
                "data": path.name,
                "model_class": _class_of(model),
                "model_format": self.model_format,
                "xgb_version": _entry.installed_version("xgboost"),
            },
            "python_function": _entry.python_function_entry("mlflow.xgboost", data=path.name),
        }

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``native``: a C++ parser reads the file; ``code`` when modules come along."""
        return "code" if config.get("code") else "native"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The model back, of the class it was; a scikit-learn class is one of those the library has."""
        path = _entry.file_of(self.name, folder, config, "data")
        _entry.require(grant, self.tier(folder, config), f"an XGBoost model ({path.name})")
        try:
            import xgboost
        except ImportError as error:
            raise MissingDependencyError("xgboost", "the flavor 'xgboost'", "xgboost") from error
        wanted = str(config.get("model_class") or _BOOSTER)
        kind = wanted.rpartition(".")[2]
        if wanted != _BOOSTER and (kind not in _CLASSES or not wanted.startswith("xgboost.")):
            raise _entry.unreadable(self.name, f"its model_class is {wanted!r}; expected one of {_CLASSES}")
        with _entry.reading(self.name, path):
            data = _entry.require_sound(grant, f"an XGBoost model ({path.name})", problem_in_xgboost, path)
            model = xgboost.Booster() if wanted == _BOOSTER else getattr(xgboost, kind)()
            model.load_model(bytearray(data))  # what was checked, its form told by its content as there
        return model

    def traits(self, model: Any, /) -> Traits:
        """``predict``, and ``predict_proba`` of a classifier, whose labels it knows."""
        from_frame = _feature_names(model) is not None
        classes = getattr(model, "classes_", None) if hasattr(model, "predict_proba") else None
        return Traits(
            methods=("predict",) if classes is None else ("predict", "predict_proba"),
            takes=("frame", "array") if from_frame else ("array", "frame"),
            classes={} if classes is None else {"predict_proba": tuple(classes.tolist())},
            rows_independent=True,
            thread_safe=True,
        )

    def predict(self, model: Any, data: Any, params: Mapping[str, object], /, *, method: str) -> object:
        """What the model answers; columns of a frame are matched by name, those of an array by position."""
        ask = getattr(model, method)
        named = {name: value for name, value in params.items() if name in signature(ask).parameters}
        by_name = hasattr(data, "columns")
        if _class_of(model) != _BOOSTER:
            return ask(data, validate_features=by_name, **named)
        import xgboost

        return ask(xgboost.DMatrix(data), validate_features=by_name, **named)


def _class_of(model: object) -> str | None:
    """The name under which MLflow knows the model's class; None when it is not XGBoost's."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package == "xgboost" and kind.__name__ in _CLASSES:
            return f"xgboost.sklearn.{kind.__name__}"
        if package == "xgboost" and kind.__name__ == "Booster":
            return _BOOSTER
    return None


def _feature_names(model: Any) -> object:
    booster = model if _class_of(model) == _BOOSTER else model.get_booster()
    return booster.feature_names


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
