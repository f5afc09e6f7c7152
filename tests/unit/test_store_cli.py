"""``modelserving models`` and ``modelserving store``: tables for people, JSON for programs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from modelserving.cli.models import models
from modelserving.cli.store import store as store_group
from modelserving.errors import ModelNotFoundError, StoreError
from modelserving.store import LocalStore


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "store", clock=lambda: 1_700_000_000.0)
    run = made.create_run()
    for n in (1, 2):
        with made.stage() as folder:
            (folder / "MLmodel").write_text(f"model {n}")
            made.log_model(folder, "m", run_id=run.run_id, registered_model_name="iris", tags={"n": str(n)})
    made.set_alias("iris", "champion", 1)
    made.set_description("iris", "three kinds\nof \x1b[31mflowers")
    yield made
    made.close()


@pytest.fixture
def run(store):
    def call(*arguments, group=models, code=0):
        result = CliRunner().invoke(group, [*arguments, "--store", str(store.root)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_list_is_an_aligned_table_of_printable_text(run):
    assert run("list") == (
        "name  latest  aliases     tags  description\n"
        "iris  2       champion=1        three kinds of ?[31mflowers\n"
    )


def test_every_listing_is_json_too(run, store):
    assert json.loads(run("list", "--json"))["models"][0]["aliases"] == {"champion": 1}
    assert json.loads(run("show", "iris", "--json"))["latest"] == 2
    found = json.loads(run("versions", "iris", "--json"))
    assert [version["digest"] for version in found["versions"]] == [
        one.digest for one in store.versions("iris")
    ]
    assert found["next"] is None


def test_versions_shows_the_newest_first_with_aliases_and_times_in_utc(run):
    lines = run("versions", "iris").splitlines()

    assert [line.split()[0] for line in lines] == ["version", "2", "1"]
    assert lines[2].split()[1:4] == ["champion", "2023-11-14", "22:13:20"]


def test_a_long_listing_says_how_to_go_on(run):
    assert "--page 2" in run("versions", "iris", "--limit", "1")
    assert [line.split()[0] for line in run("versions", "iris", "--page", "2").splitlines()] == [
        "version",
        "1",
    ]


def test_an_alias_is_set_moved_only_as_expected_and_deleted(run, store):
    run("alias", "iris", "new", "2", "--expected", "none")
    with pytest.raises(StoreError, match="was not moved"):
        run("alias", "iris", "new", "1", "--expected", "1")
    run("alias", "iris", "champion", "--delete")

    assert store.model("iris").aliases == {"new": 2}
    assert "give either a version or --delete" in run("alias", "iris", "x", code=2)
    assert "a version or 'none'" in run("alias", "iris", "x", "1", "--expected", "²", code=2)


def test_a_tag_is_set_and_deleted(run, store):
    run("tag", "iris", "team", "blue")
    run("tag", "iris", "n", "--delete", "--version", "1")

    assert (store.model("iris").tags, store.version("iris", 1).tags) == ({"team": "blue"}, {})
    assert [line.split()[0] for line in run("list", "--tag", "team=blue").splitlines()] == ["name", "iris"]
    assert "KEY=VALUE" in run("list", "--tag", "team", code=2)


def test_delete_asks_unless_told_not_to(run, store):
    run("delete", "iris", code=1)
    assert len(store.models()) == 1

    run("delete", "iris", "--version", "1", "--yes")
    assert [version.version for version in store.versions("iris")] == [2]
    run("delete", "iris", "--yes")
    assert len(store.models()) == 0


def test_export_and_import_take_names_versions_and_aliases(run, tmp_path):
    assert run("export", "iris", "--to", str(tmp_path / "all")) == f"wrote {tmp_path / 'all'}\n"
    run("export", "iris@champion", "iris/1", "--to", str(tmp_path / "one.tar"))

    other = ["--store", str(tmp_path / "other"), "--json"]
    taken = json.loads(CliRunner().invoke(models, ["import", str(tmp_path / "one.tar"), *other]).output)
    assert [(version["name"], version["version"]) for version in taken["versions"]] == [("iris", 1)]


def test_an_export_is_listed_as_a_store_is(run, tmp_path):
    run("export", "iris", "--to", str(tmp_path / "out.tar"))

    result = CliRunner().invoke(models, ["list", "--store", str(tmp_path / "out.tar"), "--json"])

    assert [model["name"] for model in json.loads(result.output)["models"]] == ["iris"]


def test_doctor_ends_with_1_when_something_was_lost(run, store):
    assert run("doctor", group=store_group) == "nothing is wrong\n"
    (store.root / "models" / "iris" / "model.json").unlink()

    assert "models/iris/model.json" in run("doctor", group=store_group, code=1)
    assert (
        json.loads(run("doctor", "--json", group=store_group, code=1))["findings"][0]["severity"] == "error"
    )


def test_a_damaged_store_is_examined_and_rebuilt(run, store):
    store.close()
    (store.root / "registry.db").write_bytes(b"x" * 5000)

    assert "registry.db" in run("doctor", group=store_group, code=1)
    assert run("rebuild", group=store_group) == "1 models, 2 versions, 1 runs\n"
    assert run("doctor", group=store_group) == "nothing is wrong\n"


def test_gc_takes_a_grace_in_words(run, store):
    store.delete_version("iris", 1, purge=True)

    assert run("gc", "--grace", "7d", group=store_group).startswith("removed 0 models, 0 bytes")
    assert run("gc", "--grace", "0s", group=store_group).startswith("removed 1 models")
    assert "a number and s, m, h or d" in run("gc", "--grace", "soon", group=store_group, code=2)


def test_what_is_not_there_is_an_error_with_one_line(run):
    with pytest.raises(ModelNotFoundError) as caught:
        run("show", "beer")
    assert "\n" not in str(caught.value)
