"""``run_all``: many tasks of one kind, each done by some worker of an executor."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from vqe_fast.executors.executor import (
    Chunk,
    Event,
    Executor,
    Failed,
    Finished,
    Lost,
    Progress,
    Refused,
    Task,
)

_ATTEMPTS = 2
_POLL_SECONDS = 1.0

End = Finished | Refused | Failed | Lost


def run_all(
    executor: Executor, tasks: Sequence[Task], ended: Callable[[int, End, bool], None]
) -> None:
    """Runs all tasks, begun in their order; one whose worker is lost is begun once more.

    Args:
        executor: that has been entered.
        tasks: what to do.
        ended: told the index of a task, how it ended, and whether it will be done again.

    Raises:
        ExecutorError: there are no workers any more.
        Exception: whatever ``ended`` raises, which ends it all.
    """
    waiting = deque(range(len(tasks)))
    lost: Counter[int] = Counter()
    left = len(tasks)

    def handle(event: Event) -> None:
        nonlocal left
        if isinstance(event, Progress | Chunk):
            return
        if isinstance(event, Lost):
            lost[event.key] += 1
            if lost[event.key] < _ATTEMPTS:
                waiting.appendleft(event.key)
                ended(event.key, event, True)
                return
        left -= 1
        ended(event.key, event, False)

    while left:
        while waiting and executor.free:
            index = waiting.popleft()
            executor.submit(index, tasks[index])
        executor.poll(handle, _POLL_SECONDS)
