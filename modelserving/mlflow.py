"""MLflow's spelling of this package: change the import, keep the script.

::

    from modelserving import mlflow

    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(model, "forest", registered_model_name="Forest", input_example=X[:2])
    mlflow.pyfunc.load_model("models:/Forest/latest").predict(X)
    mlflow.sklearn.load_model("models:/Forest/latest")  # the estimator itself

Every installed flavor is there under its own name, as ``mlflow.sklearn`` is; ``mlflow.pyfunc`` is the flavor
``python_function``. What this package does not do, such as ``mlflow.log_metric``, says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import SimpleNamespace

from modelserving import discovery
from modelserving.flavor import Flavor
from modelserving.model import Model
from modelserving.model import load_model as _load_model
from modelserving.runs import ActiveRun
from modelserving.runs import active_run as _active_run
from modelserving.runs import end_run as _end_run
from modelserving.runs import log_model as _log_model
from modelserving.runs import register_model as _register_model
from modelserving.runs import start_run as _start_run
from modelserving.saving import ModelInfo
from modelserving.saving import save_model as _save_model
from modelserving.signature.infer import infer_signature as _infer_signature
from modelserving.signature.schema import Signature
from modelserving.store import Version

active_run = _active_run
end_run = _end_run

_PASSED = frozenset(
    "registered_model_name signature input_example code_paths pip_requirements metadata tags".split()  # noqa: SIM905
)
"""MLflow's keywords that mean here what they mean there."""

_WITHOUT_EFFECT = frozenset("await_registration_for conda_env extra_pip_requirements".split())  # noqa: SIM905
"""MLflow's keywords that a script may pass and that change nothing here."""

_MODEL_KEYWORDS = (
    "sk_model",
    "python_model",
    "onnx_model",
    "xgb_model",
    "lgb_model",
    "cb_model",
    "pytorch_model",
)
"""What MLflow calls the model, by flavor; ``model`` and the first argument are understood everywhere."""


class FlavorNamespace:
    """What MLflow has as ``mlflow.<flavor>``: save, log and load with one flavor.

    Args:
        name: The name of an installed flavor.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._flavor = discovery.flavor(name)

    def __repr__(self) -> str:
        return f"<modelserving.mlflow.{'pyfunc' if self._name == discovery.LAST else self._name}>"

    def log_model(
        self,
        model: object = None,
        artifact_path: str | None = None,
        *,
        name: str | None = None,
        **keywords: object,
    ) -> ModelInfo:
        """Log a model with this flavor; takes MLflow's keywords, see :func:`modelserving.log_model`."""
        model, passed, flavor = self._arguments(model, keywords)
        return _log_model(model, name or artifact_path or "model", flavor=flavor, **passed)  # type: ignore[arg-type]

    def save_model(
        self, model: object = None, path: str | os.PathLike[str] | None = None, **keywords: object
    ) -> ModelInfo:
        """Save a model into a folder with this flavor; takes MLflow's keywords."""
        model, passed, flavor = self._arguments(model, keywords)
        if path is None:
            raise TypeError("save_model() needs path=, the folder to write")
        return _save_model(model, path, flavor=flavor, **passed)  # type: ignore[arg-type]

    def load_model(self, model_uri: str, **keywords: object) -> object:
        """The framework's own object (``mlflow.pyfunc.load_model``: a :class:`modelserving.Model`)."""
        if self._name == discovery.LAST:
            return _load_model(model_uri, **keywords)  # type: ignore[arg-type]
        return _load_model(model_uri, flavor=self._name, **keywords).native  # type: ignore[arg-type]

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        raise AttributeError(
            f"modelserving does not have mlflow.{self._name}.{attribute}; it saves, logs, loads and serves "
            "models: log_model, save_model, load_model"
        )

    def _arguments(
        self, model: object, keywords: Mapping[str, object]
    ) -> tuple[object, dict[str, object], Flavor]:
        """The model, the keywords for us, and the flavor made with the keywords that are its options."""
        rest = {
            key: value for key, value in keywords.items() if key not in _WITHOUT_EFFECT and value is not None
        }
        for keyword in (*_MODEL_KEYWORDS, "model"):
            model = rest.pop(keyword, model)
        passed = {key: rest.pop(key) for key in tuple(rest) if key in _PASSED}
        method = rest.pop("pyfunc_predict_fn", None)
        if method:
            passed["method"] = method
        flavor = self._flavor
        if rest:
            try:
                flavor = type(self._flavor)(**rest)
            except TypeError as error:
                raise TypeError(f"mlflow.{self._name}.log_model: {error}") from error
        return model, passed, flavor


class _PyfuncNamespace(FlavorNamespace):
    """``mlflow.pyfunc``: Python functions and classes, and any model loaded to be asked."""

    PyFuncModel = Model

    @property
    def PythonModel(self) -> object:  # noqa: N802 - MLflow's name
        """The class that MLflow's users derive theirs from."""
        return self._flavor.PythonModel  # type: ignore[attr-defined]


def start_run(
    run_name: str | None = None, *, tags: Mapping[str, str] | None = None, **unsupported: object
) -> ActiveRun:
    """Begin a run, as :func:`modelserving.start_run` does."""
    if unsupported:
        raise TypeError(f"modelserving's start_run has no {min(unsupported)!r}; it takes run_name and tags")
    return _start_run(name=run_name, tags=tags)


def register_model(model_uri: str, name: str, *, tags: Mapping[str, str] | None = None) -> Version:
    """Make a model the next version of a registered model, as :func:`modelserving.register_model` does."""
    return _register_model(model_uri, name, tags=tags)


models = SimpleNamespace(infer_signature=_infer_signature, ModelSignature=Signature)
"""MLflow's ``mlflow.models``."""

_NAMESPACES: dict[str, FlavorNamespace] = {}
_SPELLED: Mapping[str, tuple[str, Callable[[str], FlavorNamespace]]] = {
    "pyfunc": (discovery.LAST, _PyfuncNamespace)
}


def __getattr__(name: str) -> object:
    flavor, make = _SPELLED.get(name, (name, FlavorNamespace))
    if not name.startswith("_"):
        if name not in _NAMESPACES and flavor in discovery.offers():
            _NAMESPACES[name] = make(flavor)
        if name in _NAMESPACES:
            return _NAMESPACES[name]
    raise AttributeError(
        f"modelserving does not have mlflow.{name}: it logs, registers, loads and serves models "
        f"(installed flavors: {', '.join(discovery.offers())}); for experiment tracking use MLflow beside it"
    )
