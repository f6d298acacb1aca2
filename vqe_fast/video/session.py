"""What is to be done to a video, and all that is made ready for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from av.video.frame import VideoFrame
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.models.coding import codec_code
from vqe_fast.models.inference import Precision
from vqe_fast.video.errors import VideoError
from vqe_fast.video.frames.model_input import View, view_for
from vqe_fast.video.frames.tensors import load_planes
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.load import find_model, pick_device
from vqe_fast.video.inference.memory_plan import ResourceLimits
from vqe_fast.video.inference.strength import Strengths
from vqe_fast.video.interlacing import Interlaced, refuse_interlaced_hevc, works_on_fields
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.qp.estimate import find_estimator
from vqe_fast.video.qp.provider import QPProvider
from vqe_fast.weights import shipped_strengths


@dataclass(frozen=True)
class Job:
    """What :func:`vqe_fast.video.enhance_video` is asked for, as far as it matters for frames.

    Attributes:
        source: the file to read.
        target: the file to write, no symbolic link.
        model: a registered name, or a module with a ``spec``.
        weights: a file for it.
        device: where to run.
        precision: of the model's weights.
        codec: the encoder.
        crf: its constant rate factor.
        preset: its preset.
        pix_fmt: pixel format to convert to.
        interlaced: what to do with interlaced video.
        qp: of all frames.
        limits: tiles, memory and clips.
        encoder_threads: how many the encoder may use; 0 for as many as it likes.
    """

    source: Path
    target: Path
    model: str | nn.Module
    weights: Path | None
    device: str
    precision: Precision
    codec: str
    crf: int | None
    preset: str | None
    pix_fmt: str | None
    interlaced: Interlaced
    qp: float | None
    limits: ResourceLimits
    encoder_threads: int = 0


class EnhanceSession:
    """A job made ready, but for the enhancer.

    Args:
        job: what is to be done.

    Attributes:
        job: the same.
        device: where the model is to run.
        network: the model, with its weights.
        strengths: how much of its correction is applied.

    Raises:
        VideoError: there is no such model or device.
        WeightsError: the weights are missing, unreadable, or another model's.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.device = pick_device(job.device)
        self.network = find_model(job.model, job.weights)
        ships = isinstance(job.model, str) and job.weights is None
        self.strengths = Strengths(shipped_strengths(str(job.model)) if ships else {})

    def adjusted(self, **changes: Any) -> EnhanceSession:
        """The same with other fields of the job, but for the model and the device."""
        other = copy.copy(self)
        other.job = replace(self.job, **changes)
        return other

    def open(self) -> VideoReader:
        """Opens the source, and lets it deliver frames as they are to be encoded.

        Raises:
            VideoError: source or options do not allow it.
        """
        video = VideoReader(self.job.source, threads=_decoder_threads(self.device))
        try:
            settings = self.settings(video)
            refuse_interlaced_hevc(video)
            works_on_fields(video, self.job.interlaced)
            video.convert(settings.pixel_format(video.facts.pixel_format, self.job.pix_fmt))
        except BaseException:
            video.container.close()
            raise
        return video

    def settings(self, video: VideoReader) -> EncoderSettings:
        """The encoder and its settings.

        Raises:
            VideoError: there is no such encoder, or it does not take them.
        """
        job = self.job
        chosen = EncoderSettings.choose(job.codec, job.crf, job.preset, video.facts.codec)
        return replace(chosen, threads=job.encoder_threads)

    def view(self, video: VideoReader) -> View:
        """What the model sees of the frames of ``video``, which :meth:`open` gave.

        Raises:
            VideoError: it takes colours, which do not part into fields.
        """
        return view_for(
            spec_of(self.network).planes,
            video.first_frame,
            chroma_location=video.facts.chroma_location,
            fields=works_on_fields(video, self.job.interlaced),
        )

    def enhancer(self, video: VideoReader) -> Enhancer:
        """Puts the model on its device.

        Args:
            video: as :meth:`open` gave it, before any frame was taken.

        Raises:
            VideoError: memory does not suffice, or a limit is out of range.
        """
        return Enhancer(
            self.network,
            device=self.device,
            precision=self.job.precision,
            view=self.view(video),
            probe=video.first_frame,
            limits=self.job.limits,
        )

    def make_enhancer(self) -> Enhancer:
        """As :meth:`enhancer`, for a source that is opened just for it."""
        with self.open() as video:
            return self.enhancer(video)

    @contextmanager
    def qp_provider(self) -> Iterator[QPProvider | None]:
        """The QPs that the model is to be told, or that its strengths depend on; None for neither.

        They are closed when the ``with`` block is left.

        Raises:
            VideoError: it is neither, but a QP was given, or that is out of range.
        """
        if spec_of(self.network).takes_qp or self.strengths.is_needed:
            track = QPProvider(self.job.source, self.job.qp, find_estimator(self.device))
            with closing(track):
                yield track
            return
        if self.job.qp is not None:
            raise VideoError("a QP was given, but the model takes none; leave it out")
        yield None

    def telling_qps(
        self, qps: QPProvider | None, video: VideoReader
    ) -> Callable[[Iterable[FrameBundle]], Iterable[FrameBundle]]:
        """A stage that fills in how the frames of bundles were coded.

        Args:
            qps: where they come from; None to leave the bundles as they are.
            video: as :meth:`open` gave it, before any frame was taken.
        """
        if qps is None:
            return lambda bundles: bundles
        fields = works_on_fields(video, self.job.interlaced)
        view = view_for("y", video.first_frame, fields=fields)
        codec = codec_code(video.facts.codec)

        def of(frame: VideoFrame, counts: bool) -> FrameCoding:
            def luma() -> Tensor:
                return view.values(load_planes(frame, 1, self.device))[:1]

            coding = qps.of(frame.pts, (frame.height, frame.width), luma, counts=counts)
            return replace(coding, codec=codec, strength=self.strengths.of(codec, coding.qp))

        def tell(bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
            for bundle in bundles:
                if bundle.frame is not None and not bundle.repeats:
                    bundle.coding = of(bundle.frame, bundle.is_kept)
                yield bundle

        return tell


def _decoder_threads(device: torch.device) -> int:
    """One on a CPU: the model needs the cores, and decoding takes a thousandth of its time."""
    return 1 if device.type == "cpu" else 0
