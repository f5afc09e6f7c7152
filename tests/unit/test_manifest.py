import hashlib
import os
import socket

import pytest

from modelserving.errors import DamagedModelError
from modelserving.trust.manifest import Entry, Manifest, scan


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_bytes(b"flavors: {}\n")
    (folder / "code" / "helpers.py").write_bytes(b"x = 1\n")
    return folder


def test_every_file_is_listed_with_its_size_and_digest_sorted_by_path(folder):
    manifest = scan(folder)

    assert manifest.entries == (
        Entry("MLmodel", 12, sha256(b"flavors: {}\n")),
        Entry("code/helpers.py", 6, sha256(b"x = 1\n")),
    )
    assert manifest.size == 18


def test_the_digest_is_the_sha256_of_the_canonical_bytes(folder):
    manifest = scan(folder)

    assert manifest.digest == "sha256:" + sha256(manifest.to_bytes())


def test_the_canonical_form_never_changes():
    manifest = Manifest((Entry("b", 0, sha256(b"")), Entry("å", 1, sha256(b"x"))))

    assert manifest.to_bytes() == (
        b'[{"path":"b","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},'
        b'{"path":"\\u00e5","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1}]\n'
    )
    assert manifest.digest == "sha256:12c83a2ab18dae444868563700afed006544ff57df15302155fb706a6de9f53c"


def test_a_file_larger_than_the_buffer_is_hashed_whole(tmp_path):
    data = os.urandom((1 << 20) * 2 + 17)
    (tmp_path / "weights").write_bytes(data)

    assert scan(tmp_path).entries == (Entry("weights", len(data), sha256(data)),)


def test_moving_a_byte_from_one_file_to_the_next_changes_the_digest(tmp_path):
    for name, files in {"one": (b"ab", b"c"), "two": (b"a", b"bc")}.items():
        (tmp_path / name).mkdir()
        for path, data in zip("xy", files, strict=True):
            (tmp_path / name / path).write_bytes(data)

    assert scan(tmp_path / "one").digest != scan(tmp_path / "two").digest


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (lambda folder: (folder / "MLmodel").write_bytes(b"flavors: []\n"), "MLmodel"),
        (lambda folder: (folder / "code" / "helpers.py").unlink(), "code/helpers.py"),
        (lambda folder: (folder / "code" / "extra.py").write_bytes(b""), "code/extra.py"),
        (lambda folder: (folder / ".hidden").write_bytes(b""), ".hidden"),
        (lambda folder: (folder / "MLmodel").rename(folder / "mlmodel"), "MLmodel"),
    ],
    ids=["changed", "missing", "extra", "hidden extra", "renamed"],
)
def test_a_difference_names_the_file(folder, damage, file):
    manifest = scan(folder)
    damage(folder)

    with pytest.raises(DamagedModelError) as caught:
        manifest.check(scan(folder))
    assert caught.value.file == file


def test_a_changed_file_is_reported_with_both_digests(folder):
    manifest = scan(folder)
    (folder / "MLmodel").write_bytes(b"flavors: []\n")

    with pytest.raises(DamagedModelError) as caught:
        manifest.check(scan(folder))
    assert caught.value.expected == "sha256:" + sha256(b"flavors: {}\n")
    assert caught.value.actual == "sha256:" + sha256(b"flavors: []\n")


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(os.path.relpath(path))


SPECIAL = {
    "a symbolic link": lambda path: path.symlink_to("MLmodel"),
    "a symbolic link (broken)": lambda path: path.symlink_to("nowhere"),
    "a symbolic link (folder)": lambda path: path.symlink_to("code"),
    "a FIFO": os.mkfifo,
    "a socket": make_socket,
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_not_a_regular_file_is_refused_and_named(folder, kind):
    SPECIAL[kind](folder / "code" / "odd")

    with pytest.raises(DamagedModelError) as caught:
        scan(folder)
    assert caught.value.file.endswith("model/code/odd")
    assert caught.value.actual == kind.partition(" (")[0]


def test_a_hard_link_is_refused_where_the_folder_is_foreign(folder, tmp_path):
    (tmp_path / "secret").write_text("password")
    (folder / "artifact").hardlink_to(tmp_path / "secret")

    assert len(scan(folder).entries) == 3
    with pytest.raises(DamagedModelError, match="hard link"):
        scan(folder, hard_links=False)


@pytest.mark.parametrize("name", [b"new\nline", b"esc\x1b[31m", b"\xff\xfe"])
def test_a_name_that_a_manifest_cannot_hold_is_refused(folder, name):
    os.close(os.open(os.fsencode(folder) + b"/" + name, os.O_CREAT | os.O_WRONLY))

    with pytest.raises(DamagedModelError) as caught:
        scan(folder)
    str(caught.value).encode()


def test_folders_nested_without_end_are_refused(tmp_path):
    deep = tmp_path.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)

    with pytest.raises(DamagedModelError, match="inside each other"):
        scan(tmp_path)


@pytest.mark.parametrize("missing", ["nowhere", "MLmodel"])
def test_what_is_not_a_folder_is_refused(folder, missing):
    with pytest.raises(DamagedModelError, match="expected a folder"):
        scan(folder / missing)


def test_an_unreadable_file_is_refused_by_name(folder):
    if os.geteuid() == 0:
        pytest.skip("root can read every file")
    (folder / "MLmodel").chmod(0)

    with pytest.raises(DamagedModelError, match="permission denied"):
        scan(folder)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "a//b", "./a", "a/..", "../a", "a\0b", "a\nb", "\udcff", 3, "x" * 5000]
)
def test_an_entry_names_a_file_inside_the_model(path):
    with pytest.raises(DamagedModelError):
        Entry(path, 0, sha256(b""))


@pytest.mark.parametrize("size", [-1, True, 1.0, "1", None])
def test_an_entry_has_a_size(size):
    with pytest.raises(DamagedModelError):
        Entry("a", size, sha256(b""))


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n", None, 7])
def test_an_entry_has_a_digest(digest):
    with pytest.raises(DamagedModelError):
        Entry("a", 0, digest)


def test_one_path_is_listed_once():
    with pytest.raises(DamagedModelError, match="found two"):
        Manifest((Entry("a", 0, sha256(b"")), Entry("a", 1, sha256(b"x"))))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 100_000,
        b"[]",
        b"[1]\n",
        b'[{"path":"a"}]\n',
        b'[{"path": "a","sha256":"' + b"0" * 64 + b'","size":1}]\n',
        b'[{"path":"b","sha256":"'
        + b"0" * 64
        + b'","size":1},{"path":"a","sha256":"'
        + b"0" * 64
        + b'","size":1}]\n',
        b'[{"path":"a","path":"b","sha256":"' + b"0" * 64 + b'","size":1}]\n',
        b'[{"path":"../a","sha256":"' + b"0" * 64 + b'","size":1}]\n',
    ],
)
def test_only_the_canonical_form_of_a_manifest_is_read(data):
    with pytest.raises(DamagedModelError):
        Manifest.from_bytes(data)
