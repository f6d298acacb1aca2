"""Writes a video file: encoded frames, copied packets, and a name only once it is complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vqe_fast.video.container import add_copy, content_tags, format_of, streams_to_copy
from vqe_fast.video.encoder import ENCODERS, EncoderSettings
from vqe_fast.video.errors import VideoError
from vqe_fast.video.facts import VideoFacts
from vqe_fast.video.source import VideoSource


class VideoSink:
    """A video file being written under a temporary name beside its target.

    Leaving the ``with`` block without :meth:`commit` removes what was written. Until then
    a file that has the target's name already is not touched.

    Attributes:
        frames_encoded: frames that the encoder has given back so far.
    """

    def __init__(
        self,
        target: Path,
        source: VideoSource,
        settings: EncoderSettings,
        *,
        with_chapters: bool,
    ) -> None:
        """Opens the file and the encoder and writes the header.

        Args:
            target: the file to write; its suffix chooses the container.
            source: where facts, metadata and the other streams come from.
            settings: the encoder.
            with_chapters: copy the chapters, which only fit a video of full length.

        Raises:
            VideoError: the target's container or the encoder cannot hold what the source has, or
                the file cannot be written.
        """
        self.frames_encoded = 0
        self._target = target
        self._settings = settings
        self._frames_sent = 0
        _refuse_misfits(target, source.facts, settings)
        copied = streams_to_copy(source, target)
        self._partial = _partial_name(target)
        self._output: OutputContainer = av.open(
            str(self._partial),
            "w",
            format=format_of(target),
            metadata_errors="surrogateescape",
        )
        try:
            self._copies = {}
            for stream in source.container.streams:
                if stream.index == source.video_stream.index:
                    self._video = self._add_video(source)
                elif stream in copied:
                    copy = add_copy(self._output, stream, source.picture(stream))
                    self._copies[stream.index] = copy
            self._output.metadata.update(content_tags(source.container.metadata))
            if with_chapters:
                self._output.set_chapters(source.container.chapters())
            with self._reporting_writes():
                self._output.start_encoding()
        except BaseException:
            self._discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._discard()

    def write(self, item: VideoFrame | Packet[Any]) -> None:
        """Encodes a frame, or copies a packet of another stream.

        Raises:
            VideoError: the encoder refuses the frame, or the file cannot be written.
        """
        if isinstance(item, VideoFrame):
            self._encode(item)
            return
        copy = self._copies.get(item.stream.index)
        if copy is not None:
            item.stream = copy
            with self._reporting_writes():
                self._output.mux_one(item)

    def finish(self) -> None:
        """Writes what the encoder still holds, and the end of the file.

        Raises:
            VideoError: as :meth:`write`.
        """
        self._encode(None)
        with self._reporting_writes():
            self._output.close()

    def commit(self) -> None:
        """Gives the finished file its name, in one step.

        Raises:
            VideoError: frames are missing, or the file cannot be renamed.
        """
        if self.frames_encoded != self._frames_sent:
            raise VideoError(
                f"{self._settings.codec} gave back {self.frames_encoded} of "
                f"{self._frames_sent} frames; choose another encoder"
            )
        try:
            os.replace(self._partial, self._target)
        except OSError as error:
            raise VideoError(f"{self._target} cannot be written: {error.strerror}") from error

    def _add_video(self, source: VideoSource) -> VideoStream:
        facts, codec = source.facts, self._settings.codec
        stream = self._output.add_stream(
            codec,
            rate=facts.frame_rate,
            options=self._settings.options(),
            width=facts.width,
            height=facts.height,
            time_base=facts.time_base,
        )
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.pix_fmt = facts.pixel_format
        if facts.sample_aspect_ratio is not None:
            context.sample_aspect_ratio = facts.sample_aspect_ratio
        context.color_primaries = facts.color.primaries
        context.color_trc = facts.color.transfer
        context.colorspace = facts.color.matrix
        context.color_range = facts.color.range
        if codec == "libx265" and self._output.format.name in {"mp4", "mov"}:
            context.codec_tag = "hvc1"  # Apple's players refuse FFmpeg's default, hev1
        if codec == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # else it writes its settings to stderr
        stream.set_display_matrix(facts.display_matrix)
        stream.metadata.update(content_tags(source.video_stream.metadata))
        stream.disposition = source.video_stream.disposition
        try:
            context.open()
        except av.error.FFmpegError as error:
            odd = facts.width % 2 or facts.height % 2
            raise VideoError(
                f"{codec} does not open for {facts.width}x{facts.height} {facts.pixel_format} "
                f"at {float(facts.frame_rate):g} fps ({error.strerror}); choose "
                + ("libsvtav1 or ffv1, which take odd sizes" if odd else "another encoder")
            ) from error
        return stream

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            packets = self._video.encode(frame)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{self._settings.codec} failed at frame {self._frames_sent} "
                f"({error.strerror}); choose another encoder"
            ) from error
        self._frames_sent += frame is not None
        self.frames_encoded += len(packets)
        with self._reporting_writes():
            self._output.mux(packets)

    @contextmanager
    def _reporting_writes(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            raise VideoError(f"{self._target} cannot be written: {error.strerror}") from error

    def _discard(self) -> None:
        with suppress(av.error.FFmpegError):  # its trailer: the file goes anyway
            self._output.close()
        self._partial.unlink(missing_ok=True)


def _partial_name(target: Path) -> Path:
    return target.with_name(f".{target.stem[:40]}.{secrets.token_hex(4)}.part{target.suffix}")


def _refuse_misfits(target: Path, facts: VideoFacts, settings: EncoderSettings) -> None:
    codec = settings.codec
    format_of(target)
    suffix, suffixes = target.suffix.lower(), ENCODERS[codec].suffixes
    if suffix not in suffixes:
        able = [name for name, encoder in ENCODERS.items() if suffix in encoder.suffixes]
        raise VideoError(
            f"{suffix} does not hold {codec} video; "
            f"write to {' or '.join(suffixes)}, or choose {' or '.join(able)}"
        )
    if facts.sample_aspect_ratio not in (None, 1) and _loses_aspect(suffix, codec):
        raise VideoError(
            f"{codec} in {suffix} would lose the source's pixel aspect ratio "
            f"{facts.sample_aspect_ratio}; write to .mp4 instead"
        )
    settings.refuse_format(facts.pixel_format)


def _loses_aspect(suffix: str, codec: str) -> bool:
    """Matroska keeps the ratio in the stream's own header only; these codecs have none there."""
    return suffix in {".mkv", ".webm"} and codec in {"libsvtav1", "ffv1"}
