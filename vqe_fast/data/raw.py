"""Raw planar YUV files, as test sequences come: without a header, so the size must be known."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RAW_SUFFIX = ".yuv"

_SIZE = re.compile(r"(?<![0-9])(\d{2,5})x(\d{2,5})(?![0-9])")
_FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")


@dataclass(frozen=True)
class RawFormat:
    """Size, pixel format and frame rate of a raw file.

    Attributes:
        size: width and height in pixels.
        pix_fmt: FFmpeg's name of a planar format of 8 or 10 bits.
        rate: frames per second.

    Raises:
        ValueError: a size or rate that is not positive, or another format.
    """

    size: tuple[int, int]
    pix_fmt: str = "yuv420p"
    rate: Fraction = Fraction(25)

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.rate <= 0:
            raise ValueError(f"size and rate must be positive, got {self.size} and {self.rate}")
        if self.pix_fmt not in _FORMATS:
            raise ValueError(f"pix_fmt must be one of {', '.join(_FORMATS)}, got {self.pix_fmt!r}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return sum(rows * columns for rows, columns in self.planes)

    @property
    def planes(self) -> list[tuple[int, int]]:
        """Rows, and bytes in a row, of each plane."""
        frame = av.VideoFrame(*self.size, self.pix_fmt)
        sample = 2 if self.pix_fmt.endswith("10le") else 1
        return [(plane.height, plane.width * sample) for plane in frame.planes]


def raw_format_of(path: Path) -> RawFormat:
    """The format in a file's name, such as ``BasketballPass_416x240_50.yuv``.

    The size must be there. ``10bit`` makes it 10 bits of 4:2:0. The number after the size is the
    rate in some collections and the number of frames in others, so it is not read.

    Raises:
        ValueError: there is no size in the name.
    """
    found = _SIZE.findall(path.stem)
    if not found:
        raise ValueError(
            f"the name of {path} does not tell its size as in name_416x240.yuv: give the size"
        )
    width, height = found[-1]
    depth = "10le" if re.search(r"10[_-]?bit", path.stem, re.IGNORECASE) else ""
    return RawFormat((int(width), int(height)), f"yuv420p{depth}")


def tells_size(path: Path) -> bool:
    """Whether a file's name tells the size of its frames."""
    return _SIZE.search(path.stem) is not None


def raw_format_like(path: Path, frame: av.VideoFrame) -> RawFormat:
    """The format of a raw file whose frames are of the size of ``frame``.

    Its samples are of the same format too, if that makes whole frames; else 8 bits of 4:2:0.

    Raises:
        ValueError: ``frame`` has no size that a raw file can have.
    """
    size = frame.width, frame.height
    plain = RawFormat(size)
    if frame.format.name not in _FORMATS:
        return plain
    same = RawFormat(size, frame.format.name)
    return same if path.stat().st_size % same.frame_bytes == 0 else plain


def count_raw(path: Path, raw: RawFormat) -> int:
    """Number of frames in a raw file.

    Raises:
        ValueError: not a whole number of them.
    """
    size = path.stat().st_size
    count, rest = divmod(size, raw.frame_bytes)
    if rest or not count:
        raise ValueError(
            f"{path} holds {size / raw.frame_bytes:.2f} frames of {raw.size[0]}x{raw.size[1]} "
            f"{raw.pix_fmt}: give its size and format"
        )
    return count


def read_raw(path: Path, raw: RawFormat) -> Generator[av.VideoFrame, None, None]:
    """Reads the frames of a raw file.

    Raises:
        ValueError: as :func:`count_raw`.
    """
    count = count_raw(path, raw)
    planes = raw.planes
    with path.open("rb") as file:
        for _ in range(count):
            frame = av.VideoFrame(*raw.size, raw.pix_fmt)
            for plane, (rows, columns) in zip(frame.planes, planes, strict=True):
                samples = np.frombuffer(file.read(rows * columns), np.uint8).reshape(rows, columns)
                target = np.frombuffer(memoryview(plane), np.uint8).reshape(rows, -1)
                target[:, :columns] = samples
            yield frame
