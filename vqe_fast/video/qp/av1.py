"""AV1's quantiser indices, from the header of each frame that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import av

from vqe_fast.video.qp.frame import FrameQP, FrameType
from vqe_fast.video.qp.headers import HeaderReader, Unit
from vqe_fast.video.qp.packets import VideoPackets
from vqe_fast.video.qp.quantizer_index import qp_of_index

_Fields = Mapping[str, int]

_NOT_READ = "5-5"  # metadata
_SLOTS = 8
_ALL_SLOTS = (1 << _SLOTS) - 1
_KEY, _INTER, _INTRA_ONLY, _SWITCH = range(4)
_TYPES: dict[int, FrameType] = {_KEY: "I", _INTER: "P", _INTRA_ONLY: "I", _SWITCH: "P"}


def av1_qp(packets: VideoPackets) -> Iterator[FrameQP]:
    """Yields a :class:`FrameQP` for each frame to be shown, in display order, without decoding."""
    try:
        headers = HeaderReader(packets.stream, _NOT_READ)
    except av.error.FFmpegError:
        return
    decoder = FrameTracker()
    decoder.shown(headers.extradata)
    for packet in packets:
        pts, size, is_hidden = packet.pts, packet.size, packet.is_discard
        frame = decoder.shown(headers.read(packet))
        if frame is not None and not is_hidden:
            qp = float(qp_of_index(frame.depth)[frame.index])
            yield FrameQP(pts, _TYPES[frame.kind], size, qp, origin="header")


@dataclass(frozen=True)
class CodedFrame:
    """``frame_type``, ``base_q_idx`` and bits per sample of a frame."""

    kind: int
    index: int
    depth: int


class FrameTracker:
    """Reference frame slots, updated by frame headers as a decoder does."""

    def __init__(self) -> None:
        self._depth = 8
        self._slots: list[CodedFrame | None] = [None] * _SLOTS

    def shown(self, units: Iterable[Unit]) -> CodedFrame | None:
        """The frame that a temporal unit shows: that of its highest layer, which comes last."""
        latest = None
        for title, fields in units:
            if title == "Sequence Header":
                self._depth = _depth(fields)
            elif title == "Frame Header" and fields.get("show_existing_frame"):
                latest = self._show(fields.get("frame_to_show_map_idx", 0))
            elif title == "Frame Header" and "base_q_idx" in fields:  # not in a repeated header
                latest = self._decode(fields) or latest
        return latest

    def _show(self, slot: int) -> CodedFrame | None:
        frame = self._slots[slot]
        if frame is not None and frame.kind == _KEY:
            self._slots = [frame] * _SLOTS
        return frame

    def _decode(self, header: _Fields) -> CodedFrame | None:
        """The frame of a header if it is to be shown, and can be decoded."""
        # What a header leaves out is that of a still picture: a key frame that is shown.
        kind = header.get("frame_type", _KEY)
        is_shown = header.get("show_frame", 1) == 1
        frame: CodedFrame | None = CodedFrame(kind, header["base_q_idx"], self._depth)
        references = [header.get(f"ref_frame_idx[{i}]") for i in range(_SLOTS - 1)]
        if kind in (_INTER, _SWITCH) and any(
            self._slots[slot] is None for slot in references if slot is not None
        ):
            frame = None
        refreshed = header.get("refresh_frame_flags", _ALL_SLOTS)
        for slot in range(_SLOTS):
            if refreshed >> slot & 1:
                self._slots[slot] = frame
        return frame if is_shown else None


def _depth(sequence: _Fields) -> int:
    if sequence.get("twelve_bit"):
        return 12
    return 10 if sequence.get("high_bitdepth") else 8
