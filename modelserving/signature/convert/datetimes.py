"""Moments: ISO 8601 text and Python's own objects, as nanoseconds since 1970 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import numpy as np

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})0*)?)?(?:(Z)|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_LIMIT = 2**63 - 1
"""int64 nanoseconds end here, in the years 1677 and 2262; their smallest value means NaT."""

NAT = np.datetime64("NaT", "ns")


def from_text(text: str) -> np.datetime64:
    """The moment an ISO 8601 text names: a date, or date and time with up to nine decimals of a second.

    A time zone is applied, so that the result is UTC; without one the text is taken as it is.

    Raises:
        ValueError: It is no such text, or outside the years 1677 to 2262.

    Example:
        >>> from_text("2020-01-01T01:00:00+01:00")
        np.datetime64('2020-01-01T00:00:00.000000000')
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = match.groups()
    moment = datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
    )
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    if sign:
        offset = int(zone_hours) * 3600 + int(zone_minutes or 0) * 60
        seconds -= offset if sign == "+" else -offset
    return _moment(seconds * _SECOND + int((fraction or "").ljust(9, "0")))


def from_object(value: date) -> np.datetime64:
    """A date, a datetime (with a zone: converted to UTC) or a pandas Timestamp.

    Raises:
        ValueError: Outside the years 1677 to 2262.
    """
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    nanosecond = getattr(value, "nanosecond", 0)  # a Timestamp's, beyond its microseconds
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(value) from error
    microseconds = (_plain(moment) - _EPOCH) // timedelta(microseconds=1)
    return _moment(microseconds * 1000 + nanosecond)


def from_numpy(value: np.ndarray | np.datetime64) -> np.ndarray:
    """datetime64 of any unit in nanoseconds; what does not fit, or loses something, becomes NaT."""
    array = np.asarray(value)
    if array.dtype == "datetime64[ns]":
        return array
    moments = array.astype("datetime64[ns]")
    return np.where(moments.astype(array.dtype) == array, moments, NAT)


def _plain(moment: datetime) -> datetime:
    """Without a Timestamp's own arithmetic, which overflows earlier than Python's."""
    return datetime(
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        moment.microsecond,
        UTC,
    )


def _moment(nanoseconds: int) -> np.datetime64:
    if not -_LIMIT <= nanoseconds <= _LIMIT:
        raise ValueError(nanoseconds)
    return np.datetime64(nanoseconds, "ns")
