"""The flavor of CatBoost: its four model classes, in CatBoost's own binary format."""

from __future__ import annotations

import sys
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from modelserving.errors import FlavorSaveError, MissingDependencyError
from modelserving.flavor import Traits
from modelserving.flavors import _entry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRanker", "CatBoostRegressor")
_FORMATS = ("cbm", "json")


class CatBoostFlavor:
    """Saves CatBoost models in the library's own format, which holds data only and is read by native code.

    Example:
        >>> from modelserving.flavors.catboost import CatBoostFlavor
        >>> CatBoostFlavor().accepts("not a model")
        False
    """

    name: ClassVar[str] = "catboost"
    framework: ClassVar[str] = "catboost"
    requires: ClassVar[tuple[str, ...]] = ("catboost",)
    tiers: ClassVar[tuple[Tier, ...]] = ("native",)

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is of one of CatBoost's classes, or of a subclass."""
        return "catboost" in sys.modules and _class_of(model) is not None

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``model.cb``.

        Raises:
            FlavorSaveError: The model has not been fitted.
        """
        path = folder / "model.cb"
        if not model.is_fitted():
            raise FlavorSaveError(self.name, "it has not been fitted; fit it first")
        model.save_model(str(path), format="cbm")
        return {
            self.name: {
                "catboost_version": _entry.installed_version("catboost"),
                "code": None,
                "data": path.name,
                "model_type": _class_of(model),
                "save_format": "cbm",
            },
            "python_function": _entry.python_function_entry("mlflow.catboost", data=path.name),
        }

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``native``: a C++ parser reads the file; ``code`` when modules come along."""
        return "code" if config.get("code") else "native"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The model back, of the class it was."""
        path = _entry.file_of(self.name, folder, config, "data")
        _entry.require(grant, self.tier(folder, config), f"a CatBoost model ({path.name})")
        kind, form = config.get("model_type"), config.get("save_format") or "cbm"
        if kind not in _CLASSES:
            raise _entry.unreadable(self.name, f"its model_type is {kind!r}; expected one of {_CLASSES}")
        if form not in _FORMATS:
            raise _entry.unreadable(self.name, f"its save_format is {form!r}; expected one of {_FORMATS}")
        try:
            import catboost  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise MissingDependencyError("catboost", "the flavor 'catboost'", "catboost") from error
        with _entry.reading(self.name, path):
            return getattr(catboost, str(kind))().load_model(str(path), format=form)

    def traits(self, model: Any, /) -> Traits:
        """``predict``, and of a classifier its probabilities, whose labels it knows."""
        classifies = hasattr(model, "predict_proba")
        per_class = ("predict_proba", "predict_log_proba")
        labels = tuple(model.classes_.tolist()) if classifies else ()
        return Traits(
            methods=("predict", *per_class) if classifies else ("predict",),
            classes=dict.fromkeys(per_class, labels) if classifies else {},
            rows_independent=True,
            thread_safe=True,
        )

    def predict(self, model: Any, data: Any, params: Mapping[str, object], /, *, method: str) -> object:
        """What the model answers.

        CatBoost itself takes columns by position. Here those of a frame that has all the names the model
        was fitted with are matched by name. Params that the method does not name are dropped.
        """
        ask = getattr(model, method)
        named = {name: value for name, value in params.items() if name in signature(ask).parameters}
        wanted = model.feature_names_
        if hasattr(data, "columns") and set(wanted) <= set(data.columns):
            data = data[wanted]
        return ask(data, **{"thread_count": 1, **named})


def _class_of(model: object) -> str | None:
    """The class of CatBoost that ``model`` is of; None when it is of none."""
    for kind in type(model).__mro__:
        if kind.__module__.partition(".")[0] == "catboost" and kind.__name__ in _CLASSES:
            return kind.__name__
    return None
