"""Tasks of no video, and their setup, for tests of executors.

At the top level of a module, so that other processes can unpickle them.
"""

import os
import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import torch


class Refusal(ValueError):
    """An answer to the user."""


class Lonely(Refusal):
    """A refusal that can be pickled, but not unpickled."""

    def __init__(self, *, frame):
        super().__init__("no")


@dataclass
class Toys:
    """A setup whose context is a name that no other has."""

    refusals: tuple[type[Exception], ...] = (Refusal,)

    def make(self, device):
        return f"{device} {uuid.uuid4()}"

    def is_out_of_memory(self, error):
        return isinstance(error, MemoryError)


@dataclass
class Square:
    number: int

    def run(self, context, report):
        return self.number**2


@dataclass
class Nap:
    seconds: float

    def run(self, context, report):
        time.sleep(self.seconds)


class Where:
    """Tells where it runs: the process, the context, PyTorch's threads and OpenMP's."""

    def run(self, context, report):
        return os.getpid(), context, torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")


@dataclass
class Pieces:
    """Sends pieces, the first of zeros, and says after each how many it has sent."""

    count: int
    size: int

    def run(self, context, report):
        for number in range(self.count):
            report.chunk(bytes([number]) * self.size)
            report.progress(number + 1)
        return self.count


@dataclass
class Raise:
    error: Exception

    def run(self, context, report):
        raise self.error


class RaiseLonely:
    def run(self, context, report):
        raise Lonely(frame=3)


class Die:
    """Is killed, as by the kernel."""

    def run(self, context, report):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class WaitFor:
    """Writes its process into a file, whole, and waits until that is gone."""

    path: Path

    def run(self, context, report):
        part = self.path.with_suffix(".part")
        part.write_text(str(os.getpid()))
        part.rename(self.path)
        while self.path.exists():
            time.sleep(0.01)
