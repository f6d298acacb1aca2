"""Messages in streams that no encoder here writes: captions, HDR10+, Dolby Vision's record."""

import re
from itertools import pairwise

HDR10_PLUS = "hdr10+"
CAPTIONS = "captions"

_START = re.compile(b"\0\0\1")


def with_messages(stream, kind, hevc):
    """A raw H.264 or HEVC stream with a message before each picture.

    Args:
        stream: bytes of the stream.
        kind: ``HDR10_PLUS`` or ``CAPTIONS``.
        hevc: whether it is HEVC.
    """
    payload = _hdr10_plus() if kind == HDR10_PLUS else _captions()
    message = (b"\x4e\x01" if hevc else b"\x06") + bytes([4, len(payload)]) + payload + b"\x80"
    unit = b"\0\0\1" + re.sub(b"\0\0([\0-\3])", b"\0\0\3\\1", message)
    starts = [match.start() for match in _START.finditer(stream)] + [len(stream)]
    changed = bytearray(stream[: starts[0]])
    for start, end in pairwise(starts):
        header = stream[start + 3]
        is_picture = (header >> 1 & 63) < 32 if hevc else header & 31 in (1, 5)
        is_first_slice = stream[start + (5 if hevc else 4)] & 0x80
        changed += unit if is_picture and is_first_slice else b""
        changed += stream[start:end]
    return bytes(changed)


def with_dolby_vision(mp4, profile, compatibility):
    """An mp4 with HEVC video, its movie box last, that says it is Dolby Vision."""
    record = bytes([1, 0, profile << 1, 6 << 3 | 0b101, compatibility << 4]) + bytes(19)
    box = (len(record) + 8).to_bytes(4, "big") + b"dvvC" + record
    data = bytearray(mp4)
    place = data.rindex(b"moov")
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"):
        place = data.index(name, place)
        size = int.from_bytes(data[place - 4 : place], "big")
        data[place - 4 : place] = (size + len(box)).to_bytes(4, "big")
    end = place - 4 + size
    return bytes(data[:end]) + box + bytes(data[end:])


def _hdr10_plus():
    """SMPTE ST 2094-40, one window, with the least that is allowed."""
    numbers = [(2, 1), (27, 4000), (1, 0)]
    numbers += [(17, 10_000)] * 3 + [(17, 5_000), (4, 9)]
    for i, percentage in enumerate((1, 5, 10, 25, 50, 75, 90, 95, 99)):
        numbers += [(7, percentage), (17, 100 * i)]
    numbers += [(10, 0), (1, 0), (1, 0), (1, 0)]
    bits = "".join(format(value, f"0{width}b") for width, value in numbers)
    bits += "0" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([0xB5, 0x00, 0x3C, 0x00, 0x01, 4, 1]) + body


def _captions():
    """ATSC A/53: two pairs of CEA-608."""
    pairs = bytes([0xFC, 0x94, 0x20]) * 2
    return bytes([0xB5, 0x00, 0x31]) + b"GA94" + bytes([3, 0xC2, 0xFF]) + pairs + b"\xff"
