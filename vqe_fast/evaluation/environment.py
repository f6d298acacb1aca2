"""Environment of an evaluation: versions and machine."""

from __future__ import annotations

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


def facts(cases: Iterable[Case], machines: Iterable[str]) -> dict[str, Any]:
    """Versions, machines and date, ready for JSON.

    Args:
        cases: whose streams tell which encoders there were.
        machines: names of those that models ran on.
    """
    return {
        "vqe_fast": __version__,
        "torch": torch.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": "; ".join(sorted(machines)),
        "encoders": _encoders(cases),
    }


def _encoders(cases: Iterable[Case]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for case in cases:
        codec = case.setting.codec
        if codec not in versions and not case.setting.is_given:
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
