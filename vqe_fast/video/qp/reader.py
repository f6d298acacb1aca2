"""QP reader: opens a video and chooses the method for its codec."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator

from vqe_fast.storage.location import location
from vqe_fast.video.errors import storage_refusals
from vqe_fast.video.media.open import VideoInput, nothing_decodes, open_video, pick_stream
from vqe_fast.video.qp.av1 import av1_qp
from vqe_fast.video.qp.frame import FrameQP
from vqe_fast.video.qp.h264_vp9 import decoded_qp
from vqe_fast.video.qp.hevc import hevc_qp
from vqe_fast.video.qp.packets import VideoPackets

_WITHOUT_DECODING: dict[str, Callable[[VideoPackets], Iterator[FrameQP]]] = {
    "hevc": hevc_qp,
    "av1": av1_qp,
}


def read_qp(source: str | os.PathLike[str] | VideoInput) -> list[FrameQP]:
    """Reads the QP of every frame that a decoder shows, in display order.

    H.264 and VP9 are decoded, and have a QP for each block. HEVC and AV1 are not decoded: the QP is
    that of their headers, and a frame whose headers are whole counts as shown, whatever its
    samples may look like. Frames of other codecs are listed with their types and sizes only.

    Args:
        source: a file, by path or URL, or its bytes: a binary file opened for reading.

    Returns:
        The frames of the video stream. What does not decode is left out.

    Raises:
        VideoError: missing, not a video, or no frame of it can be shown.
    """
    return list(iterate_qp(source))


def iterate_qp(
    source: str | os.PathLike[str] | VideoInput, start: int | None = None
) -> Generator[FrameQP, None, None]:
    """Yields the frames of :func:`read_qp` one by one; memory does not grow with the length.

    Headers of HEVC and AV1 are read from FFmpeg's log: PyAV's log level and captures are changed
    while a packet is looked at, and restored each time. Any number of threads may do so at once.

    Args:
        source: as for :func:`read_qp`.
        start: begin at the last keyframe at or before so many ticks of the video stream; None for
            the beginning.

    Raises:
        VideoError: missing, not a video, cannot be read on, or no frame of it can be shown.
    """
    with storage_refusals():
        yield from read_frames(source, start)


def read_frames(
    source: str | os.PathLike[str] | VideoInput, start: int | None = None
) -> Generator[FrameQP, None, None]:
    """The same within the work of a call, which tells damage from what cannot be read.

    Args:
        source: as for :func:`read_qp`.
        start: as for :func:`iterate_qp`.

    Raises:
        VideoError: as :func:`iterate_qp`.
        StorageError: a remote file cannot be read.
    """
    origin = location(source) if isinstance(source, (str, os.PathLike)) else source
    with open_video(origin) as container:
        stream = pick_stream(container, origin)
        if start is not None:
            container.seek(start, stream=stream)
        codec = stream.codec_context.codec.canonical_name
        read = _WITHOUT_DECODING.get(codec, decoded_qp)
        is_empty = True
        for frame in read(VideoPackets(container, stream, origin)):
            is_empty = False
            yield frame
        if is_empty:
            raise nothing_decodes(origin)
