"""What is wrong with some data: collected, so that a client learns all of it at once."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from modelserving.errors import DataError, Problem, excerpt


class Refuse(Protocol):
    """Called with the position of a value that does not fit; None when it is the column as a whole."""

    def __call__(self, index: int | None, expected: str, got: str, path: str | None = None) -> None:
        """Note that the value at ``index`` is ``got`` where ``expected`` was."""


class Problems:
    """The problems of one request: the first of them in full, all of them counted."""

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.total = 0

    def __bool__(self) -> bool:
        return self.total > 0

    def add(
        self,
        expected: str,
        got: str,
        *,
        row: int | None = None,
        column: str | int | None = None,
        path: str | None = None,
    ) -> None:
        """Note one problem."""
        self.total += 1
        if len(self.first) < DataError.LIMIT:
            self.first.append(Problem(expected, got, row, column, path))

    def column(self, name: str | int | None) -> Refuse:
        """What notes the problems of one column, whose index is the row."""

        def refuse(index: int | None, expected: str, got: str, path: str | None = None) -> None:
            self.add(expected, got, row=index, column=name, path=path)

        return refuse

    def check(self) -> None:
        """Go on only if there is none.

        Raises:
            DataError: There are some.
        """
        if self.total:
            raise DataError(self.first, self.total)


def wrong(expected: str, got: str, **place: object) -> DataError:
    """The error of one problem, for structures that nothing can be read from."""
    return DataError([Problem(expected, got, **place)])  # type: ignore[arg-type]


def count(number: int, noun: str) -> str:
    """``1 value``, ``2 values``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: object) -> str:
    """A value as a message may show it: short, in JSON's words, never the whole of a list or object."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"a list of {count(len(value), 'item')}"
    if isinstance(value, dict):
        return f"an object of {count(len(value), 'key')}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if (
        isinstance(value, int) and value.bit_length() > 256
    ):  # repr of a very long integer raises, and takes time
        return f"an integer of {value.bit_length()} bits"
    return excerpt(value)
