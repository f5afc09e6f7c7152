"""Model URIs: which model is meant, in one line of text.

======================  ==========================================================
``models:/iris/3``      version 3 of the registered model ``iris``
``models:/iris@best``   the version its alias ``best`` points to
``models:/iris/latest`` its highest version
``runs:/RUN_ID/iris``   what the run logged under the name ``iris``
``/srv/models/iris``    a folder; relative paths and ``file:`` URIs too
======================  ==========================================================

A URI means one thing: nothing is percent-decoded, no host or query is dropped, ``03`` is not ``3``. So
``ModelURI.parse(str(uri)) == uri`` for every URI, and all other text is refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote_to_bytes

from modelserving.errors import InvalidURIError, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["version", "alias", "latest", "run", "path"]
"""What a URI names; see :class:`ModelURI`."""

LATEST: Final = "latest"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SEGMENT = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9 ._-]{0,253}[A-Za-z0-9_-])?"
)  # MLflow's artifact names hold spaces
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_LIKE_A_VERSION = re.compile(r"v[0-9]+")
_NOT_IN_FILE_URI = re.compile(r"[?#]|%(?![0-9A-Fa-f]{2})|%2[Ff]")
_STAGES = frozenset({"none", "staging", "production", "archived"})
_LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HIGHEST_VERSION = 2**31 - 1
_LONGEST_ARTIFACT_PATH, _LONGEST_PATH = 1024, 4096
_VERSION_RULE = (
    f"a version is a whole number from 1 to {_HIGHEST_VERSION}, with no sign, leading zero or space"
)
_FIELDS: Final[dict[str, set[str]]] = {
    "version": {"name", "version"},
    "alias": {"name", "alias"},
    "latest": {"name"},
    "run": {"run_id", "path"},
    "path": {"path"},
}


def check_name(name: str) -> str:
    """The name of a registered model, if it is one.

    Args:
        name: 1 to 128 ASCII letters, digits, ``. _ -``, the first and last a letter or digit, no ``..``.

    Returns:
        ``name``.

    Raises:
        InvalidURIError: It is not a name.

    Example:
        >>> check_name("iris-2.forest")
        'iris-2.forest'
    """
    _refuse_if(_name_problem(name), name, "a model name")
    return name


def check_artifact_name(name: str) -> str:
    """The name a model is logged under in a run: the rule of :func:`check_name`, and its error."""
    _refuse_if(_name_problem(name), name, "an artifact name")
    return name


def check_alias(alias: str) -> str:
    """The alias, if it is one.

    Args:
        alias: 1 to 63 lower-case ASCII letters, digits, ``_`` and ``-``, a letter first; neither ``latest``,
            which is computed, nor ``v`` and digits, which would look like a version.

    Raises:
        InvalidURIError: It is not an alias.

    Example:
        >>> check_alias("champion")
        'champion'
    """
    _refuse_if(_alias_problem(alias), alias, "an alias")
    return alias


def check_version(version: int) -> int:
    """The version, if it is a whole number from 1 to 2147483647.

    Raises:
        InvalidURIError: It is not a version.
    """
    good = type(version) is int and 1 <= version <= _HIGHEST_VERSION
    _refuse_if(None if good else _VERSION_RULE, version, "a version")
    return version


def check_run_id(run_id: str) -> str:
    """The run's id, if it is 32 lower-case hexadecimal digits; InvalidURIError if not."""
    _refuse_if(_run_id_problem(run_id), run_id, "a run id")
    return run_id


@dataclass(frozen=True, slots=True)
class ModelURI:
    """Which model is meant. Made by :meth:`parse`, or from fields that are checked the same way.

    Attributes:
        kind: ``version``, ``alias`` or ``latest`` of a registered model, ``run``, or ``path`` of a folder.
        name: The registered model; None for a run or a path.
        version: Its version, for ``version``.
        alias: Its alias, for ``alias``.
        run_id: The run, for ``run``.
        path: The name or path in the run, for ``run``; the folder as it was given, for ``path``.

    Raises:
        InvalidURIError: A field is missing, does not belong to this kind, or is not what it must be.

    Example:
        >>> ModelURI.parse("models:/iris@champion")
        ModelURI(kind='alias', name='iris', version=None, alias='champion', run_id=None, path=None)
        >>> str(ModelURI("version", name="iris", version=3))
        'models:/iris/3'
    """

    kind: Kind
    name: str | None = None
    version: int | None = None
    alias: str | None = None
    run_id: str | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        wanted = _FIELDS.get(self.kind)
        if wanted is None:
            raise InvalidURIError(str(self.kind), f"it is one of {', '.join(_FIELDS)}", "a kind of URI")
        given = {name for name in _CHECKS if getattr(self, name) is not None}
        if given != wanted:
            reason = f"one of kind {self.kind!r} has {' and '.join(sorted(wanted))} and nothing else"
            raise InvalidURIError(", ".join(sorted(given)), reason, "what a URI is made of")
        for name in given - {"path"}:
            _CHECKS[name](getattr(self, name))
        if self.path is not None:
            problem = _path_problem(self.path) if self.kind == "path" else _artifact_path_problem(self.path)
            _refuse_if(problem, self.path, "a path")

    def __str__(self) -> str:
        """The URI as text, the only text that is parsed to an equal one (``file:`` URIs aside)."""
        match self.kind:
            case "version":
                return f"models:/{self.name}/{self.version}"
            case "alias":
                return f"models:/{self.name}@{self.alias}"
            case "latest":
                return f"models:/{self.name}/{LATEST}"
            case "run":
                return f"runs:/{self.run_id}/{self.path}"
            case _:
                return str(self.path)

    @classmethod
    def parse(cls, text: str | os.PathLike[str]) -> ModelURI:
        """The URI that ``text`` is.

        Args:
            text: A URI, or the path of a folder; a ``pathlib.Path`` is always a folder.

        Raises:
            InvalidURIError: It is neither; the reason says what to write instead.
        """
        if isinstance(text, os.PathLike):
            path = os.fspath(text)
            return _folder(f"./{path}" if _SCHEME.match(path) else path)
        scheme = _SCHEME.match(text) if isinstance(text, str) else None
        match scheme and scheme[1]:
            case None:
                return _folder(text)
            case "models":
                return _registered(text)
            case "runs":
                return _logged(text)
            case "file":
                return _folder(_file_path(text), text)
            case other:
                raise InvalidURIError(text, _scheme_problem(other))


def _registered(text: str) -> ModelURI:
    rest = _after_scheme(text, "models")
    if "/" not in rest and "@" not in rest:
        raise InvalidURIError(text, _no_version(rest))
    if "/" not in rest:
        name, _, alias = rest.partition("@")
        _refuse_if(_name_problem(name) or _alias_problem(alias), text)
        return ModelURI("alias", name=name, alias=alias)
    name, _, version = rest.partition("/")
    if "@" in name:
        raise InvalidURIError(text, "it has either an alias or a version, not both")
    _refuse_if(_name_problem(name), text)
    if version == LATEST:
        return ModelURI("latest", name=name)
    _refuse_if(_version_problem(version, name), text)
    return ModelURI("version", name=name, version=int(version))


def _logged(text: str) -> ModelURI:
    run_id, _, path = _after_scheme(text, "runs").partition("/")
    _refuse_if(_run_id_problem(run_id), text)
    if not path:
        raise InvalidURIError(text, f"say which model of the run: runs:/{run_id}/NAME")
    _refuse_if(_artifact_path_problem(path), text)
    return ModelURI("run", run_id=run_id, path=path)


def _folder(path: str, text: str | None = None) -> ModelURI:
    _refuse_if(_path_problem(path), path if text is None else text)
    return ModelURI("path", path=path)


def _file_path(text: str) -> str:
    """The absolute path a ``file:`` URI names; percent-decoded here, once, and never again."""
    path = text.removeprefix("file:")
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in {"", "localhost"}:
            raise InvalidURIError(text, "it names another machine; write file:///PATH")
        path = slash + rest
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidURIError(text, "a file URI has an absolute path: file:///PATH")
    if _NOT_IN_FILE_URI.search(path):
        raise InvalidURIError(
            text, "'?', '#', '%2F' or a lone '%' is in it; give the plain path of the folder"
        )
    try:
        return unquote_to_bytes(path).decode("utf-8")
    except UnicodeError:
        raise InvalidURIError(
            text, "its percent-encoding is not UTF-8; give the plain path of the folder"
        ) from None


def _after_scheme(text: str, scheme: str) -> str:
    rest = text.removeprefix(f"{scheme}:")
    if not rest.startswith("/") or rest.startswith("//"):
        raise InvalidURIError(text, f"exactly one slash follows '{scheme}:'")
    return rest[1:]


def _refuse_if(problem: str | None, text: object, kind: str = "a model URI") -> None:
    if problem:
        raise InvalidURIError(text if isinstance(text, str) else excerpt(text), problem, kind)


def _name_problem(name: object) -> str | None:
    if isinstance(name, str) and _NAME.fullmatch(name) and ".." not in name:
        return None
    return (
        "a name is 1 to 128 of A-Z a-z 0-9 . _ - (no spaces), a letter or digit first and last, and no '..'"
    )


def _alias_problem(alias: object) -> str | None:
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        return "an alias is 1 to 63 of a-z 0-9 _ -, a letter first"
    if alias == LATEST:
        return "'latest' is computed and cannot be an alias; models:/NAME/latest is the highest version"
    return (
        "'v' and digits, as an alias, would look like a version" if _LIKE_A_VERSION.fullmatch(alias) else None
    )


def _version_problem(version: str, name: str) -> str | None:
    if _VERSION.fullmatch(version) and int(version) <= _HIGHEST_VERSION:
        return None
    if version == "":
        return f"say which version: models:/{name}/latest"
    if version.lower() == LATEST:
        return f"write it in lower case: models:/{name}/latest"
    if version.lower() in _STAGES:
        return f"there are no stages; set an alias and write models:/{name}@{version.lower()}"
    if "/" in version:
        return "the version is its last part, nothing below a model can be named"
    return _VERSION_RULE


def _no_version(name: str) -> str:
    if _LOGGED_MODEL_ID.fullmatch(name):
        return "the id of a logged model is not enough; name its run, runs:/RUN_ID/NAME, or register it"
    return _name_problem(name) or f"say which version: models:/{name}/latest"


def _run_id_problem(run_id: object) -> str | None:
    good = isinstance(run_id, str) and _RUN_ID.fullmatch(run_id)
    return None if good else "a run id is 32 of 0-9 a-f"


def _artifact_path_problem(path: object) -> str | None:
    if not isinstance(path, str) or len(path) > _LONGEST_ARTIFACT_PATH:
        return f"the path in a run is text of at most {_LONGEST_ARTIFACT_PATH} characters"
    if all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        return None
    return (
        "each part of a path in a run is 1 to 255 of A-Z a-z 0-9 . _ - and inner spaces, no dot first or last"
    )


def _path_problem(path: object) -> str | None:
    if not isinstance(path, str):
        return f"it is of type {type(path).__name__}, not text"
    if path == "" or len(path) > _LONGEST_PATH:
        return f"a path is 1 to {_LONGEST_PATH} characters"
    if _CONTROL.search(path) or path != path.strip():
        return "a path has no control characters, and no spaces around it"
    scheme = _SCHEME.match(path)
    return _scheme_problem(scheme[1]) if scheme else None


def _scheme_problem(scheme: str) -> str:
    if scheme.lower() in {"models", "runs", "file"}:
        return f"'{scheme.lower()}:' is written in lower case, and is not the path of a folder"
    return f"{scheme!r} is not a known scheme; the folder of that name is ./{scheme}:…"


_CHECKS: Final[dict[str, Callable[..., object]]] = {
    "name": check_name,
    "version": check_version,
    "alias": check_alias,
    "run_id": check_run_id,
    "path": str,
}
