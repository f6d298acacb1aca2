"""Benchmark cases of ``block_match``: warping here, which plain PyTorch can do; moving textures."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from vqe_fast import ops, reference
from vqe_fast.bench.case import Sample
from vqe_fast.bench.functions import Function, random_tensors
from vqe_fast.bench.record import Direction

BLOCK_SIZE = 8
_OBJECTS = 12
_LONGEST = 64
"""Quarter pixels that blocks of random vectors move by at most."""


def block_warp(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: str,
    direction: Direction,
    *,
    cell: int = 1,
) -> Function:
    """Planes (B, C, H, W) whose blocks of 8×8 pixels of luma move, each another way."""
    batch, _, height, width = shape
    side = BLOCK_SIZE // cell
    grid = (batch, 2, -(-height // side), -(-width // side))

    def sample(number: int) -> Sample:
        planes, upstream = random_tensors(number, [shape] * 2, dtype, device)
        (moved,) = random_tensors(-1 - number, [grid], torch.float32, device)
        vectors = ((2 * moved - 1) * _LONGEST).to(torch.int16)
        if direction == "forward":
            return Sample((planes, vectors))
        return Sample((planes.requires_grad_(), vectors), (planes,), upstream)

    return Function(
        "block_match",
        f"block_warp, cell {cell}",
        shape,
        dtype,
        direction,
        device,
        functools.partial(ops.block_warp, block_size=BLOCK_SIZE, cell=cell),
        functools.partial(reference.block_warp, block_size=BLOCK_SIZE, cell=cell),
        sample,
    )


def moving_textures(number: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A frame and its reference, luma (1, 1, H, W) in steps of 1/255.

    The camera pans, turns and zooms, discs move before what it sees, and both frames are noisy; no
    two objects move alike and none keeps to a grid of blocks. A number gives the same ones again.
    """
    generator = torch.Generator().manual_seed(number)
    objects = [(_texture(height, width, generator), 0.0, 0.0, math.inf, 0.004, 0.003, 3.3, -1.8)]
    for _ in range(_OBJECTS):
        x, y, size, dx, dy = torch.rand(5, generator=generator).tolist()
        texture = _texture(height, width, generator)
        radius = (0.04 + 0.08 * size) * min(height, width)
        place = ((x - 0.5) * width, (y - 0.5) * height, radius)
        objects.append((texture, *place, 0.0, 0.0, 24 * dx - 12, 24 * dy - 12))
    frame, other = (_seen(objects, time, height, width) for time in (0, 1))
    noise = torch.randn(2, 1, 1, height, width, generator=generator)
    frame, other = (
        (luma * 255 + grain).round().clamp(0, 255) / 255
        for luma, grain in zip((frame, other), noise, strict=True)
    )
    return frame, other


def _texture(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Luma (1, 1, H, W) with detail of every size, the larger the stronger."""
    luma = torch.full((1, 1, height, width), 0.5)
    for period, strength in ((96, 0.3), (32, 0.2), (12, 0.15), (5, 0.1)):
        size = (-(-height // period) + 3, -(-width // period) + 3)
        coarse = torch.rand(1, 1, *size, generator=generator) - 0.5
        luma += strength * functional.interpolate(coarse, (height, width), mode="bicubic")
    return luma


Disc = tuple[Tensor, float, float, float, float, float, float, float]
"""Texture; centre and radius; zoom, angle and shift from one frame to the next."""


def _seen(objects: list[Disc], time: int, height: int, width: int) -> Tensor:
    """What a frame shows of discs before each other, the last one in front."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    seen = torch.zeros(1, 1, height, width)
    for texture, left, top, radius, zoom, angle, dx, dy in objects:
        x0, y0 = (x - time * dx) * (1 - time * zoom), (y - time * dy) * (1 - time * zoom)
        turn = time * angle
        x1, y1 = x0 + turn * y0, y0 - turn * x0
        grid = torch.stack((x1 * 2 / width, y1 * 2 / height), -1)[None]
        shown = functional.grid_sample(
            texture, grid, "bicubic", padding_mode="reflection", align_corners=False
        )
        covered = (x1 - left) ** 2 + (y1 - top) ** 2 < radius**2
        seen = torch.where(covered, shown, seen)
    return seen
