"""Models that fail in the processes of workers, which import them from here."""

import os
import signal

import torch

from support.modules import LUMA_SPEC


class Dies(torch.nn.Module):
    """Kills its process at the first frame, as the system does when memory runs out.

    Once if there is a file to take down that it has done so; else whenever it can.

    Args:
        mark: that file.
        above: only at frames whose mean is above that.
    """

    spec = LUMA_SPEC

    def __init__(self, mark=None, above=-1.0):
        super().__init__()
        self.mark, self.above = mark, above
        self.home = os.getpid()

    def forward(self, luma):
        if luma.mean() <= self.above:
            return luma
        if os.getpid() != self.home and (self.mark is None or not self.mark.exists()):
            if self.mark is not None:
                self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return luma


class Fails(torch.nn.Module):
    """Raises in another process."""

    spec = LUMA_SPEC

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.home = os.getpid()

    def forward(self, luma):
        if os.getpid() != self.home:
            raise self.error
        return luma


class TooLarge(torch.nn.Module):
    """Does not fit into the memory of another process."""

    spec = LUMA_SPEC

    def __init__(self):
        super().__init__()
        self.home = os.getpid()

    def __deepcopy__(self, memo):
        if os.getpid() != self.home:
            raise MemoryError
        return self

    def forward(self, luma):
        return luma
