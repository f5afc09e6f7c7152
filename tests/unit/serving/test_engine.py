"""Predictions in the model's own threads: who shares a call, who waits how long, what a failure costs."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.errors import (
    DataError,
    DeadlineError,
    OverloadedError,
    PredictionError,
    Problem,
    UnavailableError,
)
from modelserving.serving.batch import batch_key, split
from modelserving.serving.engine import Engine
from modelserving.serving.job import Job
from modelserving.serving.limits import Limits
from modelserving.signature.rows import Raw, Rows


def rows(*values: float) -> Rows:
    return Rows((), np.array(values, dtype=float).reshape(-1, 1))


def first_column(data, params, method):
    return data.array()[:, 0]


class Gate:
    """A model that waits at a gate, so that what comes meanwhile has to queue."""

    def __init__(self, predict=first_column) -> None:
        self.predict, self.entered, self.open = predict, threading.Semaphore(0), threading.Event()
        self.calls: list[list[float]] = []

    def __call__(self, data, params, method):
        self.calls.append([] if isinstance(data, Raw) else data.array()[:, 0].tolist())
        self.entered.release()
        assert self.open.wait(30)
        return self.predict(data, params, method)

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=30)


@pytest.fixture
def start():
    engines, gates = [], []

    def start(predict=first_column, *, threads=1, batching=False, **limits):
        if isinstance(predict, Gate):
            gates.append(predict)
        engine = Engine(predict, name="m", limits=Limits(**limits), threads=threads, batching=batching)
        engines.append(engine)
        return engine

    yield start
    for gate in gates:
        gate.open.set()
    for engine in engines:
        engine.close()


def test_no_thread_runs_before_the_first_job(start):
    before = threading.active_count()

    start()

    assert threading.active_count() == before


def test_a_prediction_comes_back(start):
    assert start().submit(rows(1, 2), {}).result().tolist() == [1.0, 2.0]


def test_a_value_without_rows_is_handed_over_as_it_is(start):
    engine = start(lambda data, params, method: (data.value, params, method), batching=True)

    assert engine.submit(Raw("hi"), {"k": 1}, "chat").result() == ("hi", {"k": 1}, "chat")


def test_one_thread_predicts_one_at_a_time(start):
    gate = Gate()
    engine = start(gate)
    jobs = [engine.submit(rows(n), {}) for n in range(3)]
    gate.wait_entered()

    assert gate.calls == [[0.0]]
    gate.open.set()
    assert [job.result().tolist() for job in jobs] == [[0.0], [1.0], [2.0]]


def test_two_threads_predict_two_at_a_time(start):
    gate = Gate()
    engine = start(gate, threads=2)
    jobs = [engine.submit(rows(n), {}) for n in range(3)]
    gate.wait_entered()
    gate.wait_entered()

    assert sorted(gate.calls) == [[0.0], [1.0]]
    gate.open.set()
    assert [job.result().tolist() for job in jobs] == [[0.0], [1.0], [2.0]]


def test_what_queued_while_the_model_was_busy_is_the_next_batch(start):
    gate = Gate()
    engine = start(gate, batching=True)
    first = engine.submit(rows(0), {})
    gate.wait_entered()
    others = [engine.submit(rows(n, n + 0.5), {}) for n in range(1, 4)]
    gate.open.set()

    assert first.result().tolist() == [0.0]
    assert [job.result().tolist() for job in others] == [[1.0, 1.5], [2.0, 2.5], [3.0, 3.5]]
    assert gate.calls == [[0.0], [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]]


def test_without_batching_each_request_is_its_own_call(start):
    gate = Gate()
    engine = start(gate)
    jobs = [engine.submit(rows(n), {}) for n in range(3)]
    gate.open.set()

    [job.result() for job in jobs]
    assert gate.calls == [[0.0], [1.0], [2.0]]


def test_a_batch_has_at_most_so_many_rows_and_nobody_is_passed_over(start):
    gate = Gate()
    engine = start(gate, batching=True, batch_rows=3)
    jobs = [engine.submit(rows(0), {})]
    gate.wait_entered()
    jobs += [engine.submit(rows(*[n] * size), {}) for n, size in [(1, 2), (2, 2), (3, 1), (4, 9)]]
    gate.open.set()

    assert [len(job.result()) for job in jobs] == [1, 2, 2, 1, 9]
    assert gate.calls == [[0.0], [1.0, 1.0, 3.0], [2.0, 2.0], [4.0] * 9]


@pytest.mark.parametrize(
    "other",
    [
        (Rows((), np.zeros((1, 1), dtype="float32")), {"k": 1}, None),
        (Rows(("a",), np.zeros((1, 1))), {"k": 1}, None),
        (rows(0), {"k": 1.0}, None),
        (rows(0), {"k": True}, None),
        (rows(0), {}, None),
        (rows(0), {"k": [1]}, None),
        (rows(0), {"k": 1}, "predict_proba"),
    ],
)
def test_another_type_name_param_or_method_is_another_batch(other):
    assert batch_key(Job(*other, 1)) != batch_key(Job(rows(0), {"k": 1}, None, 1))


def test_equal_requests_share_a_batch_whatever_the_order_of_their_params():
    one, two = ({"a": [1, "x"], "b": {"c": None}}, {"b": {"c": None}, "a": [1, "x"]})

    assert batch_key(Job(rows(1), one, None, 1)) == batch_key(Job(rows(2), two, None, 1)) is not None


@pytest.mark.parametrize(
    "job", [(Raw(1), {}), (Rows((), np.zeros((0, 1))), {}), (rows(1), {"k": np.zeros(2)})]
)
def test_what_cannot_be_joined_safely_stays_alone(job):
    assert batch_key(Job(*job, None, 1)) is None


def test_only_the_guilty_request_of_a_batch_fails(start):
    def refuse_negative(data, params, method):
        if (data.array() < 0).any():
            raise ValueError("secret")
        return first_column(data, params, method)

    gate = Gate(refuse_negative)
    engine = start(gate, batching=True)
    jobs = [engine.submit(rows(0), {})]
    gate.wait_entered()
    jobs += [engine.submit(rows(n), {}) for n in (1, 2, -3, 4, 5)]
    gate.open.set()

    assert [jobs[n].result().tolist() for n in (0, 1, 2, 4, 5)] == [[0.0], [1.0], [2.0], [4.0], [5.0]]
    with pytest.raises(PredictionError, match="model 'm' failed with ValueError") as caught:
        jobs[3].result()
    assert str(caught.value.__cause__) == "secret"


@pytest.mark.parametrize(
    "odd", [lambda a: a.sum(), lambda a: a[:1], lambda a: "text", lambda a: {"x": a, "n": 1}]
)
def test_a_model_without_one_prediction_a_row_is_no_longer_batched(start, odd, caplog):
    gate = Gate(lambda data, params, method: odd(data.array()))
    engine = start(gate, batching=True)
    jobs = [engine.submit(rows(0), {})]
    gate.wait_entered()
    jobs += [engine.submit(rows(n, n), {}) for n in (1, 2)]
    gate.open.set()

    [job.result() for job in jobs]
    assert gate.calls == [[0.0], [1.0, 1.0, 2.0, 2.0], [1.0, 1.0], [2.0, 2.0]]
    assert not engine.batching
    assert "no longer batched" in caplog.text


def test_every_kind_of_predictions_is_split_by_rows():
    pandas = pytest.importorskip("pandas")
    jobs = [Job(rows(0), {}, None, 1), Job(rows(1, 2), {}, None, 1)]
    array = np.array([0, 1, 2])

    assert [part.tolist() for part in split(array, jobs)] == [[0], [1, 2]]
    assert split(["a", "b", "c"], jobs) == [["a"], ["b", "c"]]
    assert [part["x"].tolist() for part in split({"x": array}, jobs)] == [[0], [1, 2]]
    assert [part.tolist() for part in split(pandas.Series(array), jobs)] == [[0], [1, 2]]
    assert [part["x"].tolist() for part in split(pandas.DataFrame({"x": array}), jobs)] == [[0], [1, 2]]


def test_an_error_made_for_the_client_reaches_it(start):
    def refuse(data, params, method):
        raise DataError([Problem("long", "'x'")])

    with pytest.raises(DataError, match="expected long"):
        start(refuse).submit(rows(1), {}).result()


@pytest.mark.parametrize(
    "raised", [SystemExit, KeyboardInterrupt, MemoryError, RecursionError, GeneratorExit]
)
def test_whatever_a_model_raises_its_thread_goes_on(start, raised):
    def predict(data, params, method):
        if data.array()[0, 0] < 0:
            raise raised
        return first_column(data, params, method)

    engine = start(predict)
    with pytest.raises(PredictionError, match=raised.__name__):
        engine.submit(rows(-1), {}).result()

    assert engine.submit(rows(1), {}).result().tolist() == [1.0]


def test_a_killed_thread_leaves_nobody_waiting_and_is_replaced(start, monkeypatch, caplog):
    engine = start()
    answer = engine._answer

    def killed(jobs):
        monkeypatch.setattr(engine, "_answer", answer)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(threading.get_ident()), ctypes.py_object(SystemExit)
        )
        for _ in range(1000):  # it arrives between two instructions
            pass

    monkeypatch.setattr(engine, "_answer", killed)
    with caplog.at_level(logging.ERROR, "modelserving"), pytest.raises(PredictionError):
        engine.submit(rows(1), {}).result()

    assert engine.submit(rows(2), {}).result().tolist() == [2.0]


def test_a_wait_ends_at_its_deadline_and_the_job_is_not_predicted(start):
    gate = Gate()
    engine = start(gate, prediction_seconds=0.05)
    stuck, queued = engine.submit(rows(1), {}), engine.submit(rows(2), {})
    gate.wait_entered()

    for job in (stuck, queued):
        with pytest.raises(DeadlineError, match=r"0\.05 s"):
            job.result()
    gate.open.set()
    engine.close()
    assert gate.calls == [[1.0]]


def test_beyond_the_queue_nobody_is_let_in(start):
    gate = Gate()
    engine = start(gate, queue=2)
    engine.submit(rows(0), {})
    gate.wait_entered()
    waiting = [engine.submit(rows(n), {}) for n in (1, 2)]

    with pytest.raises(OverloadedError) as caught:
        engine.submit(rows(3), {})
    assert 1 <= caught.value.retry_after <= 60
    gate.open.set()
    assert [job.result().tolist() for job in waiting] == [[1.0], [2.0]]


def test_a_place_in_the_queue_is_free_again_when_its_client_left(start):
    gate = Gate()
    engine = start(gate, queue=1)
    engine.submit(rows(0), {})
    gate.wait_entered()
    engine.submit(rows(1), {}).abandon()

    job = engine.submit(rows(2), {})

    gate.open.set()
    assert job.result().tolist() == [2.0]
    assert gate.calls == [[0.0], [2.0]]


def test_closing_ends_the_threads_and_fails_what_waits(start):
    gate = Gate()
    engine = start(gate)
    running = engine.submit(rows(0), {})
    gate.wait_entered()
    waiting = engine.submit(rows(1), {})
    gate.open.set()
    engine.close()

    assert running.result().tolist() == [0.0]
    with pytest.raises(UnavailableError):
        waiting.result()
    with pytest.raises(UnavailableError):
        engine.submit(rows(2), {})
    assert not [thread for thread in threading.enumerate() if thread.name == "predict-m"]


def test_an_event_loop_is_woken_whether_it_asks_before_or_after(start):
    engine = start()

    async def ask(job):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        job.notify(loop, future)
        await asyncio.wait_for(future, 30)
        return job.outcome().tolist()

    done = engine.submit(rows(1), {})
    done.result()
    assert asyncio.run(ask(done)) == [1.0]
    assert asyncio.run(ask(engine.submit(rows(2), {}))) == [2.0]


def test_a_loop_that_is_gone_does_not_disturb_the_others(start):
    gate = Gate()
    engine = start(gate)
    job = engine.submit(rows(1), {})

    async def leave():
        loop = asyncio.get_running_loop()
        job.notify(loop, loop.create_future())

    asyncio.run(leave())
    gate.open.set()
    assert engine.submit(rows(2), {}).result().tolist() == [2.0]


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    guilty=st.sets(st.integers(0, 63), max_size=4),
    batch_rows=st.integers(1, 40),
    threads=st.integers(1, 3),
)
def test_64_threads_each_get_their_own_rows_back(sizes, guilty, batch_rows, threads):
    def echo(data, params, method):
        ids = data.array()[:, 0]
        if guilty & set(ids.astype(int).tolist()):
            raise ValueError
        return ids

    limits = Limits(batch_rows=batch_rows)
    engine = Engine(echo, name="m", limits=limits, threads=threads, batching=True)
    wrong = []

    def client(number):
        for size in sizes:
            data = Rows((), np.full((size, 1), float(number)))
            try:
                got = engine.submit(data, {}).result().tolist()
            except PredictionError:
                got = "failed"
            expected = "failed" if size and number in guilty else [float(number)] * size
            if got != expected:
                wrong.append((number, size, got))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(60)
    engine.close()

    assert wrong == []
