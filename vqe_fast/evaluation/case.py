"""Evaluation cases: a clip at a setting, compressed stream and original frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from av.video.frame import VideoFrame

from vqe_fast.data.clips import read_clip, stored_frames
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.index import ClipEntry, StreamEntry
from vqe_fast.video.frames.color import ColorFacts


@dataclass(frozen=True)
class Case:
    """An evaluation case: a clip that was degraded in one way.

    Attributes:
        clip: its entry in the index.
        setting: name of the degradation.
        folder: of the index.
    """

    clip: ClipEntry
    setting: str
    folder: Path

    @property
    def stream(self) -> StreamEntry:
        """The entry of the compressed version."""
        return self.clip.streams[self.setting]

    @property
    def degradation(self) -> Degradation:
        """The degradation of the compressed version."""
        return self.stream.degradation

    @property
    def path(self) -> Path:
        """The compressed file."""
        return (self.folder / self.stream.file.path).resolve()

    @property
    def color(self) -> ColorFacts:
        """Matrix and range of all versions."""
        return self.clip.color

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.clip.width, self.clip.height

    @property
    def count(self) -> int:
        """Number of frames of the compressed version."""
        return len(self.stream.sizes)

    @property
    def bitrate(self) -> float:
        """Bit rate of the compressed version, kbit/s."""
        seconds = self.count * self.stream.step / Fraction(self.clip.rate)
        return float(sum(self.stream.sizes) * 8 / seconds / 1000)

    def compressed(self) -> Iterator[VideoFrame]:
        """The frames of the compressed version, as its decoder gives them."""
        return stored_frames(self.path)

    def originals(self) -> Iterator[VideoFrame]:
        """The pristine frame for each frame of the compressed version, yuv420p."""
        pristine = iter(read_clip(self.folder / self.clip.pristine.path, self.clip.frames).frames)
        matching = islice(pristine, self.stream.first, None, self.stream.step)
        return islice(matching, self.count)
