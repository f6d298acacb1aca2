"""What the benchmarks share."""

import pytest
import torch
from side_by_side import BURST, REPLAY, durations, peak_bytes, replayed


@replayed
def test_replayed_times_are_the_measured_ones(benchmark):
    REPLAY.hand_over(benchmark, [0.5, 0.25, 2.0])
    if benchmark.enabled:
        assert benchmark.stats.stats.median == 0.5
        assert sorted(benchmark.stats.stats.data) == [0.25, 0.5, 2.0]


def test_implementations_take_turns():
    calls = []
    measured = durations({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 0.0)
    assert "".join(calls) == "ab" + ("a" * BURST + "b" * BURST) * 3
    assert {name: len(times) for name, times in measured.items()} == dict.fromkeys(
        "ab", 3 * (BURST - 1)
    )


def test_peak_is_what_is_held_at_once():
    def step():
        first = torch.empty(1000, dtype=torch.uint8)
        del first
        return torch.empty(600, dtype=torch.uint8), torch.empty(700, dtype=torch.uint8)

    assert peak_bytes(step, "cpu") == pytest.approx(1300, abs=64)
