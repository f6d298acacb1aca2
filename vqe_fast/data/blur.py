"""Motion blur of a longer exposure: the mean of consecutive frames in linear light."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
from numpy.typing import NDArray

from vqe_fast.data.color import rgb_of, yuv_of
from vqe_fast.video.frames.color import ColorFacts

_GAMMA = 2.2
_WHITE = 1 << 24  # linear light in integers, of which 13 fit into 32 bits: sums are exact


def blur(frames: Iterable[av.VideoFrame], count: int) -> Iterator[av.VideoFrame]:
    """Averages every ``count`` frames into one, and drops what is left over at the end.

    B = g((1/M) Σ s[i]) with g(x) = x^(1/2.2), where s[i] is the light that frame i shows: eq. 6 of
    Han et al. Exposures follow one another without a gap, so the rate falls by ``count`` as well.
    The frame in the middle of each group is the pristine one: number ``count // 2`` and every
    ``count`` frames from there.

    Args:
        frames: yuv420p frames of one size.
        count: frames in an exposure.
    """
    light = np.round(_WHITE * (np.arange(256) / 255) ** _GAMMA).astype(np.uint32)
    total: NDArray[np.uint32] | int = 0
    color: ColorFacts | None = None
    for index, frame in enumerate(frames, start=1):
        color = color or ColorFacts.of(frame)
        total = total + light[rgb_of(frame, color)]
        if index % count == 0:
            mean = np.asarray(total, np.float32) / np.float32(count * _WHITE)
            pixels = np.rint(255 * mean ** np.float32(1 / _GAMMA)).astype(np.uint8)
            yield yuv_of(pixels, color)
            total = 0
