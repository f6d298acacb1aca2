"""Text subtitles that a container does not take: converted, and that is said."""

from fractions import Fraction

import av
import pytest

from support.media import add_pictures, write_clip
from vqe_fast.video import VideoError, enhance_video

LINES = [(100, 200, "Hello wörld\nsecond line"), (320, 100, "Up, there, {you} \\o/ bold")]
"""Start and duration in milliseconds, and text; parts of it are in italics or bold."""

HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize"
    b"\r\nStyle: Default,Arial,16\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, "
    b"MarginL, MarginR, MarginV, Effect, Text\r\n"
)
MARKED_UP = [b"Hello <i>w\xc3\xb6rld</i>\nsecond line", b"Up, there, {you} \\o/ <b>bold</b>"]
SOURCES = {
    "subrip": (".mkv", MARKED_UP),
    "ass": (
        ".mkv",
        [
            b"0,0,Default,,0,0,0,,Hello {\\i1}w\xc3\xb6rld{\\i0}\\Nsecond line",
            b"1,0,Default,,0,0,0,,Up, there, {you} \\o/ {\\b1}bold{\\b0}",
        ],
    ),
    "webvtt": (".mkv", MARKED_UP),
    "mov_text": (
        ".mp4",
        [b"\0\x18Hello w\xc3\xb6rld\nsecond line", b"\0\x19Up, there, {you} \\o/ bold"],
    ),
}
"""Codec → container and packets."""

CONVERTED = [
    ("subrip", ".mp4", "mov_text"),
    ("subrip", ".mov", "mov_text"),
    ("subrip", ".webm", "webvtt"),
    ("ass", ".mp4", "mov_text"),
    ("ass", ".webm", "webvtt"),
    ("webvtt", ".mp4", "mov_text"),
    ("mov_text", ".mkv", "subrip"),
    ("mov_text", ".webm", "webvtt"),
]
COPIED = [
    ("subrip", ".mkv"),
    ("ass", ".mkv"),
    ("webvtt", ".mkv"),
    ("mov_text", ".mp4"),
    ("mov_text", ".mov"),
]


def with_subtitles(folder, codec, header=HEADER):
    suffix, packets = SOURCES[codec]

    def prepare(container, _):
        if codec == "ass" and header:
            track = container.add_stream(codec)
            track.codec_context.subtitle_header = header
            track.codec_context.time_base = Fraction(1, 1000)
        else:
            track = container.add_mux_stream(codec)
        track.metadata["language"] = "fra"
        for (start, duration, _), content in zip(LINES, packets, strict=True):
            packet = av.Packet(content)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = duration
            container.mux(packet)

    return write_clip(folder / f"in{suffix}", prepare=prepare)


def read_lines(path):
    """The codec, and start, duration and plain text of the lines of the first subtitles."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        lines = []
        for packet in container.demux(stream):
            for line in stream.decode(packet) if packet.size else ():
                tick = packet.time_base * 1000
                times = int(packet.pts * tick), int(packet.duration * tick)
                lines.append((*times, plain(line.ass.decode())))
        return stream.codec_context.codec.canonical_name, stream.metadata["language"], lines


def plain(dialogue):
    """The text of a line of ASS without codes."""
    text = dialogue.split(",", 8)[-1]
    for escape, letter in {"\\{{}": "{", "\\\u2060": "\\", "\\N": "\n"}.items():
        text = text.replace(escape, letter)
    for code in ("i1", "i0", "b1", "b0", "r"):
        text = text.replace(f"{{\\{code}}}", "")
    return text


@pytest.mark.parametrize(("codec", "suffix", "expected"), CONVERTED)
def test_text_is_converted_and_said(tmp_path, codec, suffix, expected):
    source, target = with_subtitles(tmp_path, codec), tmp_path / f"out{suffix}"
    encoder = "libvpx-vp9" if suffix == ".webm" else "libx264"
    report = enhance_video(source, target, "identity", codec=encoder)
    assert read_lines(target) == (expected, "fra", LINES)
    (said,) = report.not_kept
    assert "the form of stream 1 (subtitle, " in said and said.endswith(f"which is {expected} now")


@pytest.mark.parametrize(("codec", "suffix"), COPIED)
def test_text_is_copied_where_that_can_be(tmp_path, codec, suffix):
    source, target = with_subtitles(tmp_path, codec), tmp_path / f"out{suffix}"
    report = enhance_video(source, target, "identity")
    assert read_lines(target) == (codec, "fra", LINES)
    assert report.not_kept == ()


def test_a_script_without_a_header_is_converted(tmp_path):
    source = with_subtitles(tmp_path, "ass", header=None)
    enhance_video(source, tmp_path / "out.mp4", "identity")
    assert read_lines(tmp_path / "out.mp4") == ("mov_text", "fra", LINES)


def test_italics_and_bold_stay(tmp_path):
    source, target = with_subtitles(tmp_path, "subrip"), tmp_path / "out.mp4"
    enhance_video(source, target, "identity")
    enhance_video(target, tmp_path / "back.mkv", "identity")
    with av.open(str(tmp_path / "back.mkv")) as container:
        content = b"".join(bytes(packet) for packet in container.demux(subtitles=0))
    assert b"<i>w\xc3\xb6rld</i>" in content and b"<b>bold</b>" in content


def test_segments_convert_too(tmp_path):
    source, target = with_subtitles(tmp_path, "subrip"), tmp_path / "out.mp4"
    report = enhance_video(source, target, "identity", segment_seconds=0.2)
    assert read_lines(target) == ("mov_text", "fra", LINES)
    assert report.not_kept == ("the form of stream 1 (subtitle, srt), which is mov_text now",)


def test_pictures_are_no_text(tmp_path):
    """Subtitles of Blu-ray are pictures, which .mp4 has no place for."""
    source = write_clip(tmp_path / "in.mkv", prepare=add_pictures)
    with pytest.raises(VideoError, match=r"stream 1 \(subtitle, pgssub\).*write to .mkv"):
        enhance_video(source, tmp_path / "out.mp4", "identity")
