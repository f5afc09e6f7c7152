"""JSON text into Python values, exactly: what is parsed is what was written, or the text is refused.

orjson does the work. Three things are given to a slower parser: integers beyond 64 bits (orjson
makes them floats), repeated keys (it keeps the last), and the literals NaN and Infinity, which it refuses
and MLflow's
clients send.
"""

from __future__ import annotations

import json
import math
from itertools import chain

import orjson

from modelserving.errors import RequestError, excerpt
from modelserving.signature.convert.limits import MAX_DIGITS

_SHAPE = bytes(48 if 48 <= byte <= 57 else byte if byte == 45 else 32 for byte in range(256))
_LONG = b"0" * 20
_LONG_NEGATIVE = b"-" + b"0" * 19
_TRIES = 1000


def parse(body: bytes) -> object:
    """The value of a JSON text in UTF-8.

    Numbers with a fraction or an exponent become floats, all others integers of any size.

    Raises:
        RequestError: It is not JSON, repeats a key of an object, or has a number beyond every double.

    Example:
        >>> parse(b'{"a": [1, 2.5, NaN, 18446744073709551616]}')
        {'a': [1, 2.5, nan, 18446744073709551616]}
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" in body or b"Infinity" in body:
            return parse_slowly(body)
        raise RequestError(f"the body is not JSON: {error}") from None
    if _may_hold_long_integer(body) or _may_repeat_key(body, value):
        return parse_slowly(body)
    return value


def parse_slowly(body: bytes) -> object:
    """The same by the standard library's parser, which sees every key and every literal.

    Raises:
        RequestError: As :func:`parse`.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=float
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except RecursionError:
        raise RequestError("the body is not JSON that can be read: nested too deep") from None
    except UnicodeError:
        raise RequestError("the body is not JSON: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"the body is not JSON: {error}") from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RequestError(f"the key {excerpt(name)} stands twice in one object; send it once")
            seen.add(name)
    return result


def _integer(digits: str) -> int:
    if len(digits) <= MAX_DIGITS + 1:
        number = int(digits)
        try:
            float(number)
        except OverflowError:
            pass
        else:
            return number
    raise RequestError(f"the body holds an integer of {len(digits)} digits, beyond every double")


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise RequestError(f"the body holds the number {excerpt(literal)}, beyond every double")
    return number


def _may_hold_long_integer(body: bytes) -> bool:
    """Whether an integer may be beyond 64 bits: twenty digits, or a minus and nineteen, not after a point."""
    if len(body) < len(_LONG):
        return False
    shape = body.translate(_SHAPE)
    if _LONG_NEGATIVE in shape:
        return True
    at = shape.find(_LONG)
    for _ in range(_TRIES):
        if at < 0:
            return False
        if at == 0 or body[at - 1] != 46:
            return True
        end = at + len(_LONG)
        while end < len(shape) and shape[end] == 48:
            end += 1
        at = shape.find(_LONG, end)
    return at >= 0


def _may_repeat_key(body: bytes, value: object) -> bool:
    """Whether an object may have a key twice: the text has more colons than the parsed value has keys.

    Colons inside strings count too, so a yes is only a reason to look closer; a no is certain.
    """
    colons = body.count(b":")
    if colons == _outer_keys(value):
        return False
    after_key = sum(body.count(mark) for mark in (b'":', b" :", b"\t:", b"\n:", b"\r:"))
    return min(colons, after_key) != _keys(value)


def _outer_keys(value: object) -> int:
    """The keys of a body in the usual shapes, without a look at every cell; never more than there are."""
    if type(value) is not dict:
        return 0
    total = len(value)
    for inside in value.values():
        if type(inside) is dict:
            total += len(inside)
        elif type(inside) is list and inside and set(map(type, inside)) == {dict}:
            total += sum(map(len, inside))
    return total


def _keys(value: object) -> int:
    """All keys of all objects."""
    total, level = 0, [value]
    while level:
        objects = [each for each in level if type(each) is dict]
        lists = [each for each in level if type(each) is list]
        total += sum(map(len, objects))
        inside = chain(chain.from_iterable(each.values() for each in objects), chain.from_iterable(lists))
        level = [each for each in inside if type(each) is dict or type(each) is list]
    return total
