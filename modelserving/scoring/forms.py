"""The four JSON forms of MLflow's protocol, and LLM-style bodies: parsed values into checked data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.signature.convert.data import is_one_row, positions
from modelserving.signature.convert.names import Extras, Wanted, is_tensor, tensors, wanted
from modelserving.signature.convert.natural import (
    natural_list,
    natural_mapping,
    natural_records,
    natural_rows,
)
from modelserving.signature.convert.nested import check_depth
from modelserving.signature.convert.problems import Problems, shown, wrong
from modelserving.signature.convert.table import (
    check_rows,
    from_columns,
    from_records,
    from_rows,
    mismatch,
    same_lengths,
)
from modelserving.signature.convert.tensors import from_named, from_unnamed
from modelserving.signature.rows import Raw, Rows
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelserving.signature.schema import Schema, TensorSpec

Read = tuple[Rows | Raw, tuple[str, ...]]
"""Checked data, and the names of the columns that were left out."""

LLM_KEYS = ("input", "messages", "prompt")
"""Top-level keys of a body that is the model's input itself."""


def dataframe_split(value: object, schema: Schema | None, extras: Extras = "ignore") -> Read:
    """``{"columns": […], "data": [[…], …]}``; without columns they are 0, 1, …; an ``index`` is not used.

    Raises:
        DataError: It has another form, or does not fit the schema.
    """
    if not isinstance(value, dict):
        raise wrong("an object with 'data' and 'columns'", shown(value), path="$.dataframe_split")
    for name in value:
        if name not in {"columns", "data", "index"}:
            raise wrong(
                "only 'columns', 'data' and 'index'", f"the key {shown(name)}", path="$.dataframe_split"
            )
    rows = value.get("data")
    if not isinstance(rows, list):
        found = shown(rows) if "data" in value else "no such key"
        raise wrong("a list of rows", found, path="$.dataframe_split.data")
    index = value.get("index", rows)
    if not isinstance(index, list) or len(index) != len(rows):
        raise wrong("one entry a row", shown(index), path="$.dataframe_split.index")
    names = _columns(value["columns"]) if "columns" in value else None
    if schema is None:
        _shallow(rows)
        return natural_rows(rows, names), ()
    if is_tensor(schema):
        return _rows_as_tensors(rows, names, tensors(schema), extras)
    want = wanted(schema)
    if names is None:
        width = len(rows[0]) if rows and isinstance(rows[0], list) else len(want.names)
        names = list(positions(width, want))
    return from_rows(rows, names, want, extras=extras)


def dataframe_records(value: object, schema: Schema | None, extras: Extras = "ignore") -> Read:
    """``[{"a": 1, "b": 2}, …]``, one object a row.

    Raises:
        DataError: It has another form, or does not fit the schema.
    """
    if not isinstance(value, list):
        raise wrong("a list of objects", shown(value), path="$.dataframe_records")
    return _records(value, schema, extras)


def instances(value: object, schema: Schema | None, extras: Extras = "ignore") -> Read:
    """TF Serving's row form: a list of values or rows, or a list of objects with one value a name.

    Raises:
        DataError: It has another form, or does not fit the schema.
    """
    if schema is None and isinstance(value, list) and value and isinstance(value[0], dict):
        return _records(value, schema, extras)
    return inputs(value, schema, extras)


def inputs(value: object, schema: Schema | None, extras: Extras = "ignore") -> Read:
    """TF Serving's column form: one array as nested lists, or an object of them; and a list of objects.

    Raises:
        DataError: It has another form, or does not fit the schema.
    """
    if schema is None:
        return _natural(value), ()
    if is_tensor(schema):
        return _tensors(value, tensors(schema), extras)
    want = wanted(schema)
    if isinstance(value, dict) and not _one_column_of_mappings(want):
        return _named_columns(value, want, extras)
    values: list[Any] = value if isinstance(value, list) else [value]
    if values and isinstance(values[0], dict) and not _one_column_of_mappings(want):
        return from_records(values, want, extras=extras)
    if len(want.names) == 1 and not _rows_of_one(values, want):
        return from_columns([values], want.names, want)
    if not values:
        return from_rows([], want.names, want)
    if not isinstance(values[0], list):
        raise mismatch(want, shown(values[0]))
    return from_rows(values, positions(len(values[0]), want), want, extras=extras)


def takes_llm(body: Mapping[str, object], schema: Schema | None) -> bool:
    """Whether a body is the model's input itself: it has one of the keys, and the signature agrees.

    A model without a signature takes it; one with a signature if the key is a column of lists, objects or
    anything.
    A scalar column that happens to be called ``input`` does not change what a body means.
    """
    keys = [key for key in LLM_KEYS if key in body]
    if not keys or schema is None:
        return bool(keys)
    if is_tensor(schema):
        return False
    want = wanted(schema)
    if len(want.names) == 1 and schema.specs[0].name is None:
        return not isinstance(want.kinds[0], DataType)
    return any(
        name in keys and not isinstance(kind, DataType)
        for name, kind in zip(want.names, want.kinds, strict=True)
    )


def llm(body: dict[str, object], schema: Schema | None, extras: Extras = "ignore") -> Read:
    """An LLM-style body: one value, or the one row of a column signature.

    Raises:
        DataError: It does not fit the schema.
    """
    if schema is None:
        return _natural_raw(body), ()
    if schema.specs[0].name is None:
        return from_columns([[body]], wanted(schema).names, wanted(schema))
    return from_records([body], wanted(schema), extras=extras)


FORMS: dict[str, Callable[[object, Schema | None, Extras], Read]] = {
    "dataframe_records": dataframe_records,
    "dataframe_split": dataframe_split,
    "inputs": inputs,
    "instances": instances,
}


def _columns(value: object) -> list[str | int]:
    """The column names of a body: text or integers."""
    if not isinstance(value, list):
        raise wrong("a list of names", shown(value), path="$.dataframe_split.columns")
    if set(map(type, value)) <= {str, int} and len(set(value)) == len(value):
        return value
    problems = Problems()
    seen: set[object] = set()
    for at, name in enumerate(value):
        if type(name) is not str and type(name) is not int:
            problems.add("a name", shown(name), path=f"$.dataframe_split.columns[{at}]")
        elif name in seen:
            problems.add("each column once", "it twice", column=name)
        else:
            seen.add(name)
    problems.check()
    return value


def _records(records: list[Any], schema: Schema | None, extras: Extras) -> Read:
    if schema is None:
        _shallow(records)
        return natural_records(records), ()
    if not is_tensor(schema):
        return from_records(records, wanted(schema), extras=extras)
    return _records_as_tensors(records, tensors(schema), extras)


def _records_as_tensors(records: list[Any], specs: tuple[TensorSpec, ...], extras: Extras) -> Read:
    natural = {name: [record[name] for record in records] for name in _same_keys(records)}
    if specs[0].name is not None:
        return from_named(natural if records else _no_rows(specs), specs, extras=extras)
    names = list(natural)
    if set(names) == {str(at) for at in range(len(names))}:
        names.sort(key=int)
    rows = [list(row) for row in zip(*(natural[name] for name in names), strict=True)]
    return from_unnamed(rows, specs[0]), ()


def _same_keys(records: list[Any]) -> list[str]:
    """The keys of the records, which all have the same; a DataError if not."""
    first = records[0] if records else {}
    problems = Problems()
    for at, record in enumerate(records):
        if not isinstance(record, dict):
            problems.add("an object", shown(record), row=at)
        elif isinstance(first, dict) and record.keys() != first.keys():
            different = min(record.keys() ^ first.keys())
            problems.add("the same keys in every row", "another set", row=at, column=different)
    problems.check()
    return list(first)


def _rows_as_tensors(
    rows: list[Any], names: list[str | int] | None, specs: tuple[TensorSpec, ...], extras: Extras
) -> Read:
    if specs[0].name is None:
        if names is not None:
            check_rows(rows, len(names))
            if all(isinstance(name, int) for name in names) and names != list(range(len(names))):
                raise wrong("columns 0, 1, … in order", shown(names), path="$.dataframe_split.columns")
        return from_unnamed(rows, specs[0]), ()
    if names is None:
        if len(specs) > 1:
            raise wrong("columns " + ", ".join(repr(spec.name) for spec in specs), "rows without names")
        names = [specs[0].name or ""]
    check_rows(rows, len(names))
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
    return from_named(
        {str(name): column for name, column in zip(names, columns, strict=True)}, specs, extras=extras
    )


def _tensors(value: object, specs: tuple[TensorSpec, ...], extras: Extras) -> Read:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _records_as_tensors(value, specs, extras)
    if specs[0].name is None:
        if isinstance(value, dict):
            raise wrong(f"one array of shape {specs[0].shape}", shown(value))
        return from_unnamed(value, specs[0]), ()
    if isinstance(value, dict):
        return from_named(value, specs, extras=extras)
    if len(specs) > 1:
        raise wrong("an object with " + ", ".join(repr(spec.name) for spec in specs), shown(value))
    return from_named({str(specs[0].name): value}, specs, extras=extras)


def _no_rows(specs: tuple[TensorSpec, ...]) -> dict[str, object]:
    return {str(spec.name): [] for spec in specs}


def _named_columns(value: dict[str, Any], want: Wanted, extras: Extras) -> Read:
    if is_one_row(value, want):
        return from_records([value], want, extras=extras)
    problems = Problems()
    for name, values in value.items():
        if not isinstance(values, list):
            problems.add("a list of values", shown(values), column=name)
    problems.check()
    same_lengths(value)
    return from_columns(list(value.values()), list(value), want, extras=extras)


def _one_column_of_mappings(want: Wanted) -> bool:
    """Whether objects are the values of the one unnamed column, not rows or named columns."""
    return want.names == (0,) and not isinstance(want.kinds[0], DataType)


def _rows_of_one(values: list[Any], want: Wanted) -> bool:
    """Whether a list is of rows with one cell each, such as ``[[1], [2]]`` for one scalar column."""
    return (
        isinstance(want.kinds[0], DataType) and bool(values) and all(type(value) is list for value in values)
    )


def _natural(value: object) -> Rows | Raw:
    _shallow(value)
    if isinstance(value, list):
        return natural_list(value)
    if isinstance(value, dict):
        return natural_mapping(value)
    return Raw(value)


def _natural_raw(value: object) -> Raw:
    _shallow(value)
    return Raw(value)


def _shallow(value: object) -> None:
    """Refuse what is nested too deep."""
    problems = Problems()
    check_depth(value, lambda path, expected, got: problems.add(expected, got, path=path))
    problems.check()
