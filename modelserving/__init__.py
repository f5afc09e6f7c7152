"""From a fitted model to a production API.

>>> import modelserving
>>> info = modelserving.log_model(len, "length", registered_model_name="Length")
>>> modelserving.load_model("models:/Length/latest").predict("four")
4
>>> app = modelserving.create_app("models:/Length/latest")  # a WSGI application

Every name below is resolved when it is first used, so that importing this package costs nothing and does
nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelserving import errors as errors
    from modelserving import mlflow as mlflow
    from modelserving.compile import compile_model as compile_model
    from modelserving.conversion import convert_model as convert_model
    from modelserving.flavor import Flavor as Flavor
    from modelserving.inspection import inspect_model as inspect_model
    from modelserving.model import Model as Model
    from modelserving.model import load_model as load_model
    from modelserving.model import resolve as resolve
    from modelserving.runs import active_run as active_run
    from modelserving.runs import end_run as end_run
    from modelserving.runs import log_model as log_model
    from modelserving.runs import register_model as register_model
    from modelserving.runs import start_run as start_run
    from modelserving.saving import ModelInfo as ModelInfo
    from modelserving.saving import save_model as save_model
    from modelserving.serving.app import create_app as create_app
    from modelserving.serving.app import create_asgi_app as create_asgi_app
    from modelserving.serving.server import serve as serve
    from modelserving.signature.infer import infer_signature as infer_signature
    from modelserving.signature.schema import Signature as Signature
    from modelserving.store import open_store as open_store

__version__ = "0.1.0"

_HOME = {
    "Flavor": "flavor",
    "Model": "model",
    "ModelInfo": "saving",
    "Signature": "signature.schema",
    "active_run": "runs",
    "compile_model": "compile",
    "convert_model": "conversion",
    "create_app": "serving.app",
    "create_asgi_app": "serving.app",
    "end_run": "runs",
    "infer_signature": "signature.infer",
    "inspect_model": "inspection",
    "load_model": "model",
    "log_model": "runs",
    "open_store": "store",
    "register_model": "runs",
    "resolve": "model",
    "save_model": "saving",
    "serve": "serving.server",
    "start_run": "runs",
}
_MODULES = ("errors", "mlflow")

__all__ = [  # sorted, and checked by a test
    "Flavor",
    "Model",
    "ModelInfo",
    "Signature",
    "active_run",
    "compile_model",
    "convert_model",
    "create_app",
    "create_asgi_app",
    "end_run",
    "errors",
    "infer_signature",
    "inspect_model",
    "load_model",
    "log_model",
    "mlflow",
    "open_store",
    "register_model",
    "resolve",
    "save_model",
    "serve",
    "start_run",
]

logging.getLogger("modelserving").addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(f"modelserving.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"modelserving.{name}")
    raise AttributeError(f"module 'modelserving' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
