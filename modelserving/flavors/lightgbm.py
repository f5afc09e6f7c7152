"""The flavor of LightGBM: boosters as text, the scikit-learn classes as skops."""

from __future__ import annotations

import sys
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from modelserving.errors import MissingDependencyError
from modelserving.flavor import Traits
from modelserving.flavors import _entry, _estimator_file
from modelserving.trust.boosters import problem_in_lightgbm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier
    from modelserving.flavors._estimator_file import Serialization

_CLASSES = ("LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor")
_BOOSTER = "lightgbm.basic.Booster"


class LightGBMFlavor:
    """Saves LightGBM models so that native code reads them back, and no Python of theirs runs.

    Args:
        serialization_format: For the scikit-learn classes: ``skops``, ``cloudpickle`` or ``pickle``. None
            decides: cloudpickle where the model holds more than data, such as an objective of the user's
            own; else skops.

    Example:
        >>> from modelserving.flavors.lightgbm import LightGBMFlavor
        >>> LightGBMFlavor().accepts("not a booster")
        False
    """

    name: ClassVar[str] = "lightgbm"
    framework: ClassVar[str] = "lightgbm"
    requires: ClassVar[tuple[str, ...]] = ("lightgbm", "scikit-learn")
    tiers: ClassVar[tuple[Tier, ...]] = ("native", "code")

    def __init__(self, serialization_format: Serialization | None = None) -> None:
        _estimator_file.check_format(self.name, serialization_format)
        self.serialization_format = serialization_format

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is a ``Booster``, or of one of the library's scikit-learn classes."""
        return "lightgbm" in sys.modules and _class_of(model) is not None

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``model.lgb`` for a booster, ``model.skops`` or ``model.pkl`` for a scikit-learn class."""
        kind = _class_of(model)
        if kind == _BOOSTER:
            model.save_model(folder / "model.lgb")
            written = _estimator_file.EstimatorFile(
                "model.lgb", "skops"
            )  # MLflow writes the word, and does not read it
        else:
            written = _estimator_file.write(self.name, model, folder, self.serialization_format)
        return {
            self.name: {
                "code": None,
                "data": written.name,
                "lgb_version": _entry.installed_version("lightgbm"),
                "model_class": kind,
                "serialization_format": written.form,
                "skops_trusted_types": written.trusted,
            },
            "python_function": _entry.python_function_entry("mlflow.lightgbm", data=written.name),
            **written.entries,
        }

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``native`` for text, and for skops of nothing but LightGBM's and known types; else ``code``."""
        if config.get("code"):
            return "code"
        if config.get("model_class", _BOOSTER) == _BOOSTER:
            return "native"
        path = _entry.file_of(self.name, folder, config, "data")
        form = config.get("serialization_format", "cloudpickle")
        return "code" if _estimator_file.tier(path, form) == "code" else "native"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The model back, of the class it was."""
        path = _entry.file_of(self.name, folder, config, "data")
        _entry.require(grant, "native", f"a LightGBM model ({path.name})")
        try:
            import lightgbm
        except ImportError as error:
            raise MissingDependencyError("lightgbm", "the flavor 'lightgbm'", "lightgbm") from error
        if config.get("model_class", _BOOSTER) != _BOOSTER:
            config = {"serialization_format": "cloudpickle", **config}
            return _estimator_file.read(self.name, folder, path, config, grant)
        with _entry.reading(self.name, path):
            data = _entry.require_sound(grant, f"a LightGBM model ({path.name})", problem_in_lightgbm, path)
            return lightgbm.Booster(model_str=data.decode("utf-8"))

    def traits(self, model: Any, /) -> Traits:
        """``predict``, and ``predict_proba`` of a classifier, whose labels it knows."""
        classes = getattr(model, "classes_", None) if hasattr(model, "predict_proba") else None
        return Traits(
            methods=("predict",) if classes is None else ("predict", "predict_proba"),
            classes={} if classes is None else {"predict_proba": tuple(classes.tolist())},
            rows_independent=True,
            thread_safe=True,
        )

    def predict(self, model: Any, data: object, params: Mapping[str, object], /, *, method: str) -> object:
        """What the model answers; columns count by position, params the method does not name are dropped."""
        ask = getattr(model, method)
        return ask(
            data, **{name: value for name, value in params.items() if name in signature(ask).parameters}
        )


def _class_of(model: object) -> str | None:
    """The name under which MLflow knows the model's class; None when it is not LightGBM's."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package == "lightgbm" and kind.__name__ in _CLASSES:
            return f"lightgbm.sklearn.{kind.__name__}"
        if package == "lightgbm" and kind.__name__ == "Booster":
            return _BOOSTER
    return None
