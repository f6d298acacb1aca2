"""Sources of pristine clips: video files, raw YUV, photographs, folders of images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from vqe_fast.data.clips import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Clip,
    Frames,
    first_frame,
    image_paths,
    open_media,
    rate_of,
    read_clip,
    read_image,
)
from vqe_fast.data.color import resized
from vqe_fast.data.raw import RAW_SUFFIX, RawFormat, count_raw, raw_format_of
from vqe_fast.data.stills import STILL_RATE, CameraMove, move_over_still

Images = Literal["stills", "frames"]
"""What images in a folder are: photographs, or the frames of one clip."""


@dataclass(frozen=True)
class Survey:
    """Number, size and rate of a source's frames.

    Attributes:
        frames: of the clip that it becomes.
        width: in pixels.
        height: in pixels.
        rate: frames per second.
    """

    frames: int
    width: int
    height: int
    rate: Fraction


@dataclass(frozen=True)
class Source:
    """A source: a video file, a raw file, a photograph, or a folder with an image for each frame.

    Attributes:
        path: where it is.
        name: what to call the clip.
        frames: how many frames to take at most.
        raw: size, format and rate of raw files; None to read them from their names.
        move: how a photograph becomes a clip; None for what is a clip already.
        seed: of the move.
        size: width and height that the frames of what is no photograph are scaled to.
    """

    path: Path
    name: str
    frames: int | None = None
    raw: RawFormat | None = None
    move: CameraMove | None = None
    seed: int = 0
    size: tuple[int, int] | None = None

    def checksum(self) -> str:
        """SHA-256 of the file; of a folder, that of the checksums and names of its images.

        Raises:
            ValueError: it cannot be read.
        """
        if not self.path.is_dir():
            return file_checksum(self.path)
        lines = (f"{file_checksum(path)} {path.name}\n" for path in image_paths(self.path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Settings that decide about the frames beside the content, as JSON has them."""
        settings: dict[str, Any] = {}
        if self.move is not None:
            settings = {
                "frames": self.move.frames,
                "size": list(self.move.size),
                "minimum_shrink": self.move.minimum_shrink,
                "seed": self.seed,
            }
            if self.move.layers != 1:  # else as in indexes from before there were layers
                settings["layers"] = self.move.layers
            if self.move.resting:  # the same
                settings["resting"] = self.move.resting
            if self.move.speed != 1:  # the same
                settings["speed"] = self.move.speed
        elif self.frames is not None:
            settings["frames"] = self.frames
        if self.size is not None:
            settings["size"] = list(self.size)
        if self.raw is not None:
            raw = self.raw
            settings["raw"] = [*raw.size, raw.pix_fmt, str(raw.rate)]
        return settings

    def clip(self) -> Clip:
        """The clip of the source.

        Raises:
            ValueError: see :func:`vqe_fast.data.clips.read_clip`.
        """
        if self.move is None:
            clip = read_clip(self.path, self.frames, raw=self.raw)
            if self.size is not None:
                clip = replace(clip, frames=_resized(clip.frames, self.size))
        else:
            # Of the picture's own: another picture in the folder must not change the move.
            own = hashlib.sha256(f"{self.seed} {self.checksum()}".encode()).digest()
            clip = move_over_still(self.path, self.move, int.from_bytes(own[:8], "big"))
        return replace(clip, name=self.name)

    def survey(self) -> Survey:
        """Number, size and rate of the frames, without decoding more than one.

        Raises:
            ValueError: there is nothing, or it cannot be read.
        """
        if self.move is not None:
            read_image(self.path)
            return Survey(self.move.frames, *self.move.size, STILL_RATE)
        first = first_frame(self.path, raw=self.raw)
        count = self._count()
        frames = count if self.frames is None else min(count, self.frames)
        rate = rate_of(self.path, raw=self.raw)
        if self.size is not None:
            if first.width < self.size[0] or first.height < self.size[1]:
                raise ValueError(
                    f"{self.path} is {first.width}x{first.height}, smaller than the size "
                    f"{self.size[0]}x{self.size[1]} that clips are scaled to: give larger clips, "
                    "or another size"
                )
            return Survey(frames, *self.size, rate)
        return Survey(frames, first.width // 2 * 2, first.height // 2 * 2, rate)

    def rereadable(self) -> bool:
        """Whether decoding the file again gives the clip itself, with nothing to convert."""
        if self.move or self.size or self.path.is_dir() or self._is_raw:
            return False
        first = first_frame(self.path)
        return (
            first.format.name in ("yuv420p", "yuvj420p")
            and first.width % 2 == 0
            and first.height % 2 == 0
        )

    @property
    def _is_raw(self) -> bool:
        return self.path.suffix.lower() == RAW_SUFFIX

    def _count(self) -> int:
        if self.path.is_dir():
            return len(image_paths(self.path))
        if self._is_raw:
            return count_raw(self.path, self.raw or raw_format_of(self.path))
        with open_media(self.path) as container:
            try:
                return sum(packet.size > 0 for packet in container.demux(video=0))
            except av.error.FFmpegError as error:
                raise ValueError(f"{self.path} is damaged: {error.strerror}") from error


def find_sources(
    folders: Sequence[Path],
    *,
    frames: int | None = None,
    images: Images = "stills",
    move: CameraMove | None = None,
    raw: RawFormat | None = None,
    seed: int = 0,
    size: tuple[int, int] | None = None,
) -> list[Source]:
    """The sources in some folders, sorted by path; their names are their places there.

    Args:
        folders: to be searched with all that is in them; a path to a file is a source itself.
        frames: how many frames of a clip to take at most.
        images: whether images are photographs, each one a clip, or the frames of one clip for
            each folder.
        move: how photographs become clips.
        raw: size, format and rate of raw files whose names do not tell.
        seed: of the moves.
        size: width and height that what is no photograph is scaled to.

    Raises:
        ValueError: a folder holds none or cannot be read, or a name is not UTF-8.
    """
    sources: list[Source] = []
    for folder in folders:
        found = [
            Source(
                path,
                _name(path, folder),
                frames,
                raw if _raw(path) else None,
                moves,
                seed,
                None if moves else size,
            )
            for path in _paths(folder, images)
            for moves in [(move or CameraMove()) if _still(path) else None]
        ]
        if not found:
            suffixes = ", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
            raise ValueError(f"{folder} holds no clip or photograph ({suffixes})")
        sources += found
    return _unique(sources)


def file_checksum(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def _resized(frames: Iterable[av.VideoFrame], size: tuple[int, int]) -> Frames:
    return Frames(lambda: (resized(frame, size) for frame in frames))


def _paths(folder: Path, images: Images) -> list[Path]:
    everything = [folder] if folder.is_file() else sorted(_files_below(folder))
    videos = [path for path in everything if path.suffix.lower() in VIDEO_SUFFIXES]
    stills = [path for path in everything if _still(path)]
    if images == "frames" and not folder.is_file():
        stills = sorted({path.parent for path in stills})
    return sorted(path for path in videos if path.is_file()) + stills


def _files_below(folder: Path) -> Iterator[Path]:
    def cannot(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise ValueError(f"{error.filename} cannot be read: {error.strerror}") from error

    for here, _, names in os.walk(folder, onerror=cannot):
        yield from (Path(here, name) for name in names)


def _still(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _raw(path: Path) -> bool:
    return path.suffix.lower() == RAW_SUFFIX


def _name(path: Path, folder: Path) -> str:
    place = path.relative_to(folder) if path != folder else Path(path.name)
    name = (place if path.is_dir() else place.with_suffix("")).as_posix()
    if any("\udc80" <= each <= "\udcff" for each in name):
        raise ValueError(f"the name of {path} is not UTF-8, as indices and tables are; rename it")
    return name


def _unique(sources: Sequence[Source]) -> list[Source]:
    """The sources, of equal names all but the first with a number behind it."""
    counts: dict[str, int] = {}
    renamed = []
    for source in sources:
        counts[source.name] = number = counts.get(source.name, 0) + 1
        name = source.name if number == 1 else f"{source.name} ({number})"
        renamed.append(replace(source, name=name))
    return renamed
