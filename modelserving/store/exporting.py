"""Writing versions out of a store, and taking them into another."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from modelserving.errors import DamagedModelError, StoreError
from modelserving.store import _fsops, sidecars
from modelserving.store._failures import translated
from modelserving.store.exported import ExportedStore
from modelserving.store.layout import EXPORT, write_format
from modelserving.store.tables import MODELS, VERSIONS, Row, Table
from modelserving.store.trees import hexadecimal
from modelserving.trust.manifest import scan
from modelserving.uri import ModelURI

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelserving.store.local import LocalStore
    from modelserving.store.reading import LocalReader
    from modelserving.store.records import Located, Version

_CHUNK = 1 << 20


def export(store: LocalReader, target: Path, uris: Sequence[ModelURI]) -> Path:
    """Write the versions that ``uris`` name to the new folder or ``.tar`` file ``target``; its full path."""
    target = target.absolute()
    if target.exists():
        raise StoreError(f"{str(target)!r} exists; name a new folder or file")
    located = [store.locate(uri) for uri in uris]
    models, versions = store.rows((str(one.name), int(one.version or 0)) for one in located)
    aside = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    with translated(target.parent):
        _fsops.mkdir(aside)
        try:
            written = _write(
                located, [(MODELS, row) for row in models] + [(VERSIONS, row) for row in versions], aside
            )
            if target.suffix == ".tar":
                from modelserving.store import archive

                archive.pack(written, aside / "export.tar")
                written = aside / "export.tar"
            if target.exists():  # somebody made it meanwhile
                raise StoreError(f"{str(target)!r} exists; name a new folder or file")
            _fsops.rename(written, target)
            _fsops.sync(target.parent)
        finally:
            _fsops.remove_tree(aside)
    return target


def _write(located: Sequence[Located], rows: Sequence[tuple[Table, Row]], aside: Path) -> Path:
    """The export as a folder in ``aside``; the ``FORMAT`` file last."""
    folder = aside / "export"
    for name in ("", "trees", "manifests", "models"):
        _fsops.mkdir(folder / name, 0o755)
    for one in {one.digest: one for one in located}.values():
        _copy_model(one, folder / "trees" / hexadecimal(one.digest))
        manifest = folder / "manifests" / f"{hexadecimal(one.digest)}.json"
        _fsops.write_new(manifest, [one.manifest.to_bytes()], 0o444)
    for table, row in rows:
        file = sidecars.path(folder, table, row)
        file.parent.mkdir(parents=True, exist_ok=True)
        _fsops.write_new(file, [sidecars.encode(table, row)], 0o444)
    write_format(folder, EXPORT, aside)
    return folder


def take_in(store: LocalStore, source: Path) -> list[Version]:
    """Register every version of an export in ``store``, each as the next of its name.

    A version whose bytes the model of that name has already is not taken twice. An alias is set where the
    store has none of that name.
    """
    exported = ExportedStore(source)
    try:
        found = []
        run = None
        for name in exported.names():
            given = exported.model(name)
            for number in exported.numbers(name):
                version = exported.version(name, number)
                if store.search(digest=version.digest, name=name).items:
                    continue
                run = run or store.create_run(f"import of {source.name}")
                aliases = [alias for alias, target in given.aliases.items() if target == number]
                found.append(_take_version(store, exported, version, run.run_id, aliases))
        if run is not None:
            store.finish_run(run.run_id)
        return found
    finally:
        exported.close()


def _take_version(
    store: LocalStore, exported: ExportedStore, version: Version, run_id: str, aliases: Sequence[str]
) -> Version:
    located = exported.locate(ModelURI("version", name=version.name, version=version.version))
    taken = store.models(name=version.name)
    known = next((model.aliases for model in taken if model.name == version.name), {})
    with store.stage() as folder, translated(store.root):
        _copy_model(located, folder)
        _, kept = store.log_model(
            folder,
            located.artifact or "model",
            run_id=run_id,
            registered_model_name=version.name,
            tags=version.tags,
            description=version.description,
            aliases=[alias for alias in aliases if alias not in known],
        )
    if kept is None:
        raise AssertionError
    return kept


def _copy_model(located: Located, target: Path) -> None:
    """Copy exactly the files of the manifest, and check that they are what it says.

    Raises:
        DamagedModelError: Naming the file that is not.
    """
    located.manifest.check(scan(located.folder))
    if not target.is_dir():
        _fsops.mkdir(target, 0o755)
    for entry in located.manifest.entries:
        file = target / entry.path
        file.parent.mkdir(parents=True, exist_ok=True)
        with (located.folder / entry.path).open("rb") as content:
            _fsops.write_new(file, iter(lambda: content.read(_CHUNK), b""), 0o444)
    try:
        located.manifest.check(scan(target))
    except DamagedModelError as error:
        raise DamagedModelError(str(located.folder / error.file), error.expected, error.actual) from error
