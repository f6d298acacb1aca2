"""Turns, rotating inputs and peaks of memory: what every figure rests on."""

import itertools
import statistics
import sys
import time

import pytest
import torch
from harness import REPLAY, replayed

from vqe_fast.bench import rotation
from vqe_fast.bench.peak_memory import allocated_bytes, peak_bytes, resident_bytes
from vqe_fast.bench.timing import durations, seconds_of


@replayed
def test_replayed_times_are_the_measured_ones(benchmark):
    REPLAY.hand_over(benchmark, [0.5, 0.25, 2.0])
    if benchmark.enabled:
        assert benchmark.stats.stats.median == 0.5
        assert sorted(benchmark.stats.stats.data) == [0.25, 0.5, 2.0]


def test_implementations_take_turns():
    calls = []
    steps = {
        "fast": lambda: calls.append("fast"),
        "slow": lambda: (calls.append("slow"), time.sleep(0.03)),
    }
    measured = durations(steps, {"fast": 1e-7, "slow": 0.03}, "cpu", budget=1e-9)
    turns = [(name, len(list(group))) for name, group in itertools.groupby(calls)]
    assert turns[2:] == [("fast", 100), ("slow", 8)] * 3
    assert len(measured["fast"]) == 3 * 75 and len(measured["slow"]) == 3 * 6
    assert all(seconds > 0.02 for seconds in measured["slow"])
    assert statistics.median(measured["fast"]) < 0.01


def test_long_calls_need_few_in_a_turn():
    steps = dict.fromkeys(("long", "very long"), lambda: None)
    measured = durations(steps, {"long": 0.2, "very long": 2.0}, "cpu", budget=1e-9)
    assert len(measured["long"]) >= 3 * 2 and len(measured["very long"]) >= 3
    assert len(measured["long"]) == 2 * len(measured["very long"])


def test_no_budget_is_a_single_call():
    calls = []
    assert len(durations({"one": lambda: calls.append(1)}, {}, "cpu", budget=0)["one"]) == 1
    assert len(calls) == 1


def test_a_gpu_is_timed_by_events_between_calls(monkeypatch):
    """Without waiting in between: what happens in the queue counts, and no launch is lost."""
    happened = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            happened.append("mark")
            self.at = len(happened)

        def elapsed_time(self, other):
            return 1000.0 * (other.at - self.at)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: happened.append("wait"))
    assert seconds_of(lambda: happened.append("call"), 3, "cuda") == [2.0, 2.0, 2.0]
    assert happened == ["mark", *["call", "mark"] * 3, "wait"]


def test_inputs_in_turn_are_more_than_the_cache_holds(monkeypatch):
    monkeypatch.setattr(rotation, "cache_bytes", lambda device: 1000)
    made = []

    def make(number):
        made.append(number)
        return (torch.empty(300, dtype=torch.uint8),)

    samples = rotation.rotation(make, make(0), "cpu")
    assert made == list(range(7))  # 7 · 300 > 2 · 1000
    step = rotation.in_turn(samples, lambda sample: sample)
    seen = [step() for _ in range(8)]
    assert all(a is b for a, b in zip(seen, [*samples, samples[0]], strict=True))


def test_large_inputs_need_no_turn(monkeypatch):
    monkeypatch.setattr(rotation, "cache_bytes", lambda device: 1000)
    large = (torch.empty(2000, dtype=torch.uint8),)
    assert rotation.rotation(lambda number: None, large, "cpu") == [large]


def test_every_tensor_counts_once():
    tensor = torch.empty(10, dtype=torch.uint8)
    assert rotation.bytes_in(((tensor, 3), [tensor], torch.empty(5))) == 30


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /sys")
def test_cache_of_this_machine():
    assert 1 << 16 <= rotation.cache_bytes("cpu") <= 1 << 31


def test_peak_is_what_is_held_at_once():
    def step():
        first = torch.empty(1000, dtype=torch.uint8)
        del first
        return torch.empty(600, dtype=torch.uint8), torch.empty(700, dtype=torch.uint8)

    assert allocated_bytes(step, "cpu") == pytest.approx(1300, abs=64)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_resident_peak_sees_what_torch_does_not_allocate():
    def step():
        return bytearray(b"x" * 50_000_000)  # twice, while it is copied

    assert resident_bytes(step) == pytest.approx(100_000_000, rel=0.05)
    assert peak_bytes(step, "cpu") == pytest.approx(100_000_000, rel=0.05)
    assert resident_bytes(lambda: None) < 1_000_000
