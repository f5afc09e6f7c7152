"""Predictions of any kind as named arrays: what tensors, CSV, Arrow and npy are written from."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelserving.scoring.content import json
from modelserving.scoring.predictions import encode_json
from modelserving.signature.convert.natural import natural_column
from modelserving.signature.convert.tensors import RaggedError, flatten
from modelserving.signature.convert.values import objects


def named_arrays(predictions: Any, name: str) -> dict[str, np.ndarray]:
    """One array a column of a frame, or a key of a dict of lists; everything else is one array.

    Args:
        predictions: What the model answered.
        name: What to call an answer that does not name its parts.

    Raises:
        UnserializableError: It holds what has no JSON form, and is no array either.

    Example:
        >>> named_arrays([[1, 2], [3, 4]], "predict")
        {'predict': array([[1, 2],
               [3, 4]])}
    """
    if isinstance(predictions, np.ndarray) and predictions.dtype.names:
        return {each: as_array(predictions[each]) for each in predictions.dtype.names}
    if _is_frame(predictions):
        return {str(each): as_array(predictions.iloc[:, at]) for at, each in enumerate(predictions.columns)}
    if isinstance(predictions, dict) and predictions and all(map(_is_column, predictions.values())):
        return {str(each): as_array(column) for each, column in predictions.items()}
    if hasattr(predictions, "iloc") and predictions.name is not None:
        name = str(predictions.name)
    return {name: as_array(predictions)}


def as_array(value: Any) -> np.ndarray:
    """A value as an array: numbers and booleans in their own dtype, everything else as objects.

    Raises:
        UnserializableError: It holds what has no JSON form, and is no array either.
    """
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        return np.asarray(value)
    if hasattr(value, "iloc"):
        if isinstance(value.dtype, np.dtype):
            return np.asarray(value.to_numpy())
        value = value.tolist()
    if isinstance(value, list) and set(map(type, value)) in ({str}, {bytes}):
        return objects(value)
    return _from_plain(json.parse(encode_json(value)))


def _from_plain(value: object) -> np.ndarray:
    """The array of values as JSON has them; ragged lists and mixed ones are objects."""
    if not isinstance(value, list):
        return (
            np.asarray(value, dtype=object)
            if isinstance(value, str | dict) or value is None
            else np.asarray(value)
        )
    rank, inner = 1, value[0] if value else None
    while isinstance(inner, list) and rank < 8:
        rank, inner = rank + 1, inner[0] if inner else None
    try:
        elements, shape = flatten(value, rank)
    except RaggedError:
        return objects(value)
    if not elements:
        return np.empty(shape)
    column = natural_column(elements)
    return column.reshape(shape) if column.size == len(elements) else objects(value)


def _is_frame(value: Any) -> bool:
    return hasattr(value, "iloc") and getattr(value, "ndim", 0) == 2 and hasattr(value, "columns")


def _is_column(value: object) -> bool:
    return isinstance(value, list | np.ndarray) or hasattr(value, "iloc")
