"""The protocol's datatypes and numpy's: the one table of what a tensor can hold, in both directions."""

from __future__ import annotations

import numpy as np

DTYPES = {
    "BOOL": np.dtype(bool),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
}
"""Datatypes of fixed size. ``BYTES`` is the one besides; ``BF16``, which numpy does not have, is not read."""

NAMES = {dtype: name for name, dtype in DTYPES.items()}

DATATYPES = (*DTYPES, "BYTES")


def of_dtype(name: str) -> str:
    """The datatype in which values of this numpy dtype travel; BYTES for text, bytes, moments and objects.

    Example:
        >>> of_dtype("float32"), of_dtype("datetime64[ns]")
        ('FP32', 'BYTES')
    """
    return "BYTES" if name in {"str", "bytes"} else NAMES.get(np.dtype(name), "BYTES")
