"""Evaluation cases: a clip at a setting, compressed stream and original frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

from av.video.frame import VideoFrame

from vqe_fast.data.clips import first_frame, image_paths, stored_frames
from vqe_fast.data.encoding import encode
from vqe_fast.data.prepared import Prepared
from vqe_fast.data.raw import RAW_SUFFIX, RawFormat
from vqe_fast.evaluation.comparable import (
    YUV,
    PixelFormat,
    comparable,
    for_files,
    is_colour,
)
from vqe_fast.evaluation.setting import Setting
from vqe_fast.video.frames.color import ColorFacts


@dataclass(frozen=True)
class Media:
    """Frames on disk: a video file, a raw one, or a folder with an image for each frame.

    Attributes:
        path: where they are.
        bytes: of the file, or of all images.
        sha256: of the content.
        raw: size and format of a raw file; None to read them from its name.
    """

    path: Path
    bytes: int
    sha256: str
    raw: RawFormat | None = field(default=None, kw_only=True)

    def frames(self, count: int | None = None) -> Iterator[VideoFrame]:
        """The frames, as their decoder gives them, ``count`` at most."""
        return stored_frames(self.path, count, raw=self.raw)

    def first_frame(self) -> VideoFrame:
        """The first of them, and the file is closed again."""
        return first_frame(self.path, raw=self.raw)

    def is_there(self) -> bool:
        """Whether this machine sees them, with their size."""
        return self.path.exists() and bytes_of(self.path) == self.bytes


@dataclass(frozen=True)
class Stream(Media):
    """Compressed frames on disk, and what is known of their coding.

    Attributes:
        types: I, P, B or ? for each frame that is compared, in display order.
        qp: of each of them; None where nothing tells.
        sizes: bytes of each of them; empty if unknown.
        is_whole: whether they are all that there are.
    """

    types: str
    qp: Sequence[float | None]
    sizes: Sequence[int]
    is_whole: bool = True


@dataclass(frozen=True)
class Case:
    """An evaluation case: a clip that was compressed in one way.

    Attributes:
        clip: its name.
        setting: how it was compressed.
        original: the pristine frames.
        stream: the compressed ones.
        frames: how many pristine frames to read.
        first: number of the pristine frame that the first compressed one stands for.
        step: how many pristine frames a compressed one stands for.
        size: width and height of both.
        rate: pristine frames per second.
        color: matrix and range of all versions, Y'CbCr.
        pixel_format: in which frames are compared, see :mod:`vqe_fast.evaluation.comparable`.
    """

    clip: str
    setting: Setting
    original: Media
    stream: Stream
    frames: int
    first: int
    step: int
    size: tuple[int, int]
    rate: Fraction
    color: ColorFacts
    pixel_format: PixelFormat = YUV

    @property
    def path(self) -> Path:
        """The compressed file, or folder of images."""
        return self.stream.path

    @property
    def count(self) -> int:
        """Number of frames of the compressed version that are compared."""
        return len(self.stream.types)

    @property
    def bitrate(self) -> float | None:
        """Bit rate of the compressed version, kbit/s; None if its frames' sizes are unknown."""
        if not self.stream.sizes:
            return None
        seconds = self.count * self.step / self.rate
        return float(sum(self.stream.sizes) * 8 / seconds / 1000)

    def compressed(self) -> Iterator[VideoFrame]:
        """The frames of the compressed version, as its decoder gives them."""
        return self.stream.frames(None if self.stream.is_whole else self.count)

    def originals(self) -> Iterator[VideoFrame]:
        """The pristine frame for each frame of the compressed version, as they are compared."""
        pristine = self.original.frames(self.frames)
        matching = islice(pristine, self.first, None, self.step)
        compare = partial(comparable, pixel_format=self.pixel_format, color=self.color)
        return map(compare, islice(matching, self.count))

    def is_video_file(self) -> bool:
        """Whether the compressed version is a file of Y'CbCr that players and models take."""
        if self.path.is_dir() or self.path.suffix.lower() == RAW_SUFFIX:
            return False
        return not is_colour(self.stream.first_frame())

    @contextmanager
    def video_file(self, *, cut: bool) -> Iterator[Path]:
        """Context manager of a video file of the compressed version.

        That is the stream itself where it is one. Raw frames, images and RGB are copied into a
        temporary file without loss.

        Args:
            cut: whether it must hold the compared frames only: else it may hold more behind them.
        """
        if self.is_video_file() and (self.stream.is_whole or not cut):
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="vqe-fast-") as folder:
            copy = Path(folder) / "stream.mkv"
            encode(map(for_files, self.compressed()), None, self.rate / self.step, copy)
            yield copy


def prepared_cases(prepared: Prepared) -> list[Case]:
    """A case for each clip and each of its degradations."""
    folder = prepared.folder
    return [
        Case(
            clip=clip.name,
            setting=Setting.of(stream.degradation),
            original=Media(
                (folder / clip.pristine.path).resolve(), clip.pristine.bytes, clip.pristine.sha256
            ),
            stream=Stream(
                (folder / stream.file.path).resolve(),
                stream.file.bytes,
                stream.file.sha256,
                stream.types,
                stream.qp,
                stream.sizes,
            ),
            frames=clip.frames,
            first=stream.first,
            step=stream.step,
            size=(clip.width, clip.height),
            rate=Fraction(clip.rate),
            color=clip.color,
        )
        for clip in prepared.index.clips
        for stream in clip.streams.values()
    ]


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of the images in a folder."""
    files = image_paths(path) if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
