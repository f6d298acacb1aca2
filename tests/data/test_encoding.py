import io
from fractions import Fraction

import av
import numpy as np
import pytest

from support.clips import moving_texture
from support.pairs import luma_frames
from vqe_fast.data.clips import read_clip
from vqe_fast.data.color import luma_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.video import read_qp

RATE = Fraction(25)
CODECS = [("libx264", 20, 44), ("libx265", 20, 44), ("libvpx-vp9", 10, 60), ("libsvtav1", 10, 60)]


def coded(frames, degradation, rate=RATE, count=None):
    """The bytes of the file."""
    target = io.BytesIO()
    encode(frames, degradation, rate, target, count=count)
    return target.getvalue()


def lumas(data):
    with av.open(io.BytesIO(data)) as container:
        return np.stack([luma_of(frame) for frame in container.decode(video=0)]).astype(float)


def types(data):
    return "".join(frame.type for frame in read_qp(io.BytesIO(data)))


@pytest.mark.parametrize(("codec", "fine", "coarse"), CODECS)
@pytest.mark.parametrize("mode", ["qp", "crf"])
def test_every_frame_survives_and_quality_falls(codec, fine, coarse, mode):
    """Frames come back in display order: frame k must be closest to original k."""
    frames = moving_texture(frames=8)
    original = np.stack([luma_of(frame) for frame in frames]).astype(float)
    errors = []
    for value in (fine, coarse):
        luma = lumas(coded(frames, Degradation(codec, mode, value)))
        assert luma.shape == original.shape
        distances = [[np.mean((a - b) ** 2) for b in original] for a in luma]
        assert np.argmin(distances, axis=1).tolist() == list(range(8))
        errors.append(np.mean((luma - original) ** 2))
    assert 0 < errors[0] < errors[1]


@pytest.mark.parametrize("mode", ["qp", "crf"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_the_setting_reaches_the_encoder(codec, mode):
    """FFmpeg ignores an option that it does not know; both encoders report the ones they use."""
    data = coded(moving_texture(frames=2), Degradation(codec, mode, 31))
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


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libsvtav1"])
def test_qp_of_other_encoders_is_constant_or_coarser_than_crf_allows(codec):
    """The quantiser that was asked for is the one in the stream, so equal steps of 10 differ."""
    means = [
        np.mean([f.qp for f in read_qp(io.BytesIO(coded(moving_texture(6), each)))])
        for each in (Degradation(codec, "qp", 20), Degradation(codec, "qp", 50))
    ]
    assert means[1] > means[0] + 8


@pytest.mark.parametrize("codec", [codec for codec, *_ in CODECS])
def test_structures(codec):
    """Low delay: one intra frame, no B-frame, display order; intra: nothing else."""
    frames = moving_texture(frames=12)
    low_delay = coded(frames, Degradation(codec, "crf", 35, structure="low_delay_p"))
    assert types(low_delay) == "I" + "P" * 11
    with av.open(io.BytesIO(low_delay)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert times == sorted(times)
    intra = coded(frames, Degradation(codec, "crf", 35, structure="intra"))
    assert types(intra) == "I" * 12
    if codec in ("libx264", "libx265"):
        assert "B" in types(coded(frames, Degradation(codec, "crf", 35)))


@pytest.mark.parametrize(
    ("value", "p_frames", "options"),
    [
        (37, [42, 41, 42, 38], {}),
        (22, [27, 26, 27, 23], {"preset": "slow"}),
        (48, [51, 51, 51, 49], {"preset": "ultrafast"}),
        (51, [51, 51, 51, 51], {}),
    ],
)
def test_a_cascade_has_the_qps_of_the_test_model(value, p_frames, options):
    """Also beyond the frames that x265 looks ahead; and the zones are not told in the stream."""
    cascade = Degradation("libx265", "qp", value, structure="cascade", **options)
    data = coded(moving_texture(frames=46), cascade, count=46)
    assert [frame.qp for frame in read_qp(io.BytesIO(data))] == ([value] + 12 * p_frames)[:46]
    assert types(data) == "I" + "P" * 45
    assert b"zones" not in data


@pytest.mark.parametrize(("count", "qps"), [(1, [37]), (2, [37, 42]), (9, [37, 42, 41])])
def test_short_cascades(count, qps):
    cascade = Degradation("libx265", "qp", 37, structure="cascade")
    data = coded(moving_texture(frames=3), cascade, count=count)
    assert [frame.qp for frame in read_qp(io.BytesIO(data))] == qps


def test_a_cascade_after_blur():
    cascade = Degradation("libx265", "qp", 30, structure="cascade", blur=7)
    data = coded(moving_texture(frames=21), cascade, count=21)
    assert [frame.qp for frame in read_qp(io.BytesIO(data))] == [30, 35, 34]


@pytest.mark.parametrize(
    ("codec", "crf"), [("libx264", 26), ("libx265", 26), ("libvpx-vp9", 35), ("libsvtav1", 35)]
)
def test_greatest_bit_rate(codec, crf):
    """Four seconds of noise, which would take three times as much and more."""
    frames = luma_frames(np.random.default_rng(0).integers(60, 190, (100, 64, 96)))
    free, bounded = (
        len(coded(frames, Degradation(codec, "crf", crf, max_bitrate=limit))) * 8 / 4000
        for limit in (None, 100)
    )
    assert free > 300
    assert bounded < 160  # kbit/s: the buffer of two seconds is full at the start


def test_same_frames_same_bytes():
    """What checksums and shared caches rest on."""
    for codec, fine, _ in CODECS:
        setting = Degradation(codec, "crf", fine)
        assert coded(moving_texture(5), setting) == coded(moving_texture(5), setting)


def test_lossless(tmp_path):
    frames = moving_texture(frames=3)
    assert encode(frames, None, RATE, tmp_path / "a.mkv") == 3
    for given, read in zip(frames, read_clip(tmp_path / "a.mkv").frames, strict=True):
        assert np.array_equal(given.to_ndarray(), read.to_ndarray())


def test_colour_tags_travel():
    for frame in (frames := moving_texture(frames=2)):
        frame.colorspace, frame.color_range = 1, 2
    for codec, fine, _ in CODECS:
        with av.open(io.BytesIO(coded(frames, Degradation(codec, "crf", fine)))) as container:
            frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 2), codec


def test_blur_comes_before_coding_and_slows_the_clip():
    data = coded(moving_texture(frames=15), Degradation("libx264", "crf", 20, blur=7))
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].average_rate == RATE / 7
        assert len(list(container.decode(video=0))) == 2


def test_refusals():
    with pytest.raises(ValueError, match="there is no frame to encode"):
        coded([], Degradation("libx264", "qp", 30))
    with pytest.raises(ValueError, match="no frame to encode: blur takes at least 7"):
        coded(moving_texture(6), Degradation("none", blur=7))
    with pytest.raises(ValueError, match="cascade has a QP for each frame: say how many frames"):
        coded(moving_texture(2), Degradation("libx265", "qp", 30, structure="cascade"))
    with pytest.raises(ValueError, match="x264 QP 30 preset swift could not encode 96x64 at 25"):
        coded(moving_texture(1), Degradation("libx264", "qp", 30, preset="swift"))


def test_an_encoder_that_is_not_there(monkeypatch):
    """Distributions build FFmpeg without some of them."""
    open_codec = av.Codec
    monkeypatch.setattr(av, "Codec", lambda name, mode: open_codec(f"no {name}", mode))
    with pytest.raises(ValueError, match=r"no encoder libx265: .* or leave x265 QP 30 out"):
        coded(moving_texture(1), Degradation("libx265", "qp", 30))
