"""Layouts of published data sets of pairs (MFQEv2, LDV, GoPro), and folders paired by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vqe_fast.data.clips import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from vqe_fast.data.raw import RAW_SUFFIX

BITSTREAM_SUFFIXES = frozenset(
    {".bin", ".bit", ".265", ".h265", ".hevc", ".264", ".h264", ".avc", ".ivf", ".obu"}
)
"""Ends of names of bare bitstreams, such as the test models write."""

_PRISTINE = re.compile(r"(?:^|[_-])(?:raw|gt|pristine)(?:$|[_-])", re.IGNORECASE)
_QP = re.compile(r"QP[_ -]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class PairedFiles:
    """Files of a clip: the pristine one, and its degraded versions.

    Attributes:
        name: what to call the clip.
        pristine: a file, or a folder of images.
        versions: name of a setting → the same.
    """

    name: str
    pristine: Path
    versions: Mapping[str, Path]


@dataclass(frozen=True)
class FoundPairs:
    """Pairs that a layout holds, and what has no partner there.

    Attributes:
        clips: those with at least one degraded version.
        alone: pristine files without a version, versions without a pristine file, and folders in
            which no file has a partner.
    """

    clips: Sequence[PairedFiles]
    alone: Sequence[Path]


def find_mfqe(folder: Path) -> FoundPairs:
    """Finds the clips of MFQEv2: ``raw/*.yuv`` and, of the same names, ``HM16.5_LDP/QP37/*.yuv``.

    A bitstream (``HM16.5_LDP/QP37/*.bin``) takes the place of the raw file that was decoded from
    it: it tells QPs, types of frames and sizes.

    Args:
        folder: that holds ``raw``, such as ``train_108``.

    Returns:
        The clips; a setting is called after its folders, such as ``HM16.5_LDP QP37``.

    Raises:
        ValueError: there are no pairs, or two files of one name.
    """
    compressed = {
        f"{place.parent.name} {place.name}": place
        for place in sorted(folder.glob("*/QP*"))
        if place.is_dir()
    }
    return find_pairs(folder / "raw", compressed)


def find_ldv(folder: Path) -> FoundPairs:
    """Finds the clips of LDV and the NTIRE challenges made of it, paired by name.

    Clips are files (``001.mkv``) or folders of frames (``001/*.png``).

    Args:
        folder: whose subfolder called ``raw`` or ``gt``, perhaps with more words before or after
            as in ``training_raw``, holds the pristine clips; the others are degraded versions.

    Returns:
        The clips; a setting is called as its folder.

    Raises:
        ValueError: not one folder of pristine clips, no pairs, or two files of one name.
    """
    places = sorted(place for place in folder.glob("*") if place.is_dir())
    pristine = [place for place in places if _PRISTINE.search(place.name)]
    if len(pristine) != 1:
        raise ValueError(
            f"{folder} must hold one folder called raw or gt, got "
            f"{', '.join(place.name for place in pristine) or 'none'}: rename it, or pair the "
            "folders yourself"
        )
    compressed = {place.name: place for place in places if place != pristine[0]}
    return find_pairs(pristine[0], compressed)


def find_gopro(folder: Path) -> FoundPairs:
    """Finds the clips of GoPro: ``GOPR0372_07_00/sharp/*.png``, beside it ``blur``, ``blur_gamma``.

    Args:
        folder: searched with all that is in it, such as ``test``.

    Returns:
        The clips, each with the settings ``blur`` and ``blur_gamma`` as far as they are there.

    Raises:
        ValueError: there are no pairs, or two clips of one name.
    """
    clips: dict[str, PairedFiles] = {}
    alone = []
    for sharp in sorted(folder.rglob("sharp")):
        name = sharp.parent.name
        versions = {
            blurred.name: blurred
            for blurred in (sharp.with_name("blur"), sharp.with_name("blur_gamma"))
            if blurred.is_dir()
        }
        if not versions:
            alone.append(sharp)
            continue
        if name in clips:
            _refuse_second(clips[name].pristine, sharp, name)
        clips[name] = PairedFiles(name, sharp, versions)
    return FoundPairs(_refuse_none(list(clips.values()), folder), alone)


def find_pairs(pristine: Path, compressed: Mapping[str, Path]) -> FoundPairs:
    """Pairs the clips of one folder with those of the same name in others.

    Args:
        pristine: folder of files or of folders of frames.
        compressed: name of a setting → folder of its versions; some clips may lack some.

    Raises:
        ValueError: there are no pairs, or two files of one name in one folder.
    """
    originals = _clips_in(pristine)
    versions = {setting: _clips_in(place) for setting, place in compressed.items()}
    clips = [
        PairedFiles(name, path, {s: paths[name] for s, paths in versions.items() if name in paths})
        for name, path in originals.items()
    ]
    paired = [clip for clip in clips if clip.versions]
    alone = [clip.pristine for clip in clips if not clip.versions]
    for setting, paths in versions.items():
        if paths.keys().isdisjoint(originals):
            alone.append(compressed[setting])
        else:
            alone += [path for name, path in paths.items() if name not in originals]
    return FoundPairs(_refuse_none(paired, pristine), alone)


LAYOUTS: Mapping[str, Callable[[Path], FoundPairs]] = {
    "mfqe": find_mfqe,
    "ldv": find_ldv,
    "gopro": find_gopro,
}
"""The layouts of published data sets, by what recipes and commands call them."""


def told_qp(setting: str) -> float | None:
    """The QP in the name of a setting, such as ``HM16.5_LDP QP37``; None if there is none."""
    found = _QP.search(setting)
    return None if found is None else float(found[1])


def without_qp(setting: str) -> str:
    """The name of a setting less the number of its QP: what settings that differ in it share."""
    return _QP.sub("QP", setting)


def holds_images(folder: Path) -> bool:
    """Whether a folder holds images directly: then it is one clip."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def _clips_in(folder: Path) -> dict[str, Path]:
    """Name → file, or folder of images."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        suffix = path.suffix.lower()
        if path.is_dir():
            if holds_images(path):
                _add(found, path.name, path)
        elif suffix in VIDEO_SUFFIXES | BITSTREAM_SUFFIXES:
            _add(found, path.stem, path)
    return found


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    """Adds a clip; a raw file gives way to the stream that it was decoded from."""
    other = found.get(name)
    if other is not None and _is_raw(other) == _is_raw(path):
        _refuse_second(other, path, name)
    if other is None or _is_raw(other):
        found[name] = path


def _is_raw(path: Path) -> bool:
    return path.suffix.lower() == RAW_SUFFIX


def _refuse_second(first: Path, second: Path, name: str) -> None:
    raise ValueError(f"{first} and {second} are both called {name}: rename or remove one")


def _refuse_none(clips: list[PairedFiles], folder: Path) -> list[PairedFiles]:
    if not clips:
        raise ValueError(f"{folder} and what is beside it hold no pairs of clips: check the layout")
    return clips
