"""Readers of published data sets of pairs (MFQEv2, LDV, GoPro): nothing is encoded.

Frames are decoded on demand into a cache folder; raw luma is mapped from where it lies. A file
counts as changed when its size or time of change has.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from vqe_fast._atomic_write import atomic_write
from vqe_fast.data.clips import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    image_paths,
    open_media,
    stored_frames,
)
from vqe_fast.data.color import Samples
from vqe_fast.data.pairs import Decoded, Footage, PairedClip, Variant
from vqe_fast.data.raw import RAW_SUFFIX, RawFormat, raw_format_of
from vqe_fast.data.sources import Source
from vqe_fast.models.registry import Planes
from vqe_fast.video import read_qp
from vqe_fast.video.frames.scene_cuts import scene_cuts

T = TypeVar("T")

_PRISTINE = re.compile(r"(?:^|[_-])(?:raw|gt|pristine)(?:$|[_-])", re.IGNORECASE)
_QP = re.compile(r"QP[_ -]?(\d+)", re.IGNORECASE)


def read_mfqe(folder: Path, cache: Path) -> list[PairedClip]:
    """Reads MFQEv2: ``raw/*.yuv`` and, of the same names, ``HM16.5_LDP/QP37/*.yuv`` and so on.

    Args:
        folder: that holds ``raw``, such as ``train_108``.
        cache: folder for decoded frames.

    Returns:
        The clips; a setting is called after its folders, such as ``HM16.5_LDP QP37``. Base QPs are
        known, those of the frames are not.

    Raises:
        ValueError: there are no pairs, or a file's name does not tell its size.
    """
    compressed = {
        f"{place.parent.name} {place.name}": place
        for place in sorted(folder.glob("*/QP*"))
        if place.is_dir()
    }
    return read_pairs(folder / "raw", compressed, cache)


def read_ldv(folder: Path, cache: Path) -> list[PairedClip]:
    """Reads LDV and the NTIRE challenges made of it: pristine clips, and folders of others.

    Clips are files (``001.mkv``) or folders of frames (``001/*.png``), paired by name.

    Args:
        folder: whose subfolder called ``raw`` or ``gt``, perhaps with more words before or after
            as in ``training_raw``, holds the pristine clips; the others are degraded versions.
        cache: folder for decoded frames.

    Returns:
        The clips; a setting is called as its folder. QPs are those of the streams, base QPs are
        known if the folder's name says ``QP37``.

    Raises:
        ValueError: not one folder of pristine clips, or no pairs.
    """
    places = sorted(place for place in folder.glob("*") if place.is_dir())
    pristine = [place for place in places if _PRISTINE.search(place.name)]
    if len(pristine) != 1:
        raise ValueError(
            f"{folder} must hold one folder called raw or gt, got "
            f"{', '.join(place.name for place in pristine) or 'none'}: use read_pairs"
        )
    compressed = {place.name: place for place in places if place != pristine[0]}
    return read_pairs(pristine[0], compressed, cache)


def read_gopro(folder: Path, cache: Path) -> list[PairedClip]:
    """Reads GoPro: ``GOPR0372_07_00/sharp/*.png``, beside it ``blur`` and ``blur_gamma``.

    Args:
        folder: searched with all that is in it, such as ``train``.
        cache: folder for decoded frames.

    Returns:
        The clips, each with the settings ``blur`` and ``blur_gamma`` as far as they are there.

    Raises:
        ValueError: there are no pairs.
    """
    found = {
        sharp.parent: {
            blurred.name: blurred
            for blurred in (sharp.with_name("blur"), sharp.with_name("blur_gamma"))
            if blurred.is_dir()
        }
        for sharp in sorted(folder.rglob("sharp"))
    }
    return _refuse_none(
        [
            _pair(place.name, place / "sharp", versions, cache)
            for place, versions in found.items()
            if versions
        ],
        folder,
    )


def read_pairs(pristine: Path, compressed: Mapping[str, Path], cache: Path) -> list[PairedClip]:
    """Pairs the clips of one folder with those of the same name in others.

    Args:
        pristine: folder of files or of folders of frames.
        compressed: name of a setting → folder of its versions; some clips may lack some.
        cache: folder for decoded frames.

    Raises:
        ValueError: there are no pairs, or a version has another size than the pristine clip.
    """
    versions = {setting: _clips_in(place) for setting, place in compressed.items()}
    clips = []
    for name, path in _clips_in(pristine).items():
        found = {setting: paths[name] for setting, paths in versions.items() if name in paths}
        if found:
            clips.append(_pair(name, path, found, cache))
    return _refuse_none(clips, pristine)


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


def _clips_in(folder: Path) -> dict[str, Path]:
    """Name → file, or folder of images."""
    found = {}
    for path in sorted(folder.glob("*")):
        if path.is_dir() and any(each.suffix.lower() in IMAGE_SUFFIXES for each in path.iterdir()):
            found[path.name] = path
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            found[path.stem] = path
    return found


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
    base = _QP.search(setting)
    return Variant(
        footage,
        np.array([math.nan if qp is None else qp for qp, _ in coded], np.float32),
        math.nan if base is None else float(base[1]),
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


def _refuse_none(clips: list[PairedClip], folder: Path) -> list[PairedClip]:
    if not clips:
        raise ValueError(f"{folder} and what is beside it hold no pairs of clips: check the layout")
    return clips
