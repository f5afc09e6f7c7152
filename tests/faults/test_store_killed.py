"""Killed at every operation and at any time: what was acknowledged is there, the rest absent or whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from modelserving.errors import StoreError
from modelserving.store import LocalStore, _fsops, schema


def cold(faults, root):
    """Nothing is there: folders, index and FORMAT are made on the way."""


def warm(faults, root):
    store = LocalStore(root)
    faults.log(store, "first", aliases=["champion"])
    faults.log(store, "second")
    store.close()


def log_new(faults, store):
    faults.log(store, "new", tags={"a": "b"}, aliases=["challenger"])


def log_known(faults, store):
    faults.log(store, "first")


def register(faults, store):
    logged = faults.locate(store, "models:/iris/1")
    store.register("iris", model_id=logged.model_id)
    store.register("other", model_id=logged.model_id)


def move_alias(faults, store):
    store.set_alias("iris", "champion", 2)


def tag(faults, store):
    store.set_tag("iris", "a", "b")
    store.set_tag("iris", "c", "d", version=1)


def collect(faults, store):
    faults.log(store, "third")
    store.delete_version("iris", 3, purge=True)
    store.gc(grace=0)


def rebuild(faults, store):
    store.rebuild()


SCENARIOS = [
    (cold, log_new),
    (warm, log_new),
    (warm, log_known),
    (warm, register),
    (warm, move_alias),
    (warm, tag),
    (warm, rebuild),
]


@pytest.mark.parametrize(("before", "action"), SCENARIOS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_f01_killed_at_each_operation(faults, shm, count, request, every, before, action):
    """Looked at after every kill; gone on with, collected and rebuilt after one in ``every``."""
    base = shm / "base"
    before(faults, base)
    old = faults.check(base) if base.exists() else {}

    n = 0
    while True:
        n += 1
        root = shm / f"at-{n}"
        if base.exists():
            shutil.copytree(base, root)
        reader, writer = os.pipe()

        def child(root=root, n=n, writer=writer):
            store = LocalStore(root)
            kill = faults.At(n, faults.kill)

            def told(operation, path):
                os.write(writer, b"c" if operation == "commit" else b".")
                return kill(operation, path)

            _fsops.hook = told
            action(faults, store)

        code = faults.wait(faults.fork(child))
        os.close(writer)
        steps = os.read(reader, 100_000)
        os.close(reader)
        visible = faults.check(root, [(name, number, digest) for (name, number), digest in old.items()])
        commits_done = steps[:-1].count(b"c") if code else steps.count(b"c")
        if commits_done == 0:
            assert visible == old
        if n % every == 0 or code == 0:
            faults.go_on(root, visible)
        shutil.rmtree(root, ignore_errors=True)  # killed at the first, there is none
        if code == 0:
            break
        assert code == -signal.SIGKILL
    count(request.node.name, f"{n - 1} operations, killed at each")
    assert n > 15


def test_f01_killed_at_each_operation_of_delete_and_gc(faults, shm, count, request):
    base = shm / "base"
    warm(faults, base)
    old = faults.check(base)

    n, code = 0, None
    while code != 0:
        n += 1
        root = shm / f"at-{n}"
        shutil.copytree(base, root)

        def child(root=root, n=n):
            store = LocalStore(root)
            _fsops.hook = faults.At(n, faults.kill)
            collect(faults, store)

        code = faults.wait(faults.fork(child))
        assert code in {0, -signal.SIGKILL}
        store = LocalStore(root)
        visible = faults.check(root, [(name, number, digest) for (name, number), digest in old.items()])
        assert faults.log(store, "afterwards")[1].version in {len(visible) + 1, 4}
        store.gc(grace=0)
        assert store.doctor() == ()
        store.close()
        shutil.rmtree(root)
    count(request.node.name, f"{n - 1} operations, killed at each")


def test_f42_killed_at_each_statement_of_a_migration(faults, shm, count, request, monkeypatch):
    base = shm / "base"
    warm(faults, base)
    old = faults.check(base)
    later = "ALTER TABLE models ADD COLUMN note TEXT;\nCREATE INDEX by_run ON versions (run_id);\n"
    monkeypatch.setattr(schema, "SCRIPTS", [*schema.SCRIPTS, later])

    n, code = 0, None
    while code != 0:
        n += 1
        root = shm / f"at-{n}"
        shutil.copytree(base, root)

        def child(root=root, n=n):
            _fsops.hook = faults.At(n, faults.kill, only={"migrate", "commit"})
            LocalStore(root).models()

        code = faults.wait(faults.fork(child))
        visible = faults.check(root)
        assert visible == old
        faults.go_on(root, visible)
    count(request.node.name, f"{n - 1} statements and commits, killed at each")
    assert n == 4


def storm(faults, root, rounds, seed):
    """Rounds of four writers, all killed at a random moment; how many, and how much was acknowledged."""
    chance = random.Random(seed)
    killed, acknowledged = 0, []
    for _ in range(rounds):
        reader, writer = os.pipe()

        def child(writer=writer, seed=seed):
            mine = random.Random(seed + os.getpid())
            store = LocalStore(root)
            run_id = store.create_run().run_id
            while True:
                number = mine.random()
                if number < 0.6:
                    _, version = faults.log(store, f"model {mine.randrange(8)}", run_id=run_id)
                    os.write(writer, f"{version.name} {version.version} {version.digest}\n".encode())
                elif number < 0.9:
                    if (latest := store.models().items) and latest[0].latest:
                        store.set_alias("iris", "champion", mine.randint(1, latest[0].latest))
                else:
                    store.gc(grace=0)

        children = [faults.fork(child) for _ in range(4)]
        os.close(writer)
        first = os.read(reader, 1)  # they are at it
        time.sleep(chance.uniform(0.005, 0.08))
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        assert [faults.wait(pid) for pid in children] == [-signal.SIGKILL] * 4
        killed += 4
        with os.fdopen(reader) as told:
            for line in told:
                name, version, digest = (first.decode() + line).split()
                first = b""
                acknowledged.append((name, int(version), digest))
        faults.check(root, acknowledged)
    return killed, len(acknowledged)


def test_f02_killed_at_any_time(faults, shm, count, request):
    killed, acknowledged = storm(faults, shm / "store", 15, seed=1)

    count(request.node.name, f"{killed} kills, {acknowledged} acknowledged versions, 0 lost")


@pytest.mark.slow
def test_f02_killed_at_any_time_two_thousand_times(faults, shm, count, request):
    killed = acknowledged = 0
    for part in range(int(os.environ.get("KILLS", "2000")) // 80):
        more = storm(faults, shm / f"store-{part}", 20, seed=part)
        killed, acknowledged = killed + more[0], acknowledged + more[1]
        shutil.rmtree(shm / f"store-{part}")

    count(request.node.name, f"{killed} kills, {acknowledged} acknowledged versions, 0 lost")
    assert killed >= 2000 or "KILLS" in os.environ


PROGRAM = """
import sys
from modelserving.store import LocalStore
store = LocalStore(sys.argv[1])
store.set_alias("iris", "champion", 2)
"""


@pytest.mark.slow
def test_f03_killed_inside_the_commit(faults, shm, count, request):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    base = shm / "base"
    warm(faults, base)
    calls = "fsync,fdatasync,unlink,pwrite64"

    n, code = 0, None
    while code != 0:
        n += 1
        root = shm / f"at-{n}"
        shutil.copytree(base, root)
        command = [
            strace,
            "-f",
            "-qq",
            "-o",
            os.devnull,
            "-e",
            f"trace={calls}",
            "-e",
            f"inject={calls}:signal=KILL:when={n}",
        ]
        done = subprocess.run(
            [*command, sys.executable, "-c", PROGRAM, str(root)], capture_output=True, text=True
        )
        code = done.returncode
        if "PTRACE" in done.stderr or "ptrace" in done.stderr:
            pytest.skip("this machine does not allow tracing")
        assert code in {0, 137, -9}, done.stderr
        visible = faults.check(root)
        store = LocalStore(root)
        assert store.model("iris").aliases["champion"] in {1, 2}
        store.close()
        assert len(visible) == 2
        faults.go_on(root, visible)
        shutil.rmtree(root)
        assert n < 200
    count(request.node.name, f"{n - 1} system calls, killed at each")


def test_a_stopped_writer_makes_others_wait_and_say_so(faults, shm):
    root = shm / "store"
    warm(faults, root)
    reader, writer = os.pipe()

    def child():
        def stop(operation, _):
            if operation == "commit":
                _fsops.hook = None
                os.write(writer, b"x")
                os.kill(os.getpid(), signal.SIGSTOP)

        store = LocalStore(root)
        _fsops.hook = stop
        store.set_alias("iris", "champion", 2)

    pid = faults.fork(child)
    os.read(reader, 1)
    store = LocalStore(root, seconds=0.1)
    try:
        with pytest.raises(StoreError, match=r"was locked for 0\.1 s"):
            store.set_alias("iris", "champion", 1)
        assert store.model("iris").aliases == {"champion": 1}
    finally:
        os.kill(pid, signal.SIGCONT)

    assert faults.wait(pid) == 0
    store.set_alias("iris", "other", 1)
    assert store.model("iris").aliases == {"champion": 2, "other": 1}
    store.close()
