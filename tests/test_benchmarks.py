"""What the benchmarks share."""

import itertools
import statistics
import sys
import time

import pytest
import torch
from side_by_side import REPLAY, durations, peak_bytes, peak_resident_bytes, replayed


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
    measured = durations(steps, budget=0.0)
    turns = [(name, len(list(group))) for name, group in itertools.groupby(calls)]
    assert turns[2:] == [("fast", 100), ("slow", 8)] * 3
    assert len(measured["fast"]) == 3 * 75 and len(measured["slow"]) == 3 * 6
    assert all(seconds > 0.02 for seconds in measured["slow"])
    assert statistics.median(measured["fast"]) < 0.01


def test_peak_is_what_is_held_at_once():
    def step():
        first = torch.empty(1000, dtype=torch.uint8)
        del first
        return torch.empty(600, dtype=torch.uint8), torch.empty(700, dtype=torch.uint8)

    assert peak_bytes(step, "cpu") == pytest.approx(1300, abs=64)


def test_long_calls_need_few_turns(monkeypatch):
    monkeypatch.setattr("side_by_side.LONG", 0.02)
    measured = durations({"long": lambda: time.sleep(0.03)}, budget=0.0)
    assert len(measured["long"]) == 3 * 2


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_resident_peak_sees_what_torch_does_not_allocate():
    def step():
        return bytearray(b"x" * 50_000_000)  # twice, while it is copied

    assert peak_resident_bytes(step) == pytest.approx(100_000_000, rel=0.05)
    assert peak_resident_bytes(lambda: None) < 1_000_000
