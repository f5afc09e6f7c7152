"""Predictions for a file: what a server would answer to it, without a server."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelserving.errors import RequestError
from modelserving.model import load_model
from modelserving.scoring import invocations

_TYPES = {"json": "application/json", "csv": "text/csv"}


def predict_file(
    model_uri: str,
    source: str = "-",
    target: str = "-",
    *,
    content_type: str | None = None,
    method: str | None = None,
    flavor: str | None = None,
    store: str | None = None,
    trust: str | Sequence[str] | None = None,
    trusted_stores: Sequence[str] = (),
) -> None:
    """Ask a model what a file asks, and write its answer.

    Args:
        model_uri: The model, as in :func:`modelserving.load_model`.
        source: A file with the body of a request to ``/invocations``, JSON or CSV; ``-`` for standard input.
        target: Where the answer goes, complete or not at all; ``-`` for standard output.
        content_type: ``json`` or ``csv``; by the file's name if None, JSON when that does not tell.
        method: What to ask the model, such as ``predict_proba``; its default if None.
        flavor: Load it as this one of its flavors.
        store: The location of the store.
        trust: Digests of models whose code may run.
        trusted_stores: Locations of stores whose models' code may run.

    Raises:
        RequestError: The file cannot be read as a request.
        DataError: Its data does not fit the signature.
    """
    kind = content_type or (Path(source).suffix.lstrip(".").lower() if source != "-" else "json")
    try:
        body = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise RequestError(
            f"{source!r} cannot be read: {error.strerror}; name a file with the request"
        ) from error
    model = load_model(model_uri, store=store, flavor=flavor, trust=trust, trusted_stores=trusted_stores)
    request = invocations.decode(body, _TYPES.get(kind, _TYPES["json"]), model.signature)
    predictions = model.predict_rows(request.data, request.params, method=method)
    answer = invocations.encode(predictions, wrapped=request.wrapped)
    if target == "-":
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()
    else:
        _replace(Path(target), answer)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that its readers see the old content or all of the new."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
