"""Memory that is available, and amounts of it in words."""

from __future__ import annotations

import re
from pathlib import Path

import torch


def in_words(amount: float) -> str:
    """Bytes as people write them: ``"1.5 GiB"``."""
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} GiB"


def available_memory(device: torch.device) -> int:
    """Bytes that may still be taken on ``device``, and on a CPU by its control group."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _text("/proc/meminfo"), re.MULTILINE)
    free = int(found[1]) * 1024 if found else 1 << 30
    limit, used = (_text(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdecimal() and used.isdecimal():
        free = min(free, max(int(limit) - int(used), 0))
    return free


def _text(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except OSError:
        return ""
