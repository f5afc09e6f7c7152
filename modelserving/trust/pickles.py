"""What a pickle would import, read without running anything: advice to a person, never a decision.

Finding nothing proves nothing: a pickle can build names at run time, and what it imports can be harmless in
name only.
``modelserving inspect`` shows this list before somebody decides to trust a digest.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_BYTES = 256 << 20
MAX_OPCODES = 5_000_000
MAX_MEMBERS = 1000
MAX_LAYERS = 4

_UNPACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,
    b"\x78": lambda file: _Inflated(file),  # noqa: PLW0108  (defined below)
}
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one file.

    Attributes:
        names: ``module.name`` of everything the pickles in it name, sorted; ``?`` for what is not plain.
        complete: False where a limit or a malformed part ended the reading early, so that more may be in it.
    """

    names: tuple[str, ...]
    complete: bool


def imports(path: Path) -> Report:
    """What the pickles in a file would import: plain, compressed, joblib's, or in a zip, npz or torch file.

    Reads at most 256 MiB and runs nothing. Whatever the bytes are, there is a report.

    Example:
        >>> import pathlib, pickle, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.pkl")
        ...     _ = path.write_bytes(pickle.dumps(range))
        ...     imports(path)
        Report(names=('builtins.range',), complete=True)
    """
    search = _Search()
    with path.open("rb") as file:
        search.file(file, MAX_LAYERS)
    return Report(tuple(sorted(search.names)), search.complete)


class _Search:
    """One reading, with what is left of its limits."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.complete = True
        self.left_bytes, self.left_opcodes = MAX_BYTES, MAX_OPCODES

    def file(self, file: IO[bytes], layers: int) -> None:
        """Look at one file for what it is by its first bytes, whatever it is called."""
        if not layers:
            self.complete = False
            return
        try:
            start = file.read(6)
            file.seek(0)
            if start[:4] == b"PK\x03\x04":
                self.zip(file, layers)
                return
            for magic, unpack in _UNPACKERS.items():
                if start.startswith(magic):
                    self.file(io.BytesIO(self.bounded(unpack(file))), layers - 1)
                    return
            self.bytes(self.bounded(file))
        except _ERRORS:
            self.complete = False

    def zip(self, file: IO[bytes], layers: int) -> None:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            self.complete &= len(members) <= MAX_MEMBERS
            for member in members[:MAX_MEMBERS]:
                with archive.open(member) as inner:
                    self.file(io.BytesIO(self.bounded(inner)), layers - 1)

    def bounded(self, file: IO[bytes]) -> bytes:
        """What the file holds, up to what is left to read."""
        data = file.read(self.left_bytes + 1)
        self.complete &= len(data) <= self.left_bytes
        self.left_bytes -= min(len(data), self.left_bytes)
        return data

    def bytes(self, data: bytes) -> None:
        """The pickles one after the other, as torch writes them; an ``.npy`` of objects is a pickle too."""
        start = 0
        if data[:6] == b"\x93NUMPY":
            start = 10 + int.from_bytes(data[8:10], "little")
            if b"|O" not in data[:start]:
                return
        if data[start : start + 1] not in _FIRST:
            return
        stream = io.BytesIO(data)
        stream.seek(start)
        while stream.tell() < len(data) and self.pickle(stream):
            pass

    def pickle(self, stream: io.BytesIO) -> bool:
        """One pickle; whether it ended properly."""
        strings: list[str] = []
        memo: dict[int, str] = {}
        last = "?"
        try:
            for name, argument in self.opcodes(stream):
                if name == "MEMOIZE":
                    memo[len(memo)] = last
                elif name in {"BINPUT", "LONG_BINPUT", "PUT"}:
                    memo[int(str(argument))] = last
                else:
                    last = _text(name, argument, memo)
                    strings = [*strings[-1:], last] if last != "?" else strings
                if name in {"GLOBAL", "INST"}:
                    self.names.add(str(argument).replace(" ", ".", 1))
                elif name == "STACK_GLOBAL":
                    self.names.add(".".join(strings[-2:]) if len(strings) > 1 else "?.?")
        except (ValueError, OverflowError, UnicodeDecodeError, IndexError, MemoryError):
            self.complete = False
            return False
        return True

    def opcodes(self, stream: io.BytesIO) -> Iterator[tuple[str, object]]:
        for opcode, argument, _ in pickletools.genops(stream):
            self.left_opcodes -= 1
            if self.left_opcodes < 0:
                raise ValueError("too many opcodes")
            yield opcode.name, argument


def _text(opcode: str, argument: object, memo: dict[int, str]) -> str:
    """The string that an opcode pushes, ``?`` if it pushes something else."""
    if opcode in {"BINGET", "LONG_BINGET", "GET"}:
        return memo.get(int(str(argument)), "?")
    return str(argument) if "UNICODE" in opcode or "STRING" in opcode else "?"


class _Inflated(io.RawIOBase):
    """A zlib stream as a file, as far as it is asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        self.source, self.inflate = file, zlib.decompressobj()

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size
        while left > 0 and not self.inflate.eof:
            data = self.inflate.unconsumed_tail or self.source.read(1 << 16)
            if not data:
                raise EOFError
            part = self.inflate.decompress(data, left)
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


_FIRST = {bytes([ord(opcode.code)]) for opcode in pickletools.opcodes}
