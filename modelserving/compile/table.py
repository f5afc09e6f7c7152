"""Rows put together for a model, column by column, as a request would bring them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.errors import CompileError
from modelserving.signature.convert import convert
from modelserving.signature.rows import Rows
from modelserving.signature.schema import TensorSpec
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from modelserving.signature.schema import Signature


class Table:
    """The columns of a signature: their dtypes, and the way from arrays to checked rows.

    Args:
        signature: Columns of numbers and text, or one matrix of numbers.

    Raises:
        CompileError: It takes something else.

    Attributes:
        names: The names of the columns; their positions for a matrix.
        dtypes: Of each column, numpy's name of its dtype; ``object`` is text.
    """

    def __init__(self, signature: Signature | None) -> None:
        if signature is None or signature.inputs is None:
            raise CompileError("the model has no signature; log it with an input example")
        if signature.params:
            raise CompileError("the model takes params, which a graph does not")
        self._signature = signature
        self._is_matrix = signature.inputs.is_tensor
        specs: Any = list(signature.inputs)
        if self._is_matrix:
            if (
                len(specs) != 1
                or len(specs[0].shape) != 2
                or specs[0].shape[1] < 1
                or not _is_number(specs[0])
            ):
                raise CompileError("the model does not take one matrix of numbers")
            self.names: list[str] = [str(at) for at in range(specs[0].shape[1])]
            self.dtypes: list[str] = [specs[0].dtype] * len(self.names)
            return
        for spec in specs:
            if not isinstance(spec.type, DataType) or spec.type in (DataType.binary, DataType.datetime):
                raise CompileError(f"column {spec.name!r} is {spec.type}; a twin takes numbers and text")
        self.names = [str(at if spec.name is None else spec.name) for at, spec in enumerate(specs)]
        self.dtypes = [spec.type.dtype for spec in specs]

    def rows(self, columns: Sequence[np.ndarray]) -> Rows:
        """Columns of equal length as rows, checked by the signature as a request is."""
        import numpy as np

        typed = [column.astype(dtype, copy=False) for column, dtype in zip(columns, self.dtypes, strict=True)]
        schema = self._signature.inputs
        if self._is_matrix:
            data: object = np.column_stack(typed)
        elif schema is not None and schema.is_named:
            data = dict(zip(schema.names, typed, strict=True))
        else:
            data = np.column_stack(typed)
        made = convert(data, self._signature)
        if not isinstance(made, Rows):
            raise CompileError("the model takes what has no rows")
        return made

    def columns(self, data: object) -> list[np.ndarray]:
        """The columns of an input example."""
        import numpy as np

        made = convert(data, self._signature)
        if not isinstance(made, Rows):
            raise CompileError("the model takes what has no rows")
        if made.columns is not None:
            return list(made.columns)
        return list(np.asarray(made.block).T)

    def row(self, rows: Rows, at: int) -> dict[str, object]:
        """One row, for people to read."""
        cells = rows.columns if rows.columns is not None else tuple(rows.array().T)
        return {
            name: cell[at].item() if hasattr(cell[at], "item") else cell[at]
            for name, cell in zip(self.names, cells, strict=True)
        }


def _is_number(spec: TensorSpec) -> bool:
    return spec.dtype.startswith(("float", "int", "uint", "bool"))
