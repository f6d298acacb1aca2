"""Encoders of hardware, as far as that can be told without it: refusals, options, layouts."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from support.media import planes_of, read_frames, write_clip
from vqe_fast.cli.app import app
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.reformat import Converter
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.media.hdr import StaticHDR
from vqe_fast.video.options import EncodeOptions

HARDWARE = [name for name, encoder in ENCODERS.items() if encoder.hardware is not None]


def opened(codec, options, pixel_format="yuv420p"):
    """What opening the encoder raises; None if this machine has it."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.time_base = 640, 480, Fraction(1, 25)
    context.pix_fmt = ENCODERS[codec].layout_of(pixel_format)
    context.options = options
    try:
        context.open()
    except av.error.FFmpegError as error:
        return error
    return None


def without_hardware(codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    if opened(codec, {}) is None:
        pytest.skip(f"this machine has the hardware of {codec}")


@pytest.mark.parametrize("codec", HARDWARE)
def test_without_the_hardware(tmp_path, codec):
    without_hardware(codec)
    source = write_clip(tmp_path / "in.mkv", size=(320, 240), frames=2)
    with pytest.raises(VideoError) as caught:
        enhance_video(source, tmp_path / "out.mkv", "identity", codec=codec)
    sentence = str(caught.value)
    twin = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}[codec.partition("_")[0]]
    assert f"there is no {ENCODERS[codec].hardware} encoder on this machine" in sentence
    assert f"choose {twin} or another" in sentence and "\n" not in sentence
    assert list(tmp_path.iterdir()) == [source]


def test_exit_code(tmp_path):
    without_hardware("h264_nvenc")
    source = write_clip(tmp_path / "in.mkv", size=(320, 240), frames=2)
    command = ["enhance", str(source), str(tmp_path / "out.mkv"), "--model", "identity"]
    run = CliRunner().invoke(app, [*command, "--codec", "h264_nvenc"])
    assert run.exit_code == 2 and "no NVIDIA encoder" in run.output


def settings(codec, **options):
    return EncoderSettings.choose(EncodeOptions(codec=codec, **options), "h264")


@pytest.mark.parametrize("codec", HARDWARE)
def test_ffmpeg_knows_the_options(codec):
    """It complains about those before it looks for the hardware."""
    without_hardware(codec)
    assert isinstance(opened(codec, {"preset": "warp"}), av.error.ArgumentError)
    encoder = ENCODERS[codec]
    for preset in (None, *encoder.presets):
        for crf in (None, encoder.min_crf, encoder.max_crf):
            options = settings(codec, preset=preset, crf=crf).options("yuv420p", NO_HDR)
            assert not isinstance(opened(codec, options), av.error.ArgumentError), options


NO_HDR = StaticHDR(None, None)


def test_quality_is_handed_over():
    told = {"rc": "vbr", "cq": "23", "b": "0", "preset": "p5"}
    assert settings("hevc_nvenc", crf=23, preset="p5").options("yuv420p", NO_HDR) == told
    assert settings("hevc_nvenc", crf=0).options("yuv420p", NO_HDR) == {"tune": "lossless"}
    told = {"global_quality": "20", "preset": "slow"}
    assert settings("av1_qsv", preset="slow").options("yuv420p", NO_HDR) == told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": "av1_nvenc", "crf": 0}, "from 1 to 51, got 0"),
        ({"codec": "h264_qsv", "crf": 52}, "from 1 to 51, got 52"),
        ({"codec": "h264_nvenc", "preset": "slow"}, "it has: p1, p2"),
        ({"codec": "h264_qsv", "preset": "p5"}, "it has: veryfast"),
        ({"codec": "h264_vaapi"}, "there is no encoder 'h264_vaapi' here"),
    ],
)
def test_what_they_do_not_take(options, words):
    with pytest.raises(VideoError, match=words):
        settings(**options)


def test_ten_bits_in_h264_are_refused(tmp_path):
    source = write_clip(tmp_path / "in.mkv", pixel_format="yuv420p10le", frames=2)
    words = r"h264_nvenc does not take 10-bit yuv420p10le; choose libx264 or .*such as yuv420p$"
    with pytest.raises(VideoError, match=words):
        enhance_video(source, tmp_path / "out.mkv", "identity", codec="h264_nvenc")


def test_an_encoder_that_this_ffmpeg_lacks(monkeypatch):
    monkeypatch.setitem(ENCODERS, "h264_none", replace(ENCODERS["h264_nvenc"]))
    with pytest.raises(VideoError, match="this FFmpeg has no encoder h264_none; choose libx264"):
        settings("h264_none")


def test_frames_are_laid_out_for_the_encoder(tmp_path, monkeypatch):
    """Interleaved chroma, as hardware takes it, out of an encoder that runs here."""
    fake = replace(ENCODERS["libx264"], layouts={"yuv420p": "nv12"})
    monkeypatch.setitem(ENCODERS, "libx264", fake)
    source = write_clip(tmp_path / "in.mkv", size=(70, 64), frames=5)
    report = enhance_video(source, tmp_path / "out.mkv", "identity", crf=0)
    assert report.pixel_format == "yuv420p"
    for (time, planes), (expected_time, originals) in zip(
        read_frames(tmp_path / "out.mkv"), read_frames(source), strict=True
    ):
        assert time == expected_time
        for plane, original in zip(planes, originals, strict=True):
            np.testing.assert_array_equal(plane, original)
    with pytest.raises(VideoError, match="libx264 does not take 8-bit yuv444p"):
        enhance_video(source, tmp_path / "o.mkv", "identity", pix_fmt="yuv444p")


@pytest.mark.parametrize("full_range", [1, 2])
@pytest.mark.parametrize(
    "layouts", sorted({tuple(ENCODERS[name].layouts.items()) for name in HARDWARE}), ids=str
)
def test_layouts_hold_the_same_samples(layouts, full_range):
    """To the last bit, in either range."""
    rng = np.random.default_rng(0)
    for pixel_format, layout in layouts:
        frame = av.VideoFrame(70, 64, pixel_format)
        depth = frame.format.components[0].bits
        for plane in frame.planes:
            samples = np.frombuffer(plane, np.uint8 if depth == 8 else np.uint16)
            samples[:] = rng.integers(0, 1 << depth, samples.size)
        frame.color_range, frame.pts = full_range, 7
        packed = Converter(layout)(frame)
        assert packed.format.name == layout and packed.pts == 7
        again = Converter(pixel_format)(packed)
        for plane, original in zip(planes_of(again), planes_of(frame), strict=True):
            np.testing.assert_array_equal(plane, original)
