"""A store under attack: children that are killed or whose operations fail, and what must hold afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import pytest

from modelserving.store import LocalStore, _fsops
from modelserving.uri import ModelURI

counts: dict[str, str] = {}


@pytest.fixture
def count():
    """Call it with what was tried; all of it is printed at the end of the run."""

    def note(test, text):
        counts[test] = text

    return note


def pytest_terminal_summary(terminalreporter):
    for name, text in counts.items():
        terminalreporter.write_line(f"{name}: {text}")


@pytest.fixture
def shm(tmp_path):
    """A folder in memory where there is one: killing a process asks nothing of the disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    folder = tempfile.mkdtemp(dir="/dev/shm")
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def no_hook_is_left():
    yield
    _fsops.hook = None


class At:
    """A hook that does something at the n-th operation, and remembers all of them."""

    def __init__(self, n=None, action=None, only=None):
        self.n, self.action, self.only = n, action, only
        self.seen = []

    def __call__(self, operation, path):
        if self.only is None or operation in self.only:
            self.seen.append(operation)
            if len(self.seen) == self.n:
                return self.action(operation, path)
        return None


def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def fork(action):
    """Run ``action`` in a child; its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        action()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait(pid):
    """How a child ended: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def log(store, content="a model", *, name="iris", run_id=None, **options):
    run_id = run_id or store.create_run().run_id
    with store.stage() as folder:
        (folder / "MLmodel").write_text(content)
        (folder / "data").mkdir()
        (folder / "data" / "weights.bin").write_bytes(content.encode() * 100)
        return store.log_model(folder, "m", run_id=run_id, registered_model_name=name, **options)


def locate(store, uri):
    return store.locate(ModelURI.parse(uri))


def all_versions(store):
    found, page = [], store.search(limit=10_000)
    while True:
        found += page.items
        if page.next is None:
            return found
        page = store.search(limit=10_000, page=page.next)


def check(root, acknowledged=(), *, names=("iris",)):
    """The invariants I1 to I6 on the store at ``root``; what is visible, as ``{(name, version): digest}``."""
    store = LocalStore(root)
    visible = {(version.name, version.version): version.digest for version in all_versions(store)}
    for name, version, digest in acknowledged:
        assert visible.get((name, version)) == digest, f"lost {name}/{version}"
    for name in names:
        numbers = [version for other, version in visible if other == name]
        assert numbers == list(range(1, len(numbers) + 1))
    for name, version in visible:
        located = locate(store, f"models:/{name}/{version}")
        store._trees.check(located.digest)
    for model in store.models():
        for alias in model.aliases:
            assert locate(store, f"models:/{model.name}@{alias}").version == model.aliases[alias]
    errors = [finding for finding in store.doctor() if finding.severity == "error"]
    assert errors == []
    store.close()
    return visible


def go_on(root, visible, name="iris"):
    """I6 and I7: the next writer needs no repair, leftovers can be collected, a rebuild agrees."""
    store = LocalStore(root)
    _, version = log(store, "afterwards", name=name, aliases=["next"])
    assert version.version == max([n for other, n in visible if other == name], default=0) + 1
    store.gc(grace=0)
    assert store.doctor() == ()
    before = (all_versions(store), store.models())
    assert store.rebuild().problems == ()
    assert (all_versions(store), store.models()) == before
    assert store.doctor() == ()
    store.close()


@pytest.fixture
def faults():
    """The tools above, for test modules, which cannot import each other."""
    return sys.modules[__name__]
