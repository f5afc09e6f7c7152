"""npy files: one array, its header checked before anything is made of its data; pickles are never read."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np

from modelserving.errors import RequestError, excerpt
from modelserving.signature.convert.data import convert
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.schema import Signature

if TYPE_CHECKING:
    from modelserving.signature.convert.names import Extras
    from modelserving.signature.schema import Schema

MEDIA_TYPE = "application/x-npy"
_MAX_HEADER = 10_000
_KINDS = "biufUSM"


def parse(body: bytes) -> np.ndarray:
    """The array of an npy file, in native byte order and C order.

    Raises:
        RequestError: It is no npy file, its dtype is not of numbers, text, bytes or moments, or its data is
            not exactly as long as its header says.

    Example:
        >>> file = io.BytesIO()
        >>> np.save(file, np.array([[1, 2]]))
        >>> parse(file.getvalue())
        array([[1, 2]])
    """
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream, max_header_size=_MAX_HEADER)
    except Exception:  # noqa: BLE001 - numpy passes on whatever ast and tokenize raise, addresses in it
        raise RequestError("the body is not an npy file: its header cannot be read") from None
    if dtype.kind not in _KINDS or dtype.subdtype is not None or not dtype.itemsize:
        raise RequestError(f"the npy file has dtype {excerpt(str(dtype))}; send numbers, text or moments")
    at = stream.tell()
    needed, there = math.prod(shape) * dtype.itemsize, len(body) - at
    if needed != there or len(shape) > 32 or math.prod(axis or 1 for axis in shape) > 2**40:
        raise RequestError(f"the npy file's header is of {needed} bytes of data, there are {there}")
    flat = np.frombuffer(body, dtype, offset=at)
    _check_values(flat)
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return np.array(array, dtype=dtype.newbyteorder("="), order="C")


def _check_values(flat: np.ndarray) -> None:
    """Refuse bytes that are no value of their dtype: numpy takes any for a boolean, and for a character."""
    if flat.dtype.kind == "b" and flat.size and flat.view(np.uint8).max() > 1:
        raise RequestError("the npy file has a boolean that is neither 0 nor 1")
    if flat.dtype.kind == "U" and flat.size:
        points = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
        if bool(np.any((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000)))):
            raise RequestError("the npy file has text that is not Unicode")


def read(
    array: np.ndarray, schema: Schema | None, extras: Extras = "ignore"
) -> tuple[Rows | Raw, tuple[str, ...]]:
    """The array as what a schema declares, as when it is given in process.

    Raises:
        DataError: It does not fit.
    """
    if schema is not None:
        return convert(array, Signature(schema), extras=extras), ()
    return (Rows((), array) if array.ndim else Raw(array)), ()
