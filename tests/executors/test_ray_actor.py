"""What a worker keeps until it is asked: without Ray."""

import threading

import pytest

from vqe_fast.executors import ray_actor
from vqe_fast.executors.executor import Chunk, Finished, Progress


@pytest.fixture
def outbox():
    outbox = ray_actor._Outbox(1.0)
    outbox.begin(7)
    return outbox


END = Finished(7, None, "there:1", 0.5)


def test_few_chunks_are_kept(outbox):
    sent = threading.Semaphore(0)

    def send():
        for number in range(5):
            outbox.chunk(bytes([number]))
            sent.release()
        outbox.end(END)

    thread = threading.Thread(target=send)
    thread.start()
    for _ in range(2):
        assert sent.acquire(timeout=60)
    assert not sent.acquire(timeout=0.1)
    for number in range(5):
        assert outbox.next() == Chunk(7, bytes([number]))
    assert outbox.next() == END
    thread.join()


def test_progress_is_told_once_a_second(outbox, monkeypatch):
    now = 100.0
    monkeypatch.setattr(ray_actor.time, "monotonic", lambda: now)
    outbox.progress(1)
    assert outbox.next() == Progress(7, 1)
    outbox.progress(2)
    outbox.chunk(b"a")
    assert outbox.next() == Chunk(7, b"a")
    outbox.progress(3)
    now = 101.0
    assert outbox.next() == Progress(7, 3)
    outbox.progress(4)
    outbox.end(END)
    assert outbox.next() == END
