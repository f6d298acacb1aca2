"""Size estimates of files before they are made, by the rate-quality law of each encoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vqe_fast.data.degradation import Degradation
from vqe_fast.data.sources import Survey


@dataclass(frozen=True)
class _Law:
    """Bits per pixel: ``bits`` at the value ``at``, half of it ``halves`` further."""

    bits: float
    at: int
    halves: float


# Means of nine clips of 240 to 360 rows; single clips lie from a sixth of that to twice as high.
_LOSSLESS_BITS = 6.0
_LAWS = {
    ("libx264", "qp"): _Law(0.21, 32, 5.5),
    ("libx264", "crf"): _Law(0.095, 32, 5.5),
    ("libx265", "qp"): _Law(0.2, 32, 5.5),
    ("libx265", "crf"): _Law(0.11, 32, 5.5),
    ("libvpx-vp9", "qp"): _Law(0.14, 40, 9),
    ("libvpx-vp9", "crf"): _Law(0.26, 40, 10),
    ("libsvtav1", "qp"): _Law(0.25, 40, 10),
    ("libsvtav1", "crf"): _Law(0.18, 40, 11),
    ("mjpeg", "quality"): _Law(0.95, 50, -30),
}
# What other structures take, as a multiple.
_STRUCTURES = {"intra": 4.4, "cascade": 0.6}


def lossless_bytes(survey: Survey) -> int:
    """Estimated bytes of a lossless copy of a clip."""
    return round(_pixels(survey) * _LOSSLESS_BITS / 8)


def stream_bytes(survey: Survey, degradation: Degradation) -> int:
    """Estimated bytes of a degraded version of a clip."""
    share = 1 / (degradation.blur or 1)
    if degradation.mode is None or degradation.value is None:
        return round(lossless_bytes(survey) * share)
    law = _LAWS[degradation.codec, degradation.mode]
    bits = _pixels(survey) * law.bits * 2 ** ((law.at - degradation.value) / law.halves)
    bits *= _STRUCTURES.get(degradation.structure, 1.0)
    if degradation.max_bitrate is not None:
        seconds = survey.frames / float(survey.rate)
        bits = min(bits, degradation.max_bitrate * 1000 * seconds / share)
    return round(bits * share / 8)


def luma_bytes(survey: Survey, degradations: Iterable[Degradation]) -> int:
    """Bytes of the decoded luma of a clip and of its degraded versions."""
    frames = survey.frames + sum(survey.frames // (each.blur or 1) for each in degradations)
    return frames * survey.width * survey.height


def _pixels(survey: Survey) -> int:
    return survey.frames * survey.width * survey.height
