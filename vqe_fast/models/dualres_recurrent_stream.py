"""Streaming inference of the recurrent dual-resolution network, with a bounded delay."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.dualres_neighbours import REACH, FrameState, Match, NeighbourFusion, Seen

LOOKAHEAD = 6
"""Frames after those of a chunk that its states begin at."""

SHORTEST = 2 * LOOKAHEAD + 1
"""Frames that must be seen together."""


@dataclass
class _Frame:
    """A frame of the stream, and what is known of it so far.

    Attributes:
        state: as the trunk left it.
        own: the convolution ``own`` of its features.
        qp: of the frame.
        told: QP, codec and type as blocks take them.
        before: its state for frames after it; None until it is enhanced.
        after: what it sees of the references after it; empty until the chunk it is in begins.
        matches: with other frames, by their numbers.
    """

    state: FrameState
    own: Tensor
    qp: float
    told: tuple[float | Tensor, int | Tensor, int | Tensor]
    before: FrameState | None = None
    after: list[Seen] = field(default_factory=list)
    matches: dict[int, Match] = field(default_factory=dict)


class RecurrentStream:
    """Streaming inference of a video: states of the past are kept, those of the future begin anew.

    What frames see of those before them comes from the beginning of the video. States from behind
    are made for a chunk of frames at a time, and begin six frames after it. The trunk sees each
    frame once, and each pair is matched once. Memory does not grow with the length.

    Args:
        model: the network.
        updates: what makes states of what is seen before a frame, and after it; see
            :class:`vqe_fast.models.dualres_recurrent.StateUpdate`.
        frames: a result may depend on so many frames from its own on, at least 13.

    Attributes:
        delay: frames that come in before the first result.

    Raises:
        ValueError: ``frames`` is below 13.
    """

    def __init__(self, model: NeighbourFusion, updates: nn.ModuleList, frames: int) -> None:
        if frames < SHORTEST:
            raise ValueError(f"frames must be at least {SHORTEST}, got {frames}")
        self.delay = frames - 1
        self._model, self._updates = model, updates
        self._held: deque[_Frame] = deque()
        self._first = 0  # number of the first frame that is held
        self._next = 0  # place of the next frame to be enhanced
        self._ended = False  # whether there is nothing after the last frame that is held

    def push(
        self, frames: Tensor, qp: float, codec: int = UNKNOWN, frame_type: int = UNKNOWN
    ) -> Tensor | None:
        """Takes the next frame, gives the enhanced one ``delay`` frames before it.

        Args:
            frames: (B, 3 or 1, H, W), as the model's ``forward`` takes each.
            qp: of this frame.
            codec: its code.
            frame_type: its code.

        Returns:
            (B, 3 or 1, H, W), or nothing for the first frames.
        """
        if self._ended:  # it was not the end: what was seen of frames after is not all
            for frame in self._held:
                frame.after = []
            self._ended = False
        model = self._model
        state = model.state(frames, qp, codec, frame_type)
        told = model.trunk.told(qp, codec, frame_type, frames.device)
        self._held.append(_Frame(state, model.own(state.features), qp, told))
        return self._enhanced() if len(self._held) > self._next + self.delay else None

    def flush(self) -> Tensor | None:
        """The next enhanced frame; nothing if there is none left: then a new video may begin."""
        self._ended = self._next < len(self._held)
        if self._ended:
            return self._enhanced()
        self._held.clear()
        self._first = self._next = 0
        return None

    def _enhanced(self) -> Tensor:
        place = self._next
        frame = self._held[place]
        if not frame.after:
            self._look_back(len(self._held) - (0 if self._ended else LOOKAHEAD))
        states = [each.before or each.state for each in self._held]
        before = [self._seen(place, number, states) for number in self._references(place)[:2]]
        features = self._updates[0](frame.state.features, before, frame.told)
        enhanced = self._model.fused(frame.state, before + frame.after, frame.told)
        frame.before = frame.state._replace(features=features)
        frame.after, frame.matches = [], {}
        self._next += 1
        if self._next > REACH:
            self._held.popleft()
            self._next -= 1
            self._first += 1
        return enhanced

    def _look_back(self, end: int) -> None:
        """What each frame from the next one to ``end`` sees of those after it."""
        states = [each.state for each in self._held]
        for place in range(len(self._held) - 1, self._next - 1, -1):
            frame = self._held[place]
            seen = [self._seen(place, other, states) for other in self._references(place)[2:]]
            features = self._updates[1](frame.state.features, seen, frame.told)
            states[place] = frame.state._replace(features=features)
            if place < end:
                frame.after = seen

    def _seen(self, place: int, other: int, states: Sequence[FrameState]) -> Seen:
        """What a frame sees of another one, whose state is that of these."""
        frame, reference = self._held[place], states[other]
        number = self._first + other
        if number not in frame.matches:
            frame.matches[number] = self._model.match(frame.state, reference)
        change = torch.tensor([self._held[other].qp - frame.qp])
        change = change.to(frame.state.enhanced.device)
        return self._model.seen(frame.state, frame.own, reference, frame.matches[number], change)

    def _references(self, place: int) -> list[int]:
        """Places of the references of a frame."""
        last = len(self._held) - 1
        window = [min(max(place + n, 0), last) for n in range(-REACH, REACH + 1)]
        qps = torch.tensor([[self._held[each].qp for each in window]])
        return [window[each] for each in self._model.places(qps)[0].tolist()]
