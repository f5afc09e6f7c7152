"""How many registrations a second, beside what the fsyncs under the write lock allow on this disk.

Run it as ``python benchmarks/store.py [FOLDER]``; the folder says which disk. It prints

* the ceiling: one process that only does the writes and fsyncs that a registration does under the write lock;
* registrations of 100 KB models from 8 processes, of models logged before and of models logged with it;
* what one registration and one page of a listing cost in a store with 10, 1,000 and 100,000 versions.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from modelserving.store import LocalStore
from modelserving.store.tables import MODELS, VERSIONS
from modelserving.uri import ModelURI

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 8
SECONDS, ROUNDS = 2.0, 4


def ceiling(folder: Path, seconds: float) -> float:
    """How often a second the writes and fsyncs go that one registration does under the write lock."""
    place = folder / "ceiling"
    (place / "versions").mkdir(parents=True)
    root = os.open(place, os.O_RDONLY)
    versions = os.open(place / "versions", os.O_RDONLY)
    index = os.open(place / "index", os.O_RDWR | os.O_CREAT)
    os.pwrite(index, bytes(40_960), 0)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        count += 1
        (place / "prepared").write_bytes(b"x" * 400)  # not synced: that happens before the lock is taken
        journal = os.open(place / "journal", os.O_RDWR | os.O_CREAT)
        os.pwrite(journal, bytes(21_032), 0)
        (place / "prepared").rename(place / "versions" / str(count))
        os.fsync(versions)
        os.fdatasync(journal)
        os.fdatasync(root)
        os.pwrite(journal, bytes(12), 0)
        os.fdatasync(journal)
        for page in (0, 5, 6, 7, 8):
            os.pwrite(index, os.urandom(16) + bytes(4080), page * 4096)
        os.fdatasync(index)
        os.close(journal)
        (place / "journal").unlink()
        os.fdatasync(root)
    elapsed = time.perf_counter() - start
    for descriptor in (root, versions, index):
        os.close(descriptor)
    shutil.rmtree(place)
    return count / elapsed


def log(store: LocalStore, run_id: str, name: str | None, content: bytes) -> str:
    with store.stage() as folder:
        (folder / "MLmodel").write_text("flavors: {}\n")
        (folder / "model.bin").write_bytes(content)
        return store.log_model(folder, "m", run_id=run_id, registered_model_name=name)[0].model_id


def registrations(root: Path, seconds: float, *, logged_before: bool) -> float:
    """Registrations per second from 8 processes, each with a name of its own and one for all in turn."""
    LocalStore(root).create_run()
    reader, writer = os.pipe()
    ready, go = os.pipe()
    children = []
    for number in range(PROCESSES):
        pid = os.fork()
        if pid:
            children.append(pid)
            continue
        os.close(go)
        store = LocalStore(root)
        run_id = store.create_run().run_id
        model_id = log(store, run_id, None, os.urandom(100_000))
        os.read(ready, 1)
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            name = "shared" if count % 2 else f"own-{number}"
            if logged_before:
                store.register(name, model_id=model_id)
            else:
                log(store, run_id, name, os.urandom(100_000))
            count += 1
        os.write(writer, f"{count / (time.perf_counter() - start)}\n".encode())
        os._exit(0)
    os.close(ready)
    os.close(writer)
    time.sleep(1.0)  # all have logged their model
    os.close(go)
    with os.fdopen(reader) as told:
        rates = [float(line) for line in told]
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    return sum(rates)


def fill(store: LocalStore, versions: int) -> None:
    """Bring model ``big`` to so many versions, in one commit, without sidecars: the index is measured."""
    with store._index.writing() as db:
        model = MODELS.get(db, "big")
        row = VERSIONS.get(db, "big", 1)
        assert model is not None
        assert row is not None
        for number in range(model["next_version"], versions + 1):
            VERSIONS.insert(db, row | {"version": number})
        MODELS.update(db, model | {"next_version": versions + 1, "latest": versions})


def growth(root: Path) -> list[tuple[int, list[float]]]:
    """Versions, and what it costs then to register, list a page of ten, locate: medians in milliseconds.

    The three stores are measured in turn, so that a disk that is slow for a while is slow for all of them.
    """
    sizes = (10, 1_000, 100_000)
    actions = {versions: prepared(root / str(versions), versions) for versions in sizes}
    taken: dict[int, list[list[float]]] = {versions: [[], [], []] for versions in sizes}
    for _ in range(100):
        for versions in sizes:
            for action, times in zip(actions[versions], taken[versions], strict=True):
                start = time.perf_counter()
                action()
                times.append(time.perf_counter() - start)
    return [(versions, [statistics.median(times) * 1000 for times in taken[versions]]) for versions in sizes]


def prepared(root: Path, versions: int) -> list[Callable[[], object]]:
    """What is measured, on a store with so many versions of one model."""
    store = LocalStore(root)
    model_id = log(store, store.create_run().run_id, "big", os.urandom(100_000))
    fill(store, versions)
    uri = ModelURI("version", name="big", version=versions // 2)
    return [
        lambda: store.register("big", model_id=model_id),
        lambda: store.versions("big", limit=10),
        lambda: store.locate(uri),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="where to measure; default: the temporary folder")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        limits, ready, fresh = [], [], []
        for number in range(
            ROUNDS
        ):  # in turn, so that a disk that is slow for a while is slow for all of them
            limits.append(ceiling(folder, options.seconds))
            ready.append(registrations(folder / f"ready-{number}", options.seconds, logged_before=True))
            fresh.append(registrations(folder / f"fresh-{number}", options.seconds, logged_before=False))
        limit = statistics.mean(limits)
        for what, rates in (
            ("ceiling: fsyncs under the lock, one process", limits),
            ("8 processes, register", ready),
            ("8 processes, log 100 KB and register", fresh),
        ):
            rate = statistics.mean(rates)
            spread = ", ".join(f"{one:.0f}" for one in rates)
            print(f"{what:45}{rate:7.0f} /s  {rate / limit:5.0%}  ({spread})")
        print("versions    register ms    page of 10 ms    locate ms")
        for versions, (register, page, locate) in growth(folder):
            print(f"{versions:8,}    {register:11.2f}    {page:13.2f}    {locate:9.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
