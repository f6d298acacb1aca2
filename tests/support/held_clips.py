"""Pairs of clips in memory, for tests of the training loop."""

import numpy as np
import torch
from torch.nn import functional as F

from support.pairs import InMemory
from vqe_fast.data.pairs import PairedClip, Variant


def texture_pair(frames=6, size=72, seed=0, qps=(30.0, 40.0)):
    """Moving smooth noise, and versions of it that are coarser the higher their QP is."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 1, size // 4, size // 4, generator=generator)
    picture = F.interpolate(noise, size + 2 * frames, mode="bicubic", align_corners=False)[0, 0]
    clip = torch.stack([picture[t : t + size, t : t + size] for t in range(frames)]).clamp(0, 1)
    settings = {f"x264 QP {qp:.0f}": _coarser(clip, qp) for qp in qps}
    return PairedClip(f"texture{seed}", _held(clip), settings)


def _coarser(clip, qp):
    step = 2 ** ((qp - 4) / 6) / 255
    blurred = F.avg_pool2d(clip[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    mixed = clip + (blurred - clip) * min(1.0, qp / 60)
    rounded = (mixed / step).round() * step
    return Variant(_held(rounded), np.full(len(clip), qp, np.float32), qp)


def _held(clip):
    luma = (clip.clamp(0, 1) * 255).round().byte().numpy()
    return InMemory(y=luma, rgb=np.repeat(luma[:, None], 3, axis=1))
