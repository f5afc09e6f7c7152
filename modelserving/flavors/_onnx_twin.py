"""A graph that stands in for a model: it answers by method, and refuses what the model refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.errors import DataError, Problem, excerpt
from modelserving.flavor import Traits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelserving.flavor import Config
    from modelserving.flavors.onnx import OnnxModel

MATRIX = "X"
ROWS_AT_ONCE = 1024  # bounds the memory for what a graph computes on its way
_LARGEST = 3.4028234663852886e38  # of float32


class OnnxTwin:
    """A graph with a mapping from method to output.

    Args:
        graph: The loaded graph; it has one input ``X`` for the matrix of all columns, or one for each column.
        config: What the entry in the MLmodel file says under ``twin``: ``methods``, ``classes``, ``columns``,
            ``rows_independent``, and what of the values that its inputs could hold the model ``refuses`` and
            ``knows``.

    Attributes:
        graph: The loaded graph.
        methods: Method → name of the output that answers it.
        columns: The names of the columns, in the order of the signature.
    """

    def __init__(self, graph: OnnxModel, config: Config) -> None:
        given: Any = config
        self.graph = graph
        self.methods: dict[str, str] = dict(given["methods"])
        self.columns: list[str | int] = list(given["columns"])
        if absent := set(self.methods.values()).difference(graph.outputs):
            raise ValueError(f"the graph has no output {min(absent)!r}")
        self._classes = {method: tuple(labels) for method, labels in given.get("classes", {}).items()}
        self._rows_independent = bool(given.get("rows_independent"))
        refuses = given.get("refuses", {})
        self._refuses = {kind: set(names) for kind, names in refuses.items()}
        self._knows = {name: frozenset(values) for name, values in given.get("knows", {}).items()}
        self._is_matrix = [name for name, _, _ in graph.inputs] == [MATRIX]
        self._text = {name for name, kind, _ in graph.inputs if kind == "tensor(string)"}

    @property
    def traits(self) -> Traits:
        """A graph made from a model has its traits, as far as they were known."""
        return Traits(
            methods=tuple(self.methods),
            takes=("array", "columns") if self._is_matrix else ("columns",),
            classes=self._classes,
            rows_independent=self._rows_independent,
            thread_safe=True,
        )

    def predict(self, data: Any, method: str) -> object:
        """The answer of one method, an array whose first axis is the row.

        Raises:
            DataError: A value is one that the model refuses: NaN, infinity, or a category it does not know.
        """
        import numpy as np

        feed = self._feed(data)
        rows = len(next(iter(feed.values())))
        output, session = [self.methods[method]], self.graph.session
        if rows <= ROWS_AT_ONCE:
            return session.run(output, feed)[0]
        parts = [
            session.run(output, {name: array[start : start + ROWS_AT_ONCE] for name, array in feed.items()})[
                0
            ]
            for start in range(0, rows, ROWS_AT_ONCE)
        ]
        return np.concatenate(parts)

    def _feed(self, data: Any) -> dict[str, Any]:
        """The inputs of the graph, from an array or from one array a column."""
        import numpy as np

        if self._is_matrix:
            matrix = (
                data
                if isinstance(data, np.ndarray)
                else np.column_stack([data[name] for name in self.columns])
            )
            matrix = np.ascontiguousarray(matrix, np.float64)
            self._check_numbers(matrix, self.columns)
            return {MATRIX: matrix}
        feed = {}
        for column in self.columns:
            name = str(column)
            if name in self._text:
                feed[name] = np.asarray(data[column], object).reshape(-1, 1)
            else:
                feed[name] = np.asarray(data[column], np.float64).reshape(-1, 1)
                self._check_numbers(feed[name], [column])
            if name in self._knows:
                self._check_known(feed[name], name)
        return feed

    def _check_numbers(self, array: Any, columns: Sequence[str | int]) -> None:
        """Refuse what the model refuses; where all is finite and of usual size that is nothing."""
        if array.size == 0 or (array.max() <= _LARGEST and array.min() >= -_LARGEST):
            return
        import numpy as np

        with np.errstate(over="ignore"):
            infinite, large = np.isinf(array), np.isinf(array.astype(np.float32))
        odd = {"nan": np.isnan(array), "infinity": infinite, "large": large & ~infinite}
        problems = []
        for kind, where in odd.items():
            refusing = self._refuses.get(kind, ())
            for row, at in zip(*np.nonzero(where), strict=True):
                if str(columns[at]) in refusing:
                    problems.append(Problem(_EXPECTED[kind], str(array[row, at]), int(row), columns[at]))
        if problems:
            raise DataError(problems)

    def _check_known(self, array: Any, name: str) -> None:
        known = self._knows[name]
        unknown = [(row, value) for row, value in enumerate(array[:, 0].tolist()) if value not in known]
        if unknown:
            raise DataError(
                [Problem("a category the model knows", excerpt(value), row, name) for row, value in unknown]
            )


_EXPECTED: Mapping[str, str] = {
    "nan": "a number, as the model takes no missing values",
    "infinity": "a finite number",
    "large": "a number that float32 can hold",
}
