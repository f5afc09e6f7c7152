"""What models answer with, as strict JSON: arrays at once by orjson, everything else as what it means.

==========================================  =======================================================
the model's answer                          JSON
==========================================  =======================================================
ndarray, masked array, sparse matrix,       nested lists; a 0-d array its value; float32 and
other libraries' tensors                    float16 with the digits of their exact value
DataFrame; Series; structured array         a list of objects; a Series' name is the key, ``"0"`` without one
NaN, infinities, NaT, NA, masked            null
datetime, date, time, datetime64            ISO 8601 text
timedelta, timedelta64                      ISO 8601 duration, such as ``P1DT2H0M0.5S``
bytes                                       base64, without newlines
Decimal                                     a number with exactly its digits
complex                                     ``{"real": …, "imag": …}``
dict; dataclass; pydantic model             an object; keys that are numbers become text
list, tuple, range, generator               a list
set, frozenset                              a list, sorted
Enum; UUID                                  its value; text
==========================================  =======================================================

Anything else, two keys that become one, and what contains itself is an :class:`UnserializableError`.
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from modelserving.errors import UnserializableError, excerpt
from modelserving.scoring.moments import duration, durations, moments

_MAX_DEPTH = 200
_MAX_ITEMS = 10_000_000
"""Items taken from a generator, and cells of a sparse matrix written out."""


def encode_json(value: object) -> bytes:
    """A value as strict JSON in UTF-8.

    Raises:
        UnserializableError: It holds something that has no JSON form.
    """
    fragment = _fragment(value)
    if fragment is not None:
        return fragment
    try:
        return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except (
        orjson.JSONEncodeError
    ):  # what orjson cannot write, such as keys that are numbers, or what nobody can
        return _write(value, "$", 0).encode("ascii")


def _write(value: Any, path: str, depth: int) -> str:
    """A value as JSON, slowly: any integer, any kind of key, and the path of what has no JSON form."""
    if depth > _MAX_DEPTH:
        raise UnserializableError("something nested without end", path[:80])
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if type(value) is int or type(value) is str:
        return _scalar(value, path)
    if type(value) is float:
        return repr(value) if math.isfinite(value) else "null"
    if type(value) is dict:
        return _object(value, path, depth)
    if type(value) is list or type(value) is tuple:
        items = (_write(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value))
        return f"[{','.join(items)}]"
    fragment = _fragment(value)
    if fragment is not None:
        return fragment.decode()
    try:
        simpler = _drain(value) if isinstance(value, Iterator) else _simpler(value)
    except UnserializableError as error:
        raise UnserializableError(error.kind, path) from None
    return _write(simpler, path, depth + 1)


def _scalar(value: int | str, path: str) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        raise UnserializableError("an integer of thousands of digits", path) from None


def _object(value: Mapping[Any, Any], path: str, depth: int) -> str:
    parts: dict[str, str] = {}
    for name, item in value.items():
        key = _key(name, path)
        if key in parts:
            raise UnserializableError(f"two keys that both become {excerpt(key)}", path)
        parts[key] = _write(item, f"{path}.{key}", depth + 1)
    return "{" + ",".join(f"{json.dumps(key)}:{part}" for key, part in parts.items()) + "}"


def _key(name: Any, path: str = "") -> str:
    """A dict's key, or the name of a column, as text."""
    if isinstance(name, np.generic):
        name = name.item()
    if isinstance(name, Enum):
        name = name.value
    if isinstance(name, str):
        return str(name)
    if name is None or isinstance(name, bool | int | float):
        return json.dumps(name)
    if isinstance(name, date):
        return name.isoformat()
    if isinstance(name, UUID | tuple):
        return str(name)
    raise UnserializableError(f"a key of {_kind(name)}", path)


def _default(value: Any) -> Any:
    """What orjson writes in place of a value it does not know."""
    fragment = _fragment(value)
    if fragment is not None:
        return orjson.Fragment(fragment)
    if isinstance(value, Iterator):  # it can be read once only: left to _write
        raise TypeError
    return _simpler(value)


def _fragment(value: Any) -> bytes | None:
    """The JSON of an array of numbers or of a decimal; None for everything else."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            return b"null"
        return str(value).encode() if math.isfinite(float(value)) else json.dumps(str(value)).encode()
    if (
        not isinstance(value, np.ndarray)
        or isinstance(value, np.ma.MaskedArray)
        or value.dtype.kind not in "biuf"
    ):
        return None
    if value.ndim == 0:
        return orjson.dumps(value.astype(np.float64).item() if value.dtype.kind == "f" else value.item())
    dtype = np.dtype(np.float64) if value.dtype.kind == "f" else value.dtype.newbyteorder("=")
    return orjson.dumps(np.ascontiguousarray(value, dtype=dtype), option=orjson.OPT_SERIALIZE_NUMPY)


def _simpler(value: Any) -> Any:
    """A value of another kind as one that is nearer to JSON."""
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, type):
        raise UnserializableError(f"the class {value.__qualname__}")
    for kinds, make in _BY_KIND:
        if isinstance(value, kinds):
            return make(value)
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    for name, make in _BY_METHOD:
        if callable(getattr(type(value), name, None)):
            return make(value)
    raise UnserializableError(_kind(value))


def _drain(items: Iterator[Any]) -> list[Any]:
    taken = list(itertools.islice(items, _MAX_ITEMS + 1))
    if len(taken) > _MAX_ITEMS:
        raise UnserializableError(f"a generator of more than {_MAX_ITEMS} items")
    return taken


def _range(value: range) -> list[int]:
    return _drain(iter(value))


def _set(value: AbstractSet[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__name__, repr(item)))


def _array(value: np.ndarray) -> Any:
    if value.dtype.kind == "M":
        return moments(value)
    if value.dtype.kind == "m":
        return durations(value)
    if value.dtype.names and value.ndim == 1:
        columns = [(name, value[name]) for name in value.dtype.names]
        return _records([name for name, _ in columns], [_list(column) for _, column in columns], len(value))
    return value.tolist()


def _list(column: np.ndarray) -> list[Any]:
    """The elements of one column: Python's own types, or what ``_simpler`` knows."""
    if column.dtype.kind in "Mm":
        return list(_array(column))
    return list(column) if column.ndim > 1 else column.tolist()


def _generic(value: np.generic) -> Any:
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return _array(np.asarray(value).reshape(1))[0]
    if isinstance(value, np.complexfloating):
        return complex(value)
    if isinstance(value, np.void) and value.dtype.names:
        return dict(zip(value.dtype.names, value.item(), strict=True))
    return value.item()


def _records(names: Sequence[Any], columns: Sequence[Sequence[Any]], length: int) -> list[dict[str, Any]]:
    keys = [_key(name) for name in names]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnserializableError(f"two columns named {excerpt(twice)}")
    if not keys:
        return [{} for _ in range(length)]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def _frame(value: Any) -> list[dict[str, Any]]:
    columns = [_series_values(value.iloc[:, at]) for at in range(value.shape[1])]
    return _records(list(value.columns), columns, len(value))


def _series(value: Any) -> list[dict[str, Any]]:
    return _records([0 if value.name is None else value.name], [_series_values(value)], len(value))


def _series_values(series: Any) -> list[Any]:
    dtype = series.dtype
    return (
        _list(series.to_numpy())
        if isinstance(dtype, np.dtype) and dtype.kind in "biufMm"
        else series.tolist()
    )


def _sparse(value: Any) -> Any:
    if math.prod(value.shape) > _MAX_ITEMS:
        raise UnserializableError(f"a sparse matrix of shape {value.shape}, too large to be written out")
    return value.toarray()


def _kind(value: object) -> str:
    kind = type(value)
    return f"an object of class {kind.__module__}.{kind.__qualname__}"


_BY_KIND: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: value.value),
    (str, str),
    (np.generic, _generic),
    (np.ndarray, _array),
    (int, int),
    (float, float),
    (complex, lambda value: {"real": value.real, "imag": value.imag}),
    (bytes | bytearray | memoryview, lambda value: base64.b64encode(value).decode()),
    (date | time, lambda value: value.isoformat()),
    (timedelta, duration),
    (UUID, str),
    (range, _range),
    (AbstractSet, _set),
    (Mapping, dict),
    (Sequence | ValuesView, list),
)

_BY_METHOD: tuple[tuple[str, Callable[[Any], Any]], ...] = (  # of libraries that are not imported for this
    ("model_dump", lambda value: value.model_dump()),
    ("to_dicts", lambda value: value.to_dicts()),
    ("to_pylist", lambda value: value.to_pylist()),
    ("toarray", _sparse),
    ("iterrows", _frame),
    ("to_frame", lambda value: _series(value) if hasattr(value, "iloc") else value.tolist()),
    ("tolist", lambda value: value.tolist()),
    ("to_list", lambda value: value.to_list()),
)
