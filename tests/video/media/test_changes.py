"""Streams whose size or pixel format changes in the middle."""

from fractions import Fraction

import av
import numpy as np
import pytest

from support.media import planes_of, read_frames, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.qp.frame import FrameQP
from vqe_fast.video.qp.provider import block_qps

SIZES = [(64, 48), (96, 80), (48, 64)]


def joined(tmp_path, *parts, **options):
    """A raw stream of clips of 20 frames, one behind the other.

    Args:
        parts: for each clip, what is to be other than usual.
        options: for all of them.
    """
    data = b""
    for number, part in enumerate(parts):
        how = {"frames": 20, "options": {"bf": "0"}} | options | part
        data += write_clip(tmp_path / f"{number}.h264", **how).read_bytes()
    path = tmp_path / "in.h264"
    path.write_bytes(data)
    return path


def in_ts(path):
    """The same with times, which segments need."""
    target = path.with_suffix(".ts")
    with av.open(str(path)) as source, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux() if packet.size):
            packet.stream = stream
            packet.pts = packet.dts = number * 48000
            output.mux(packet)
    return target


def test_one_output_of_the_first_size(tmp_path):
    source = in_ts(joined(tmp_path, *({"size": size} for size in SIZES)))
    report = enhance_video(
        source, tmp_path / "out.mkv", "identity", codec="ffv1", on_change="scale"
    )
    assert (report.frames_out, report.frames_scaled) == (60, 40)
    frames = read_frames(tmp_path / "out.mkv")
    assert {planes[0].shape for _, planes in frames} == {(48, 64)}
    originals = read_frames(source)
    for (time, planes), (expected, same) in zip(frames, originals, strict=True):
        assert abs(time - expected) < Fraction(1, 1000)
        if same[0].shape == (48, 64):
            np.testing.assert_array_equal(planes[0], same[0])
        else:
            assert abs(planes[0].mean() - same[0].mean()) < 5
    assert report.options["on_change"] == "scale"


def test_segments_are_one_pass(tmp_path):
    """Each opens the file anew, and all have the size of its first frame, not of theirs."""
    source = in_ts(joined(tmp_path, *({"size": size} for size in SIZES)))
    settings = {"codec": "ffv1", "on_change": "scale"}
    whole = enhance_video(source, tmp_path / "whole.mkv", "identity", **settings)
    cut = enhance_video(source, tmp_path / "cut.mkv", "identity", segment_seconds=0.7, **settings)
    assert cut.segments == 3
    assert cut.frames_scaled == whole.frames_scaled == 40
    frames = zip(
        read_frames(tmp_path / "cut.mkv"), read_frames(tmp_path / "whole.mkv"), strict=True
    )
    for (time, planes), (expected, others) in frames:
        assert time == expected
        for plane, other in zip(planes, others, strict=True):
            np.testing.assert_array_equal(plane, other)


def test_a_change_of_bits(tmp_path):
    source = joined(tmp_path, {"pixel_format": "yuv420p10le"}, {"pixel_format": "yuv420p"})
    report = enhance_video(
        source, tmp_path / "out.mkv", "identity", codec="ffv1", on_change="scale"
    )
    assert (report.pixel_format, report.frames_scaled) == ("yuv420p10le", 20)
    found = [planes[0] for _, planes in read_frames(tmp_path / "out.mkv")]
    with av.open(str(source)) as container:
        luma = [planes_of(frame)[0] for frame in container.decode(video=0)]
    np.testing.assert_array_equal(found[0], luma[0])
    np.testing.assert_array_equal(found[20], luma[20].astype(np.uint16) << 2)


RED = {"bt601": (81, 90, 240), "bt709": (63, 102, 240)}
"""Luma and chroma of the same red in two matrices."""


def test_a_change_of_matrix_keeps_colours(tmp_path):
    """SD and HD have another each; the output has one tag."""

    def part(name, matrix, size):
        def draw(frame):
            for plane, value in zip(frame.planes, RED[name], strict=True):
                plane.update(bytes([value]) * plane.buffer_size)

        def tag(_, video):
            video.codec_context.colorspace = matrix

        return {"draw": draw, "prepare": tag, "size": size}

    source = joined(tmp_path, part("bt601", 6, (64, 48)), part("bt709", 1, (96, 80)))
    enhance_video(source, tmp_path / "out.mkv", "identity", codec="ffv1", on_change="scale")
    for index in (0, 39):
        _, planes = read_frames(tmp_path / "out.mkv")[index]
        assert [int(plane.mean().round()) for plane in planes] == pytest.approx(RED["bt601"], abs=2)


def test_what_scaling_cannot_mend_is_refused(tmp_path):
    def transfer(code):
        return {"prepare": lambda _, video: setattr(video.codec_context, "color_trc", code)}

    source = joined(tmp_path, transfer(1) | {"size": (64, 48)}, transfer(16) | {"size": (96, 80)})
    with pytest.raises(VideoError, match="at frame 20 and from one transfer curve to another"):
        enhance_video(source, tmp_path / "out.mkv", "identity", on_change="scale")
    fields = {"scan": "tff", "options": {"flags": "+ilme+ildct", "bf": "0"}}
    source = joined(tmp_path, {"size": (64, 64)}, {"size": (96, 64)}, **fields)
    with pytest.raises(VideoError, match="at frame 20 and is interlaced; deinterlace it"):
        enhance_video(
            source, tmp_path / "out.mkv", "identity", on_change="scale", interlaced="fields"
        )
    assert not (tmp_path / "out.mkv").exists()


def test_what_changes_and_the_output_cannot_have_is_named(tmp_path):
    """Broadcasts go from 4:3 to 16:9 and back, with as many pixels."""

    def tags(aspect, matrix):
        def prepare(_, video):
            video.codec_context.sample_aspect_ratio = Fraction(*aspect)
            video.codec_context.colorspace = matrix

        return {"prepare": prepare}

    names = ("changes of colour tags", "changes of the pixel aspect ratio")
    source = joined(tmp_path, tags((12, 11), 5), tags((16, 11), 1))
    assert enhance_video(source, tmp_path / "0.mp4", "identity").not_kept == names
    source = joined(tmp_path, tags((12, 11), 5), tags((12, 11), 5), tags((12, 11), 2))
    assert enhance_video(source, tmp_path / "1.mp4", "identity").not_kept == ()


def test_the_refusal_names_the_option(tmp_path):
    source = joined(tmp_path, *({"size": size} for size in SIZES))
    with pytest.raises(VideoError, match=r"64x48 .* to 96x80 .* at frame 20.*--on-change scale"):
        enhance_video(source, tmp_path / "out.mkv", "identity")
    with pytest.raises(VideoError, match="refuse or scale, not stretch"):
        enhance_video(source, tmp_path / "out.mkv", "identity", on_change="stretch")


def test_blocks_of_a_scaled_frame_are_not_those_of_the_enhanced_one(tmp_path):
    blocks = np.arange(30, dtype=np.int8).reshape(5, 6)
    assert block_qps(FrameQP(0, "I", 9, 14.5, blocks, 16, "blocks"), 80, 96).shape == (1, 10, 12)
    assert block_qps(FrameQP(0, "I", 9, 14.5, blocks, 16, "blocks"), 48, 64) is None
    source = joined(tmp_path, *({"size": size} for size in SIZES))
    report = enhance_video(source, tmp_path / "out.mkv", "dualres_s", on_change="scale")
    assert report.qp_sources == {"stream": 60}
