import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from modelserving.trust.pickles import MAX_LAYERS, imports


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def npz(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return buffer.getvalue()


PACKINGS = {
    "in the open": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "zip": npz,
    "gzip in zip": lambda data: npz(gzip.compress(data)),
    "after another pickle": lambda data: pickle.dumps(1) + data,
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_import_is_seen_however_the_pickle_is_packed(tmp_path, packing, protocol):
    path = tmp_path / "model.onnx"
    path.write_bytes(PACKINGS[packing](pickle.dumps(["posix", "system", Evil()], protocol)))
    report = imports(path)

    assert report.names == ("posix.system",)
    assert report.complete


def test_an_array_of_objects_is_a_pickle(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)

    assert "posix.system" in imports(tmp_path / "a.npy").names


def test_an_array_of_numbers_imports_nothing(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(1000))

    assert imports(tmp_path / "a.npy").names == ()


def test_a_joblib_file_is_looked_into(tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(Evil(), tmp_path / "m.joblib", compress=3)

    assert imports(tmp_path / "m.joblib").names == ("posix.system",)


def test_a_name_that_is_put_together_at_run_time_is_shown_as_unknown(tmp_path):
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04\x93.")

    assert imports(tmp_path / "m.pkl").names == ("?.?",)


def test_a_cut_pickle_is_reported_as_not_read_to_the_end(tmp_path):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps([Evil(), "more"])[:-3])
    report = imports(tmp_path / "m.pkl")

    assert report.names == ("posix.system",)
    assert not report.complete


def test_a_bomb_ends_the_reading(tmp_path):
    data = bytes(300 << 20)
    (tmp_path / "m.pkl").write_bytes(gzip.compress(data, 1))

    assert not imports(tmp_path / "m.pkl").complete


def test_layers_without_end_are_not_followed(tmp_path):
    data = pickle.dumps(Evil())
    for _ in range(MAX_LAYERS + 1):
        data = gzip.compress(data)
    (tmp_path / "m.pkl").write_bytes(data)

    assert not imports(tmp_path / "m.pkl").complete
