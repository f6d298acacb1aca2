"""Flicker: what changes from frame to frame where nothing should."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FLICKER_WINDOW = 9
"""Side in pixels of the square over which a change of the original is averaged."""

FLICKER_THRESHOLD = 1.5
"""Mean change of the original, in steps of 8 bits, below which an area is still."""


class Flicker:
    """Temporal error of frame differences in the still areas of the original.

    With frames x of the clip and o of the original, in steps of 8 bits, the mean of
    ``|(xₜ − xₜ₋₁) − (oₜ − oₜ₋₁)|`` over the pixels of all pairs of frames in which the original is
    still: where ``|oₜ − oₜ₋₁|``, averaged over the 9×9 pixels around that lie in the image, is
    below 1.5. What is still depends on the original alone, so all versions of a clip are measured
    on the same pixels; a scene cut leaves none.
    """

    def __init__(self) -> None:
        self._before: tuple[Tensor, Tensor] | None = None
        self._error = 0.0
        self._still = 0
        self._pixels = 0

    def push(self, image: Tensor, original: Tensor) -> None:
        """Takes the next frame.

        Args:
            image: luma, (H, W), 0 to 255.
            original: the same of the original.

        Raises:
            ValueError: the shapes differ, or are not (H, W).
        """
        if image.shape != original.shape or image.dim() != 2:
            raise ValueError(
                f"image and original must both be (H, W), got {tuple(image.shape)} "
                f"and {tuple(original.shape)}"
            )
        now = image.float(), original.float()
        if self._before is not None:
            change, expected = (new - old for new, old in zip(now, self._before, strict=True))
            around = functional.avg_pool2d(
                expected.abs()[None, None],
                FLICKER_WINDOW,
                stride=1,
                padding=FLICKER_WINDOW // 2,
                count_include_pad=False,
            )[0, 0]
            still = around < FLICKER_THRESHOLD
            error = (change - expected).abs()[still]
            self._error += float(error.sum(dtype=torch.float64))
            self._still += error.numel()
            self._pixels += still.numel()
        self._before = now

    @property
    def value(self) -> float | None:
        """The mean so far, in steps of 8 bits; None if nothing was still."""
        return self._error / self._still if self._still else None

    @property
    def still_share(self) -> float:
        """The share of pixels that were still, 0 to 1."""
        return self._still / self._pixels if self._pixels else 0.0
