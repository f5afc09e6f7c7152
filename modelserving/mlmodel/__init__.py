"""The ``MLmodel`` file at the top of every model's folder: read, checked, written."""

from modelserving.mlmodel.file import FILE_NAME, FORMAT, MLmodel
from modelserving.mlmodel.paths import safe_relpath

__all__ = ["FILE_NAME", "FORMAT", "MLmodel", "safe_relpath"]
