"""Tensors of a request into the columns or tensors of a signature, by the strict converter's rule."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from modelserving.errors import RequestError
from modelserving.scoring.open_inference.datatypes import DTYPES, of_dtype
from modelserving.scoring.open_inference.tensor import Tensor, from_bytes, split_bytes
from modelserving.signature.convert.arrays import array_column
from modelserving.signature.convert.names import Extras, Wanted, is_tensor, tensors, wanted
from modelserving.signature.convert.problems import Problems, Refuse, wrong
from modelserving.signature.convert.table import MakeColumn, assemble, from_makers, same_lengths
from modelserving.signature.convert.tensors import from_named, from_unnamed
from modelserving.signature.convert.values import objects
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.types import AnyType, Array, ColumnType, DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.signature.schema import Schema, TensorSpec

Read = tuple[Rows | Raw, tuple[str, ...]]
"""Checked data, and the names of the tensors that were left out."""

_TEXT: dict[str, ColumnType] = {"str": DataType.string, "bytes": DataType.binary, "object": AnyType()}


def rows(sent: Sequence[Tensor], schema: Schema | None, content: str | None, extras: Extras) -> Read:
    """The tensors as what a schema declares; without one, as what the request's content type says they are.

    A column signature takes one tensor a column, of shape (n), (n, 1), or more axes for a column of lists; or
    one tensor of shape (n, columns) for all of them, in the order of the signature.

    Raises:
        DataError: They do not fit.
        RequestError: The content type does not go with the tensors.
    """
    if schema is None:
        return _natural(sent, content), ()
    if is_tensor(schema):
        return _as_tensors(sent, tensors(schema), extras)
    want = wanted(schema)
    if len(sent) == 1 and _is_table(sent[0], want):
        return _table(sent[0], want), ()
    return _as_columns(sent, want, extras)


def raw_request_tensor(body: bytes, schema: Schema | None) -> Tensor:
    """The tensor of a request that is nothing but its bytes.

    Raises:
        RequestError: The signature does not say what the bytes are, or they are not of that size.
    """
    if schema is None or len(schema) != 1:
        raise RequestError(
            "a body without JSON is for models of one declared input; send JSON that names the tensors"
        )
    spec = schema.specs[0]
    name = "" if spec.name is None else str(spec.name)
    dtype = _dtype(schema)
    if of_dtype(dtype) == "BYTES":
        return Tensor(name, "BYTES", (1,), _one(split_bytes(body, "the body")))
    datatype = of_dtype(dtype)
    itemsize = DTYPES[datatype].itemsize
    shape = tensors(schema)[0].shape if schema.is_tensor else (-1,)
    fixed = itemsize * math.prod(axis for axis in shape if axis >= 0)
    free = shape.count(-1)
    if free > 1 or not fixed or len(body) % fixed or (not free and len(body) != fixed):
        raise RequestError(
            f"{len(body)} bytes are no {datatype} tensor of shape {list(shape)}; "
            "send JSON that gives its shape"
        )
    sent = tuple(len(body) // fixed if axis == -1 else axis for axis in shape)
    return Tensor(name, datatype, sent, from_bytes(body, datatype, sent, "the body"))


def _one(elements: list[object]) -> list[object]:
    if len(elements) != 1:
        raise RequestError(f"a body without JSON holds one element of BYTES, this one {len(elements)}")
    return elements


def _dtype(schema: Schema) -> str:
    if schema.is_tensor:
        return tensors(schema)[0].dtype
    kind = wanted(schema).kinds[0]
    return kind.dtype if isinstance(kind, DataType) else "object"


def _as_tensors(sent: Sequence[Tensor], specs: tuple[TensorSpec, ...], extras: Extras) -> Read:
    unnamed = specs[0].name is None
    if unnamed and len(sent) != 1:
        raise wrong("one tensor", f"{len(sent)} tensors")
    declared = {str(spec.name): spec for spec in specs}
    problems = Problems()
    arrays: dict[str, np.ndarray] = {}
    for tensor in sent:
        spec = specs[0] if unnamed else declared.get(tensor.name)
        if spec is not None:
            kind = _TEXT.get(spec.dtype) or np.dtype(spec.dtype)
            place = _place(problems, spec.name, tensor.shape)
            made = tensor.as_column(kind, required=spec.dtype != "object", refuse=place)
            arrays[tensor.name] = made.reshape(tensor.shape) if made.size == math.prod(tensor.shape) else made
        elif extras == "refuse":
            arrays[tensor.name] = np.empty(0)
    problems.check()
    if unnamed:
        return from_unnamed(arrays[sent[0].name], specs[0], wire=False), ()
    data, ignored = from_named(arrays, specs, extras=extras, wire=False)
    return data, ignored + tuple(tensor.name for tensor in sent if tensor.name not in arrays)


def _is_table(tensor: Tensor, want: Wanted) -> bool:
    """Whether one tensor holds all columns: its second axis is as long as the signature, its name none."""
    if len(tensor.shape) != 2 or tensor.shape[1] != len(want.names):
        return False
    if len(want.names) == 1:
        return isinstance(want.kinds[0], DataType)
    return tensor.name not in map(str, want.names)


def _table(tensor: Tensor, want: Wanted) -> Rows:
    problems = Problems()
    if want.common is not None and not tensor.is_text:
        place = _cell(problems, want)
        array = tensor.as_column(want.common, required=all(want.required), refuse=place)
        problems.check()
        if array.dtype != object:
            return Rows(want.names, np.ascontiguousarray(array))
    columns = [_column_of(tensor, at) for at in range(len(want.names))]
    makers = [_maker(column) for column in columns]
    return from_makers(makers, want.names, tensor.shape[0], want)[0]


def _column_of(tensor: Tensor, at: int) -> Tensor:
    length, width = tensor.shape
    elements = tensor.elements
    part = elements[:, at] if isinstance(elements, np.ndarray) else elements[at::width]
    return Tensor(tensor.name, tensor.datatype, (length,), part, tensor.content)


def _as_columns(sent: Sequence[Tensor], want: Wanted, extras: Extras) -> Read:
    names = [tensor.name for tensor in sent]
    if want.names == (0,) and len(sent) == 1:  # the one column of a signature without names
        names = ["0"]
    for tensor in sent:
        if not tensor.shape:
            raise wrong("a first axis of rows", "shape []", column=tensor.name)
    length = same_lengths(dict(zip(names, (range(tensor.shape[0]) for tensor in sent), strict=True)))
    return from_makers([_maker(tensor) for tensor in sent], names, length, want, extras=extras)


def _maker(tensor: Tensor) -> MakeColumn:
    def make(kind: ColumnType, required: bool, refuse: Refuse) -> np.ndarray:
        if len(tensor.shape) > 1 and not all(axis == 1 for axis in tensor.shape[1:]):
            return _lists(tensor, kind, required, refuse)
        flat = Tensor(tensor.name, tensor.datatype, tensor.shape[:1], _flat(tensor), tensor.content)
        if not isinstance(kind, DataType | AnyType) and not tensor.is_text:
            return _lists(tensor, kind, required, refuse)
        return flat.as_column(kind, required=required, refuse=refuse)

    return make


def _flat(tensor: Tensor) -> np.ndarray | list[object]:
    return tensor.elements.reshape(-1) if isinstance(tensor.elements, np.ndarray) else tensor.elements


def _lists(tensor: Tensor, kind: ColumnType, required: bool, refuse: Refuse) -> np.ndarray:
    """A column of lists from a tensor of more than one axis."""
    if isinstance(kind, DataType):
        refuse(None, f"{kind} of shape [{tensor.shape[0]}]", f"shape {list(tensor.shape)}")
        return objects([])
    if tensor.is_text and tensor.content is None and _innermost(kind) is not DataType.binary:
        tensor = replace(tensor, content="str")
    told = Problems()
    array = tensor.natural(_by_row(refuse, tensor.shape, told))
    if told:
        return objects([])
    return array_column(objects(array.tolist()), kind, required=required, refuse=refuse)


def _innermost(kind: ColumnType) -> ColumnType:
    while isinstance(kind, Array):
        kind = kind.items
    return kind


def _natural(sent: Sequence[Tensor], content: str | None) -> Rows | Raw:
    if content in {"np", "str"} and len(sent) != 1:
        raise RequestError(
            f"content_type {content!r} goes with one tensor, there are {len(sent)}; use 'pd' for columns"
        )
    problems = Problems()
    arrays = [tensor.natural(_place(problems, tensor.name, tensor.shape)) for tensor in sent]
    problems.check()
    if content == "str":
        return Raw(arrays[0].reshape(-1).tolist())
    if content == "dict":
        return Raw({tensor.name: array for tensor, array in zip(sent, arrays, strict=True)})
    if len(sent) == 1 and content != "pd":
        return Rows((), arrays[0]) if arrays[0].ndim else Raw(arrays[0])
    for tensor in sent:
        if not tensor.shape:
            raise wrong("a first axis of rows", "shape []", column=tensor.name)
    same_lengths(dict(zip((tensor.name for tensor in sent), arrays, strict=True)))
    columns = [array.reshape(-1) if array.shape[1:] == (1,) else array for array in arrays]
    return assemble(tuple(tensor.name for tensor in sent), columns)


def _place(problems: Problems, name: str | int | None, shape: tuple[int, ...]) -> Refuse:
    """Notes problems by the position of an element among all: its row, and the path inside the row."""

    def refuse(index: int | None, expected: str, got: str, path: str | None = None) -> None:
        place = () if index is None or not shape else np.unravel_index(index, shape)
        inside = "".join(f"[{at}]" for at in place)
        row = int(place[0]) if place else None
        problems.add(
            expected, got, row=row, column=name, path=path or (f"$.data{inside}" if len(place) > 1 else None)
        )

    return refuse


def _cell(problems: Problems, want: Wanted) -> Refuse:
    """Notes problems of a table by the row and the column of its cell."""

    def refuse(index: int | None, expected: str, got: str, path: str | None = None) -> None:
        row, column = (None, None) if index is None else divmod(index, len(want.names))
        problems.add(expected, got, row=row, column=None if column is None else want.names[column], path=path)

    return refuse


def _by_row(refuse: Refuse, shape: tuple[int, ...], told: Problems) -> Refuse:
    width = max(1, math.prod(shape[1:]))

    def by_row(index: int | None, expected: str, got: str, path: str | None = None) -> None:
        told.add(expected, got)
        refuse(None if index is None else index // width, expected, got, path)

    return by_row
