"""What a model sees of a frame, and how its answer goes back into the planes."""

from __future__ import annotations

from typing import Protocol

import torch
from av.video.frame import VideoFrame
from torch import Tensor

from vqe_fast.models.registry import ModelSpec
from vqe_fast.video.chroma import enlarge, shrink
from vqe_fast.video.color import ColorFacts
from vqe_fast.video.planes import as_samples, as_values, depth_of, values_as_samples


class View(Protocol):
    """Between the planes of frames of one video and what a model takes and gives.

    Attributes:
        planes: how many planes of a frame, from the first on, the model sees and changes.
    """

    planes: int

    def values(self, planes: list[Tensor]) -> Tensor:
        """What a model takes: (1, C, H, W) float32 in [0, 1].

        Args:
            planes: samples, each (1, 1, h, w).
        """
        ...

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The planes that show what a model made of :meth:`values`, rounded and clamped.

        Args:
            planes: samples, each (1, 1, h, w), as they were.
            enhanced: (1, C, H, W).
        """
        ...


class LumaView:
    """Luma alone, sample for sample; chroma stays as it is.

    Args:
        frame: one of the video.
    """

    planes = 1

    def __init__(self, frame: VideoFrame) -> None:
        self._depth = depth_of(frame)

    def values(self, planes: list[Tensor]) -> Tensor:
        """Luma."""
        return as_values(planes[0], self._depth)

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The enhanced luma."""
        return [values_as_samples(enhanced, self._depth)]


class ColorView:
    """Red, green and blue by the matrix and the range of the stream.

    A model's changes are what is written: they are turned into Y'CbCr, averaged to the resolution
    of chroma, and added to the samples. So a model that changes nothing gives every sample back as
    it was, those that stand for no RGB in [0, 1] included, and chroma is not blurred by going
    through RGB. Gray frames are seen as red = green = blue, and get the change of luma.

    Args:
        frame: one of the video.
    """

    def __init__(self, frame: VideoFrame) -> None:
        self._depth = depth_of(frame)
        self._matrix, self._offset = ColorFacts.of(frame).to_rgb(self._depth)
        self.planes = len(frame.planes)

    def values(self, planes: list[Tensor]) -> Tensor:
        """RGB."""
        luma = planes[0].float()
        size = (luma.shape[-2], luma.shape[-1])
        channels = [luma, *(enlarge(plane.float(), size) for plane in planes[1:])]
        if self.planes == 1:
            channels += [luma.new_full(luma.shape, 1 << (self._depth - 1))] * 2
        rgb = _multiply(self._matrix, torch.cat(channels, 1))
        return rgb.add_(self._offset.to(rgb).view(3, 1, 1)).clamp_(0, 1)

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The enhanced Y', Cb and Cr."""
        change = _multiply(self._matrix.inverse(), enhanced.clamp(0, 1) - self.values(planes))
        changed = []
        for plane, of_plane in zip(planes, change.split(1, 1), strict=False):
            averaged = shrink(of_plane, (plane.shape[-2], plane.shape[-1]))
            changed.append(as_samples(averaged + plane.float(), self._depth))
        return changed


def view_for(spec: ModelSpec, frame: VideoFrame) -> View:
    """The view that a model of this ``spec`` takes of frames like ``frame``."""
    return LumaView(frame) if spec.planes == "y" else ColorView(frame)


def _multiply(matrix: Tensor, planes: Tensor) -> Tensor:
    """(3, 3) times the three channels of (1, 3, H, W)."""
    return (matrix.to(planes) @ planes.flatten(2)).view_as(planes)
