"""A store does what a dictionary would do, whatever is done to it in whatever order, crashes included."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelserving.errors import ModelNotFoundError, VersionNotFoundError
from modelserving.store import LocalStore, _fsops
from modelserving.uri import ModelURI

NAMES = st.sampled_from(["iris", "wine"])
CONTENTS = st.sampled_from(["a", "b", "c"])
ALIASES = st.sampled_from(["champion", "challenger"])


class StoreMachine(RuleBasedStateMachine):
    """``self.models`` is what the store must say: name -> versions (None: deleted), aliases, tags."""

    @initialize()
    def make(self):
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(dir=place))
        self.store = LocalStore(self.folder / "store")
        self.store.create_run()
        self.models = {}
        self.digests = {}

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    def log(self, store, name, content, aliases=()):
        run = store.create_run()
        with store.stage() as folder:
            (folder / "MLmodel").write_text(content)
            return store.log_model(
                folder, "m", run_id=run.run_id, registered_model_name=name, aliases=aliases
            )[1]

    def acknowledge(self, name, content, version, aliases=()):
        model = self.models.setdefault(name, {"versions": [], "aliases": {}, "tags": {}, "deleted": False})
        if model["deleted"]:
            model |= {"aliases": {}, "tags": {}, "deleted": False}
        model["versions"].append(content)
        assert version.version == len(model["versions"])
        model["aliases"] |= dict.fromkeys(aliases, version.version)
        assert self.digests.setdefault(content, version.digest) == version.digest

    def live(self, name):
        versions = self.models.get(name, {"versions": []})["versions"]
        return [n for n, content in enumerate(versions, 1) if content is not None]

    @rule(name=NAMES, content=CONTENTS, aliases=st.lists(ALIASES, max_size=1))
    def register(self, name, content, aliases):
        self.acknowledge(name, content, self.log(self.store, name, content, aliases), aliases)

    @rule(name=NAMES, alias=ALIASES, data=st.data())
    def alias(self, name, alias, data):
        version = data.draw(st.integers(1, len(self.models.get(name, {"versions": []})["versions"]) + 1))
        try:
            self.store.set_alias(name, alias, version)
        except ModelNotFoundError:
            assert name not in self.models or self.models[name]["deleted"]
        except VersionNotFoundError:
            assert version not in self.live(name)
        else:
            assert version in self.live(name)
            self.models[name]["aliases"][alias] = version

    @precondition(lambda self: any(not model["deleted"] for model in self.models.values()))
    @rule(
        data=st.data(), value=st.text(max_size=3).filter(lambda text: "\0" not in text and text.isprintable())
    )
    def tag(self, data, value):
        name = data.draw(
            st.sampled_from([name for name, model in self.models.items() if not model["deleted"]])
        )
        self.store.set_tag(name, "key", value)
        self.models[name]["tags"]["key"] = value

    @precondition(lambda self: any(self.live(name) for name in self.models))
    @rule(data=st.data(), purge=st.booleans())
    def delete_version(self, data, purge):
        name = data.draw(st.sampled_from([name for name in self.models if self.live(name)]))
        version = data.draw(st.sampled_from(self.live(name)))
        self.store.delete_version(name, version, purge=purge)
        model = self.models[name]
        model["versions"][version - 1] = None
        model["aliases"] = {alias: n for alias, n in model["aliases"].items() if n != version}

    @rule(name=NAMES, purge=st.booleans())
    def delete_model(self, name, purge):
        try:
            self.store.delete_model(name, purge=purge)
        except ModelNotFoundError:
            assert name not in self.models or self.models[name]["deleted"]
        else:
            model = self.models[name]
            model |= {"versions": [None] * len(model["versions"]), "aliases": {}, "tags": {}, "deleted": True}

    @rule()
    def collect(self):
        assert self.store.gc(grace=0).skipped == ""

    @rule()
    def rebuild(self):
        assert self.store.rebuild().problems == ()

    @rule()
    def open_again(self):
        self.store.close()
        self.store = LocalStore(self.folder / "store")

    @rule(name=NAMES, content=CONTENTS, at=st.integers(1, 90))
    def crash(self, name, content, at):
        """Killed while it registers: acknowledged or not, the version is there whole or not at all."""
        pid = os.fork()
        if not pid:
            left = [at]

            def hook(*_):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

            _fsops.hook = hook
            try:
                self.log(LocalStore(self.folder / "store"), name, content)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        known = len(self.models.get(name, {"versions": []})["versions"])
        try:
            version = self.store.version(name, known + 1)
        except (ModelNotFoundError, VersionNotFoundError):
            # what a rebuild would bring to life must not confuse this test
            assert self.store.gc(grace=0).skipped == ""
        else:
            self.acknowledge(name, content, version)

    @invariant()
    def it_says_what_it_was_told(self):
        if not hasattr(self, "store"):
            return
        there = {name for name, model in self.models.items() if not model["deleted"]}
        assert {model.name for model in self.store.models()} == there
        for name in there:
            model, expected = self.store.model(name), self.models[name]
            assert (dict(model.aliases), dict(model.tags)) == (expected["aliases"], expected["tags"])
            assert model.latest == max(self.live(name), default=None)
            assert [v.version for v in self.store.versions(name)] == self.live(name)[::-1]
            for number in self.live(name):
                located = self.store.locate(ModelURI("version", name=name, version=number))
                assert located.digest == self.digests[expected["versions"][number - 1]]
                self.store._trees.check(located.digest)
        assert [one for one in self.store.doctor(quick=True) if one.severity != "note"] == []


StoreMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStoreMachine = StoreMachine.TestCase
