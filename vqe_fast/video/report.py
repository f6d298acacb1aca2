"""The report of an enhancement: of a whole video, or of one of its segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import av
import torch

from vqe_fast._version import __version__
from vqe_fast.video.inference.strength import Applied
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.qp.provider import QPProvider, QPSource


@dataclass(frozen=True)
class Outcome:
    """Counts, timings and settings of an enhancement; those of segments can be summed.

    Attributes:
        frames_in: frames decoded and enhanced.
        frames_out: frames encoded; equal to ``frames_in``.
        frames_damaged: of these, frames that decoded with errors.
        frames_scaled: of these, frames that had another size or pixel format than the first one,
            and were scaled.
        damaged_packets: packets of the source's video stream that did not decode, and packets of
            other streams that could not be copied.
        not_kept: what the source has beside the samples of its frames and the output does not, in
            words, such as ``closed captions`` or ``stream 2 (data, mebx)``.
        precision: dtype of the model's weights: ``fp32``, ``bf16``, ``fp16``, or ``mixed`` where
            a module brings several.
        qp_sources: where QPs came from (``given``, ``stream``, ``estimate``) → of how many frames;
            empty for a model that takes none. Duplicates have none of their own.
        applied: ``whole``, ``part`` or ``none`` of the model's correction → to how many frames it
            was applied: weights that ship do without where they would do harm. Duplicates do not
            count.
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

    frames_in: int
    frames_out: int
    frames_damaged: int
    frames_scaled: int
    damaged_packets: int
    not_kept: tuple[str, ...]
    precision: str
    qp_sources: dict[QPSource, int]
    applied: dict[Applied, int]
    duplicated: int
    scene_cuts: int | None
    tile: int | None
    tiles_exact: bool
    clip_frames: int | None
    timings: dict[str, float]
    peak_memory: int

    @classmethod
    def of(
        cls,
        enhancer: Enhancer,
        qps: QPProvider | None,
        timings: dict[str, float],
        peak_memory: int,
        **counted: Any,
    ) -> Outcome:
        """The outcome after the last frame is written.

        Args:
            enhancer: after that frame.
            qps: where QPs came from; None for a model that takes none.
            timings: see above, as the next one.
            peak_memory: see above.
            counted: the attributes that neither enhancer nor QPs know.
        """
        return cls(
            precision=enhancer.precision,
            qp_sources={} if qps is None else dict(qps.sources),
            applied=dict(enhancer.applied),
            tile=enhancer.tile,
            tiles_exact=enhancer.is_exact,
            clip_frames=enhancer.clip_frames,
            timings=timings,
            peak_memory=peak_memory,
            **counted,
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Particulars:
    """What an enhancement is of, and how it is done, as far as that is known before it begins.

    Attributes:
        width: samples per row of luma.
        height: rows of luma.
        model: the registered name, or the class of the module that was passed.
        device: where the model runs.
        codec: the encoder.
        pixel_format: FFmpeg's name of that of the frames enhanced and encoded.
        crf: its constant rate factor; None for an encoder without.
        preset: its preset or profile; None for the encoder's own choice.
        options: all options as they were asked for, see :mod:`vqe_fast.video.options`.
        source_bytes: size of the file read.
        weights: SHA-256 of the model's weights, of which the output's tag has the first digits;
            None for a model that has none.
        versions: of this package, PyTorch, PyAV, and FFmpeg's libraries.
        enhanced_before: the tag of a source that was enhanced already, or None.
    """

    width: int
    height: int
    model: str
    device: str
    codec: str
    pixel_format: str
    crf: float | None
    preset: str | None
    options: dict[str, Any]
    source_bytes: int
    weights: str | None
    versions: dict[str, str]
    enhanced_before: str | None


@dataclass(frozen=True, kw_only=True)
class EnhanceReport(Outcome, Particulars):
    """Report of an enhancement: attributes of :class:`Outcome` and :class:`Particulars`, and these.

    ``crf`` is also one that was chosen for a size.

    Attributes:
        source: the file read.
        target: the file written.
        seconds: wall-clock time from call to finished file.
        time_restarts: how often the source's timestamps restarted or jumped, as where recordings
            were joined, and were continued.
        segments: how many the video was cut into; None if it was enhanced in one pass.
        resumed: segments that an interrupted run had finished.
        frames_resumed: of the frames, those of these segments.
        target_bytes: size of the file written.
    """

    source: str
    target: str
    seconds: float
    time_restarts: int
    segments: int | None
    resumed: int
    frames_resumed: int
    target_bytes: int

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


def versions() -> dict[str, str]:
    """The versions of what makes an output: this package, PyTorch, PyAV, FFmpeg's libraries."""
    libraries = {
        name: ".".join(map(str, numbers)) for name, numbers in sorted(av.library_versions.items())
    }
    return {"vqe_fast": __version__, "torch": torch.__version__, "av": av.__version__} | libraries


def read_outcome(fields: Mapping[str, Any]) -> Outcome:
    """The outcome from what :meth:`Outcome.to_dict` made, or JSON of it."""
    return Outcome(**{**fields, "not_kept": tuple(fields["not_kept"])})


def total(outcomes: Sequence[Outcome]) -> Outcome:
    """The sum of the outcomes of all segments, at least one."""
    cuts = [each.scene_cuts for each in outcomes if each.scene_cuts is not None]
    return Outcome(
        frames_in=sum(each.frames_in for each in outcomes),
        frames_out=sum(each.frames_out for each in outcomes),
        frames_damaged=sum(each.frames_damaged for each in outcomes),
        frames_scaled=sum(each.frames_scaled for each in outcomes),
        damaged_packets=sum(each.damaged_packets for each in outcomes),
        not_kept=tuple(sorted({name for each in outcomes for name in each.not_kept})),
        precision=outcomes[0].precision,
        qp_sources=_sum(each.qp_sources for each in outcomes),
        applied=_sum(each.applied for each in outcomes),
        duplicated=sum(each.duplicated for each in outcomes),
        scene_cuts=sum(cuts) if cuts else None,
        tile=min((each.tile for each in outcomes if each.tile is not None), default=None),
        tiles_exact=all(each.tiles_exact for each in outcomes),
        clip_frames=min(
            (each.clip_frames for each in outcomes if each.clip_frames is not None), default=None
        ),
        timings=_sum(each.timings for each in outcomes),
        peak_memory=max(each.peak_memory for each in outcomes),
    )


def _sum(amounts: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    sums: Counter[Any] = Counter()
    for each in amounts:
        sums.update(each)
    return dict(sums)
