"""Compressed clips on disk: bitstreams made once, decoded into memory when a run starts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqe_fast.training.clips import Clip
from vqe_fast.training.degradation import Degradation, Luma, decode_luma, encode, luma_of


@dataclass(frozen=True)
class DegradedClip:
    """The luma of a pristine clip and of its compressed variants: name of the setting → luma."""

    name: str
    pristine: Luma
    compressed: dict[str, Luma]


def load_degraded(clip: Clip, degradations: Iterable[Degradation], folder: Path) -> DegradedClip:
    """Compresses ``clip`` at every setting, taking from ``folder`` what an earlier run left there.

    The cache holds bitstreams, 50 to 500 times smaller than the planes they decode to.

    Raises:
        ValueError: an encoder returned another number of frames than it was given.
    """
    pristine = np.stack([luma_of(frame) for frame in clip.frames])
    digest = hashlib.sha256(pristine.tobytes()).hexdigest()[:12]
    compressed = {}
    for degradation in degradations:
        name = degradation.name.replace(" ", "_").lower()
        path = folder / f"{clip.name}-{digest}-{name}-{degradation.preset}.mkv"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(encode(clip.frames, degradation, clip.rate))
            os.replace(partial, path)
        luma = decode_luma(path.read_bytes())
        if luma.shape != pristine.shape:
            raise ValueError(
                f"{path} decodes to {luma.shape}, the pristine clip is {pristine.shape}: "
                "delete that file and run again"
            )
        compressed[degradation.name] = luma
    return DegradedClip(clip.name, pristine, compressed)
