"""Many processes and threads at once: all succeed, each reader sees old or new, nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time

import pytest

from modelserving.errors import AliasMovedError, ModelServingError, NameTakenError
from modelserving.store import LocalStore
from modelserving.uri import ModelURI


def together(faults, actions):
    """Run each action in a process of its own, all released at one moment; their exit codes."""
    reader, writer = os.pipe()

    def child(action):
        os.close(writer)
        os.read(reader, 1)  # ends when the parent closes its end
        action()

    children = [faults.fork(lambda action=action: child(action)) for action in actions]
    os.close(reader)
    os.close(writer)
    return [faults.wait(pid) for pid in children]


@pytest.mark.parametrize("processes", [64])
def test_f24_many_processes_make_one_cold_store(faults, tmp_path, count, request, processes):
    root = tmp_path / "store"
    codes = together(
        faults, [lambda n=n: faults.log(LocalStore(root), f"model {n}") for n in range(processes)]
    )

    assert codes == [0] * processes
    visible = faults.check(root)
    assert sorted(visible) == [("iris", n) for n in range(1, processes + 1)]
    assert len(set(visible.values())) == processes
    count(request.node.name, f"{codes.count(0)} of {processes} succeeded, versions 1 to {len(visible)}")
    faults.go_on(root, visible)


def test_f25_two_spellings_of_one_name_are_one_name(faults, shm):
    root = shm / "store"

    def child(name):
        try:
            faults.log(LocalStore(root), name, name=name)
        except NameTakenError:
            os._exit(7)

    codes = together(faults, [lambda name=name: child(name) for name in ("Iris", "iris", "IRIS", "iRis")])

    assert sorted(codes) == [0, 7, 7, 7]


def test_f26_the_same_content_in_parallel_is_one_tree(faults, shm):
    root = shm / "store"
    codes = together(faults, [lambda: faults.log(LocalStore(root), "the same") for _ in range(16)])

    assert codes == [0] * 16
    assert len(faults.check(root)) == 16
    assert len(list((root / "trees").iterdir())) == 1


def test_f27_readers_of_a_moving_alias_see_old_or_new_and_whole(faults, shm, count, request):
    root = shm / "store"
    store = LocalStore(root)
    digests = {faults.log(store, f"model {n}")[1].version: None for n in range(2)}
    digests = {n: store.version("iris", n).digest for n in digests}
    store.set_alias("iris", "champion", 1)
    store.close()
    until = time.monotonic() + 3
    reader, writer = os.pipe()

    def swap():
        mine, n = LocalStore(root), 0
        while time.monotonic() < until:
            n += 1
            mine.set_alias("iris", "champion", 1 + n % 2)
        os.write(writer, b"s%d\n" % n)

    def read():
        mine, n = LocalStore(root), 0
        while time.monotonic() < until:
            n += 1
            located = mine.locate(ModelURI.parse("models:/iris@champion"))
            assert located.digest == digests[located.version]
            mine._trees.check(located.digest)
        os.write(writer, b"r%d\n" % n)

    codes = together(faults, [swap, *[read] * 16])

    os.close(writer)
    with os.fdopen(reader) as told:
        lines = told.read().split()
    assert codes == [0] * 17
    swaps = sum(int(line[1:]) for line in lines if line[0] == "s")
    reads = sum(int(line[1:]) for line in lines if line[0] == "r")
    count(request.node.name, f"{swaps} swaps under 16 readers, {reads} reads, all of them old or new")
    assert swaps
    assert reads


def test_f28_of_two_who_expect_the_same_one_moves_the_alias(faults, shm):
    root = shm / "store"
    store = LocalStore(root)
    for n in range(4):
        faults.log(store, f"model {n}")
    store.set_alias("iris", "champion", 1)
    store.close()

    def child(version):
        try:
            LocalStore(root).set_alias("iris", "champion", version, expected=1)
        except AliasMovedError:
            os._exit(7)

    codes = together(faults, [lambda version=version: child(version) for version in (2, 3, 4)])

    assert sorted(codes) == [0, 7, 7]
    winner = codes.index(0) + 2
    assert store.model("iris").aliases == {"champion": winner}
    store.close()


def test_f29_gc_in_a_loop_beside_loggers_of_equal_content(faults, shm, count, request):
    root = shm / "store"
    LocalStore(root).create_run()
    until = time.monotonic() + 3

    def log():
        mine = LocalStore(root)
        while time.monotonic() < until:
            _, version = faults.log(mine, "the same")
            if version.version % 3 == 0:
                mine.delete_version("iris", version.version, purge=True)

    def collect():
        mine = LocalStore(root)
        while time.monotonic() < until:
            mine.gc(grace=0)

    def churn(name):  # the tree comes and goes: whoever needs it next must bring it back
        mine = LocalStore(root)
        while time.monotonic() < until:
            _, version = faults.log(mine, "rare", name=name)
            mine._trees.check(version.digest)
            mine.delete_model(name, purge=True)

    codes = together(faults, [*[log] * 8, collect, lambda: churn("one"), lambda: churn("two")])

    assert set(codes) <= {0}
    store = LocalStore(root)
    kept = faults.all_versions(store)
    for version in kept:
        store._trees.check(version.digest)
    assert [one for one in store.doctor() if one.severity == "error"] == []
    count(request.node.name, f"{len(kept)} versions kept beside a gc loop, 0 trees lost")
    store.close()


def test_f32_a_child_of_a_fork_uses_a_store_its_parent_has_open(faults, shm):
    root = shm / "store"
    store = LocalStore(root)
    faults.log(store, "parent")
    store.models()
    stop = threading.Event()

    def keep_writing():
        mine = 0
        while not stop.is_set():
            mine += 1
            faults.log(store, f"thread {mine}")

    thread = threading.Thread(target=keep_writing)
    thread.start()
    try:
        children = [
            faults.fork(lambda n=n: [faults.log(store, f"child {n}.{k}") for k in range(3)]) for n in range(8)
        ]
        codes = [faults.wait(pid) for pid in children]
    finally:
        stop.set()
        thread.join()

    assert codes == [0] * 8
    store.close()
    assert len(faults.check(root)) > 24


def test_f33_threads_share_one_store(faults, shm):
    store = LocalStore(shm / "store")
    failures = []
    barrier = threading.Barrier(32)

    def work(n):
        barrier.wait()
        try:
            faults.log(store, f"model {n}")
            store.set_alias("iris", f"a{n}", 1)
            store.models()
        except BaseException as error:
            failures.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=[n]) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sorted(faults.check(store.root)) == [("iris", n) for n in range(1, 33)]
    assert len(store.model("iris").aliases) == 32
    store.close()


def test_f44_a_backup_made_while_others_write_holds_all_that_was_there_before(faults, shm, count, request):
    root, copy = shm / "store", shm / "copy"
    store = LocalStore(root)
    before = [faults.log(store, f"model {n}")[1] for n in range(5)]
    store.close()
    until = time.monotonic() + 2

    def write():
        mine, n = LocalStore(root), 0
        while time.monotonic() < until:
            n += 1
            faults.log(mine, f"{os.getpid()} {n}", aliases=["newest"])

    children = [faults.fork(write) for _ in range(3)]
    backups = 0
    while time.monotonic() < until:
        copy.mkdir()
        source = sqlite3.connect(f"file:{root}/registry.db?mode=ro", uri=True, timeout=30)
        target = sqlite3.connect(copy / "registry.db")
        source.backup(target)  # the index first: all that it refers to is in place by then
        source.close()
        target.close()
        for name in ("trees", "manifests", "logged", "runs", "models"):
            shutil.copytree(root / name, copy / name)
        for name in ("tmp", "trash"):
            (copy / name).mkdir()
        shutil.copy(root / "FORMAT", copy)
        there = LocalStore(copy)
        known = {(version.name, version.version, version.digest) for version in faults.all_versions(there)}
        assert {(version.name, version.version, version.digest) for version in before} <= known
        for _, _, digest in known:
            there._trees.check(digest)
        faults.log(there, "on the copy")
        there.close()
        shutil.rmtree(copy)
        backups += 1
    assert [faults.wait(pid) for pid in children] == [0, 0, 0]
    count(request.node.name, f"{backups} backups beside 3 writers, each complete")


def test_a_rebuild_keeps_writers_out_and_loses_nothing_of_theirs(faults, shm, count, request):
    root = shm / "store"
    store = LocalStore(root)
    faults.log(store, "first")
    until = time.monotonic() + 2
    reader, writer = os.pipe()

    def write():
        mine, n = LocalStore(root), 0
        while time.monotonic() < until:
            n += 1
            _, version = faults.log(mine, f"{os.getpid()} {n}", aliases=["newest"])
            os.write(writer, f"{version.version} {version.digest}\n".encode())

    children = [faults.fork(write) for _ in range(4)]
    rebuilds = 0
    while time.monotonic() < until:
        store.rebuild()
        rebuilds += 1
    codes = [faults.wait(pid) for pid in children]
    os.close(writer)
    with os.fdopen(reader) as told:
        acknowledged = [("iris", int(line.split()[0]), line.split()[1]) for line in told]

    assert codes == [0] * 4
    store.close()
    faults.check(root, acknowledged)
    count(
        request.node.name, f"{rebuilds} rebuilds beside 4 writers, {len(acknowledged)} acknowledged, 0 lost"
    )


def test_a_reader_that_never_stops_does_not_starve_a_writer(faults, shm):
    root = shm / "store"
    store = LocalStore(root)
    faults.log(store, "first", aliases=["champion"])
    stop = time.monotonic() + 2

    def read():
        mine = LocalStore(root)
        while time.monotonic() < stop:
            try:
                mine.search(), mine.locate(ModelURI.parse("models:/iris@champion"))
            except ModelServingError:
                os._exit(9)

    children = [faults.fork(read) for _ in range(8)]
    for n in range(5):
        store.set_alias("iris", f"a{n}", 1)
    assert time.monotonic() < stop + 5
    assert [faults.wait(pid) for pid in children] == [0] * 8
    store.close()
