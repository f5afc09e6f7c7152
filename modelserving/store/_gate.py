"""A gate between forks and the use of SQLite.

SQLite remembers in the memory of the process which locks it holds on a file, and uses mutexes of its own. A
child that is forked while another thread is in there inherits locks that nobody will ever give back. So
whoever uses SQLite goes through the gate, and a fork waits until nobody is inside.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Any number of threads inside, or one fork."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(before=self._close, after_in_parent=self._open, after_in_child=self._reset)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While the body runs, no other thread forks."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Within :meth:`inside`: while the body runs, which sleeps and holds nothing, a fork may happen."""
        self._leave()
        try:
            yield
        finally:
            self._enter()

    def _reset(self) -> None:
        self._changed = threading.Condition()  # reentrant: the garbage collector may come in anywhere
        self._inside: dict[int, int] = {}  # thread -> how deep; a child begins with none
        self._forks = 0

    def _enter(self) -> None:
        me = threading.get_ident()
        with self._changed:
            while self._forks and me not in self._inside:
                self._changed.wait()
            self._inside[me] = self._inside.get(me, 0) + 1

    def _leave(self) -> None:
        me = threading.get_ident()
        with self._changed:
            depth = self._inside.get(me, 0) - 1  # in a child, what was entered before the fork is forgotten
            if depth > 0:
                self._inside[me] = depth
            else:
                self._inside.pop(me, None)
            self._changed.notify_all()

    def _close(self) -> None:
        me = threading.get_ident()
        self._changed.acquire()
        self._forks += 1
        while any(thread != me for thread in self._inside):
            self._changed.wait()

    def _open(self) -> None:
        self._forks -= 1
        self._changed.notify_all()
        self._changed.release()


GATE = Gate()
