"""Pairs of clips: pristine frames, and the same frames after each degradation."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar

import av
import numpy as np
import torch
from numpy.typing import NDArray

from vqe_fast._atomic_write import atomic_write
from vqe_fast.data.color import Samples, samples_of
from vqe_fast.models.coding import codec_code, frame_type_code
from vqe_fast.models.registry import Planes
from vqe_fast.video.frames.color import ColorFacts

S = TypeVar("S", np.uint8, np.int8)


class Footage(Protocol):
    """Interface of the frames of one file as sample arrays.

    Attributes:
        store: how the paths begin of what is kept of them.
    """

    @property
    def store(self) -> Path: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""

    def samples(self, planes: Planes) -> Samples:
        """All frames, uint8, read-only: (T, H, W) for ``"y"``, (T, 3, H, W) for ``"rgb"``.

        For ``"yuv"`` they are (T, 3HW/2), see :func:`vqe_fast.data.color.split_planes`.

        Raises:
            ValueError: the file does not hold what it is said to hold.
        """


@dataclass(frozen=True)
class Decoded:
    """Footage decoded once into a memory-mapped file.

    Attributes:
        name: of the file to be decoded, for messages.
        frames: decodes it.
        shape: frames, height and width.
        store: path of the file to decode into, without its end; another file for other content.
        color: how to convert to RGB; None to take the tags of the first frame.
    """

    name: str
    frames: Callable[[], Iterator[av.VideoFrame]]
    shape: tuple[int, int, int]
    store: Path
    color: ColorFacts | None = None

    def samples(self, planes: Planes) -> Samples:
        """See :class:`Footage`."""
        path = self.store.with_name(f"{self.store.name}-{planes}.npy")
        if not path.exists():
            self._decode(planes, path)
        return map_array(path, np.uint8)

    def _decode(self, planes: Planes, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        count, height, width = self.shape
        shapes: dict[Planes, tuple[int, ...]] = {
            "y": self.shape,
            "rgb": (count, 3, height, width),
            "yuv": (count, height * width * 3 // 2),
        }
        # Of several threads and processes the last replaces the file by the same.
        with atomic_write(path) as draft:
            target = np.lib.format.open_memmap(draft, "w+", np.uint8, shapes[planes])
            color, found = self.color, 0
            for frame in self.frames():
                color = color or ColorFacts.of(frame)
                samples = samples_of(frame, planes, color)
                if found == count or samples.shape != target.shape[1:]:
                    found = -1
                    break
                target[found] = samples
                found += 1
            if found != count:
                raise ValueError(
                    f"{self.name} does not decode to {count} frames of {width}x{height}: "
                    "delete it and prepare again"
                )
            target.flush()
            del target


@dataclass(frozen=True)
class Variant:
    """A degraded version of a clip: frames, QPs, codec, frame types.

    Attributes:
        footage: its frames.
        qp: QP of each of them, (T,) float32; NaN where unknown.
        base_qp: the QP that the encoder was asked for; NaN if none or unknown.
        first: number of the pristine frame that its first frame stands for.
        step: how many pristine frames one of its frames stands for.
        codec: FFmpeg's name of what it was coded with; ``"unknown"`` if that is not known.
        types: I, P, B or ? for each frame; empty if none is known.
    """

    footage: Footage
    qp: NDArray[np.float32]
    base_qp: float = math.nan
    first: int = 0
    step: int = 1
    codec: str = "unknown"
    types: str = ""


@dataclass(frozen=True)
class PairedClip:
    """A pristine clip and its degraded versions.

    Attributes:
        name: what to call it.
        footage: the pristine frames.
        settings: name of the degradation → version.
        cuts: numbers of the pristine frames that begin a new scene, without the first.

    Raises:
        ValueError: a version has another size, or frames without a pristine partner or a QP.
    """

    name: str
    footage: Footage
    settings: Mapping[str, Variant]
    cuts: Sequence[int] = ()

    def __post_init__(self) -> None:
        frames, height, width = self.footage.shape
        for setting, variant in self.settings.items():
            count = variant.footage.shape[0]
            partners = len(range(variant.first, frames, variant.step))
            if variant.footage.shape[1:] != (height, width) or count > partners:
                raise ValueError(
                    f"{setting} of {self.name} is {_described(variant.footage)}, "
                    f"the pristine clip {_described(self.footage)}: they must belong together"
                )
            if variant.qp.shape != (count,):
                raise ValueError(
                    f"{setting} of {self.name} has {count} frames but QPs of "
                    f"{len(variant.qp)}: give one for each"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width of the pristine clip."""
        return self.footage.shape

    def pristine(self, planes: Planes, setting: str | None = None) -> Samples:
        """The pristine frames, or those of them that frames of ``setting`` stand for.

        Args:
            planes: ``"y"`` for (T, H, W), ``"rgb"`` for (T, 3, H, W), ``"yuv"`` for (T, 3HW/2).
            setting: a degraded version.

        Returns:
            Read-only uint8 samples, mapped into memory.
        """
        samples = self.footage.samples(planes)
        if setting is None:
            return samples
        variant = self.settings[setting]
        return samples[variant.first :: variant.step][: variant.footage.shape[0]]

    def compressed(self, planes: Planes, setting: str) -> Samples:
        """The frames of a degraded version; planes and result as :meth:`pristine` has them."""
        return self.settings[setting].footage.samples(planes)

    def qp(self, setting: str) -> NDArray[np.float32]:
        """QP of each frame of a degraded version, (T,); NaN where unknown."""
        return self.settings[setting].qp

    def coding(self, setting: str) -> tuple[int, NDArray[np.int64]]:
        """Codes of the codec of a degraded version and of its frames' types, (T,).

        See :mod:`vqe_fast.models.coding`.
        """
        variant = self.settings[setting]
        letters = variant.types or "?" * variant.footage.shape[0]
        types = np.array([frame_type_code(letter) for letter in letters], np.int64)
        return codec_code(variant.codec), types

    def base_qp(self, setting: str) -> float:
        """The QP that the encoder of a degraded version was asked for; NaN if unknown."""
        return self.settings[setting].base_qp

    def scenes(self, setting: str) -> list[range]:
        """Ranges of frames of a degraded version, one for each scene.

        Frames that are the mean of frames of two scenes belong to none.
        """
        variant = self.settings[setting]
        count, step = variant.footage.shape[0], variant.step
        offset = variant.first - step // 2
        bounds = [0, *self.cuts, self.footage.shape[0]]
        scenes = (
            range(max(-((offset - start) // step), 0), min((stop - offset) // step, count))
            for start, stop in pairwise(bounds)
        )
        return [scene for scene in scenes if scene]


def decode_all(
    clips: Iterable[PairedClip],
    planes: Planes,
    *,
    settings: Collection[str] | None = None,
    workers: int | None = None,
) -> None:
    """Decodes the frames of some clips into their caches, several files at a time.

    Args:
        clips: whose frames are needed.
        planes: what of them.
        settings: the degraded versions that are needed; all if None.
        workers: threads; as many as there are cores if None.

    Raises:
        ValueError: a file does not hold what it is said to hold.
    """
    footage = [
        each
        for clip in clips
        for each in (
            clip.footage,
            *(v.footage for k, v in clip.settings.items() if settings is None or k in settings),
        )
    ]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for _ in pool.map(lambda each: each.samples(planes), footage):
            pass


def _described(footage: Footage) -> str:
    frames, height, width = footage.shape
    return f"{frames} frames of {width}x{height}"


def map_array(path: Path, dtype: type[S]) -> NDArray[S]:
    """The array in a ``.npy`` file, mapped into memory, read-only.

    Unlike NumPy's own it keeps no file open: there are many.

    Args:
        path: of the file.
        dtype: of the array, of one byte.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
    size = start + math.prod(shape)
    flat = torch.from_file(str(path), size=size, dtype=torch.uint8).numpy()
    array = flat[start:].view(dtype).reshape(shape)
    array.flags.writeable = False
    return array
