"""The modules a model brings along, in its folder ``code/``."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from modelserving.errors import FlavorSaveError
from modelserving.flavors import _entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelserving.flavor import Config, Grant

_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".venv")


def copy_code(flavor: str, code_paths: Iterable[str | Path], folder: Path) -> str | None:
    """Copy files and packages into ``folder/code``.

    Returns:
        What goes under ``code`` in the entry; None when there is nothing to copy.

    Raises:
        FlavorSaveError: A path does not exist, or two have one name.
    """
    names: set[str] = set()
    for path in map(Path, code_paths):
        source = path.resolve()
        if not source.exists():
            raise FlavorSaveError(
                flavor,
                f"code_paths names {str(path)!r}, which does not exist; give existing files and folders",
            )
        if source.name in names:
            raise FlavorSaveError(
                flavor, f"code_paths names {source.name!r} twice; give each file a name of its own"
            )
        names.add(source.name)
        target = folder / "code" / source.name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_NOT_COPIED)
        else:
            shutil.copyfile(source, target)
    return "code" if names else None


def code_folder(flavor: str, folder: Path, config: Config, grant: Grant) -> AbstractContextManager[None]:
    """A block in which the modules of the entry's ``code`` folder can be imported, if it has one."""
    if not config.get("code"):
        return nullcontext()
    from modelserving.trust import code

    path = _entry.inside(flavor, folder, config["code"], "code")
    _entry.require(grant, "code", f"Python code ({path.name}/)")
    if not path.is_dir():
        raise _entry.unreadable(flavor, f"'code' names {path.name!r}, which is not a folder of the model")
    return code.code_folder(path, grant=grant)
