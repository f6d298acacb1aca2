"""What is said after an interruption names what to type."""

import pytest

from vqe_fast.cli.going_on import after_one, after_several
from vqe_fast.cli.pipes import PIPE
from vqe_fast.video.segments.parts_folder import parts_path

ONE_PASS = {
    "segment_seconds": None,
    "workers": 1,
    "resume": False,
    "frames": None,
    "start": 0.0,
    "overwrite": False,
    "container": "given",
}


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({}, "; --segment-seconds 30 keeps finished parts, for --resume to go on with"),
        ({"frames": 9}, ""),
        ({"start": 9.5}, ""),
        ({"segment_seconds": 5.0}, ", as no segment of it was finished yet"),
        ({"workers": 2}, ", as no segment of it was finished yet"),
    ],
)
def test_without_parts(tmp_path, asked, hint):
    target = tmp_path / "out.mp4"
    said = after_one(tmp_path / "in.mp4", target, ONE_PASS | asked)
    assert said == f"interrupted, {target} was not written{hint}"


@pytest.mark.parametrize("resume", [True, False])
def test_with_parts(tmp_path, resume):
    target = tmp_path / "out.mp4"
    parts_path(target).mkdir()
    options = ONE_PASS | {"segment_seconds": 5.0, "resume": resume}
    words = "goes on" if resume else "with --resume goes on"
    assert after_one(tmp_path / "in.mp4", target, options) == (
        f"interrupted, out.mp4.parts holds what is finished; the same command {words}"
    )


def test_parts_in_another_container(tmp_path):
    """An output whose container was chosen has its parts under the name that it gets."""
    parts_path(tmp_path / "out.mkv").mkdir()
    options = ONE_PASS | {"segment_seconds": 5.0}
    names = tmp_path / "in.mp4", tmp_path / "out.mp4"
    assert "no segment" in after_one(*names, options)
    assert "out.mkv.parts holds" in after_one(*names, options | {"container": "auto"})


def test_pipes(tmp_path):
    said = after_one(PIPE, tmp_path / "out.mp4", ONE_PASS)
    assert said == f"interrupted, {tmp_path / 'out.mp4'} was not written"


def test_several(tmp_path):
    """With --overwrite the outputs that are there would be made again."""
    begin = f"interrupted, {tmp_path} lacks files"
    goes_on = f"{begin}; the same command with --resume goes on"
    assert after_several(tmp_path, ONE_PASS) == goes_on
    assert after_several(tmp_path, ONE_PASS | {"overwrite": True}) == (
        f"{goes_on}, without --overwrite"
    )
    assert after_several(tmp_path, ONE_PASS | {"frames": 3}) == begin
