"""``Worker``: what runs tasks one after the other, in whatever process."""

from __future__ import annotations

import os
import pickle
import platform
import time
import traceback
from typing import Any

from vqe_fast.executors.executor import Failed, Finished, Lost, Refused, Report, Setup, Task


class Worker:
    """Runner of tasks, whose context is made with the first of them.

    Args:
        setup: makes it.
        device: of the model.
    """

    def __init__(self, setup: Setup, device: str) -> None:
        self._setup, self._device = setup, device
        self._context: Any = None

    def run(self, key: int, task: Task, report: Report) -> Finished | Refused | Failed | Lost:
        """Runs a task to its end, whatever that is; after ``Lost`` the worker should not go on."""
        started = time.perf_counter()
        try:
            if self._context is None:
                self._context = self._setup.make(self._device)
            result = task.run(self._context, report)
        except self._setup.refusals as error:
            return Refused(key, error, worker_name())
        except Exception as error:
            if self._setup.is_out_of_memory(error):
                return Lost(key, "ran out of memory", worker_name())
            return Failed(key, in_a_line(error), traceback.format_exc(), worker_name(), error)
        return Finished(key, result, worker_name(), time.perf_counter() - started)


def portable(
    end: Finished | Refused | Failed | Lost,
) -> Finished | Refused | Failed | Lost:
    """The event itself, or ``Failed`` if its result or exception does not survive pickling."""
    if not isinstance(end, Finished | Refused):
        return end
    try:
        pickle.loads(pickle.dumps(end))
    except Exception as error:  # whatever the methods of these objects raise
        return Failed(end.key, in_a_line(error), traceback.format_exc(), end.worker)
    return end


def worker_name(process: int | None = None) -> str:
    """The name of a process of this machine among workers, ``HOST:PROCESS``; None for this one."""
    return f"{platform.node()}:{os.getpid() if process is None else process}"


def in_a_line(error: Exception) -> str:
    """Kind and text of an exception; of a text of several lines the first."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    lines = str(error).strip().splitlines()
    return f"{name}: {lines[0]}" if lines else name
