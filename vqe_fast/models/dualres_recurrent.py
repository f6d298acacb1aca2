"""Recurrent dual-resolution network, ours: what neighbours know goes through the whole clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from vqe_fast.models.blocks import activate
from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.dualres import QPS, DualResolution, ModulatedBlock
from vqe_fast.models.dualres_neighbours import (
    REACH,
    FrameState,
    NeighbourFusion,
    Seen,
    check_clip,
    of_each,
    qp_changes,
)
from vqe_fast.models.dualres_recurrent_stream import RecurrentStream
from vqe_fast.models.registry import ModelSpec, register_model

_SLOPE = 0.1


class StateUpdate(nn.Module):
    """The state of a frame in one direction: its features, and a residual from its neighbours'.

    At first the state is the features.

    Args:
        width: channels of features and states.
        reference_width: channels of what is known of a neighbour.
        references: neighbours in this direction.
        qps: see :class:`vqe_fast.models.dualres.CodingGains`.
    """

    def __init__(
        self, width: int, reference_width: int, references: int, qps: Sequence[float]
    ) -> None:
        super().__init__()
        self.join = nn.Conv2d(width + references * reference_width, width, 1)
        self.block = ModulatedBlock(width, qps)
        self.output = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(
        self,
        features: Tensor,
        seen: Sequence[Seen],
        told: tuple[float | Tensor, int | Tensor, int | Tensor],
    ) -> Tensor:
        """(B, width, H/4, W/4), the features of the frame → its state, the same shape."""
        joined = torch.cat([features, *(each.features for each in seen)], dim=1)
        changed = self.block(activate(self.join(joined), _SLOPE), *told)
        state: Tensor = features + self.output(changed)
        return state


class TemporalRecurrence(NeighbourFusion):
    """A :class:`NeighbourFusion` of states that go through the clip, in both directions.

    A frame sees of the neighbours after it not their features, but their states, which were made
    with what they saw of those after them; likewise of the neighbours before it. So it sees, at one
    remove or more, every frame of the clip. At first states are features, and the network is a
    :class:`vqe_fast.models.dualres_temporal.TemporalFusion`.

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
        super().__init__(trunk, reference_width, width, blocks)
        known, sides = trunk.output.in_channels, self.references // 2
        self.updates = nn.ModuleList(
            StateUpdate(known, reference_width, sides, trunk.qps) for _ in range(2)
        )
        self.spec = ModelSpec(
            planes="yuv",
            temporal_radius=0,
            recurrent=True,
            takes_qp=True,
            takes_coding=True,
            coding_of_window=True,
            receptive_field=0,
            alignment=trunk.spec.alignment,
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
        """Enhances all frames of clips.

        Args:
            frames: (B, T, 3 or 1, H, W), as :meth:`DualResolution.forward` takes each.
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
        types = of_each(frame_type, batch, length, torch.int64)
        states = self.states(frames, qps, codec, types)
        told = [
            self.trunk.told(qps[:, t], codec, types[:, t], frames.device) for t in range(length)
        ]
        places = self.places_in_clip(qps)
        changes = qp_changes(qps, places)
        places, changes = places.to(frames.device), changes.to(frames.device)
        own = [self.own(state.features) for state in states]

        def sweep(side: int, times: Iterable[int]) -> Iterator[tuple[int, list[Seen]]]:
            """What each frame sees of its references on one side: 0, those before it, or 1."""
            reached = list(states)
            for t in times:
                seen = []
                for n in (2 * side, 2 * side + 1):
                    other = chosen(reached, candidates(n, t, length), places[:, t, n])
                    match = self.match(states[t], other)
                    seen.append(self.seen(states[t], own[t], other, match, changes[:, t, n]))
                state = self.updates[side](states[t].features, seen, told[t])
                reached[t] = states[t]._replace(features=state)
                yield t, seen

        after = dict(sweep(1, reversed(range(length))))
        enhanced = [
            self.fused(states[t], before + after.pop(t), told[t])
            for t, before in sweep(0, range(length))
        ]
        return torch.stack(enhanced, dim=1)

    def stream(self, frames: int = 24) -> RecurrentStream:
        """The same for a video that comes frame by frame.

        Args:
            frames: a result may depend on so many from its own on, at least 13; more take more
                memory and less arithmetic.
        """
        return RecurrentStream(self, self.updates, frames)


def candidates(reference: int, number: int, length: int) -> range:
    """Numbers of the frames that may be that reference, of 0 to 3, of a frame in a clip."""
    side = -1 if reference < 2 else 1
    distances = (1, 1) if reference in (0, 2) else (2, REACH)
    ends = [min(max(number + side * distance, 0), length - 1) for distance in distances]
    return range(min(ends), max(ends) + 1)


def chosen(states: Sequence[FrameState], numbers: range, places: Tensor) -> FrameState:
    """The state of another frame for each image: of ``places[b]``, one of ``numbers``, for image b.

    Nothing waits for the device.
    """
    if len(numbers) == 1:
        return states[numbers[0]]
    images = torch.arange(len(places), device=places.device)
    parts = zip(*(states[number] for number in numbers), strict=True)
    return FrameState(*(torch.stack(part)[places - numbers[0], images] for part in parts))


@register_model
def dualres_r(
    width: int = 48,
    deep_width: int = 64,
    before: int = 4,
    deep: int = 1,
    after: int = 3,
    reference_width: int = 48,
    fusion_width: int = 64,
    fusion_blocks: int = 4,
    qps: Sequence[float] = QPS,
) -> TemporalRecurrence:
    """Ours: ``dualres_t`` through whole clips; see :class:`TemporalRecurrence`."""
    trunk = DualResolution(width, deep_width, before, deep, after, qps)
    return TemporalRecurrence(trunk, reference_width, fusion_width, fusion_blocks)
