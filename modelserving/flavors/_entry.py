"""An entry under ``flavors:`` of the MLmodel file: written, and its files found again."""

from __future__ import annotations

import platform
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modelserving.errors import FlavorLoadError, ModelServingError, UntrustedModelError, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelserving.flavor import Config, Grant, Tier

PACKAGE = "modelserving"
_ORDER: tuple[Tier, ...] = ("data", "native", "code")


def python_function_entry(loader_module: str, **keys: object) -> dict[str, object]:
    """The entry by which a real MLflow loads the model: its loader, our keys, the environment files."""
    return {
        **keys,
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": loader_module,
        "python_version": platform.python_version(),
    }


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, None when it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def file_of(flavor: str, folder: Path, config: Config, *keys: str) -> Path:
    """The regular file inside ``folder`` that the first of ``keys`` found in ``config`` names.

    Raises:
        FlavorLoadError: No such key, a path that leads out of the folder, or no regular file there.
    """
    key = next((key for key in keys if config.get(key) is not None), None)
    if key is None:
        raise unreadable(flavor, f"its entry has no {keys[0]!r}; log the model again")
    path = inside(flavor, folder, config[key], key)
    if path.is_symlink() or not path.is_file():
        raise unreadable(flavor, f"{key!r} names {excerpt(config[key])}, which is not a file of the model")
    return path


def unreadable(flavor: str, reason: str) -> FlavorLoadError:
    """The error for files that are not what the entry says."""
    return FlavorLoadError(flavor, PACKAGE, reason)


def inside(flavor: str, folder: Path, name: object, key: str) -> Path:
    """The path ``name`` below ``folder``; ``FlavorLoadError`` when it does not stay there."""
    pure = PurePosixPath(name) if isinstance(name, str) and name and "\0" not in name else None
    if pure is None or pure.is_absolute() or ".." in pure.parts or "\\" in str(pure):
        raise unreadable(flavor, f"{key!r} is {excerpt(name)}; expected a path inside the model's folder")
    return folder.joinpath(*pure.parts)


def require(grant: Grant, tier: Tier, reason: str) -> None:
    """Refuse to open what the grant does not cover; ``reason`` names it: ``an ONNX graph (model.onnx)``."""
    if _ORDER.index(grant.tier) < _ORDER.index(tier):
        raise UntrustedModelError(str(grant.folder), grant.digest, tier, reason)


def require_sound(grant: Grant, reason: str, problem_in: Callable[[bytes], str], path: Path) -> bytes:
    """The content of a file that native code is about to read, refused where it would be led astray.

    Args:
        grant: Leave to load; where somebody vouched for the bytes, they are not looked at.
        reason: What the file is: ``an XGBoost model (model.ubj)``.
        problem_in: What is wrong with such a file, "" when nothing is.
        path: The file.
    """
    data = path.read_bytes()
    problem = "" if grant.vouched_by else problem_in(data)
    if problem:
        raise UntrustedModelError(
            str(grant.folder), grant.digest, "native", f"{reason} that is unsound: {problem}"
        )
    return data


@contextmanager
def reading(flavor: str, path: Path) -> Iterator[None]:
    """Turn whatever a library raises while it reads ``path`` into a ``FlavorLoadError`` that names it."""
    try:
        yield
    except ModelServingError:
        raise
    except ModuleNotFoundError as error:
        reason = (
            f"{path.name!r} needs the module {error.name!r}; install it, or log the model with code_paths"
        )
        raise unreadable(flavor, reason) from error
    except Exception as error:
        cause = f"{type(error).__name__}: {excerpt(str(error), 160)}"
        reason = f"{path.name!r} cannot be read ({cause}); log the model again"
        raise unreadable(flavor, reason) from error


def first_installed(*distributions: str) -> str:
    """The first of several distributions of one package that is installed; the first of all if none is."""
    return next((each for each in distributions if installed_version(each)), distributions[0])


def arrays(answer: Any) -> Any:
    """Every tensor in an answer as an array, nested as they were."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    if hasattr(answer, "numpy"):
        return answer.numpy()
    if isinstance(answer, dict):
        return {name: arrays(value) for name, value in answer.items()}
    if type(answer) is tuple:
        return tuple(arrays(value) for value in answer)
    return [arrays(value) for value in answer] if isinstance(answer, list | tuple) else answer
