"""The whole way from a file to a better file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from av.video.frame import VideoFrame
from torch import nn

from vqe_fast.models import spec_of
from vqe_fast.models.inference import Precision
from vqe_fast.video.cut import first_frames
from vqe_fast.video.encoder import EncoderSettings
from vqe_fast.video.enhancer import LumaEnhancer, find_model, model_name, pick_device
from vqe_fast.video.errors import VideoError
from vqe_fast.video.pipeline import run_pipeline
from vqe_fast.video.qp.estimate import find_estimator
from vqe_fast.video.qp.track import QPTrack
from vqe_fast.video.report import EnhanceReport
from vqe_fast.video.sink import VideoSink
from vqe_fast.video.source import Item, VideoSource

__all__ = ["EnhanceReport", "enhance_video"]

Progress = Callable[[int, int | None], None]

_MAX_PACKETS = 64
"""Packets that may travel together: the file may have long stretches without frames."""


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
    frames: int | None = None,
    qp: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EnhanceReport:
    """Enhances the luma of every frame of a video file; everything else is kept as it is.

    Chroma samples, timestamps, size, colour tags, all other streams, chapters and metadata are
    the source's. The target appears under its name only when it is complete. Memory does not
    depend on the length of the video.

    Args:
        source: the file to read.
        target: the file to write; its suffix chooses the container (mp4, mov, mkv, webm).
        model: a registered name, or a module with a ``spec``.
        weights: ``.safetensors`` file for ``model``. Without one, a registered name gets the
            weights that ship with the package, and a module keeps its own.
        device: ``"auto"`` (the first GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``…
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        codec: ``libx264``, ``libx265``, ``libsvtav1`` or ``ffv1`` (lossless).
        crf: constant rate factor of the encoder, smaller is better; None for its default here:
            18, 20 and 25.
        preset: the encoder's preset; None for its own choice.
        frames: stop after so many frames, all streams at the same time and without chapters.
        qp: of all frames, for a model that takes QPs; None for that of each frame in its stream.
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
    settings = EncoderSettings.choose(codec, crf, preset)
    place = pick_device(device)
    network = find_model(model, None if weights is None else Path(weights))
    with (
        VideoSource(source, threads=_decoder_threads(place)) as video,
        VideoSink(target.resolve(), video, settings, with_chapters=frames is None) as sink,
    ):
        qps = _qp_track(network, source, qp, place)
        enhancer = LumaEnhancer(
            network, device=place, precision=precision, probe=video.first_frame, qps=qps
        )
        done = _run(video, sink, enhancer, frames, progress)
        sink.commit()
        return EnhanceReport(
            source=str(source),
            target=str(target),
            frames_in=done,
            frames_out=sink.frames_encoded,
            damaged_packets=video.damaged_packets,
            width=video.facts.width,
            height=video.facts.height,
            seconds=time.perf_counter() - start,
            model=model_name(model),
            precision=enhancer.precision,
            device=str(place),
            codec=settings.codec,
            crf=settings.crf,
            preset=settings.preset,
            qp_sources={} if qps is None else dict(qps.sources),
        )


def _qp_track(
    model: nn.Module, source: Path, given: float | None, device: torch.device
) -> QPTrack | None:
    if spec_of(model).takes_qp:
        return QPTrack(source, given, find_estimator(device))
    if given is not None:
        raise VideoError("a QP was given, but the model takes none; leave it out")
    return None


def _run(
    video: VideoSource,
    sink: VideoSink,
    enhance: Callable[[VideoFrame], None],
    limit: int | None,
    progress: Progress | None,
) -> int:
    """Runs the three stages; returns the number of frames enhanced."""
    items = video.items()
    if limit is not None:
        audio = [stream.index for stream in video.container.streams.audio]
        items = first_frames(items, limit, audio)
    total = min((n for n in (video.facts.frame_count, limit) if n is not None), default=None)
    done = 0

    def work(step: list[Item]) -> list[Item]:
        nonlocal done
        if isinstance(step[-1], VideoFrame):
            enhance(step[-1])
            done += 1
            if progress is not None:
                progress(done, total)
        return step

    def write(steps: Iterable[list[Item]]) -> None:
        for step in steps:
            for item in step:
                sink.write(item)
        sink.finish()

    run_pipeline(_in_steps(items), work, write)
    return done


def _in_steps(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Groups items so that a queue of steps is a queue of frames: packets travel with the next."""
    step: list[Item] = []
    for item in items:
        step.append(item)
        if isinstance(item, VideoFrame) or len(step) == _MAX_PACKETS:
            yield step
            step = []
    if step:
        yield step


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
    if not overwrite:
        raise VideoError(f"{target} exists already; give another name, or ask to overwrite it")


def _decoder_threads(device: torch.device) -> int:
    """One on a CPU: the model needs the cores, and decoding takes a thousandth of its time."""
    return 1 if device.type == "cpu" else 0
