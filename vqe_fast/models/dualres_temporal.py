"""Temporal dual-resolution networks, ours: aligned neighbours on top of a single-frame network."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast._whole_number import whole_number
from vqe_fast.models.blocks import activate
from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.dualres import QPS, DualResolution, ModulatedBlock
from vqe_fast.models.registry import ModelSpec, register_model
from vqe_fast.ops import block_match, block_warp

REACH = 4
"""Frames on each side among which references are chosen."""

_REFERENCES = 4
_BLOCK = 8
_CELL = 4
_SEARCH = 48  # pixels to each side that a vector, with what is compared, and its taps reach at most
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


class TemporalFusion(nn.Module):
    """A single-frame network, and one that adds what four aligned neighbours know better.

    The trunk enhances each frame by itself. A block of 8×8 pixels of the frame is looked for in
    the decoded luma of each neighbour (:func:`vqe_fast.ops.block_match`); the enhanced neighbour is
    warped there, the trunk's features are moved by whole cells. A convolution for each neighbour,
    the same for all of them, sees both, how well the block was found and how the QPs differ;
    residual blocks of the frame follow. The correction is a DCT of cells, as the trunk's, and the
    difference to each warped neighbour with a weight for each band and cell. At first the network
    is its trunk.

    Neighbours are those of :func:`reference_places`.

    Args:
        trunk: the single-frame network.
        reference_width: channels of what is known of a neighbour.
        width: channels of the blocks after.
        blocks: how many.

    Raises:
        ValueError: a number is below 1.
    """

    def __init__(
        self, trunk: DualResolution, reference_width: int = 48, width: int = 64, blocks: int = 4
    ) -> None:
        super().__init__()
        reference_width = whole_number("reference_width", reference_width, 1)
        width = whole_number("width", width, 1)
        blocks = whole_number("blocks", blocks, 1)
        self.trunk = trunk
        known, bands = trunk.output.in_channels, trunk.output.out_channels
        self.own = nn.Conv2d(known, reference_width, 3, padding=1)
        self.reference = nn.Conv2d(known + bands + 2, reference_width, 3, padding=1, bias=False)
        self.join = nn.Conv2d(known + _REFERENCES * reference_width, width, 1)
        self.blocks = nn.ModuleList(ModulatedBlock(width, trunk.qps) for _ in range(blocks))
        self.output = nn.Conv2d(width, bands, 3, padding=1)
        self.weights = nn.Conv2d(width, _REFERENCES * bands, 1)
        for last in (self.output, self.weights):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        cells = 1 + 2 * blocks + 1
        reach = trunk.spec.receptive_field // 2 + (cells + 1) * _CELL + _SEARCH
        self.spec = ModelSpec(
            planes="yuv",
            temporal_radius=REACH,
            recurrent=False,
            takes_qp=True,
            takes_coding=True,
            coding_of_window=True,
            receptive_field=2 * reach,
            alignment=trunk.spec.alignment,
            value_range=(0.0, 1.0),
        )

    def forward(
        self,
        frames: Tensor,
        qp: float | Tensor,
        codec: int | Tensor = UNKNOWN,
        frame_type: int | Tensor = UNKNOWN,
    ) -> Tensor:
        """Enhances the frame in the middle.

        Args:
            frames: (B, 9, 3 or 1, H, W), as :meth:`DualResolution.forward` takes each; beyond the
                ends of a scene its first or last frame stands for those that are missing.
            qp: of each frame, (B, 9); or (B), or a number for all.
            codec: as for :class:`DualResolution`.
            frame_type: of each frame, (B, 9); or (B), or a number for all.

        Returns:
            (B, 3 or 1, H, W) in the dtype of ``frames``; not clamped.

        Raises:
            ValueError: ``frames`` is of another shape, or a number is no code.
        """
        if frames.dim() != 5 or frames.shape[1] != 2 * REACH + 1 or frames.shape[2] not in (1, 3):
            raise ValueError(
                f"frames must be (B, {2 * REACH + 1}, 3 or 1, H, W), got {tuple(frames.shape)}"
            )
        batch = len(frames)
        qps = _of_each(qp, batch, torch.float32)
        types = _of_each(frame_type, batch, torch.int64)
        places = F.pad(reference_places(qps), (1, 0), value=REACH)  # the middle first
        rows = torch.arange(batch, device=places.device)[:, None]
        seen = frames[rows.to(frames.device), places.to(frames.device)].flatten(0, 1)
        qps, types = qps[rows, places], types[rows.to(types.device), places.to(types.device)]
        each = codec
        if isinstance(codec, Tensor):
            each = codec.reshape(-1).expand(batch).repeat_interleave(places.shape[1])
        state = self.state(seen, qps.flatten(), each, types.flatten())
        current, *references = (
            FrameState(*parts)
            for parts in zip(
                *(values.unflatten(0, (batch, -1)).unbind(1) for values in state),
                strict=True,
            )
        )
        changes = (qps[:, 1:] - qps[:, :1]).to(frames.device)
        return self.fuse(current, references, changes, qps[:, 0], codec, types[:, 0])

    def state(
        self, frames: Tensor, qp: float | Tensor, codec: int | Tensor, frame_type: int | Tensor
    ) -> FrameState:
        """What :meth:`fuse` needs of frames (B, 3 or 1, H, W), for themselves or as neighbours."""
        features = self.trunk.features(frames, qp, codec, frame_type)
        return FrameState(frames[:, :1], self.trunk.corrected(frames, features), features)

    def fuse(
        self,
        current: FrameState,
        references: Sequence[FrameState],
        qp_changes: Tensor,
        qp: float | Tensor,
        codec: int | Tensor,
        frame_type: int | Tensor,
    ) -> Tensor:
        """Enhances frames with their neighbours.

        Args:
            current: of the frames.
            references: of the four neighbours of each.
            qp_changes: QP of each neighbour less that of the frame, (B, 4).
            qp: of the frames, a number or (B).
            codec: as for :class:`DualResolution`.
            frame_type: likewise.

        Returns:
            (B, C, H, W).
        """
        told = self.trunk.told(qp, codec, frame_type, current.enhanced.device)
        own = self.own(current.features)
        found, differences = [current.features], []
        for number, reference in enumerate(references):
            change = qp_changes[:, number, None, None, None]
            difference, inputs = self._aligned(current, reference, change)
            differences.append(difference)
            found.append(activate(own + self.reference(inputs), _SLOPE))
        features = activate(self.join(torch.cat(found, dim=1)), _SLOPE)
        for block in self.blocks:
            features = block(features, *told)
        correction = self.output(features)
        weights = self.weights(features).chunk(len(differences), dim=1)
        for weight, difference in zip(weights, differences, strict=True):
            correction = correction + weight * difference
        frames = current.enhanced
        channels, height, width = frames.shape[1:]
        added = self.trunk.correction(correction.to(frames.dtype), channels)
        return frames + added[..., :height, :width]

    def stream(self) -> TemporalStream:
        """The same for a video that comes frame by frame."""
        return TemporalStream(self)

    def _aligned(
        self, current: FrameState, reference: FrameState, qp_change: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The difference to the warped neighbour in bands, and what is to be seen of it."""
        with torch.no_grad():
            vectors, errors = block_match(current.luma, reference.luma, block_size=_BLOCK)
        warped = block_warp(reference.enhanced, vectors, block_size=_BLOCK)
        difference = self.trunk.bands(warped - current.enhanced, differences=True)
        moved = block_warp(reference.features, vectors, block_size=_BLOCK, cell=_CELL)
        dtype = difference.dtype
        cells = errors.to(dtype).repeat_interleave(2, -1).repeat_interleave(2, -2)
        change = (_QP_SCALE * qp_change).to(dtype).expand_as(cells)
        return difference, torch.cat([moved, difference, _ERROR_SCALE * cells, change], dim=1)


class TemporalStream:
    """Streaming inference of a video, frame by frame; the trunk sees each frame once."""

    def __init__(self, model: TemporalFusion) -> None:
        self._model = model
        self._held: deque[tuple[FrameState, float, int, int]] = deque()
        self._next = 0

    def push(
        self, frames: Tensor, qp: float, codec: int = UNKNOWN, frame_type: int = UNKNOWN
    ) -> Tensor | None:
        """Takes the next frame, gives the enhanced one four frames before it.

        Args:
            frames: (B, 3 or 1, H, W), as :meth:`TemporalFusion.forward` takes each.
            qp: of this frame.
            codec: its code.
            frame_type: its code.

        Returns:
            (B, 3 or 1, H, W), or nothing for the first four frames.
        """
        state = self._model.state(frames, qp, codec, frame_type)
        self._held.append((state, qp, codec, frame_type))
        return self._enhanced() if len(self._held) > self._next + REACH else None

    def flush(self) -> Tensor | None:
        """The next enhanced frame; nothing if there is none left: then a new video may begin."""
        if self._next < len(self._held):
            return self._enhanced()
        self._held.clear()
        self._next = 0
        return None

    def _enhanced(self) -> Tensor:
        last = len(self._held) - 1
        window = [
            self._held[min(max(place, 0), last)]
            for place in range(self._next - REACH, self._next + REACH + 1)
        ]
        qps = torch.tensor([[qp for _, qp, *_ in window]])
        current, qp, codec, frame_type = window[REACH]
        references = [window[place] for place in reference_places(qps)[0].tolist()]
        changes = torch.tensor([[reference[1] - qp for reference in references]])
        states = [state for state, *_ in references]
        enhanced = self._model.fuse(
            current, states, changes.to(current.enhanced.device), qp, codec, frame_type
        )
        self._next += 1
        if self._next > REACH:
            self._held.popleft()
            self._next -= 1
        return enhanced


def _of_each(told: float | Tensor, batch: int, dtype: torch.dtype) -> Tensor:
    """What is told of the frames of windows, (B, 9)."""
    values = torch.as_tensor(told, dtype=dtype)
    if values.dim() < 2:
        values = values.reshape(-1, 1)
    return values.expand(batch, 2 * REACH + 1)


@register_model
def dualres_t(
    width: int = 48,
    deep_width: int = 64,
    before: int = 4,
    deep: int = 1,
    after: int = 3,
    reference_width: int = 48,
    fusion_width: int = 64,
    fusion_blocks: int = 4,
    qps: Sequence[float] = QPS,
) -> TemporalFusion:
    """Ours: ``dualres_s`` and four aligned neighbours; see :class:`TemporalFusion`."""
    trunk = DualResolution(width, deep_width, before, deep, after, qps)
    return TemporalFusion(trunk, reference_width, fusion_width, fusion_blocks)
