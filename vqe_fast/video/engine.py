"""The whole way from a file to a better file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from av.video.frame import VideoFrame
from torch import nn

from vqe_fast.models import spec_of
from vqe_fast.models.inference import Precision
from vqe_fast.video.cut import first_frames
from vqe_fast.video.encoder import EncoderSettings
from vqe_fast.video.enhancer import Enhancer, ResultWriter
from vqe_fast.video.errors import VideoError
from vqe_fast.video.extras import not_kept
from vqe_fast.video.interlacing import Interlaced, works_on_fields
from vqe_fast.video.memory import parse_bytes, peak_memory, reset_peak
from vqe_fast.video.model import find_model, model_name, pick_device
from vqe_fast.video.pipeline import run_pipeline
from vqe_fast.video.plan import Wishes
from vqe_fast.video.planes import load_planes
from vqe_fast.video.qp.estimate import find_estimator
from vqe_fast.video.qp.track import QPTrack
from vqe_fast.video.report import EnhanceReport
from vqe_fast.video.sink import VideoSink
from vqe_fast.video.source import VideoSource
from vqe_fast.video.steps import Step, in_steps
from vqe_fast.video.timings import Timings
from vqe_fast.video.views import View, view_for
from vqe_fast.video.watch import Watch

__all__ = ["EnhanceReport", "enhance_video"]

Progress = Callable[[int, int | None], None]


def enhance_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: str | nn.Module = "carcnn_small",
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
        model: a registered name, or a module with a ``spec``.
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
    _check_paths(source, target, overwrite)
    if frames is not None and frames < 1:
        raise VideoError(f"the number of frames must be at least 1, got {frames}")
    wishes = Wishes(tile, None if max_memory is None else parse_bytes(max_memory), clip_frames)
    place = pick_device(device)
    network = find_model(model, None if weights is None else Path(weights))
    with ExitStack() as opened:
        video = opened.enter_context(VideoSource(source, threads=_decoder_threads(place)))
        settings = EncoderSettings.choose(codec, crf, preset, video.facts.codec)
        fields = works_on_fields(video, interlaced)
        video.convert(settings.pixel_format(video.facts.pixel_format, pix_fmt))
        view = view_for(
            spec_of(network).planes,
            video.first_frame,
            chroma_location=video.facts.chroma_location,
            fields=fields,
        )
        sink = opened.enter_context(
            VideoSink(target.resolve(), video, settings, with_chapters=frames is None)
        )
        qps = _qp_track(network, source, qp, place)
        reset_peak(place)
        enhancer = Enhancer(
            network,
            device=place,
            precision=precision,
            view=view,
            probe=video.first_frame,
            wishes=wishes,
        )
        watch = Watch(
            planes=view.planes,
            temporal=enhancer.is_temporal,
            qp=_reader_of(qps, view_for("y", video.first_frame, fields=fields), place),
        )
        done, timings = _run(video, sink, watch, enhancer, frames, progress)
        sink.commit()
        return EnhanceReport(
            source=str(source),
            target=str(target),
            frames_in=done,
            frames_out=sink.frames_encoded,
            frames_damaged=video.damaged_frames,
            damaged_packets=video.damaged_packets + sink.damaged_packets,
            not_kept=not_kept(video.extras, settings.codec),
            width=video.facts.width,
            height=video.facts.height,
            seconds=time.perf_counter() - start,
            model=model_name(model),
            precision=enhancer.precision,
            device=str(place),
            codec=settings.codec,
            pixel_format=video.facts.pixel_format,
            crf=settings.crf,
            preset=settings.preset,
            qp_sources={} if qps is None else dict(qps.sources),
            duplicated=watch.repeats,
            scene_cuts=watch.scene_cuts,
            tile=enhancer.tile,
            tiles_exact=enhancer.is_exact,
            clip_frames=enhancer.clip_frames,
            timings=timings,
            peak_memory=peak_memory(place),
        )


def _qp_track(
    model: nn.Module, source: Path, given: float | None, device: torch.device
) -> QPTrack | None:
    if spec_of(model).takes_qp:
        return QPTrack(source, given, find_estimator(device))
    if given is not None:
        raise VideoError("a QP was given, but the model takes none; leave it out")
    return None


def _reader_of(
    qps: QPTrack | None, luma: View, device: torch.device
) -> Callable[[VideoFrame], float] | None:
    if qps is None:
        return None
    return lambda frame: qps.of(frame.pts, luma.values(load_planes(frame, 1, device))[:1])


def _run(
    video: VideoSource,
    sink: VideoSink,
    watch: Watch,
    enhancer: Enhancer,
    limit: int | None,
    progress: Progress | None,
) -> tuple[int, dict[str, float]]:
    """Runs the three stages; returns the number of frames, and how long each stage worked."""
    items = video.items()
    if limit is not None:
        audio = [stream.index for stream in video.container.streams.audio]
        items = first_frames(items, limit, audio)
    total = min((n for n in (video.facts.frame_count, limit) if n is not None), default=None)
    timings, done = Timings(), 0

    def work(steps: Iterable[Step]) -> Iterator[Step]:
        nonlocal done
        enhanced = timings.making("enhance", enhancer(timings.making("starve", steps)))
        for step in timings.using("block", enhanced):
            if step.frame is not None:
                done += 1
                if progress is not None:
                    progress(done, total)
            yield step

    def write(steps: Iterable[Step]) -> None:
        put_result = ResultWriter(enhancer.view.planes)
        for step in timings.using("encode", steps):
            put_result(step)
            for item in step.items():
                sink.write(item)
        with timings.span("encode"):
            sink.finish()

    run_pipeline(timings.making("decode", watch(in_steps(items))), work, write)
    return done, timings.report()


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


def _decoder_threads(device: torch.device) -> int:
    """One on a CPU: the model needs the cores, and decoding takes a thousandth of its time."""
    return 1 if device.type == "cpu" else 0
