"""What no encoder here writes: captions, HDR10+, LCEVC, Dolby Vision, a second view, profiles."""

import re
import zlib
from itertools import pairwise

HDR10_PLUS = "hdr10+"
CAPTIONS = "captions"
LCEVC = "lcevc"

_START = re.compile(b"\0\0\1")


def with_messages(stream, kind, hevc):
    """A raw H.264 or HEVC stream with a message before each picture.

    Args:
        stream: bytes of the stream.
        kind: ``HDR10_PLUS``, ``CAPTIONS`` or ``LCEVC``.
        hevc: whether it is HEVC.
    """
    payload = {HDR10_PLUS: _hdr10_plus, CAPTIONS: _captions, LCEVC: _lcevc}[kind]()
    message = (b"\x4e\x01" if hevc else b"\x06") + bytes([4, len(payload)]) + payload + b"\x80"
    unit = b"\0\0\1" + _escaped(message)
    starts = [match.start() for match in _START.finditer(stream)] + [len(stream)]
    changed = bytearray(stream[: starts[0]])
    for start, end in pairwise(starts):
        header = stream[start + 3]
        is_picture = (header >> 1 & 63) < 32 if hevc else header & 31 in (1, 5)
        is_first_slice = stream[start + (5 if hevc else 4)] & 0x80
        changed += unit if is_picture and is_first_slice else b""
        changed += stream[start:end]
    return bytes(changed)


def with_second_view(stream, size):
    """A raw HEVC stream of eight bits whose video parameter set promises a second view.

    Args:
        stream: bytes of the stream.
        size: width and height.
    """
    start = stream.index(b"\0\0\1\x40\x01") + 3
    end = stream.index(b"\0\0\1", start)
    level = "".join(f"{byte:08b}" for byte in re.sub(b"\0\0\3", b"\0\0", stream[start:end])[6:18])
    base = "0000110000010001" + "1" * 16 + level
    base += "1" + _golomb(4, 2, 0) + "000001" + _golomb(1) + "11" + "0" + "1"
    base += "1" * (-len(base) % 8)
    extension = level[-8:] + "0" + f"{1 << 14:016b}" + "000" + "0" + "1" + "0001" + "01" + "1001"
    extension += _golomb(1, 0) + "00" + "11" + _golomb(0) + f"{size[0]:016b}{size[1]:016b}"
    extension += "101000000000" + "100" + _golomb(4, 4, 2, 0) + _golomb(0) + "110"
    extension += _golomb(0) + "00" + "1"
    unit = b"\x40\x01" + _escaped(_bytes(base + extension))
    return stream[:start] + unit + stream[end:]


def with_profile(png):
    """A PNG file with a colour profile, which has a name."""
    return _with_chunk(png, b"iCCP", b"a name\0\0" + zlib.compress(bytes(128)))


def with_exif(png):
    """A PNG file with Exif metadata: one entry, upright."""
    entry = bytes([0x12, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0])
    return _with_chunk(png, b"eXIf", b"II*\0" + bytes([8, 0, 0, 0, 1, 0]) + entry + bytes(4))


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


def _with_chunk(png, name, content):
    check = zlib.crc32(name + content).to_bytes(4, "big")
    return png[:33] + len(content).to_bytes(4, "big") + name + content + check + png[33:]


def _hdr10_plus():
    """SMPTE ST 2094-40, one window, with the least that is allowed."""
    numbers = [(2, 1), (27, 4000), (1, 0)]
    numbers += [(17, 10_000)] * 3 + [(17, 5_000), (4, 9)]
    for i, percentage in enumerate((1, 5, 10, 25, 50, 75, 90, 95, 99)):
        numbers += [(7, percentage), (17, 100 * i)]
    numbers += [(10, 0), (1, 0), (1, 0), (1, 0)]
    body = _bytes("".join(format(value, f"0{width}b") for width, value in numbers))
    return bytes([0xB5, 0x00, 0x3C, 0x00, 0x01, 4, 1]) + body


def _captions():
    """ATSC A/53: two pairs of CEA-608."""
    pairs = bytes([0xFC, 0x94, 0x20]) * 2
    return bytes([0xB5, 0x00, 0x31]) + b"GA94" + bytes([3, 0xC2, 0xFF]) + pairs + b"\xff"


def _lcevc():
    """The beginning of an LCEVC layer, which nobody decodes."""
    return bytes([0xB4, 0x00, 0x50, 0x00, 0x7B, 0x3F]) + bytes(range(1, 9))


def _golomb(*numbers):
    return "".join("0" * (n.bit_length() - 1) + f"{n:b}" for n in (each + 1 for each in numbers))


def _bytes(bits):
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _escaped(unit):
    return re.sub(b"\0\0(?=[\0-\3])", b"\0\0\3", unit)
