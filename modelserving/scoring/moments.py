"""Moments and durations as ISO 8601 text, each as short as it can be without losing anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from modelserving.errors import UnserializableError

_DATES = {"Y", "M", "W", "D"}


def moments(array: np.ndarray) -> Any:
    """A datetime64 array as nested lists of text; NaT is None, whole days of a date unit have no time.

    Example:
        >>> moments(np.array(["2020-01-01T00:00:00.5", "NaT"], dtype="datetime64[ns]"))
        ['2020-01-01T00:00:00.500000', None]
    """
    flat = array.reshape(-1)
    unit = np.datetime_data(array.dtype)[0]
    if unit in _DATES:
        texts = np.datetime_as_string(flat.astype("datetime64[D]")).astype(object)
    else:
        texts = np.datetime_as_string(flat).astype(object)
        for shorter in ("ns", "us", "s"):
            exact = flat.astype(f"datetime64[{shorter}]") == flat
            texts[exact] = np.datetime_as_string(flat[exact], unit=shorter, casting="unsafe")
    texts[np.isnat(flat)] = None
    return texts.reshape(array.shape).tolist()


def durations(array: np.ndarray) -> Any:
    """A timedelta64 array as nested lists of text; NaT is None."""
    if np.datetime_data(array.dtype)[0] in {"Y", "M", "generic"} and not np.isnat(array).all():
        raise UnserializableError(f"values of dtype {array.dtype}")
    flat = array.reshape(-1).astype("timedelta64[ns]")
    texts = [None if np.isnat(each) else _text(int(each.astype(np.int64))) for each in flat]
    made = np.empty(len(texts), dtype=object)
    made[:] = texts
    return made.reshape(array.shape).tolist()


def duration(value: timedelta) -> str:
    """A timedelta as text.

    Example:
        >>> duration(timedelta(days=1, seconds=7200.5))
        'P1DT2H0M0.5S'
    """
    return _text((value // timedelta(microseconds=1)) * 1000 + int(getattr(value, "nanoseconds", 0)))


def _text(nanoseconds: int) -> str:
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    seconds, fraction = divmod(rest, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{sign}P{days}DT{hours}H{minutes}M{seconds}{decimals}S"
