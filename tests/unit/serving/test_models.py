"""When a model is loaded, how often, and what a fork changes."""

from __future__ import annotations

import os
import sys
import threading
import warnings

import pytest

from modelserving.errors import MissingDependencyError, UnavailableError
from modelserving.serving.limits import Limits
from modelserving.serving.models import ServedModel

BODY = b'{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'


def in_child(check) -> int:
    """The exit code of a forked child that runs ``check``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork with threads; that is what is tested
        child = os.fork()
    if child == 0:
        code = 99
        try:
            code = check()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_making_an_app_loads_nothing_and_starts_no_thread(client, fake_resolved):
    resolved, before = fake_resolved(), threading.active_count()

    app = client.app(resolved)

    assert (resolved.loads, app.loaded, threading.active_count()) == (0, False, before)


@pytest.mark.parametrize("path", ["/ping", "/invocations"])
def test_the_first_request_loads_and_the_next_does_not(client, fake_resolved, path):
    resolved = fake_resolved()
    app = client.app(resolved)
    body = BODY if path == "/invocations" else b""

    assert [client.ask(app, path, body=body).status for _ in range(2)] == [200, 200]
    assert (resolved.loads, app.loaded) == (1, True)


def test_a_request_that_needs_no_model_loads_none(client, fake_resolved):
    resolved = fake_resolved()
    app = client.app(resolved)

    assert [client.ask(app, path).status for path in ("/version", "/nowhere")] == [200, 404]
    assert resolved.loads == 0


def test_32_threads_load_once(fake_resolved, fake_model):
    together, loading = threading.Barrier(32), threading.Event()

    def load():
        loading.wait(30)
        return fake_model()

    resolved = fake_resolved(load)
    model = ServedModel(resolved, limits=Limits())
    ready = []

    def first_request():
        together.wait(30)
        threading.Timer(0.05, loading.set).start()
        model.load()
        ready.append(model.loaded)

    threads = [threading.Thread(target=first_request) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    model.close()

    assert (resolved.loads, ready) == (1, [True] * 32)


def test_a_failed_load_is_told_to_the_caller_and_tried_again(client, fake_resolved, fake_model):
    def load():
        if resolved.loads == 1:
            raise MissingDependencyError("sklearn", "flavor 'sklearn'", "sklearn")
        return fake_model()

    resolved = fake_resolved(load)
    app = client.app(resolved)

    with pytest.raises(MissingDependencyError):
        app.load()
    app.load()
    assert app.loaded


def test_a_failed_load_is_503_to_a_client_without_details(client, fake_resolved, caplog):
    def load():
        raise RuntimeError("/secret/path")

    app = client.app(fake_resolved(load))

    for path, body in (("/ping", b""), ("/invocations", BODY)):
        answer = client.ask(app, path, body=body)
        assert answer.status == 503
        assert answer.json["message"].startswith(
            "model 'sums' cannot answer: it could not be loaded (RuntimeError)"
        )
    assert "/secret/path" in caplog.text


def test_after_a_fork_the_model_is_loaded_again(client, fake_resolved):
    resolved = fake_resolved()
    app = client.app(resolved)
    app.load()

    def child():
        if app.loaded:
            return 1
        answer = client.ask(app, body=BODY)
        return 0 if answer.status == 200 and resolved.loads == 2 else 2

    assert in_child(child) == 0


def test_a_fork_while_another_thread_loads_does_not_hang_the_child(client, fake_resolved, fake_model):
    entered, leave = threading.Event(), threading.Event()

    def load():
        if resolved.loads == 1:
            entered.set()
            leave.wait(30)
        return fake_model()

    resolved = fake_resolved(load)
    app = client.app(resolved)
    loader = threading.Thread(target=app.load)
    loader.start()
    entered.wait(30)

    code = in_child(lambda: 0 if client.ask(app, body=BODY).status == 200 else 1)

    leave.set()
    loader.join(30)
    assert code == 0


def test_a_model_object_from_before_a_fork_is_refused_with_the_reason(client, fake_model):
    app = client.app(fake_model())

    def child():
        try:
            app.load()
        except UnavailableError as error:
            told = "loaded before this process was forked" in str(error) and "URI" in str(error)
            return 0 if told and client.ask(app, body=BODY).status == 503 else 2
        return 1

    assert in_child(child) == 0
    assert client.ask(app, body=BODY).status == 200


def test_a_fork_safe_model_object_goes_on_in_the_child(client, fake_model):
    app = client.app(fake_model(fork_safe=True))
    app.load()

    assert in_child(lambda: 0 if client.ask(app, body=BODY).status == 200 else 1) == 0


def test_a_model_that_is_not_thread_safe_has_one_thread_whatever_is_asked(fake_model, caplog):
    model = ServedModel(fake_model(), limits=Limits(), threads=8)
    model.load()

    assert model._engine.threads == 1
    assert "not thread-safe" in caplog.text
    model.close()


def test_a_thread_safe_model_has_the_threads_that_are_asked_for(fake_model):
    model = ServedModel(fake_model(thread_safe=True), limits=Limits(), threads=3)
    model.load()

    assert model._engine.threads == 3
    model.close()


def test_importing_the_app_loads_no_server_and_no_framework():
    import subprocess

    code = (
        "import sys, modelserving.serving.app as _; print({*sys.modules} & {'pandas', 'granian', 'sklearn'})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert run.stdout.strip() == "set()"
