"""What networks of frames and their neighbours share: references, alignment, fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vqe_fast._whole_number import one_of, whole_number
from vqe_fast.models.blocks import activate
from vqe_fast.models.dualres import DualResolution, ModulatedBlock
from vqe_fast.ops import block_match, block_warp

REACH = 4
"""Frames on each side among which references are chosen."""

CELL = 4
"""Pixels a side of what a feature stands for."""

_BLOCK = 8
_QP_A_FRAME = 0.25  # how much lower the QP of a frame must be to be taken for a nearer one
_SLOPE = 0.1
_ERROR_SCALE, _QP_SCALE = 20.0, 0.1


def reference_places(qps: Tensor) -> Tensor:
    """Places in a window of the frames that the middle one is compared with.

    They are the frame before, the frame after, and on either side the one of lowest QP of those
    two to four frames away, the nearer of two that hardly differ.

    Args:
        qps: of the frames, (B, 9).

    Returns:
        (B, 4) int64.
    """
    distances = torch.arange(2, REACH + 1, device=qps.device)
    found = []
    for side in (-1, 1):
        costs = qps[:, REACH + side * distances] + _QP_A_FRAME * distances
        nearest = torch.full_like(costs[:, 0], REACH + side).long()
        found += [nearest, REACH + side * distances[costs.argmin(1)]]
    return torch.stack(found, dim=1)


class FrameState(NamedTuple):
    """The state of a frame: what is computed of it once.

    Attributes:
        luma: as decoded, (B, 1, H, W).
        enhanced: by the single-frame network, (B, C, H, W).
        features: the last ones of that network, (B, width, H/4, W/4).
    """

    luma: Tensor
    enhanced: Tensor
    features: Tensor


class Seen(NamedTuple):
    """What a frame sees of a neighbour.

    Attributes:
        difference: the warped neighbour less the frame, in bands, (B, 24, H/4, W/4).
        features: what is known of it, (B, reference_width, H/4, W/4).
    """

    difference: Tensor
    features: Tensor


class Match(NamedTuple):
    """Where the blocks of a frame lie in another one, as :func:`vqe_fast.ops.block_match` says."""

    vectors: Tensor
    errors: Tensor


class NeighbourFusion(nn.Module):
    """A single-frame network, and one that adds what aligned neighbours know better.

    The trunk enhances each frame by itself. A block of 8×8 pixels of the frame is looked for in
    the decoded luma of each neighbour (:func:`vqe_fast.ops.block_match`); the enhanced neighbour is
    warped there, its features are moved by whole cells. A convolution for each neighbour, the same
    for all of them, sees both, how well the block was found and how the QPs differ; residual
    blocks of the frame follow. The correction is a DCT of cells, as the trunk's, and the
    difference to each warped neighbour with a weight for each band and cell. At first the network
    is its trunk.

    Neighbours are those of :func:`reference_places`.

    Args:
        trunk: the single-frame network.
        reference_width: channels of what is known of a neighbour.
        width: channels of the blocks after.
        blocks: how many.
        references: 4, or 2 for the frames before and after alone.
        aligned: whether blocks are looked for; otherwise they are where they are in the frame.

    Raises:
        ValueError: a number is below 1, or ``references`` neither 2 nor 4.
    """

    def __init__(
        self,
        trunk: DualResolution,
        reference_width: int = 48,
        width: int = 64,
        blocks: int = 4,
        references: int = 4,
        aligned: bool = True,
    ) -> None:
        super().__init__()
        reference_width = whole_number("reference_width", reference_width, 1)
        width = whole_number("width", width, 1)
        blocks = whole_number("blocks", blocks, 1)
        self.references = one_of("references", references, 2, 4)
        self.aligned = aligned
        self.trunk = trunk
        known, bands = trunk.output.in_channels, trunk.output.out_channels
        self.own = nn.Conv2d(known, reference_width, 3, padding=1)
        self.reference = nn.Conv2d(known + bands + 2, reference_width, 3, padding=1, bias=False)
        self.join = nn.Conv2d(known + references * reference_width, width, 1)
        self.blocks = nn.ModuleList(ModulatedBlock(width, trunk.qps) for _ in range(blocks))
        self.output = nn.Conv2d(width, bands, 3, padding=1)
        self.weights = nn.Conv2d(width, references * bands, 1)
        for last in (self.output, self.weights):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def states(
        self, frames: Tensor, qps: Tensor, codec: int | Tensor, frame_types: Tensor
    ) -> list[FrameState]:
        """The :meth:`state` of each frame of clips (B, T, 3 or 1, H, W), told of each, (B, T)."""
        batch, length = frames.shape[:2]
        codec = codec_of_each(codec, batch, length)
        state = self.state(frames.flatten(0, 1), qps.flatten(), codec, frame_types.flatten())
        parts = (values.unflatten(0, (batch, length)).unbind(1) for values in state)
        return [FrameState(*each) for each in zip(*parts, strict=True)]

    def places(self, qps: Tensor) -> Tensor:
        """Places in a window of its references, (B, 2 or 4), as :func:`reference_places`."""
        places = reference_places(qps)
        return places if self.references == 4 else places[:, ::2]

    def places_in_clip(self, qps: Tensor) -> Tensor:
        """Numbers of the references of each frame of clips, (B, T) → (B, T, 2 or 4).

        Beyond its ends the first or last frame stands for those that are missing.
        """
        length = qps.shape[1]
        first = torch.arange(length, device=qps.device)[:, None]
        around = torch.arange(-REACH, REACH + 1, device=qps.device)
        window = (first + around).clamp(0, length - 1)
        places = self.places(qps[:, window].flatten(0, 1)).unflatten(0, qps.shape)
        numbers: Tensor = (first + places - REACH).clamp(0, length - 1)
        return numbers

    def state(
        self, frames: Tensor, qp: float | Tensor, codec: int | Tensor, frame_type: int | Tensor
    ) -> FrameState:
        """What :meth:`fuse` needs of frames (B, 3 or 1, H, W), for themselves or as neighbours."""
        features = self.trunk.features(frames, qp, codec, frame_type)
        return FrameState(frames[:, :1], self.trunk.corrected(frames, features), features)

    @torch.no_grad()
    def match(self, current: FrameState, reference: FrameState) -> Match:
        """Where the blocks of frames lie in a neighbour of each; all zero if none is aligned."""
        luma = current.luma
        if self.aligned:
            return Match(*block_match(luma, reference.luma, block_size=_BLOCK))
        batch, _, height, width = luma.shape
        blocks = (-(-height // _BLOCK), -(-width // _BLOCK))
        vectors = luma.new_zeros((batch, 2, *blocks), dtype=torch.int16)
        return Match(vectors, luma.new_zeros((batch, 1, *blocks)))

    def seen(
        self,
        current: FrameState,
        own: Tensor,
        reference: FrameState,
        match: Match,
        qp_change: Tensor,
    ) -> Seen:
        """What frames see of a neighbour.

        Args:
            current: of the frames.
            own: the convolution ``own`` of their features.
            reference: of a neighbour of each.
            match: of the two.
            qp_change: QP of the neighbour less that of the frame, (B).
        """
        vectors, errors = match
        warped = block_warp(reference.enhanced, vectors, block_size=_BLOCK)
        difference = self.trunk.bands(warped - current.enhanced, differences=True)
        moved = block_warp(reference.features, vectors, block_size=_BLOCK, cell=CELL)
        dtype = difference.dtype
        cells = errors.to(dtype).repeat_interleave(2, -1).repeat_interleave(2, -2)
        changes = (_QP_SCALE * qp_change).to(dtype)[:, None, None, None].expand_as(cells)
        inputs = torch.cat([moved, difference, _ERROR_SCALE * cells, changes], dim=1)
        return Seen(difference, activate(own + self.reference(inputs), _SLOPE))

    def fused(
        self,
        current: FrameState,
        seen: Sequence[Seen],
        told: tuple[float | Tensor, int | Tensor, int | Tensor],
    ) -> Tensor:
        """The enhanced frames, (B, C, H, W), with what is :meth:`seen` of each neighbour."""
        features = torch.cat([current.features, *(each.features for each in seen)], dim=1)
        features = activate(self.join(features), _SLOPE)
        for block in self.blocks:
            features = block(features, *told)
        correction = self.output(features)
        weights = self.weights(features).chunk(len(seen), dim=1)
        for weight, (difference, _) in zip(weights, seen, strict=True):
            correction = correction + weight * difference
        frames = current.enhanced
        channels, height, width = frames.shape[1:]
        added = self.trunk.correction(correction.to(frames.dtype), channels)
        return frames + added[..., :height, :width]


def check_clip(frames: Tensor) -> None:
    """Refuses what is not (B, T, 3 or 1, H, W)."""
    if frames.dim() != 5 or frames.shape[2] not in (1, 3):
        raise ValueError(f"frames must be (B, T, 3 or 1, H, W), got {tuple(frames.shape)}")


def qp_changes(qps: Tensor, places: Tensor) -> Tensor:
    """QP of each reference less that of the frame, (B, T, N), from QPs (B, T) and its number."""
    chosen: Tensor = qps.gather(1, places.flatten(1)).unflatten(1, places.shape[1:])
    return chosen - qps[..., None]


def of_each(told: float | Tensor, batch: int, frames: int, dtype: torch.dtype) -> Tensor:
    """What is told of each frame of clips, (B, T), from that, (B), or a number."""
    values = torch.as_tensor(told, dtype=dtype)
    if values.dim() < 2:
        values = values.reshape(-1, 1)
    return values.expand(batch, frames)


def codec_of_each(codec: int | Tensor, batch: int, frames: int) -> int | Tensor:
    """The codec of each frame of clips, one after the other, (B·T), or a number for all."""
    if not isinstance(codec, Tensor):
        return codec
    return codec.reshape(-1).expand(batch).repeat_interleave(frames)
