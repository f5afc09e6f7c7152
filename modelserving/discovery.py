"""From names and objects to flavors, by way of entry points.

Every installed distribution can offer flavors in the entry-point group ``modelserving.flavors``; those of
this package come in by the same door. Nothing is imported before a flavor is asked for, and a flavor that is
broken spoils nothing but itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from modelserving.errors import (
    DuplicateFlavorError,
    FlavorError,
    FlavorLoadError,
    FlavorNotFoundError,
    NoFlavorError,
)
from modelserving.flavor import Flavor

GROUP = "modelserving.flavors"
LAST = "python_function"
"""The flavor that accepts almost anything: asked last when saving, taken last when loading."""

logger = logging.getLogger("modelserving")


@dataclass(frozen=True, slots=True)
class Offer:
    """One flavor that an installed distribution offers.

    Attributes:
        name: The flavor's name.
        package: The distribution.
        version: The distribution's version.
        entry_point: Where the class is.
    """

    name: str
    package: str
    version: str
    entry_point: EntryPoint


@cache
def offers() -> Mapping[str, tuple[Offer, ...]]:
    """What every installed distribution offers, by flavor name, sorted; more than one offer is a conflict.

    Example:
        >>> "sklearn" in offers()
        True
    """
    found: dict[str, dict[str, Offer]] = {}
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "unknown"
        # The same distribution twice on the path (an editable install beside a wheel) is not a conflict.
        found.setdefault(entry.name, {}).setdefault(package, Offer(entry.name, package, version, entry))
    return {name: tuple(found[name].values()) for name in sorted(found)}


@cache
def flavor(name: str) -> Flavor:
    """The installed flavor of this name, made with its default options.

    Raises:
        FlavorNotFoundError: No installed package offers it.
        DuplicateFlavorError: Two packages offer it.
        FlavorLoadError: It cannot be imported, or is not a flavor.

    Example:
        >>> flavor("python_function").name
        'python_function'
    """
    candidates = offers().get(name, ())
    if not candidates:
        raise FlavorNotFoundError([name], list(offers()))
    if len(candidates) > 1:
        raise DuplicateFlavorError(name, [offer.package for offer in candidates])
    offer = candidates[0]
    try:
        made: object = offer.entry_point.load()()
    except Exception as error:  # a stranger's code may raise anything
        reason = f"{offer.entry_point.value} raised {type(error).__name__}: {error}; repair or uninstall it"
        raise FlavorLoadError(name, offer.package, reason) from error
    if not isinstance(made, Flavor):
        missing = [each for each in _MEMBERS if not hasattr(made, each)]
        raise FlavorLoadError(name, offer.package, f"{offer.entry_point.value} lacks {', '.join(missing)}")
    if made.name != name:
        reason = f"it calls itself {made.name!r}; its entry point must have the same name"
        raise FlavorLoadError(name, offer.package, reason)
    return made


_MEMBERS = ("name", "framework", "requires", "accepts", "save", "tier", "load", "traits", "predict")


def flavor_to_save(model: object, asked: str | Flavor | None = None) -> Flavor:
    """The flavor that saves ``model``.

    Without a wish it is, of those that accept the model, the one whose framework owns the earliest class in
    the model's method resolution order: ``xgboost`` rather than ``sklearn`` for an ``XGBClassifier``.

    Args:
        model: Any object.
        asked: A flavor, or the name of an installed one.

    Raises:
        NoFlavorError: No installed flavor accepts it, or the one asked for does not.
        FlavorError: The one asked for cannot be used.
    """
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if asked is not None:
        chosen = flavor(asked) if isinstance(asked, str) else asked
        if not chosen.accepts(model):
            raise NoFlavorError(kind, list(offers()), asked=chosen.name)
        return chosen
    accepting = [each for each in _usable(offers()) if each.accepts(model)]
    if not accepting:
        raise NoFlavorError(kind, list(offers()))
    owners = [owner.__module__.partition(".")[0] for owner in type(model).__mro__]

    def rank(each: Flavor) -> tuple[bool, int]:
        return each.name == LAST, owners.index(each.framework) if each.framework in owners else len(owners)

    return min(accepting, key=rank)


def flavor_to_load(
    recorded: Iterable[str], asked: str | None = None, written_by: str | None = None
) -> Flavor:
    """The flavor that loads a model with these entries under ``flavors:``.

    It is the one asked for, else the one that wrote the model, else the first installed one other than
    ``python_function``, else ``python_function``.

    Args:
        recorded: The names in the MLmodel file.
        asked: The name of the one that is wanted.
        written_by: The name recorded by the writer.

    Raises:
        FlavorNotFoundError: None of them is installed, or the model has no entry for the one asked for.
        FlavorError: The one chosen cannot be used.
    """
    names = sorted(recorded, key=lambda name: (name == LAST, name))
    if asked is not None:
        if asked not in names:
            raise FlavorNotFoundError([asked], names, of_model=True)
        return flavor(asked)
    preferred = [written_by, *names] if written_by in names else names
    for name in preferred:
        if name is not None and name in offers():
            return flavor(name)
    raise FlavorNotFoundError(names, list(offers()))


def missing(name: str) -> list[str]:
    """The distributions that this installed flavor needs and that are not installed, sorted."""

    def is_missing(distribution: str) -> bool:
        try:
            return not version(distribution)
        except PackageNotFoundError:
            return True

    return sorted(filter(is_missing, flavor(name).requires))


def _usable(names: Iterable[str]) -> Iterable[Flavor]:
    for name in names:
        try:
            yield flavor(name)
        except FlavorError as error:
            logger.warning("passed over: %s", error)
