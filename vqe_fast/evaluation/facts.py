"""What results depend on beside models and clips: versions and the machine."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import torch

from vqe_fast._version import __version__
from vqe_fast.evaluation.case import Case

_HEAD = 1 << 16  # bytes of a file in which an encoder says who it is
_SIGNATURES = {
    "libx264": rb"x264 - core [\w .]*\w",
    "libx265": rb"x265 \(build \d+\) - [\w.+-]+",
}


def facts(cases: Iterable[Case], device: str) -> dict[str, Any]:
    """Versions, machine and date, ready for JSON.

    Args:
        cases: whose streams tell which encoders there were.
        device: where models ran.
    """
    return {
        "vqe_fast": __version__,
        "torch": torch.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(device),
        "encoders": _encoders(cases),
    }


def machine(device: str) -> str:
    """The processor that models ran on, in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_cpu()}, {threads} thread{'s' * (threads > 1)}"


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _encoders(cases: Iterable[Case]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for case in cases:
        codec = case.degradation.codec
        if codec not in versions:
            versions[codec] = _version_in(case.path, codec)
    return versions


def _version_in(path: Path, codec: str) -> str:
    """What an encoder wrote into its stream, or the version of the library that called it."""
    if codec in _SIGNATURES:
        with path.open("rb") as file:
            found = re.search(_SIGNATURES[codec], file.read(_HEAD))
        if found:
            return found[0].decode("ascii")
    if codec == "mjpeg":
        return f"vqe_fast {__version__}"
    numbers = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"of PyAV {av.__version__}, libavcodec {numbers}"
