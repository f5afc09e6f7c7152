"""``serve`` for real: granian, worker processes, sockets, signals."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("granian")

BODY = b'{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'
JSON = {"Content-Type": "application/json"}

SCRIPT = """
import os, sys, threading, time
import numpy as np
from modelserving.errors import ModelServingError
from modelserving.flavor import Traits
from modelserving.serving import server
from modelserving.serving.app import create_asgi_app
from modelserving.signature.rows import Rows
from modelserving.signature.schema import Schema, Signature, TensorSpec

class Sums:
    name, version, digest = "sums", 3, None
    signature = Signature(inputs=Schema((TensorSpec("float64", (-1, 2)),)))
    traits = Traits(rows_independent=True)

    def predict_rows(self, data, params, *, method=None):
        array = data.array() if isinstance(data, Rows) else np.asarray(data.value)
        if array[0, 0] == -1:
            print("predicting", flush=True)
            time.sleep(array[0, 1])
        return array.sum(axis=1) if array[0, 0] != -2 else np.full(len(array), float(os.getpid()))

class Found:
    name, version, digest, signature = Sums.name, Sums.version, Sums.digest, Sums.signature

    def load(self, *, verify=False):
        if os.environ.get("FAIL"):
            raise RuntimeError("the disk\\nis gone")
        return Sums()

def app():
    return create_asgi_app(Found())

if __name__ == "__main__":
    try:
        server.run(app, "sums version 3 (fake)", port=int(sys.argv[1]), workers=int(sys.argv[2]))
    except ModelServingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
"""


@pytest.fixture
def start(tmp_path):
    script = tmp_path / "served.py"
    script.write_text(SCRIPT)
    started = []

    def start(port=0, workers=1, **environment):
        process = subprocess.Popen(
            [sys.executable, str(script), str(port), str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def url_of(process) -> tuple[str, int]:
    line = process.stdout.readline()
    found = re.fullmatch(r"sums version 3 \(fake\) at http://127\.0\.0\.1:(\d+) with \d workers?\n", line)
    assert found, (line, process.stderr.read() if process.poll() is not None else "")
    return "127.0.0.1", int(found[1])


@contextmanager
def connected(address):
    connection = http.client.HTTPConnection(*address, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def ask(address, method="POST", path="/invocations", body=BODY, headers=JSON):
    with connected(address) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def raw(address, data, *, half_close=False) -> bytes:
    with socket.create_connection(address, timeout=30) as stream:
        stream.sendall(data)
        if half_close:
            stream.shutdown(socket.SHUT_WR)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < _length(answer):
            part = stream.recv(65536)
            if not part:
                break
            answer += part
        return answer


def _length(answer: bytes) -> int:
    found = re.search(rb"(?i)content-length: (\d+)", answer)
    return int(found[1]) if found else 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(pid: int) -> list[int]:
    return [child for child in children(pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def gone(pid: int, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_it_serves_as_soon_as_it_says_so(start):
    address = url_of(start())

    status, body, headers = ask(address)
    assert (status, json.loads(body)) == (200, {"predictions": [3.0, 7.0]})
    assert headers["X-Model-Name"] == "sums"
    assert [ask(address, "GET", path, None, {})[0] for path in ("/ping", "/health", "/version")] == [200] * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_without_a_word(start, number):
    process = start(workers=2)
    with connected(url_of(process)) as idle:
        idle.request("GET", "/ping")
        idle.getresponse().read()

        process.send_signal(number)

        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_it_still_ends_with_0(start):
    process = start(workers=2)
    url_of(process)

    for pid in [*workers_of(process.pid), process.pid]:
        os.kill(pid, signal.SIGINT)

    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_what_is_in_flight_at_sigterm_is_answered(start):
    process = start()
    address = url_of(process)
    answers = []
    client = threading.Thread(
        target=lambda: answers.append(ask(address, body=b'{"inputs": [[-1.0, 1.0]]}')[0])
    )
    client.start()
    assert process.stdout.readline() == "predicting\n"

    process.send_signal(signal.SIGTERM)

    client.join(60)
    process.communicate(timeout=60)
    assert (answers, process.returncode) == ([200], 0)


def test_ping_is_answered_while_the_model_is_busy(start):
    process = start()
    address = url_of(process)
    client = threading.Thread(target=ask, args=(address,), kwargs={"body": b'{"inputs": [[-1.0, 2.0]]}'})
    client.start()
    assert process.stdout.readline() == "predicting\n"

    assert ask(address, "GET", "/ping", None, {})[0] == 200
    assert client.is_alive()
    client.join(60)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_a_killed_parent_leaves_no_worker_behind(start):
    process = start(workers=2)
    url_of(process)
    workers = workers_of(process.pid)

    process.kill()

    process.communicate(timeout=60)
    assert len(workers) == 2
    assert [gone(pid) for pid in workers] == [True, True]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_a_killed_worker_is_replaced(start):
    process = start()
    address = url_of(process)
    [worker] = workers_of(process.pid)

    os.kill(worker, signal.SIGKILL)

    assert gone(worker)
    end = time.monotonic() + 60
    pid = None
    while pid is None and time.monotonic() < end:
        with suppress(OSError, http.client.HTTPException):
            pid = json.loads(ask(address, body=b'{"inputs": [[-2.0, 0.0]]}')[1])["predictions"][0]
    assert pid not in {None, worker}


def test_two_workers_share_one_port(start):
    address = url_of(start(workers=2))

    pids = {
        json.loads(ask(address, body=b'{"inputs": [[-2.0, 0.0]]}')[1])["predictions"][0] for _ in range(64)
    }

    assert len(pids) == 2


def test_a_port_in_use_is_one_line_and_exit_1(start):
    _, port = url_of(start())

    second = start(port=port)

    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (1, "")
    expected = (
        f"error: cannot listen on 127.0.0.1 port {port}: address already in use; choose another with --port"
    )
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_a_model_that_cannot_be_loaded_is_one_line_and_exit_1(start):
    process = start(workers=2, FAIL="1")

    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said == ["error: model 'sums version 3 (fake)' cannot answer: RuntimeError: the disk is gone"]
    assert "Traceback" not in err


POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("data", "half_close", "status"),
    [
        (POST + b"Content-Length: 100\r\n\r\n" + BODY, True, 400),
        (POST + b"Content-Length: -1\r\n\r\n", False, 400),
        (POST + b"Content-Length: 999999999999\r\n\r\n", False, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n24\r\n" + BODY + b"\r\n0\r\n\r\n", False, 200),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n24\r\n" + BODY + b"\r\n", True, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n" + BODY + b"\r\n0\r\n\r\n", False, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-3\r\n", False, 400),
        (POST + b"\r\n", False, 411),
        (b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n", False, 404),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", False, 204),
        (b"GET /%69nvocations%00 HTTP/1.1\r\nHost: a\r\n\r\n", False, 404),
    ],
)
def test_broken_framing_gets_an_answer(server, data, half_close, status):
    answer = raw(server, data, half_close=half_close)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: " in head or status == 400
    assert not body or json.loads(body)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    script = tmp_path_factory.mktemp("server") / "served.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), "0", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield url_of(process)
    process.terminate()
    process.communicate(timeout=60)
