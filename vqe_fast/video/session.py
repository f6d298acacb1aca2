"""``EnhanceSession``: options, network and device of an enhancement, and stages made of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from av.video.frame import VideoFrame
from torch import Tensor

from vqe_fast._version import __version__
from vqe_fast.models import spec_of
from vqe_fast.models.coding import codec_code
from vqe_fast.models.model_hash import weights_hash
from vqe_fast.storage.location import Location
from vqe_fast.video.errors import VideoError
from vqe_fast.video.frames.model_input import View, view_for
from vqe_fast.video.frames.tensors import load_planes
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.load import find_model, model_name, pick_device
from vqe_fast.video.inference.memory import parse_bytes
from vqe_fast.video.inference.strength import Strengths, Table, interpolated
from vqe_fast.video.inference.weights_owner import chosen_model
from vqe_fast.video.interlacing import field_coding, works_on_fields
from vqe_fast.video.look import FAITHFUL, Look
from vqe_fast.video.media.compatibility import fits, fitting_target
from vqe_fast.video.media.encoder_settings import SOURCE, EncoderSettings
from vqe_fast.video.media.enhanced_tag import PROGRAM, find_tag, with_fingerprint
from vqe_fast.video.media.reader import Item, VideoReader
from vqe_fast.video.options import EncodeOptions, ModelOptions, SegmentOptions, asked_for
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.bundle import FrameBundle, in_bundles
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.qp.estimate import find_estimator
from vqe_fast.video.qp.provider import QPProvider
from vqe_fast.video.report import Particulars, versions
from vqe_fast.weights import sharp_card, shipped_strengths

_SHOWN_DIGITS = 12  # of the weights' hash


class EnhanceSession:
    """Source, target, options, network and device of an enhancement; can be pickled for workers.

    Args:
        source: the file to read.
        target: the file to write.
        model: the model, and what it is given of the video at a time.
        encode: the encoder of the video.
        processes: how many run the model on the same device.
        encoder_threads: how many the encoder may use; 0 for as many as it likes.
        crf: rate factor chosen for a size; None for that of ``encode``.
        fingerprint: of the enhancement, for the output's tag; None to leave it out.

    Attributes:
        device: where the model is to run.
        model: options of the model, which name it even if they did not before, and the look in
            its shortest form.
        model_name: its registered name, or the class of the module.
        network: the model, with its weights.
        strengths: how much of its correction is applied.

    Raises:
        VideoError: there is no such model or device, or an option makes no sense.
        WeightsError: the weights are missing, unreadable, or another model's.
    """

    def __init__(
        self,
        source: Location,
        target: Location,
        model: ModelOptions,
        encode: EncodeOptions,
        processes: int = 1,
        encoder_threads: int = 0,
        crf: float | None = None,
        fingerprint: str | None = None,
    ) -> None:
        if model.max_memory is not None:
            parse_bytes(model.max_memory)  # refuses what is no amount before any work
        if not 0 <= model.sharpen < math.inf:
            raise VideoError(f"the amount of sharpening is a number from 0 on, got {model.sharpen}")
        if encode.codec != SOURCE:
            EncoderSettings.choose(encode, encode.codec)  # whatever the source is
        if encode.target_size not in (None, SOURCE):
            parse_bytes(encode.target_size, "a target size is source, or")
        self.source, self.target = source, target
        self.encode = encode
        self.processes, self.encoder_threads, self.crf = processes, encoder_threads, crf
        self.fingerprint = fingerprint
        self.device = pick_device(model.device)
        weights = None if model.weights is None else Path(model.weights)
        look = Look.parse(model.look)
        wanted = chosen_model(model.model, weights)
        self.model = replace(model, model=wanted, look=str(look))
        self.model_name = model_name(wanted)
        self.network = find_model(wanted, weights, model.model_options, look)
        ships = isinstance(wanted, str) and weights is None
        self.strengths = Strengths(_strengths(self.model_name, look) if ships else {})

    def __reduce__(self) -> tuple[type[EnhanceSession], tuple[Any, ...]]:
        """What another process makes the same of: the network is built anew from the options."""
        made_of = (self.source, self.target, self.model, self.encode)
        chosen = (self.processes, self.encoder_threads, self.crf, self.fingerprint)
        return EnhanceSession, (*made_of, *chosen)

    def adjusted(self, **changes: Any) -> EnhanceSession:
        """A copy with other model options, or other arguments but ``model`` and ``encode``.

        Network and device stay; a session with another device is for :mod:`pickle`.
        """
        other = copy.copy(self)
        own = ("source", "target", "processes", "encoder_threads", "crf", "fingerprint")
        for name in own:
            if name in changes:
                setattr(other, name, changes.pop(name))
        other.model = replace(self.model, **changes)
        return other

    @property
    def wanted_size(self) -> int | None:
        """Bytes that the target should have at most; None for what its rate factor takes."""
        size = self.encode.target_size
        if size is None:
            return None
        return self.source.stat().st_size if size == SOURCE else parse_bytes(size)

    def open(self, *, without_payload_of_video: bool = False) -> VideoReader:
        """Opens the source, with frames converted to the pixel format to encode.

        Args:
            without_payload_of_video: only packets are wanted, and none of what is in those of the
                video, see :class:`VideoReader`.

        Raises:
            VideoError: source or options do not allow it.
            StorageError: the source is remote, and cannot be read.
        """
        threads, hwaccel = _decoder_threads(self.device), self.model.hwaccel
        video = VideoReader(
            self.source,
            threads=threads,
            hwaccel=hwaccel,
            on_change=self.model.on_change,
            without_payload_of_video=without_payload_of_video,
        )
        try:
            settings = self.settings(video)
            coding = field_coding(video)
            if coding is not None:
                video.weave(coding)
            works_on_fields(video, self.model.interlaced)
            facts, suffix = video.facts, self.target.suffix.lower()
            pixel_format = settings.pixel_format(
                facts.pixel_format,
                self.encode.pix_fmt,
                lambda codec, name: fits(
                    suffix, replace(facts, pixel_format=name), EncoderSettings.usual(codec)
                ),
            )
            video.convert(pixel_format)
        except BaseException:
            video.container.close()
            raise
        return video

    def in_container(self) -> EnhanceSession:
        """The session with the target that is to be written: in another container if need be.

        Raises:
            VideoError: source or options do not allow it.
        """
        if self.encode.container == "given":
            return self
        if self.encode.container != "auto":
            raise VideoError(f"a container is given or auto, got {self.encode.container!r}")
        with self.open() as video:
            return self.adjusted(target=fitting_target(self.target, video, self.settings(video)))

    def settings(self, video: VideoReader) -> EncoderSettings:
        """The encoder's settings, checked.

        Raises:
            VideoError: there is no such encoder, or it does not take them.
        """
        chosen = EncoderSettings.choose(self.encode, video.facts.codec)
        crf = chosen.crf if self.crf is None else self.crf
        return replace(chosen, threads=self.encoder_threads, crf=crf)

    def tag(self, video: VideoReader, precision: str) -> str | None:
        """The tag that says by what and how the output was enhanced; None if it is not wanted.

        Args:
            video: as :meth:`open` gave it.
            precision: of the model's weights.
        """
        if not self.encode.tag:
            return None
        settings, weights = self.settings(video), weights_hash(self.network)
        model = f"model {self.model_name}"
        if (look := Look.parse(self.model.look)) != FAITHFUL:
            model += f", look {look}"
        if weights is not None:
            model += f" (weights {weights[:_SHOWN_DIGITS]})"
        if self.model.sharpen:
            model += f", sharpened by {self.model.sharpen:g}"
        encoder = settings.in_words(video.facts.pixel_format)
        text = f"{PROGRAM} {__version__}, {model}, {precision}, {encoder}"
        return text if self.fingerprint is None else with_fingerprint(text, self.fingerprint)

    def particulars(self, video: VideoReader, segments: SegmentOptions) -> Particulars:
        """What is enhanced, and how, for the report.

        Args:
            video: as :meth:`open` gave it.
            segments: the other options.
        """
        facts, settings = video.facts, self.settings(video)
        return Particulars(
            width=facts.width,
            height=facts.height,
            model=self.model_name,
            device=str(self.device),
            codec=settings.codec,
            pixel_format=facts.pixel_format,
            crf=settings.crf,
            preset=settings.preset_for(facts.pixel_format),
            options=asked_for(self.model, self.encode, segments),
            source_bytes=self.source.stat().st_size,
            weights=weights_hash(self.network),
            versions=versions(),
            enhanced_before=find_tag(video.container, video.video_stream),
        )

    def view(self, video: VideoReader) -> View:
        """The model's view of the frames of ``video``, which :meth:`open` gave.

        Raises:
            VideoError: it takes colours, which do not part into fields.
        """
        return view_for(
            spec_of(self.network).planes,
            video.first_frame,
            chroma_location=video.facts.chroma_location,
            fields=works_on_fields(video, self.model.interlaced),
        )

    def enhancer(self, video: VideoReader) -> Enhancer:
        """The enhancer: the model on its device, with its memory plan.

        Args:
            video: as :meth:`open` gave it, before any frame was taken.

        Raises:
            VideoError: memory does not suffice, or an option is out of range.
        """
        return Enhancer(
            self.network,
            device=self.device,
            view=self.view(video),
            probe=video.first_frame,
            options=self.model,
            processes=self.processes,
        )

    def make_enhancer(self) -> Enhancer:
        """The enhancer, as :meth:`enhancer`, for a source that is opened just for it."""
        with self.open() as video:
            return self.enhancer(video)

    @contextmanager
    def qp_provider(self) -> Iterator[QPProvider | None]:
        """Context manager of the provider of QPs; None if neither model nor strengths need them.

        They are closed when the ``with`` block is left.

        Raises:
            VideoError: it is neither, but a QP was given, or that is out of range.
        """
        if spec_of(self.network).takes_qp or self.strengths.is_needed:
            track = QPProvider(self.source, self.model.qp, find_estimator(self.device))
            with closing(track):
                yield track
            return
        if self.model.qp is not None:
            raise VideoError("a QP was given, but the model takes none; leave it out")
        yield None

    def bundles(
        self,
        items: Iterable[Item],
        video: VideoReader,
        analyzer: FrameAnalyzer,
        qps: QPProvider | None,
    ) -> Iterable[FrameBundle]:
        """The enhancer's input: bundles of packets and frames, analysed, with coding parameters.

        Args:
            items: of ``video``, all or the first of them.
            video: as :meth:`open` gave it, before any frame was taken.
            analyzer: for the model.
            qps: as :meth:`qp_provider` gave them.
        """
        return self.telling_qps(qps, video)(analyzer(in_bundles(items)))

    def telling_qps(
        self, qps: QPProvider | None, video: VideoReader
    ) -> Callable[[Iterable[FrameBundle]], Iterable[FrameBundle]]:
        """The stage of the pipeline that adds coding parameters to bundles.

        Args:
            qps: where they come from; None to leave the bundles as they are.
            video: as :meth:`open` gave it, before any frame was taken.
        """
        if qps is None:
            return lambda bundles: bundles
        fields = works_on_fields(video, self.model.interlaced)
        view = view_for("y", video.first_frame, fields=fields)
        codec, pictures = codec_code(video.facts.codec), video.pictures_a_frame

        def of(frame: VideoFrame, counts: bool) -> FrameCoding:
            def luma() -> Tensor:
                return view.values(load_planes(frame, 1, self.device))[:1]

            size = (frame.height, frame.width)
            coding = qps.of(frame.pts, size, luma, counts=counts, pictures=pictures)
            return replace(coding, codec=codec, strength=self.strengths.of(codec, coding.qp))

        def tell(bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
            for bundle in bundles:
                if bundle.frame is not None and not bundle.repeats:
                    bundle.coding = of(bundle.frame, bundle.is_kept)
                yield bundle

        return tell


def _strengths(name: str, look: Look) -> Table:
    """The table for a look of the registered model ``name`` with the weights that ship."""
    faithful = shipped_strengths(name)
    if look == FAITHFUL:
        return faithful
    return interpolated(faithful, shipped_strengths(sharp_card(name)), look.strength)


def _decoder_threads(device: torch.device) -> int:
    """One on a CPU: the model needs the cores, and decoding takes a thousandth of its time."""
    return 1 if device.type == "cpu" else 0
