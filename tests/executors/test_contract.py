"""What every executor promises: one suite for that of this process, of processes, and of Ray."""

import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from support.processes import PATIENCE
from support.toy_tasks import (
    Die,
    Lonely,
    Nap,
    Pieces,
    Raise,
    RaiseLonely,
    Refusal,
    Square,
    Toys,
    Where,
)
from vqe_fast.executors.executor import Chunk, Executor, Failed, Finished, Lost, Progress, Refused
from vqe_fast.executors.inline import InlineExecutor
from vqe_fast.executors.process_pool import ProcessPool
from vqe_fast.executors.ray_cluster import RayCluster


@dataclass
class Runner:
    """An executor, and ways to wait for its events."""

    executor: Executor
    count: int

    def wait_for(self, condition, events=None):
        deadline = time.monotonic() + PATIENCE
        events = [] if events is None else events
        while not condition():
            assert time.monotonic() < deadline, events
            self.executor.poll(events.append, 1.0)
        return events

    def run(self, *tasks):
        """The events of tasks, each given as soon as a worker is free, up to the end of all."""
        events = []
        for key, task in enumerate(tasks):
            self.wait_for(lambda: self.executor.free, events)
            self.executor.submit(key, task)
        self.wait_for(
            lambda: sum(not isinstance(event, Progress | Chunk) for event in events) == len(tasks),
            events,
        )
        return events


@contextmanager
def made(kind, request):
    if kind == "inline":
        yield Runner(InlineExecutor(Toys(), "cpu"), 1)
    elif kind == "processes":
        with ProcessPool(Toys(), ["cpu", "cpu"], 1) as pool:
            yield Runner(pool, 2)
    else:
        nodes = request.getfixturevalue("cluster")
        address = nodes.client if kind == "ray client" else nodes.address
        with RayCluster(Toys(), address, worker_cpus=1) as cluster:
            yield Runner(cluster, 2)


@pytest.fixture(scope="module", params=["inline", "processes", "ray", "ray client"])
def runner(request):
    with made(request.param, request) as runner:
        yield runner


@pytest.fixture
def processes(runner):
    if isinstance(runner.executor, InlineExecutor):
        pytest.skip("its worker is this process")
    return runner


def test_tasks_end_with_their_results(runner):
    events = runner.run(*map(Square, range(7)))
    assert sorted((event.key, event.result) for event in events) == [(n, n * n) for n in range(7)]
    assert all(event.worker.count(":") == 1 and event.seconds >= 0 for event in events)


def test_workers_are_counted(runner):
    executor = runner.executor
    runner.wait_for(lambda: executor.free == runner.count)
    assert executor.workers == runner.count
    executor.submit(1, Nap(0.05))
    assert (executor.free, executor.workers) == (runner.count - 1, runner.count)
    (event,) = runner.wait_for(lambda: executor.free == runner.count)
    assert (event.key, event.result, executor.workers) == (1, None, runner.count)
    assert event.seconds >= 0.05


def test_waiting_ends(runner):
    events = []
    started = time.monotonic()
    runner.executor.poll(events.append, 0.01)
    assert not events and time.monotonic() - started < 5


def test_a_context_is_made_once_in_each_worker(runner):
    places = [event.result for event in runner.run(*[Where() for _ in range(6)])]
    assert len({context for _, context, *_ in places}) == len({pid for pid, *_ in places})
    assert all(context.startswith("cpu ") for _, context, *_ in places)


def test_workers_have_their_threads(processes):
    for event in processes.run(Where(), Where()):
        assert event.result[2] == 1


def test_chunks_come_in_order_before_the_end(runner):
    events = runner.run(Pieces(20, 300_000))
    assert b"".join(event.data for event in events if isinstance(event, Chunk)) == b"".join(
        bytes([number]) * 300_000 for number in range(20)
    )
    assert isinstance(events[-1], Finished) and events[-1].result == 20


def test_progress_rises(runner):
    told = [event.done for event in runner.run(Pieces(20, 1)) if isinstance(event, Progress)]
    assert told and told == sorted(set(told)) and told[0] >= 1 and told[-1] <= 20


def test_refusals_arrive_as_they_were_raised(runner):
    (event,) = runner.run(Raise(Refusal("no", 3)))
    assert isinstance(event, Refused) and type(event.error) is Refusal
    assert event.error.args == ("no", 3)


def test_other_exceptions_arrive_as_tracebacks(runner):
    (event,) = runner.run(Raise(KeyError("absent")))
    assert isinstance(event, Failed) and event.what == "KeyError: 'absent'"
    assert event.trace.endswith("KeyError: 'absent'\n")


def test_a_refusal_that_cannot_travel_is_a_failure(processes):
    (event,) = processes.run(RaiseLonely())
    assert isinstance(event, Failed) and Lonely.__name__ in event.trace
    assert_goes_on(processes)


def test_a_worker_without_memory_is_lost_and_others_go_on(runner):
    (event,) = runner.run(Raise(MemoryError()))
    assert isinstance(event, Lost) and event.how == "ran out of memory"
    assert_goes_on(runner)


def test_a_killed_worker_is_lost_and_another_takes_its_place(processes):
    (event,) = processes.run(Die())
    assert isinstance(event, Lost) and event.key == 0 and event.how.startswith("was killed")
    assert_goes_on(processes)
    processes.wait_for(lambda: processes.executor.free == processes.count)


def assert_goes_on(runner):
    (event,) = runner.run(Square(3))
    assert event.result == 9
