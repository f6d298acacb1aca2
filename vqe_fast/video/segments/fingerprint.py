"""What decides the frames of a job, written down to be compared when it is resumed."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from vqe_fast._version import __version__
from vqe_fast.video.errors import VideoError
from vqe_fast.video.session import Job

_END_BYTES = 1 << 20


def request_of(job: Job, network: nn.Module, device: str, name: str) -> dict[str, Any]:
    """All that decides what the frames of a job will be, in JSON's types."""
    limits = job.limits
    return {
        "version": __version__,
        "source": _fingerprint(job.source),
        "options": {
            "model": name,
            "weights": _weights_hash(network),
            "device": device,
            "precision": job.precision,
            "codec": job.codec,
            "crf": job.crf,
            "preset": job.preset,
            "pix_fmt": job.pix_fmt,
            "interlaced": job.interlaced,
            "qp": job.qp,
            "tile": limits.tile,
            "clip_frames": limits.clip_frames,
        },
    }


def refuse_changes(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Makes sure that a job is the one that was begun.

    Raises:
        VideoError: it is another; the text names what has changed.
    """
    changed = []
    if before["version"] != now["version"]:
        changed.append(f"the version of vqe-fast ({before['version']} → {now['version']})")
    of_source = [key for key in now["source"] if key != "path"]
    if any(before["source"].get(key) != now["source"][key] for key in of_source):
        changed.append(f"the source {now['source']['path']}")
    for key, value in now["options"].items():
        old = before["options"].get(key)
        if old != value:
            shown = "" if key == "weights" else f" ({old} → {value})"
            changed.append(f"{key}{shown}")
    if changed:
        raise VideoError(
            f"since {folder} was begun there have changed: {', '.join(changed)}; "
            "put that back, or delete the folder to start anew"
        )


def _fingerprint(source: Path) -> dict[str, Any]:
    facts = source.stat()
    digest = hashlib.sha256()
    with source.open("rb") as file:
        digest.update(file.read(_END_BYTES))
        with suppress(OSError):  # shorter than that
            file.seek(-_END_BYTES, os.SEEK_END)
        digest.update(file.read())
    return {
        "path": str(source.resolve()),
        "bytes": facts.st_size,
        "modified_ns": facts.st_mtime_ns,
        "sha256_of_ends": digest.hexdigest(),
    }


def _weights_hash(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()
