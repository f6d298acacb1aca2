"""The three-stage pipeline by itself."""

import threading
import time

import pytest

from vqe_fast.video.threads.pipeline import DEPTH, run_pipeline


def test_order_is_kept():
    received = []
    run_pipeline(range(100), lambda items: (item * 2 for item in items), received.extend)
    assert received == list(range(0, 200, 2))


def test_work_may_hold_items_back():
    """A model that needs neighbours gives nothing for the first items, and several at the end."""
    received = []
    run_pipeline(range(20), lambda items: reversed(list(items)), received.extend)
    assert received == list(range(19, -1, -1))


def test_nothing_to_do():
    received = []
    run_pipeline([], lambda items: items, received.extend)
    assert received == []


def test_stages_overlap():
    """Three stages of equal length take the time of one, not of three."""
    pause = 0.01

    def produce():
        for item in range(20):
            time.sleep(pause)
            yield item

    def work(items):
        for item in items:
            time.sleep(pause)
            yield item

    def consume(items):
        for _ in items:
            time.sleep(pause)

    start = time.perf_counter()
    run_pipeline(produce(), work, consume)
    assert time.perf_counter() - start < 2 * 20 * pause


@pytest.mark.parametrize("slow", ["work", "consume"])
def test_producer_waits_for_slow_stages(slow):
    """An unbounded queue holds the whole video."""
    made = taken = most_ahead = 0

    def produce():
        nonlocal made, most_ahead
        for item in range(100):
            made += 1
            most_ahead = max(most_ahead, made - taken)
            yield item

    def work(items):
        for item in items:
            time.sleep(0.002 if slow == "work" else 0)
            yield item

    def consume(items):
        nonlocal taken
        for _ in items:
            time.sleep(0.002 if slow == "consume" else 0)
            taken += 1

    run_pipeline(produce(), work, consume)
    assert most_ahead <= 2 * DEPTH + 1


@pytest.mark.parametrize("stage", ["produce", "work", "consume"])
@pytest.mark.parametrize("moment", [0, 1, 50])
def test_an_error_in_any_stage_ends_all(stage, moment):
    """The others may be waiting for items, or for room, when one stage dies."""
    threads = threading.active_count()

    def fail_in(name, item):
        if name == stage and item == moment:
            raise LookupError(name)

    def produce():
        for item in range(1000):
            fail_in("produce", item)
            yield item

    def work(items):
        for item in items:
            fail_in("work", item)
            yield item

    def consume(items):
        for item in items:
            fail_in("consume", item)

    with pytest.raises(LookupError, match=stage):
        run_pipeline(produce(), work, consume)
    assert threading.active_count() == threads
