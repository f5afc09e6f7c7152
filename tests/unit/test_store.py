"""What LocalStore keeps, and what it refuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from modelserving.errors import (
    AliasMovedError,
    AliasNotFoundError,
    DamagedModelError,
    InvalidURIError,
    ModelNotFoundError,
    NameTakenError,
    RunNotFoundError,
    StoreError,
    VersionNotFoundError,
)
from modelserving.store import LocalStore, open_store
from modelserving.trust.manifest import scan
from modelserving.uri import ModelURI


def log(store, content="a model", *, name="m", registered="iris", run=None, **options):
    run_id = run or store.create_run().run_id
    with store.stage() as folder:
        (folder / "MLmodel").write_text(content)
        (folder / "data").mkdir()
        (folder / "data" / "weights.bin").write_bytes(bytes(range(256)))
        return store.log_model(folder, name, run_id=run_id, registered_model_name=registered, **options)


def locate(store, uri):
    return store.locate(ModelURI.parse(uri))


@pytest.fixture
def store(tmp_path):
    with_it = LocalStore(tmp_path / "store")
    yield with_it
    with_it.close()


def everything(root):
    return sorted((str(path.relative_to(root)), path.lstat().st_mtime_ns) for path in root.rglob("*"))


def test_what_was_logged_is_located_by_version_alias_latest_and_run(store):
    logged, version = log(store, aliases=["champion"])

    uris = ["models:/iris/1", "models:/iris@champion", "models:/iris/latest", f"runs:/{logged.run_id}/m"]
    found = [locate(store, uri) for uri in uris]

    assert {located.digest for located in found} == {version.digest}
    assert all(located.manifest == scan(located.folder) for located in found)
    assert [located.version for located in found] == [1, 1, 1, None]
    assert (found[1].name, found[1].alias, found[1].artifact, found[1].model_id) == (
        "iris",
        "champion",
        "m",
        logged.model_id,
    )


def test_versions_count_from_one_and_a_deleted_number_is_never_used_again(store):
    assert [log(store, str(n))[1].version for n in range(3)] == [1, 2, 3]

    store.delete_version("iris", 3)

    assert log(store)[1].version == 4
    with pytest.raises(VersionNotFoundError, match="no version 3; versions: 1, 2, 4"):
        store.version("iris", 3)


def test_latest_is_the_highest_version_that_is_there(store):
    for n in range(3):
        log(store, str(n))

    store.delete_version("iris", 3)

    assert locate(store, "models:/iris/latest").version == 2
    assert store.model("iris").latest == 2


def test_a_deleted_model_is_gone_and_goes_on_counting_when_it_is_registered_again(store):
    log(store, aliases=["champion"], tags={"a": "b"})
    log(store)
    store.set_tag("iris", "team", "blue")

    store.delete_model("iris")

    with pytest.raises(ModelNotFoundError):
        store.model("iris")
    assert len(store.models()) == 0
    assert len(store.search()) == 0
    assert log(store)[1].version == 3
    assert (store.model("iris").aliases, store.model("iris").tags) == ({}, {})


def test_a_logged_model_is_registered_under_any_number_of_names(store):
    logged, _ = log(store, registered=None)

    first = store.register("one", model_id=logged.model_id, tags={"stage": "no"}, description="the first")
    second = store.register("two", model_id=logged.model_id)

    assert (first.version, second.version, first.digest) == (1, 1, second.digest)
    assert store.version("one", 1) == first
    assert first.source == f"runs:/{logged.run_id}/m"


def test_the_last_model_logged_under_a_name_in_a_run_is_the_one_a_run_uri_means(store):
    run_id = store.create_run().run_id
    log(store, "old", run=run_id, registered=None)
    logged, _ = log(store, "new", run=run_id, registered=None)

    assert locate(store, f"runs:/{run_id}/m").digest == logged.digest
    assert store.logged(run_id, "m") == logged


def test_the_same_content_is_kept_once(store):
    digests = {log(store)[1].digest for _ in range(3)}

    assert [path.name for path in (store.root / "trees").iterdir()] == [digests.pop().removeprefix("sha256:")]


def test_a_run_ends_once_it_is_finished(store):
    run = store.create_run("monday", tags={"who": "me"})

    ended = store.finish_run(run.run_id, status="FAILED")

    assert (run.status, run.end_time, run.name, run.tags) == ("RUNNING", None, "monday", {"who": "me"})
    assert store.run(run.run_id) == ended
    assert ended.status == "FAILED"
    with pytest.raises(StoreError, match="cannot end as 'DONE'"):
        store.finish_run(run.run_id, status="DONE")


def test_an_alias_moves_only_from_where_it_is_expected(store):
    log(store)
    log(store, "2")

    store.set_alias("iris", "champion", 1, expected=None)
    store.set_alias("iris", "champion", 2, expected=1)
    with pytest.raises(AliasMovedError, match="expected it at 1, it is at 2"):
        store.set_alias("iris", "champion", 1, expected=1)
    with pytest.raises(AliasMovedError, match="expected it at None"):
        store.set_alias("iris", "champion", 1, expected=None)

    assert store.model("iris").aliases == {"champion": 2}


def test_an_alias_goes_with_its_version_or_when_it_is_deleted(store):
    log(store, aliases=["a", "b"])
    log(store, "2")
    store.set_alias("iris", "c", 2)

    store.delete_version("iris", 1)
    store.delete_alias("iris", "c")

    assert store.model("iris").aliases == {}
    with pytest.raises(AliasNotFoundError, match="no alias 'a'; aliases: none"):
        locate(store, "models:/iris@a")
    with pytest.raises(AliasNotFoundError):
        store.delete_alias("iris", "a")


def test_an_alias_cannot_point_to_what_is_not_there(store):
    log(store)

    with pytest.raises(VersionNotFoundError, match="no version 7; versions: 1"):
        store.set_alias("iris", "champion", 7)
    with pytest.raises(ModelNotFoundError, match="there: 'iris'"):
        store.set_alias("other", "champion", 1)


def test_tags_and_descriptions_of_models_and_versions_change(store):
    log(store, tags={"a": "1"}, description="first")

    store.set_tag("iris", "team", "blue")
    store.set_tag("iris", "b", "2", version=1)
    store.delete_tag("iris", "a", version=1)
    store.set_description("iris", "flowers")
    store.set_description("iris", "better", version=1)

    assert (store.model("iris").tags, store.model("iris").description) == ({"team": "blue"}, "flowers")
    assert (store.version("iris", 1).tags, store.version("iris", 1).description) == ({"b": "2"}, "better")


@pytest.mark.parametrize(
    "tags", [{"": "x"}, {"a": 1}, {"a\n": "x"}, {"a": "x" * 8001}, {"a": "\ud800"}, {1: "x"}]
)
def test_a_tag_that_is_no_short_text_is_refused(store, tags):
    with pytest.raises(StoreError):
        log(store, tags=tags)


def test_a_name_that_differs_in_case_only_is_taken(store):
    log(store, registered="Iris")

    with pytest.raises(NameTakenError, match="'iris' is taken by 'Iris'"):
        log(store, registered="iris")


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "..", ".hidden", "a\n", "é", "a" * 200])
def test_a_name_outside_the_grammar_is_refused(store, name):
    with pytest.raises(InvalidURIError):
        log(store, registered=name)


@pytest.mark.parametrize("alias", ["latest", "v1", "Champion", "1", "a\n", ""])
def test_an_alias_outside_the_grammar_is_refused(store, alias):
    log(store)

    with pytest.raises(InvalidURIError):
        store.set_alias("iris", alias, 1)


def test_a_refused_name_leaves_nothing_behind(store):
    run = store.create_run()
    with pytest.raises(InvalidURIError):
        log(store, registered="a/b", run=run.run_id)

    assert list((store.root / "trees").iterdir()) == []
    assert list((store.root / "tmp").iterdir()) == []


def test_only_what_was_staged_is_logged(store, tmp_path):
    run = store.create_run()

    with pytest.raises(StoreError, match=r"the folder that stage\(\) gives"):
        store.log_model(tmp_path, "m", run_id=run.run_id)


def test_a_link_in_a_model_is_refused(store):
    run = store.create_run()

    with store.stage() as folder:
        (folder / "MLmodel").symlink_to("/etc/passwd")
        with pytest.raises(DamagedModelError, match="symbolic link"):
            store.log_model(folder, "m", run_id=run.run_id, registered_model_name="iris")
    assert len(store.models()) == 0


def test_a_stage_that_is_not_logged_is_removed(store):
    with store.stage() as folder:
        (folder / "MLmodel").write_text("x")

    assert list((store.root / "tmp").iterdir()) == []


def test_an_unknown_run_is_not_found(store):
    with pytest.raises(RunNotFoundError):
        log(store, run="0" * 32)
    with pytest.raises(RunNotFoundError):
        locate(store, f"runs:/{'0' * 32}/m")
    run = store.create_run()
    with pytest.raises(ModelNotFoundError, match="no model named 'm' in the run"):
        locate(store, f"runs:/{run.run_id}/m")


def test_reading_a_store_that_does_not_exist_does_not_make_it(tmp_path):
    store = LocalStore(tmp_path / "none")

    for uri in ("models:/iris/1", "models:/iris/latest", "models:/iris@champion"):
        with pytest.raises(ModelNotFoundError, match=r"no model named 'iris' in the store .*; there: none"):
            locate(store, uri)
    assert (len(store.models()), len(store.search())) == (0, 0)
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_reading_writes_nothing(store):
    logged, _ = log(store, aliases=["champion"])
    before = everything(store.root)

    locate(store, "models:/iris@champion")
    locate(store, f"runs:/{logged.run_id}/m")
    store.models(), store.versions("iris"), store.search(tags={"a": "b"})

    assert everything(store.root) == before


def test_listings_come_in_pages(store):
    logged, _ = log(store, registered=None)
    for name in ("a", "b", "c"):
        for _ in range(3):
            store.register(name, model_id=logged.model_id)

    first = store.models(limit=2)
    newest = store.versions("b", limit=2)
    found = store.search(limit=5)

    assert ([model.name for model in first], [model.name for model in store.models(page=first.next)]) == (
        ["a", "b"],
        ["c"],
    )
    assert [version.version for version in newest] == [3, 2]
    assert [version.version for version in store.versions("b", page=newest.next)] == [1]
    rest = store.search(limit=5, page=found.next)
    assert [(v.name, v.version) for v in (*found, *rest)] == [(name, n) for name in "abc" for n in (1, 2, 3)]
    assert rest.next is None


def test_a_search_matches_all_that_it_is_given(store):
    first, _ = log(store, "1", tags={"quality": "good", "a.b'\"": "x"})
    log(store, "2", tags={"quality": "bad"})
    log(store, "3", registered="wine", tags={"quality": "good"})

    def names(**conditions):
        return [f"{version.name}/{version.version}" for version in store.search(**conditions)]

    assert names(tags={"quality": "good"}) == ["iris/1", "wine/1"]
    assert names(tags={"quality": "good", "a.b'\"": "x"}) == ["iris/1"]
    assert names(name="in") == ["wine/1"]
    assert names(digest=first.digest) == names(run_id=first.run_id) == ["iris/1"]
    assert [model.name for model in store.models(name="w")] == ["wine"]


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 10**6}, {"page": "²"}, {"page": "x"}])
def test_a_page_that_cannot_be_is_refused(store, options):
    log(store)

    with pytest.raises(StoreError):
        store.versions("iris", **options)


def test_a_store_that_was_moved_or_copied_works(store, tmp_path):
    log(store, aliases=["champion"])
    store.close()
    shutil.copytree(store.root, tmp_path / "copy")
    store.root.rename(tmp_path / "moved #1%20?")

    for place in ("copy", "moved #1%20?"):
        other = LocalStore(tmp_path / place)
        located = locate(other, "models:/iris@champion")
        assert located.manifest == scan(located.folder)
        assert log(other)[1].version == 2
        other.close()


def test_nothing_absolute_is_stored(store):
    log(store, aliases=["champion"])
    store.close()

    held = b"".join(path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    assert os.fsencode(store.root) not in held


def test_the_store_is_private_and_its_trees_are_read_only(store):
    log(store)
    tree = locate(store, "models:/iris/1").folder

    assert store.root.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o222 for path in (tree, *tree.rglob("*"))} == {0}


def test_a_folder_that_holds_other_files_does_not_become_a_store(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")

    with pytest.raises(StoreError, match="is not a model store"):
        LocalStore(tmp_path).create_run()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_open_store_asks_the_argument_then_the_environment_then_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELSERVING_STORE", str(tmp_path / "from-environment"))

    assert open_store("given").root == tmp_path / "given"
    assert open_store().root == tmp_path / "from-environment"
    monkeypatch.delenv("MODELSERVING_STORE")
    assert open_store().root == tmp_path / "modelstore"


def test_a_manifest_that_was_changed_is_noticed(store):
    _, version = log(store)
    path = store.root / "manifests" / f"{version.digest.removeprefix('sha256:')}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace("MLmodel", "MLmodex"))

    with pytest.raises(DamagedModelError, match="manifests"):
        locate(store, "models:/iris/1")


def test_logging_the_same_bytes_again_mends_a_damaged_tree(store):
    log(store)
    file = locate(store, "models:/iris/1").folder / "data" / "weights.bin"
    file.chmod(0o600)
    file.write_bytes(b"nonsense")

    log(store)

    located = locate(store, "models:/iris/1")
    assert located.manifest == scan(located.folder)


def test_an_open_file_of_a_model_outlives_the_store_object(store):
    log(store)
    with Path(locate(store, "models:/iris/1").folder, "MLmodel").open() as file:
        store.close()
        assert file.read() == "a model"
