"""Items that are made ahead, in a thread of their own."""

import threading
import time
from contextlib import closing

import pytest

from vqe_fast.video.threads.channel import Cancelled
from vqe_fast.video.threads.stage import Ahead

DEPTH = 3


class Counter:
    """Counts upwards, and keeps which thread did and whether it was closed."""

    def __init__(self, count, error=None):
        self.made = 0
        self.closed_in = None
        self._count, self._error = count, error

    def __iter__(self):
        try:
            while self.made < self._count:
                self.made += 1
                yield self.made
            if self._error is not None:
                raise self._error
        finally:
            self.closed_in = threading.current_thread().name

    def ahead(self):
        return closing(Ahead("ahead", iter(self), DEPTH))


@pytest.fixture(autouse=True)
def no_threads_are_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_order_is_kept():
    counter = Counter(100)
    with counter.ahead() as ahead:
        assert list(ahead) == list(range(1, 101))
    assert counter.closed_in == "ahead"


def test_no_further_than_asked_for():
    counter = Counter(100)
    with counter.ahead() as ahead:
        items = iter(ahead)
        time.sleep(0.02)
        assert counter.made == 0  # the first one starts the thread
        for taken in range(1, 5):
            assert next(items) == taken
            time.sleep(0.02)
            # The item in hand counts, and one more is made, for which there is no room yet.
            assert taken < counter.made <= taken + DEPTH
    assert counter.closed_in == "ahead"


@pytest.mark.parametrize("count", [0, 1, 20])
def test_an_error_arrives_in_its_place(count):
    received = []
    with (
        Counter(count, LookupError("lost")).ahead() as ahead,
        pytest.raises(LookupError, match="lost"),
    ):
        for item in ahead:
            received.append(item)
    assert received == list(range(1, count + 1))


@pytest.mark.parametrize("taken", [0, 1, DEPTH, 50])
def test_closing_ends_it_anywhere(taken):
    """Also while it waits for room, and where it never began."""
    counter = Counter(50)
    with counter.ahead() as ahead:
        items = iter(ahead)
        for _ in range(taken):
            next(items)
    assert counter.made == 0 or counter.closed_in == "ahead"
    if 0 < taken < 50:
        with pytest.raises(Cancelled):
            next(items)
