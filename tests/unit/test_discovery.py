"""Flavors are found through entry points, ours by the same door as everybody's."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from modelserving import discovery
from modelserving.errors import DuplicateFlavorError, FlavorLoadError, FlavorNotFoundError, NoFlavorError


class FakeFlavor:
    """The whole protocol in few lines; subclasses say what they accept."""

    name, framework, requires = "fake", "", ()

    def accepts(self, model, /):
        return isinstance(model, set)

    def save(self, model, folder, /, *, example=None):
        return {}

    def tier(self, folder, config, /):
        return "data"

    def load(self, folder, config, /, *, grant):
        return set()

    def traits(self, model, /):
        raise NotImplementedError

    def predict(self, model, data, params, /, *, method):
        return data


class Dist:
    def __init__(self, name):
        self.name, self.version = name, "1.0"


@pytest.fixture
def install(monkeypatch):
    """Offer flavors as if distributions were installed: install(package, name, class-or-value)."""
    entries = []

    def offer(package, name, target):
        module = ModuleType(f"package_{len(entries)}")
        module.Target = target
        monkeypatch.setitem(sys.modules, module.__name__, module)
        value = target if isinstance(target, str) else f"{module.__name__}:Target"
        entries.append(EntryPoint(name, value, discovery.GROUP)._for(Dist(package)))

    monkeypatch.setattr(discovery, "entry_points", lambda group: entries)
    discovery.offers.cache_clear()
    discovery.flavor.cache_clear()
    yield offer
    discovery.offers.cache_clear()
    discovery.flavor.cache_clear()


def flavor_class(name, accepted=object, framework=""):
    accepts = lambda self, model, /: isinstance(model, accepted)  # noqa: E731
    return type("Some", (FakeFlavor,), {"name": name, "framework": framework, "accepts": accepts})


def test_our_own_flavors_are_found_by_their_entry_points():
    assert {"python_function", "sklearn"} <= set(discovery.offers())
    assert discovery.offers()["sklearn"][0].package == "modelserving"


def test_a_name_that_nobody_offers_lists_those_that_are_there(install):
    install("one", "fake", FakeFlavor)

    with pytest.raises(
        FlavorNotFoundError, match="no installed flavor named 'spark'; installed flavors: 'fake'"
    ):
        discovery.flavor("spark")


def test_two_packages_with_one_name_are_both_named(install):
    install("one", "fake", FakeFlavor)
    install("two", "fake", FakeFlavor)

    with pytest.raises(DuplicateFlavorError, match="'fake' is offered by 'one', 'two'"):
        discovery.flavor("fake")


def test_one_package_twice_on_the_path_is_no_conflict(install):
    install("one", "fake", FakeFlavor)
    install("one", "fake", FakeFlavor)

    assert discovery.flavor("fake").name == "fake"


def test_a_flavor_that_cannot_be_imported_names_its_package(install):
    install("broken", "fake", "no_such_module_anywhere:Flavor")

    with pytest.raises(FlavorLoadError, match=r"'fake' \(from broken\).*ModuleNotFoundError"):
        discovery.flavor("fake")


def test_a_class_that_is_no_flavor_is_told_what_it_lacks(install):
    install("broken", "fake", type("Half", (), {"name": "fake", "accepts": lambda self, model: True}))

    with pytest.raises(FlavorLoadError, match="lacks framework, requires, save, tier, load, traits, predict"):
        discovery.flavor("fake")


def test_a_flavor_must_call_itself_by_its_entry_points_name(install):
    install("liar", "other", FakeFlavor)

    with pytest.raises(FlavorLoadError, match="it calls itself 'fake'"):
        discovery.flavor("other")


def test_a_broken_flavor_does_not_keep_the_others_from_saving(install, caplog):
    install("broken", "bad", "no_such_module_anywhere:Flavor")
    install("one", "fake", FakeFlavor)

    assert discovery.flavor_to_save(set()).name == "fake"
    assert "passed over: flavor 'bad' (from broken)" in caplog.text


def test_the_framework_of_the_earliest_class_saves(install):
    sklearn, booster = ModuleType("sklearn.base"), ModuleType("xgboost.sklearn")
    estimator = type("Estimator", (), {"__module__": sklearn.__name__})
    classifier = type("Classifier", (estimator,), {"__module__": booster.__name__})
    install("a", "sklearn", flavor_class("sklearn", estimator, "sklearn"))
    install("b", "xgboost", flavor_class("xgboost", classifier, "xgboost"))
    install("c", "python_function", flavor_class("python_function"))

    assert discovery.flavor_to_save(classifier()).name == "xgboost"
    assert discovery.flavor_to_save(estimator()).name == "sklearn"
    assert discovery.flavor_to_save(print).name == "python_function"


def test_an_object_that_nobody_accepts_is_refused_with_the_list(install):
    install("one", "fake", FakeFlavor)

    with pytest.raises(NoFlavorError, match=r"class 'builtins.int'; installed flavors: 'fake'"):
        discovery.flavor_to_save(3)


def test_the_flavor_asked_for_must_accept_the_model(install):
    install("one", "fake", FakeFlavor)

    with pytest.raises(NoFlavorError, match=r"flavor 'fake' cannot save an object of class 'builtins.int'"):
        discovery.flavor_to_save(3, "fake")


@pytest.mark.parametrize(
    ("asked", "written_by", "expected"),
    [
        (None, None, "sklearn"),
        (None, "xgboost", "xgboost"),
        (None, "gone", "sklearn"),
        ("python_function", "xgboost", "python_function"),
    ],
)
def test_which_flavor_loads(install, asked, written_by, expected):
    for name in ("xgboost", "sklearn", "python_function"):
        install("one", name, flavor_class(name))

    recorded = ["python_function", "sklearn", "xgboost"]

    assert discovery.flavor_to_load(recorded, asked, written_by).name == expected


def test_a_model_is_not_loaded_as_a_flavor_it_does_not_have(install):
    install("one", "fake", FakeFlavor)

    with pytest.raises(FlavorNotFoundError, match="the model has no flavor 'fake'; its flavors: 'onnx'"):
        discovery.flavor_to_load(["onnx"], "fake")


def test_a_model_whose_flavors_are_not_installed_names_them(install):
    install("one", "fake", FakeFlavor)

    with pytest.raises(FlavorNotFoundError, match="no installed flavor named 'onnx', 'spark'"):
        discovery.flavor_to_load(["spark", "onnx"])
