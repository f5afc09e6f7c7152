"""The keys of the flavors that MLflow writes, and what each may hold.

Every key may be absent or null: older versions of MLflow knew fewer. A key that is not in the table holds
anything, so a key that names a file of the model must be in it, as a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from modelserving.mlmodel.fields import (
    Check,
    boolean,
    foreign_path,
    keyed,
    list_of,
    mapping,
    mapping_of,
    path,
    path_if_text,
    record,
    sequence,
    text,
    texts,
    unexpected,
    version,
)

if TYPE_CHECKING:
    from modelserving.mlmodel.restricted_yaml import KeyPath


def _env(value: object, where: KeyPath) -> object:
    """``conda.yaml`` before MLflow 2, a mapping from the tool to its file since."""
    if isinstance(value, str):
        return path(value, where)
    if not isinstance(value, Mapping):
        raise unexpected(value, "str or dict", where)
    return mapping_of(path)(value, where)


def _provider(value: object, where: KeyPath) -> object:
    """The name of an ONNX Runtime provider, or a list of the name and its options."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise unexpected(value, "str or list", where)
    text(value[0] if value else None, (*where, 0))
    return [mapping(options, (*where, position)) for position, options in enumerate(value[1:], start=1)]


_FILES: Final[dict[str, Check]] = {"code": path, "extra_files": list_of(record({"path": path}))}

FLAVORS: Final[dict[str, dict[str, Check]]] = {
    "catboost": {
        **_FILES,
        "catboost_version": version,
        "data": path,
        "model_type": text,
        "save_format": text,
    },
    "keras": {
        **_FILES,
        "data": path,
        "keras_backend": text,
        "keras_module": text,
        "keras_version": version,
        "save_exported_model": boolean,
        "save_format": text,
    },
    "lightgbm": {
        **_FILES,
        "data": path,
        "lgb_version": version,
        "model_class": text,
        "serialization_format": text,
        "skops_trusted_types": texts,
    },
    "onnx": {
        **_FILES,
        "data": path,
        "onnx_session_options": mapping,
        "onnx_version": version,
        "providers": list_of(_provider),
    },
    "python_function": {
        **_FILES,
        "artifacts": mapping_of(record({"path": path, "uri": text}, required=("path",))),
        "cloudpickle_version": version,
        "config": mapping,
        "data": path,
        "env": _env,
        "loader_module": text,
        "model_code_path": foreign_path,
        "model_path": path,
        "pickle_module_name": text,
        "predict_fn": text,
        "predict_stream_fn": text,
        "python_model": path,
        "python_model_compression": text,
        "python_version": version,
        "streamable": boolean,
    },
    "pytorch": {
        **_FILES,
        "model_data": path,
        "pytorch_version": version,
        "requirements_file": record({"path": path}),
    },
    "sklearn": {
        **_FILES,
        "pickled_model": path,
        "serialization_format": text,
        "sklearn_version": version,
        "skops_trusted_types": texts,
    },
    "tensorflow": {
        **_FILES,
        "data": path,
        "keras_module": text,
        "keras_version": version,
        "meta_graph_tags": sequence,
        "model_type": text,
        "save_format": text,
        "saved_model_dir": path,
        "signature_def_key": text,
    },
    "xgboost": {
        **_FILES,
        "data": path,
        "model_class": text,
        "model_format": text,
        "xgb_version": version,
    },
}
"""Flavor → key → what it may hold."""

_UNKNOWN: Final[dict[str, Check]] = dict.fromkeys(("code", "data", "model_data", "model_path"), path_if_text)

_REQUIRED: Final = {"python_function": ("loader_module",)}
_CHECKS: Final = {name: record(keys, _REQUIRED.get(name, ())) for name, keys in FLAVORS.items()}
_CHECK_UNKNOWN: Final = record(_UNKNOWN)


def check_flavors(flavors: object, where: KeyPath) -> None:
    """Check the mapping under ``flavors:``; of flavors not in the table, the keys that name files by custom.

    Raises:
        MLmodelError: A config is not a mapping, or a known key holds something else than it may.
    """
    for name, config in keyed(flavors, where).items():
        _CHECKS.get(name, _CHECK_UNKNOWN)(config, (*where, name))


def is_version(where: KeyPath) -> bool:
    """Whether a key path is that of a version, which stays text however much it looks like a number."""
    if where == ("mlflow_version",):
        return True
    if len(where) != 3 or where[0] != "flavors":
        return False
    return FLAVORS.get(str(where[1]), {}).get(str(where[2])) is version
