"""Sampler of training windows: the same place, time and orientation in both versions of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqe_fast.data.color import Samples, split_planes
from vqe_fast.data.pairs import PairedClip, S, decode_all
from vqe_fast.data.teacher import Corrections, Teacher
from vqe_fast.models.coding import UNKNOWN, frame_type_code
from vqe_fast.models.registry import Planes

_REVERSED = slice(None, None, -1)
_SAME = slice(None)
# Whether to transpose, then how to go through rows and columns: four turns, and these mirrored.
_TURNS = (
    (False, (..., _SAME, _SAME)),
    (True, (..., _REVERSED, _SAME)),
    (False, (..., _REVERSED, _REVERSED)),
    (True, (..., _SAME, _REVERSED)),
)
_MIRRORED = (
    (False, (..., _SAME, _REVERSED)),
    (True, (..., _SAME, _SAME)),
    (False, (..., _REVERSED, _SAME)),
    (True, (..., _REVERSED, _REVERSED)),
)


@dataclass(frozen=True)
class Batch:
    """Batch of windows for one training step.

    Attributes:
        compressed: (B, T, C, H, W) uint8.
        pristine: (B, T', C, H, W) uint8; T' is T, or 1 for the middle frame alone.
        qp: of each compressed frame, (B, T) float32; NaN where unknown.
        codec: codes of :mod:`vqe_fast.models.coding`, (B,) int64.
        frame_type: codes of the compressed frames, (B, T) int64.
        taught: what a teacher adds to the luma of frames that have a pristine one, in eighths of
            a step of 8 bits, (B, T', 1, H, W) int8; (B, T', 0, H, W) without a teacher.
    """

    compressed: Tensor
    pristine: Tensor
    qp: Tensor
    codec: Tensor
    frame_type: Tensor
    taught: Tensor


@dataclass(frozen=True)
class _Pool:
    """The windows of one version of a clip.

    Attributes:
        compressed: planes that belong together, each (T, C, h, w); chroma may have half of the
            height and width of luma.
        pristine: the same frames before.
        taught: a teacher's corrections, (T, 1, H, W), or nothing.
        qp: (T,).
        codec: its code.
        frame_type: codes, (T,).
        windows: for each the number of its first frame, which may lie before the scene, and the
            bounds of the scene, (N, 3).
    """

    compressed: list[Samples]
    pristine: list[Samples]
    taught: list[Corrections]
    qp: NDArray[np.float32]
    codec: int
    frame_type: NDArray[np.int64]
    windows: NDArray[np.intp]

    @property
    def is_bidirectional(self) -> bool:
        """Whether frames are coded from both sides."""
        return frame_type_code("B") in self.frame_type


class WindowSampler:
    """Sampler of batches: a clip by its pixels, then version, time, place and orientation.

    Windows lie within one scene. Around the first and last frame of a scene, windows whose middle
    frame alone is the target repeat that frame, as video enhancement does.

    Args:
        clips: at least one.
        planes: ``"y"`` for one channel, ``"rgb"`` and ``"yuv"`` for three.
        frames: in a window; odd if the target is the middle one.
        target: ``"middle"`` for the pristine middle frame, ``"all"`` for all pristine frames.
        patch: side of a window in pixels.
        batch: windows in a batch.
        align: windows begin at multiples of so many pixels; even for ``"yuv"``.
        flips: whether to mirror windows from left to right.
        rotations: whether to turn windows by multiples of 90 degrees.
        reversals: whether half of the windows go backwards in time, of versions with B-frames:
            those are coded from both sides; what is coded from the past alone stays as it is.
        qp: ``"frame"`` for the QP of each frame, ``"base"`` for the one the encoder was asked for.
        unknown: share of windows whose codec, and of those whose frame types, are not told.
        settings: the degraded versions to draw from; all if None.
        teacher: whose corrections are wanted.

    Raises:
        ValueError: no clip, one smaller than a window, no scene as long as one, or a number out
            of range.
    """

    def __init__(
        self,
        clips: Sequence[PairedClip],
        *,
        planes: Planes,
        frames: int = 1,
        target: Literal["all", "middle"] = "middle",
        patch: int,
        batch: int,
        align: int = 1,
        flips: bool = True,
        rotations: bool = True,
        reversals: bool = False,
        qp: Literal["frame", "base"] = "frame",
        unknown: float = 0.0,
        settings: Sequence[str] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        if min(frames, patch, batch, align) < 1:
            raise ValueError(
                "frames, patch, batch and align must be at least 1, "
                f"got {frames}, {patch}, {batch} and {align}"
            )
        if target == "middle" and frames % 2 == 0:
            raise ValueError(f"a window with a middle frame has an odd number, got {frames}")
        if planes == "yuv" and (align % 2 or patch % 2):
            raise ValueError(
                f"with chroma of half the resolution align and patch are even, got {align}, {patch}"
            )
        if not clips:
            raise ValueError("there is no clip to take windows from")
        self._frames, self._target = frames, target
        self._patch, self._batch, self._align = patch, batch, align
        self._unknown, self._reversals = unknown, reversals
        self._teacher = teacher
        self._channels = 1 if planes == "y" else 3
        self._orientations = [
            *(_TURNS if rotations else _TURNS[:1]),
            *((_MIRRORED if rotations else _MIRRORED[:1]) if flips else ()),
        ]
        for clip in clips:
            _, height, width = clip.shape
            if min(height, width) < patch:
                raise ValueError(
                    f"{clip.name} is {width}x{height}, smaller than a patch of {patch}"
                )
        decode_all(clips, planes, settings=settings)
        chosen = [(clip, self._pools(clip, planes, qp, settings)) for clip in clips]
        usable = [(clip, pools) for clip, pools in chosen if pools]
        if not usable:
            raise ValueError(
                f"no scene of any clip has {frames} frames in a row of "
                f"{'any degradation' if settings is None else ', '.join(settings)}"
            )
        self._pools_of = [pools for _, pools in usable]
        pixels = np.array([math.prod(clip.shape) for clip, _ in usable], dtype=np.float64)
        self._shares = pixels.cumsum() / pixels.sum()

    def draw(self, step: int, seed: int, *, rank: int = 0, world: int = 1) -> Batch:
        """Draws the batch of a step; the same step and seed give the same windows.

        Window i of a batch does not depend on the size of the batch. With ``world`` processes,
        process ``rank`` gets its share of the batch in order, so that together they see what one
        would.

        Raises:
            ValueError: the batch cannot be shared out evenly.
        """
        if self._batch % world:
            raise ValueError(
                f"a batch of {self._batch} cannot be shared by {world} processes evenly"
            )
        share = self._batch // world
        # Philox counts: a stream of its own for each step, with nothing to warm up.
        generator = np.random.Generator(np.random.Philox(key=[seed, step]))
        draws = generator.random((self._batch, 6))[rank * share :][:share]
        hidden = generator.random((self._batch, 2))[rank * share :][:share] < self._unknown
        backwards = generator.random(self._batch)[rank * share :][:share] < 0.5
        side = self._patch
        targets = self._frames if self._target == "all" else 1
        compressed = np.empty((share, self._frames, self._channels, side, side), np.uint8)
        pristine = np.empty((share, targets, self._channels, side, side), np.uint8)
        taught = np.empty((share, targets, int(self._teacher is not None), side, side), np.int8)
        qp = np.empty((share, self._frames), np.float32)
        codec = np.empty(share, np.int64)
        frame_type = np.empty((share, self._frames), np.int64)
        clips = np.searchsorted(self._shares, draws[:, 0], side="right")
        for i, (clip, draw) in enumerate(zip(clips.tolist(), draws.tolist(), strict=True)):
            pools = self._pools_of[clip]
            pool = pools[int(draw[1] * len(pools))]
            first, start, stop = pool.windows[int(draw[2] * len(pool.windows))].tolist()
            place = self._place(draw[3], draw[4], pool.compressed[0].shape)
            orientation = self._orientations[int(draw[5] * len(self._orientations))]
            times: slice | NDArray[np.intp] = slice(first, first + self._frames)
            if first < start or first + self._frames > stop:
                times = np.arange(first, first + self._frames).clip(start, stop - 1)
            middle = first + self._frames // 2
            goal = slice(middle, middle + 1) if self._target == "middle" else times
            _cut(pool.compressed, times, place, orientation, compressed[i])
            _cut(pool.pristine, goal, place, orientation, pristine[i])
            _cut(pool.taught, goal, place, orientation, taught[i])
            qp[i], codec[i], frame_type[i] = pool.qp[times], pool.codec, pool.frame_type[times]
            if self._reversals and backwards[i] and pool.is_bidirectional:
                for array in (compressed, pristine, taught, qp, frame_type):
                    array[i] = array[i, ::-1].copy()
        codec[hidden[:, 0]] = UNKNOWN
        frame_type[hidden[:, 1]] = UNKNOWN
        arrays = (compressed, pristine, qp, codec, frame_type, taught)
        return Batch(*map(torch.from_numpy, arrays))

    def _place(self, down: float, across: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
        rows, columns = ((side - self._patch) // self._align + 1 for side in shape[2:])
        top, left = int(down * rows) * self._align, int(across * columns) * self._align
        return slice(top, top + self._patch), slice(left, left + self._patch)

    def _pools(
        self,
        clip: PairedClip,
        planes: Planes,
        qp: Literal["frame", "base"],
        settings: Sequence[str] | None,
    ) -> list[_Pool]:
        pools = []
        for setting in clip.settings:
            windows = [
                (first, scene.start, scene.stop)
                for scene in clip.scenes(setting)
                for first in self._first_frames(scene)
            ]
            if not windows or (settings is not None and setting not in settings):
                continue
            versions = (clip.compressed(planes, setting), clip.pristine(planes, setting))
            size = clip.shape[1:]
            compressed, pristine = (_in_planes(each, planes, size) for each in versions)
            figures = clip.qp(setting)
            if qp == "base":
                figures = np.full_like(figures, clip.base_qp(setting))
            spans = np.array(windows, np.intp)
            taught = []
            if self._teacher is not None:
                taught.append(self._teacher.corrections(clip, setting)[:, None])
            coding = clip.coding(setting)
            pools.append(_Pool(compressed, pristine, taught, figures, *coding, spans))
        return pools

    def _first_frames(self, scene: range) -> range:
        if self._target == "all":
            return range(scene.start, scene.stop - self._frames + 1)
        return range(scene.start - self._frames // 2, scene.stop - self._frames // 2)


def _in_planes(samples: Samples, planes: Planes, size: tuple[int, int]) -> list[Samples]:
    if planes == "yuv":
        return [plane[:, None] for plane in split_planes(samples, *size)]
    return [samples[:, None] if planes == "y" else samples]


def _cut(
    planes: Sequence[NDArray[S]],
    times: slice | NDArray[np.intp],
    place: tuple[slice, slice],
    orientation: tuple[bool, tuple[Any, ...]],
    into: NDArray[S],
) -> None:
    """Fills ``into``, (T, C, side, side), from all planes; samples of halved ones are repeated."""
    transposed, order = orientation
    channel = 0
    for samples in planes:
        factor = planes[0].shape[-1] // samples.shape[-1]
        rows, columns = (slice(part.start // factor, part.stop // factor) for part in place)
        window = samples[times, :, rows, columns]
        window = (window.swapaxes(2, 3) if transposed else window)[order]
        if factor > 1:
            window = window.repeat(factor, axis=-2).repeat(factor, axis=-1)
        end = channel + samples.shape[1]
        into[:, channel:end] = window
        channel = end
