import gc
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from modelserving.errors import DamagedModelError, InvalidTrustError, TrustFolderError, UntrustedModelError
from modelserving.trust import policy
from modelserving.trust.manifest import scan

DIGEST = "sha256:" + 64 * "a"
OTHER = "sha256:" + 64 * "b"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True, mode=0o755)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "code" / "helpers.py").write_text("x = 1\n")
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o022)
    return folder


def refused(verified, **how):
    with pytest.raises(UntrustedModelError) as caught:
        policy.grant(
            verified,
            "code",
            model="models:/fraud/3",
            reason="Python code (python_model.pkl, cloudpickle)",
            **how,
        )
    return caught.value


def granted(verified, **how):
    return policy.grant(verified, "code", model="models:/fraud/3", reason="Python code", **how)


def test_a_folder_that_is_mine_alone_is_loaded_from_where_it_is(folder):
    verified = policy.open_folder(folder)

    assert verified.folder == folder.resolve()
    assert verified.digest == scan(folder).digest


@pytest.mark.parametrize("where", [".", "MLmodel", "code", "code/helpers.py", ".."])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_a_folder_that_others_could_write_is_loaded_from_a_private_copy(folder, where, mode):
    path = (folder / where).resolve()
    path.chmod(path.stat().st_mode | mode)
    verified = policy.open_folder(folder)

    assert verified.folder != folder.resolve()
    assert stat.S_IMODE(verified.folder.parent.stat().st_mode) == 0o700
    assert scan(verified.folder) == scan(folder) == verified.manifest


def test_a_folder_of_somebody_else_is_loaded_from_a_private_copy(folder):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(folder / "MLmodel", 12345, 12345)

    assert policy.open_folder(folder).folder != folder.resolve()


def test_a_folder_under_tmp_is_not_copied_for_the_sticky_bit_protects_it(folder):
    folder.parent.chmod(0o1777)

    assert policy.open_folder(folder).folder == folder.resolve()


def test_the_private_copy_goes_away_with_the_object(folder):
    folder.chmod(0o777)
    verified = policy.open_folder(folder)
    copy = verified.folder
    assert copy.exists()

    del verified
    gc.collect()
    assert not copy.parent.exists()


def test_the_private_copy_goes_away_at_exit_but_not_at_that_of_a_forked_child(folder):
    folder.chmod(0o777)
    script = (
        "import os, pathlib, sys\n"
        "from modelserving.trust.policy import open_folder\n"
        f"verified = open_folder(pathlib.Path({str(folder)!r}))\n"
        "child = os.fork()\n"
        "if not child: sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(verified.folder, (verified.folder / 'MLmodel').exists())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert answer[1] == "True"
    assert not Path(answer[0]).exists()


def test_a_refused_folder_leaves_no_private_copy(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (folder / "link").symlink_to("MLmodel")
    folder.chmod(0o777)

    with pytest.raises(DamagedModelError):
        policy.open_folder(folder)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_bytes_other_than_the_store_recorded_are_refused_by_file(folder):
    expected = scan(folder)
    (folder / "MLmodel").write_text("flavors: []\n")

    with pytest.raises(DamagedModelError, match="MLmodel"):
        policy.open_folder(folder, expected)


def test_a_hard_link_is_refused_unless_a_store_recorded_the_bytes(folder, tmp_path):
    (folder / "more").hardlink_to(folder / "MLmodel")

    with pytest.raises(DamagedModelError, match="hard link"):
        policy.open_folder(folder)
    assert policy.open_folder(folder, scan(folder)).digest == scan(folder).digest


def test_a_file_that_was_swapped_and_put_back_is_noticed(folder):
    verified = policy.open_folder(folder)
    verified.check_unchanged()
    (folder / "MLmodel").rename(folder / "aside")
    (folder / "aside").rename(folder / "MLmodel")

    with pytest.raises(DamagedModelError, match="changed while it was loaded"):
        verified.check_unchanged()


@pytest.mark.parametrize("tier", ["data", "native"])
def test_what_is_not_code_needs_no_trust(folder, tier):
    verified = policy.open_folder(folder)
    grant = policy.grant(verified, tier, model="m", reason="")

    assert (grant.folder, grant.digest, grant.tier) == (verified.folder, verified.digest, tier)


def test_code_that_nobody_vouched_for_is_refused_with_the_line_to_type(folder):
    verified = policy.open_folder(folder)
    error = refused(verified)

    assert str(error) == (
        "refused: 'models:/fraud/3' contains Python code (python_model.pkl, cloudpickle); if you trust "
        f"whoever made these exact bytes: modelserving serve -m models:/fraud/3 --trust {verified.digest}"
    )


def test_the_caller_can_trust_one_call(folder):
    assert granted(policy.open_folder(folder), trust="code").tier == "code"


@pytest.mark.parametrize("several", [False, True])
def test_the_caller_can_trust_a_digest(folder, several):
    verified = policy.open_folder(folder)

    assert granted(verified, trust=[OTHER, verified.digest] if several else verified.digest).tier == "code"
    refused(verified, trust=[OTHER] if several else OTHER)


def test_one_changed_byte_takes_the_trust_of_a_digest_away(folder):
    digest = policy.open_folder(folder).digest
    (folder / "code" / "helpers.py").write_text("x = 2\n")

    refused(policy.open_folder(folder), trust=digest)


@pytest.mark.parametrize(
    "trust",
    [
        "yes",
        "",
        "all",
        "*",
        "CODE",
        "code ",
        "sha256:",
        DIGEST[:-1],
        DIGEST + "\n",
        DIGEST.upper(),
        [""],
        ["code"],
        [True],
        [DIGEST, "x"],
    ],
)
def test_nothing_else_means_yes(folder, trust):
    with pytest.raises(InvalidTrustError, match="is not a digest"):
        granted(policy.open_folder(folder), trust=trust)


def test_what_i_made_loads_without_a_question(folder):
    verified = policy.open_folder(folder)
    refused(verified)
    policy.remember(verified.digest, "models:/fraud/3")

    assert granted(verified).tier == "code"
    assert policy.who_says_yes(verified.digest) == "you, on this machine"


def test_what_i_made_is_foreign_in_another_home(folder, tmp_path, monkeypatch):
    verified = policy.open_folder(folder)
    policy.remember(verified.digest)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))

    refused(verified)


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../store", "file://{}"])
def test_a_trusted_store_says_yes_however_it_is_spelled(folder, tmp_path, spelling):
    (tmp_path / "store").mkdir()
    verified = policy.open_folder(folder)
    trusted = spelling.format(tmp_path / "store")

    assert granted(verified, store=str(tmp_path / "store"), trusted_stores=[trusted]).tier == "code"
    refused(verified, store=str(tmp_path / "other"), trusted_stores=[trusted])
    refused(verified, store=None, trusted_stores=[trusted])


def test_no_environment_variable_says_yes(folder, monkeypatch):
    for name in (
        "MODELSERVING_TRUST",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
        "MLFLOW_ALLOW_MODEL_CODE_EXECUTION",
    ):
        monkeypatch.setenv(name, "true")

    refused(policy.open_folder(folder))


def test_the_trust_folder_is_private_and_holds_one_file_per_digest(state):
    policy.remember(DIGEST, "models:/a/1\nsecond line")
    policy.remember(DIGEST, "again")
    policy.remember(OTHER)

    trust = state / "modelserving" / "trust"
    assert stat.S_IMODE(trust.stat().st_mode) == 0o700
    assert sorted(path.name for path in trust.iterdir()) == [64 * "a", 64 * "b"]
    assert policy.remembered() == {DIGEST: "models:/a/1 second line", OTHER: ""}


def test_trust_can_be_taken_back():
    policy.remember(DIGEST)

    assert policy.forget(DIGEST)
    assert not policy.forget(DIGEST)
    assert not policy.is_remembered(DIGEST)


def test_nothing_is_remembered_before_the_first_time(state):
    assert policy.remembered() == {}
    assert not policy.is_remembered(DIGEST)
    assert not state.exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_trust_folder_that_others_can_write_counts_for_nothing(state, mode):
    policy.remember(DIGEST)
    (state / "modelserving" / "trust").chmod(mode)

    assert not policy.is_remembered(DIGEST)
    for ask in (policy.remembered, lambda: policy.remember(OTHER)):
        with pytest.raises(TrustFolderError, match="others can write"):
            ask()


def test_a_trust_folder_that_is_a_link_counts_for_nothing(state, tmp_path):
    policy.remember(DIGEST)
    trust = state / "modelserving" / "trust"
    trust.rename(tmp_path / "moved")
    trust.symlink_to(tmp_path / "moved")

    assert not policy.is_remembered(DIGEST)


def test_a_trust_folder_of_somebody_else_counts_for_nothing(state):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    policy.remember(DIGEST)
    os.chown(state / "modelserving" / "trust", 12345, 12345)

    assert not policy.is_remembered(DIGEST)


@pytest.mark.parametrize("plant", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hostname")])
def test_only_a_regular_file_of_mine_is_a_yes(state, plant):
    policy.remember(OTHER)
    plant(state / "modelserving" / "trust" / (64 * "a"))

    assert not policy.is_remembered(DIGEST)
    assert list(policy.remembered()) == [OTHER]
    with pytest.raises(TrustFolderError, match="not a file of yours"):
        policy.remember(DIGEST)


def test_a_read_only_home_is_an_error_with_its_path(state):
    state.mkdir()
    (state / "modelserving").write_text("a file in the way")

    with pytest.raises(TrustFolderError, match="modelserving/trust"):
        policy.remember(DIGEST)
    assert not policy.is_remembered(DIGEST)


def test_a_relative_state_home_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert policy.trust_folder() == tmp_path / ".local" / "state" / "modelserving" / "trust"


def test_a_copied_store_carries_no_trust(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")

    refused(policy.open_folder(tmp_path / "copy"), store=str(tmp_path))
