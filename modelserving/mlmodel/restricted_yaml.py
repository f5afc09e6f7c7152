"""YAML as metadata needs it: one document of mappings, lists and scalars; nothing surprises or explodes.

Refused: aliases, anchors and merge keys, tags, duplicate keys, keys that are neither text nor whole numbers,
a second document, and whatever exceeds the limits below.

A plain scalar is null, a boolean or a number only where YAML 1.1 (which PyYAML writes) and YAML 1.2 agree
that it is the same one. Everything else is text, as it stands in the file: ``no``, ``1e5``, ``017``,
``1_000``, ``1:30``, ``2024-01-01``. Text that PyYAML wrote without quotes, such as a commit id ``12e4567``,
so stays what it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from modelserving.errors import MLmodelError, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 100_000
MAX_DIGITS: Final = 1000

KeyPath = tuple[str | int, ...]

# On any MAX_BYTES of input both are done: libyaml within tenths of a second, Python within seconds.
_PARSER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def load(text: str, *, is_text: Callable[[KeyPath], bool] = lambda _: False) -> object:
    """The one value that ``text`` holds.

    Args:
        text: A YAML document of at most :data:`MAX_BYTES`.
        is_text: Says of a key path whether a plain scalar there is text whatever it looks like: a version
            ``1.10`` is not the number 1.1.

    Returns:
        Dicts, lists, str, int, float, bool and None.

    Raises:
        MLmodelError: It is not that; ``key`` says where, as far as that is known.
    """
    check_size(text)
    if text.startswith("\ufeff"):
        raise MLmodelError("the file begins with a byte order mark; save it as plain UTF-8")
    try:
        return _Composer(yaml.parse(text, Loader=_PARSER), is_text).document()
    except yaml.YAMLError as error:
        raise MLmodelError(f"not YAML: {_explained(error)}") from None


def dump(value: object) -> str:
    """``value`` as :func:`load` and every YAML reader understand it; the order of keys is kept.

    Raises:
        MLmodelError: The text would be too long to be read again.
    """
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, sort_keys=False)
    check_size(text)
    return text


def check_size(text: str) -> None:
    """Refuse text of more than :data:`MAX_BYTES`, or that is not Unicode.

    Raises:
        MLmodelError: It is.
    """
    try:
        size = len(text) if len(text) > MAX_BYTES else len(text.encode())
    except UnicodeEncodeError:
        raise MLmodelError("the text holds a lone surrogate, which is not Unicode") from None
    if size > MAX_BYTES:
        raise MLmodelError(f"more than {MAX_BYTES} bytes, which no MLmodel file needs")


def dotted(path: KeyPath) -> str | None:
    """A key path as a person writes it, ``flavors.onnx.providers[0]``; None for the file as a whole."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return excerpt(words.removeprefix("."), 200).strip("'\"") or None


class _Dumper(yaml.SafeDumper):
    """Writes a value that occurs twice twice: readers like ours refuse aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


class _Composer:
    """Builds values from the parser's events, so that each limit holds before anything is built."""

    def __init__(self, events: Iterator[Any], is_text: Callable[[KeyPath], bool]) -> None:
        self._events, self._is_text = events, is_text
        self._path: list[str | int] = []
        self._values = 0

    def document(self) -> object:
        next(self._events)  # the stream starts
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise self._error("the file is empty")
        value = self._value(next(self._events))
        next(self._events)  # the document ends
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise self._error("more than one YAML document")
        return value

    def _error(self, reason: str) -> MLmodelError:
        return MLmodelError(reason, None, dotted(tuple(self._path)))

    def _value(self, event: Any) -> object:
        self._check(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if len(self._path) >= MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} deep")
        return self._sequence() if isinstance(event, yaml.SequenceStartEvent) else self._mapping()

    def _check(self, event: Any) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._error(f"more than {MAX_VALUES} values")
        if isinstance(event, yaml.ScalarEvent):
            check_size(event.value)  # the parser in Python lets escaped surrogates through
        if isinstance(event, yaml.AliasEvent):
            raise self._error(f"a YAML alias; write the value out in place of {excerpt(f'*{event.anchor}')}")
        if event.anchor is not None:
            raise self._error(f"a YAML anchor; leave out {excerpt(f'&{event.anchor}')}")
        if event.tag is not None:
            raise self._error(f"a YAML tag {excerpt(event.tag)}; only plain values are read")

    def _sequence(self) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._path.append(len(items))
            items.append(self._value(event))
            self._path.pop()
        return items

    def _mapping(self) -> dict[str | int, object]:
        items: dict[str | int, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            if key in items:
                raise self._error(f"the key {excerpt(key)} stands there twice")
            self._path.append(key)
            items[key] = self._value(next(self._events))
            self._path.pop()
        return items

    def _key(self, event: Any) -> str | int:
        self._check(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error("a key that is itself a list or a mapping")
        if event.implicit[0] and event.value == "<<":
            raise self._error("a YAML merge key '<<'; write the keys out")
        key = self._resolved(event)
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise self._error(f"unexpected key {event.value!r} of type {type_name(key)} (expected str)")
        return key

    def _scalar(self, event: Any) -> object:
        if event.value and event.value not in _CONSTANTS and self._is_text(tuple(self._path)):
            return event.value
        return self._resolved(event)

    def _resolved(self, event: Any) -> object:
        text: str = event.value
        if not event.implicit[0]:  # it stands in quotes, or in a block
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            if len(text) > MAX_DIGITS:
                raise self._error(f"a number of more than {MAX_DIGITS} digits")
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text


def type_name(value: object) -> str:
    """The type of a value in an MLmodel file, for a message: ``str``, ``int``, ``dict``, ``null``."""
    return "null" if value is None else type(value).__name__


def _explained(error: yaml.YAMLError) -> str:
    """PyYAML's message in one line, with the line number where there is one."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        return f"{error.problem or error.context}{where}"
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).splitlines()[0]
