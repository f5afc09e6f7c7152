"""Params: the named values beside the data of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelserving.errors import choices
from modelserving.signature.convert.cells import is_missing
from modelserving.signature.convert.names import nearest
from modelserving.signature.convert.nested import nested
from modelserving.signature.convert.problems import Problems, shown, wrong
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from modelserving.signature.schema import ParamSpec
    from modelserving.signature.types import ColumnType


def convert_params(params: Mapping[str, object] | None, specs: Sequence[ParamSpec]) -> dict[str, object]:
    """The params of one prediction, each of its declared type, defaults filled in.

    Args:
        params: What was sent; None for nothing.
        specs: The params the model declares.

    Returns:
        One value a declared param, in their order: Python's own types, datetimes without a zone in UTC.

    Raises:
        DataError: It is no mapping, names a param the model does not have, or a value does not fit.

    Example:
        >>> from modelserving.signature.schema import ParamSpec
        >>> from modelserving.signature.types import DataType
        >>> convert_params({"top": 3.0}, [ParamSpec("top", DataType.long, 1)])
        {'top': 3}
    """
    if params is None:
        params = {}
    if not params and not specs and isinstance(params, Mapping):
        return {}
    if not isinstance(params, Mapping):
        raise wrong("an object of params", shown(params), path="$.params")
    problems = Problems()
    known = [spec.name for spec in specs]
    for name in params:
        if name not in known:
            expected = f"only the params {choices(known)}" if known else "no params, this model takes none"
            problems.add(expected, f"an unknown one{nearest(name, known)}", path=f"$.params.{str(name)[:80]}")
    values = {spec.name: _param(params, spec, problems) for spec in specs}
    problems.check()
    return values


def _param(params: Mapping[str, object], spec: ParamSpec, problems: Problems) -> object:
    if spec.name not in params:
        return spec.default
    value, path = params[spec.name], f"$.params.{spec.name}"
    if value is None and spec.default is None:
        return None
    if spec.shape is None:
        return _value(value, spec.type, problems, path)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, list | tuple):
        problems.add(f"a list of {spec.type}", shown(value), path=path)
        return None
    if spec.shape[0] not in {-1, len(value)}:
        problems.add(f"a list of {spec.shape[0]}", shown(value), path=path)
    return [_value(item, spec.type, problems, f"{path}[{at}]") for at, item in enumerate(value)]


def _value(value: object, kind: ColumnType, problems: Problems, path: str) -> object:
    def refuse(where: str, expected: str, got: str) -> None:
        problems.add(expected, got, path=where)

    if isinstance(kind, DataType) and is_missing(value, wire=False):  # NaN is a missing value in columns only
        problems.add(str(kind), shown(value), path=path)
        return None
    return _builtin(nested(value, kind, wire=False, refuse=refuse, path=path))


def _builtin(value: object) -> object:
    """A moment as Python's datetime where that can hold it, everything else as it is."""
    if isinstance(value, np.datetime64):
        moment = value.astype("datetime64[us]")
        return moment.item() if moment == value else value
    if isinstance(value, list):
        return [_builtin(item) for item in value]
    if isinstance(value, dict):
        return {name: _builtin(item) for name, item in value.items()}
    return value
