"""Video under comparison: frames as they are shown, and coding facts of its stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from vqe_fast.data.color import rgb_of
from vqe_fast.video.frames.color import ColorFacts
from vqe_fast.video.frames.pixel_formats import bit_depth, has_luma_plane, planar_twin
from vqe_fast.video.frames.planes import depth_of, luma_view
from vqe_fast.video.frames.reformat import Converter
from vqe_fast.video.media.open import open_video, pick_stream, read_packets
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.qp import FrameQP, iterate_qp
from vqe_fast.video.qp.synced_reader import SyncedQPs

Pixels = npt.NDArray[np.uint8]
"""A picture: (H, W, 3), red, green and blue."""

_AnyArray = TypeVar("_AnyArray", bound=npt.NDArray[Any])

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Shown:
    """A decoded frame, with its number from 0, and seconds since the first one."""

    number: int
    seconds: float
    frame: VideoFrame


class Footage:
    """An open video file under comparison.

    Attributes:
        letter: ``A``, ``B`` or ``R``.
        path: the file.
        facts: what the stream says of itself.
        width: columns of its frames as they are shown, turned upright.
        height: rows of the same.
        begins: seconds at which its first frame is shown.
        full_range: whether its luma goes from 0 to 255 rather than from 16 to 235.
    """

    def __init__(self, letter: str, path: Path) -> None:
        """Opens ``path``.

        Raises:
            VideoError: missing, not a video, or nothing in it decodes.
        """
        self.letter, self.path, self.begins = letter, path, 0.0
        self._source = VideoReader(path, threads=0)
        first = self._source.first_frame
        self.facts = self._source.facts
        self.full_range = ColorFacts.of(first).full_range
        self._turns = round(first.rotation / 90) % 4
        sides = first.width, first.height
        self.width, self.height = sides[::-1] if self._turns % 2 else sides
        name = first.format.name
        twin = planar_twin(name) if not first.format.is_rgb else None
        self._luma_format = Converter(twin or "yuv444p")
        self._qps = SyncedQPs(iterate_qp(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._source.__exit__(kind, error, traceback)

    @property
    def is_damaged(self) -> bool:
        """Whether frames so far were lost, or decoded with errors."""
        return self._source.damaged_packets + self._source.damaged_frames > 0

    @property
    def name(self) -> str:
        """Name of the file to be shown: with a sign in the place of bytes that are not UTF-8."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def in_words(self) -> str:
        """Codec, size, pixel format and frame rate."""
        facts = self.facts
        return (
            f"{facts.codec}, {self.width}×{self.height} {facts.pixel_format}, "
            f"{float(facts.frame_rate):.6g} fps"
        )

    @property
    def remarks(self) -> list[str]:
        """Remarks on what 8-bit pictures do not show of it, in sentences."""
        said = []
        bits = bit_depth(self.facts.pixel_format)
        if bits > 8:
            said.append(f"{self.letter} has {bits} bits a sample; its pictures here have 8.")
        transfer = _HDR_TRANSFERS.get(self.facts.color.transfer)
        if transfer is not None:
            said.append(f"{self.letter} is HDR ({transfer}); it is shown without tone mapping.")
        if self.facts.scan != "progressive":
            said.append(f"{self.letter} is interlaced; both fields are shown at once.")
        if self.facts.sample_aspect_ratio not in (None, 1):
            ratio = self.facts.sample_aspect_ratio
            said.append(f"{self.letter} has pixels of the aspect {ratio}; here they are square.")
        return said

    def count_frames(self) -> int:
        """Number of packets with pictures in the file, without decoding them."""
        with open_video(self.path) as container:
            stream = pick_stream(container, self.path)
            packets = read_packets(container, self.path, stream)
            return sum(packet.size > 0 and not packet.is_discard for packet in packets)

    def shown(self) -> Iterator[Shown]:
        """Its frames in display order, once.

        Raises:
            VideoError: the file cannot be read on, or the picture changes its size or format.
        """
        frames = (item for item in self._source.items() if isinstance(item, VideoFrame))
        start = 0
        for number, frame in enumerate(frames):
            pts = frame.pts or 0
            if number == 0:
                start = pts
            seconds = self.begins + float((pts - start) * self.facts.time_base)
            yield Shown(number, seconds, frame)

    def pixels(self, shown: Shown) -> Pixels:
        """A frame as upright RGB, by the matrix and range of its stream."""
        frame = shown.frame
        return self._upright(np.moveaxis(rgb_of(frame, ColorFacts.of(frame)), 0, -1))

    def luma(self, shown: Shown, *, full_range: bool) -> Tensor:
        """The luma of a frame, upright, (1, 1, H, W) float32, in steps of 8 bits.

        Args:
            shown: the frame.
            full_range: the range to put it in; samples stay as they are where they have it.
        """
        frame = shown.frame
        if frame.format.is_rgb or not has_luma_plane(frame.format.name):
            frame = self._luma_format(frame)
        steps = luma_view(frame).astype(np.float32) / np.float32(1 << (depth_of(frame) - 8))
        is_full = ColorFacts.of(frame).full_range
        if is_full and not full_range:
            steps = 16 + steps * np.float32(219 / 255)
        elif full_range and not is_full:
            steps = (steps - 16) * np.float32(255 / 219)
        return torch.from_numpy(np.ascontiguousarray(self._upright(steps)))[None, None]

    def coding(self, shown: Shown) -> FrameQP | None:
        """Type, size and QP of a frame; to be asked in display order."""
        return self._qps.of(shown.frame.pts)

    def _upright(self, image: _AnyArray) -> _AnyArray:
        turned: _AnyArray = np.rot90(image, self._turns)
        return turned
