"""HDR metadata and what else frames carry: kept, or said not to be."""

from fractions import Fraction

import pytest

from support.media import png, read_frames, write_clip
from support.side_data import (
    CAPTIONS,
    HDR10_PLUS,
    LCEVC,
    with_dolby_vision,
    with_exif,
    with_messages,
    with_profile,
    with_second_view,
)
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.media.hdr import MasteringDisplay, StaticHDR
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.qp.reader import read_qp

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR10 = StaticHDR(
    MasteringDisplay(
        red=(Fraction("0.68"), Fraction("0.32")),
        green=(Fraction("0.265"), Fraction("0.69")),
        blue=(Fraction("0.15"), Fraction("0.06")),
        white=(Fraction("0.3127"), Fraction("0.329")),
        darkest=Fraction("0.005"),
        brightest=Fraction(1000),
    ),
    (1000, 400),
)


@pytest.fixture
def hdr10(tmp_path):
    """Ten bits, BT.2020, PQ, graded on a P3 display of 1000 cd/m²."""

    def prepare(_, video):
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        context.color_range = 1

    return write_clip(
        tmp_path / "in.mp4",
        codec="libx265",
        pixel_format="yuv420p10le",
        size=(70, 66),
        frames=8,
        options={"x265-params": f"log-level=none:master-display={DISPLAY}:max-cll=1000,400"},
        prepare=prepare,
    )


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_static_metadata_is_kept(hdr10, tmp_path, codec, suffix):
    """A television maps HDR to its own brightness by it: without, the picture is grey."""
    target = tmp_path / f"out{suffix}"
    enhance_video(hdr10, target, "identity", codec=codec)
    for path in (hdr10, target):
        with VideoReader(path, threads=1) as source:
            assert source.facts.hdr == HDR10
            assert source.facts.color.transfer == 16


def test_static_metadata_in_av1(hdr10, tmp_path):
    """AV1's numbers are fixed point: equal to 2⁻¹⁶ for colours, 2⁻¹⁴ for the darkest light."""
    enhance_video(hdr10, tmp_path / "out.webm", "identity", codec="libsvtav1")
    with VideoReader(tmp_path / "out.webm", threads=1) as source:
        found = source.facts.hdr
    assert found.light == HDR10.light
    for name in ("red", "green", "blue", "white"):
        for value, expected in zip(
            getattr(found.display, name), getattr(HDR10.display, name), strict=True
        ):
            assert abs(value - expected) <= Fraction(1, 1 << 16)
    assert abs(found.display.darkest - HDR10.display.darkest) <= Fraction(1, 1 << 14)
    assert found.display.brightest == 1000


def test_light_level_alone(tmp_path):
    source = write_clip(tmp_path / "in.mkv", frames=3, options={"x264-params": "cll=600,200"})
    enhance_video(source, tmp_path / "out.mkv", "identity")
    with VideoReader(tmp_path / "out.mkv", threads=1) as opened:
        assert opened.facts.hdr == StaticHDR(None, (600, 200))


def test_an_encoder_that_loses_static_metadata_is_refused(hdr10, tmp_path):
    with pytest.raises(VideoError, match=r"HDR metadata.*choose libx264 or libx265 or libsvtav1"):
        enhance_video(hdr10, tmp_path / "out.mkv", "identity", codec="ffv1")
    assert not (tmp_path / "out.mkv").exists()


def test_dynamic_metadata_is_reported(hdr10, tmp_path):
    """No encoder here writes HDR10+."""
    source = raw(tmp_path, "hevc", codec="libx265", size=(70, 66))
    source.write_bytes(with_messages(source.read_bytes(), HDR10_PLUS, hevc=True))
    report = enhance_video(source, tmp_path / "out.mp4", "identity", codec="libx265")
    assert report.not_kept == ("HDR10+ metadata",)
    assert report.frames_out == 6


def test_captions_are_kept_or_reported(tmp_path):
    source = raw(tmp_path, "h264")
    source.write_bytes(with_messages(source.read_bytes(), CAPTIONS, hevc=False))
    kept = enhance_video(source, tmp_path / "kept.mp4", "identity")
    assert kept.not_kept == ()
    with VideoReader(tmp_path / "kept.mp4", threads=1) as opened:
        assert opened.extras == {"closed captions"}
    lost = enhance_video(source, tmp_path / "lost.mkv", "identity", codec="libx265")
    assert lost.not_kept == ("closed captions",)


@pytest.mark.parametrize(
    ("lost", "change"),
    [
        ("the LCEVC enhancement layer", lambda data: with_messages(data, LCEVC, hevc=True)),
        ("the second view", lambda data: with_second_view(data, (70, 66))),
    ],
)
def test_side_data_that_pyav_does_not_know_hides_nothing_else(tmp_path, lost, change):
    """PyAV wraps no side data of a frame at all when it has no name for some of it."""
    static = f"log-level=none:bframes=0:master-display={DISPLAY}:max-cll=1000,400"
    source = write_clip(
        tmp_path / "raw.hevc",
        codec="libx265",
        size=(70, 66),
        frames=6,
        options={"x265-params": static},
    )
    source.write_bytes(change(source.read_bytes()))
    report = enhance_video(source, tmp_path / "out.mp4", "identity", codec="libx265")
    assert report.not_kept == (lost,)
    with VideoReader(tmp_path / "out.mp4", threads=1) as opened:
        assert opened.facts.hdr == HDR10
        assert opened.extras == set()


def test_block_qps_are_read_beside_side_data_that_pyav_does_not_know(tmp_path):
    source = raw(tmp_path, "h264")
    source.write_bytes(with_messages(source.read_bytes(), LCEVC, hevc=False))
    assert [frame.origin for frame in read_qp(source)] == ["blocks"] * 6


@pytest.mark.parametrize(
    ("lost", "change"),
    [
        (("the colour profile",), with_profile),
        (("Exif metadata",), with_exif),
        (("Exif metadata", "the colour profile"), lambda data: with_exif(with_profile(data))),
    ],
)
def test_what_still_pictures_carry_is_reported(tmp_path, lost, change):
    """PNG's colour profile has a name, which PyAV would free twice."""
    source = tmp_path / "pictures.png"
    source.write_bytes(change(png()) * 3)
    report = enhance_video(
        source, tmp_path / "out.mkv", "identity", codec="ffv1", pix_fmt="yuv444p"
    )
    assert report.not_kept == lost
    assert report.frames_out == 3


def test_dolby_vision_without_a_base_layer_of_its_own_is_refused(tmp_path):
    """Profile 5 is green and purple to a player that does not know it."""
    source = dolby_vision(tmp_path, 5, 0)
    with pytest.raises(VideoError, match=r"Dolby Vision of profile 5.*convert it"):
        enhance_video(source, tmp_path / "out.mp4", "identity")


def test_dolby_vision_over_hdr10_is_enhanced(tmp_path):
    report = enhance_video(dolby_vision(tmp_path, 8, 1), tmp_path / "out.mp4", "identity")
    assert report.frames_out == len(read_frames(tmp_path / "out.mp4")) == 6


def raw(folder, name, **options):
    path = folder / f"raw.{name}"
    quiet = {"x265-params": "log-level=none:bframes=0"} if name == "hevc" else {"bf": "0"}
    return write_clip(path, frames=6, options=quiet, **options)


def dolby_vision(folder, profile, compatibility):
    path = folder / "dolby.mp4"
    quiet = {"x265-params": "log-level=none"}
    write_clip(path, codec="libx265", size=(70, 66), frames=6, options=quiet)
    path.write_bytes(with_dolby_vision(path.read_bytes(), profile, compatibility))
    return path
