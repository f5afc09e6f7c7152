"""The container of a skops file: a zip of ``schema.json`` and arrays, bounded and checked."""

from __future__ import annotations

import json
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any, Self

from modelserving.errors import DamagedModelError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import numpy as np

MAX_MEMBERS = 200_000
MAX_SCHEMA = 512 << 20
MAX_RATIO = 200  # arrays of a real model shrink tens of times at most, a bomb a thousand times
MAX_DEPTH = 150  # of nodes; real models stay below 40
FREE_BYTES = 64 << 20

_MEMBER = re.compile(r"schema\.json|[A-Za-z0-9_-]{1,64}\.(?:npy|npz|bin)")
_TYPE = r"'[<>|=]?[?biufcSUmMV](?:[0-9]{1,9})?(?:\[[0-9]{0,4}[A-Za-z]{1,2}\])?'"
_FIELD = rf"\('[A-Za-z_][A-Za-z0-9_]*', {_TYPE}\)|\('', '\|V[0-9]{{1,3}}'\)"
_HEADER = re.compile(
    rf"\{{'descr': (?P<type>{_TYPE}|\[(?:{_FIELD})(?:, (?:{_FIELD}))*\]), "
    r"'fortran_order': (?P<order>True|False), 'shape': \((?P<shape>[0-9, ]{0,700})\), \} *\n"
)


class Archive:
    """An open skops file. Use it as a context manager.

    Raises:
        DamagedModelError: It is not a zip file of the kind that skops writes, or too large for what it holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise self.damaged("a skops file", f"no zip file ({str(error)[:80]})") from error
        try:
            self._members = _checked_members(self, self._zip, path.stat().st_size)
            self.schema = self._read_schema()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def damaged(self, expected: str, actual: str) -> DamagedModelError:
        """The error that names this file."""
        return DamagedModelError(str(self.path), expected, actual)

    def read(self, name: object) -> bytearray:
        """All bytes of one member."""
        if not isinstance(name, str) or name not in self._members:
            raise self.damaged("the name of a member", repr(name)[:80])
        data = bytearray(self._members[name].file_size)
        try:
            with self._zip.open(name) as file:
                whole = _fill(file, data) and not file.read(1)
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise self.damaged(f"a readable member {name!r}", str(error)[:80]) from error
        if not whole:
            raise self.damaged(f"{len(data)} bytes in the member {name!r}", "another number")
        return data

    def array(self, name: object) -> np.ndarray[Any, Any]:
        """One ``.npy`` member as an array; never of Python objects, never larger than the member."""
        array = parse_npy(self.read(name))
        if array is None:
            raise self.damaged(f"an array without objects in the member {name!r}", "something else")
        return array

    def _read_schema(self) -> dict[str, Any]:
        if "schema.json" not in self._members or self._members["schema.json"].file_size > MAX_SCHEMA:
            raise self.damaged(f"a schema.json of at most {MAX_SCHEMA} bytes", "none")
        try:
            schema = json.loads(self.read("schema.json"))
        except (ValueError, RecursionError) as error:
            raise self.damaged("a schema.json with JSON in it", str(error)[:80]) from error
        if not isinstance(schema, dict) or type(schema.get("protocol")) is not int:
            raise self.damaged("a schema.json with a protocol", "none")
        if schema["protocol"] not in {1, 2}:  # in 0, a function is named where nobody would look
            raise self.damaged("skops protocol 1 or 2", f"protocol {schema['protocol']}")
        return schema


def parse_npy(data: bytearray) -> np.ndarray[Any, Any] | None:
    """The array in the bytes of a ``.npy`` file, in place; None if they are not one array of plain values.

    The header is matched, not evaluated, and its shape must account for every byte before anything is
    allocated.
    """
    import numpy as np

    if data[:6] != b"\x93NUMPY" or len(data) < 12 or data[6] not in {1, 2, 3}:
        return None
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    header = _HEADER.fullmatch(data[start:end].decode("latin-1")) if end <= min(len(data), 1 << 16) else None
    if header is None:
        return None
    try:
        dtype = _dtype(header["type"])
        shape = tuple(int(size) for size in header["shape"].replace(",", " ").split())
        count = 1
        for size in shape:
            count *= size
        if len(shape) > 32 or dtype.itemsize == 0 or count * dtype.itemsize != len(data) - end:
            return None
        flat = np.frombuffer(data, dtype, count, end) if count else np.empty(0, dtype)
        array = flat.reshape(shape, order="F" if header["order"] == "True" else "C")
    except (ValueError, TypeError, OverflowError, MemoryError):
        return None
    return array if _values_are_possible(array) else None


def _dtype(descr: str) -> np.dtype[Any]:
    import numpy as np

    if not descr.startswith("["):
        return np.dtype(descr.strip("'"))
    fields = re.findall(r"\('([^']*)', '([^']*)'\)", descr)
    return np.lib.format.descr_to_dtype(fields)


def _values_are_possible(array: np.ndarray[Any, Any]) -> bool:
    """No boolean that is neither 0 nor 1, no character that does not exist: compiled code relies on it."""
    if array.size == 0:
        return True
    if array.dtype.kind == "b":
        return bool(array.view("u1").max() <= 1)
    if array.dtype.kind == "U":
        characters = array.ravel(order="K").view(array.dtype.str[0] + "u4")
        return bool(characters.max() <= 0x10FFFF)
    return True


def _fill(file: IO[bytes], data: bytearray) -> bool:
    view = memoryview(data)
    while view:
        count = file.readinto(view[: 1 << 20])  # type: ignore[attr-defined]
        if not count:
            return False
        view = view[count:]
    return True


def _checked_members(archive: Archive, file: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name: each once, one after the other from the first byte on."""
    infos = sorted(file.infolist(), key=lambda info: info.header_offset)
    if len(infos) > MAX_MEMBERS:
        raise archive.damaged(f"at most {MAX_MEMBERS} members", "more")
    end = 0
    for info in infos:
        if not _MEMBER.fullmatch(info.filename) or info.filename != info.orig_filename:
            raise archive.damaged("members named by skops", repr(info.orig_filename)[:80])
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or info.flag_bits & 1:
            raise archive.damaged("members stored or deflated", f"{info.filename!r} packed otherwise")
        if info.header_offset < end or (not end and info.header_offset):
            raise archive.damaged("members one after the other", f"{info.filename!r} elsewhere")
        end = info.header_offset + 30 + len(info.filename) + info.compress_size
    if len({info.filename for info in infos}) != len(infos):
        raise archive.damaged("each member once", "one twice")
    if sum(info.file_size for info in infos) > FREE_BYTES + MAX_RATIO * size:
        raise archive.damaged("a reasonable compression", "a zip bomb")
    return {info.filename: info for info in infos}
