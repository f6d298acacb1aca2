"""The video encoder of the output, opened with size, rate, colours and tags of the source."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.frames.pixel_formats import has_alpha
from vqe_fast.video.frames.reformat import Converter
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.encoders import ENCODERS, SOFTWARE
from vqe_fast.video.media.ffv1_slices import covering_slices
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.showinfo import Scan
from vqe_fast.video.media.stream_info import VideoFacts
from vqe_fast.video.media.tags import ALPHA_MODE, stream_tags

_NEVER_REORDERED = 2
"""Frames of a stream that has no place for reordering: libx265 leaves their decoding timestamps
undefined, as it takes its delay from the frame after them."""

_FIELD_ORDERS: dict[Scan, int] = {"progressive": 1, "top first": 2, "bottom first": 3}


def add_video(
    output: OutputContainer, source: VideoReader, settings: EncoderSettings
) -> VideoStream:
    """Adds a stream to ``output`` for the frames of ``source`` and opens its encoder.

    Raises:
        VideoError: the encoder does not open for such frames.
    """
    stream = open_encoder(output, source.facts, settings)
    stream.set_display_matrix(source.facts.display_matrix)
    tags = stream_tags(source.video_stream)
    stream.metadata.update({k: v for k, v in tags.items() if k.lower() != ALPHA_MODE})
    if ENCODERS[settings.codec].alpha_beside and has_alpha(source.facts.pixel_format):
        stream.metadata[ALPHA_MODE] = "1"
    stream.disposition = source.video_stream.disposition
    return stream


def open_encoder(
    output: OutputContainer, facts: VideoFacts, settings: EncoderSettings
) -> VideoStream:
    """Adds a stream to ``output`` for frames with these properties and opens its encoder.

    Raises:
        VideoError: the encoder does not open for such frames.
    """
    codec = settings.codec
    encoder = ENCODERS[codec]
    stream = output.add_stream(
        codec,
        rate=facts.frame_rate,
        options=settings.options(facts.pixel_format, facts.hdr) | _slices(codec, facts),
        width=facts.width,
        height=facts.height,
        time_base=facts.time_base,
    )
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.thread_count = settings.threads
    context.thread_type = "AUTO"  # PyAV's default has x264 cut frames into slices: slower, larger
    _describe(context, facts)
    context.pix_fmt = encoder.layout_of(facts.pixel_format)
    if encoder.codec == "hevc" and output.format.name in {"mp4", "mov"}:
        context.codec_tag = "hvc1"  # Apple's players refuse FFmpeg's default, hev1
    if codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # else it writes its settings to stderr
    try:
        context.open()
    except av.error.FFmpegError as error:
        if encoder.hardware is not None:
            twin = next(name for name, each in SOFTWARE.items() if each.codec == encoder.codec)
            raise VideoError(
                f"there is no {encoder.hardware} encoder on this machine that opens for {codec}, "
                f"{facts.width}x{facts.height} {facts.pixel_format} ({error.strerror}); choose "
                f"{twin} or another"
            ) from error
        raise SourceError(
            f"{codec} does not open for {facts.width}x{facts.height} {facts.pixel_format} "
            f"at {float(facts.frame_rate):g} fps ({error.strerror}); choose another encoder"
        ) from error
    return stream


def parameter_sets(stream: VideoStream) -> str:
    """The sha256 of the headers that the opened encoder of ``stream`` keeps apart from packets."""
    return hashlib.sha256(stream.codec_context.extradata or b"").hexdigest()


class FrameEncoder:
    """Encoder of frames, which checks that each comes back.

    Frames whose samples the encoder takes in another layout are laid out anew here.

    Args:
        stream: what :func:`add_video` returned.
        codec: the encoder's name, for messages.

    Attributes:
        frames_encoded: frames that the encoder has given back so far.
    """

    def __init__(self, stream: VideoStream, codec: str) -> None:
        self.frames_encoded = 0
        self._stream = stream
        self._codec = codec
        self._frames_sent = 0
        layout = stream.codec_context.pix_fmt
        assert layout is not None  # add_video has set it
        self._lay_out = Converter(layout)

    def encode(self, frame: VideoFrame) -> list[Packet[Any]]:
        """The packets that are ready after a frame.

        Raises:
            VideoError: the encoder refuses the frame.
        """
        return self._encode(self._lay_out(frame))

    def finish(self) -> list[Packet[Any]]:
        """The packets that the encoder still holds.

        Raises:
            VideoError: it fails.
        """
        packets = self._encode(None) if self._frames_sent else []
        if self._frames_sent <= _NEVER_REORDERED:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def refuse_losses(self) -> None:
        """Checks, at the end, that all frames have come back.

        Raises:
            VideoError: frames are missing.
        """
        if self.frames_encoded != self._frames_sent:
            raise VideoError(
                f"{self._codec} gave back {self.frames_encoded} of {self._frames_sent} frames; "
                "choose another encoder"
            )

    def _encode(self, frame: VideoFrame | None) -> list[Packet[Any]]:
        try:
            packets = self._stream.encode(frame)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{self._codec} failed at frame {self._frames_sent} "
                f"({error.strerror}); choose another encoder"
            ) from error
        self._frames_sent += frame is not None
        self.frames_encoded += len(packets)
        return packets


def _slices(codec: str, facts: VideoFacts) -> dict[str, str]:
    count = None
    if codec == "ffv1":
        count = covering_slices(facts.width, facts.height, facts.pixel_format)
    return {} if count is None else {"slices": str(count)}


def _describe(context: VideoCodecContext, facts: VideoFacts) -> None:
    context.flags |= Flags.frame_duration
    if facts.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = facts.sample_aspect_ratio
    context.color_primaries = facts.color.primaries
    context.color_trc = facts.color.transfer
    context.colorspace = facts.color.matrix
    context.color_range = facts.color.range
    context.options["chroma_sample_location"] = facts.chroma_location
    if facts.scan != "progressive":
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = _FIELD_ORDERS[facts.scan]
