"""Reads a video file: decoded frames of one stream, untouched packets of all others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vqe_fast.video.errors import VideoError
from vqe_fast.video.facts import VideoFacts, read_facts, time_base_of
from vqe_fast.video.opening import (
    is_picture,
    nothing_decodes,
    open_video,
    pick_stream,
    read_packets,
)
from vqe_fast.video.planes import LUMA_FORMATS, take_over

Item: TypeAlias = "VideoFrame | Packet[Any]"


class VideoSource:
    """A video file opened for reading, with its first frame decoded already.

    Attributes:
        path: the file.
        facts: size, formats, rates and tags of the video stream.
        first_frame: the frame that :meth:`items` delivers first.
        damaged_packets: video packets met so far that did not decode.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        """Opens ``path`` and decodes up to the first frame.

        Args:
            path: the file to read.
            threads: threads of the decoder; 0 for as many as there are cores.

        Raises:
            VideoError: missing, not a video, nothing in it decodes, or a format not supported.
        """
        self.path = path
        self.damaged_packets = 0
        self._container = open_video(path)
        try:
            self._stream = pick_stream(self._container, path)
            self._stream.codec_context.thread_type = "AUTO"
            self._stream.codec_context.thread_count = threads
            self._last_pts: int | None = None
            self._decoded = 0
            self._ahead: deque[Item] = deque()
            self._reader = self._read()
            self.first_frame = self._find_first_frame()
            self._refuse_unsupported()
            self.facts: VideoFacts = read_facts(self._container, self._stream, self.first_frame)
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
        self._container.close()

    @property
    def container(self) -> InputContainer:
        """The open file, for its metadata and chapters."""
        return self._container

    @property
    def video_stream(self) -> VideoStream:
        """The stream whose frames are decoded."""
        return self._stream

    def picture(self, stream: Stream) -> bytes | None:
        """The attached picture (cover art) that ``stream`` holds; None if it holds none.

        To be asked before :meth:`items`: attached pictures come before all other packets.
        """
        for item in self._ahead:
            if isinstance(item, Packet) and item.stream.index == stream.index:
                return bytes(item) if is_picture(stream) else None
        return None

    def items(self) -> Iterator[Item]:
        """Frames of the video stream and packets of all others, once, in the order of the file.

        Frames belong to the caller, who may change their samples. Their timestamps are in ticks of
        ``facts.time_base`` and increase: a missing one is filled in.

        Raises:
            VideoError: the file cannot be read on, or the picture changes its size or format.
        """
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._reader

    def _find_first_frame(self) -> VideoFrame:
        for item in self._reader:
            self._ahead.append(item)
            if isinstance(item, VideoFrame):
                return item
        raise nothing_decodes(self.path)

    def _refuse_unsupported(self) -> None:
        name = self.first_frame.format.name
        if name not in LUMA_FORMATS:
            raise VideoError(
                f"{self.path} has the pixel format {name}, which is not supported; "
                f"convert it to one of {', '.join(LUMA_FORMATS)} first"
            )
        if self.first_frame.interlaced_frame:
            raise VideoError(
                f"{self.path} is interlaced, which enhancement would damage; deinterlace it first"
            )

    def _read(self) -> Iterator[Item]:
        for packet in self._packets():
            is_empty = packet.size == 0
            if packet.stream.index != self._stream.index:
                if not (is_empty and packet.dts is None):
                    yield packet
            elif not is_empty:  # an empty one would make the decoder drain too early
                yield from self._frames(packet)
        yield from self._frames(None)

    def _packets(self) -> Iterator[Packet[Any]]:
        if (yield from read_packets(self._container, self.path)):
            self.damaged_packets += 1

    def _frames(self, packet: Packet[Any] | None) -> Iterator[VideoFrame]:
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            self.damaged_packets += 1
            return
        for frame in frames:
            self._refuse_change(frame)
            self._stamp(frame)
            take_over(frame)
            self._decoded += 1
            yield frame

    def _refuse_change(self, frame: VideoFrame) -> None:
        shape = f"{frame.width}x{frame.height} {frame.format.name}"
        if self._decoded == 0:
            self._shape = shape
        elif shape != self._shape:
            raise VideoError(
                f"{self.path} changes from {self._shape} to {shape} at frame {self._decoded}; "
                "split it there and enhance the parts one by one"
            )

    def _stamp(self, frame: VideoFrame) -> None:
        frame.time_base = time_base_of(self._stream)
        pts = frame.dts if frame.pts is None else frame.pts
        if self._last_pts is not None:
            if pts is None:
                pts = self._last_pts + self._frame_ticks()
            pts = max(pts, self._last_pts + 1)
        self._last_pts = frame.pts = pts or 0

    def _frame_ticks(self) -> int:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return round(1 / (rate * time_base_of(self._stream))) if rate else 1
