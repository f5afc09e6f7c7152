"""One prediction in a throw-away process, before native code reads a file from elsewhere in this one.

Parsers in C++ have crashed on crafted files, and will again. So a model of tier ``native`` that nobody
vouches for is first loaded and asked once in a child. If the child crashes or hangs, the model is refused.
What passed is remembered by this process only: another one may have other releases of the libraries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelserving import child
from modelserving.errors import ModelServingError, UntrustedModelError
from modelserving.example import load_example
from modelserving.signature.schema import ColumnSpec, Signature, TensorSpec
from modelserving.signature.types import AnyType, Array, ColumnType, DataType, Object

if TYPE_CHECKING:
    from modelserving.model import Model, Resolved

SECONDS = 60.0
"""How long the child may take for a small model; a second more for every 20 MB."""

logger = logging.getLogger("modelserving")
_passed: set[str] = set()


def check(resolved: Resolved) -> None:
    """Refuse a model that crashes or stalls a child process; for tier ``native``, and only if nobody vouches.

    A child that ends by an ordinary Python error lets the model pass: the same error is met here, in safety.

    Raises:
        UntrustedModelError: The child died or did not answer in time.
    """
    grant = resolved.grant
    if grant.tier != "native" or grant.vouched_by or grant.digest in _passed:
        return
    start = time.monotonic()
    request = {"folder": str(grant.folder), "flavor": resolved.flavor_name, "digest": grant.digest}
    answer = child.ask("canary", request, seconds=SECONDS + resolved.verified.manifest.size / 20e6)
    if answer.died:
        reason = f"a model for native code that failed in the process that tried it: {answer.problem}"
        raise UntrustedModelError(resolved.uri, grant.digest, "native", reason)
    _passed.add(grant.digest)
    logger.info("tried model %r in a child process in %.2f s", resolved.uri, time.monotonic() - start)


def in_child(request: Mapping[str, Any]) -> Mapping[str, object]:
    """Load the model and ask it once, in the child."""
    from modelserving.model import resolve

    _passed.add(request["digest"])  # this process is the child that tries
    resolved = resolve(request["folder"], flavor=request["flavor"])
    if resolved.digest != request["digest"]:
        raise UntrustedModelError(resolved.uri, resolved.digest, "native", "other bytes than before")
    model = resolved.load()
    data, params = _question(model, resolved)
    if data is not None:
        for method in model.methods:
            model.predict(data, params, method=method)
    return {}


def _question(model: Model, resolved: Resolved) -> tuple[object, Mapping[str, object] | None]:
    """The input example; else zeros where there is a signature; else nothing."""
    info = resolved.metadata.saved_input_example_info
    if info:
        try:
            return load_example(resolved.verified.folder, info, model.signature)
        except ModelServingError:
            pass
    return (None if model.signature is None else zeros(model.signature)), None


def zeros(signature: Signature) -> object:
    """One row of zeros, empty texts and midnights that fits a signature; None where it names no inputs.

    Example:
        >>> from modelserving.signature.infer import infer_signature
        >>> zeros(infer_signature([{"a": 1.5, "b": "x"}]))
        [{'a': 0.0, 'b': ''}]
    """
    schema = signature.inputs
    if schema is None or not len(schema):
        return None
    if schema.is_tensor:
        arrays = {spec.name: _array(spec) for spec in schema.specs if isinstance(spec, TensorSpec)}
        return arrays if schema.is_named else next(iter(arrays.values()))
    values = [(spec.name, _zero(spec.type)) for spec in schema.specs if isinstance(spec, ColumnSpec)]
    return [dict(values)] if schema.is_named else [[value for _, value in values]]


def _array(spec: TensorSpec) -> object:
    import numpy as np

    return np.zeros([max(1, size) for size in spec.shape], spec.dtype)


def _zero(kind: ColumnType | AnyType) -> object:
    if isinstance(kind, DataType):
        return _ZEROS.get(kind, 0)
    if isinstance(kind, Object):
        return {each.name: _zero(each.type) for each in kind.properties if each.required}
    return [] if isinstance(kind, Array) else {}


_ZEROS: Mapping[DataType, object] = {
    DataType.binary: b"",
    DataType.boolean: False,
    DataType.datetime: datetime(1970, 1, 1),  # noqa: DTZ001 - as a column of datetimes is
    DataType.double: 0.0,
    DataType.float: 0.0,
    DataType.string: "",
}
