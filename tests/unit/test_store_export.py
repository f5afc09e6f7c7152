"""What export writes is read without SQLite, and what import takes in is looked at first."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile

import pytest

from modelserving.errors import (
    AliasNotFoundError,
    DamagedModelError,
    DamagedStoreError,
    ModelNotFoundError,
    RunNotFoundError,
    StoreError,
    VersionNotFoundError,
)
from modelserving.store import ExportedStore, LocalStore, archive, open_store
from modelserving.trust.manifest import scan
from modelserving.uri import ModelURI


def log(store, content, name="iris", **options):
    run = store.create_run()
    with store.stage() as folder:
        (folder / "MLmodel").write_text(content)
        (folder / "data").mkdir()
        (folder / "data" / "weights.bin").write_bytes(bytes(1000))
        return store.log_model(folder, "m", run_id=run.run_id, registered_model_name=name, **options)


def uris(*texts):
    return [ModelURI.parse(f"models:/{text}") for text in texts]


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "store")
    log(made, "one", aliases=["old"])
    log(made, "two", aliases=["champion"], tags={"quality": "good"}, description="the best")
    log(made, "three")
    log(made, "red", name="wine")
    yield made
    made.close()


@pytest.fixture(params=["folder", "archive.tar"])
def exported(request, store, tmp_path):
    target = store.export(tmp_path / request.param, uris("iris@champion", "iris/3", "wine/latest"))
    opened = open_store(target)
    yield opened
    opened.close()


def test_an_export_answers_as_the_store_does_for_what_is_in_it(exported, store):
    assert isinstance(exported, ExportedStore)
    assert [model.name for model in exported.models()] == ["iris", "wine"]
    assert [model.name for model in exported.models(name="w")] == ["wine"]
    assert exported.model("iris").aliases == {"champion": 2}
    assert exported.model("iris").latest == 3
    assert exported.version("iris", 2) == store.version("iris", 2)
    assert list(exported.versions("iris")) == list(store.versions("iris", limit=2))
    assert [version.name for version in exported.search(tags={"quality": "good"})] == ["iris"]
    for uri in uris("iris/2", "iris@champion", "iris/latest", "wine/1"):
        here, there = exported.locate(uri), store.locate(uri)
        assert (here.digest, here.version, here.alias, here.artifact) == (
            there.digest,
            there.version,
            there.alias,
            "m",
        )
        assert here.manifest == scan(here.folder)


def test_an_export_pages_its_listings(exported):
    first = exported.models(limit=1)
    newest = exported.versions("iris", limit=1)
    found = exported.search(limit=2)

    assert [model.name for model in exported.models(page=first.next)] == ["wine"]
    assert [version.version for version in exported.versions("iris", page=newest.next)] == [2]
    assert [(version.name, version.version) for version in exported.search(page=found.next)] == [("wine", 1)]


def test_an_export_says_what_is_not_in_it(exported):
    with pytest.raises(VersionNotFoundError, match="no version 1; versions: 2, 3"):
        exported.version("iris", 1)
    with pytest.raises(AliasNotFoundError):
        exported.locate(*uris("iris@old"))
    with pytest.raises(ModelNotFoundError, match="there: 'iris', 'wine'"):
        exported.model("beer")
    with pytest.raises(RunNotFoundError):
        exported.locate(ModelURI.parse(f"runs:/{'0' * 32}/m"))


def test_an_export_cannot_be_changed(exported):
    for change in (exported.create_run, lambda: exported.set_alias("iris", "a", 2), exported.gc):
        with pytest.raises(StoreError, match="is read-only; import it into a store"):
            change()


def test_an_export_is_read_without_sqlite_and_without_writing(store, tmp_path, monkeypatch):
    target = store.export(tmp_path / "out", uris("iris/1"))
    before = sorted((str(path), path.stat().st_mtime_ns) for path in target.rglob("*"))
    monkeypatch.setattr(sqlite3, "connect", None)

    assert open_store(target).locate(*uris("iris/1")).version == 1
    assert sorted((str(path), path.stat().st_mtime_ns) for path in target.rglob("*")) == before


def test_an_archive_is_the_same_bytes_for_the_same_versions(store, tmp_path):
    one = store.export(tmp_path / "one.tar", uris("iris/1", "wine/1"))
    two = store.export(tmp_path / "two.tar", uris("wine/1", "iris/1"))

    assert one.read_bytes() == two.read_bytes()


def test_an_export_replaces_nothing_and_a_failed_one_leaves_nothing(store, tmp_path):
    (tmp_path / "there").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())

    with pytest.raises(StoreError, match="exists; name a new folder or file"):
        store.export(tmp_path / "there", uris("iris/1"))
    with pytest.raises(VersionNotFoundError):
        store.export(tmp_path / "new", uris("iris/9"))
    file = store.locate(*uris("iris/1")).folder / "MLmodel"
    file.chmod(0o600)
    file.write_text("evil")
    with pytest.raises(DamagedModelError, match="MLmodel"):
        store.export(tmp_path / "new", uris("iris/1"))

    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_import_registers_each_version_once(exported, store, tmp_path):
    other = LocalStore(tmp_path / "other")
    log(other, "mine", aliases=["champion"])

    taken = other.import_(exported.location)

    assert [(version.name, version.version) for version in taken] == [("iris", 2), ("iris", 3), ("wine", 1)]
    assert other.version("iris", 2).digest == store.version("iris", 2).digest
    assert (other.version("iris", 2).tags, other.version("iris", 2).description) == (
        {"quality": "good"},
        "the best",
    )
    assert other.model("iris").aliases == {"champion": 1}  # what was set here stays
    assert other.import_(exported.location) == []
    assert other.doctor() == ()
    other.close()


@pytest.mark.parametrize("damage", ["MLmodel", "manifest", "sidecar", "FORMAT"])
def test_an_export_that_was_changed_is_not_taken_in(store, tmp_path, damage):
    target = store.export(tmp_path / "out", uris("iris/1"))
    digest = store.version("iris", 1).digest.removeprefix("sha256:")
    file = {
        "MLmodel": target / "trees" / digest / "MLmodel",
        "manifest": target / "manifests" / f"{digest}.json",
        "sidecar": target / "models" / "iris" / "versions" / "1.json",
        "FORMAT": target / "FORMAT",
    }[damage]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"o", b"0", 1).replace(b"a", b"b", 1))

    other = LocalStore(tmp_path / "other")
    with pytest.raises((DamagedModelError, DamagedStoreError), match=file.name):
        other.import_(target)
    assert len(other.models()) == 0
    other.close()


def test_what_is_no_export_is_refused(tmp_path, store):
    (tmp_path / "letter.txt").write_text("dear")

    for place in (tmp_path / "letter.txt", tmp_path, store.root):
        with pytest.raises(StoreError):
            ExportedStore(place)


def member(name, content=b"x", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


HOSTILE = {
    "absolute": [member("/etc/evil")],
    "parent": [member("../evil")],
    "parent inside": [member("a/../../evil")],
    "backslash": [member("a\\..\\evil")],
    "device name": [member("NUL.txt")],
    "control character": [member("a\nb")],
    "symlink": [member("link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")],
    "symlink, then a file through it": [
        member("d", b"", type=tarfile.SYMTYPE, linkname="/tmp"),
        member("d/evil"),
    ],
    "hard link": [member("a"), member("link", b"", type=tarfile.LNKTYPE, linkname="a")],
    "hard link out": [member("link", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
    "FIFO": [member("fifo", b"", type=tarfile.FIFOTYPE)],
    "device": [member("zero", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5)],
    "twice": [member("a"), member("a")],
    "twice but for case": [member("a"), member("A")],
    "a file as a folder": [member("a"), member("a/b")],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_is_written_outside(tmp_path, case):
    path = tmp_path / "in.tar"
    with tarfile.open(path, "w") as tar:
        for info, content in HOSTILE[case]:
            tar.addfile(info, io.BytesIO(content))
    store = LocalStore(tmp_path / "store")

    with pytest.raises(StoreError):
        store.import_(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in.tar"]


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_compressed_archive_is_not_inflated(tmp_path, suffix):
    path = tmp_path / f"in.tar.{suffix}"
    with tarfile.open(path, f"w:{suffix}") as tar:
        tar.addfile(
            *[item if isinstance(item, tarfile.TarInfo) else io.BytesIO(item) for item in member("FORMAT")]
        )

    with pytest.raises(StoreError, match="cannot unpack"):
        open_store(path)


def test_an_archive_that_is_cut_off_anywhere_is_refused(store, tmp_path):
    whole = store.export(tmp_path / "whole.tar", uris("iris/1")).read_bytes()
    cut = tmp_path / "cut.tar"

    for length in range(0, len(whole) - 10_240, 512):
        cut.write_bytes(whole[: length + 100])
        with pytest.raises((StoreError, DamagedModelError)):
            LocalStore(tmp_path / "other").import_(cut)


def test_an_archive_with_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = tmp_path / "in.tar"
    with tarfile.open(path, "w") as tar:
        for n in range(4):
            tar.addfile(
                *[item if isinstance(item, tarfile.TarInfo) else io.BytesIO(item) for item in member(f"f{n}")]
            )

    with pytest.raises(StoreError, match="more than an export may"):
        open_store(path)


def test_what_an_archive_is_unpacked_to_is_private_and_goes_when_it_is_closed(store, tmp_path):
    opened = ExportedStore(store.export(tmp_path / "out.tar", uris("iris/1")))

    assert opened.root.stat().st_mode & 0o777 == 0o700
    opened.close()
    assert not opened.root.exists()


def test_the_sidecars_of_an_export_are_json_that_people_can_read(store, tmp_path):
    target = store.export(tmp_path / "out", uris("iris/2"))

    says = json.loads((target / "models" / "iris" / "versions" / "2.json").read_text())
    assert (says["kind"], says["name"], says["tags"]) == ("versions", "iris", {"quality": "good"})
