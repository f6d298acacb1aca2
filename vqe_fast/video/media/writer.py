"""Encoder and muxer of a video file, which gets its name once it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from vqe_fast._atomic_write import draft_name
from vqe_fast.storage.location import Location, RemotePath, drafts_folder, upload
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.compatibility import fits, refuse_misfits
from vqe_fast.video.media.containers import (
    format_of,
    streams_not_kept,
    streams_to_copy,
)
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.enhanced_tag import write_tag
from vqe_fast.video.media.matroska_display import Display, write_displays
from vqe_fast.video.media.matroska_source import unread_features
from vqe_fast.video.media.muxer_options import muxer_options
from vqe_fast.video.media.open import is_picture
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.remux import BAD_DATA, PacketCopier
from vqe_fast.video.media.tags import complete_tags, content_tags
from vqe_fast.video.media.video_encoder import FrameEncoder, add_video, parameter_sets


class VideoWriter:
    """Encoder and muxer of a video file, under a temporary name beside its target.

    A remote target is uploaded when it is complete.

    Leaving the ``with`` block without :meth:`commit` removes what was written. Until then
    a file that has the target's name already is not touched.

    Attributes:
        damaged_packets: packets of other streams so far that the container did not take.
        not_kept: what of the source, beside side data of its frames, the file lacks, in words.
    """

    def __init__(
        self,
        target: Location,
        source: VideoReader,
        settings: EncoderSettings,
        *,
        with_chapters: bool,
        tag: str | None = None,
        folder: Path | None = None,
    ) -> None:
        """Opens the file and the encoder and writes the header.

        Args:
            target: the file to write; its suffix chooses the container.
            source: where facts, metadata and the other streams come from.
            settings: the encoder.
            with_chapters: copy the chapters, which only fit a video of full length.
            tag: by what and how the video is enhanced; None to write nothing of it.
            folder: for the temporary file, on the same disk; None for that of the target, or, if
                it is remote, the one of the system (TMPDIR).

        Raises:
            VideoError: the target's container or the encoder cannot hold what the source has, or
                the file cannot be written.
            StorageError: the source is remote, and cannot be read.
        """
        self.damaged_packets = 0
        self._target = target
        self._joined = 0
        refuse_misfits(target, source, settings)
        copies = streams_to_copy(source, target, lambda each: fits(each, source.facts, settings))
        self.not_kept = (*streams_not_kept(source, copies), *_unread(source))
        copied = {copy.stream.index: copy for copy in copies}
        self._partial = (folder or drafts_folder(target)) / draft_name(Path(target.name))
        chapters = source.container.chapters() if with_chapters else []
        self._output: OutputContainer = av.open(
            str(self._partial),
            "w",
            format=format_of(target),
            container_options=muxer_options(format_of(target), source.facts, copies, chapters),
            metadata_errors="surrogateescape",
        )
        self._source, self._with_chapters = source.container, with_chapters
        self._tracks: list[Stream] = []
        self._displays: list[Display] = []
        try:
            self._copiers: dict[int, PacketCopier] = {}
            for stream in source.container.streams:
                if stream.index == source.video_stream.index:
                    self._video = add_video(self._output, source, settings)
                    self._encoder = FrameEncoder(self._video, settings.codec)
                    self._tracks.append(stream)
                    self._displays.append(source.facts.display)
                    before = (source.container.streams[index] for index in self._copiers)
                    self._place = sum(not is_picture(each) for each in before)  # those come last
                elif stream.index in copied:
                    copy = copied[stream.index].add_to(self._output)
                    if copy is not None:
                        self._copiers[stream.index] = copied[stream.index].packets_to(copy)
                        self._tracks.append(stream)
                        aspect = getattr(stream, "sample_aspect_ratio", None)
                        self._displays.append(Display(aspect or Fraction(1)))
            self._output.metadata.update(content_tags(source.container.metadata))
            if tag is not None:
                write_tag(self._output, self._video, tag)
            self._output.set_chapters(chapters)
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
            for packet in self._encoder.encode(item):
                self._mux(packet)
            return
        copier = self._copiers.get(item.stream.index)
        if copier is None:
            return
        ready: list[Packet[Any]] = []
        with self._counting_damage():
            ready = copier.adopt(item)
        for packet in ready:
            self._mux(packet)

    def join(self, packet: Packet[Any]) -> None:
        """Muxes a packet of the video that an encoder with the same settings has made.

        Raises:
            VideoError: the file cannot be written.
        """
        packet.stream = self._video
        self._joined += 1
        self._mux(packet)

    @property
    def parameter_sets(self) -> str:
        """Hash of the video's headers, see :func:`.video_encoder.parameter_sets`."""
        return parameter_sets(self._video)

    @property
    def frames_encoded(self) -> int:
        """Frames that the encoder has given back so far, and those joined."""
        return self._encoder.frames_encoded + self._joined

    def finish(self) -> None:
        """Writes what the encoder still holds, and the end of the file.

        Raises:
            VideoError: as :meth:`write`.
        """
        for packet in self._encoder.finish():
            self._mux(packet)
        for copier in self._copiers.values():
            for packet in copier.flush():
                self._mux(packet)
        with self._counting_damage():
            self._output.close()
        self._write_displays()
        if self.damaged_packets:
            self._refuse_losses()
        self._complete_tags()

    def _complete_tags(self) -> None:
        try:
            lost = complete_tags(
                self._partial, self._source, self._tracks, with_chapters=self._with_chapters
            )
        except (OSError, ValueError) as error:
            raise VideoError(f"{self._target} cannot be written: {error}") from error
        self.not_kept += tuple(lost)

    def _write_displays(self) -> None:
        """Pixel aspect ratios and cropping, which PyAV cannot have FFmpeg write into Matroska."""
        displays = {place: each for place, each in enumerate(self._displays) if each != Display()}
        if not displays or self._output.format.name not in {"matroska", "webm"}:
            return
        try:
            write_displays(self._partial, displays)
        except (OSError, ValueError) as error:
            raise VideoError(f"{self._target} cannot be written: {error}") from error

    @property
    def identity(self) -> tuple[int, int]:
        """The finished file's inode, which it keeps unless it is uploaded, and bytes."""
        facts = self._partial.stat()
        return facts.st_ino, facts.st_size

    def commit(self) -> None:
        """Gives the finished file its name, in one step.

        Raises:
            VideoError: frames are missing, or the file cannot be renamed.
            StorageError: the target is remote, and cannot be written.
        """
        self._encoder.refuse_losses()
        if isinstance(self._target, RemotePath):
            upload(self._partial, self._target)
            return
        with self._reporting_writes():
            os.replace(self._partial, self._target)

    def _mux(self, packet: Packet[Any]) -> None:
        with self._counting_damage():
            self._output.mux_one(packet)

    @contextmanager
    def _counting_damage(self) -> Iterator[None]:
        """For the muxer, which keeps packets for a while, and may complain about any of these."""
        with self._reporting_writes():
            try:
                yield
            except BAD_DATA:
                self.damaged_packets += 1

    def _refuse_losses(self) -> None:
        written = self._count_written()
        if written != self.frames_encoded:
            raise SourceError(
                f"only {written} of {self.frames_encoded} frames could be written to "
                f"{self._target}: other streams of the source are damaged; remove them first"
            )

    def _count_written(self) -> int:
        """Frames in the finished file; none where it cannot be read."""
        try:
            with av.open(str(self._partial)) as container:
                stream = container.streams[self._place]
                return sum(packet.size > 0 for packet in container.demux(stream))
        except (av.error.FFmpegError, IndexError):
            return 0

    @contextmanager
    def _reporting_writes(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(f"{self._target} cannot be written: {error.strerror}") from error

    def _discard(self) -> None:
        with suppress(av.error.FFmpegError):  # its trailer: the file goes anyway
            self._output.close()
        if os.path.lexists(self._partial):  # a disk that cannot be written refuses even in vain
            self._partial.unlink()


def _unread(source: VideoReader) -> tuple[str, ...]:
    is_matroska = "matroska" in source.container.format.name
    return unread_features(source.path) if is_matroska else ()
