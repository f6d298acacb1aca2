"""Tags: kept under whatever name, where players look for them, or named as lost."""

import struct
from fractions import Fraction

import av
import pytest

from support.media import add_extras, read_frames, write_clip
from vqe_fast.video import enhance_video
from vqe_fast.video.media.quicktime_tags import append_tags

ORDINARY = {"title": "Ünïcode", "artist": "Someone", "comment": "one\ntwo", "date": "2021-03-04"}
UNUSUAL = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.location.ISO6709": "+48.1+011.5/",
    "com.apple.quicktime.creationdate": "2023-05-06T07:08:09+0200",
    "com.android.capture.fps": "240.000000",
    "custom_key": "custom välue",
}
TIME = {"creation_time": "2023-05-06T05:08:09.000000Z"}


def tagged(path):
    """A clip with all these tags, as FFmpeg's option for tags of any name writes them."""
    clip = write_clip(path.with_name(f"plain{path.suffix}"), audio=("aac",))
    with (
        av.open(str(clip)) as source,
        av.open(str(path), "w", container_options={"movflags": "use_metadata_tags"}) as target,
    ):
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        target.metadata.update(ORDINARY | UNUSUAL | TIME)
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


def tags(path):
    with av.open(str(path)) as container:
        return {name.lower(): value for name, value in container.metadata.items()}


@pytest.mark.parametrize("source_suffix", [".mov", ".mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tags_of_any_name_are_kept(tmp_path, source_suffix, suffix):
    source, target = tagged(tmp_path / f"in{source_suffix}"), tmp_path / f"out{suffix}"
    report = enhance_video(source, target, "identity", codec="libx264", crf=0)
    expected = {k.lower(): v for k, v in (ORDINARY | UNUSUAL | TIME).items()}
    assert expected.items() <= tags(target).items()
    assert report.not_kept == ()
    assert len(read_frames(target)) == len(read_frames(source))


@pytest.mark.parametrize(("suffix", "title"), [(".mp4", b"\xa9nam"), (".mov", b"\xa9nam")])
def test_ordinary_tags_stay_where_players_look(tmp_path, suffix, title):
    """Under a key of its own Apple's players do not find a title."""
    source, target = tagged(tmp_path / "in.mov"), tmp_path / f"out{suffix}"
    enhance_video(source, target, "identity")
    data = target.read_bytes()
    assert title in data and b"mdtatitle" not in data
    assert b"mdtacustom_key" in data


def test_a_file_with_ordinary_tags_alone_gets_no_others(tmp_path):
    source = write_clip(
        tmp_path / "in.mp4", prepare=lambda container, _: container.metadata.update(ORDINARY)
    )
    enhance_video(source, tmp_path / "out.mp4", "identity")
    assert b"mdta" not in (tmp_path / "out.mp4").read_bytes()
    assert ORDINARY.items() <= tags(tmp_path / "out.mp4").items()


def test_frames_per_second_are_a_number(tmp_path):
    source, target = tagged(tmp_path / "in.mov"), tmp_path / "out.mp4"
    enhance_video(source, target, "identity")
    assert struct.pack(">IIf", 23, 0, 240) in target.read_bytes()


def test_tags_of_streams_and_chapters_that_are_lost_are_named(tmp_path):
    def prepare(container, video):
        video.metadata.update(title="the picture", mood="calm")
        container.set_chapters(
            [
                {
                    "id": 1,
                    "start": 0,
                    "end": 400,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": "one", "place": "here"},
                }
            ]
        )

    source = write_clip(tmp_path / "in.mkv", audio=("aac",), prepare=prepare)
    report = enhance_video(source, tmp_path / "out.mp4", "identity")
    assert report.not_kept == ("tag MOOD of stream 0", "tag PLACE of chapters")
    assert enhance_video(source, tmp_path / "out.mkv", "identity").not_kept == ()


@pytest.mark.parametrize("route", [".mkv .mp4 .mkv", ".mov .mp4 .mov"])
def test_titles_of_streams_move_between_containers(tmp_path, route):
    """QuickTime's demuxer calls them names."""

    def prepare(container, video):
        video.metadata["title"] = "the picture"
        container.streams.audio[0].metadata["title"] = "the sound"

    first, *rest = route.split()
    path = write_clip(tmp_path / f"in{first}", audio=("aac",), prepare=prepare)
    for suffix in rest:
        source, path = path, tmp_path / f"{path.stem}-{suffix[1:]}{suffix}"
        assert enhance_video(source, path, "identity").not_kept == ()
    with av.open(str(path)) as container:
        titles = [{"title", "name"} & stream.metadata.keys() for stream in container.streams]
        found = [s.metadata[name] for s, (name,) in zip(container.streams, titles, strict=True)]
    assert found == ["the picture", "the sound"]


def test_the_tag_of_an_earlier_enhancement_is_replaced(tmp_path):
    source = write_clip(tmp_path / "in.mp4")
    enhance_video(source, tmp_path / "once.mkv", "identity", codec="libx264")
    report = enhance_video(tmp_path / "once.mkv", tmp_path / "twice.mkv", "identity", crf=5)
    assert report.not_kept == ()
    assert "crf" in tags(tmp_path / "twice.mkv")["enhanced_by"]


def test_lost_tags_are_named_of_segments_too(tmp_path):
    source = write_clip(
        tmp_path / "in.mkv", frames=25, prepare=lambda _, video: video.metadata.update(mood="calm")
    )
    report = enhance_video(source, tmp_path / "out.mp4", "identity", segment_seconds=0.4)
    assert report.not_kept == ("tag MOOD of stream 0",)


def test_attachments_do_not_shift_streams(tmp_path):
    source = write_clip(tmp_path / "in.mkv", audio=("aac", "flac"), prepare=add_extras)
    assert enhance_video(source, tmp_path / "out.mkv", "identity").not_kept == ()


def test_statistics_of_the_old_file_are_left_out(tmp_path):
    old = {"BPS-eng": "7", "NUMBER_OF_FRAMES": "9", "_STATISTICS_WRITING_APP": "a muxer"}
    source = write_clip(
        tmp_path / "in.mkv", prepare=lambda _, video: video.metadata.update(old, kept="yes")
    )
    report = enhance_video(source, tmp_path / "out.mkv", "identity")
    with av.open(str(tmp_path / "out.mkv")) as container:
        found = container.streams.video[0].metadata
    assert found["KEPT"] == "yes" and not found.keys() & old.keys()
    assert report.not_kept == ()


def test_a_movie_header_that_is_not_last(tmp_path):
    path = write_clip(tmp_path / "in.mp4")
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8, b"free"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="does not come last"):
        append_tags(path, {"key": "value"}, is_quicktime=False)
    assert path.read_bytes() == before
