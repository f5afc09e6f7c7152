"""C11: links, special files, permissions, and somebody who swaps files while they are read."""

import hashlib
import os
import threading

import pytest

from modelserving.errors import DamagedModelError
from modelserving.trust import policy
from modelserving.trust.manifest import scan

GOOD = b"good" * 50_000
ROUNDS = 300


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "weights").write_bytes(GOOD)
    (folder / "MLmodel").write_text("flavors: {}\n")
    return folder


class Attacker(threading.Thread):
    """Does a step again and again until the block ends."""

    def __init__(self, step):
        super().__init__()
        self.step, self.stop, self.steps = step, threading.Event(), 0

    def run(self):
        while not self.stop.is_set():
            self.step()
            self.steps += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.join()


def loaded(folder):
    """What a flavor would read from the verified folder; None when it was refused."""
    try:
        verified = policy.open_folder(folder)
        data = {
            entry.path: (verified.folder / entry.path).read_bytes() for entry in verified.manifest.entries
        }
        verified.check_unchanged()
    except (DamagedModelError, FileNotFoundError):
        return None
    for entry in verified.manifest.entries:
        assert hashlib.sha256(data[entry.path]).hexdigest() == entry.sha256
    return data


def swap_link(folder, secret):
    """A file and a link to a secret take turns under one name."""
    path, link, aside = folder / "data" / "weights", folder.parent / "link", folder.parent / "aside"

    def step():
        link.symlink_to(secret)
        path.rename(aside)
        link.rename(path)
        aside.rename(path)

    return step


def swap_content(folder, _secret):
    """Two files take turns under one name, without a moment when there is none."""
    path, other = folder / "data" / "weights", folder.parent / "other"

    def step():
        for content in (b"evil" * 50_000, GOOD):
            other.write_bytes(content)
            other.rename(path)

    return step


def swap_parent(folder, secret):
    """The folder above a file and a link to another folder take turns."""
    link, aside = folder.parent / "link", folder.parent / "aside"

    def step():
        link.symlink_to(secret.parent)
        (folder / "data").rename(aside)
        link.rename(folder / "data")
        (folder / "data").unlink()
        aside.rename(folder / "data")

    return step


def overwrite(folder, _secret):
    """One file changes in place."""
    path = folder / "data" / "weights"

    def step():
        with path.open("r+b") as file:
            file.write(b"evil")
            file.seek(0)
            file.write(b"good")

    return step


@pytest.mark.parametrize("swap", [swap_link, swap_content, swap_parent, overwrite])
@pytest.mark.parametrize("mode", [0o755, 0o777], ids=["in place", "private copy"])
def test_what_is_loaded_is_what_was_hashed(folder, tmp_path, swap, mode):
    (tmp_path / "elsewhere").mkdir()
    secret = tmp_path / "elsewhere" / "weights"
    secret.write_bytes(b"secret" * 1000)
    folder.chmod(mode)
    with Attacker(swap(folder, secret)) as attacker:
        seen = [loaded(folder) for _ in range(ROUNDS)]

    assert attacker.steps
    assert all(b"secret" not in data for found in seen if found for data in found.values())


def test_what_was_verified_cannot_be_changed_in_the_original(folder):
    folder.chmod(0o777)
    verified = policy.open_folder(folder)
    (folder / "data" / "weights").write_bytes(b"evil")

    assert (verified.folder / "data" / "weights").read_bytes() == GOOD
    verified.check_unchanged()


def test_a_store_s_digest_is_checked_on_the_bytes_that_were_read(folder):
    expected = scan(folder)
    folder.chmod(0o777)
    with Attacker(swap_content(folder, None)):
        for _ in range(ROUNDS):
            try:
                verified = policy.open_folder(folder, expected)
            except DamagedModelError:
                continue
            assert (verified.folder / "data" / "weights").read_bytes() == GOOD


def test_a_parent_that_is_a_link_is_followed_once_and_only_there(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)

    assert policy.open_folder(tmp_path / "link").folder == folder.resolve()


@pytest.mark.parametrize("special", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])  # noqa: PTH211
def test_what_never_ends_does_not_hang(folder, special):
    special(folder / "endless")

    with pytest.raises(DamagedModelError):
        policy.open_folder(folder)


def test_a_device_is_refused(folder):
    try:
        os.mknod(folder / "zero", 0o20666, os.makedev(1, 5))
    except OSError:
        pytest.skip("devices cannot be made here")

    with pytest.raises(DamagedModelError, match="a character device"):
        policy.open_folder(folder)


@pytest.mark.parametrize("name", ["MLmodel", "data/weights"])
@pytest.mark.parametrize("offset", range(0, 12, 3))
def test_one_flipped_bit_is_refused_by_name_and_both_digests(folder, name, offset):
    expected = scan(folder)
    path = folder / name
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)

    with pytest.raises(DamagedModelError) as caught:
        policy.open_folder(folder, expected)
    assert caught.value.file == name
    assert caught.value.expected != caught.value.actual


def test_a_file_cut_at_any_length_is_refused(folder):
    expected = scan(folder)
    whole = (folder / "MLmodel").read_bytes()
    for length in range(len(whole)):
        (folder / "MLmodel").write_bytes(whole[:length])
        with pytest.raises(DamagedModelError, match="MLmodel"):
            policy.open_folder(folder, expected)
