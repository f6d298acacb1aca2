"""Packs crops of prepared clips into one small file, see :mod:`vqe_fast.data.packed`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqe_fast.data.color import Samples, split_planes
from vqe_fast.data.index import StreamEntry
from vqe_fast.data.packed import BLOCK, NO_BLOCKS, Bytes, CodedGroup, CropGroup, write_packed
from vqe_fast.data.pairs import PairedClip
from vqe_fast.data.prepared import Prepared
from vqe_fast.models.coding import CODECS
from vqe_fast.video import read_qp
from vqe_fast.video.qp.provider import block_qps

HELD_OUT = 0.1
"""The share of a file for crops that are not trained on."""

_HEADER = 4096  # bytes, at most, of what describes a file's content


@dataclass(frozen=True)
class Contents:
    """Summary of a packed file's content.

    Attributes:
        bytes: of the file.
        raw_bytes: of its samples.
        crops: pristine ones to train on.
        held_out: pristine ones to measure on.
        pixels: of the compressed versions to train on.
        codecs: FFmpeg's name → how many compressed crops to train on.
        settings: how many settings of encoders they have.
    """

    bytes: int
    raw_bytes: int
    crops: int
    held_out: int
    pixels: int
    codecs: Mapping[str, int]
    settings: int


def pack(
    training: Prepared,
    held_out: Prepared,
    path: Path,
    *,
    side: int = 192,
    versions: int = 4,
    mib: float = 45,
    seed: int = 0,
    recipe: str,
    data: str,
    progress: Callable[[int, int], None] | None = None,
) -> Contents:
    """Packs crops of single frames, each with some of its compressed versions.

    Clips take turns; the places and frames of a clip are drawn, none twice, until the file is full
    or there are no more. The same clips and seed give the same file.

    Args:
        training: clips to train on.
        held_out: other clips, to measure on, for :data:`HELD_OUT` of the file.
        path: of the file.
        side: of a crop in pixels, a multiple of 8.
        versions: compressed ones for each crop, at most.
        mib: size of the file in MiB, at most.
        seed: of the draws.
        recipe: name of the recipe that the clips were degraded by, and
        data: what they are, in words; both are kept in the file.
        progress: told how many bytes there are, and how many there may be.

    Returns:
        What is in the file.

    Raises:
        ValueError: a clip is smaller than a crop, a QP is not known, or a number is out of range.
    """
    if side < 2 * BLOCK or side % BLOCK:
        raise ValueError(f"the side of a crop must be a multiple of 8 from 16 on, got {side}")
    if not 1 <= versions <= 255:
        raise ValueError(f"versions must be 1 to 255, got {versions}")
    limit = int(mib * 2**20) - _HEADER
    shares = ((held_out, HELD_OUT * limit, 1), (training, limit, 0))
    found: list[list[_Drawn]] = []
    used = 0
    for prepared, until, stream in shares:
        found.append([])
        for each in _draws(prepared, side, versions, (seed, stream)):
            if used + each.coded.size > until:
                break
            used += each.coded.size
            found[-1].append(each)
            if progress is not None:
                progress(used, limit)
        if not found[-1]:
            raise ValueError(f"{mib:g} MiB hold no crop of {side}×{side}: allow more")
    measured, learned = found
    write_packed(
        path,
        side,
        [each.coded for each in learned],
        [each.coded for each in measured],
        {"recipe": recipe, "data": data, "seed": seed},
    )
    counts = [len(each.coded.qp) for each in learned]
    groups = len(measured) + len(learned)
    pairs = sum(counts) + sum(len(each.coded.qp) for each in measured)
    codes = Counter(int(code) for each in learned for code in each.coded.codec)
    return Contents(
        bytes=path.stat().st_size,
        raw_bytes=(groups + pairs) * side * side * 3 // 2,
        crops=len(learned),
        held_out=len(measured),
        pixels=sum(counts) * side * side,
        codecs={CODECS[code]: count for code, count in sorted(codes.items())},
        settings=len({name for each in learned for name in each.settings}),
    )


@dataclass(frozen=True)
class _Drawn:
    coded: CodedGroup
    settings: tuple[str, ...]


def _draws(prepared: Prepared, side: int, versions: int, seed: tuple[int, int]) -> Iterator[_Drawn]:
    """Crops of all clips in turn, as long as one has another; coded by several threads."""
    bags = [
        _Bag(clip, entry.streams, prepared.folder, side, np.random.default_rng([*seed, number]))
        for number, (clip, entry) in enumerate(
            zip(prepared.clips, prepared.index.clips, strict=True)
        )
    ]
    order = np.random.default_rng(seed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while bags := [bag for bag in bags if bag.spots]:
            turn = [bags[i] for i in order.permutation(len(bags))]
            made = pool.map(lambda bag: bag.draw(versions), turn)
            yield from (drawn for drawn in made if drawn is not None)


class _Bag:
    """The places and frames of a clip that are left to draw."""

    def __init__(
        self,
        clip: PairedClip,
        streams: Mapping[str, StreamEntry],
        folder: Path,
        side: int,
        generator: np.random.Generator,
    ) -> None:
        frames, height, width = clip.shape
        if min(height, width) < side:
            raise ValueError(f"{clip.name} is {width}×{height}, smaller than a crop of {side}")
        self._clip, self._streams, self._folder = clip, streams, folder
        self._side, self._generator = side, generator
        self._maps: dict[str, list[Bytes | None]] = {}
        cells = np.indices((frames, height // side, width // side)).reshape(3, -1).T
        self.spots = generator.permutation(cells).tolist()

    def draw(self, versions: int) -> _Drawn | None:
        """A crop; None if no version has the frame."""
        frame, *cell = self.spots.pop()
        top, left = (self._within(*pair) for pair in zip(cell, self._clip.shape[1:], strict=True))
        names = [name for name in self._streams if self._number(name, frame) is not None]
        if not names:
            return None
        chosen = [names[i] for i in self._generator.permutation(len(names))[:versions]]
        pristine = self._cut(self._clip.pristine("yuv")[frame], top, left)
        parts = [self._version(name, frame, top, left) for name in chosen]
        errors = [np.abs(part[0].astype(np.int16) - pristine).sum() for part in parts]
        worst_first = np.argsort(errors, kind="stable")[::-1]
        columns = list(zip(*(parts[i] for i in worst_first), strict=True))
        samples, blocks = (np.stack(column) for column in columns[:2])
        qp = np.array(columns[2], np.float32)
        codec, frame_type = (np.array(column, np.uint8) for column in columns[3:])
        group = CropGroup(pristine, samples, blocks, qp, codec, frame_type)
        return _Drawn(group.coded(self._side), tuple(chosen))

    def _within(self, cell: int, size: int) -> int:
        """Where a crop begins in one of the equal parts of a side, at a multiple of a block."""
        count = size // self._side
        first = -(-cell * size // count // BLOCK)
        last = ((cell + 1) * size // count - self._side) // BLOCK
        return BLOCK * int(self._generator.integers(first, max(first, last) + 1))

    def _number(self, name: str, frame: int) -> int | None:
        """Which frame of a version stands for a pristine one."""
        stream = self._streams[name]
        number, rest = divmod(frame - stream.first, stream.step)
        return number if rest == 0 and 0 <= number < len(stream.qp) else None

    def _version(
        self, name: str, frame: int, top: int, left: int
    ) -> tuple[Bytes, Bytes, float, int, int]:
        """Samples, QPs of blocks, QP of the frame, and the codes of codec and type."""
        number = self._number(name, frame)
        assert number is not None
        samples = self._cut(self._clip.compressed("yuv", name)[number], top, left)
        qp = float(self._clip.qp(name)[number])
        if np.isnan(qp):
            raise ValueError(f"the QPs of {name} of {self._clip.name} are not known: leave it out")
        cells = self._side // BLOCK
        blocks = np.full((cells, cells), NO_BLOCKS, np.uint8)
        known = self._maps_of(name)[number]
        if known is not None:
            row, column = top // BLOCK, left // BLOCK
            blocks[:] = known[row : row + cells, column : column + cells]
        codec, types = self._clip.coding(name)
        return samples, blocks, qp, codec, int(types[number])

    def _maps_of(self, name: str) -> list[Bytes | None]:
        """QPs of the blocks of each frame of a version, as far as its stream tells them."""
        if name not in self._maps:
            found = read_qp(self._folder / self._streams[name].file.path)
            maps = [block_qps(frame, *self._clip.shape[1:]) for frame in found]
            self._maps[name] = [None if each is None else each[0].numpy() for each in maps]
        return self._maps[name]

    def _cut(self, samples: Samples, top: int, left: int) -> NDArray[np.uint8]:
        """A crop of 4:2:0 planes, one after the other."""
        luma, *chroma = split_planes(samples, *self._clip.shape[1:])
        parts = [luma[top:, left:][: self._side, : self._side]]
        half = self._side // 2
        parts += [plane[top // 2 :, left // 2 :][:half, :half] for plane in chroma]
        return np.concatenate([part.ravel() for part in parts])
