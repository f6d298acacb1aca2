"""Poisoned memory: every freshly allocated tensor is full of NaN."""

from contextlib import contextmanager

import torch


@contextmanager
def poisoned_memory():
    """Within it an element that a kernel forgets to write is NaN, not what lay there by chance."""
    before = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        assert torch.empty(3).isnan().all()
        yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.use_deterministic_algorithms(before)


@contextmanager
def threads(count):
    """Runs the CPU kernels on ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
