"""What a finished enhancement tells its caller."""

from __future__ import annotations

from dataclasses import dataclass

from vqe_fast.video.outcome import Outcome


@dataclass(frozen=True)
class EnhanceReport(Outcome):
    """How an enhancement went: the attributes of :class:`Outcome`, and these.

    Attributes:
        source: the file read.
        target: the file written.
        width: samples per row of luma.
        height: rows of luma.
        seconds: wall-clock time from call to finished file.
        segments: how many the video was cut into; None if it was enhanced in one pass.
        resumed: segments that an interrupted run had finished.
        frames_resumed: of the frames, those of these segments.
        model: the registered name, or the class of the module that was passed.
        device: where the model ran.
        codec: the encoder.
        pixel_format: FFmpeg's name of that of the frames enhanced and encoded.
        crf: its constant rate factor; None for a lossless encoder.
        preset: its preset; None for the encoder's own choice.
    """

    source: str
    target: str
    width: int
    height: int
    seconds: float
    segments: int | None
    resumed: int
    frames_resumed: int
    model: str
    device: str
    codec: str
    pixel_format: str
    crf: int | None
    preset: str | None

    @property
    def is_damaged(self) -> bool:
        """Whether parts of the source were damaged."""
        return self.frames_damaged > 0 or self.damaged_packets > 0

    @property
    def fps(self) -> float:
        """Frames enhanced per second of wall-clock time."""
        return (self.frames_out - self.frames_resumed) / self.seconds

    def to_dict(self) -> dict[str, object]:
        """All fields and ``fps``, ready for JSON."""
        names = {"source": self.source, "target": self.target}
        return names | super().to_dict() | {"fps": self.fps}
