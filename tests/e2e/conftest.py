"""A real server in a process of its own, bounded in time and ended by its process id."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

START_SECONDS = 60

# a package of its own; test_flavor_package.py installs it and runs its tests
collect_ignore = ["flavor_package"]


class Server:
    """A running ``modelserving serve``: its address, its process, and questions to it."""

    def __init__(self, process, address):
        self.process, self.address = process, address

    def ask(self, path, body=None, headers=None, method=None):
        """(status, headers, parsed body) of one request."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = (
            {"Content-Type": "application/json"} | (headers or {}) if data is not None else headers or {}
        )
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, json.loads(answer.read() or b"null")


@pytest.fixture
def command():
    """The installed command, as a user types it."""
    return str(Path(sys.executable).with_name("modelserving"))


@pytest.fixture
def serve(command):
    """Start a server: serve("-m", uri, cwd=…) gives a Server once it says where it listens."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, cwd, env=None, command=command):
            process = subprocess.Popen(
                [command, "serve", "-p", "0", *arguments],
                cwd=cwd,
                env=os.environ | (env or {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(end, process)
            return Server(process, announced_address(process))

        yield start


def announced_address(process):
    """The address that the server prints when it is ready; a test failure with its errors when it does
    not."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while line := lines.get(timeout=START_SECONDS):
        for word in line.split():
            if word.startswith("http://"):
                return word.rstrip("/,.")
    pytest.fail(f"the server did not start: {process.stderr.read()}")


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
