"""Full disks, failing disks, too many open files: a typed error, and what worked before works still."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from modelserving.errors import ModelServingError, StoreError, StoreFullError
from modelserving.store import LocalStore, _fsops


@pytest.fixture
def base(faults, shm):
    store = LocalStore(shm / "base")
    faults.log(store, "first", aliases=["champion"])
    store.close()
    return shm / "base"


def failing(code):
    def action(_, path):
        raise OSError(code, os.strerror(code), path)

    return action


def failure_of(action):
    try:
        action()
    except ModelServingError as error:
        return error
    return None


def everything(faults, store):
    faults.log(store, "new", aliases=["challenger"])
    store.set_alias("iris", "champion", 2)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(errno.ENOSPC, id="ENOSPC"),
        pytest.param(errno.EIO, id="EIO"),
        pytest.param(errno.EDQUOT, id="EDQUOT", marks=pytest.mark.slow),
        pytest.param(errno.EMFILE, id="EMFILE", marks=pytest.mark.slow),
        pytest.param(errno.EROFS, id="EROFS", marks=pytest.mark.slow),
    ],
)
def test_f04_f07_every_operation_failing_once(faults, shm, base, count, request, code):
    old = faults.check(base)

    n, refused, done = 0, 0, False
    while not done:
        n += 1
        root = shm / f"at-{n}"
        shutil.copytree(base, root)
        store = LocalStore(root)
        _fsops.hook = hook = faults.At(n, failing(code))
        failure = failure_of(lambda store=store: everything(faults, store))
        if failure is not None:
            refused += 1
            assert isinstance(failure, StoreFullError if code in {errno.ENOSPC, errno.EDQUOT} else StoreError)
            assert "\n" not in str(failure)
        _fsops.hook = None
        done = len(hook.seen) < n
        assert faults.locate(store, "models:/iris/1").digest == old["iris", 1]
        store.close()
        visible = faults.check(root, [("iris", 1, old["iris", 1])])
        if n % 8 == 0 or done:
            faults.go_on(root, visible)
        shutil.rmtree(root)
    count(request.node.name, f"{n - 1} operations, each failed once; {refused} typed errors")
    assert refused > 30


def test_f07_a_failed_fsync_is_never_tried_again(faults, base):
    store = LocalStore(base)
    hook = faults.At(1, failing(errno.EIO), only={"fsync"})
    _fsops.hook = hook

    with pytest.raises(StoreError, match="the disk reports an error"):
        faults.log(store, "new")
    assert hook.seen == ["fsync"]
    store.close()


def test_f05_a_disk_that_is_really_full(faults, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        store = LocalStore(disk / "store")
        _, version = faults.log(store, "small", aliases=["champion"])
        run_id = store.create_run().run_id

        with pytest.raises(StoreFullError, match="no space left"), store.stage() as folder:
            (folder / "MLmodel").write_bytes(os.urandom(2 << 20))
        failure = None
        while failure is None:
            failure = failure_of(lambda: faults.log(store, os.urandom(4000).hex(), run_id=run_id))
        assert isinstance(failure, StoreFullError)

        store.close()
        visible = faults.check(disk / "store", [(version.name, version.version, version.digest)])
        assert len(visible) > 1
        assert faults.locate(store, "models:/iris@champion").digest == version.digest
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_f06_a_limit_on_the_size_of_files(faults, base):
    def child():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = LocalStore(base)
        for limit in (100, 5_000, 40_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                with store.stage() as folder:
                    (folder / "MLmodel").write_bytes(b"x" * 50_000)
                    store.log_model(folder, "m", run_id="0" * 32, registered_model_name="iris")
            except StoreFullError:
                pass
            try:
                for n in range(200):
                    store.set_tag("iris", f"tag-{n}", "x" * 1000)
            except StoreError:
                continue
            raise AssertionError(limit)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        faults.log(store, "afterwards")

    assert faults.wait(faults.fork(child)) == 0
    assert len(faults.check(base)) == 2


def test_f08_too_many_open_files(faults, base):
    def child():
        store = LocalStore(base)
        faults.log(store, "second")
        before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = {int(name) for name in before if Path(f"/proc/self/fd/{name}").exists()}
        refused = 0
        for spare in range(8):
            limit = next(n for n in range(10_000) if len(set(range(n)) - taken) == spare)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, usual[1]))
            failure = failure_of(lambda spare=spare: faults.log(LocalStore(base), f"with {spare}"))
            if failure is not None:
                assert isinstance(failure, StoreError), failure
                refused += 1
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        assert refused >= 2
        assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        faults.log(store, "afterwards")

    assert faults.wait(faults.fork(child)) == 0
    assert len(faults.check(base)) >= 3


def test_f09_a_storm_of_signals_changes_nothing(faults, base):
    store = LocalStore(base)
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for n in range(20):
            faults.log(store, f"model {n}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    store.close()

    assert len(faults.check(base)) == 21


def test_f10_short_writes(faults, base):
    store = LocalStore(base)
    _fsops.hook = lambda operation, _: 3 if operation == "write" else None

    everything(faults, store)

    _fsops.hook = None
    store.close()
    assert len(faults.check(base)) == 2


def test_an_interrupt_at_any_operation_leaves_nothing_half_done(faults, shm, base, count, request):
    def interrupt(*_):
        raise KeyboardInterrupt

    n, done = 0, False
    while not done:
        n += 1
        root = shm / f"at-{n}"
        shutil.copytree(base, root)
        store = LocalStore(root)
        _fsops.hook = hook = faults.At(n, interrupt)
        with contextlib.suppress(KeyboardInterrupt):
            everything(faults, store)
        _fsops.hook = None
        done = len(hook.seen) < n
        store.close()
        visible = faults.check(root)
        if n % 8 == 0 or done:
            faults.go_on(root, visible)
        shutil.rmtree(root)
    count(request.node.name, f"{n - 1} operations, interrupted at each")
