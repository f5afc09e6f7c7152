"""Golden rows: what a model answered to its input example when it was logged, and whether it still does.

They stand in ``golden.json`` beside the example, as the JSON a client would get, and are only recorded for a
model that gives the same answer twice.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelserving.errors import GoldenRowsError, MLmodelError, ModelServingError, PredictionError, excerpt
from modelserving.example import load_example
from modelserving.mlmodel import safe_relpath
from modelserving.scoring.predictions import encode_json

if TYPE_CHECKING:
    from modelserving.mlmodel import MLmodel

FILE: Final = "golden.json"
RELATIVE: Final = 1e-5
ABSOLUTE: Final = 1e-7
"""How far two numbers may be apart: libraries of other versions sum in another order, in single precision."""

Ask = Callable[[object, Mapping[str, object] | None], object]
"""Data and params to predictions."""

logger = logging.getLogger("modelserving")


def record(folder: Path, metadata: MLmodel, predictions: object, ask: Ask) -> dict[str, str]:
    """Write the golden rows of a model that was just saved.

    Args:
        folder: Its folder, with the input example.
        metadata: What its MLmodel file will say.
        predictions: What it answered to the example.
        ask: Asks it once more, with the example as it will be read back.

    Returns:
        What goes under ``modelserving:``; nothing for a model whose answers differ from one time to the
        next, or have no JSON form.
    """
    try:
        expected = _json(predictions)
        again = _json(ask(*load_example(folder, metadata.saved_input_example_info or {}, metadata.signature)))
    except Exception as error:  # noqa: BLE001 - what the model or its framework raises; it has answered once
        logger.info("no golden rows are recorded: %s: %s", type(error).__name__, error)
        return {}
    if next(differences(expected, again), None) is not None:
        logger.info("no golden rows are recorded: the model answers its input example differently each time")
        return {}
    (folder / FILE).write_text(json.dumps({"predictions": expected}), encoding="utf-8")
    return {"golden": FILE}


def check(folder: Path, metadata: MLmodel, ask: Ask, *, model: str) -> None:
    """Ask a model its input example and compare with what it answered when it was logged.

    A model without golden rows passes, and the log says that there were none.

    Args:
        folder: Its folder, verified.
        metadata: What its MLmodel file says.
        ask: Asks it.
        model: Its name, for the error.

    Raises:
        GoldenRowsError: It answers differently, beyond the last digits of a number in single precision.
        PredictionError: It fails.
        MLmodelError: The golden rows or the example cannot be read.
    """
    file = metadata.ours.get("golden")
    if not isinstance(file, str) or metadata.saved_input_example_info is None:
        logger.info("model %r has no golden rows, so its answers were not compared", model)
        return
    path = folder.joinpath(*safe_relpath(file))
    try:
        expected = json.loads(path.read_bytes())["predictions"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise MLmodelError(f"the golden rows cannot be read: {error}", str(path)) from error
    data, params = load_example(folder, metadata.saved_input_example_info, metadata.signature)
    try:
        got = _json(ask(data, params))
    except ModelServingError:
        raise
    except Exception as error:
        raise PredictionError(model, type(error).__name__) from error
    found = list(differences(expected, got))
    if found:
        raise GoldenRowsError(model, *found[0], len(found))


def differences(expected: object, got: object, path: str = "$") -> Iterator[tuple[str, str, str]]:
    """Where two JSON values differ: place, expected, got. Numbers may differ in their last digits.

    Example:
        >>> list(differences([1.0, "a"], [1.0000001, "b"]))
        [('$[1]', "'a'", "'b'")]
    """
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for at, (left, right) in enumerate(zip(expected, got, strict=True)):
            yield from differences(left, right, f"{path}[{at}]")
    elif isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        for key, left in expected.items():
            yield from differences(left, got[key], f"{path}.{key}")
    elif not _same(expected, got):
        yield path, excerpt(expected), excerpt(got)


def _same(expected: Any, got: Any) -> bool:
    floats = isinstance(expected, float) or isinstance(got, float)
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (expected, got))
    if floats and numbers:
        return math.isclose(expected, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(expected) is type(got) and bool(expected == got)


def _json(predictions: object) -> Any:
    return json.loads(encode_json(predictions))
