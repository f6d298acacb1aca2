"""Transparency: untouched where the output has a place for it, else refused or reported."""

import numpy as np
import pytest

from support.media import planes_of, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.media.reader import VideoReader

SIZE = (66, 50)


def draw(frame):
    deep = frame.format.components[0].bits > 8
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)
        y, x = np.mgrid[: plane.height, : rows.shape[1]]
        rows[:] = (x * 3 + y * (index + 1) + frame.pts // 100) % 200 + 20


def clip(path, codec, pixel_format, **options):
    return write_clip(
        path, codec=codec, pixel_format=pixel_format, size=SIZE, frames=5, draw=draw, **options
    )


def vp9(path, codec="libvpx-vp9"):
    lossless = {"lossless": "1"} if codec == "libvpx-vp9" else {"auto-alt-ref": "0"}
    tag = {"prepare": lambda _, video: video.metadata.update(alpha_mode="1")}
    return clip(path, codec, "yuva420p", options=lossless, **tag)


def frames_of(path):
    with VideoReader(path, threads=1) as source:
        frames = [item for item in source.items() if hasattr(item, "planes")]
        return source.facts.pixel_format, [planes_of(frame) for frame in frames]


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("ffv1", "yuva420p", ".mkv"),
        ("ffv1", "yuva444p10le", ".mkv"),
        ("libvpx-vp9", "yuva420p", ".webm"),
        ("libvpx-vp9", "yuva420p", ".mkv"),
    ],
)
def test_is_kept(tmp_path, codec, pixel_format, suffix):
    source, target = clip(tmp_path / "in.mkv", "ffv1", pixel_format), tmp_path / f"out{suffix}"
    crf = None if codec == "ffv1" else 0
    report = enhance_video(source, target, "identity", codec=codec, crf=crf)
    assert report.not_kept == ()
    (name, frames), (expected, originals) = frames_of(target), frames_of(source)
    assert name == expected == pixel_format and len(frames) == 5
    for planes, wanted in zip(frames, originals, strict=True):
        assert len(planes) == 4
        for plane, original in zip(planes, wanted, strict=True):
            np.testing.assert_array_equal(plane, original)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "ffv1"])
@pytest.mark.parametrize("made_with", ["libvpx-vp9", "libvpx"])
def test_a_layer_beside_the_picture_is_read(tmp_path, made_with, codec):
    """FFmpeg's own decoders of VP8 and VP9 leave it out."""
    source, target = vp9(tmp_path / "in.webm", made_with), tmp_path / "out.mkv"
    enhance_video(source, target, "identity", codec=codec, crf=0 if codec != "ffv1" else None)
    (name, frames), (_, originals) = frames_of(target), frames_of(source)
    assert name == "yuva420p" and len(frames) == 5
    for planes, wanted in zip(frames, originals, strict=True):
        for plane, original in zip(planes, wanted, strict=True):
            np.testing.assert_array_equal(plane, original)


def test_in_segments(tmp_path):
    """Each segment is decoded from a keyframe on."""
    source, target = vp9(tmp_path / "in.webm"), tmp_path / "out.mkv"
    enhance_video(source, target, "identity", codec="ffv1", segment_seconds=0.1)
    for planes, wanted in zip(frames_of(target)[1], frames_of(source)[1], strict=True):
        np.testing.assert_array_equal(planes[3], wanted[3])


def test_what_has_no_place_for_it_names_what_has(tmp_path):
    source = vp9(tmp_path / "in.webm")
    with pytest.raises(VideoError, match=r"yuva420p; choose libvpx-vp9 or ffv1, or another"):
        enhance_video(source, tmp_path / "out.mkv", "identity", codec="libx264")
    words = r"lose the source's transparency; write to .webm or .mkv, or choose ffv1$"
    with pytest.raises(VideoError, match=words):
        enhance_video(source, tmp_path / "out.mp4", "identity", codec="libvpx-vp9")


def test_dropped_where_that_is_asked_for(tmp_path):
    source, target = vp9(tmp_path / "in.webm"), tmp_path / "out.webm"
    options = {"codec": "libvpx-vp9", "pix_fmt": "yuv420p"}
    assert enhance_video(source, target, "identity", **options).not_kept == ("transparency",)
    with VideoReader(target, threads=1) as opened:
        assert opened.facts.pixel_format == "yuv420p"
        assert "ALPHA_MODE" not in opened.video_stream.metadata
