"""Block matching on 8-bit luma, and warping by its vectors, in plain PyTorch."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 8
"""Pixels along a side of what is compared: the block itself, or one of 4×4 with 2 around it."""
RANGE = 8
"""Cells of 4×4 pixels that the coarse search goes to each side."""
CELL_MARGIN = 3
"""Cells around a block that the coarse search compares too."""
CELL_PENALTY = 4
"""What a cell of a coarse vector costs, in sums of absolute differences."""
PENALTY = 2
"""What a quarter of a pixel between a vector and its prediction costs."""
MOST_PENALTY = 64
"""What a vector costs that has nothing to do with its prediction."""
LARGEST = 32000
"""The largest component of a candidate, in quarter pixels; larger ones are clamped."""
AT_ONCE = 5
"""Vectors of each block that are looked at together in small frames and in graphs."""
FEW_BLOCKS = 1024
"""With how many blocks of frames the memory that this takes does not matter."""
TAPS = ((0, 128, 0, 0), (-9, 111, 29, -3), (-8, 72, 72, -8), (-3, 29, 111, -9))
"""Catmull-Rom at each quarter of a pixel, times 128."""


def block_match(
    frame: Tensor, reference: Tensor, *, block_size: int = 8, candidates: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """See :func:`vqe_fast.ops.block_match`; about 400 times what it has to store."""
    frame, reference = quantised(frame.detach()), quantised(reference.detach())
    search = _Search(frame, reference, block_size)
    coarse = 16 * _coarse(frame, reference, block_size)
    starts = [coarse, torch.zeros_like(coarse)]
    if candidates is not None:
        starts.append(whole_pixels(candidates.detach()))
    found = search.best(torch.stack(starts), _median(coarse))
    found = search.best(_around(found.vectors, 4, 2), _median(coarse))
    found = search.adopted(found.vectors)
    for step in (2, 1):
        found = search.best(_around(found.vectors, step, 1), found.prediction)
    found = search.adopted(found.vectors)
    errors = found.differences.to(torch.float32) / (255 * WINDOW * WINDOW)
    return found.vectors.to(torch.int16), errors


def block_warp(planes: Tensor, vectors: Tensor, *, block_size: int = 8, cell: int = 1) -> Tensor:
    """See :func:`vqe_fast.ops.block_warp`."""
    computed = planes.to(torch.promote_types(planes.dtype, torch.float32))
    side, (height, width) = block_size // cell, planes.shape[2:]
    moved = vectors.detach().to(torch.int64)
    if cell == 4:
        moved = moved.sign() * ((moved.abs() + 8) // 16)
    parts = 1 if cell == 4 else 4 * cell
    moved = moved.repeat_interleave(side, 2)[:, :, :height]
    columns, rows = moved.repeat_interleave(side, 3)[..., :width].unbind(1)
    columns = columns + parts * torch.arange(width, device=planes.device)
    rows = rows + parts * torch.arange(height, device=planes.device)[:, None]
    offsets = (0,) if parts == 1 else (-1, 0, 1, 2)
    row_weights = [_weight(rows % parts / parts, offset, computed) for offset in offsets]
    column_weights = [_weight(columns % parts / parts, offset, computed) for offset in offsets]
    warped = torch.zeros_like(computed)
    flat = computed.flatten(2)
    for row, row_weight in zip(offsets, row_weights, strict=True):
        y = (rows // parts + row).clamp(0, height - 1)
        along = torch.zeros_like(computed)
        for column, column_weight in zip(offsets, column_weights, strict=True):
            x = (columns // parts + column).clamp(0, width - 1)
            places = (y * width + x).flatten(1)[:, None].expand(-1, planes.shape[1], -1)
            along = along + column_weight * flat.gather(2, places).unflatten(2, (height, width))
        warped = warped + row_weight * along
    return warped.to(planes.dtype)


def catmull_rom(part: Tensor, offset: int) -> Tensor:
    """The weight of the pixel at an offset of −1 to 2 from the one before a position.

    Args:
        part: how far the position is beyond that pixel, 0 to 1.
        offset: of the pixel.
    """
    if offset in (-1, 2):
        near = part if offset == -1 else 1 - part
        return -near * (1 - near) ** 2 / 2
    near = part if offset == 0 else 1 - part
    return 1 + near * near * (3 * near - 5) / 2


def quantised(luma: Tensor) -> Tensor:
    """Luma in 8 bits, as int64: round(255 · x), ties to even, clamped; NaN is 0."""
    if luma.dtype != torch.uint8:
        wide = luma.to(torch.promote_types(luma.dtype, torch.float32))
        luma = (wide * 255).nan_to_num(0, torch.inf, -torch.inf).clamp(0, 255).round()
    return luma.to(torch.int64)


def whole_pixels(vectors: Tensor) -> Tensor:
    """Quarter pixels, clamped and rounded to multiples of 4, ties away from zero, as int64."""
    vectors = vectors.to(torch.int64).clamp(-LARGEST, LARGEST)
    return vectors.sign() * ((vectors.abs() + 2) // 4 * 4)


class _Found(NamedTuple):
    """Vectors (B, 2, h, w), the sums of absolute differences (B, 1, h, w) at them, and what they
    were predicted to be."""

    vectors: Tensor
    differences: Tensor
    prediction: Tensor


class _Search:
    """Looks blocks of a frame up in a reference."""

    def __init__(self, frame: Tensor, reference: Tensor, block_size: int) -> None:
        self.size = frame.shape[2:]
        self.reference = reference.flatten(1)
        first = (block_size - WINDOW) // 2
        rows, columns = (
            torch.arange(first, first + -(-side // block_size) * block_size, block_size)
            for side in self.size
        )
        self.rows = rows.to(frame.device)[:, None, None, None]
        self.columns = columns.to(frame.device)[:, None, None]
        few = torch.compiler.is_compiling() or len(frame) * len(rows) * len(columns) <= FEW_BLOCKS
        self.at_once = AT_ONCE if few else 1
        self.windows = self._fetch(frame.flatten(1), self.rows, self.columns, range(WINDOW))

    def _fetch(self, plane: Tensor, rows: Tensor, columns: Tensor, places: range) -> Tensor:
        """The pixels at some places from a row and a column of each block on, edges replicated."""
        steps = torch.arange(places.start, places.stop, device=plane.device)
        height, width = self.size
        y = (rows + steps[:, None]).clamp(0, height - 1)
        x = (columns + steps).clamp(0, width - 1)
        at = y * width + x
        at = at.expand(plane.shape[0], *at.shape[-4:])
        return plane.gather(1, at.flatten(1)).view(at.shape)

    def differences(self, vectors: Tensor) -> Tensor:
        """The sums of absolute differences of each window to where its vectors point.

        Args:
            vectors: (n, B, 2, h, w).

        Returns:
            (n, B, 1, h, w).
        """
        count = vectors.shape[0]
        x, y = (each.flatten(0, 1)[..., None, None] for each in vectors.unbind(2))
        found = self._fetch(
            self.reference.repeat(count, 1),
            self.rows + y // 4,
            self.columns + x // 4,
            range(-1, 10),
        )
        taps = torch.tensor(TAPS, device=vectors.device)
        for dim, part in ((-1, x % 4), (-2, y % 4)):
            sums = torch.full_like(part, 64)
            for tap, weight in enumerate(taps[part].unbind(-1)):
                sums = sums + weight * found.narrow(dim, tap, WINDOW)
            found = (sums >> 7).clamp(0, 255)
        found = found.unflatten(0, (count, -1))
        differences: Tensor = (self.windows - found).abs().sum((-2, -1))[:, :, None]
        return differences

    def best(self, choices: Tensor, prediction: Tensor) -> _Found:
        """The cheapest of some vectors (n, B, 2, h, w) for each block."""
        found: _Found | None = None
        lowest = None
        for vectors in choices.split(self.at_once):
            differences = self.differences(vectors)
            off = (vectors - prediction).abs().sum(2, keepdim=True)
            ranks = _rank(differences + (PENALTY * off).clamp(max=MOST_PENALTY), vectors)
            if found is not None and lowest is not None:
                vectors = torch.cat([vectors, found.vectors[None]])
                differences = torch.cat([differences, found.differences[None]])
                ranks = torch.cat([ranks, lowest])
            lowest, chosen = ranks.min(0, keepdim=True)
            found = _Found(
                vectors.gather(0, chosen.expand(-1, -1, 2, -1, -1))[0],
                differences.gather(0, chosen)[0],
                prediction,
            )
        assert found is not None
        return found

    def adopted(self, vectors: Tensor) -> _Found:
        """The cheapest of the vectors of the 3×3 blocks around each and of their median."""
        prediction = _median(vectors)
        return self.best(torch.cat([prediction[None], _neighbours(vectors)]), prediction)


def _rank(costs: Tensor, vectors: Tensor) -> Tensor:
    """A number that is lowest for the vector to take.

    It is the one of the lowest cost; of those the shortest, then the highest, then the leftmost,
    which differs from the other of its length and height in the sign of x alone.
    """
    x, y = vectors.split(1, 2)
    lengths = x.abs() + y.abs()
    room = 4 * (LARGEST + 1)
    rank: Tensor = ((costs * room + lengths) * room + y + room // 2) * 2 + (x > 0)
    return rank


def _coarse(frame: Tensor, reference: Tensor, block_size: int) -> Tensor:
    """Vectors (B, 2, h, w) in cells."""
    # Whole numbers below 2²⁴, which float32 holds.
    frame, reference = cells(frame).float(), cells(reference).float()
    size = frame.shape[2:]
    side = block_size // 4
    blocks = [-(-count // side) for count in size]
    rows, columns = (
        torch.arange(-CELL_MARGIN, count * side + CELL_MARGIN, device=frame.device)
        for count in blocks
    )

    def moved(plane: Tensor, down: int, right: Tensor) -> Tensor:
        """At a shift down and n to the right, (n, B, 1, …)."""
        y = (rows + down).clamp(0, size[0] - 1)
        x = (columns + right[:, None]).clamp(0, size[1] - 1)
        wide: Tensor = plane.index_select(2, y).index_select(3, x.flatten()).unflatten(3, x.shape)
        return wide.movedim(3, 0)

    steps = torch.arange(-RANGE, RANGE + 1, device=frame.device)
    own = moved(frame, 0, torch.zeros_like(steps[:1]))
    every = list(itertools.product(range(-RANGE, RANGE + 1), repeat=2))
    order = sorted(every, key=lambda v: (abs(v[0]) + abs(v[1]), v))
    places = torch.tensor([order.index(v) for v in every], device=frame.device).view(-1, len(steps))
    lowest: Tensor | None = None
    for row, y in enumerate(range(-RANGE, RANGE + 1)):
        differences = (own - moved(reference, y, steps)).abs()
        sums = functional.avg_pool2d(
            differences.flatten(0, 1), side + 2 * CELL_MARGIN, side, divisor_override=1
        ).unflatten(0, differences.shape[:2])
        costs = sums + CELL_PENALTY * (steps.abs() + abs(y)).view(-1, 1, 1, 1, 1)
        ranks = (costs * len(order) + places[row].view(-1, 1, 1, 1, 1)).amin(0)
        lowest = ranks if lowest is None else torch.minimum(lowest, ranks)
    assert lowest is not None
    vectors = torch.tensor(order, device=frame.device).flip(1)
    return vectors[lowest[:, 0].long() % len(order)].movedim(-1, 1)


def cells(plane: Tensor) -> Tensor:
    """Means of 4×4 pixels, rounded to the nearest, ties up; edges replicated."""
    for dim in (2, 3):
        size = plane.shape[dim]
        at = torch.arange(-(-size // 4) * 4, device=plane.device).clamp(max=size - 1)
        plane = plane.index_select(dim, at).unflatten(dim, (-1, 4)).sum(dim + 1)
    return plane.add(8) >> 4


def _around(vectors: Tensor, step: int, count: int) -> Tensor:
    """The vectors and what lies up to ``count`` steps around them, (n, B, 2, h, w)."""
    steps = step * torch.arange(-count, count + 1, device=vectors.device)
    return vectors + torch.cartesian_prod(steps, steps).view(-1, 1, 2, 1, 1)


def _neighbours(vectors: Tensor) -> Tensor:
    """The vectors of the 3×3 blocks around each, (9, B, 2, h, w), edges replicated."""
    for dim in (2, 3):
        count = vectors.shape[dim]
        at = torch.arange(-1, count + 1, device=vectors.device).clamp(0, count - 1)
        vectors = vectors.index_select(dim, at)
    return vectors.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2).movedim(-1, 0)


def _median(vectors: Tensor) -> Tensor:
    """Of each component among the 3×3 blocks around each."""
    return _neighbours(vectors).sort(0).values[4]


def _weight(part: Tensor, offset: int, like: Tensor) -> Tensor:
    """(B, 1, H, W), in the dtype of ``like``."""
    return catmull_rom(part.to(like.dtype), offset)[:, None]
