"""Pristine clips: video files, raw YUV and folders of images, decoded as they are iterated over."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from vqe_fast.data.color import to_yuv420p
from vqe_fast.data.raw import RAW_SUFFIX, RawFormat, raw_format_of, read_raw

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m", ".ts", RAW_SUFFIX})

_NOMINAL_RATE = Fraction(25)


@dataclass(frozen=True)
class Frames(Iterable[av.VideoFrame]):
    """Iterable of frames that are decoded anew each time."""

    read: Callable[[], Iterator[av.VideoFrame]]

    def __iter__(self) -> Iterator[av.VideoFrame]:
        return self.read()


@dataclass(frozen=True)
class Clip:
    """A pristine clip: its frames, decoded on demand, and their rate.

    Attributes:
        name: what to call it.
        frames: 8-bit yuv420p frames of one even size, in display order; to be iterated over as
            often as needed.
        rate: frames per second.
    """

    name: str
    frames: Iterable[av.VideoFrame]
    rate: Fraction


def read_clip(path: Path, frames: int | None = None, *, raw: RawFormat | None = None) -> Clip:
    """A clip of a video file in any container, of raw YUV, or of a folder of images.

    Samples of 8-bit 4:2:0 stay as they are; everything else is converted as
    :func:`vqe_fast.data.color.to_yuv420p` tells.

    Args:
        path: the file, or the folder with one image for each frame, in natural order of names.
        frames: how many frames to take at most.
        raw: size, format and rate of a ``.yuv`` file; its name says them if not given.

    Raises:
        ValueError: nothing there that decodes, frames of several sizes, or a raw file that is not
            a whole number of frames; some of these only when the frames are iterated over.
    """
    return Clip(
        path.name if path.is_dir() else path.stem,
        Frames(lambda: map(to_yuv420p, stored_frames(path, frames, raw=raw))),
        rate_of(path, raw=raw),
    )


def stored_frames(
    path: Path, frames: int | None = None, *, raw: RawFormat | None = None
) -> Iterator[av.VideoFrame]:
    """The frames of what :func:`read_clip` reads, in their stored pixel format.

    Raises:
        ValueError: as :func:`read_clip`.
    """
    size: tuple[int, int] | None = None
    with closing(_decoded(path, raw)) as decoded:
        for frame in islice(decoded, frames):
            if size is None:
                size = frame.width, frame.height
            elif size != (frame.width, frame.height):
                raise ValueError(
                    f"{path} changes from {size[0]}x{size[1]} to {frame.width}x{frame.height}: "
                    "split it there, or take still images one by one"
                )
            yield frame
    if size is None:
        raise ValueError(f"{path} holds no video frame")


def first_frame(path: Path, *, raw: RawFormat | None = None) -> av.VideoFrame:
    """The first of :func:`stored_frames`; no other is decoded, and the file is closed.

    To let go of a generator closes its file as it is freed, and an interruption is lost there.

    Raises:
        ValueError: as :func:`read_clip`.
    """
    with closing(_decoded(path, raw)) as decoded:
        for frame in decoded:
            return frame
    raise ValueError(f"{path} holds no video frame")


def rate_of(path: Path, *, raw: RawFormat | None = None) -> Fraction:
    """Frame rate of a stream, in frames per second; 25 where nothing says.

    Raises:
        ValueError: the file cannot be opened, or holds no video.
    """
    if path.is_dir():
        return _NOMINAL_RATE
    if path.suffix.lower() == RAW_SUFFIX:
        return (raw or raw_format_of(path)).rate
    with open_media(path) as container:
        return Fraction(container.streams.video[0].average_rate or _NOMINAL_RATE)


def open_media(path: Path) -> av.container.InputContainer:
    """Opens a file that has a video stream.

    Raises:
        ValueError: it is missing, not a media file, or has none.
    """
    try:
        container = av.open(str(path), "r")
    except (OSError, av.error.FFmpegError) as error:
        raise ValueError(f"{path} cannot be read as video: {error.strerror}") from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{path} holds no video frame")
    return container


def image_paths(folder: Path) -> list[Path]:
    """The images directly in ``folder``, in natural order: 9 comes before 10."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(paths, key=_natural)


def read_image(path: Path) -> av.VideoFrame:
    """The picture in an image file.

    Raises:
        ValueError: it does not decode.
    """
    return first_frame(path)


_Decoded = Generator[av.VideoFrame, None, None]


def _decoded(path: Path, raw: RawFormat | None) -> _Decoded:
    if path.is_dir():
        return (read_image(image) for image in image_paths(path))
    if path.suffix.lower() == RAW_SUFFIX:
        return read_raw(path, raw or raw_format_of(path))
    return _video(path)


def _video(path: Path) -> _Decoded:
    with open_media(path) as container:
        stream = container.streams.video[0]
        try:
            yield from container.decode(stream)
        except av.error.FFmpegError as error:
            raise ValueError(f"{path} is damaged: {error.strerror}") from error


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Digits compare as numbers and stand before letters."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
