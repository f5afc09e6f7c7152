"""What every flavor must do, as tests to inherit."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

import numpy as np
import pytest

from modelserving.errors import MissingDependencyError, ModelServingError, UntrustedModelError
from modelserving.flavor import Config, Flavor, Grant, Tier, Traits

if TYPE_CHECKING:
    from pathlib import Path

_ACCEPT = """
import sys
from {module} import {name} as flavor_class
flavor = flavor_class()
assert not flavor.framework or flavor.framework not in sys.modules, "the flavor imports its framework"
before = set(sys.modules)
class Stranger:
    def predict(self, data): return data
for stranger in (None, 1, "text", b"", [], {{}}, Stranger, Stranger(), len, lambda data: data):
    flavor.accepts(stranger)
print(*sorted(set(sys.modules) - before))
"""

_TIER = """
import json, sys
from pathlib import Path
from {module} import {name} as flavor_class
folder, config = Path(sys.argv[1]), json.loads(sys.argv[2])
flavor = flavor_class()
print(flavor.tier(folder, config))
assert not flavor.framework or flavor.framework not in sys.modules, "tier() imports the framework"
"""

_WITHOUT_FRAMEWORK = """
import json, sys
from pathlib import Path
from {module} import {name} as flavor_class
from modelserving.errors import MissingDependencyError
from modelserving.testing import grant
folder, config, tier = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
flavor = flavor_class()
sys.modules[flavor.framework] = None
with grant(folder, tier) as granted:
    try:
        flavor.load(granted.folder, config, grant=granted)
    except MissingDependencyError as error:
        print(error.package)
"""


class grant:  # noqa: N801
    """Leave to load a folder, as ``load_model(…, trust="code")`` would get it.

    Args:
        folder: The folder of a model.
        tier: The most harm that is agreed to.

    Example::

        with grant(folder, "native") as granted:
            model = flavor.load(granted.folder, config, grant=granted)
    """

    def __init__(self, folder: Path, tier: Tier) -> None:
        self.folder, self.tier = folder, tier

    def __enter__(self) -> Grant:
        from modelserving.trust import policy

        self.verified = policy.open_folder(self.folder)  # the bytes stay as long as this object does
        return policy.grant(
            self.verified, self.tier, model=str(self.folder), reason="a model under test", trust="code"
        )

    def __exit__(self, *_: object) -> None:
        del self.verified


class FlavorTests:
    """The contract of a flavor. Subclass it, and give the fixtures ``flavor``, ``model`` and ``data``."""

    @pytest.fixture
    def flavor(self) -> Flavor:
        """The flavor under test, as its entry point makes it or with options."""
        raise NotImplementedError("give a fixture named 'flavor'")

    @pytest.fixture
    def model(self) -> object:
        """A fitted model of the flavor's framework."""
        raise NotImplementedError("give a fixture named 'model'")

    @pytest.fixture
    def data(self) -> object:
        """Input for the model, in the first form of ``traits(model).takes``, of two rows or more."""
        raise NotImplementedError("give a fixture named 'data'")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """An empty folder to save into."""
        folder = tmp_path / "a model"
        folder.mkdir()
        return folder

    @pytest.fixture
    def config(self, flavor: Flavor, model: object, data: object, folder: Path) -> Config:
        """The flavor's entry, after the model was saved into ``folder``."""
        return flavor.save(model, folder, example=data)[flavor.name]

    def test_it_has_the_names_and_methods_of_the_protocol(self, flavor: Flavor) -> None:
        assert isinstance(flavor, Flavor)
        assert flavor.name.isidentifier()
        assert isinstance(flavor.framework, str)
        assert all(isinstance(distribution, str) for distribution in flavor.requires)

    def test_it_works_without_options(self, flavor: Flavor) -> None:
        assert type(flavor)().name == flavor.name

    def test_it_accepts_its_own_model(self, flavor: Flavor, model: object) -> None:
        assert flavor.accepts(model) is True

    @pytest.mark.parametrize("stranger", [None, 1, 2.5, "text", b"bytes", [], {}, object(), object])
    def test_it_refuses_what_is_no_model(self, flavor: Flavor, stranger: object) -> None:
        assert flavor.accepts(stranger) is False

    def test_accepting_imports_nothing(self, flavor: Flavor) -> None:
        assert _child(_ACCEPT, flavor) == ""

    def test_what_was_loaded_can_be_saved_again_and_predicts_the_same(
        self, flavor: Flavor, model: object, data: object, folder: Path
    ) -> None:
        config = flavor.save(model, folder, example=data)[flavor.name]
        tier = flavor.tier(folder, config)

        with grant(folder, tier) as granted:
            loaded = flavor.load(granted.folder, config, grant=granted)
            again = folder.parent / "again"
            again.mkdir()
            second = flavor.save(loaded, again, example=data)[flavor.name]
            with grant(again, flavor.tier(again, second)) as granted_again:
                reloaded = flavor.load(granted_again.folder, second, grant=granted_again)
                for method in _row_methods(flavor.traits(loaded)):
                    with catch_warnings(action="ignore"):  # a logarithm of 0 is the model's own affair
                        before = flavor.predict(loaded, data, {}, method=method)
                        after = flavor.predict(reloaded, data, {}, method=method)
                    equal(after, before)

    def test_it_predicts_what_the_model_itself_predicts(
        self, flavor: Flavor, model: object, data: object, folder: Path, config: Config
    ) -> None:
        with grant(folder, flavor.tier(folder, config)) as granted:
            loaded = flavor.load(granted.folder, config, grant=granted)
            method = flavor.traits(loaded).methods[0]

            equal(flavor.predict(loaded, data, {}, method=method), self.expected(model, data, method))

    def expected(self, model: Any, data: object, method: str) -> object:
        """What the framework itself answers; override where that is not ``model.method(data)``."""
        ask = getattr(model, method, None)
        return ask(data) if ask is not None else model(data)

    def test_entries_are_json(self, flavor: Flavor, model: object, data: object, folder: Path) -> None:
        entries = flavor.save(model, folder, example=data)

        assert flavor.name in entries
        assert json.loads(json.dumps(entries, allow_nan=False)) == {
            name: dict(entry) for name, entry in entries.items()
        }

    def test_traits_are_of_the_methods_there_are(self, flavor: Flavor, folder: Path, config: Config) -> None:
        with grant(folder, flavor.tier(folder, config)) as granted:
            traits = flavor.traits(flavor.load(granted.folder, config, grant=granted))

        assert isinstance(traits, Traits)
        assert traits.methods
        assert traits.takes
        assert set(traits.classes) <= set(traits.methods)

    def test_its_tiers_are_those_it_lists(self, flavor: Flavor, folder: Path, config: Config) -> None:
        tier = flavor.tier(folder, config)

        assert tier in getattr(flavor, "tiers", (tier,))

    def test_the_tier_is_known_without_the_framework(
        self, flavor: Flavor, folder: Path, config: Config
    ) -> None:
        answer = _child(_TIER, flavor, str(folder), json.dumps(config))

        assert answer == flavor.tier(folder, config)

    @pytest.mark.parametrize("packed", [False, True])
    def test_the_tier_of_a_hostile_folder_builds_nothing(
        self, flavor: Flavor, folder: Path, config: Config, tmp_path: Path, packed: bool
    ) -> None:
        marker = tmp_path / "opened"
        bomb = f"cos\nmkdir\n(V{marker}\ntR.".encode()  # a pickle that makes a folder when it is loaded
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.write_bytes(gzip.compress(bomb) if packed else bomb)

        with suppress(ModelServingError):
            flavor.tier(folder, config)

        assert not marker.exists()

    def test_it_does_not_load_without_a_grant(self, flavor: Flavor, folder: Path, config: Config) -> None:
        with pytest.raises(TypeError):
            flavor.load(folder, config)  # type: ignore[call-arg]

    def test_it_does_not_load_more_than_the_grant_allows(
        self, flavor: Flavor, folder: Path, config: Config
    ) -> None:
        if flavor.tier(folder, config) == "data":
            return  # nothing is less than data
        with grant(folder, "data") as granted, pytest.raises(UntrustedModelError):
            flavor.load(granted.folder, config, grant=granted)

    def test_it_works_after_the_folder_has_moved(
        self, flavor: Flavor, data: object, folder: Path, config: Config, tmp_path: Path
    ) -> None:
        with grant(folder, flavor.tier(folder, config)) as granted:
            loaded = flavor.load(granted.folder, config, grant=granted)
            method = flavor.traits(loaded).methods[0]
            before = flavor.predict(loaded, data, {}, method=method)
        moved = folder.rename(tmp_path / "elsewhere")

        with grant(moved, flavor.tier(moved, config)) as granted:
            loaded = flavor.load(granted.folder, config, grant=granted)
            equal(flavor.predict(loaded, data, {}, method=method), before)

    def test_two_threads_get_the_same_predictions(
        self, flavor: Flavor, data: object, folder: Path, config: Config
    ) -> None:
        with grant(folder, flavor.tier(folder, config)) as granted:
            loaded = flavor.load(granted.folder, config, grant=granted)
            traits = flavor.traits(loaded)
            expected = flavor.predict(loaded, data, {}, method=traits.methods[0])
            threads = 2 if traits.thread_safe else 1
            start = Barrier(threads)

            def ask() -> list[object]:
                start.wait(timeout=60)
                return [flavor.predict(loaded, data, {}, method=traits.methods[0]) for _ in range(20)]

            with ThreadPoolExecutor(threads) as pool:
                answers = [future.result(timeout=60) for future in [pool.submit(ask) for _ in range(threads)]]

        for answer in answers:
            for predictions in answer:
                equal(predictions, expected)

    def test_a_missing_file_is_one_clear_error(self, flavor: Flavor, folder: Path, config: Config) -> None:
        tier = flavor.tier(folder, config)
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.unlink()

        with grant(folder, tier) as granted, pytest.raises(ModelServingError) as caught:
            flavor.load(granted.folder, config, grant=granted)

        assert "\n" not in str(caught.value)

    def test_a_missing_framework_is_named(self, flavor: Flavor, folder: Path, config: Config) -> None:
        if not flavor.framework:
            return  # it needs none
        package = _child(
            _WITHOUT_FRAMEWORK, flavor, str(folder), json.dumps(config), flavor.tier(folder, config)
        )

        assert package in flavor.requires, (
            f"expected {MissingDependencyError.__name__} naming one of {flavor.requires}"
        )


def equal(actual: object, expected: object) -> None:
    """Assert that two predictions are equal: arrays, frames, sparse matrices, and collections of them."""
    if isinstance(expected, dict):
        assert isinstance(actual, dict)
        assert list(actual) == list(expected)
        for key, value in expected.items():
            equal(actual[key], value)
    elif isinstance(expected, list | tuple):
        assert type(actual) is type(expected)
        assert len(actual) == len(expected)
        for left, right in zip(actual, expected, strict=True):
            equal(left, right)
    else:
        np.testing.assert_array_equal(_dense(actual), _dense(expected))


def _dense(value: Any) -> Any:
    return value.toarray() if hasattr(value, "toarray") else value


def _row_methods(traits: Traits) -> tuple[str, ...]:
    """The methods whose answers can be compared; a stream is consumed by looking at it."""
    return tuple(method for method in traits.methods if not method.endswith("_stream"))


def _child(script: str, flavor: Flavor, *arguments: str) -> str:
    """What a script prints in an interpreter of its own, in which nothing has been imported yet."""
    text = script.format(module=type(flavor).__module__, name=type(flavor).__qualname__)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
