"""QPs of HEVC slice headers, in the order of the picture order counts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import av
import numpy as np

from vqe_fast.video.qp.frame import FrameQP, FrameType
from vqe_fast.video.qp.headers import HeaderReader, Unit
from vqe_fast.video.qp.packets import VideoPackets

_Fields = Mapping[str, int]

_NOT_READ = "38-63"  # filler, SEI and what the standard leaves open
_MAX_REORDER = 16  # pictures that may come before an earlier one: the most that decoders store

# nal_unit_type
_RADL, _RASL = (6, 7), (8, 9)
_SUB_LAYER_NON_REFERENCE = range(0, 16, 2)
_BLA, _IDR = (16, 17, 18), (19, 20)
_IRAP = range(16, 24)

_TYPES: dict[int, FrameType] = {0: "B", 1: "P", 2: "I"}
# End of sequence and of bitstream, after a start code or a length; nowhere else can these bytes be.
_ENDS = (b"\0\0\1\x48\1", b"\0\0\2\x48\1", b"\0\0\1\x4a\1", b"\0\0\2\x4a\1")


def hevc_qp(packets: VideoPackets) -> Iterator[FrameQP]:
    """Yields a :class:`FrameQP` for each frame to be shown, in display order, without decoding."""
    try:
        headers = HeaderReader(packets.stream, _NOT_READ)
    except av.error.FFmpegError:
        return
    sequencer = PictureSequencer()
    list(sequencer.pictures(headers.extradata))
    waiting: list[tuple[int, int, int, FrameQP]] = []
    for number, packet in enumerate(packets):
        pts, size, data, is_hidden = packet.pts, packet.size, bytes(packet), packet.is_discard
        if any(end in data[:6] for end in _ENDS):  # some demuxers put it before the next picture
            sequencer.end_sequence()
        for picture in sequencer.pictures(headers.read(packet)):
            if picture.is_shown and not is_hidden:
                frame = FrameQP(pts, picture.type, size, picture.mean_qp(), origin="slices")
                heapq.heappush(waiting, (picture.sequence, picture.order, number, frame))
        if any(end in data[-8:] for end in _ENDS):
            sequencer.end_sequence()
        while len(waiting) > _MAX_REORDER:
            yield heapq.heappop(waiting)[-1]
    while waiting:
        yield heapq.heappop(waiting)[-1]


@dataclass
class Picture:
    """A picture and its slices read so far.

    Attributes:
        sequence: number of the coded video sequence, from 1.
        order: picture order count within it.
        is_shown: whether a decoder hands it out.
        sps: its sequence parameter set.
        pps: its picture parameter set.
        slices: address of the first coding tree unit, QP and ``slice_type`` of each slice.
    """

    sequence: int
    order: int
    is_shown: bool
    sps: _Fields
    pps: _Fields
    slices: list[tuple[int, int, int]] = field(default_factory=list)

    def add_slice(self, header: _Fields) -> None:
        """Adds the QP of a slice."""
        if "slice_qp_delta" in header:  # not in a dependent segment, nor in one cut short
            qp = 26 + self.pps["init_qp_minus26"] + header["slice_qp_delta"]
            address = header.get("slice_segment_address", 0)
            self.slices.append((address, qp, header["slice_type"]))

    @property
    def type(self) -> FrameType:
        """The least restricted of the types of its slices."""
        return _TYPES.get(min(kind for _, _, kind in self.slices), "?")

    def mean_qp(self) -> float:
        """Mean over the coding tree units; over the slices where tiles hide how large those are."""
        addresses, qps, _ = zip(*self.slices, strict=True)
        sizes = np.diff([*addresses, self._tree_units()])
        if self.pps["tiles_enabled_flag"] or (sizes <= 0).any():
            return float(np.mean(qps))
        return float(np.average(qps, weights=sizes))

    def _tree_units(self) -> int:
        log2_size = (
            self.sps["log2_min_luma_coding_block_size_minus3"]
            + 3
            + self.sps["log2_diff_max_min_luma_coding_block_size"]
        )
        columns = -(-self.sps["pic_width_in_luma_samples"] >> log2_size)
        rows = -(-self.sps["pic_height_in_luma_samples"] >> log2_size)
        return columns * rows


class PictureSequencer:
    """Assembles pictures of slices, with display order and whether they are shown."""

    def __init__(self) -> None:
        self._sps: dict[int, _Fields] = {}
        self._pps: dict[int, _Fields] = {}
        self._sequence = 0
        self._has_ended = True
        self._skips_rasl = True
        self._anchor = 0  # order of the latest picture that counts are relative to

    def end_sequence(self) -> None:
        """Marks the end of a sequence: the next picture begins another."""
        self._has_ended = True

    def pictures(self, units: Iterable[Unit]) -> list[Picture]:
        """The pictures whose slices are among the units of one packet, in decoding order."""
        found: list[Picture] = []
        for title, fields in units:
            if title == "Sequence Parameter Set":
                self._sps[fields.get("sps_seq_parameter_set_id", -1)] = fields
            elif title == "Picture Parameter Set":
                self._pps[fields.get("pps_pic_parameter_set_id", -1)] = fields
            elif title == "Slice Segment Header":
                if fields.get("first_slice_segment_in_pic_flag"):
                    found += self._begin(fields)
                if found:
                    found[-1].add_slice(fields)
        return [picture for picture in found if picture.slices]

    def _begin(self, header: _Fields) -> list[Picture]:
        """The picture that a first slice begins; none if what its header refers to is missing."""
        pps = self._pps.get(header.get("slice_pic_parameter_set_id", -1), {})
        sps = self._sps.get(pps.get("pps_seq_parameter_set_id", -1))
        if sps is None:
            return []
        unit = header["nal_unit_type"]
        restarts = False
        if unit in _IRAP:
            restarts = self._has_ended or unit in _IDR or unit in _BLA
            self._sequence += restarts
            self._skips_rasl, self._has_ended = restarts, False
        order = self._order(header, sps, restarts)
        is_shown = (
            self._sequence > 0
            and header.get("pic_output_flag", 1) == 1
            and not (self._skips_rasl and unit in _RASL)
        )
        return [Picture(self._sequence, order, is_shown, sps, pps)]

    def _order(self, header: _Fields, sps: _Fields, restarts: bool) -> int:
        """The picture order count, of which the header has the last bits."""
        order = header.get("slice_pic_order_cnt_lsb", 0)
        if not restarts:
            span = 1 << (sps["log2_max_pic_order_cnt_lsb_minus4"] + 4)
            top = self._anchor + span // 2
            order = top - (top - order) % span
        unit = header["nal_unit_type"]
        is_anchor = header["nuh_temporal_id_plus1"] == 1 and not (
            unit in _RADL or unit in _RASL or unit in _SUB_LAYER_NON_REFERENCE
        )
        if is_anchor:
            self._anchor = order
        return order
