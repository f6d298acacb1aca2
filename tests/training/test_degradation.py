import io
from fractions import Fraction

import av
import numpy as np
import pytest

from support.clips import moving_texture
from vqe_fast.training.degradation import Degradation, decode_luma, encode, luma_of


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_every_frame_survives_and_quality_falls_with_qp(codec):
    """B-frames come back in display order: frame k must be closest to original k."""
    frames = moving_texture(frames=8)
    original = np.stack([luma_of(frame) for frame in frames]).astype(float)
    errors = []
    for qp in (20, 44):
        luma = decode_luma(encode(frames, Degradation(codec, "qp", qp), Fraction(25)))
        assert luma.shape == original.shape
        distances = [[np.mean((a - b) ** 2) for b in original] for a in luma]
        assert np.argmin(distances, axis=1).tolist() == list(range(8))
        errors.append(np.mean((luma - original) ** 2))
    assert 0 < errors[0] < errors[1]


@pytest.mark.parametrize("mode", ["qp", "crf"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_the_setting_reaches_the_encoder(codec, mode):
    """FFmpeg ignores an option that it does not know; both encoders report the ones they use."""
    degradation = Degradation(codec, mode, 31)
    data = encode(moving_texture(frames=2), degradation, Fraction(25))
    with av.open(io.BytesIO(data), "r") as container:
        packets = b"".join(bytes(packet) for packet in container.demux(video=0))
        told = packets + bytes(container.streams.video[0].codec_context.extradata or b"")
    wanted = {
        ("libx264", "qp"): b"rc=cqp mbtree=0 qp=31",
        ("libx264", "crf"): b"crf=31.0",
        ("libx265", "qp"): b"qp=31",
        ("libx265", "crf"): b"crf=31.0",
    }[codec, mode]
    assert wanted in told


def test_name():
    assert Degradation("libx265", "qp", 37).name == "x265 QP 37"


def test_values_out_of_range():
    with pytest.raises(ValueError, match=r"crf must lie in 0\.\.51, got 52"):
        Degradation("libx264", "crf", 52)


def test_no_frames():
    with pytest.raises(ValueError, match="there is no frame to encode"):
        encode([], Degradation("libx264", "qp", 30), Fraction(25))
