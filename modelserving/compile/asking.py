"""A model asked about many rows at once, without its remarks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelserving.errors import CompileError

if TYPE_CHECKING:
    from modelserving.model import Model
    from modelserving.signature.rows import Rows


def ask(model: Model, rows: Rows, method: str | None = None) -> Any:
    """The answer as an array whose first axis is the row.

    Raises:
        CompileError: The model does not answer each row by itself.
    """
    import numpy as np

    with quiet():
        answer = np.asarray(model.predict_rows(rows, {}, method=method))
    if answer.ndim == 0 or len(answer) != len(rows):
        raise CompileError(f"{method or model.method} does not answer each row by itself", model.name)
    return answer


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is said about values that no user has sent: the log of 0, a double that float32 cannot hold."""
    import numpy as np

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenMP and BLAS with one thread: on a busy machine each of many short calls would wait for more."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1):
        yield
