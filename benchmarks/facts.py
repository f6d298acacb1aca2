"""Which machine, and which versions of what is compared."""

import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import torch

from vqe_fast._machine import cpu_name

PACKAGES = (
    "torch",
    "vqe_fast",
    "triton",
    "numpy",
    "av",
    "pytorch-msssim",
    "kornia",
    "torchmetrics",
    "opencv-python-headless",
    "fused-ssim",
)
_ROOT = Path(__file__).parents[1]


def facts(device: str) -> dict[str, object]:
    """The parts ``machine``, ``versions`` and ``commit`` of a results file."""
    name = torch.cuda.get_device_name() if device == "cuda" else cpu_name()
    return {
        "machine": {
            "slug": slug(name),
            "name": name,
            "device": device,
            "threads": torch.get_num_threads(),
            "system": platform.platform(),
        },
        "versions": {package: _version(package) for package in PACKAGES}
        | {"python": platform.python_version(), "ffmpeg": _ffmpeg()},
        "commit": commit(),
    }


def slug(name: str) -> str:
    """A file name of a machine's name: ``"NVIDIA H200"`` → ``"nvidia-h200"``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


@functools.cache
def commit() -> str:
    """Of the checkout, with ``+`` where files differ from it; ``COMMIT`` overrides it."""
    if given := os.environ.get("COMMIT"):
        return given
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run.stdout.strip()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _ffmpeg() -> str:
    if shutil.which("ffmpeg") is None:
        return "not installed"
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout
    return said.removeprefix("ffmpeg version ").partition(" ")[0]
