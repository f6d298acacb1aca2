"""H.264 whose fields are coded apart, which no encoder here makes, written bit by bit."""

_MAIN, _LEVEL = 77, 30
_I_SLICES = 7
_DC_WITHOUT_COEFFICIENTS = 3  # mb_type of Intra_16x16
_SPS, _PPS, _IDR, _SLICE = 0x67, 0x68, 0x65, 0x61


def field_coded(frames):
    """A stream of gray frames of 32x64 pixels.

    Args:
        frames: for each frame the QPs of its two fields, top first: four blocks, row by row.
    """
    parameter_sets = _unit(_SPS, _sequence()) + _unit(_PPS, _picture())
    fields = (
        _unit(_SLICE if bottom else _IDR, _field(qps, bottom))
        for frame in frames
        for bottom, qps in enumerate(frame)
    )
    return parameter_sets + b"".join(fields)


def _sequence():
    """Two blocks across; four down, two of them in each field."""
    head = f"{_MAIN:08b}{0:08b}{_LEVEL:08b}" + _unsigned(0)
    counters = _unsigned(0) + _unsigned(0) + _unsigned(0)  # frame_num and POC have 4 bits
    size = _unsigned(1) + _unsigned(1)
    may_be_fields, mixed_blocks, direct_8x8, cropping, vui = "0", "0", "1", "0", "0"
    return (
        head + counters + _unsigned(1) + "0" + size
        + may_be_fields + mixed_blocks + direct_8x8 + cropping + vui
    )  # fmt: skip


def _picture():
    """Variable-length codes, QP 26, one reference, no more."""
    return (
        _unsigned(0) + _unsigned(0) + "00" + _unsigned(0) + _unsigned(0) + _unsigned(0)
        + "000" + _signed(0) + _signed(0) + _signed(0) + "000"
    )  # fmt: skip


def _field(qps, bottom):
    head = _unsigned(0) + _unsigned(_I_SLICES) + _unsigned(0) + f"{0:04b}" + "1" + str(bottom)
    marking = "0" if bottom else "00"
    order = f"{bottom:04b}"
    bits = head + ("" if bottom else _unsigned(0)) + order + marking + _signed(qps[0] - 26)
    for before, qp in zip((qps[0], *qps), qps, strict=False):
        no_coefficients = "1"
        bits += _unsigned(_DC_WITHOUT_COEFFICIENTS) + _unsigned(0) + _signed(qp - before)
        bits += no_coefficients
    return bits


def _unsigned(value):
    """Exp-Golomb code."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _signed(value):
    return _unsigned(2 * value - 1 if value > 0 else -2 * value)


def _unit(header, bits):
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    escaped, zeros = bytearray(), 0
    for byte in int(bits, 2).to_bytes(len(bits) // 8):
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = 0 if byte else zeros + 1
    return b"\0\0\0\1" + bytes([header]) + bytes(escaped)
