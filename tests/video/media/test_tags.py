"""Tags of colour and chroma: each comes back as it was, or is refused before any work."""

from pathlib import Path

import pytest

from support.media import write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.media.encoders import SOFTWARE
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.stream_info import ColorTags

PIXEL_FORMATS = {"prores_ks": "yuv422p10le", "dnxhd": "yuv422p"}
PLACES = [(codec, suffix) for codec, each in SOFTWARE.items() for suffix in each.suffixes]
NONE = {"primaries": 2, "transfer": 2, "matrix": 2, "range": 0, "siting": "unspecified"}
ODD = [
    {"range": 2},
    {"range": 1},
    {"matrix": 6},
    {"matrix": 8},
    {"matrix": 9},
    {"matrix": 16},
    {"matrix": 4, "range": 2},
    {"primaries": 9},
    {"primaries": 22},
    {"transfer": 16},
    {"transfer": 18, "range": 2},
    {"siting": "topleft"},
    {"siting": "center"},
    {"siting": "bottom"},
    {"primaries": 1, "transfer": 1, "matrix": 1, "range": 1},
    {"primaries": 9, "transfer": 16, "matrix": 9, "range": 2, "siting": "topleft"},
]
MUST_BE_KEPT = {
    ("ffv1", ".mp4"): [{"range": 2}, {"matrix": 8}, {"primaries": 22}, {"transfer": 16}],
    ("ffv1", ".mkv"): [{"range": 2}, {"matrix": 16}, {"siting": "center"}],
    ("libx264", ".mp4"): [{"range": 2}, {"matrix": 8}, {"siting": "bottom"}],
    ("libx265", ".mov"): [{"range": 2}, {"transfer": 16}, {"siting": "bottom"}],
    ("libsvtav1", ".mp4"): [{"siting": "topleft"}, {"matrix": 16}],
    ("libvpx-vp9", ".webm"): [{"range": 2}, {"siting": "center"}],
    ("prores_ks", ".mov"): [{"matrix": 6}, {"siting": "topleft"}],
}
MUST_BE_REFUSED = {
    ("ffv1", ".mp4"): [{"siting": "center"}],
    ("libvpx-vp9", ".mkv"): [{"matrix": 8}],
    ("libsvtav1", ".mp4"): [{"siting": "center"}],
    ("prores_ks", ".mov"): [{"range": 2}],
    ("dnxhd", ".mov"): [{"matrix": 6}],
}


@pytest.mark.parametrize(("codec", "suffix"), PLACES)
def test_odd_tags(tmp_path, codec, suffix):
    """One tag alone, where muxers expect all or none, and codes that few codecs have."""
    kept, refused = [], []
    for tags in ODD:
        source = clip(tmp_path / "in.mkv", PIXEL_FORMATS.get(codec, "yuv420p"), tags)
        target = tmp_path / f"out{suffix}"
        try:
            enhance_video(source, target, "identity", codec=codec, overwrite=True)
        except VideoError as error:
            assert "would lose the source's" in str(error)
            refused.append(tags)
            continue
        assert meaning(target) == meaning(source), tags
        kept.append(tags)
    assert all(tags in kept for tags in MUST_BE_KEPT.get((codec, suffix), []))
    assert all(tags in refused for tags in MUST_BE_REFUSED.get((codec, suffix), []))


@pytest.mark.parametrize(("codec", "suffix"), MUST_BE_REFUSED)
def test_a_refusal_names_what_is_accepted(tmp_path, codec, suffix):
    for tags in MUST_BE_REFUSED[codec, suffix]:
        source = clip(tmp_path / "in.mkv", PIXEL_FORMATS.get(codec, "yuv420p"), tags)
        with pytest.raises(VideoError) as caught:
            enhance_video(source, tmp_path / f"out{suffix}", "identity", codec=codec)
        ways = str(caught.value).partition("; ")[2].replace(", or ", " or ")
        suffixes = [each for each in (".mp4", ".mov", ".mkv", ".webm") if each in ways.split()]
        codecs = [name for name in SOFTWARE if name in ways.split()]
        assert suffixes or codecs
        both = "and choose" in ways
        for each in suffixes:
            for name in codecs if both else [codec]:
                assert_kept(source, tmp_path / f"kept{each}", name)
        for name in [] if both else codecs:
            assert_kept(source, tmp_path / f"kept{suffix}", name)


def test_refused_before_any_work(tmp_path):
    source = clip(tmp_path / "in.mkv", "yuv420p", {"matrix": 8})
    with pytest.raises(VideoError, match=r"colour matrix \(8\); choose libx264 or libx265"):
        enhance_video(source, tmp_path / "out.mkv", "identity", codec="libvpx-vp9")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]


def assert_kept(source: Path, target: Path, codec: str) -> None:
    enhance_video(source, target, "identity", codec=codec, overwrite=True)
    assert meaning(target) == meaning(source)


def clip(path, pixel_format, tags):
    """A clip of FFV1 in Matroska, which has all tags but two sitings; these are H.264's."""
    tags = NONE | tags

    def prepare(_, video):
        context = video.codec_context
        context.color_primaries, context.color_trc = tags["primaries"], tags["transfer"]
        context.colorspace, context.color_range = tags["matrix"], tags["range"]
        context.options["chroma_sample_location"] = tags["siting"]

    codec = "libx264" if tags["siting"] == "bottom" else "ffv1"
    return write_clip(
        path, codec=codec, pixel_format=pixel_format, size=(256, 128), frames=2, prepare=prepare
    )


def meaning(path):
    """What a player makes of the tags: limited range and chroma on the left where they are silent.

    Chroma with as many rows as luma lies beside these.
    """
    with VideoReader(path, threads=1) as source:
        facts = source.facts
    color: ColorTags = facts.color
    across = "middle" if facts.chroma_location in ("center", "top", "bottom") else "left"
    down = facts.chroma_location.replace("left", "").replace("center", "")
    is_halved = "420" in facts.pixel_format
    return (
        (color.primaries, color.transfer, color.matrix, color.range == 2),
        (across, down.replace("unspecified", "") if is_halved else ""),
    )
