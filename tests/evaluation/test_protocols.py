"""The papers' settings, and the colours of PeQuENet's release."""

from collections import Counter

import av
import numpy as np
import pytest
import yaml

from vqe_fast.data.color import rgb_of, rows_of
from vqe_fast.data.index import Index
from vqe_fast.data.spec import expand
from vqe_fast.evaluation import find_protocol, to_markdown
from vqe_fast.evaluation.protocol import PROTOCOLS
from vqe_fast.evaluation.rgb import pequenet_rgb, to_rgb
from vqe_fast.evaluation.setting import Setting
from vqe_fast.video.frames.color import ColorFacts

BT601 = ColorFacts(5, full_range=False)


def frame_of(y, u, v):
    """A 4×4 frame of one colour."""
    frame = av.VideoFrame(4, 4, "yuv420p")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        rows_of(plane)[:] = value
    return frame


@pytest.mark.parametrize("name", sorted(path.stem for path in PROTOCOLS.glob("*.yaml")))
def test_all_that_ship(name):
    protocol = find_protocol(name)
    assert protocol.title and bool(expand(protocol.degradations)) == (name != "multiscale")


def test_carcnn():
    """Twelve variants, in the order of the paper's columns."""
    found = [
        (each.max_bitrate, each.value) for each in expand(find_protocol("carcnn").degradations)
    ]
    assert found == [(rate, crf) for rate in (2000, 1500, 1000) for crf in (29, 35, 41, 47)]


def test_carcnn_at_the_papers_size(run, tmp_path):
    """Clips are scaled first; here to a smaller size still."""
    protocol = find_protocol("carcnn-512p")
    assert protocol.size == protocol.still_size == (910, 512)
    paper, scaled = (
        [each.max_bitrate for each in expand(find_protocol(name).degradations)]
        for name in ("carcnn", "carcnn-512p")
    )
    share = 910 * 512 / (1920 * 1080)
    assert scaled == pytest.approx([rate * share for rate in paper], rel=0.003)
    small = protocol.model_copy(
        update={"size": (46, 32), "degradations": protocol.degradations[:1], "frames": 1}
    )
    found = run({}, small, cache=tmp_path)
    assert not found.failed and len(found.settings) == 12
    assert {(clip.width, clip.height) for clip in Index.read(tmp_path).clips} == {(46, 32)}


@pytest.mark.parametrize("name", ["pequenet", "pequenet-release"])
def test_pequenet(name):
    protocol = find_protocol(name)
    degradations = expand(protocol.degradations)
    assert [each.base_qp for each in degradations] == [22, 27, 32, 37]
    assert {each.structure for each in degradations} == {"low_delay_p"}
    release = name == "pequenet-release"
    assert (protocol.chroma == "original", protocol.conversion == "pequenet") == (release, release)
    assert any("NOT comparable" in note for note in protocol.notes) == release


def test_qps_that_pequenet_was_not_trained_for(run):
    """Table X."""
    protocol = find_protocol("pequenet-other-qps")
    degradations = expand(protocol.degradations)
    assert [(each.base_qp, each.structure) for each in degradations] == [
        (24, "low_delay_p"),
        (35, "low_delay_p"),
    ]
    assert not run({}, "pequenet-other-qps", frames=2).failed


def test_codecs():
    """What users have, by families of settings."""
    degradations = expand(find_protocol("codecs").degradations)
    families = Counter(Setting.of(each).family for each in degradations)
    assert families == {
        "x265 QP": 5,
        "x264 QP": 5,
        "x264 CRF": 4,
        "VP9 CRF": 2,
        "SVT-AV1 CRF": 2,
        "x265 QP low-delay P": 2,
        "x265 QP cascade": 2,
    }


def test_codecs_in_an_evaluation(run):
    """Every encoder makes something of the clips, and each family gets a line."""
    found = run(["identity"], "codecs", frames=3)
    assert not found.failed and len(found.settings) == 22
    assert [gains.family for gains in found.gains] == list(found.families())
    report = to_markdown(found)
    assert "| x265 QP cascade: 32, 37 | identity | ±0.00 |" in report


def test_files(tmp_path):
    path = tmp_path / "mine.yaml"
    grid = {"codec": "libx264", "mode": "crf", "values": [30]}
    path.write_text(yaml.safe_dump({"degradations": [grid], "frames": 3, "tables": ["flicker"]}))
    assert find_protocol(str(path)).frames == 3
    refused = [{"table": []}, {"tables": ["mos"]}, {"chroma": "none"}, {"tables": []}]
    for wrong in (*refused, {"per_clip": 2}):
        path.write_text(yaml.safe_dump({"degradations": [grid]} | wrong))
        with pytest.raises(ValueError, match=f"{path} is not as it must be: .*{next(iter(wrong))}"):
            find_protocol(str(path))


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ((100, 128, 128), (100, 100, 100)),  # full range: 100 stays 100
        ((16, 128, 128), (16, 16, 16)),
        ((100, 148, 128), (100, 108, 141)),  # +0.395·20 in green, +2.032·20 = 40.64 in blue
        ((100, 128, 178), (157, 71, 100)),  # +57.0, −29.05
        ((250, 255, 255), (255, 226, 255)),  # 250 + 50.165 − 73.787 = 226.378
        ((3, 0, 128), (3, 0, 0)),
    ],
)
def test_the_formula_of_the_release(sample, expected):
    pixels = pequenet_rgb(frame_of(*sample))
    assert pixels.shape == (3, 4, 4)
    assert tuple(pixels[:, 0, 0].tolist()) == expected
    assert all(len(np.unique(plane)) == 1 for plane in pixels)


def test_chroma_of_the_release_is_repeated():
    frame = frame_of(100, 128, 128)
    rows_of(frame.planes[1])[0, 0] = 138
    blue = pequenet_rgb(frame)[2]
    assert (blue[:2, :2] == 120).all() and (blue[2:] == 100).all() and (blue[:2, 2:] == 100).all()


def test_whose_chroma_is_shown():
    restored, original = frame_of(90, 100, 150), frame_of(120, 140, 110)
    honest = to_rgb("decoded", "stream", BT601)(restored, original)
    np.testing.assert_array_equal(honest, rgb_of(restored, BT601))
    mixed = to_rgb("original", "stream", BT601)(restored, original)
    np.testing.assert_array_equal(mixed, rgb_of(frame_of(90, 140, 110), BT601))
    release = to_rgb("original", "pequenet", BT601)(restored, original)
    np.testing.assert_array_equal(release, pequenet_rgb(frame_of(90, 140, 110)))


def test_release_in_an_evaluation(run):
    """Luma is what it is under the honest protocol; RGB is not, and the report says so."""
    honest, release = (run({}, name, frames=2) for name in ("pequenet", "pequenet-release"))
    for one, other in zip(honest.rows, release.rows, strict=True):
        assert not one.error and not other.error
        assert one.figures["psnr_y"] == other.figures["psnr_y"]
        assert one.figures["psnr_rgb"] != other.figures["psnr_rgb"]
    assert "> NOT comparable" in to_markdown(release)
    assert "NOT comparable" not in to_markdown(honest)
