"""The whole way from a file to a better file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from torch import nn

from vqe_fast.models.inference import Precision
from vqe_fast.models.quality import DEFAULT_MODEL
from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.load import model_name
from vqe_fast.video.inference.memory import parse_bytes, peak_memory, reset_peak
from vqe_fast.video.inference.memory_plan import ResourceLimits
from vqe_fast.video.interlacing import Interlaced
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.side_data import not_kept
from vqe_fast.video.media.trim import first_frames
from vqe_fast.video.media.writer import VideoWriter
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.bundle import in_bundles
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.report import EnhanceReport, Outcome
from vqe_fast.video.segments.resume_state import is_complete
from vqe_fast.video.segments.scheduler import (
    Division,
    SegmentedOutcome,
    enhance_segmented,
    refuse_leftovers,
)
from vqe_fast.video.session import EnhanceSession, Job

__all__ = ["EnhanceReport", "enhance_video"]

Progress = Callable[[int, int | None], None]


def enhance_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: str | nn.Module = DEFAULT_MODEL,
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    codec: str = "libx264",
    crf: int | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    interlaced: Interlaced = "refuse",
    frames: int | None = None,
    qp: float | None = None,
    tile: int | None = None,
    max_memory: int | str | None = None,
    clip_frames: int | None = None,
    overwrite: bool = False,
    segment_seconds: float | None = None,
    workers: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
) -> EnhanceReport:
    """Enhances every frame of a video file; everything else is kept as it is.

    Timestamps, size, colour tags, all other streams, chapters and metadata are the source's, and
    under a model that works on luma the chroma samples too. The target appears under its name only
    when it is complete. Memory does not depend on the length of the video.

    Models that look at neighbouring frames see those of the same scene. A frame that repeats the
    one before, sample for sample, gets its result. A frame for which memory does not suffice is
    enhanced again in smaller tiles.

    Args:
        source: the file to read.
        target: the file to write; its suffix chooses the container (mp4, mov, mkv, webm).
        model: a registered name, or a module with a ``spec``. On a CPU one that sees a single frame
            runs in several threads, in copies that share its parameters.
        weights: ``.safetensors`` file for ``model``. Without one, a registered name gets the
            weights that ship with the package, and a module keeps its own.
        device: ``"auto"`` (the first GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``…
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        codec: ``libx264``, ``libx265``, ``libsvtav1``, ``libvpx-vp9``, ``ffv1`` (lossless), or
            ``source`` for the one that writes the source's codec.
        crf: constant rate factor of the encoder, smaller is better, 0 is lossless; None for its
            default here: 18, 20, 25 and 24.
        preset: the encoder's preset; None for its own choice.
        pix_fmt: FFmpeg's name of the pixel format to convert to before enhancement, such as
            ``yuv420p10le``; None for the source's own: 8 to 16 bits, 4:2:0, 4:2:2, 4:4:4 or grey.
        interlaced: ``"refuse"``, or ``"fields"`` to enhance the two fields of a frame as pictures
            of half the height, whose neighbours are fields of the same rows, and to write
            interlaced video again.
        frames: stop after so many frames, all streams at the same time and without chapters.
        qp: of all frames, for a model that takes QPs; None for that of each frame in its stream.
        tile: side in pixels of the tiles that frames are cut into, at least 32; None for whole
            frames as long as memory allows. Tiles change nothing, unless the model is recurrent or
            sees the whole frame: such a model gets tiles only if asked for, or after memory has
            run out.
        max_memory: what the model may take on its device beside its weights, in bytes or as
            ``"2GiB"``; None for what is free.
        clip_frames: frames that a recurrent model sees together, at least 13, six of them shared
            with each neighbour; None for up to 48 as memory allows.
        overwrite: replace a target that exists.
        segment_seconds: enhance the video in segments of about that length, and join them. Each
            sees as much of its neighbours as the model needs: the frames are what one pass gives,
            under a recurrent model within what a seam between its clips changes. Finished segments
            are kept in the folder TARGET.parts until the target is complete.
        workers: processes that enhance segments at once, each on a GPU of its own, or on a CPU
            with its share of the cores; segments last 30 seconds unless ``segment_seconds`` says
            otherwise.
        resume: go on with what an interrupted run has left in TARGET.parts, if there is such a
            folder; source and options have to be the same. Without it such a folder is refused.
        progress: called in the calling thread after each frame with the number of frames enhanced
            and an estimate of how many there are, or None.

    Returns:
        What was done.

    Raises:
        VideoError: source, target or options do not allow it; the text says what to do.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    start = time.perf_counter()
    source, target = Path(source), Path(target)
    is_there = resume and is_complete(target)
    _check_paths(source, target, overwrite or is_there)
    refuse_leftovers(target, resume)
    if frames is not None and frames < 1:
        raise VideoError(f"the number of frames must be at least 1, got {frames}")
    division = None
    if segment_seconds is not None or workers != 1 or resume:
        division = Division(segment_seconds, workers, resume)
        if frames is not None:
            raise VideoError(
                "a number of frames is for one pass; leave out segments, workers and resume"
            )
    limits = ResourceLimits(
        tile, None if max_memory is None else parse_bytes(max_memory), clip_frames
    )
    session = EnhanceSession(
        Job(
            source=source,
            target=target.resolve(),
            model=model,
            weights=None if weights is None else Path(weights),
            device=device,
            precision=precision,
            codec=codec,
            crf=crf,
            preset=preset,
            pix_fmt=pix_fmt,
            interlaced=interlaced,
            qp=qp,
            limits=limits,
        )
    )
    with session.open() as video:
        facts, settings = video.facts, session.settings(video)
        if division is None:
            outcome = _enhance_in_one_pass(session, video, frames, progress)
            result = SegmentedOutcome(outcome, None, 0, 0)
        else:
            result = enhance_segmented(session, division, progress or _no_progress)
    return EnhanceReport(
        **vars(result.outcome),
        source=str(source),
        target=str(target),
        width=facts.width,
        height=facts.height,
        seconds=time.perf_counter() - start,
        segments=result.segments,
        resumed=result.resumed,
        frames_resumed=result.frames_resumed,
        model=model_name(model),
        device=str(session.device),
        codec=settings.codec,
        pixel_format=facts.pixel_format,
        crf=settings.crf,
        preset=settings.preset,
    )


def _enhance_in_one_pass(
    session: EnhanceSession, video: VideoReader, limit: int | None, progress: Progress | None
) -> Outcome:
    session.view(video)  # refuses what no temporary file need be made for
    settings = session.settings(video)
    with (
        VideoWriter(session.job.target, video, settings, with_chapters=limit is None) as writer,
        session.qp_provider() as qps,
    ):
        reset_peak(session.device)
        enhancer = session.enhancer(video)
        analyzer = FrameAnalyzer(planes=enhancer.view.planes, temporal=enhancer.is_temporal)
        tell_qps = session.telling_qps(qps, video)
        facts = video.facts
        items = video.items()
        if limit is not None:
            audio = [stream.index for stream in video.container.streams.audio]
            items = first_frames(items, limit, audio)
        total = min((n for n in (facts.frame_count, limit) if n is not None), default=None)
        report = progress or _no_progress
        done, timings = run(
            tell_qps(analyzer(in_bundles(items))),
            enhancer,
            writer,
            lambda done: report(done, total),
        )
        writer.commit()
        return Outcome(
            frames_in=done,
            frames_out=writer.frames_encoded,
            frames_damaged=video.damaged_frames,
            damaged_packets=video.damaged_packets + writer.damaged_packets,
            not_kept=not_kept(video.extras, settings.codec),
            precision=enhancer.precision,
            qp_sources={} if qps is None else dict(qps.sources),
            applied=dict(enhancer.applied),
            duplicated=analyzer.repeats,
            scene_cuts=analyzer.scene_cuts,
            tile=enhancer.tile,
            tiles_exact=enhancer.is_exact,
            clip_frames=enhancer.clip_frames,
            timings=timings,
            peak_memory=peak_memory(session.device),
        )


def _no_progress(done: int, total: int | None) -> None:
    """What is called where nobody wants to know."""


def _check_paths(source: Path, target: Path, overwrite: bool) -> None:
    if os.path.isdir(target):
        raise VideoError(f"{target} is a directory; give the name of the file to write")
    if not os.path.isdir(os.path.dirname(os.path.realpath(target))):
        raise VideoError(f"there is no directory {target.parent}; create it first")
    try:
        os.stat(target)
    except FileNotFoundError:
        return
    except OSError as error:
        raise VideoError(f"{target} cannot be written: {error.strerror}") from error
    if os.path.exists(source) and os.path.samefile(source, target):
        raise VideoError(f"{target} is the source itself; give another name to write to")
    if not os.path.isfile(target):
        raise VideoError(f"{target} is not a file but a device or a pipe; give the name of a file")
    if not overwrite:
        raise VideoError(f"{target} exists already; give another name, or ask to overwrite it")
