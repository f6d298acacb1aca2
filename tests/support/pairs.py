"""Pairs of clips that are in memory, and files of small clips."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.data.pairs import PairedClip, Variant
from vqe_fast.data.prepared import prepare
from vqe_fast.data.sources import Source


@dataclass(frozen=True)
class InMemory:
    """Footage of given samples: luma (T, H, W), RGB (T, 3, H, W), or both.

    Or 4:2:0, (T, 3HW/2), of so many rows.
    """

    y: np.ndarray | None = None
    rgb: np.ndarray | None = None
    yuv: np.ndarray | None = None
    height: int = 0

    @property
    def shape(self):
        if self.yuv is not None:
            return self.yuv.shape[0], self.height, self.yuv.shape[1] * 2 // 3 // self.height
        given = self.rgb if self.y is None else self.y
        return given.shape[0], *given.shape[-2:]

    def samples(self, planes):
        return {"y": self.y, "rgb": self.rgb, "yuv": self.yuv}[planes]


def paired_yuv(name, pristine, compressed, height):
    """A pair of 4:2:0 clips in memory, (T, 3HW/2), without QPs."""
    settings = {
        setting: Variant(InMemory(yuv=samples, height=height), np.full(len(samples), np.nan))
        for setting, samples in compressed.items()
    }
    return PairedClip(name, InMemory(yuv=pristine, height=height), settings)


def paired(name, pristine, compressed, *, qp=None, cuts=(), **options):
    """A pair in memory.

    Args:
        name: of the clip.
        pristine: samples, (T, H, W) or (T, 3, H, W).
        compressed: setting → samples.
        qp: setting → QPs of its frames; NaN where not given.
        cuts: first frames of scenes.
        options: of all variants.
    """

    def footage(samples):
        return InMemory(y=samples) if samples.ndim == 3 else InMemory(rgb=samples)

    def variant(setting, samples):
        figures = (qp or {}).get(setting, np.full(len(samples), np.nan))
        return Variant(footage(samples), np.asarray(figures, np.float32), **options)

    variants = {setting: variant(setting, samples) for setting, samples in compressed.items()}
    return PairedClip(name, footage(pristine), variants, cuts)


def write_lossless(path, frames, rate=25):
    """Writes yuv420p frames as FFV1 in Matroska."""
    encode(frames, None, Fraction(rate), path)
    return path


def prepare_clip(frames, degradations, folder, cache=None):
    """The pair of one clip, prepared in a folder by real encoders; what is encoded is kept there,
    or in ``cache``."""
    path = folder / "clip.mkv"
    folder.mkdir(parents=True, exist_ok=True)
    write_lossless(path, frames)
    (clip,) = prepare([Source(path, "clip")], degradations, cache or folder / "cache").clips
    return clip


def luma_frames(lumas):
    """yuv420p frames with the given luma, (T, H, W), and no colour."""
    frames = []
    for luma in lumas:
        chroma = np.full((luma.shape[0] // 2, luma.shape[1]), 128, np.uint8)
        planes = np.ascontiguousarray(np.concatenate([luma.astype(np.uint8), chroma]))
        frames.append(av.VideoFrame.from_ndarray(planes, format="yuv420p"))
    return frames


QP_44 = Degradation("libx264", "qp", 44)
"""A degradation that is quickly made and plain to see."""
