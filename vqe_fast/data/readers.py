"""Readers of published data sets of pairs (MFQEv2, LDV, GoPro): nothing is encoded.

Frames are decoded on demand into a cache folder; raw luma is mapped from where it lies. A file
counts as changed when its size or time of change has.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from vqe_fast._atomic_write import atomic_write
from vqe_fast.data.clips import image_paths, open_media, stored_frames
from vqe_fast.data.color import Samples
from vqe_fast.data.layouts import (
    FoundPairs,
    find_gopro,
    find_ldv,
    find_mfqe,
    find_pairs,
    told_qp,
)
from vqe_fast.data.pairs import Decoded, Footage, PairedClip, Variant
from vqe_fast.data.raw import RAW_SUFFIX, RawFormat, raw_format_of
from vqe_fast.data.sources import Source
from vqe_fast.models.registry import Planes
from vqe_fast.video import read_qp
from vqe_fast.video.frames.scene_cuts import scene_cuts

T = TypeVar("T")


def read_mfqe(folder: Path, cache: Path) -> list[PairedClip]:
    """Reads MFQEv2, see :func:`vqe_fast.data.layouts.find_mfqe`.

    Args:
        folder: that holds ``raw``, such as ``train_108``.
        cache: folder for decoded frames.

    Returns:
        The clips. Base QPs are known, those of the frames where there are bitstreams.

    Raises:
        ValueError: there are no pairs, or a file's name does not tell its size.
    """
    return _paired(find_mfqe(folder), cache)


def read_ldv(folder: Path, cache: Path) -> list[PairedClip]:
    """Reads LDV and the NTIRE challenges made of it, see :func:`vqe_fast.data.layouts.find_ldv`.

    Args:
        folder: with a subfolder for the pristine clips and one for each degraded version.
        cache: folder for decoded frames.

    Returns:
        The clips. QPs are those of the streams, base QPs are known if the folder's name says
        ``QP37``.

    Raises:
        ValueError: not one folder of pristine clips, or no pairs.
    """
    return _paired(find_ldv(folder), cache)


def read_gopro(folder: Path, cache: Path) -> list[PairedClip]:
    """Reads GoPro, see :func:`vqe_fast.data.layouts.find_gopro`.

    Args:
        folder: searched with all that is in it, such as ``train``.
        cache: folder for decoded frames.

    Raises:
        ValueError: there are no pairs.
    """
    return _paired(find_gopro(folder), cache)


def read_pairs(pristine: Path, compressed: Mapping[str, Path], cache: Path) -> list[PairedClip]:
    """Pairs the clips of one folder with those of the same name in others.

    Args:
        pristine: folder of files or of folders of frames.
        compressed: name of a setting → folder of its versions; some clips may lack some.
        cache: folder for decoded frames.

    Raises:
        ValueError: there are no pairs, or a version has another size than the pristine clip.
    """
    return _paired(find_pairs(pristine, compressed), cache)


READERS = {"mfqe": read_mfqe, "ldv": read_ldv, "gopro": read_gopro}
"""The layouts of published data sets, by what recipes call them."""


@dataclass(frozen=True)
class _Raw:
    """Raw 8-bit footage, whose luma needs no decoding."""

    path: Path
    raw: RawFormat
    decoded: Decoded

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.decoded.shape

    @property
    def store(self) -> Path:
        return self.decoded.store

    def samples(self, planes: Planes) -> Samples:
        if planes != "y":
            return self.decoded.samples(planes)
        count, height, width = self.shape
        (rows, columns), *_ = self.raw.planes
        size = count * self.raw.frame_bytes
        flat = torch.from_file(str(self.path), size=size, dtype=torch.uint8).numpy()
        luma = flat.reshape(count, -1)[:, : rows * columns].reshape(count, rows, columns)
        luma.flags.writeable = False
        return luma[:, :height, :width]


def _paired(found: FoundPairs, cache: Path) -> list[PairedClip]:
    return [_pair(clip.name, clip.pristine, clip.versions, cache) for clip in found.clips]


def _pair(name: str, pristine: Path, versions: Mapping[str, Path], cache: Path) -> PairedClip:
    footage, store = _footage(pristine, cache)
    cuts = _remembered(store, "cuts", lambda: list(scene_cuts(footage.samples("y"))))
    settings = {setting: _variant(setting, path, cache) for setting, path in versions.items()}
    return PairedClip(name, footage, settings, tuple(cuts))


def _variant(setting: str, path: Path, cache: Path) -> Variant:
    footage, store = _footage(path, cache)
    coded: list[tuple[float | None, str]] = [(None, "?")] * footage.shape[0]
    codec = "unknown"
    if path.is_file() and path.suffix.lower() != RAW_SUFFIX:
        coded = _remembered(
            store, "coded", lambda: [(frame.qp, frame.type) for frame in read_qp(path)]
        )
        with open_media(path) as container:
            codec = container.streams.video[0].codec_context.codec.canonical_name
    base = told_qp(setting)
    return Variant(
        footage,
        np.array([math.nan if qp is None else qp for qp, _ in coded], np.float32),
        math.nan if base is None else base,
        codec=codec,
        types="".join(letter for _, letter in coded),
    )


def _footage(path: Path, cache: Path) -> tuple[Footage, Path]:
    """The frames of a file or folder, and how the names of what is known of it begin."""
    survey = Source(path, path.name).survey()
    state = [
        (str(each.resolve()), each.stat().st_size, each.stat().st_mtime_ns)
        for each in (image_paths(path) if path.is_dir() else [path])
    ]
    digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]
    store = cache / f"{path.parent.name}_{path.stem}-{digest}"
    shape = survey.frames, survey.height, survey.width
    decoded = Decoded(str(path), partial(stored_frames, path), shape, store)
    if path.suffix.lower() != RAW_SUFFIX:
        return decoded, store
    raw = raw_format_of(path)
    return (_Raw(path, raw, decoded) if raw.pix_fmt == "yuv420p" else decoded), store


def _remembered(store: Path, what: str, find: Callable[[], list[T]]) -> list[T]:
    """What ``find`` returned the first time, from a file beside the decoded frames."""
    path = store.with_name(f"{store.name}.{what}.json")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            draft.write_text(json.dumps(find()))
    known: list[T] = json.loads(path.read_text())
    return known
