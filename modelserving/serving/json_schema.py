"""Signatures as JSON Schema: what a body may hold, for people and for generated clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.signature.schema import ColumnSpec, TensorSpec
from modelserving.signature.types import AnyType, Array, ColumnType, DataType, Map, Object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.signature.schema import ParamSpec, Schema

Form = dict[str, Any]

_SCALARS: dict[DataType, Form] = {
    DataType.boolean: {"type": "boolean"},
    DataType.integer: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    DataType.long: {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    DataType.float: {"type": "number", "format": "float"},
    DataType.double: {"type": "number", "format": "double"},
    DataType.string: {"type": "string"},
    DataType.binary: {"type": "string", "contentEncoding": "base64"},
    DataType.datetime: {"type": "string", "format": "date-time"},
}


def type_schema(kind: ColumnType) -> Form:
    """The JSON Schema of one value.

    Example:
        >>> type_schema(Array(DataType.string))
        {'type': 'array', 'items': {'type': 'string'}}
    """
    if isinstance(kind, DataType):
        return dict(_SCALARS[kind])
    if isinstance(kind, Array):
        return {"type": "array", "items": type_schema(kind.items)}
    if isinstance(kind, Map):
        return {"type": "object", "additionalProperties": type_schema(kind.values)}
    if isinstance(kind, Object):
        return {
            "type": "object",
            "properties": {each.name: type_schema(each.type) for each in kind.properties},
            "required": [each.name for each in kind.properties if each.required],
        }
    return {}


def rows_schemas(schema: Schema | None) -> dict[str, Form]:
    """The JSON Schema of what stands under each key of a body."""
    if schema is None:
        return {
            "dataframe_records": {"type": "array", "items": {"type": "object"}},
            "dataframe_split": _split({"type": "array"}, ()),
            "inputs": {},
            "instances": {"type": "array"},
        }
    specs = list(schema)
    names = [str(at if spec.name is None else spec.name) for at, spec in enumerate(specs)]
    cells = [_cell(spec) for spec in specs]
    required = [name for name, spec in zip(names, specs, strict=True) if getattr(spec, "required", True)]
    record: Form = {
        "type": "object",
        "properties": dict(zip(names, cells, strict=True)),
        "required": required,
    }
    records = {"type": "array", "items": record}
    columns = {name: {"type": "array", "items": cell} for name, cell in zip(names, cells, strict=True)}
    named: Form = {"type": "object", "properties": columns, "required": required}
    if isinstance(specs[0], TensorSpec) and specs[0].name is None:
        named = records_or_rows = nested(specs[0].dtype, len(specs[0].shape))
    else:
        records_or_rows = {"type": "array"}
    row = {"type": "array", "minItems": len(required)}
    return {
        "dataframe_records": records if names != ["0"] else {"type": "array", "items": {"type": "object"}},
        "dataframe_split": _split(row if schema.is_named else {"type": "array"}, schema.names),
        "inputs": {"anyOf": [named, records_or_rows]} if named != records_or_rows else named,
        "instances": records_or_rows,
    }


def params_schema(specs: Sequence[ParamSpec]) -> Form:
    """The JSON Schema of ``params``."""
    properties = {}
    for spec in specs:
        kind = type_schema(spec.type)
        properties[spec.name] = kind if spec.shape is None else {"type": "array", "items": kind}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def nested(dtype: str, rank: int) -> Form:
    """Nested lists, as deep as a tensor has axes."""
    form: Form = _element(dtype)
    for _ in range(rank):
        form = {"type": "array", "items": form}
    return form


def _element(dtype: str) -> Form:
    if dtype == "bool":
        return {"type": "boolean"}
    if dtype.startswith(("int", "uint")):
        return {"type": "integer"}
    if dtype.startswith("float"):
        return {"type": ["number", "null"]}
    return {} if dtype == "object" else {"type": "string"}


def _cell(spec: ColumnSpec | TensorSpec) -> Form:
    """One value of a column; null too where it may be missing."""
    if isinstance(spec, TensorSpec):
        return nested(spec.dtype, max(0, len(spec.shape) - 1))
    form = type_schema(spec.type)
    missing = not spec.required or spec.type in {DataType.float, DataType.double}
    if missing and not isinstance(spec.type, AnyType):
        form["type"] = [form["type"], "null"]
    return form


def _split(row: Form, names: Sequence[str | int]) -> Form:
    known = {"examples": [list(names)]} if names else {}
    return {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": ["string", "integer"]}, **known},
            "index": {"type": "array"},
            "data": {"type": "array", "items": row},
        },
        "required": ["data"],
        "additionalProperties": False,
    }
