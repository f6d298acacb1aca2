"""What a finished enhancement tells its caller."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vqe_fast.video.qp.track import QPSource


@dataclass(frozen=True)
class EnhanceReport:
    """How an enhancement went.

    Attributes:
        source: the file read.
        target: the file written.
        frames_in: frames decoded and enhanced.
        frames_out: frames encoded; equal to ``frames_in``.
        frames_damaged: of these, frames that decoded with errors.
        damaged_packets: packets of the source's video stream that did not decode, and packets of
            other streams that could not be copied.
        not_kept: what frames of the source carry beside their samples and the output does not, in
            words, such as ``closed captions``.
        width: samples per row of luma.
        height: rows of luma.
        seconds: wall-clock time from call to finished file.
        segments: how many the video was cut into; None if it was enhanced in one pass.
        resumed: segments that an interrupted run had finished.
        frames_resumed: of the frames, those of these segments.
        model: the registered name, or the class of the module that was passed.
        precision: dtype of the model's weights: ``fp32``, ``bf16`` or ``fp16``.
        device: where the model ran.
        codec: the encoder.
        pixel_format: FFmpeg's name of that of the frames enhanced and encoded.
        crf: its constant rate factor; None for a lossless encoder.
        preset: its preset; None for the encoder's own choice.
        qp_sources: where QPs came from (``given``, ``stream``, ``estimate``) → of how many frames;
            empty for a model that takes none. Duplicates have none of their own.
        duplicated: frames that repeat the one before and got its result.
        scene_cuts: how many there were; None for a model that sees one frame at a time.
        tile: side in pixels of the tiles that frames were cut into, at the end; None for none.
        tiles_exact: whether tiles gave what whole frames would have given, as they do unless the
            model is recurrent or sees the whole frame; true without tiles.
        clip_frames: frames that a recurrent model saw together, at the end; None for another.
        timings: seconds of work of each stage, which run at the same time: ``decode`` (with what
            is looked at before the model), ``model``, ``encode``; and ``waiting``, those that the
            model waited for the other two. Those of several workers add up.
        peak_memory: bytes taken at most: of the GPU by tensors, or on a CPU by the process since
            its start; of several workers, by the one that took most.
    """

    source: str
    target: str
    frames_in: int
    frames_out: int
    frames_damaged: int
    damaged_packets: int
    not_kept: tuple[str, ...]
    width: int
    height: int
    seconds: float
    segments: int | None
    resumed: int
    frames_resumed: int
    model: str
    precision: str
    device: str
    codec: str
    pixel_format: str
    crf: int | None
    preset: str | None
    qp_sources: dict[QPSource, int]
    duplicated: int
    scene_cuts: int | None
    tile: int | None
    tiles_exact: bool
    clip_frames: int | None
    timings: dict[str, float]
    peak_memory: int

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
        return asdict(self) | {"fps": self.fps}
