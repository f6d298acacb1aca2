"""The weights that ship, on real footage that they were not trained on."""

import json

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from support.footage import COLLECTION, needs_collection, packaged_clip
from support.media import samples
from support.pairs import prepare_clip
from support.workers import shared_folder
from vqe_fast import create_model
from vqe_fast.cli.app import app
from vqe_fast.data.clips import read_clip
from vqe_fast.data.degradation import Degradation
from vqe_fast.demonstration import demo
from vqe_fast.models import spec_of
from vqe_fast.training.gains import measure

FRAMES = 8
APART = 4
SETTINGS = [Degradation(codec, "qp", qp) for codec in ("libx264", "libx265") for qp in (32, 37, 42)]
EVERY_CODEC = [
    *SETTINGS,
    Degradation("libvpx-vp9", "crf", 40),
    Degradation("libsvtav1", "crf", 45),
    Degradation("libx265", "qp", 32, structure="low_delay_p"),
    Degradation("libx265", "qp", 32, structure="cascade"),
]


@pytest.fixture(scope="module", params=["carcnn_small", "dualres_s"])
def model(request):
    return create_model(request.param, pretrained=True).eval()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What is encoded for one model is there for the other."""
    return shared_folder(tmp_path_factory, "footage")


def settings_for(model):
    """Those that its weights are offered for."""
    return EVERY_CODEC if spec_of(model).takes_coding else SETTINGS


@pytest.mark.parametrize("file", ["bikes.mp4", "bigbuckbunny.mp4"])
def test_packaged_clips_gain(model, file, cache, tmp_path):
    frames = read_clip(packaged_clip(file), FRAMES).frames
    small = [frame.reformat(320, frame.height * 320 // frame.width // 2 * 2) for frame in frames]
    clip = prepare_clip(small, settings_for(model), tmp_path, cache)
    rows = measure(model, [clip], frame_step=APART)
    for row in rows:
        assert row.psnr_gain > 0, row
        assert row.ssim_gain > 0, row
    if spec_of(model).planes == "yuv":
        assert sum(row.chroma_gain for row in rows) / len(rows) > 0.05


def middle(frame, width=208, height=160):
    """The middle of a yuv420p frame, which models take less long for."""
    planes = []
    for index, plane in enumerate(frame.planes):
        w, h = (width, height) if index == 0 else (width // 2, height // 2)
        left, top = (plane.width - w) // 4 * 2, (plane.height - h) // 4 * 2
        planes.append(samples(plane)[top : top + h, left : left + w].reshape(-1, width))
    joined = np.ascontiguousarray(np.concatenate(planes))
    return av.VideoFrame.from_ndarray(joined, format="yuv420p")


@needs_collection
def test_validation_clips_gain(model, cache, tmp_path):
    """On average at every setting, and no clip loses more than 0.05 dB, in two frames of each."""
    settings = settings_for(model)
    clips = []
    for path in sorted((COLLECTION / "val" / "video").glob("*.mkv")):
        frames = map(middle, read_clip(path, APART + 1).frames)
        clips.append(prepare_clip(list(frames), settings, tmp_path / path.stem, cache))
    rows = measure(model, clips, frame_step=APART)
    for setting in settings:
        gains = [row.psnr_gain for row in rows if row.setting == setting.name]
        assert len(gains) == len(clips)
        assert sum(gains) > 0 and min(gains) > -0.05, (setting.name, gains)


def audio_packets(path):
    with av.open(str(path), "r") as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_demo(tmp_path, monkeypatch):
    """The demo on a few frames: its figures, its files, and sound that nobody touched."""
    packaged_clip("bikes.mp4")
    read = demo.read_clip
    monkeypatch.setattr(demo, "read_clip", lambda path: read(path, FRAMES))
    run = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames_in"] == report["frames_out"] == FRAMES
    assert report["psnr_after"] > report["psnr_before"]
    assert report["ssim_after"] > report["ssim_before"]
    assert report["seconds"] > 0
    compressed = audio_packets(tmp_path / "out" / "compressed_bigbuckbunny.mp4")
    assert compressed and compressed == audio_packets(tmp_path / "out" / "enhanced.mp4")
    assert (tmp_path / "out" / "before_after.png").stat().st_size > 10_000
