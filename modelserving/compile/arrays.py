"""The proof that a model answers alike on an array and on a DataFrame, so that no DataFrame need be built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelserving.compile.asking import one_thread, quiet
from modelserving.compile.probes import Edges, draw
from modelserving.compile.proof import compare
from modelserving.compile.table import Table
from modelserving.errors import CompileError

if TYPE_CHECKING:
    from modelserving.model import Model

PROBES = 256


def answers_alike_on_arrays(model: Model, example: object) -> bool:
    """Whether every method answers the example and probes alike in both forms, bit for bit.

    Args:
        model: A loaded model.
        example: Its input example.
    """
    import numpy as np

    schema = model.signature.inputs if model.signature else None
    if schema is None or schema.is_tensor or not {"frame", "array"} <= set(model.traits.takes):
        return False
    try:
        table = Table(model.signature)
        rows = table.rows(draw(table.columns(example), Edges(), PROBES))
        if rows.block is None:
            return False
        for method in model.methods:
            with one_thread(), quiet():
                framed, plain = (
                    np.asarray(model.flavor.predict(model.native, rows.to(form), {}, method=method))
                    for form in ("frame", "array")
                )
            if framed.dtype != plain.dtype:
                return False
            difference = compare(framed, plain)
            if difference is None or difference.any():
                return False
    except CompileError:
        return False
    except Exception:  # noqa: BLE001 - a model that wants a DataFrame says so in its own words
        return False
    return True
