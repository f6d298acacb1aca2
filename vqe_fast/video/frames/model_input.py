"""Views: the input tensor of a model from the planes of a frame, and its output back into them."""

from __future__ import annotations

from typing import Protocol

import torch
from av.video.frame import VideoFrame
from torch import Tensor
from torch.nn import functional as F

from vqe_fast.models.registry import Planes
from vqe_fast.video.errors import SourceError
from vqe_fast.video.frames.chroma import Siting, enlarge, shrink
from vqe_fast.video.frames.color import ColorFacts
from vqe_fast.video.frames.planes import depth_of
from vqe_fast.video.frames.tensors import as_samples, as_values, peak_of, values_as_samples
from vqe_fast.video.frames.transfer import send


class View(Protocol):
    """A mapping between the planes of a video's frames and the tensors of a model.

    Attributes:
        planes: how many planes of a frame, from the first on, the model sees and changes.
    """

    planes: int

    def values(self, planes: list[Tensor]) -> Tensor:
        """The model's input: (B, C, H, W) float32 in [0, 1], with B pictures of one frame.

        Args:
            planes: samples, each (1, 1, h, w).
        """
        ...

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The planes of the model's output, rounded and clamped.

        Args:
            planes: samples, each (1, 1, h, w), as they were.
            enhanced: (B, C, H, W).
        """
        ...


class LumaView:
    """View of luma alone, sample for sample; chroma stays as it is.

    Args:
        frame: one of the video.
    """

    planes = 1

    def __init__(self, frame: VideoFrame) -> None:
        self._depth = depth_of(frame)

    def values(self, planes: list[Tensor]) -> Tensor:
        """Luma as (1, 1, H, W)."""
        return as_values(planes[0], self._depth)

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The enhanced plane of luma."""
        return [values_as_samples(enhanced, self._depth)]


class ColorView:
    """View as RGB, by the colour matrix and the range of the stream.

    A model's changes are what is written: they are turned into Y'CbCr, averaged to the resolution
    of chroma, and added to the samples. So a model that changes nothing gives every sample back as
    it was, those that stand for no RGB in [0, 1] included, and chroma is not blurred by going
    through RGB. Gray frames are seen as red = green = blue, and get the change of luma. A plane
    of transparency is not seen.

    Args:
        frame: one of the video.
        siting: of its chroma.
    """

    def __init__(self, frame: VideoFrame, siting: Siting) -> None:
        self._depth = depth_of(frame)
        self._matrix, self._offset = ColorFacts.of(frame).to_rgb(self._depth)
        self._siting = siting
        self.planes = min(len(frame.planes), 3)

    def values(self, planes: list[Tensor]) -> Tensor:
        """RGB as (1, 3, H, W)."""
        luma = planes[0].float()
        size = (luma.shape[-2], luma.shape[-1])
        chroma = (enlarge(plane.float(), size, self._siting) for plane in planes[1:])
        channels = [luma, *chroma]
        if self.planes == 1:
            channels += [luma.new_full(luma.shape, 1 << (self._depth - 1))] * 2
        rgb = _multiply(self._matrix, torch.cat(channels, 1))
        offset = send(self._offset.to(rgb.dtype), rgb.device)
        return rgb.add_(offset.view(3, 1, 1)).clamp_(0, 1)

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The enhanced Y', Cb and Cr."""
        change = _multiply(self._matrix.inverse(), enhanced.clamp(0, 1) - self.values(planes))
        changed = []
        for plane, of_plane in zip(planes, change.split(1, 1), strict=False):
            averaged = shrink(of_plane, (plane.shape[-2], plane.shape[-1]), self._siting)
            changed.append(as_samples(averaged + plane.float(), self._depth))
        return changed


class PlanesView:
    """View of Y'CbCr as stored, chroma enlarged by repeating samples.

    A model's changes of chroma are averaged over the pixels that share a sample. Gray frames are
    seen as luma alone. A plane of transparency is not seen.

    Args:
        frame: one of the video.
    """

    def __init__(self, frame: VideoFrame) -> None:
        self._depth = depth_of(frame)
        self.planes = min(len(frame.planes), 3)

    def values(self, planes: list[Tensor]) -> Tensor:
        """Luma and chroma as (1, 3, H, W), or luma alone."""
        height, width = planes[0].shape[-2:]
        factors = [_factors(planes[0], plane) for plane in planes]
        sides = [
            max(
                plane.shape[dim] * factor[dim]
                for plane, factor in zip(planes, factors, strict=True)
            )
            for dim in (-2, -1)
        ]
        values = torch.empty(1, len(planes), *sides, device=planes[0].device)
        for plane, (down, across), channel in zip(planes, factors, values[0], strict=True):
            rows, columns = plane.shape[-2:]
            place = channel[: rows * down, : columns * across]
            blocks = place.unflatten(1, (columns, across)).unflatten(0, (rows, down))
            blocks.copy_(plane[0, 0, :, None, :, None])
        return values[..., :height, :width].div_(peak_of(self._depth))

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The enhanced planes."""
        changed = []
        for plane, values in zip(planes, enhanced.split(1, 1), strict=True):
            factors = _factors(planes[0], plane)
            if factors != (1, 1):
                values = F.avg_pool2d(values, factors, ceil_mode=True, count_include_pad=False)
            changed.append(values_as_samples(values, self._depth))
        return changed


def _factors(luma: Tensor, plane: Tensor) -> tuple[int, int]:
    """How many rows and columns of luma share a sample of a plane."""
    down, across = (-(-luma.shape[dim] // plane.shape[dim]) for dim in (-2, -1))
    return down, across


class FieldsView:
    """View of the two fields of a frame: a batch of two pictures of half the height.

    Args:
        upper: sees the field of the even rows.
        lower: sees that of the odd rows.
    """

    def __init__(self, upper: View, lower: View) -> None:
        self._fields = (upper, lower)
        self.planes = upper.planes

    def values(self, planes: list[Tensor]) -> Tensor:
        """Both fields, (2, C, H/2, W)."""
        return torch.cat(
            [view.values(_rows(planes, parity)) for parity, view in enumerate(self._fields)]
        )

    def samples(self, planes: list[Tensor], enhanced: Tensor) -> list[Tensor]:
        """The planes woven of both fields."""
        woven = [torch.empty_like(plane) for plane in planes]
        for parity, view in enumerate(self._fields):
            field = view.samples(_rows(planes, parity), enhanced[parity : parity + 1])
            for rows, samples in zip(_rows(woven, parity), field, strict=True):
                rows.copy_(samples)
        return woven


def view_for(
    planes: Planes,
    frame: VideoFrame,
    *,
    chroma_location: str = "unspecified",
    fields: bool = False,
) -> View:
    """The view of frames like ``frame`` for a model of ``planes``.

    Args:
        planes: of the model's spec.
        frame: one of the video, with a plane of luma.
        chroma_location: FFmpeg's name of the siting of its chroma.
        fields: show the two fields of a frame, which has an even number of rows, as pictures of
            their own.

    Raises:
        SourceError: the rows of chroma do not part into two fields of the same height.
    """
    if planes == "y":
        return FieldsView(LumaView(frame), LumaView(frame)) if fields else LumaView(frame)
    siting = Siting.named(chroma_location)
    if not fields:
        return PlanesView(frame) if planes == "yuv" else ColorView(frame, siting)
    if any(plane.height % 2 for plane in frame.planes):
        raise SourceError(
            f"the colours of interlaced {frame.format.name} with {frame.height} rows do not part "
            "into two fields; choose a model of luma, or deinterlace the video first"
        )
    if planes == "yuv":
        return FieldsView(PlanesView(frame), PlanesView(frame))
    return FieldsView(*(ColorView(frame, siting.of_field(parity)) for parity in (0, 1)))


def _rows(planes: list[Tensor], parity: int) -> list[Tensor]:
    """The even or the odd rows of planes; no copies."""
    return [plane[..., parity::2, :] for plane in planes]


def _multiply(matrix: Tensor, planes: Tensor) -> Tensor:
    """(3, 3) times the three channels of (1, 3, H, W)."""
    return (send(matrix.to(planes.dtype), planes.device) @ planes.flatten(2)).view_as(planes)
