"""``modelserving flavors`` says what is installed, where it comes from and what is missing."""

import json
import sys
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

from modelserving import discovery
from modelserving.cli import commands


class Table:
    """A flavor that needs a package nobody has."""

    name, framework, requires, tiers = "table", "", ("no-such-package",), ("data",)

    def accepts(self, model, /):
        return False

    save = tier = load = traits = predict = accepts


@pytest.fixture
def install(monkeypatch):
    """Offer flavors beside the real ones, as if distributions were installed."""
    real, entries = discovery.entry_points(group=discovery.GROUP), []

    def offer(package, name, target):
        module = ModuleType(f"package_of_{package}")
        module.Target = target
        monkeypatch.setitem(sys.modules, module.__name__, module)
        value = target if isinstance(target, str) else f"{module.__name__}:Target"
        dist = SimpleNamespace(name=package, version="1.0")
        entries.append(EntryPoint(name, value, discovery.GROUP)._for(dist))

    monkeypatch.setattr(discovery, "entry_points", lambda group: [*real, *entries])
    clear()
    yield offer
    clear()


def clear():
    discovery.offers.cache_clear()
    discovery.flavor.cache_clear()


def listed(*arguments):
    result = CliRunner().invoke(commands, ["flavors", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def by_name():
    return {row["flavor"]: row for row in json.loads(listed("--json"))["flavors"]}


def test_our_own_come_from_this_package_with_their_tiers(install):
    rows = by_name()

    assert {"catboost", "keras", "pytorch", "sklearn", "tensorflow"} <= set(rows)
    assert {row["package"] for row in rows.values()} == {"modelserving"}
    assert rows["python_function"]["tier"] == ["code"]
    assert rows["sklearn"]["needs"] == []
    assert list(rows) == sorted(rows)


def test_what_a_flavor_lacks_is_named_with_the_way_to_get_it(install):
    install("tables", "table", Table)

    row = by_name()["table"]

    assert (row["package"], row["version"], row["tier"]) == ("tables", "1.0", ["data"])
    assert (row["needs"], row["install"]) == (["no-such-package"], "pip install no-such-package")


def test_our_own_name_their_extra(install, monkeypatch):
    monkeypatch.setattr("modelserving.cli.flavors.installed", lambda names: {})

    assert by_name()["catboost"]["install"] == "pip install 'modelserving[catboost]'"


def test_broken_and_doubled_flavors_name_their_packages_and_the_others_go_on(install):
    install("broken", "table", "no_such_module_anywhere:Flavor")
    install("twin", "sklearn", Table)

    rows = by_name()

    assert "'table' (from broken) cannot be used" in rows["table"]["error"]
    assert rows["sklearn"]["package"] == "modelserving, twin"
    assert "offered by 'modelserving', 'twin'" in rows["sklearn"]["error"]
    assert rows["catboost"]["error"] is None


def test_people_get_a_table(install):
    install("tables", "table", Table)

    lines = listed().splitlines()

    assert lines[0].split() == ["flavor", "package", "version", "tier", "needs"]
    (row,) = [line.split() for line in lines if line.startswith("table")]
    assert row == ["table", "tables", "1.0", "data", "pip", "install", "no-such-package"]
