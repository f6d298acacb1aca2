"""Demuxer and decoder of a video file: frames of one stream, packets of all others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vqe_fast.storage.location import Location
from vqe_fast.video.frames.pixel_formats import has_alpha
from vqe_fast.video.frames.planes import take_over
from vqe_fast.video.frames.reformat import Converter
from vqe_fast.video.media.changes import Changes
from vqe_fast.video.media.decoder import PictureDecoder
from vqe_fast.video.media.hwaccel import open_on_device
from vqe_fast.video.media.open import (
    DECODER_OPTIONS,
    is_picture,
    nothing_decodes,
    open_video,
    pick_stream,
    read_packets,
    refuse_changed,
)
from vqe_fast.video.media.payload import leave_out_payload, opened_for_payload
from vqe_fast.video.media.side_data import SideDataSieve
from vqe_fast.video.media.stream_info import (
    VideoFacts,
    color_tags,
    rate_of,
    read_facts,
    time_base_of,
)
from vqe_fast.video.media.timeline import timeline_of
from vqe_fast.video.media.weaving import FieldCoding, FieldWeaver
from vqe_fast.video.options import OnChange

Item: TypeAlias = "VideoFrame | Packet[Any]"

_LOOK_AHEAD = 6
"""Frames decoded before any work: telecined film shows both of its kinds of frames in five."""


class VideoReader:
    """Demuxer and decoder of a video file, with its first frames decoded already.

    Attributes:
        path: the file.
        facts: size, formats, rates and tags of the video stream.
        damaged_packets: video packets met so far that did not decode.
        damaged_frames: frames met so far that decoded with errors, and are delivered all the same.
        scaled_frames: frames met so far that were scaled to the size and format of the first.
        extras: what the frames met so far carry that an encoder may lose, in words.
        entry: timestamp of the first keyframe in decoding order, once it is read.
        pictures_a_frame: pictures of the stream that a frame is made of: two if they are fields.
    """

    def __init__(
        self,
        path: Location,
        *,
        threads: int,
        hwaccel: str | None = None,
        on_change: OnChange = "refuse",
        without_payload_of_video: bool = False,
    ) -> None:
        """Opens ``path`` and decodes the first frames.

        Args:
            path: the file to read.
            threads: threads of the decoder; 0 for as many as there are cores.
            hwaccel: the device to decode on, see :func:`.hwaccel.open_on_device`; None for none.
            on_change: what to do with frames of another size or pixel format than the first.
            without_payload_of_video: only :meth:`packets` is wanted, and of those of the video
                how many there are and when: what is in them need not be fetched of a remote file.

        Raises:
            VideoError: missing, not a video, or nothing in it decodes; or no such device.
            StorageError: a remote file cannot be read.
        """
        self.path = path
        self.damaged_packets = 0
        self.damaged_frames = 0
        self.scaled_frames = 0
        self.extras: set[str] = set()
        self._changes = Changes(path, on_change)
        self._on_change: OnChange = on_change
        self.pictures_a_frame = 1
        self._file = opened_for_payload(path)
        self._container = (
            open_video(self._file) if hwaccel is None else open_on_device(path, hwaccel)
        )
        try:
            self._stream = pick_stream(self._container, path)
            if self._stream.codec_context.is_hwaccel:
                threads = 1  # the device has its own
            self._stream.codec_context.thread_type = "AUTO"
            self._stream.codec_context.thread_count = self._threads = threads
            self._timeline = timeline_of(self._container)
            self._decoder = PictureDecoder(self._container, self._stream)
            self._sent = 0
            self._stream.codec_context.options = dict(DECODER_OPTIONS)
            self._last_pts: int | None = None
            self._decoded = 0
            self._ahead: deque[Item] = deque()
            self._convert: Converter | None = None
            self._weaver: FieldWeaver | None = None
            self.entry: int | None = None
            self._sought: int | None = None
            self._entry_pts: int | None = None
            self._sieve = SideDataSieve(self._stream.codec_context.codec.canonical_name)
            self._span: tuple[int | None, int | None] = (None, None)
            self._reader = self._read()
            self._look_ahead()
            self.facts: VideoFacts = read_facts(self._container, self._stream, self.first_frame)
            if without_payload_of_video:
                leave_out_payload(self._file, self._container, [self._stream])
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ahead.clear()
        self._reader = iter(())  # it refers to this object, and so would keep frames and decoder
        self._container.close()
        if kind is None:
            refuse_changed(self.path)

    @property
    def container(self) -> InputContainer:
        """The open file, for its metadata and chapters."""
        return self._container

    @property
    def video_stream(self) -> VideoStream:
        """The stream whose frames are decoded."""
        return self._stream

    @property
    def time_restarts(self) -> int:
        """How often timestamps have restarted or jumped so far, and were continued."""
        return self._timeline.restarts

    @property
    def first_frame(self) -> VideoFrame:
        """The frame that :meth:`items` delivers first; to be asked before it is called."""
        return next(item for item in self._ahead if isinstance(item, VideoFrame))

    def convert(self, pixel_format: str) -> None:
        """Lets :meth:`items` deliver its frames in another pixel format, and ``facts`` say so.

        To be called before :meth:`items`.
        """
        if has_alpha(self.facts.pixel_format) and not has_alpha(pixel_format):
            self.extras.add("transparency")
        convert = self._convert = Converter(pixel_format)
        self._ahead = deque(
            convert(item) if isinstance(item, VideoFrame) else item for item in self._ahead
        )
        self.facts = replace(
            self.facts, pixel_format=pixel_format, color=color_tags(self.first_frame)
        )

    def weave(self, coding: FieldCoding) -> None:
        """Lets :meth:`items` deliver interlaced frames, and ``facts`` tell of these.

        To be called before :meth:`items` and :meth:`convert`.

        Args:
            coding: how the pictures that are decoded make such frames.
        """
        apart = coding == "apart"
        first = self.facts.scan if coding == "apart" else coding
        self.pictures_a_frame = 2 if apart else 1
        self._weaver = FieldWeaver(self.first_frame, first, apart=apart, on_lone=self._lack_field)
        items = chain(tuple(self._ahead), self._reader)
        self._ahead.clear()
        self._reader = self._weaver(items)
        self._look_ahead()
        self.facts = read_facts(
            self._container, self._stream, self.first_frame, self.pictures_a_frame
        )

    def picture(self, stream: Stream) -> bytes | None:
        """The attached picture (cover art) that ``stream`` holds; None if it holds none.

        To be asked before :meth:`items`: attached pictures come before all other packets.
        """
        for item in self._ahead:
            if isinstance(item, Packet) and item.stream.index == stream.index:
                return bytes(item) if is_picture(stream) else None
        return None

    def begins_hidden(self, stream: Stream) -> bool:
        """Whether ``stream``, another one, begins with packets that are decoded and not shown.

        To be asked before :meth:`items`.
        """
        packets = (item for item in self._ahead if isinstance(item, Packet))
        return any(each.is_discard for each in packets if each.stream.index == stream.index)

    def items(self) -> Iterator[Item]:
        """Frames of the video stream and packets of all others, once, in the order of the file.

        Frames belong to the caller, who may change their samples. Their timestamps are in ticks of
        ``facts.time_base`` and increase: a missing one is filled in.

        Raises:
            VideoError: the file cannot be read on, or the picture changes its size or format and
                that is to be refused, or it changes from progressive to interlaced.
        """
        while self._ahead:
            yield self._ahead.popleft()
        for item in self._reader:
            if self._convert is not None and isinstance(item, VideoFrame):
                item = self._convert(item)
            yield item

    def seek(self, ticks: int) -> bool:
        """Lets :meth:`items` begin anew, at the last keyframe at or before ``ticks``.

        Packets of other streams are then left out. To be called before :meth:`items`.

        Args:
            ticks: of ``facts.time_base``.

        Returns:
            Whether that can be done; if not, the source is of no more use.
        """
        try:
            self._container.seek(ticks, stream=self._stream)
        except av.error.FFmpegError:
            return False
        self._ahead.clear()
        self._decoder = PictureDecoder(self._container, self._stream)
        self._last_pts, self._sent, self._decoded = None, 0, 0
        self.entry = self._entry_pts = None
        self._sought = ticks
        self._reader = self._read() if self._weaver is None else self._weaver(self._read())
        return True

    def count_within(self, start: int | None, end: int | None) -> None:
        """Counts damage from ``start`` to before ``end`` only, in ticks; None for an open end."""
        self._span = start, end
        if start is not None:
            self.damaged_packets = self.damaged_frames = self.scaled_frames = 0

    def packets(self) -> Iterator[Packet[Any]]:
        """The packets of all streams in the order of the file, once, instead of :meth:`items`.

        Of the video stream, those are missing that the first frames were decoded from.
        """
        yield from (item for item in self._ahead if isinstance(item, Packet))
        yield from (packet for packet in self._packets() if packet.size or packet.dts is not None)

    def _look_ahead(self) -> None:
        frames = 0
        for item in self._reader:
            self._ahead.append(item)
            frames += isinstance(item, VideoFrame)
            if frames == _LOOK_AHEAD:
                return
        if frames == 0:
            raise nothing_decodes(self.path)

    def _read(self) -> Iterator[Item]:
        for packet in self._packets():
            is_empty = packet.size == 0
            if packet.stream.index != self._stream.index:
                if not (is_empty and packet.dts is None):
                    yield packet
            elif not is_empty:  # an empty one would make the decoder drain too early
                if self.entry is None and packet.is_keyframe:
                    self.entry = packet.pts if packet.dts is None else packet.dts
                    self._entry_pts = packet.pts
                self._sent += not packet.is_discard
                yield from self._frames(packet)
        yield from self._frames(None)
        if self._threads != 1 and self._decoded < self._sent:
            yield from self._left_behind()

    def _left_behind(self) -> Iterator[VideoFrame]:
        """Frames after one that does not decode, when several threads have it and them in hand.

        PyAV cannot go on emptying a decoder after an error; with one thread there is no such error.
        """
        with VideoReader(self.path, threads=1, on_change=self._on_change) as again:
            again.count_within(*self._span)
            if self._sought is not None:
                again.seek(self._sought)
            frames = (item for item in again.items() if isinstance(item, VideoFrame))
            yield from islice(frames, self._decoded, None)
            self.damaged_packets = again.damaged_packets
            self.damaged_frames = again.damaged_frames
            self.scaled_frames = again.scaled_frames

    def _packets(self) -> Iterator[Packet[Any]]:
        streams = () if self._sought is None else (self._stream,)
        self._timeline = timeline_of(self._container)
        if (yield from read_packets(self._container, self.path, *streams, timeline=self._timeline)):
            self.damaged_packets += self._span[1] is None

    def _frames(self, packet: Packet[Any] | None) -> Iterator[VideoFrame]:
        pts = None if packet is None else packet.pts
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self.damaged_packets += self._counts(pts)
            return
        for frame in frames:
            if self._sought is not None and not self._is_entered(frame):
                continue
            frame, is_scaled = self._settle(frame)
            self._stamp(frame)
            frame, extras = self._sieve(frame)
            take_over(frame)
            self._decoded += 1
            self.damaged_frames += frame.is_corrupt and self._counts(frame.pts)
            self.scaled_frames += is_scaled and self._counts(frame.pts)
            self.extras |= extras | self._changes.lost
            yield frame

    def _lack_field(self, field: VideoFrame) -> None:
        """Counts a frame as damaged, one of whose fields is missing."""
        self.damaged_frames += self._counts(field.pts)

    def _is_entered(self, frame: VideoFrame) -> bool:
        """False for frames shown before the keyframe, which may lack what they refer to."""
        entry = self._entry_pts
        return entry is not None and (frame.pts is None or frame.pts >= entry)

    def _counts(self, pts: int | None) -> bool:
        start, end = self._span
        if pts is None:
            return end is None
        return (start is None or start <= pts) and (end is None or pts < end)

    def _settle(self, frame: VideoFrame) -> tuple[VideoFrame, bool]:
        aspect = self._stream.codec_context.sample_aspect_ratio
        return self._changes.settle(frame, aspect, lambda: self._place(frame))

    def _place(self, frame: VideoFrame) -> str:
        if self._sought is None or frame.pts is None:
            return f"frame {self._decoded}"
        return f"{float(frame.pts * time_base_of(self._stream)):.2f} s"

    def _stamp(self, frame: VideoFrame) -> None:
        frame.time_base = time_base_of(self._stream)
        pts = frame.dts if frame.pts is None else frame.pts
        if self._last_pts is not None:
            if pts is None:
                pts = self._last_pts + self._frame_ticks()
            pts = max(pts, self._last_pts + 1)
        self._last_pts = frame.pts = pts or 0

    def _frame_ticks(self) -> int:
        rate = rate_of(self._stream)
        return round(1 / (rate * time_base_of(self._stream))) if rate else 1
