"""Arguments of vqe-fast enhance: OUTPUT that is not given, and names that there are not."""

import pytest
from typer.testing import CliRunner

from support.media import write_clip
from vqe_fast import enhance_video
from vqe_fast.cli.app import app
from vqe_fast.cli.batch_inputs import split_output
from vqe_fast.video import VideoError
from vqe_fast.video.media.output_name import beside

IDENTITY = ("--model", "identity")


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=3, size=(32, 32))


def test_an_output_beside_the_input(clip, tmp_path):
    result = run("enhance", clip, *IDENTITY)
    target = tmp_path / "in.enhanced.mp4"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{target}: 3 frames in ")
    assert sorted(tmp_path.iterdir()) == [target, clip]
    again = run("enhance", clip, *IDENTITY)
    assert again.exit_code == 2 and "in.enhanced.mp4 exists already" in again.stderr
    report = enhance_video(clip, model="identity", codec="libvpx-vp9", overwrite=True)
    assert report.target == str(target)


@pytest.mark.parametrize(
    ("source", "codec", "target"),
    [
        ("a/b.mp4", "libx264", "a/b.enhanced.mp4"),
        ("b.MOV", "libx264", "b.enhanced.MOV"),
        ("b.webm", "libx264", "b.enhanced.mkv"),
        ("b.webm", "source", "b.enhanced.webm"),
        ("b.avi", "source", "b.enhanced.mkv"),
        ("b.c", "ffv1", "b.enhanced.mkv"),
        (f"{'ü' * 125}.mp4", "libx264", f"{'ü' * 121}.enhanced.mp4"),
    ],
)
def test_names_of_outputs(tmp_path, source, codec, target):
    assert beside(tmp_path / source, codec) == tmp_path / target


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], "INPUT is missing"),
        (["-"], "OUTPUT is missing: name the file"),
        (["folder"], "OUTPUT is missing: name the directory to write to, after folder"),
        (["a.mp4", "b.mp4", "c.mp4"], "OUTPUT has to be a directory for 2 inputs, and c.mp4"),
        (["a.mp4", "b.mp4", "there"], "OUTPUT has to be a directory for 2 inputs, and there"),
    ],
)
def test_what_is_missing_is_named(tmp_path, monkeypatch, paths, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").touch()
    with pytest.raises(VideoError, match=words):
        split_output(paths)
    result = run("enhance", *paths)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert words in result.stderr
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("--codec", "x264", "libx264"),
        ("--codec", "H.264", "libx264"),
        ("--codec", "hevc", "libx265"),
        ("--codec", "h265", "libx265"),
        ("--codec", "av1", "libsvtav1"),
        ("--codec", "vp9", "libvpx-vp9"),
        ("--codec", "prores", "prores_ks"),
        ("--preset", "fats", "fast"),
        ("--model", "dualress", "dualres_s"),
        ("--model", "CAR-CNN", "carcnn"),
    ],
)
def test_values_that_were_meant(clip, tmp_path, option, value, meant):
    """The nearest is named first."""
    result = run("enhance", clip, tmp_path / "out.mp4", option, value)
    assert result.exit_code == 2
    assert f"did you mean {meant}" in result.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("enhance", "a.mp4", "--presets", "fast"), "--preset"),
        (("compare", "a.mp4", "b.mp4", "--ouput", "page.html"), "--output"),
        (("inspect", "a.mp4", "--jsn", "-"), "--json"),
        (("models", "--hlep"), "--help"),
        (("enhanse", "a.mp4"), "enhance"),
    ],
)
def test_options_that_were_meant(words, meant):
    result = run(*words)
    assert result.exit_code == 2
    assert meant in result.stderr.replace(words[2] if len(words) > 2 else words[-1], "")
