"""Models that answer with what they were given, so that a changed value shows; and some that misbehave."""

import sys

import numpy as np

from modelserving.flavor import Traits
from modelserving.serving import server
from modelserving.serving.app import create_app, create_asgi_app
from modelserving.serving.limits import Limits
from modelserving.signature.rows import Rows
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import Array, DataType, Map, Object, Property

D = DataType
NAMED = {
    "rows": (ColumnSpec(D.double, "a"), ColumnSpec(D.long, "b"), ColumnSpec(D.string, "s")),
    "optional": (ColumnSpec(D.double, "a"), ColumnSpec(D.long, "b", required=False)),
    "text": (ColumnSpec(D.string, "s"),),
    "maybe": (ColumnSpec(D.string, "s", required=False), ColumnSpec(D.double, "a")),
    "flag": (ColumnSpec(D.boolean, "f"),),
    "bytes": (ColumnSpec(D.binary, "x"),),
    "when": (ColumnSpec(D.datetime, "t"),),
    "single": (ColumnSpec(D.float, "f"),),
    "long": (ColumnSpec(D.long, "b"),),
    "lists": (ColumnSpec(Array(D.long), "l"),),
    "object": (ColumnSpec(Object((Property("p", D.long), Property("q", D.string, required=False))), "o"),),
    "map": (ColumnSpec(Map(D.double), "m"),),
    "tensor": (TensorSpec("float32", (-1, 2)),),
    "whole": (TensorSpec("int64", (-1, 2)),),
}


def answered(data):
    """The rows as lists; the value itself where there are no rows."""
    if not isinstance(data, Rows):
        return data.value
    columns = data.mapping() if data.names else None
    if columns is None:
        return data.array()
    return [
        list(row)
        for row in zip(
            *(
                column.tolist() if column.dtype.kind != "M" else column.astype(str).tolist()
                for column in columns.values()
            ),
            strict=True,
        )
    ]


class Echo:
    """Answers with its input."""

    version, digest = 1, None

    def __init__(self, name, specs=None, params=(), answer=answered):
        self.name, self.answer = name, answer
        self.signature = Signature(Schema(tuple(specs)), params=params) if specs else None
        self.traits = Traits(methods=("predict", "predict_proba"))

    def predict_rows(self, data, params, *, method=None):
        return self.answer(data)


def fails(data):
    raise RuntimeError("the secret of /etc/model")


def leaves(data):
    sys.exit(3)


def models():
    made = {name: Echo(name, specs) for name, specs in NAMED.items()}
    made["params"] = Echo("params", NAMED["long"], (ParamSpec("t", D.double, 0.5),))
    made["free"] = Echo("free")
    made["fails"] = Echo("fails", NAMED["long"], answer=fails)
    made["leaves"] = Echo("leaves", NAMED["long"], answer=leaves)
    made["nan"] = Echo("nan", NAMED["long"], answer=lambda data: np.array([np.nan, np.inf, -np.inf, 0.5]))
    made["opaque"] = Echo("opaque", NAMED["long"], answer=lambda data: object())
    return made


LIMITS = Limits(body=1024 * 1024)


def wsgi():
    return create_app(models(), limits=LIMITS)


def asgi():
    return create_asgi_app(models(), limits=LIMITS)


if __name__ == "__main__":
    server.run(asgi, "echoes", port=0)
