"""Cases of pairs that exist: nothing is encoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from vqe_fast.data.clips import first_frame, open_media
from vqe_fast.data.layouts import (
    LAYOUTS,
    FoundPairs,
    PairedFiles,
    find_pairs,
    holds_images,
    told_qp,
)
from vqe_fast.data.raw import RAW_SUFFIX, RawFormat, raw_format_like, tells_size
from vqe_fast.data.sources import Source
from vqe_fast.data.thread_pool import Crew
from vqe_fast.evaluation.case import Case, Media, Stream, bytes_of
from vqe_fast.evaluation.comparable import RGB, YUV, is_colour
from vqe_fast.evaluation.setting import Setting
from vqe_fast.video import read_qp
from vqe_fast.video.frames.color import BT709, ColorFacts
from vqe_fast.video.frames.pixel_formats import implies_full_range, without_implied_range
from vqe_fast.video.qp.frame import FrameQP

FILES = "files"
"""The layout of two or more files or folders: the originals, then compressed versions."""

_UNSPECIFIED = 2  # matrix


@dataclass(frozen=True)
class PairedCases:
    """Cases of pairs, what lacks for a whole table, and what readers of it have to know.

    Attributes:
        cases: clip by clip, setting by setting.
        missing: clip and setting of versions that other clips have.
        remarks: a sentence each.
    """

    cases: Sequence[Case]
    missing: Sequence[tuple[str, str]]
    remarks: Sequence[str]


def paired_cases(
    places: Sequence[Path],
    layout: str,
    *,
    frames: int | None = None,
    qp: float | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PairedCases:
    """The cases of pairs, each looked at: frames, size, QPs, types and sizes of frames.

    Args:
        places: the folder of a data set; or for :data:`FILES` the original and its compressed
            versions, all of them files or folders of frames, or all of them folders of clips of
            the same names.
        layout: :data:`FILES`, or one of :data:`vqe_fast.data.layouts.LAYOUTS`.
        frames: how many frames of a clip to take at most.
        qp: that of the frames of versions that tell none, nor does the name of their setting.
        workers: files that are looked at at the same time; as many as there are cores if None.
        progress: told how many clips of how many were looked at.

    Raises:
        ValueError: no such layout or files, no pairs, or two that do not belong together.
        VideoError: a compressed version does not decode.
    """
    found = _found(places, layout)
    settings = list(dict.fromkeys(name for clip in found.clips for name in clip.versions))
    with Crew(workers or os.cpu_count() or 1, progress) as crew:
        crew.total = len(found.clips)
        looks = [partial(_look, clip, frames, qp, crew.tick) for clip in found.clips]
        looked = {cases[0].clip: cases for cases in crew.run(looks)}
    cases = [case for clip in found.clips for case in looked[clip.name]]
    missing = [
        (clip.name, name) for clip in found.clips for name in settings if name not in clip.versions
    ]
    return PairedCases(cases, missing, _remarks(found, cases))


def _found(places: Sequence[Path], layout: str) -> FoundPairs:
    for place in places:
        if not place.exists():
            raise ValueError(f"there is no {place}: give pairs that exist")
    if layout == FILES:
        return _found_in(places)
    if layout not in LAYOUTS:
        raise ValueError(f"pairs are {FILES}, {', '.join(LAYOUTS)}, got {layout!r}")
    if len(places) != 1 or not places[0].is_dir():
        raise ValueError(
            f"the layout {layout} takes the folder of the data set, "
            f"got {', '.join(map(str, places))}: for files and folders of your own say {FILES}"
        )
    return LAYOUTS[layout](places[0])


def _found_in(places: Sequence[Path]) -> FoundPairs:
    """Pairs of an original with the versions behind it: a clip each, or a folder of clips each."""
    if len(places) < 2:
        raise ValueError(
            f"the layout {FILES} takes ORIGINAL COMPRESSED, got {places[0]} alone: give both"
        )
    original, *compressed = places
    names = _names(original, compressed)
    versions = dict(zip(names, compressed, strict=True))
    if len(versions) < len(names):
        raise ValueError("two compressed versions have the same name: rename one, or its folder")
    kinds = {place.is_file() or holds_images(place) for place in places}
    if len(kinds) > 1:
        raise ValueError(
            f"{original} and what is compared to it must be of a kind: all of them clips (files, "
            "or folders of frames), or all of them folders of clips"
        )
    if kinds == {False}:
        return find_pairs(original, versions)
    return FoundPairs([PairedFiles(_name(original), original, versions)], [])


def _names(original: Path, compressed: Sequence[Path]) -> list[str]:
    """Names of settings: those of files or folders, or of what they lie in, if that tells more."""
    names = [_name(place) for place in compressed]
    folders = [_name(place.resolve().parent) for place in compressed]
    has_names = len({*names} - {_name(original)}) == len(compressed)
    only_folders_tell = None not in map(told_qp, folders) and not any(map(told_qp, names))
    return names if has_names and not only_folders_tell else folders


def _name(place: Path) -> str:
    place = place.resolve()
    return place.name if place.is_dir() else place.stem


def _look(
    clip: PairedFiles, frames: int | None, qp: float | None, tick: Callable[[], None]
) -> list[Case]:
    """The cases of a clip."""
    raw = _raw_formats([clip.pristine, *clip.versions.values()])
    original = _Looked.at(clip.pristine, raw)
    if original.size[0] % 2 + original.size[1] % 2 and not is_colour(original.first):
        raise ValueError(
            f"{clip.pristine} has odd sides, {_sides(original)}: crop it and its versions by one"
        )
    cases = [
        _case(clip.name, original, _Looked.at(path, raw, coded=True), setting, frames, qp)
        for setting, path in clip.versions.items()
    ]
    tick()
    return cases


def _raw_formats(paths: Sequence[Path]) -> dict[Path, RawFormat]:
    """Formats of raw files whose names tell no size: that of what they belong to."""
    silent = [path for path in paths if path.suffix.lower() == RAW_SUFFIX and not tells_size(path)]
    telling = next((path for path in paths if path not in silent), None)
    if telling is None:
        return {}
    return {path: raw_format_like(path, first_frame(telling)) for path in silent}


@dataclass(frozen=True)
class _Looked:
    """What a look at a file tells; ``coded`` is empty of what is no stream or was not asked."""

    media: Media
    first: VideoFrame
    count: int
    rate: Fraction
    coded: Sequence[FrameQP]
    codec: str

    @classmethod
    def at(cls, path: Path, raw: Mapping[Path, RawFormat], *, coded: bool = False) -> _Looked:
        source = Source(path.resolve(), path.name, raw=raw.get(path))
        path = source.path
        survey = source.survey()
        told: Sequence[FrameQP] = []
        codec = "unknown"
        if coded and _is_stream(path):
            told = read_qp(path)
            with open_media(path) as container:
                codec = container.streams.video[0].codec_context.codec.canonical_name
        return cls(
            Media(path, bytes_of(path), source.checksum(), raw=source.raw),
            first_frame(path, raw=source.raw),
            len(told) or survey.frames,
            survey.rate,
            told,
            codec,
        )

    @property
    def size(self) -> tuple[int, int]:
        return self.first.width, self.first.height


def _case(
    name: str,
    original: _Looked,
    compressed: _Looked,
    setting: str,
    frames: int | None,
    qp: float | None,
) -> Case:
    _refuse_strangers(original, compressed)
    count = _common_count(original, compressed, frames)
    coded = compressed.coded[:count]
    media = compressed.media
    has_rate = _is_stream(original.media.path) or not _is_stream(media.path)
    return Case(
        clip=name,
        setting=Setting.of_pairs(setting, compressed.codec, qp),
        original=original.media,
        stream=Stream(
            media.path,
            media.bytes,
            media.sha256,
            types="".join(frame.type for frame in coded) or "?" * count,
            qp=[frame.qp for frame in coded] or [None] * count,
            sizes=[frame.size for frame in coded],
            is_whole=count == compressed.count,
            raw=media.raw,
        ),
        frames=count,
        first=0,
        step=1,
        size=original.size,
        rate=original.rate if has_rate else compressed.rate,
        color=_color(original.first, compressed.first),
        pixel_format=RGB if is_colour(original.first) else YUV,
    )


def _refuse_strangers(original: _Looked, compressed: _Looked) -> None:
    pair = f"{compressed.media.path} is", f"its original {original.media.path}"
    if original.size != compressed.size:
        raise ValueError(
            f"{pair[0]} {_sides(compressed)}, {pair[1]} {_sides(original)}: scale or crop one of "
            "them"
        )
    ranges = [_range(each.first) for each in (compressed, original)]
    if sorted(ranges) == [ColorRange.MPEG, ColorRange.JPEG]:
        words = ["full" if each == ColorRange.JPEG else "limited" for each in ranges]
        raise ValueError(
            f"{pair[0]} tagged as of {words[0]} range, {pair[1]} as of {words[1]} range: convert "
            "one of them, or mend its tag"
        )


def _common_count(original: _Looked, compressed: _Looked, frames: int | None) -> int:
    """How many frames to compare."""
    counts = original.count, compressed.count
    least = min(counts)
    if counts[0] != counts[1] and (frames is None or frames > least):
        raise ValueError(
            f"{compressed.media.path} has {counts[1]} frames, its original {original.media.path} "
            f"{counts[0]}: if both begin with the same one, compare the first {least} (frames)"
        )
    return least if frames is None else min(frames, least)


def _color(original: VideoFrame, compressed: VideoFrame) -> ColorFacts:
    """Matrix and range of Y'CbCr: the original's, or the other's where only that tells."""
    told = [frame for frame in (original, compressed) if not is_colour(frame)]
    tagged = [
        frame
        for frame in told
        if frame.colorspace != _UNSPECIFIED or _range(frame) != ColorRange.UNSPECIFIED
    ]
    found = [*tagged, *told]
    return ColorFacts.of(found[0]) if found else ColorFacts(BT709, full_range=False)


def _range(frame: VideoFrame) -> int:
    if is_colour(frame):
        return int(ColorRange.UNSPECIFIED)
    implied = implies_full_range(frame.format.name)
    return int(ColorRange.JPEG if implied else frame.color_range)


def _sides(looked: _Looked) -> str:
    return f"{looked.size[0]}x{looked.size[1]}"


def _is_stream(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() != RAW_SUFFIX


def _remarks(found: FoundPairs, cases: Sequence[Case]) -> list[str]:
    remarks = []
    if found.alone:
        names = ", ".join(f"{path.parent.name}/{path.name}" for path in found.alone)
        remarks.append(f"without a partner, and so left out: {names}")
    if any(case.pixel_format == RGB for case in cases):
        remarks.append(
            "clips whose originals are RGB are compared in RGB; their figures of luma and chroma "
            "are of BT.709 4:2:0 made of it"
        )
    converted = {
        format_name
        for case in cases
        if case.pixel_format == YUV
        for media in (case.stream, case.original)
        for format_name in [without_implied_range(media.first_frame().format.name)]
        if format_name != YUV
    }
    if converted:
        names = ", ".join(sorted(converted))
        remarks.append(f"frames of {names} are compared after conversion to 8-bit 4:2:0")
    return remarks
