"""Flags of the processor: which instructions it has."""

from __future__ import annotations

from pathlib import Path


def has_flag(name: str) -> bool:
    """Whether Linux lists an instruction set of the processor, such as ``avx512f``."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return any(name in line.split() for line in text.splitlines() if line.startswith("flags"))
