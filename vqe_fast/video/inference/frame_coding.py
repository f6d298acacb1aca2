"""Coding parameters of frames as model arguments: QP, QP map, codec and frame type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.registry import ModelSpec
from vqe_fast.video.frames.transfer import send
from vqe_fast.video.inference.strength import WHOLE, Strength

T = TypeVar("T", int, float)

BLOCK = 8
"""Pixels a side of the blocks that a map of QPs tells of."""


@dataclass(frozen=True)
class FrameCoding:
    """The coding parameters of one frame: QP, QP map, codec, type; and the strength to apply.

    Attributes:
        qp: its quantisation parameter.
        blocks: that of each block of 8×8 pixels, (1, H/8, W/8) rounded up, uint8; None where
            they have that of the frame, or only that is known.
        codec: a code of :mod:`vqe_fast.models.coding`.
        frame_type: likewise.
        strength: share of the model's correction that is applied.
    """

    qp: float
    blocks: Tensor | None = None
    codec: int = UNKNOWN
    frame_type: int = UNKNOWN
    strength: Strength = WHOLE


class CodingArguments:
    """A model's arguments beside frames: QPs, codecs and frame types, whole or for a tile.

    Nothing waits for the device. Maps of QPs and codes of several frames are on it; QPs of several
    frames are on the CPU, where :func:`vqe_fast.ops.qp_gains` checks them without waiting either.

    Args:
        codings: of the frames; None for a model that takes none.
        spec: of the model.
        pictures: how many a frame has: two where its fields are seen apart.
        device: where the model is.
    """

    def __init__(
        self,
        codings: Sequence[FrameCoding | None],
        spec: ModelSpec,
        device: torch.device,
        pictures: int = 1,
    ) -> None:
        known = [coding for coding in codings if coding is not None]
        self._qp: float | Tensor | None = None
        self._rest: tuple[int | Tensor, ...] = ()
        if not known or not spec.takes_qp:
            return
        maps = [coding.blocks for coding in known if coding.blocks is not None]
        if spec.takes_coding and pictures == 1 and len(maps) == len(known):
            self._qp = send(torch.cat(maps), device)
        else:
            self._qp = _together([coding.qp for coding in known], pictures)
        if spec.takes_coding:
            self._rest = tuple(
                send(code, device) if isinstance(code, Tensor) else code
                for code in (
                    _together([coding.codec for coding in known], pictures),
                    _together([coding.frame_type for coding in known], pictures),
                )
            )

    def of(self, window: tuple[slice, slice] | None = None) -> tuple[float | Tensor, ...]:
        """The arguments for a tile with this window, which begins at a multiple of a block."""
        if self._qp is None:
            return ()
        qp = self._qp
        if window is not None and isinstance(qp, Tensor) and qp.dim() == 3:
            rows, columns = (slice(side.start // BLOCK, -(-side.stop // BLOCK)) for side in window)
            qp = qp[:, rows, columns]
        return (qp, *self._rest)


def of_frame(coding: FrameCoding | None, spec: ModelSpec) -> tuple[float | int, ...]:
    """The arguments that tell a model of one frame, as numbers."""
    if coding is None or not spec.takes_qp:
        return ()
    return (coding.qp, coding.codec, coding.frame_type) if spec.takes_coding else (coding.qp,)


def of_window(
    codings: Sequence[FrameCoding | None], spec: ModelSpec, pictures: int
) -> tuple[float | Tensor, ...]:
    """The arguments that tell a model of each frame of a window, (B, T), but for the codec."""
    told = [of_frame(coding, spec) for coding in codings]
    if not all(told):
        return ()
    qp, *rest = (torch.tensor([values]).expand(pictures, -1) for values in zip(*told, strict=True))
    return (qp, int(rest[0][0, 0]), *rest[1:]) if rest else (qp,)


def _together(figures: Sequence[T], pictures: int) -> T | Tensor:
    """A number for one frame, a tensor of one for each picture for several."""
    if len(figures) == 1:
        return figures[0]
    return torch.tensor(figures).repeat_interleave(pictures)
