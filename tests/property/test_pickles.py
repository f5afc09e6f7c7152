import pathlib
import pickle
import tempfile

from hypothesis import given
from hypothesis import strategies as st

from modelserving.trust.pickles import Report, imports

prefixes = st.sampled_from(
    [
        b"",
        b"\x80\x04",
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00",
        b"\x78\x9c",
    ]
)


@given(prefixes, st.binary(max_size=100))
def test_whatever_the_bytes_are_there_is_a_report(prefix, data):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "file")
        path.write_bytes(prefix + data)

        assert isinstance(imports(path), Report)


@given(
    st.sampled_from([len, range, dict, OSError, pathlib.PurePosixPath]),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_every_class_in_a_pickle_is_named(thing, protocol):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "file")
        path.write_bytes(pickle.dumps([1, thing, "x"], protocol, fix_imports=False))

        assert f"{thing.__module__}.{thing.__name__}" in imports(path).names
