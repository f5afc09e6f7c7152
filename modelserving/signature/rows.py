"""Checked input on its way to a model: rows that can be joined and split, or one value that cannot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from modelserving.signature.types import Form


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Input whose first axis is the row. Exactly one of ``block`` and ``columns`` is set.

    Attributes:
        names: Column names in the order of the signature; () for one unnamed tensor.
        block: One C-contiguous array; with names it is 2-D, one column a name, all of one dtype.
        columns: One array a name, each in its declared dtype and of the same length.
    """

    names: tuple[str | int, ...]
    block: np.ndarray | None
    columns: tuple[np.ndarray, ...] | None = None

    def __len__(self) -> int:
        """The number of rows."""
        if self.block is not None:
            return len(self.block)
        return len(self.columns[0]) if self.columns else 0

    @property
    def key(self) -> tuple[object, ...]:
        """Rows with equal keys may share a batch: same names, dtypes and trailing shapes."""
        arrays = (self.block,) if self.block is not None else self.columns or ()
        return (self.names, self.block is not None, *((array.dtype.str, array.shape[1:]) for array in arrays))

    def array(self) -> np.ndarray:
        """The rows as one array: of the columns' common dtype if all values are exact in it, else objects."""
        if self.block is not None:
            return self.block
        columns = self.columns or ()
        if not columns:
            return np.empty((0, 0))
        dtype = _common_dtype(columns)
        joined = np.empty((len(self), len(columns)), dtype=dtype)
        for position, column in enumerate(columns):
            plain = dtype.kind != "O" or (column.ndim == 1 and column.dtype.kind != "M")
            joined[:, position] = column if plain else _objects(column)
        return joined

    def mapping(self) -> dict[str | int, np.ndarray]:
        """The rows as one array a name."""
        if self.columns is not None:
            return dict(zip(self.names, self.columns, strict=True))
        if self.block is None or not self.names:
            return {}
        return {name: self.block[:, position] for position, name in enumerate(self.names)}

    def to(self, form: Form) -> object:
        """The rows as a DataFrame (``frame``), an ndarray (``array``) or a dict of ndarrays (``columns``)."""
        if form == "array":
            return self.array()
        if form == "columns":
            return self.mapping()
        import pandas as pd

        if self.block is not None:
            return pd.DataFrame(self.block, columns=_index(self.names) if self.names else None, copy=False)
        index = pd.RangeIndex(len(self))
        columns = {at: _series_values(column) for at, column in enumerate(self.columns or ())}
        frame = pd.DataFrame(columns, index=index, copy=False)
        frame.columns = _index(self.names)
        return frame

    def __getitem__(self, part: slice) -> Rows:
        """The rows of a slice, as views."""
        if self.block is not None:
            return Rows(self.names, self.block[part])
        return Rows(self.names, None, tuple(column[part] for column in self.columns or ()))

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """The rows of all parts, in order; all parts must have the same :attr:`key`."""
        first = parts[0]
        if len(parts) == 1:
            return first
        if first.block is not None:
            return Rows(first.names, np.concatenate([part.block for part in parts if part.block is not None]))
        columns = zip(*(part.columns or () for part in parts), strict=True)
        return Rows(first.names, None, tuple(np.concatenate(column) for column in columns))


def _common_dtype(columns: Sequence[np.ndarray]) -> np.dtype:
    """The dtype in which all columns can stand without a change of value."""
    dtypes = {column.dtype for column in columns}
    if len(dtypes) == 1 and all(column.ndim == 1 for column in columns):
        return columns[0].dtype
    if any(column.dtype.kind not in "iuf" or column.ndim > 1 for column in columns):
        return np.dtype(object)
    dtype = np.result_type(*dtypes)
    if dtype.kind == "f" and any(column.dtype.kind in "iu" and _beyond(column, dtype) for column in columns):
        return np.dtype(object)
    return dtype


def _beyond(column: np.ndarray, dtype: np.dtype) -> bool:
    """Whether an integer column holds a value from where a float type has no longer every integer."""
    limit = 2 ** (np.finfo(dtype).nmant + 1)
    return bool(len(column)) and (int(column.max()) > limit or int(column.min()) < -limit)


def _objects(column: np.ndarray) -> np.ndarray:
    """The rows of a column, each as one object: moments stay moments, arrays stay arrays."""
    rows = np.empty(len(column), dtype=object)
    rows[:] = list(column)
    return rows


def _series_values(column: np.ndarray) -> object:
    """What a DataFrame can hold as one column: an array of more than one axis becomes a list of its rows."""
    return column if column.ndim == 1 else list(column)


@lru_cache(maxsize=64)
def _index_of(names: tuple[str | int, ...]) -> pd.Index[Any]:
    import pandas as pd

    return pd.Index(list(names))


def _index(names: tuple[str | int, ...]) -> pd.Index[Any]:
    """The names as an Index: made once, which takes longer than a frame, and a view of it for each frame."""
    return _index_of(names).view()


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """A value without rows (a chat body, or anything): handed to the model as it is, never batched."""

    value: object
