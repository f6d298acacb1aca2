"""The command ``vqe-fast inspect``: its table, its files, its exit codes."""

import json
import os
import re
import sys
import threading

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from support.media import damage_packet, full_disk, read_frames, write_clip
from vqe_fast.cli.app import app
from vqe_fast.inspection.inspect import read_frame
from vqe_fast.video import read_qp


@pytest.fixture
def clip(tmp_path):
    options = {"qp": "30", "x264-params": "bframes=2:b-adapt=0:b-pyramid=none"}
    return write_clip(tmp_path / "in.mp4", frames=10, size=(96, 64), options=options)


@pytest.fixture
def hevc(tmp_path):
    return write_clip(
        tmp_path / "hevc.mp4",
        codec="libx265",
        frames=8,
        options={"x265-params": "qp=24:log-level=none"},
    )


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def assert_refused(result, *words, code=2):
    """One sentence on stderr, that exit code, no table."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("vqe-fast: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def pixels(path):
    """A picture, (H, W, 3)."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def colourful(image):
    """How much of a picture is neither grey nor white."""
    return (np.ptp(image, axis=-1) > 40).mean()


def test_table(clip):
    result = run(clip)
    assert (result.exit_code, result.stderr) == (0, "")
    headline, *rows = result.stdout.splitlines()
    assert headline == f"{clip}: h264, 96×64 yuv420p, 25 fps, 10 frames"
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert cells["I"][:4] == ["1", "27.00", "27.00", "27.00"]
    assert cells["P"][1:4] == ["30.00", "30.00", "30.00"]
    assert cells["B"][1:4] == ["32.00", "32.00", "32.00"]
    frames = read_qp(clip)
    mean = np.mean([frame.qp for frame in frames])
    assert cells["all"][:4] == ["10", f"{mean:.2f}", "27.00", "32.00"]
    assert cells["all"][4] == f"{np.mean([frame.size for frame in frames]):,.0f}"
    assert "?" not in cells
    assert "means over the blocks" in result.stdout


def test_table_tells_where_the_figures_are_from(hevc, tmp_path):
    assert "of the slice headers" in run(hevc).stdout
    result = run(write_clip(tmp_path / "in.mkv", codec="mpeg4"))
    assert "QPs of this codec are not read" in result.stdout
    assert re.search(r"all +12 +– +– +–", result.stdout)


def test_json(clip, tmp_path):
    result = run(clip, "--json", tmp_path / "out.json")
    assert result.exit_code == 0
    assert "mean QP" in result.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    frames = found.pop("frames")
    assert found == {
        "file": str(clip),
        "codec": "h264",
        "width": 96,
        "height": 64,
        "pixel_format": "yuv420p",
        "frame_rate": "25",
        "time_base": "1/12800",
    }
    expected = [vars(frame) | {"blocks": frame.blocks.tolist()} for frame in read_qp(clip)]
    assert frames == expected


def test_json_on_stdout(hevc):
    result = run(hevc, "--json", "-")
    assert result.exit_code == 0
    frames = json.loads(result.stdout)["frames"]
    assert [frame["qp"] for frame in frames] == [frame.qp for frame in read_qp(hevc)]


def test_picture(clip, tmp_path):
    """The map of blocks covers the grey picture with colours."""
    picture = tmp_path / "out.png"
    result = run(clip, "--picture", picture, "--frame", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    with_map = pixels(picture)
    assert min(with_map.shape[:2]) > 500
    assert colourful(with_map) > 0.2


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_picture_without_a_map(tmp_path, codec):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    clip = write_clip(tmp_path / "in.mkv", codec=codec, options=options)
    result = run(clip, "--picture", tmp_path / "out.png")
    assert result.exit_code == 0
    assert 0 < colourful(pixels(tmp_path / "out.png")) < 0.15


@pytest.mark.parametrize("video", ["clip", "hevc"])
def test_the_frame_is_the_one_asked_for(video, request):
    """In display order, whether QPs are read with decoding or without."""
    path = request.getfixturevalue(video)
    for number, frame in enumerate(read_qp(path)):
        found, luma = read_frame(path, number)
        assert (found.pts, found.size) == (frame.pts, frame.size)
        errors = [np.abs(luma - planes[0].astype(int)).mean() for _, planes in read_frames(path)]
        assert np.argmin(errors) == number


def test_frames_of_ten_bits_are_drawn(tmp_path):
    """Their samples do not fit into a byte."""
    options = {"pixel_format": "yuv420p10le", "frames": 3}
    ten = write_clip(tmp_path / "ten.mkv", codec="ffv1", **options)
    _, luma = read_frame(ten, 1)
    assert (luma.shape, luma.dtype) == ((48, 64), np.uint8)
    assert run(ten, "--picture", tmp_path / "out.png").exit_code == 0


def test_refusals(clip, tmp_path, monkeypatch):
    picture = tmp_path / "out.png"
    nothing = tmp_path / "no" / "out"
    before = clip.read_bytes()
    assert_refused(run(tmp_path / "none.mp4"), "there is no file", code=3)
    assert_refused(run(clip, "--frame", 3), "--picture")
    assert_refused(run(clip, "--picture", picture, "--frame", 10), "has no frame 10")
    assert_refused(run(clip, "--picture", clip), "is the video itself")
    assert_refused(run(clip, "--json", clip), "is the video itself")
    assert_refused(run(clip, "--json", nothing), "cannot be written: No such file")
    assert_refused(run(clip, "--picture", nothing), "cannot be written: No such file")
    assert clip.read_bytes() == before
    assert not picture.exists()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert_refused(run(clip, "--picture", picture), "pip install matplotlib")


def test_refusing_leaves_no_file(tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"hello, this is no video\n" * 50)
    result = run(tmp_path / "in.mp4", "--json", tmp_path / "out.json")
    assert_refused(result, "is not a video", code=3)
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("kind", "suffix"), [("--json", "json"), ("--picture", "png")])
def test_a_full_disk_leaves_no_half_a_file(clip, tmp_path, kind, suffix):
    target = tmp_path / f"out.{suffix}"
    target.write_text("what was there before")
    with full_disk(500):
        result = run(clip, kind, target)
    assert_refused(result, f"{target} cannot be written: File too large")
    assert target.read_text() == "what was there before"
    assert sorted(tmp_path.iterdir()) == [clip, target]


def test_json_into_a_pipe(clip, tmp_path):
    """A file put in its place would leave its reader waiting."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    assert run(clip, "--json", pipe).exit_code == 0
    reader.join(30)
    assert len(json.loads(heard[0])["frames"]) == 10


def test_damage_in_the_middle(tmp_path):
    """Later frames move up in the list, and are drawn under their new numbers."""
    path = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=6, options={"g": "1"})
    originals = [planes[0].astype(int) for _, planes in read_frames(path)]
    damage_packet(path, 3)
    assert "5 frames" in run(path).stdout
    _, luma = read_frame(path, 3)
    assert np.argmin([np.abs(luma - original).mean() for original in originals]) == 4
