"""Executors for tests of schedulers: workers that are elsewhere, and workers that do nothing."""

from collections import deque
from contextlib import contextmanager

from vqe_fast.executors.executor import Finished
from vqe_fast.executors.inline import InlineExecutor
from vqe_fast.video.segments.parts_folder import PartsFolder


class Elsewhere(InlineExecutor):
    """Workers of a machine that does not see the folder of parts."""

    def submit(self, key, task):
        super().submit(key, _Blind(task))


class _Blind:
    def __init__(self, task):
        self.task = task

    def run(self, context, report):
        with _sees_nothing():
            return self.task.run(context, report)


@contextmanager
def _sees_nothing():
    sees = PartsFolder.is_seen_as
    PartsFolder.is_seen_as = lambda *_: False
    try:
        yield
    finally:
        PartsFolder.is_seen_as = sees


class Scripted:
    """An executor that has the results of tasks from a function, at once.

    Attributes:
        workers: how many it has.
        submitted: the tasks, in order.
    """

    def __init__(self, answer, workers=2):
        self.answer, self.workers = answer, workers
        self.submitted = []
        self._given = deque()

    @property
    def free(self):
        return self.workers - len(self._given)

    def submit(self, key, task):
        self.submitted.append(task)
        self._given.append((key, task))

    def poll(self, handle, seconds):
        key, task = self._given.popleft()
        answer = self.answer(task)
        handle(answer(key) if callable(answer) else Finished(key, answer, "host:1", 0.5))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._given.clear()
