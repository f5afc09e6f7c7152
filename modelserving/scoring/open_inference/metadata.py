"""What a model takes and answers, as the protocol's metadata of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.scoring.open_inference.datatypes import of_dtype
from modelserving.signature.schema import ColumnSpec, TensorSpec
from modelserving.signature.types import AnyType, Array, DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelserving.signature.schema import Schema, Signature

EXTENSIONS = ("binary_tensor_data",)
"""What a server offers beyond the protocol's core."""

_CONTENT = {DataType.string: "str", DataType.binary: "base64", DataType.datetime: "datetime"}


def metadata(
    name: str,
    version: str | None,
    signature: Signature | None,
    *,
    platform: str,
    methods: Sequence[str] = ("predict",),
) -> dict[str, Any]:
    """The body of ``GET /v2/models/…``.

    Args:
        name: The model's.
        version: None if it has none.
        signature: Its columns become one tensor each; without one, nothing is said about inputs and outputs.
        platform: Framework and format, for people.
        methods: What can be asked of it, the default first.

    Example:
        >>> from modelserving.signature.schema import Schema, Signature, TensorSpec
        >>> schema = Schema((TensorSpec("float32", (-1, 4)),))
        >>> metadata("iris", "3", Signature(schema), platform="onnx_onnxv1")["inputs"]
        [{'name': 'input-0', 'datatype': 'FP32', 'shape': [-1, 4]}]
    """
    described: dict[str, Any] = {"name": name, "platform": platform}
    if version is not None:
        described["versions"] = [version]
    if signature is not None and signature.inputs is not None:
        described["inputs"] = _tensors(signature.inputs, "input-{}")
    if signature is not None and signature.outputs is not None:
        one = len(signature.outputs) == 1
        described["outputs"] = _tensors(signature.outputs, methods[0] if one else "output-{}")
    described["properties"] = {"methods": ",".join(methods)}
    return described


def _tensors(schema: Schema, unnamed: str) -> list[dict[str, Any]]:
    return [
        {"name": unnamed.format(at) if spec.name is None else str(spec.name), **_tensor(spec)}
        for at, spec in enumerate(schema)
    ]


def _tensor(spec: ColumnSpec | TensorSpec) -> dict[str, Any]:
    if isinstance(spec, TensorSpec):
        return {"datatype": of_dtype(spec.dtype), "shape": list(spec.shape)}
    kind, shape = spec.type, [-1]
    while isinstance(kind, Array):
        kind, shape = kind.items, [*shape, -1]
    if isinstance(kind, DataType):
        content = {"parameters": {"content_type": _CONTENT[kind]}} if kind in _CONTENT else {}
        datatype = "BYTES" if kind is DataType.datetime else of_dtype(kind.dtype)
        return {"datatype": datatype, "shape": shape, **content}
    any_text = "str" if isinstance(kind, AnyType) else "pd_json"
    return {"datatype": "BYTES", "shape": [-1], "parameters": {"content_type": any_text}}
