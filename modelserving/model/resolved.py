"""The way to a model: from a URI to verified bytes, to leave to load them, to the loaded model.

``resolve`` finds a model, checks every byte of it and asks for trust; it builds no object and imports no
framework. ``Resolved.load`` does, and gives a ``Model``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelserving import canary, discovery, environment, golden
from modelserving.errors import MLmodelError
from modelserving.mlmodel import MLmodel
from modelserving.model.loaded import Model
from modelserving.store import Store, open_store
from modelserving.trust import policy
from modelserving.trust.policy import Trust, Verified
from modelserving.uri import ModelURI

if TYPE_CHECKING:
    from modelserving.flavor import Config, Flavor, Grant
    from modelserving.signature.schema import Signature
    from modelserving.store.records import Located

_EXTERNAL = "mlflow.model.isExternal"  # MLflow refuses these as well
_LONGEST = 1 << 16
"""Bytes of a requirements.txt that are looked at."""

logger = logging.getLogger("modelserving")


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a model, checked; where they are, if it is in a store.

    Attributes:
        verified: The files.
        located: What the store knows of them; None for a folder.
        store: The store; an archive is unpacked only as long as it is there.
    """

    verified: Verified
    located: Located | None = None
    store: Store | None = None

    @property
    def location(self) -> str | None:
        """Where the store is, as it was named; None for a folder."""
        return None if self.store is None else str(self.store.location)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model that was found, verified and trusted, and can be loaded.

    Attributes:
        uri: What was asked for.
        name: The registered name, else the name it was logged under, else that of its folder.
        version: The registered version, None when it was not asked for as one.
        alias: The alias it was asked for by.
        digest: ``sha256:…`` of the whole folder.
        metadata: What its MLmodel file says.
        flavor: The flavor that will load it.
        verified: Its folder, every byte of it checked.
        grant: Leave to load it.
        store: The store it is in, kept open for as long as its files may be read.
    """

    uri: str
    name: str
    version: int | None
    alias: str | None
    digest: str
    metadata: MLmodel
    flavor: Flavor
    verified: Verified
    grant: Grant
    store: Store | None = None

    @property
    def signature(self) -> Signature | None:
        """What the model takes and returns; None when it was logged without."""
        return self.metadata.signature

    @property
    def flavor_name(self) -> str:
        """The name of the flavor that will load it."""
        return self.flavor.name

    @property
    def config(self) -> Config:
        """The entry of the chosen flavor in the MLmodel file."""
        return self.metadata.flavors[self.flavor.name]

    def example_request(self) -> bytes | None:
        """The body of a request that asks the input example; None if the model was saved without one."""
        from modelserving.example import serving_request

        info = self.metadata.saved_input_example_info
        return None if info is None else serving_request(self.verified.folder, info)

    def load(self, *, verify: bool = False) -> Model:
        """The model, loaded by its flavor. Packages of other versions than it was made with are one warning.

        Args:
            verify: Ask it its input example, and compare with what it answered when it was logged.

        Raises:
            UntrustedModelError: Native code would read it, nobody vouches for it, and it failed in a child.
            GoldenRowsError: It answers differently.
            FlavorLoadError: The files are not what the MLmodel file says.
            MissingDependencyError: The framework is not installed.
            DamagedModelError: A file was changed while it was loaded.
        """
        canary.check(self)
        self._compare_environment()
        try:
            native = self.flavor.load(self.grant.folder, self.config, grant=self.grant)
        finally:  # whatever a file that was swapped led to, that it was swapped is what to say
            self.verified.check_unchanged()
        model = Model(self, native)
        if verify:
            golden.check(self.verified.folder, self.metadata, model.predict, model=self.name)
        return model

    def _compare_environment(self) -> None:
        """Warn of packages of other versions than recorded; MLflow records them as requirements."""
        recorded = self.metadata.ours.get("environment")
        if not isinstance(recorded, Mapping):
            requirements = self.verified.folder / "requirements.txt"
            text = (
                requirements.read_bytes()[:_LONGEST].decode(errors="replace")
                if requirements.is_file()
                else ""
            )
            pinned = environment.pinned(text)
            recorded = {name: pinned[name] for name in self.flavor.requires if name in pinned}
        found = environment.mismatches(recorded)
        if found:
            logger.warning("model %r may answer differently: %s", self.name, "; ".join(map(str, found)))


def resolve(
    uri: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | Store | None = None,
    flavor: str | None = None,
    trust: Trust = None,
    trusted_stores: Sequence[str] = (),
    prefer_twin: bool = False,
) -> Resolved:
    """Find a model, verify every byte of it, and make sure that it may be loaded.

    Args:
        uri: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``models:/NAME/latest``, ``runs:/RUN_ID/NAME``
            or the path of a folder with an MLmodel file.
        store: A store or its location; ``MODELSERVING_STORE``, else ``./modelstore``, if None.
        flavor: Load it as this one of its flavors.
        trust: Digests to trust, or ``"code"`` for whatever this call loads.
        trusted_stores: Locations of stores whose writers are trusted.
        prefer_twin: Load its proved ONNX twin if it has one that can run here and ``flavor`` names no other.

    Raises:
        InvalidURIError: The URI cannot be read.
        StoreError: There is no such model, version, alias or run.
        MLmodelError: The folder has no MLmodel file, or one that does not say what it must.
        DamagedModelError: The files are not what was written.
        FlavorError: No installed flavor loads it.
        UntrustedModelError: Loading it would run code that nobody vouched for.

    Example:
        >>> from modelserving import log_model
        >>> resolve(log_model(len, "length").model_uri).flavor.name
        'python_function'
    """
    text = os.fspath(uri)
    found = find(text, store=store)
    located, verified = found.located, found.verified
    metadata = MLmodel.read(verified.folder)
    if (metadata.metadata or {}).get(_EXTERNAL) is True:
        reason = "the model's files are kept elsewhere, not in this folder; log the model with its files"
        raise MLmodelError(reason, text, f"metadata.{_EXTERNAL}")
    if flavor is None and prefer_twin:
        flavor = _twin(metadata)
    chosen = discovery.flavor_to_load(metadata.flavors, flavor, _text(metadata.ours.get("written_by")))
    config = metadata.flavors[chosen.name]
    grant = policy.grant(
        verified,
        chosen.tier(verified.folder, config),
        model=text,
        reason=contents(chosen.name, config),
        trust=trust,
        store=found.location,
        trusted_stores=trusted_stores,
    )
    name = (located and (located.name or located.artifact)) or Path(text).name
    return Resolved(
        uri=text,
        name=name,
        version=located.version if located else None,
        alias=located.alias if located else None,
        digest=verified.digest,
        metadata=metadata,
        flavor=chosen,
        verified=verified,
        grant=grant,
        store=found.store,
    )


def find(uri: str, *, store: str | os.PathLike[str] | Store | None = None) -> Found:
    """The files of a model, every byte checked; nobody has been asked for trust, and nothing is opened."""
    asked = ModelURI.parse(uri)
    if asked.kind == "path":
        return Found(_opened(Path(str(asked.path))))
    opened = open_store(store)
    located = opened.locate(asked)
    return Found(policy.open_folder(located.folder, located.manifest), located, opened)


def load_written(folder: Path, written: MLmodel, flavor: Flavor) -> Model:
    """The model in a folder that this process has just written, and that nobody else sees yet.

    Args:
        folder: The folder; its MLmodel file need not be there yet.
        written: What that file will say.
        flavor: Which of its flavors to load.
    """
    config = written.flavors[flavor.name]
    verified = policy.open_folder(folder)
    tier = flavor.tier(folder, config)
    grant = policy.grant(verified, tier, model=str(folder), reason=flavor.name, trust="code")
    name = written.artifact_path or folder.name
    resolved = Resolved(str(folder), name, None, None, verified.digest, written, flavor, verified, grant)
    return Model(resolved, flavor.load(folder, config, grant=grant))


def load_model(
    uri: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | Store | None = None,
    flavor: str | None = None,
    trust: Trust = None,
    trusted_stores: Sequence[str] = (),
    verify: bool = False,
) -> Model:
    """The model that a URI names, ready to be asked.

    Takes the arguments of :func:`resolve` and of :meth:`Resolved.load`, and raises their errors.

    Example:
        >>> from modelserving import log_model
        >>> info = log_model(len, "length", registered_model_name="Length")
        >>> load_model("models:/Length/latest").predict("abc")
        3
    """
    found = resolve(uri, store=store, flavor=flavor, trust=trust, trusted_stores=trusted_stores)
    return found.load(verify=verify)


def _opened(folder: Path) -> Verified:
    if not folder.is_dir():
        raise MLmodelError("no such folder; give the folder of a saved model", str(folder))
    return policy.open_folder(folder)


def _twin(metadata: MLmodel) -> str | None:
    """The flavor of a model's proved twin, None if it has none or what runs it is not installed."""
    twin = metadata.ours.get("twin")
    name = twin.get("flavor") if isinstance(twin, Mapping) else None
    if not isinstance(name, str) or name not in metadata.flavors or name not in discovery.offers():
        return None
    if missing := discovery.missing(name):
        logger.info("without its compiled twin: %s is not installed", missing[0])
        return None
    return name


def contents(flavor: str, config: Config) -> str:
    """What in a model is code, in words: ``Python code (python_model.pkl, cloudpickle)``."""
    keys = ("python_model", "pickled_model", "model_code_path", "model_data", "data", "code", "loader_module")
    file = next((Path(str(config[key])).name for key in keys if config.get(key)), flavor)
    kind = config.get("serialization_format") or (
        "cloudpickle" if "cloudpickle_version" in config else flavor
    )
    return f"Python code ({file}, {kind})"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
