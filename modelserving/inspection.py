"""What a model is and what it could do, found out without loading it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelserving import discovery, environment
from modelserving.errors import ModelServingError
from modelserving.flavor import Config, Flavor, Tier
from modelserving.mlmodel import MLmodel
from modelserving.model import contents, find
from modelserving.store import Store
from modelserving.trust import pickles, policy, skops
from modelserving.trust.policy import Trust

NO_PROOF = "finding nothing proves nothing"
"""What is to be said beside every list of what a pickle would import."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model.

    Attributes:
        path: Below the model's folder.
        size: In bytes.
        imports: What the pickles in it would import, as far as can be seen without running them; of a skops
            file, the types that are not known to be data.
        complete: False where a limit or a malformed part ended that look, so that more may be in it.
    """

    path: str
    size: int
    imports: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """A model as it lies there. Nothing of it was imported, unpickled or run.

    Attributes:
        uri: What was asked for.
        digest: ``sha256:…`` of the whole folder.
        files: Every file.
        flavors: The names under ``flavors:``, sorted.
        flavor: The one that would load it, None when no installed flavor would.
        tier: What its files could do; None when that cannot be told.
        contents: What in it is code, "" for the other tiers.
        vouched_by: Who says yes to this digest, in words; None when nobody does.
        problem: Why it could not be loaded at all, "" where nothing is known.
        signature: What it takes and returns, in MLflow's words, None without.
        made_with: Distribution → its version when the model was made, as far as recorded.
        differs: A sentence for each of them that is another one here.
    """

    uri: str
    digest: str
    files: tuple[File, ...]
    flavors: tuple[str, ...]
    flavor: str | None
    tier: Tier | None
    contents: str
    vouched_by: str | None
    problem: str
    signature: Mapping[str, str] | None
    made_with: Mapping[str, str]
    differs: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many bytes the files hold together."""
        return sum(file.size for file in self.files)

    @property
    def loads(self) -> bool:
        """Whether trust stands in the way of nothing: it is not code, or somebody says yes."""
        return not self.problem and (self.tier in {"data", "native"} or self.vouched_by is not None)

    def to_dict(self) -> dict[str, object]:
        """JSON values, with ``size`` and ``loads``, and the remark that belongs to the imports."""
        files = [
            {"path": file.path, "size": file.size, "imports": list(file.imports), "complete": file.complete}
            for file in self.files
        ]
        plain: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return plain | {
            "files": files,
            "flavors": list(self.flavors),
            "signature": self.signature and dict(self.signature),
            "made_with": dict(self.made_with),
            "differs": list(self.differs),
            "size": self.size,
            "loads": self.loads,
            "imports_note": NO_PROOF,
        }


def inspect_model(
    uri: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | Store | None = None,
    flavor: str | None = None,
    trust: Trust = None,
    trusted_stores: Sequence[str] = (),
) -> Inspection:
    """What is inside a model, whoever made it: every byte is hashed, and nothing is loaded.

    Args:
        uri: A model URI or the path of a folder.
        store: A store or its location; ``MODELSERVING_STORE``, else ``./modelstore``, if None.
        flavor: Look at it as this one of its flavors would load it.
        trust: As for :func:`modelserving.load_model`, to see who would say yes.
        trusted_stores: As there.

    Raises:
        InvalidURIError: The URI cannot be read.
        StoreError: There is no such model, version, alias or run.
        MLmodelError: The folder has no MLmodel file, or one that does not say what it must.
        DamagedModelError: The files are not what was written, or not files.

    Example:
        >>> from modelserving import log_model
        >>> found = inspect_model(log_model(len, "length").model_uri)
        >>> found.flavor, found.tier, found.vouched_by
        ('python_function', 'code', 'you, on this machine')
    """
    text = os.fspath(uri)
    found = find(text, store=store)
    location, verified = found.location, found.verified
    metadata = MLmodel.read(verified.folder)
    chosen, config, tier, problem = _judged(metadata, verified.folder, flavor)
    recorded = _recorded(metadata, verified.folder)
    return Inspection(
        uri=text,
        digest=verified.digest,
        files=tuple(_file(verified.folder, each.path, each.size) for each in verified.manifest.entries),
        flavors=tuple(sorted(metadata.flavors)),
        flavor=chosen.name if chosen else None,
        tier=tier,
        contents=contents(chosen.name, config) if chosen and tier == "code" else "",
        vouched_by=policy.who_says_yes(
            verified.digest, trust=trust, store=location, trusted_stores=trusted_stores
        ),
        problem=problem,
        signature=_signature(metadata),
        made_with=recorded,
        differs=tuple(str(each) for each in environment.mismatches(recorded)),
    )


def _judged(
    metadata: MLmodel, folder: Path, asked: str | None
) -> tuple[Flavor | None, Config, Tier | None, str]:
    """The flavor that would load it, its entry, the tier, and what is in the way."""
    chosen: Flavor | None = None
    config: Config = {}
    try:
        chosen = discovery.flavor_to_load(metadata.flavors, asked, str(metadata.ours.get("written_by")))
        config = metadata.flavors[chosen.name]
        return chosen, config, chosen.tier(folder, config), ""
    except ModelServingError as error:
        return chosen, config, None, str(error)


def _file(folder: Path, path: str, size: int) -> File:
    report = pickles.imports(folder / path)
    if not report.complete and _is_prose(folder / path, report.names):
        return File(path, size, (), True)
    if path.endswith(".skops"):
        return File(path, size, tuple(sorted({*report.names, *_skops_types(folder / path)})), report.complete)
    return File(path, size, report.names, report.complete)


def _is_prose(path: Path, names: Sequence[str]) -> bool:
    """Whether a file that begins as a pickle may, as many words do, is text that names nothing importable."""
    with path.open("rb") as file:
        start = file.read(4096)
    text = not start.translate(None, bytes(range(32, 256)) + b"\t\n\r")
    return text and not any(all(part.isidentifier() for part in name.split(".")) for name in names)


def _skops_types(path: Path) -> list[str]:
    """The types in a skops file that are not known to be data."""
    try:
        return skops.types_in(path)
    except ModelServingError:  # no skops file, whatever it is called; the tier says so too
        return []


def _signature(metadata: MLmodel) -> dict[str, str] | None:
    signature = metadata.signature
    if signature is None:
        return None
    named = {"inputs": signature.inputs, "outputs": signature.outputs}
    found = {key: str(value) for key, value in named.items() if value is not None}
    return found | ({"params": ", ".join(map(str, signature.params))} if signature.params else {})


def _recorded(metadata: MLmodel, folder: Path) -> dict[str, str]:
    """The versions it was made with: recorded by us, else the exact ones in its requirements.txt."""
    ours = metadata.ours.get("environment")
    if isinstance(ours, Mapping):
        return {str(name): str(version) for name, version in sorted(ours.items())}
    try:
        return environment.pinned((folder / "requirements.txt").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
