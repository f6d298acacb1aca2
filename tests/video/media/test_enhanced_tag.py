"""The tag that says by what and how a file was enhanced, and what the report knows."""

import re

import av
import pytest
import torch

from tests.cli.test_enhance import run
from tests.support.media import write_clip
from vqe_fast import __version__, create_model
from vqe_fast.models.model_hash import weights_hash
from vqe_fast.video import enhance_video

SIZE = (32, 32)
RUN = re.compile(r", run [0-9a-f]{12}$")
IDENTITY = f"vqe_fast {__version__}, model identity, fp32, libx264 crf 18"


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mkv", size=SIZE, frames=3)


def without_run(text):
    """What a tag says before the fingerprint, which it has to have."""
    assert RUN.search(text)
    return RUN.sub("", text)


def tags(path):
    with av.open(str(path)) as container:
        return container.metadata, container.streams.video[0].metadata


@pytest.mark.parametrize(("suffix", "name"), [(".mkv", "ENHANCED_BY"), (".mp4", "encoder")])
def test_of_the_file(clip, tmp_path, suffix, name):
    out = tmp_path / f"out{suffix}"
    report = enhance_video(clip, out, "identity", tag=True)
    assert without_run(tags(out)[0][name]) == IDENTITY
    assert report.enhanced_before is None and report.weights is None


def test_of_webm(clip, tmp_path):
    enhance_video(clip, tmp_path / "out.webm", "identity", codec="libvpx-vp9", crf=40, preset="8")
    said = tags(tmp_path / "out.webm")[0]["ENHANCED_BY"]
    assert (
        without_run(said)
        == f"vqe_fast {__version__}, model identity, fp32, libvpx-vp9 crf 40 preset 8"
    )


def test_of_quicktime(clip, tmp_path):
    """Only the name of the encoder has room for it, 31 characters."""
    enhance_video(clip, tmp_path / "out.mov", "identity")
    assert tags(tmp_path / "out.mov")[1]["encoder"] == IDENTITY[:31]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_left_out(clip, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    assert run("enhance", clip, out, "--model", "identity", "--no-tag").exit_code == 0
    assert "vqe_fast" not in str(tags(out))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_enhanced_twice(clip, tmp_path, suffix):
    """It is said; the tag is that of the last time."""
    once, twice = tmp_path / f"once{suffix}", tmp_path / f"twice{suffix}"
    enhance_video(clip, once, "identity", crf=30)
    result = run("enhance", once, twice, "--model", "identity", "--quiet")
    assert result.exit_code == 0
    before = IDENTITY.replace("18", "30")
    assert f"{once} was enhanced before ({before[:31]}" in result.stderr
    assert result.stderr.endswith("): enhancing twice is seldom wanted\n")
    assert str(tags(twice)).count("model identity") == 1
    report = enhance_video(once, twice, "identity", overwrite=True)
    assert before.startswith(RUN.sub("", report.enhanced_before))


def test_weights(clip, tmp_path):
    """Their hash is that of the file's tensors, whatever the precision."""
    model = create_model("carcnn_small", pretrained=True)
    out = tmp_path / "out.mkv"
    report = enhance_video(clip, out, "carcnn_small", precision="bf16")
    assert report.weights == weights_hash(model)
    said = f"model carcnn_small (weights {report.weights[:12]}), bf16, libx264 crf 18"
    assert without_run(tags(out)[0]["ENHANCED_BY"]).endswith(said)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1
    assert weights_hash(model) != report.weights


def test_of_segments(clip, tmp_path):
    out = tmp_path / "out.mkv"
    enhance_video(clip, out, "identity", segment_seconds=1)
    assert without_run(tags(out)[0]["ENHANCED_BY"]) == IDENTITY


def test_versions_and_sizes(clip, tmp_path):
    out = tmp_path / "out.mkv"
    report = enhance_video(clip, out, "identity").to_dict()
    assert report["source_bytes"] == clip.stat().st_size
    assert report["target_bytes"] == out.stat().st_size
    known = report["versions"]
    assert known["vqe_fast"] == __version__ and known["torch"] == torch.__version__
    assert known["av"] == av.__version__
    assert known["libavcodec"] == ".".join(map(str, av.library_versions["libavcodec"]))
