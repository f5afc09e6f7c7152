"""Requests that share one call of the model: which may, and which part of the answer is whose."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelserving.signature.rows import Rows

if TYPE_CHECKING:
    from modelserving.serving.job import Job

_SCALARS = (str, bool, int, float, type(None), np.generic)


def batch_key(job: Job) -> object:
    """Jobs with equal keys may share a call; None for one that must be alone.

    Without rows there is nothing to join, and no rows at all must fail or succeed as they would alone.
    """
    if not isinstance(job.data, Rows) or not job.rows:
        return None
    params = _frozen(job.params) if job.params else ()
    return None if params is None else (job.data.key, job.method, params)


def _frozen(value: object) -> object:
    """A hashable form in which equal means same type and same value; None for what has no such form."""
    if isinstance(value, _SCALARS):
        return type(value), repr(value)  # not the value: 1, 1.0 and True are equal
    parts: Iterable[object]
    if isinstance(value, Mapping):
        parts = [part for name, item in sorted(value.items()) for part in (name, _frozen(item))]
    elif isinstance(value, list | tuple):
        parts = [_frozen(item) for item in value]
    else:
        return None
    return None if None in parts else (type(value), *parts)


def joined(jobs: Sequence[Job]) -> Rows:
    """The rows of all jobs, in order."""
    return Rows.concat([job.data for job in jobs if isinstance(job.data, Rows)])


def split(predictions: object, jobs: Sequence[Job]) -> list[object] | None:
    """The part of each job, as views where there are any; None if the predictions are not one a row."""
    bounds = [0]
    for job in jobs:
        bounds.append(bounds[-1] + job.rows)
    parts = [slice(first, last) for first, last in itertools.pairwise(bounds)]
    return _sliced(predictions, bounds[-1], parts)


def _sliced(predictions: object, rows: int, parts: Sequence[slice]) -> list[object] | None:
    """``predictions`` cut into ``parts``, if its first axis has ``rows`` entries."""
    if isinstance(predictions, dict):
        columns = {name: _sliced(column, rows, parts) for name, column in predictions.items()}
        if not columns or any(cut is None for cut in columns.values()):
            return None
        return [
            {name: cut[at] for name, cut in columns.items() if cut is not None} for at in range(len(parts))
        ]
    if isinstance(predictions, np.ndarray):
        if predictions.ndim == 0 or len(predictions) != rows:
            return None
        return [predictions[part] for part in parts]
    if isinstance(predictions, list):
        return [predictions[part] for part in parts] if len(predictions) == rows else None
    positions = getattr(predictions, "iloc", None)  # a DataFrame or Series
    if positions is not None and len(predictions) == rows:  # type: ignore[arg-type]
        return [positions[part] for part in parts]
    return None
