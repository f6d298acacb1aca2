"""The machine: how many cores it lends, and its name for reports."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def peers() -> int:
    """How many processes with as many of PyTorch's threads as this one the cores suffice for."""
    return max(1, cores() // torch.get_num_threads())


def cpu_name() -> str:
    """As the system calls the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def machine_name(device: str) -> str:
    """The GPU behind ``cuda`` or ``cuda:1``, or the processor and how many threads work on it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{cpu_name()}, {threads} thread{'s' * (threads > 1)}"
