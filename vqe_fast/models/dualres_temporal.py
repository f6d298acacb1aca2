"""Temporal dual-resolution networks, ours: aligned neighbours on top of a single-frame network."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.dualres import QPS, DualResolution
from vqe_fast.models.dualres_neighbours import (
    CELL,
    REACH,
    FrameState,
    NeighbourFusion,
    check_clip,
    codec_of_each,
    of_each,
    qp_changes,
)
from vqe_fast.models.registry import ModelSpec, register_model

_SEARCH = 48  # pixels to each side that a vector, with what is compared, and its taps reach at most


class TemporalFusion(NeighbourFusion):
    """A :class:`NeighbourFusion` of windows: neighbours are what the trunk makes of them.

    Arguments are those of :class:`NeighbourFusion`.
    """

    @property
    def spec(self) -> ModelSpec:
        """See :class:`ModelSpec`."""
        cells = 1 + 2 * len(self.blocks) + 1
        trunk = self.trunk.spec
        reach = trunk.receptive_field // 2 + (cells + 1) * CELL + _SEARCH
        return ModelSpec(
            planes="yuv",
            temporal_radius=REACH,
            recurrent=False,
            takes_qp=True,
            takes_coding=True,
            coding_of_window=True,
            receptive_field=2 * reach,
            alignment=trunk.alignment,
            value_range=(0.0, 1.0),
            casts_inputs=True,
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
        qps = of_each(qp, batch, frames.shape[1], torch.float32)
        types = of_each(frame_type, batch, frames.shape[1], torch.int64)
        places = F.pad(self.places(qps), (1, 0), value=REACH)  # the middle first
        rows = torch.arange(batch, device=places.device)[:, None]
        seen = frames[rows.to(frames.device), places.to(frames.device)]
        qps, types = qps[rows, places], types[rows.to(types.device), places.to(types.device)]
        current, *references = self.states(seen, qps, codec, types)
        changes = (qps[:, 1:] - qps[:, :1]).to(frames.device)
        return self.fuse(current, references, changes, qps[:, 0], codec, types[:, 0])

    def clip(
        self,
        frames: Tensor,
        qp: float | Tensor,
        codec: int | Tensor = UNKNOWN,
        frame_type: int | Tensor = UNKNOWN,
    ) -> Tensor:
        """Enhances every frame of clips, each seen by the trunk once, as training does.

        Args:
            frames: (B, T, 3 or 1, H, W), as :meth:`forward` takes each; beyond the ends of a clip
                its first or last frame stands for those that are missing.
            qp: of each frame, (B, T); or (B), or a number for all.
            codec: as for :class:`DualResolution`.
            frame_type: of each frame, (B, T); or (B), or a number for all.

        Returns:
            The shape and dtype of ``frames``; not clamped.

        Raises:
            ValueError: ``frames`` is of another shape, or a number is no code.
        """
        check_clip(frames)
        batch, length = frames.shape[:2]
        qps = of_each(qp, batch, length, torch.float32)
        types = of_each(frame_type, batch, length, torch.int64).flatten()
        codec = codec_of_each(codec, batch, length)
        places = self.places_in_clip(qps)
        rows = (places + length * torch.arange(batch, device=places.device)[:, None, None]).to(
            frames.device
        )
        state = self.state(frames.flatten(0, 1), qps.flatten(), codec, types)
        references = [
            FrameState(*(part[each] for part in state)) for each in rows.flatten(0, 1).unbind(1)
        ]
        changes = qp_changes(qps, places).flatten(0, 1).to(frames.device)
        fused = self.fuse(state, references, changes, qps.flatten(), codec, types)
        enhanced: Tensor = fused.unflatten(0, (batch, length))
        return enhanced

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
            references: of the neighbours of each.
            qp_changes: QP of each neighbour less that of the frame, (B, 2 or 4).
            qp: of the frames, a number or (B).
            codec: as for :class:`DualResolution`.
            frame_type: likewise.

        Returns:
            (B, C, H, W).
        """
        told = self.trunk.told(qp, codec, frame_type, current.enhanced.device)
        own = self.own(current.features)
        seen = [
            self.seen(current, own, reference, self.match(current, reference), change)
            for reference, change in zip(references, qp_changes.unbind(1), strict=True)
        ]
        return self.fused(current, seen, told)

    def stream(self) -> TemporalStream:
        """The same for a video that comes frame by frame."""
        return TemporalStream(self)


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
        references = [window[place] for place in self._model.places(qps)[0].tolist()]
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
    references: int = 4,
    aligned: bool = True,
    qps: Sequence[float] = QPS,
) -> TemporalFusion:
    """Ours: ``dualres_s`` and four aligned neighbours; see :class:`TemporalFusion`."""
    trunk = DualResolution(width, deep_width, before, deep, after, qps)
    return TemporalFusion(trunk, reference_width, fusion_width, fusion_blocks, references, aligned)
