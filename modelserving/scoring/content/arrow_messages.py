"""What the messages of an Arrow IPC stream say about compressed buffers, read without inflating any."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_FIELD, _BATCH_OF_DICTIONARY, _BUFFERS, _COMPRESSION = 2, 1, 2, 3
"""Positions of fields in Arrow's Message.fbs: Message.header, DictionaryBatch.data, RecordBatch.*."""


def declared_bytes(body: bytes) -> int:
    """How many bytes all compressed buffers of a stream say they inflate to.

    Raises:
        ValueError: It is no stream of messages.
        ImportError: pyarrow is not installed.
    """
    import pyarrow as pa

    total = 0
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if message.type in {"record batch", "dictionary"} and message.body is not None:
            total += _inflated(bytes(message.metadata), message.body, message.type == "dictionary")
    return total


def _inflated(metadata: bytes, body: pa.Buffer, of_dictionary: bool) -> int:
    """Each compressed buffer begins with its inflated size: eight bytes, -1 for one that is stored plain."""
    try:
        batch = _table(metadata, _root(metadata), _BATCH_FIELD)
        if batch and of_dictionary:
            batch = _table(metadata, batch, _BATCH_OF_DICTIONARY)
        if not batch or not _field(metadata, batch, _COMPRESSION):
            return 0
        buffers = _table(metadata, batch, _BUFFERS)
        (count,) = struct.unpack_from("<I", metadata, buffers)
        total, view = 0, memoryview(body)
        for at in range(count):
            offset, length = struct.unpack_from("<qq", metadata, buffers + 4 + 16 * at)
            if length >= 8:
                total += max(struct.unpack_from("<q", view, offset)[0], 0)
    except struct.error:
        raise ValueError("a message that points beyond its end") from None
    return total


def _root(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, 0)[0])


def _field(data: bytes, table: int, position: int) -> int:
    """Where a field of a flatbuffers table stands; 0 if it has none."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("a message that points before its start")
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * position
    offset = struct.unpack_from("<H", data, vtable + at)[0] if at + 2 <= size else 0
    return table + int(offset) if offset else 0


def _table(data: bytes, table: int, position: int) -> int:
    """Where the table or vector that a field refers to stands; 0 if it has none."""
    at = _field(data, table, position)
    return at + int(struct.unpack_from("<I", data, at)[0]) if at else 0
