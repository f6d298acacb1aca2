"""Sampler of windows from crops that are on the training device already."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vqe_fast.data.packed import BLOCK, NO_BLOCKS, Crops
from vqe_fast.models.coding import UNKNOWN

_DRAWS = 6


@dataclass(frozen=True)
class Windows:
    """The input of a training step: compressed and pristine windows, QPs and codes.

    Attributes:
        compressed: luma and chroma enlarged by repeating samples, (B, 3, H, W) float32 in [0, 1].
        pristine: the same before compression.
        qp: of each block of 8×8 pixels, that of the frame where it is all that is known,
            (B, H/8, W/8) float32.
        codec: codes of :mod:`vqe_fast.models.coding`, (B,) int64.
        frame_type: likewise.
    """

    compressed: Tensor
    pristine: Tensor
    qp: Tensor
    codec: Tensor
    frame_type: Tensor


class CropSampler:
    """Sampler of windows: a version of a crop, a place that begins at a block, an orientation.

    All of it is arithmetic on the device, without a generator: a step has the same windows on any
    device, and a CUDA graph may hold it.

    Args:
        crops: in pairs.
        device: where they are kept, as uint8.
        seed: of the draws.

    """

    def __init__(self, crops: Crops, device: torch.device, seed: int = 0) -> None:
        self._side, self._seed, self._device = crops.side, seed, device
        self._pristine = [*map(self._moved, _planes(torch.tensor(crops.pristine), crops.side))]
        self._compressed = [*map(self._moved, _planes(torch.tensor(crops.compressed), crops.side))]
        self._group = self._moved(torch.tensor(crops.group))
        self._blocks = self._moved(torch.tensor(crops.blocks).flatten(1))
        self._qp = self._moved(torch.tensor(crops.qp))
        self._codec, self._frame_type = (
            self._moved(torch.tensor(codes).long()) for codes in (crops.codec, crops.frame_type)
        )

    def __len__(self) -> int:
        """How many compressed crops there are."""
        return len(self._group)

    def draw(self, step: Tensor, batch: int, patch: int, unknown: float = 0.0) -> Windows:
        """The windows of a step.

        Args:
            step: its number, () int64 on the device.
            batch: windows.
            patch: side of a window in pixels, a multiple of 8, at most that of a crop.
            unknown: share of windows whose codec, and of those whose frame types, are not told.
        """
        draws = uniform(step, self._seed, batch * (_DRAWS + 2)).view(_DRAWS + 2, batch)
        picked = (draws[0] * len(self)).long()
        places = (self._side - patch) // BLOCK + 1
        top, left = ((part * places).long() for part in draws[1:3])
        orientation = (draws[3:_DRAWS] < 0.5).unbind()
        windows = self._cut(picked, top, left, orientation, patch)
        codec, frame_type = (
            codes.masked_fill(part < unknown, UNKNOWN)
            for codes, part in zip((windows.codec, windows.frame_type), draws[_DRAWS:], strict=True)
        )
        return Windows(windows.compressed, windows.pristine, windows.qp, codec, frame_type)

    def whole(self, first: int, count: int) -> Windows:
        """Whole crops, for validation."""
        picked = torch.arange(first, min(first + count, len(self)), device=self._device)
        zero = torch.zeros_like(picked)
        return self._cut(picked, zero, zero, (zero > 0,) * 3, self._side)

    def _cut(
        self,
        picked: Tensor,
        top: Tensor,
        left: Tensor,
        orientation: tuple[Tensor, ...],
        patch: int,
    ) -> Windows:
        """Windows at (top, left), in blocks; transposed, then mirrored, where asked for."""
        offsets = {}
        for samples in (BLOCK, BLOCK // 2, 1):  # of luma, chroma and maps along a block
            rows, columns = _places(patch // BLOCK * samples, orientation)
            rows, columns = (
                rows + (top * samples)[:, None, None],
                columns + (left * samples)[:, None, None],
            )
            offsets[samples] = rows * (self._side // BLOCK * samples) + columns

        def frames(planes: list[Tensor], index: Tensor) -> Tensor:
            luma = planes[0][index, offsets[BLOCK]]
            chroma = (plane[index, offsets[BLOCK // 2]] for plane in planes[1:])
            enlarged = (plane.repeat_interleave(2, 1).repeat_interleave(2, 2) for plane in chroma)
            return torch.stack([luma, *enlarged], 1).float() / 255

        version = picked[:, None, None]
        blocks, known = self._blocks[version, offsets[1]], self._qp[version]
        return Windows(
            frames(self._compressed, version),
            frames(self._pristine, self._group[version]),
            torch.where(blocks == NO_BLOCKS, known, blocks.float()),
            self._codec[picked],
            self._frame_type[picked],
        )

    def _moved(self, values: Tensor) -> Tensor:
        return values.contiguous().to(self._device)


def uniform(step: Tensor, seed: int, count: int) -> Tensor:
    """Random numbers in [0, 1) from the step and the seed alone, (count,) float64.

    SplitMix64's finalizer of a counter; arithmetic of int64 wraps around.

    Args:
        step: () int64; steps below 2³² have numbers of their own.
        seed: of the run.
        count: of the numbers, below 2³².
    """
    place = torch.arange(count, device=step.device) + (step << 32)
    mixed = (place + (seed + 1) * 0x1E3779B97F4A7C15 % 2**63) * _signed(0x9E3779B97F4A7C15)
    mixed = (mixed ^ _shifted(mixed, 30)) * _signed(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ _shifted(mixed, 27)) * _signed(0x94D049BB133111EB)
    mixed = mixed ^ _shifted(mixed, 31)
    return _shifted(mixed, 32).double() / 2**32


def _shifted(values: Tensor, bits: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _signed(constant: int) -> int:
    """The int64 with the same bits."""
    return constant - (1 << 64) if constant >> 63 else constant


def _places(size: int, orientation: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Row and column that each sample of a window comes from, (B, size, size) or alike."""
    transposed, upside_down, reversed_ = (flag[:, None, None] for flag in orientation)
    ascending = torch.arange(size, device=transposed.device)
    down, across = ascending[None, :, None], ascending[None, None, :]
    rows = torch.where(transposed, across, down)
    columns = torch.where(transposed, down, across)
    return (
        torch.where(upside_down, size - 1 - rows, rows),
        torch.where(reversed_, size - 1 - columns, columns),
    )


def _planes(samples: Tensor, side: int) -> list[Tensor]:
    """(N, 3S²/2) as (N, S²) and twice (N, S²/4)."""
    return [*samples.split([side * side, side * side // 4, side * side // 4], 1)]
