"""From a skops file to the object in it: what it names, what it could do, and the object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.errors import ModelServingError, UntrustedModelError
from modelserving.trust.skops.archive import MAX_DEPTH, Archive
from modelserving.trust.skops.nodes import Builder
from modelserving.trust.skops.types import is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelserving.flavor import Grant, Tier


def types_in(path: Path) -> list[str]:
    """The types in a skops file that are not on our list, sorted; nothing is imported or built.

    Raises:
        DamagedModelError: It is not a skops file, or not one that should be read.
    """
    with Archive(path) as archive:
        return sorted(
            {_label(loader, name) for loader, name in _nodes(archive) if not is_allowed(loader, name)}
        )


def tier(path: Path) -> Tier:
    """What a skops file could do: ``data`` when all types are on our list, ``native`` with boosters besides.

    Raises:
        DamagedModelError: It is not a skops file, or not one that should be read.
    """
    with Archive(path) as archive:
        nodes = set(_nodes(archive))
    if all(is_allowed(loader, name) for loader, name in nodes):
        return "data"
    return "native" if all(is_allowed(loader, name, native=True) for loader, name in nodes) else "code"


def load_skops(path: Path, *, grant: Grant | None = None) -> object:
    """The object in a skops file.

    Args:
        path: The file.
        grant: Needed for a file of tier ``native``, and then not for less. A file of tier ``code`` is not for
            this function: ``trust.code.load_skops_code`` reads it.

    Raises:
        UntrustedModelError: It names types that are not on our list.
        DamagedModelError: It is not a skops file, or what it holds would make compiled code read past its
            arrays.
        FlavorLoadError: The installed release of scikit-learn does not have one of its types.
    """
    native = grant is not None and grant.tier != "data"
    with Archive(path) as archive:
        others = sorted(
            {
                _label(loader, name)
                for loader, name in _nodes(archive)
                if not is_allowed(loader, name, native=native)
            }
        )
        if others:
            digest = grant.digest if grant else ""
            raise UntrustedModelError(
                str(path), digest, "code", f"types that are not data ({', '.join(others[:5])})"
            )
        try:
            return Builder(archive).build(archive.schema, "$")
        except ModelServingError:
            raise
        except Exception as error:  # a crafted state makes a library raise anything
            words = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
            raise archive.damaged("an object that can be built", words[:200]) from error


def _nodes(archive: Archive) -> Iterator[tuple[str, str]]:
    """Kind and full name of every node in the file, wherever it stands."""
    waiting: list[tuple[Any, int]] = [(archive.schema, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > 4 * MAX_DEPTH:
            raise archive.damaged(f"at most {4 * MAX_DEPTH} levels", "more")
        if isinstance(item, list):
            waiting.extend((value, depth + 1) for value in item)
        elif isinstance(item, dict):
            waiting.extend((value, depth + 1) for value in item.values())
            if "__loader__" in item:
                yield _node(archive, item)


def _node(archive: Archive, item: dict[str, Any]) -> tuple[str, str]:
    parts = item["__loader__"], item.get("__module__"), item.get("__class__")
    if not all(isinstance(part, str) and part.isascii() and len(part) < 200 for part in parts):
        raise archive.damaged("nodes with a type", repr(parts)[:80])
    return parts[0], f"{parts[1]}.{parts[2]}"


def _label(loader: str, name: str) -> str:
    """How a type is shown: its name, and the kind of node where that is what is wrong with it."""
    odd = {"MethodNode": "a method of", "OperatorFuncNode": "a call of"}
    return f"{odd[loader]} {name}" if loader in odd else name
