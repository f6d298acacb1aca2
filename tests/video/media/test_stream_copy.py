"""Streams beside the video: copied whole, or refused, or left out and named."""

from fractions import Fraction

import av
import numpy as np
import pytest

from support.media import read_packets, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.media.stream_copy import codec_name, find_copy

TARGETS = (".mp4", ".mov", ".mkv")


def with_data(path, tag):
    """A clip with a track of data whose codec tag is ``tag``, of four letters."""

    def prepare(container, _):
        track = container.add_mux_stream("mov_text")
        for i in range(3):
            packet = av.Packet(b"\0\5data" + bytes([48 + i]))
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = i * 100
            packet.duration = 100
            container.mux(packet)

    write_clip(path, prepare=prepare)
    data = path.read_bytes()
    assert data.count(b"text") == 3  # the handler, the media header, the sample description
    path.write_bytes(data.replace(b"text", tag))
    with av.open(str(path)) as container:
        (track,) = container.streams.data
        assert codec_name(track) == ("bin_data" if tag == b"gpmd" else tag.decode())
    return path


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("options", [{}, {"segment_seconds": 0.2}])
def test_data_that_would_be_unreadable_is_left_out_and_named(tmp_path, suffix, options):
    """FFmpeg's muxer of QuickTime writes such a track without its description."""
    source, target = with_data(tmp_path / "in.mov", b"mebx"), tmp_path / f"out{suffix}"
    report = enhance_video(source, target, "identity", **options)
    assert report.not_kept == ("stream 1 (data, mebx)",)
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_data_that_stays_readable_is_copied(tmp_path, suffix):
    source, target = with_data(tmp_path / "in.mov", b"gpmd"), tmp_path / f"out{suffix}"
    report = enhance_video(source, target, "identity")
    assert report.not_kept == ()
    assert read_packets(target, "data") == read_packets(source, "data")
    with av.open(str(target)) as container:
        assert codec_name(container.streams.data[0]) == "bin_data"


def test_data_that_another_container_keeps_is_not_left_out(tmp_path):
    source = with_data(tmp_path / "in.mov", b"gpmd")
    with pytest.raises(VideoError, match=r"stream 1 \(data, bin_data\).*write to .mp4 or .mov"):
        enhance_video(source, tmp_path / "out.mkv", "identity")


CODECS = {
    "wmav2": (".wmv", ".mkv"),
    "adpcm_ima_wav": (".avi", ".mkv"),
    "adpcm_ms": (".avi", ".mkv"),
    "pcm_mulaw": (".avi", ".mov", ".mkv"),
    "pcm_s16be": (".mov", ".mp4", ".mov", ".mkv"),
    "pcm_s24le": (".mkv", ".mp4", ".mov", ".mkv"),
    "pcm_u8": (".avi", ".mov", ".mkv"),
    "ac3": (".avi", ".mp4", ".mov", ".mkv"),
    "flac": (".mkv", ".mp4", ".mkv"),
    "alac": (".mov", ".mp4", ".mov", ".mkv"),
    "libmp3lame": (".avi", ".mp4", ".mov", ".mkv"),
}
"""Encoder of the sound → container of the source, and those that can carry it."""


def at_128_kbit(container, _):
    for track in container.streams.audio:
        track.bit_rate = 128000


def decoded(path):
    """The samples of the first stream of sound, and its codec."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        return stream.codec_context.name, np.concatenate([frame.ravel() for frame in frames])


@pytest.mark.parametrize("encoder", CODECS)
def test_sound_is_copied_where_a_container_can_carry_it(tmp_path, encoder):
    suffix, *able = CODECS[encoder]
    video = "mpeg4" if suffix in (".avi", ".wmv") else "libx264"
    source = write_clip(
        tmp_path / f"in{suffix}",
        codec=video,
        audio=(encoder,),
        time_base=Fraction(1, 25),
        prepare=at_128_kbit,
    )
    codec, samples = decoded(source)
    for target in (tmp_path / f"out{each}" for each in TARGETS):
        if target.suffix in able:
            enhance_video(source, target, "identity")
            assert decoded(target)[0] == codec
            np.testing.assert_array_equal(decoded(target)[1], samples)
        else:
            with pytest.raises(VideoError, match=f"{codec}.*write to .*.mkv"):
                enhance_video(source, target, "identity")


@pytest.mark.parametrize(
    ("suffix", "encoder"),
    [(".mkv", "alac"), (".mkv", "flac"), (".mkv", "libmp3lame"), (".nut", "flac")],
)
def test_the_end_of_sound_without_durations_is_kept(tmp_path, suffix, encoder):
    """Matroska need not tell how long packets are, and MP4 plays no sound beyond its edit list."""
    source = write_clip(tmp_path / f"in{suffix}", audio=(encoder,), frames=30)
    target = tmp_path / "out.mp4"
    enhance_video(source, target, "identity")
    (found,), (expected,) = (read_packets(path, "audio") for path in (target, source))
    assert [content for _, _, content in found] == [content for _, _, content in expected]


@pytest.mark.parametrize("encoder", ["g722", "adpcm_yamaha", "dfpwm"])
def test_sound_that_would_lose_its_times_is_refused(tmp_path, encoder):
    """FFmpeg's muxer of QuickTime takes packets of samples of less than a byte for samples."""
    source = write_clip(
        tmp_path / "in.nut", codec="mpeg4", audio=(encoder,), frames=30, time_base=Fraction(1, 25)
    )
    codec, samples = decoded(source)
    with pytest.raises(VideoError, match=rf"stream 1 \(audio, {codec}\).*write to .mkv instead"):
        enhance_video(source, tmp_path / "out.mov", "identity")
    enhance_video(source, tmp_path / "out.mkv", "identity")
    np.testing.assert_array_equal(decoded(tmp_path / "out.mkv")[1], samples)


def test_sound_that_goes_by_the_name_of_its_kin_is_copied(tmp_path):
    """MP4 has one name for MPEG audio of layers 2 and 3."""
    source = write_clip(tmp_path / "in.ts", audio=("mp2",), time_base=Fraction(1, 25))
    target = tmp_path / "out.mp4"
    enhance_video(source, target, "identity")
    (found,), (expected,) = (read_packets(path, "audio") for path in (target, source))
    assert [content for _, _, content in found] == [content for _, _, content in expected]


def test_sound_that_a_demuxer_would_not_decode_is_refused(tmp_path):
    """NUT does not tell the size of a block, without which Matroska's readers are at a loss."""
    source = write_clip(
        tmp_path / "in.nut", codec="mpeg4", audio=("adpcm_ms",), time_base=Fraction(1, 25)
    )
    with pytest.raises(VideoError, match=r"stream 1 \(audio, adpcm_ms\).*remove that stream"):
        enhance_video(source, tmp_path / "out.mkv", "identity")


def test_sound_that_a_decoder_keeps_to_its_end_is_tried(tmp_path):
    """Of two packets WMA's decoder gives nothing before it is told that there are no more."""
    source = write_clip(
        tmp_path / "in.wmv",
        codec="mpeg4",
        audio=("wmav2",),
        frames=2,
        time_base=Fraction(1, 25),
        prepare=at_128_kbit,
    )
    with pytest.raises(VideoError, match=r"stream 1 \(audio, wmav2\).*write to .mkv"):
        enhance_video(source, tmp_path / "out.mov", "identity")


def test_trying_leaves_packets_as_they_are(tmp_path):
    """They are tried in one container after the other."""
    source = write_clip(tmp_path / "in.mkv", audio=("flac",))
    with av.open(str(source)) as container:
        (stream,) = container.streams.audio
        packets = [packet for packet in container.demux(stream) if packet.size]
        before = [(p.pts, p.dts, p.duration, p.time_base, bytes(p), p.stream) for p in packets]
        assert find_copy("mp4", stream, None, packets) is not None
        after = [(p.pts, p.dts, p.duration, p.time_base, bytes(p), p.stream) for p in packets]
    assert before and after == before
