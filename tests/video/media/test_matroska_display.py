"""Pixel aspect ratios and cropping in Matroska and WebM: read back, the file still whole."""

import re
import zlib
from fractions import Fraction

import av
import pytest

from support.media import add_extras, read_frames, read_packets, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.media.encoders import SOFTWARE
from vqe_fast.video.media.matroska_display import Display, write_displays
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.showinfo import cropping_of

IN_MATROSKA = [
    (codec, suffix)
    for codec, encoder in SOFTWARE.items()
    for suffix in encoder.suffixes
    if suffix in (".mkv", ".webm")
]
SEGMENT, CUES = b"\x18\x53\x80\x67", b"\x1c\x53\xbb\x6b"
INFO, TRACKS = b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"
INDEX = re.compile(rb"\x11\x4d\x9b\x74([\x80-\xff])", re.DOTALL)
ENTRY = re.compile(rb"\x53\xab\x84(.{4})\x53\xac([\x81-\x84])", re.DOTALL)


@pytest.mark.parametrize("ratio", [Fraction(8, 9), Fraction(32, 27), Fraction(1, 2)], ids=str)
@pytest.mark.parametrize(("codec", "suffix"), IN_MATROSKA)
def test_is_kept(tmp_path, codec, suffix, ratio):
    """8:9 of 72 columns are whole pixels, 32:27 are not."""
    source = clip(tmp_path / "in.mp4", ratio)
    target = tmp_path / f"out{suffix}"
    pixel_format = "yuv422p10le" if codec == "prores_ks" else None
    enhance_video(source, target, "identity", codec=codec, pix_fmt=pixel_format)
    assert aspect_of(target) == ratio
    assert len(read_frames(target)) == 6
    assert_whole(target.read_bytes())


def test_other_tracks_stay_as_they_are(tmp_path):
    """Chapters, fonts and long descriptions are behind what moves."""
    source = clip(
        tmp_path / "in.mkv", Fraction(16, 11), audio=("aac", "pcm_s16le"), prepare=add_extras
    )
    target = tmp_path / "out.mkv"
    enhance_video(source, target, "identity", codec="ffv1")
    assert aspect_of(target) == Fraction(16, 11)
    for kind in ("audio", "subtitle"):
        assert read_packets(target, kind) == read_packets(source, kind)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.chapters() == before.chapters()
        assert [s.data for s in after.streams.attachments] == [
            s.data for s in before.streams.attachments
        ]
    assert_whole(target.read_bytes())


def test_frames_are_still_found_by_time(tmp_path):
    source = clip(tmp_path / "in.mp4", Fraction(4, 3), frames=40)
    enhance_video(source, tmp_path / "out.mkv", "identity", codec="ffv1")
    with av.open(str(tmp_path / "out.mkv")) as container:
        for seconds in (1, 0, 1.2):
            container.seek(round(seconds * 1_000_000))
            frame = next(container.decode(video=0))
            assert frame.time == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(8, 9)], ids=str)
@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_cropping_is_kept(tmp_path, codec, ratio):
    """Decoders give whole frames: all of them are enhanced, and players hide what they hid."""
    source, target = cropped(tmp_path, ratio), tmp_path / "out.mkv"
    enhance_video(source, target, "identity", codec=codec)
    with VideoReader(source, threads=1) as before, VideoReader(target, threads=1) as after:
        assert before.facts.cropping == after.facts.cropping == (2, 4, 6, 8)
        assert after.facts.display == Display(ratio, (2, 4, 6, 8))
        assert (after.facts.width, after.facts.height) == (72, 64)
    assert_whole(target.read_bytes())


def test_cropping_that_would_be_lost_is_refused(tmp_path):
    source = cropped(tmp_path, Fraction(1))
    with pytest.raises(VideoError, match=r"lose the source's cropping; write to \.mkv$"):
        enhance_video(source, tmp_path / "out.mp4", "identity", codec="libx264")
    assert not (tmp_path / "out.mp4").exists()


def test_the_cropping_of_another_stream_is_not_taken(tmp_path):
    source = clip(tmp_path / "in.mkv", Fraction(1), codec="ffv1", audio=("aac",))
    write_displays(source, {0: Display(cropping=(0, 0, 2, 2))})
    with av.open(str(source)) as container:
        assert cropping_of(container, 0) == (0, 0, 2, 2)
        assert cropping_of(container, 1) == (0, 0, 0, 0)


def cropped(folder, ratio):
    source = clip(folder / "in.mkv", ratio, codec="ffv1")
    write_displays(source, {0: Display(ratio, (2, 4, 6, 8))})
    return source


def test_a_file_of_another_layout_is_left_alone(tmp_path):
    """Without a void behind the index there is no place."""
    source = clip(tmp_path / "in.mkv", Fraction(1), codec="ffv1")
    data = source.read_bytes().replace(b"\xec\x01", b"\xed\x01", 1)
    source.write_bytes(data)
    with pytest.raises(ValueError, match="no space"):
        write_displays(source, {0: Display(Fraction(4, 3))})
    assert source.read_bytes() == data


def clip(path, ratio, **options):
    prepare = options.pop("prepare", lambda container, video: None)

    def with_ratio(container, video):
        video.codec_context.sample_aspect_ratio = ratio
        prepare(container, video)

    return write_clip(path, **{"size": (72, 64), "frames": 6, **options}, prepare=with_ratio)


def aspect_of(path):
    with av.open(str(path)) as container:
        return container.streams.video[0].sample_aspect_ratio


def assert_whole(data):
    """What the index points to is there, and so are right checksums, which WebM has not."""
    segment = data.index(SEGMENT) + 12
    start = INDEX.search(data)
    index = data[start.end() : start.end() + start[1][0] - 0x80]
    places = {
        entry[1]: int.from_bytes(index[entry.end() : entry.end() + entry[2][0] - 0x80], "big")
        for entry in ENTRY.finditer(index)
    }
    assert {INFO, TRACKS, CUES} <= places.keys()
    for name, place in places.items():
        assert data[segment + place : segment + place + 4] == name
    start = segment + places[TRACKS] + 4
    length = 9 - data[start].bit_length()
    size = int.from_bytes(data[start : start + length], "big") - (1 << 7 * length)
    tracks = data[start + length : start + length + size]
    if b"matroska" in data[:segment]:
        for master in (index, tracks):
            assert master[:6] == b"\xbf\x84" + zlib.crc32(master[6:]).to_bytes(4, "little")
