"""A throw-away process that does one thing with a model, so that a crash or worse does not happen here.

The parent writes a request and reads an answer, both JSON, in a private folder. Nothing is pickled, and the
parent's ``__main__`` is not run again, as ``multiprocessing`` would.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelserving.errors import ModelServingError

Task = Literal["canary", "conversion"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        value: What the task returned, None when it failed.
        problem: Why it failed, "" when it did not.
        died: Whether the process died or was ended, rather than answered.
    """

    value: Mapping[str, object] | None = None
    problem: str = ""
    died: bool = False


def ask(task: Task, request: Mapping[str, object], *, seconds: float) -> Answer:
    """Have a new process do ``task``, with this one's import path and environment; its output is dropped.

    Args:
        task: What to do.
        request: JSON values for it.
        seconds: How long it may take; then it is killed, with all that it started.
    """
    with tempfile.TemporaryDirectory(prefix="modelserving-") as name:
        folder = Path(name)
        (folder / "request").write_text(json.dumps(request), encoding="utf-8")
        path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
        try:
            process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-P", "-m", "modelserving.child", task, name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        except OSError as error:
            return Answer(problem=f"no process could be started: {error.strerror}", died=True)
        with process:
            return _answer(process, folder, seconds)


def _answer(process: subprocess.Popen[bytes], folder: Path, seconds: float) -> Answer:
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return Answer(problem=f"it did not end within {seconds:.0f} s", died=True)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if code < 0:
        return Answer(problem=f"it crashed ({_signal_name(-code)})", died=True)
    try:
        found = json.loads((folder / "answer").read_bytes())
    except (OSError, ValueError):
        return Answer(problem=f"it ended with exit code {code}", died=True)
    return Answer(found.get("value"), found.get("problem", ""))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _do(task: str, request: dict[str, object]) -> Mapping[str, object]:
    if task == "canary":
        from modelserving import canary

        return canary.in_child(request)
    from modelserving import conversion

    return conversion.in_child(request)


def _main(task: str, folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # out of memory, this process shall end, not its parent
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    request = json.loads((folder / "request").read_bytes())
    answer: dict[str, object]
    try:
        answer = {"value": _do(task, request)}
    except ModelServingError as error:
        answer = {"problem": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a model or its framework raises
        answer = {"problem": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}
    (folder / "answer").write_text(json.dumps(answer), encoding="utf-8")
    os._exit(0)  # threads that a library left behind have nothing more to say


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
