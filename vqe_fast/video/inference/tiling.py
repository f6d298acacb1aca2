"""Tiling: frames cut into tiles with a margin of the receptive field, to save memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from threading import Lock
from typing import TypeVar

import torch
from torch import Tensor

from vqe_fast.models.registry import ModelSpec
from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.memory import run_if_memory_allows

T = TypeVar("T")

SMALLEST_TILE = 32
_LOOSE_HALO = 64
"""Pixels around a tile where no finite number would do."""


@dataclass(frozen=True)
class Tile:
    """A tile of a frame: its window with margin, and its core, as rows and columns.

    Attributes:
        number: counted row by row.
        window: what the model sees.
        core: which part of its answer is used, counted from the window's corner.
        place: where that part belongs in the frame.
    """

    number: int
    window: tuple[slice, slice]
    core: tuple[slice, slice]
    place: tuple[slice, slice]


class Tiling:
    """The tiling of a video's frames, with smaller tiles whenever memory runs out.

    With a margin as wide as the receptive field reaches, tiles give what whole frames give, but
    for rounding: in float32 within 1e-6. A recurrent model, and one that sees the whole frame,
    gets a margin of 64 pixels, and gives a little different frames.

    Args:
        spec: of the model.
        size: height and width of the frames.
        tile: side of a tile in pixels, rounded up to the model's alignment; None for whole frames.

    Attributes:
        exact: whether tiles give what whole frames give.

    Raises:
        VideoError: ``tile`` is below 32.
    """

    def __init__(self, spec: ModelSpec, size: tuple[int, int], tile: int | None = None) -> None:
        if tile is not None and tile < SMALLEST_TILE:
            raise VideoError(f"tiles must have at least {SMALLEST_TILE} pixels a side, got {tile}")
        self.exact = is_exact(spec)
        self._size = size
        self._alignment = spec.alignment
        reach = spec.receptive_field // 2 if self.exact else _LOOSE_HALO
        self._halo = self._aligned(reach)
        self._tile = None if tile is None else self._aligned(tile)
        self._shrinking = Lock()

    @property
    def tile(self) -> int | None:
        """Tile side without the margin; None as long as whole frames are enhanced."""
        return None if self._tile is None or self._tile >= max(self._size) else self._tile

    def tiles(self) -> list[Tile]:
        """The tiles of a frame, row by row; one if frames stay whole."""
        rows, columns = (self._cuts(length) for length in self._size)
        places = product(rows, columns)
        return [Tile(n, *zip(*place, strict=True)) for n, place in enumerate(places)]

    def window_pixels(self, tile: int | None) -> int:
        """Pixels of the largest window, margin included, with tiles of this size."""
        side = max(self._size) if tile is None else self._aligned(tile) + 2 * self._halo
        return min(side, self._size[0]) * min(side, self._size[1])

    def run(self, frames: Tensor, model: Callable[[Tile, Tensor], Tensor]) -> Tensor:
        """Enhances ``frames`` tile by tile.

        Args:
            frames: (..., H, W).
            model: a tile and what is in its window → the enhanced window.

        Returns:
            What the model gives, put together.
        """
        tiles = self.tiles()
        if len(tiles) == 1:
            return model(tiles[0], frames)
        whole: Tensor | None = None
        for tile in tiles:
            window = frames[(..., *tile.window)]
            enhanced = model(tile, window)
            refuse_other_shape(enhanced, window.shape[-2:])
            if whole is None:
                whole = enhanced.new_empty((*enhanced.shape[:-2], *frames.shape[-2:]))
            whole[(..., *tile.place)] = enhanced[(..., *tile.core)]
        assert whole is not None
        return whole

    def attempt(self, run: Callable[[], T], device: torch.device) -> T:
        """Runs ``run``; whenever memory runs out, again with tiles of half the size.

        Several threads may; what they all found too large is halved once.

        Raises:
            VideoError: it does not suffice for the smallest tiles.
        """
        while True:
            before = self._tile
            result = run_if_memory_allows(run, device)
            if result is not None:
                return result[0]
            with self._shrinking:
                if self._tile == before:
                    self.shrink()

    def shrink(self) -> None:
        """Halves the tiles.

        Raises:
            VideoError: they are the smallest already.
        """
        before = self.tile or max(self._size)
        smallest = self._aligned(SMALLEST_TILE)
        if before <= smallest:
            raise VideoError(
                f"memory does not suffice for tiles of {smallest} pixels; "
                "close other programs, or take a smaller model"
            )
        self._tile = max(self._aligned(-(-before // 2)), smallest)

    def _aligned(self, length: int) -> int:
        return length + -length % self._alignment

    def _cuts(self, length: int) -> list[tuple[slice, slice, slice]]:
        """Window, core and place of each tile along one side of the frame."""
        if self.tile is None or self.tile >= length:
            return [(slice(0, length),) * 3]
        count = -(-length // self.tile)
        step = self._aligned(-(-length // count))
        cuts = []
        for start in range(0, length, step):
            end = min(start + step, length)
            first, last = max(start - self._halo, 0), min(end + self._halo, length)
            core = slice(start - first, end - first)
            cuts.append((slice(first, last), core, slice(start, end)))
        return cuts


def is_exact(spec: ModelSpec) -> bool:
    """Whether tiles can give the result of whole frames."""
    return spec.receptive_field > 0 and not spec.recurrent


def refuse_other_shape(enhanced: Tensor, shape: Sequence[int]) -> None:
    """Checks that a model's output has this shape in its last dimensions.

    Raises:
        VideoError: it has another.
    """
    if enhanced.shape[-len(shape) :] != tuple(shape):
        raise VideoError(
            f"the model made {tuple(enhanced.shape)} of {tuple(shape)}; "
            "give one that keeps the size"
        )
