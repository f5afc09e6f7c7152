"""The content types of answers: which one a client accepts, and predictions as CSV, Arrow or npy."""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from modelserving.errors import choices
from modelserving.scoring.arrays import named_arrays
from modelserving.scoring.content.arrow import MEDIA_TYPE as ARROW
from modelserving.scoring.content.npy import MEDIA_TYPE as NPY
from modelserving.scoring.predictions import encode_json
from modelserving.scoring.request import NotAcceptableError

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON, CSV = "application/json", "text/csv"


def answer_types() -> tuple[str, ...]:
    """The content types that predictions can be had in, the preferred one first."""
    return (JSON, CSV, ARROW, NPY) if find_spec("pyarrow") else (JSON, CSV, NPY)


@lru_cache(maxsize=64)
def choose(accept: str | None) -> str:
    """The content type for an Accept header: JSON where it will do, else the one the client likes best.

    Raises:
        NotAcceptableError: It accepts none of them.

    Example:
        >>> choose("text/html, */*;q=0.1"), choose("text/csv")
        ('application/json', 'text/csv')
    """
    if accept is None or not accept.strip():
        return JSON
    accepted = parse_accept_header(accept[:1000], MIMEAccept)
    best = max(answer_types(), key=accepted.quality)  # the first of those that are liked alike
    if not accepted.quality(best):
        raise NotAcceptableError(accept, f"predictions can be had as {choices(answer_types())}")
    return best


def encode_as(content_type: str, predictions: object) -> bytes:
    """Predictions in a content type other than JSON.

    Raises:
        NotAcceptableError: They have no such form.
        UnserializableError: They have no form at all.
    """
    arrays = named_arrays(predictions, "predictions")
    try:
        if content_type == NPY:
            return _npy(arrays)
        columns = _columns(arrays)
        return _csv(columns) if content_type == CSV else _arrow(columns)
    except (ValueError, TypeError, ArithmeticError, NotImplementedError) as error:
        reason = f"the predictions have no such form ({type(error).__name__}); ask for {JSON}"
        raise NotAcceptableError(content_type, reason) from error


def _columns(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of one axis, all of one length: those of two become one a column, numbered."""
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim == 2:
            prefix = "" if len(arrays) == 1 else f"{name}."
            columns.update({f"{prefix}{at}": array[:, at] for at in range(array.shape[1])})
        elif array.ndim < 2:
            columns[name] = array.reshape(-1)
        else:
            raise ValueError(array.shape)
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(sorted(columns))
    return columns


def _csv(columns: Mapping[str, np.ndarray]) -> bytes:
    """Rows under a header, lines ended as RFC 4180 has it; NaN and null are empty, lists and objects JSON."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    cells = [_cells(column) for column in columns.values()]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue().encode()


def _cells(column: np.ndarray) -> list[Any]:
    import orjson

    values = orjson.loads(encode_json(column)) if column.dtype.kind not in "iu" else column.tolist()
    return [_cell(value) for value in values]


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode_json(value).decode() if isinstance(value, list | dict) else value


def _npy(arrays: Mapping[str, np.ndarray]) -> bytes:
    if len({array.dtype for array in arrays.values()}) > 1:
        raise TypeError(sorted(arrays))
    if len(arrays) > 1:
        array = np.column_stack(list(arrays.values()))
    else:
        [array] = arrays.values()
    if array.dtype.kind == "O":
        if not all(isinstance(item, str) for item in array.reshape(-1).tolist()):
            raise TypeError(array.dtype)
        array = array.astype(np.str_)
    written = io.BytesIO()
    np.lib.format.write_array(written, array, allow_pickle=False)
    return written.getvalue()


def _arrow(columns: Mapping[str, np.ndarray]) -> bytes:
    import pyarrow as pa

    try:
        table = pa.table({name: pa.array(column, from_pandas=False) for name, column in columns.items()})
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
