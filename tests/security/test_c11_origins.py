"""C11: what was made here loads unasked, what is foreign does not, and what is loaded is what was hashed."""

import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from modelserving import create_app, load_model, log_model, register_model, resolve, save_model, start_run
from modelserving.errors import DamagedModelError, UntrustedModelError
from modelserving.trust.manifest import RECORDED


def double(rows):
    return rows * 2


def test_the_seed_flow_and_every_flow_of_ones_own_store_needs_no_trust(tmp_path):
    ensemble = pytest.importorskip("sklearn.ensemble")
    X, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 3
    forest = ensemble.RandomForestClassifier(n_estimators=5).fit(X, y)
    with start_run() as run:
        seed = log_model(forest, "forest", registered_model_name="Forest", input_example=X[:2])
    unregistered = log_model(double, "double", input_example=X)
    register_model(unregistered.model_uri, "Double")
    saved = save_model(double, tmp_path / "double", input_example=X)
    register_model(tmp_path / "double", "FromFolder")

    for uri in (
        seed.model_uri, "models:/Forest/latest", f"runs:/{run.info.run_id}/forest", unregistered.model_uri,
        "models:/Double/1", saved.model_uri, "models:/FromFolder/1",
    ):  # fmt: skip
        assert len(load_model(uri).predict(X)) == 40
    with create_app("models:/Double/1") as app:
        app.load()


def in_another_home(home, code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "HOME": str(home), "XDG_STATE_HOME": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_store_that_was_copied_to_another_home_is_refused_and_a_digest_opens_it(tmp_path):
    info = log_model(double, "double", registered_model_name="Double", input_example=np.ones((2, 2)))
    (tmp_path / "home").mkdir()
    shutil.copytree(os.environ["MODELSERVING_STORE"], tmp_path / "home/store")
    code = f"""
        from modelserving import load_model
        model = load_model("models:/Double/1", store="{tmp_path}/home/store", trust=TRUST)
        print(model.predict([[1.0, 2.0]]))
    """

    refused = in_another_home(tmp_path / "home", code.replace("TRUST", "None"))
    opened = in_another_home(tmp_path / "home", code.replace("TRUST", repr(info.digest)))

    assert "UntrustedModelError: refused: 'models:/Double/1' contains Python code" in refused.stderr
    assert info.digest in refused.stderr
    assert (opened.returncode, opened.stdout) == (0, "[[2. 4.]]\n")


def test_a_store_whose_writers_are_trusted_opens_in_another_home(tmp_path):
    log_model(double, "double", registered_model_name="Double", input_example=np.ones((2, 2)))
    shutil.copytree(os.environ["MODELSERVING_STORE"], tmp_path / "store")

    answer = in_another_home(
        tmp_path,
        f"""
        from modelserving import load_model
        load_model("models:/Double/1", store="{tmp_path}/store", trusted_stores=["{tmp_path}/store"])
        """,
    )

    assert answer.returncode == 0, answer.stderr


def test_a_folder_that_is_swapped_between_hashing_and_loading_is_noticed(tmp_path):
    save_model(double, tmp_path / "m", input_example=np.ones((2, 2)))
    save_model(len, tmp_path / "other", input_example="four")
    resolved = resolve(tmp_path / "m")
    (tmp_path / "m").rename(tmp_path / "gone")
    (tmp_path / "other").rename(tmp_path / "m")

    with pytest.raises(DamagedModelError):
        resolved.load()


def test_of_a_folder_that_others_may_write_what_was_hashed_is_loaded_whatever_happens_to_it(tmp_path):
    folder = tmp_path / "m"
    info = save_model(double, folder, input_example=np.ones((2, 2)))
    folder.chmod(0o777)
    resolved = resolve(folder)
    for file in folder.iterdir():
        file.write_bytes(b"swapped")

    model = resolved.load()

    assert model.digest == info.digest
    assert model.predict(np.ones((1, 2))).tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_a_file_that_is_swapped_without_end_is_loaded_as_it_was_hashed_or_not_at_all(mode, tmp_path):
    folder = tmp_path / "m"
    info = save_model(double, folder, input_example=np.ones((2, 2)))
    (folder / RECORDED).unlink()
    folder.chmod(mode)
    good = (folder / "python_model.pkl").read_bytes()
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for content in (b"x" * len(good), good):
                (tmp_path / "next").write_bytes(content)
                (tmp_path / "next").replace(folder / "python_model.pkl")

    thread = threading.Thread(target=swap)
    thread.start()
    loaded = []
    try:
        for _ in range(40):
            with contextlib.suppress(DamagedModelError, UntrustedModelError):
                loaded.append(load_model(folder))
    finally:
        stop.set()
        thread.join()

    for model in loaded:
        assert model.digest == info.digest
        assert model.predict(np.ones((1, 2))).tolist() == [[2.0, 2.0]]


def test_a_saved_folder_says_what_it_holds_and_damage_of_a_copy_is_named_with_both_digests(tmp_path):
    save_model(double, tmp_path / "m", input_example=np.ones((2, 2)))
    shutil.copytree(tmp_path / "m", tmp_path / "copy")
    file = tmp_path / "copy/python_model.pkl"
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)

    with pytest.raises(DamagedModelError, match=r"python_model.pkl' is damaged") as caught:
        load_model(tmp_path / "copy", trust="code")

    assert caught.value.expected.startswith("sha256:")
    assert caught.value.actual.startswith("sha256:")
    assert caught.value.expected != caught.value.actual


@pytest.mark.parametrize("content", [b"", b"[]", b"[]\n", b"not JSON", b"\x80\x04."])
def test_a_record_that_is_not_true_is_damage(tmp_path, content):
    save_model(double, tmp_path / "m", input_example=np.ones((2, 2)))
    (tmp_path / "m" / RECORDED).write_bytes(content)

    with pytest.raises(DamagedModelError):
        load_model(tmp_path / "m")


def test_the_digest_is_the_same_with_and_without_the_record(tmp_path):
    info = save_model(double, tmp_path / "m", input_example=np.ones((2, 2)))
    (tmp_path / "m" / RECORDED).unlink()

    assert resolve(tmp_path / "m").digest == info.digest


def test_the_record_can_hide_no_file(tmp_path):
    """A model that names the record as its pickle cannot have anything but the record there."""
    folder = tmp_path / "m"
    save_model(double, folder, input_example=np.ones((2, 2)))
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace("python_model.pkl", RECORDED))
    (folder / RECORDED).write_bytes((folder / "python_model.pkl").read_bytes())

    with pytest.raises(DamagedModelError, match="a manifest"):
        load_model(folder, trust="code")
