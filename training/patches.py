"""Random aligned patches of compressed and pristine luma."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vqe_fast.training.cache import DegradedClip


class PatchSampler:
    """Draws batches: a clip by its number of pixels, then setting, frame, place and orientation.

    Args:
        clips: at least one.
        patch: side of a patch in pixels; clips smaller than that are an error.
        batch: patches in a batch.

    Raises:
        ValueError: no clip, or one smaller than a patch.
    """

    def __init__(self, clips: Sequence[DegradedClip], *, patch: int, batch: int) -> None:
        if not clips:
            raise ValueError("there is no clip to take patches from")
        for clip in clips:
            if min(clip.pristine.shape[1:]) < patch:
                size = "×".join(map(str, clip.pristine.shape[:0:-1]))
                raise ValueError(f"{clip.name} is {size}, smaller than a patch of {patch}")
        self._clips = clips
        self._patch = patch
        self._batch = batch
        pixels = np.array([clip.pristine.size for clip in clips], dtype=np.float64)
        self._weights = pixels / pixels.sum()

    def draw(self, step: int, seed: int) -> tuple[Tensor, Tensor]:
        """The batch of a step; the same step and seed give the same batch.

        Returns:
            Compressed and pristine patches, each (B, 1, patch, patch), float32 in [0, 1].
        """
        generator = np.random.default_rng((seed, step))
        pairs = [self._draw_pair(generator) for _ in range(self._batch)]
        compressed, pristine = (torch.from_numpy(np.stack(p)) for p in zip(*pairs, strict=True))
        return compressed[:, None].float() / 255, pristine[:, None].float() / 255

    def _draw_pair(self, generator: np.random.Generator) -> list[np.ndarray]:
        clip = self._clips[generator.choice(len(self._clips), p=self._weights)]
        variants = list(clip.compressed.values())
        variant = variants[generator.integers(len(variants))]
        frames, height, width = clip.pristine.shape
        frame = generator.integers(frames)
        top = generator.integers(height - self._patch + 1)
        left = generator.integers(width - self._patch + 1)
        window = np.s_[frame, top : top + self._patch, left : left + self._patch]
        flips, turns = int(generator.integers(2)), int(generator.integers(4))
        return [
            np.rot90(plane[window][:, :: 1 - 2 * flips], turns).copy()
            for plane in (variant, clip.pristine)
        ]
