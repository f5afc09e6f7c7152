"""Paths that somebody else wrote down: relative, inside the folder, and the same on every system."""

from __future__ import annotations

import unicodedata

from modelserving.errors import MLmodelError, excerpt

_LONGEST_SEGMENT = 255  # bytes of UTF-8, what common file systems hold
_LONGEST_PATH = 1024
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{device}{digit}" for device in ("COM", "LPT") for digit in "123456789¹²³"}
)


def safe_relpath(text: str) -> tuple[str, ...]:
    """The parts of a relative path that cannot lead out of the folder it is joined to.

    Every path that comes from a file or a request goes through here, and what is opened afterwards are these
    parts, joined: nobody decodes or normalises them again. Links are a matter of opening, not of text;
    whoever opens the path must refuse them.

    Args:
        text: Parts divided by ``/``. In Unicode's NFC form; without control characters, backslashes and
            colons; no part is empty, ``.``, ``..`` or a Windows device (``NUL.txt``), or ends in a space or
            a dot; a part has at most 255 bytes, the whole at most 1024.

    Returns:
        The parts, at least one.

    Raises:
        MLmodelError: The path is not like that.

    Example:
        >>> safe_relpath("artifacts/weights.bin")
        ('artifacts', 'weights.bin')
    """
    problem = _whole_problem(text)
    parts = tuple(text.split("/")) if problem is None else ()
    for part in parts:
        problem = problem or _part_problem(part)
    if problem:
        raise MLmodelError(f"unsafe path {excerpt(text)}: {problem}")
    return parts


def _whole_problem(text: object) -> str | None:
    if not isinstance(text, str):
        return f"it is of type {type(text).__name__}, not str"
    if len(text) > _LONGEST_PATH:
        return f"it is longer than {_LONGEST_PATH} bytes"
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        return "it holds a control character"
    if len(text.encode()) > _LONGEST_PATH:
        return f"it is longer than {_LONGEST_PATH} bytes"
    if "\\" in text or ":" in text:
        return "it holds a backslash or a colon"
    if text.startswith("/"):
        return "it is absolute"
    return None if unicodedata.is_normalized("NFC", text) else "it is not in Unicode's NFC form"


def _part_problem(part: str) -> str | None:
    if part == "":
        return "a part between slashes is empty"
    if part in {".", ".."}:
        return f"{part!r} is not the name of a file"
    if part.endswith((" ", ".")):
        return "a part ends in a space or a dot"
    if part.partition(".")[0].rstrip(" ").upper() in _DEVICES:
        return "it names a Windows device"
    return (
        None if len(part.encode()) <= _LONGEST_SEGMENT else f"a part is longer than {_LONGEST_SEGMENT} bytes"
    )
