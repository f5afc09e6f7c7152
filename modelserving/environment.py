"""The environment a model was made in: versions recorded, compared, and written down for pip and conda."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

import yaml

from modelserving.errors import RequirementError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

PYTHON: Final = "python"
"""The name under which the version of Python itself is recorded."""

_OURS: Final = "modelserving"
_LONGEST_REQUIREMENT: Final = 500
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_CLAUSE = r"(?:===|==|~=|!=|<=|>=|<|>) *[A-Za-z0-9.*+!_-]+"
_COMPARISON = r"""[a-z_]+ *(?:==|!=|<=|>=|<|>|~=| in | not in ) *(?:'[A-Za-z0-9 ._-]*'|"[A-Za-z0-9 ._-]*")"""
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})"
    rf" *(?:\[ *{_NAME}(?: *, *{_NAME})* *\])?"
    rf"(?: *{_CLAUSE}(?: *, *{_CLAUSE})*)?"
    rf"(?: *; *{_COMPARISON}(?: +(?:and|or) +{_COMPARISON})*)?"
)
_PIN = re.compile(rf"\s*({_NAME})\s*(?:\[[^\]\n]*\])?\s*={{2,3}}\s*([A-Za-z0-9.+!_-]+)\s*(?:[;#].*)?")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A package that is not what it was when the model was made; ``str()`` of it is a warning.

    Attributes:
        package: The distribution, or ``python``.
        recorded: Its version then.
        installed: Its version now, None when it is not installed.

    Example:
        >>> print(Mismatch("scikit-learn", "1.4.2", "1.5.0"))
        the model was made with scikit-learn 1.4.2, installed is 1.5.0; run: pip install 'scikit-learn==1.4.2'
    """

    package: str
    recorded: str
    installed: str | None

    def __str__(self) -> str:
        now = f"installed is {self.installed}" if self.installed else "which is not installed"
        remedy = f"run: pip install '{self.package}=={_public(self.recorded)}'"
        if self.package == PYTHON:
            remedy = f"use Python {_minor(self.recorded)}"
        return f"the model was made with {self.package} {self.recorded}, {now}; {remedy}"


def installed(distributions: Iterable[str]) -> dict[str, str]:
    """The versions of those distributions that are installed.

    Args:
        distributions: Names as pip knows them; ``python`` stands for Python itself.

    Returns:
        Name as given → version, sorted by name; what is not installed is left out.
    """
    found = {name: _version(name) for name in sorted(set(distributions))}
    return {name: version for name, version in found.items() if version is not None}


def mismatches(recorded: Mapping[str, str]) -> list[Mismatch]:
    """What differs between a recorded environment and this one.

    Labels of a build (``2.3.0+cpu``) and the patch release of Python make no difference.

    Args:
        recorded: What :func:`installed` returned when the model was made.

    Returns:
        One a package that differs or is missing, sorted by name.
    """
    found = [Mismatch(name, version, _version(name)) for name, version in sorted(recorded.items())]
    return [each for each in found if not _same(each)]


def pin(distributions: Iterable[str]) -> list[str]:
    """One requirement a distribution, ``name==version``, sorted by name.

    Labels of a build are left out, since no index has them. What is not installed stands there without a
    version.
    """
    names = sorted(set(distributions))
    versions = installed(names)
    return [f"{name}=={_public(versions[name])}" if name in versions else name for name in names]


def pinned(requirements: str) -> dict[str, str]:
    r"""The exact versions that a requirements file names; other lines are passed over, nothing is run.

    Args:
        requirements: The text of a ``requirements.txt``, of any origin.

    Returns:
        Name → version, as :func:`mismatches` takes it.

    Example:
        >>> pinned("mlflow==3.17.2\nscikit-learn\n-r /etc/passwd")
        {'mlflow': '3.17.2'}
    """
    return {match[1]: match[2] for line in requirements.splitlines() if (match := _PIN.fullmatch(line))}


def check_requirement(requirement: str) -> str:
    """The requirement, if it is a name, perhaps with extras, versions and a marker, and nothing else.

    It ends up in files that pip and conda read. So options (``-r …``), line breaks, addresses and paths are
    refused.

    Raises:
        RequirementError: It is not.

    Example:
        >>> check_requirement("scikit-learn[alldeps]>=1.4,<2")
        'scikit-learn[alldeps]>=1.4,<2'
    """
    if len(requirement) <= _LONGEST_REQUIREMENT and _REQUIREMENT.fullmatch(requirement):
        return requirement
    raise RequirementError(requirement, _requirement_problem(requirement))


def write_environment(folder: Path, requirements: Sequence[str]) -> None:
    """Write ``requirements.txt``, ``python_env.yaml`` and ``conda.yaml`` into a folder, as MLflow does.

    Args:
        folder: The model's folder.
        requirements: Lines such as :func:`pin` gives. This package goes before them, unless it is among them.

    Raises:
        RequirementError: A line is no requirement; nothing is written then.
        OSError: The folder cannot be written.
    """
    lines = [check_requirement(line) for line in requirements]
    if not any(_distribution(line) == _OURS for line in lines):
        lines = [*pin([_OURS]), *lines]
    python = platform.python_version()
    python_env = {
        "python": python,
        "build_dependencies": pin(["pip", "setuptools", "wheel"]),
        "dependencies": ["-r requirements.txt"],
    }
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", *pin(["pip"]), {"pip": lines}],
        "name": "modelserving-env",
    }
    _write(folder / "requirements.txt", "".join(f"{line}\n" for line in lines))
    _write(folder / "python_env.yaml", yaml.safe_dump(python_env, sort_keys=False))
    _write(folder / "conda.yaml", yaml.safe_dump(conda, sort_keys=False))


def _write(file: Path, text: str) -> None:
    file.write_bytes(text.encode())


def _version(distribution: str) -> str | None:
    if distribution == PYTHON:
        return platform.python_version()
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _same(each: Mismatch) -> bool:
    if each.installed is None:
        return False
    if each.package == PYTHON:
        return _minor(each.recorded) == _minor(each.installed)
    return _public(each.recorded) == _public(each.installed)


def _public(version: str) -> str:
    """The version without the label of its build."""
    return version.partition("+")[0]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _distribution(requirement: str) -> str:
    """The name in a requirement, in the one spelling that package indexes compare."""
    match = _REQUIREMENT.fullmatch(requirement)
    return re.sub(r"[-_.]+", "-", match["name"]).lower() if match else ""


def _requirement_problem(requirement: str) -> str:
    if len(requirement) > _LONGEST_REQUIREMENT:
        return f"it is longer than {_LONGEST_REQUIREMENT} characters"
    if "\n" in requirement or "\r" in requirement:
        return "it holds a line break"
    if requirement.lstrip().startswith("-"):
        return "it is an option of pip"
    if "@" in requirement or "://" in requirement or "/" in requirement:
        return "it holds an address or a path"
    return "it is not a name with versions"
