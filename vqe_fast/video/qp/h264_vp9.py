"""QPs of H.264 and VP9 blocks, from side data of decoded frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from av.sidedata.encparams import VideoEncParams, VideoEncParamsType
from av.video.frame import PictureType, VideoFrame

from vqe_fast.video.media.side_data import SideDataSieve, side_data
from vqe_fast.video.qp.block_map import paint_qp
from vqe_fast.video.qp.frame import FrameQP, FrameType
from vqe_fast.video.qp.packets import VideoPackets
from vqe_fast.video.qp.quantizer_index import qp_of_index

_H264_BLOCK = 16
_VP9_BLOCK = 8
_TYPES: dict[int, FrameType] = {PictureType.I: "I", PictureType.P: "P", PictureType.B: "B"}


def decoded_qp(packets: VideoPackets) -> Iterator[FrameQP]:
    """Decodes a video and yields a :class:`FrameQP` for each frame, in display order."""
    context = packets.stream.codec_context
    # Deblocking changes samples only: without it, the same QPs come sooner.
    context.options = {"export_side_data": "venc_params", "skip_loop_filter": "all"}
    # With a thread for each frame, QPs are exported while another thread still reads them.
    context.thread_type = "SLICE"
    context.copy_opaque = True
    # VP9 has no delay, but shows earlier frames again with the opaque of their first packet.
    has_delay = context.name != "vp9"
    sieve = SideDataSieve(context.name)
    for packet in packets:
        size = packet.size
        packet.opaque = [size]  # a new object each time: PyAV tells them apart by identity
        for frame in packets.decode(packet):
            yield _measure(sieve(frame)[0], _size_of_packet(frame) if has_delay else size)
    for frame in packets.decode(None):
        yield _measure(sieve(frame)[0], _size_of_packet(frame))


def _size_of_packet(frame: VideoFrame) -> int:
    (size,) = cast("list[int]", frame.opaque or [0])
    return size


def _measure(frame: VideoFrame, size: int) -> FrameQP:
    kind = _TYPES.get(frame.pict_type, "?")
    parameters = _parameters(frame)
    depth = frame.format.components[0].bits
    if parameters is None:
        return FrameQP(frame.pts, kind, size)
    if parameters.codec_type == VideoEncParamsType.H264:
        qps = _paint(parameters, frame, _H264_BLOCK) - 6 * (depth - 8)
        cell = _H264_BLOCK
    elif parameters.codec_type == VideoEncParamsType.VP9:
        qps = qp_of_index(depth)[_paint(parameters, frame, _VP9_BLOCK).clip(0, 255)]
        cell = _VP9_BLOCK
    else:
        return FrameQP(frame.pts, kind, size)
    blocks = np.rint(qps).astype(np.int8)
    return FrameQP(frame.pts, kind, size, float(qps.mean()), blocks, cell, "blocks")


def _parameters(frame: VideoFrame) -> VideoEncParams | None:
    return cast("VideoEncParams | None", side_data(frame).get("VIDEO_ENC_PARAMS"))


def _paint(parameters: VideoEncParams, frame: VideoFrame, cell: int) -> npt.NDArray[np.int16]:
    count, step = parameters.nb_blocks, parameters.block_size
    if count:
        buffer = memoryview(cast("Any", parameters))
        blocks = np.ndarray((count, 5), np.int32, buffer, parameters.blocks_offset, (step, 4))
    else:
        blocks = np.empty((0, 5), np.int32)
    return paint_qp(blocks, parameters.qp, -(-frame.height // cell), -(-frame.width // cell), cell)
