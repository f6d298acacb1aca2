import threading
import time
from dataclasses import fields

import pytest
import torch

from vqe_fast.data.loader import Loader
from vqe_fast.data.windows import Batch


class Sampler:
    """Batches that hold their step; counts what it drew."""

    def __init__(self, seconds=0.0, broken=None):
        self.seconds, self.broken = seconds, broken
        self.steps = []

    def draw(self, step, seed, *, rank=0, world=1):
        self.steps.append(step)
        time.sleep(self.seconds * (step % 3))
        if step == self.broken:
            raise OSError("the disk is gone")
        return Batch(*(torch.tensor([step, seed, rank, world]) for _ in fields(Batch)))


@pytest.mark.parametrize("workers", [1, 4])
def test_steps_in_order(workers):
    """Whichever thread is first."""
    with Loader(Sampler(0.01), 7, 3, 12, workers=workers, rank=1, world=2) as loader:
        got = [batch.qp.tolist() for batch in loader]
    assert got == [[step, 7, 1, 2] for step in range(3, 12)]
    assert loader.delivered == 9


def test_no_further_ahead_than_asked_for():
    """Batches of a fast sampler must not pile up."""
    sampler = Sampler()
    with Loader(sampler, 0, 0, 100, ahead=3) as loader:
        batches = iter(loader)
        next(batches)
        next(batches)
        time.sleep(0.1)
        assert sorted(sampler.steps) == list(range(4)) or sorted(sampler.steps) == list(range(5))


def test_errors_reach_the_consumer_in_their_place():
    with Loader(Sampler(broken=2), 0, 0, 9) as loader:
        batches = iter(loader)
        assert [next(batches).qp[0].item() for _ in range(2)] == [0, 1]
        with pytest.raises(OSError, match="the disk is gone"):
            next(batches)


def test_closing_ends_the_threads():
    before = threading.active_count()
    loader = Loader(Sampler(0.02), 0, 0, 1000, workers=3, ahead=8)
    next(iter(loader))
    assert threading.active_count() == before + 3
    loader.close()
    assert threading.active_count() == before


def test_waiting_is_counted():
    """What tells a slow loader from a slow device."""
    with Loader(Sampler(0.03), 0, 2, 9) as slow, Loader(Sampler(), 0, 0, 6) as fast:
        for _ in slow:
            pass
        for _ in fast:
            time.sleep(0.01)
    assert slow.waited > 0.1
    assert fast.waited < 0.05


def test_nothing_to_do():
    with Loader(Sampler(), 0, 5, 5) as loader:
        assert list(loader) == []
    with pytest.raises(ValueError, match="workers and ahead must be at least 1, got 0 and 4"):
        Loader(Sampler(), 0, 0, 1, workers=0)
