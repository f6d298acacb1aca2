"""Packed file of crops in pairs, one small file for training where nothing can be decoded."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vqe_fast._atomic_write import atomic_write

BLOCK = 8
"""Pixels a side of the blocks that have a QP; crops and windows begin at multiples of it."""

NO_BLOCKS = 255
"""In a map of QPs: that of the frame is all that is known."""

_FORMAT = 1
_SAID = "packed crops"
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 4, "lp": 0, "pb": 0}]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class CropGroup:
    """A crop of a pristine frame, and its compressed versions with QP maps.

    Planes of 4:2:0 lie one after the other, see :func:`vqe_fast.data.color.split_planes`.

    Attributes:
        pristine: (3S²/2) uint8.
        compressed: (K, 3S²/2) uint8, the one with the largest error first.
        blocks: QP of each block of 8×8 pixels, (K, S/8, S/8) uint8, or :data:`NO_BLOCKS`.
        qp: of the frame, (K,) float32.
        codec: codes of :mod:`vqe_fast.models.coding`, (K,) uint8.
        frame_type: likewise.
    """

    pristine: Bytes
    compressed: Bytes
    blocks: Bytes
    qp: NDArray[np.float32]
    codec: Bytes
    frame_type: Bytes

    def coded(self, side: int) -> CodedGroup:
        """The group with samples and maps coded by LZMA, in about two fifths of their size.

        The worst version as what each sample differs from those beside and above, the next as
        the difference from it, and so on to the pristine one; then LZMA.
        """
        versions = np.concatenate([self.compressed, self.pristine[None]])
        differences = np.diff(versions, axis=0, prepend=np.uint8(0))
        for plane in _planes(differences[0], side):
            for axis in (0, 1):
                plane[:] = np.diff(plane, axis=axis, prepend=np.uint8(0))
        content = differences.tobytes() + self.blocks.tobytes()
        coded = lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS)
        return CodedGroup(coded, self.qp, self.codec, self.frame_type)


@dataclass(frozen=True)
class CodedGroup:
    """A :class:`CropGroup` as stored: samples and maps coded, the rest as it is."""

    content: bytes
    qp: NDArray[np.float32]
    codec: Bytes
    frame_type: Bytes

    @property
    def size(self) -> int:
        """Size in a file, in bytes."""
        return len(self.content) + 9 + 6 * len(self.qp)


@dataclass(frozen=True)
class Crops:
    """Crops in pairs: V compressed versions of G pristine ones.

    Attributes:
        side: S, of a crop in pixels.
        pristine: (G, 3S²/2) uint8.
        compressed: (V, 3S²/2) uint8.
        group: which pristine crop each belongs to, (V,) int64.
        blocks: (V, S/8, S/8) uint8, see :class:`CropGroup`.
        qp: (V,) float32.
        codec: (V,) uint8.
        frame_type: (V,) uint8.
    """

    side: int
    pristine: Bytes
    compressed: Bytes
    group: NDArray[np.int64]
    blocks: Bytes
    qp: NDArray[np.float32]
    codec: Bytes
    frame_type: Bytes


@dataclass(frozen=True)
class Packed:
    """The content of a packed file.

    Attributes:
        training: crops to train on.
        held_out: crops of other clips, to measure on.
        about: what they were made of.
        sha256: of the file.
    """

    training: Crops
    held_out: Crops
    about: Mapping[str, Any]
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a packed file, with as many threads as there are cores.

        Raises:
            ValueError: it is missing, of another kind or version, or damaged.
        """
        if not path.is_file():
            raise ValueError(f"there is no packed file {path}: make one with vqe-fast pack")
        try:
            with safe_open(path, "np") as file:
                said = json.loads((file.metadata() or {}).get(_SAID, "{}"))
                table = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a readable .safetensors file: {error}") from error
        if said.get("format") != _FORMAT:
            raise ValueError(f"{path} is not a packed file of this version: make it anew")
        side, held_out = said["side"], said["held_out"]
        try:
            groups = _decoded(table, side)
        except (lzma.LZMAError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error}): make or carry it anew") from error
        count = len(groups) - held_out
        return cls(
            _together(groups[:count], side),
            _together(groups[count:], side),
            said["about"],
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )


def write_packed(
    path: Path,
    side: int,
    training: Sequence[CodedGroup],
    held_out: Sequence[CodedGroup],
    about: Mapping[str, Any],
) -> None:
    """Writes a packed file; the same content gives the same bytes."""
    both = [*training, *held_out]
    table: dict[str, NDArray[Any]] = {
        "coded": np.frombuffer(b"".join(each.content for each in both), np.uint8),
        "ends": np.cumsum([len(each.content) for each in both], dtype=np.int64),
        "versions": np.array([len(each.qp) for each in both], np.uint8),
        "qp": np.concatenate([each.qp for each in both]),
        "codec": np.concatenate([each.codec for each in both]),
        "frame_type": np.concatenate([each.frame_type for each in both]),
    }
    said = {"format": _FORMAT, "side": side, "held_out": len(held_out), "about": about}
    with atomic_write(path) as draft:
        # One entry: several have another order in every file.
        draft.write_bytes(save(table, {_SAID: json.dumps(said)}))


def _decoded(table: Mapping[str, NDArray[Any]], side: int) -> list[CropGroup]:
    contents = np.split(table["coded"], table["ends"][:-1])
    ends = np.cumsum(table["versions"], dtype=np.int64)[:-1]
    columns = [np.split(table[name], ends) for name in ("qp", "codec", "frame_type")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = map(len, columns[0])
        samples = list(pool.map(lambda coded, n: _samples(coded, n, side), contents, counts))
    return [
        CropGroup(versions[-1], versions[:-1], blocks, qp, codec, kind)
        for (versions, blocks), qp, codec, kind in zip(samples, *columns, strict=True)
    ]


def _samples(coded: Bytes, count: int, side: int) -> tuple[Bytes, Bytes]:
    """All versions, and the maps of the compressed ones."""
    content = lzma.decompress(coded.tobytes(), lzma.FORMAT_RAW, filters=_FILTERS)
    pixels, cells = side * side * 3 // 2, side // BLOCK
    end = (count + 1) * pixels
    blocks = np.frombuffer(content, np.uint8, offset=end).reshape(count, cells, cells)
    differences = np.frombuffer(content, np.uint8, end).reshape(count + 1, pixels).copy()
    for plane in _planes(differences[0], side):
        plane[:] = plane.cumsum(0, np.uint8).cumsum(1, np.uint8)
    return differences.cumsum(0, np.uint8), blocks


def _planes(samples: Bytes, side: int) -> list[Bytes]:
    """Luma and chroma of (3S²/2) samples; no copies."""
    luma, half = side * side, side // 2
    ends = (luma, luma + half * half)
    return [
        plane.reshape(shape)
        for plane, shape in zip(
            np.split(samples, ends), ((side, side), (half, half), (half, half)), strict=True
        )
    ]


def _together(groups: Sequence[CropGroup], side: int) -> Crops:
    counts = [len(group.qp) for group in groups]
    fields: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(group, name) for group in groups])
        for name in ("compressed", "blocks", "qp", "codec", "frame_type")
    }
    return Crops(
        side,
        np.stack([group.pristine for group in groups]),
        group=np.repeat(np.arange(len(groups)), counts),
        **fields,
    )
