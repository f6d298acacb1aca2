"""A module of one's own, as a user writes it: float32 weights, no casts, default options."""

import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.media import read_frames, write_clip
from tests.support.modules import LUMA_SPEC
from vqe_fast.video import VideoError, enhance_video

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
SIZE = (48, 32)


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", size=SIZE, frames=16)


def test_the_example_of_the_docs(clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    section = PAGE.partition("## Your own model")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    names = {"__name__": "example"}
    exec(code, names)
    assert names["report"].frames_out == 16 and names["report"].precision == "fp32"
    assert names["report"].model == "Sharpen"


class Plain(nn.Module):
    """A convolution over whatever it sees, and a gain of the QP if it is told one."""

    def __init__(self, **spec):
        super().__init__()
        self.spec = replace(LUMA_SPEC, receptive_field=3, **spec)
        self.seen = 2 * self.spec.temporal_radius + 1
        self.conv = nn.Conv2d(self.seen, 1, 3, padding=1)
        self.gain = nn.Linear(1, 1)

    def forward(self, frames, qp=None):
        if self.spec.recurrent:
            result = self.conv(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        else:
            result = self.conv(frames.flatten(1, 2) if frames.dim() == 5 else frames)
        if self.spec.takes_qp:
            told = torch.as_tensor(qp, dtype=self.gain.weight.dtype, device=frames.device)
            result = result + self.gain(told.reshape(-1, 1) / 64).mean() / 255
        return result


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"takes_qp": True},
        {"temporal_radius": 1},
        {"temporal_radius": 1, "takes_qp": True, "coding_of_window": True},
        {"recurrent": True},
        {"recurrent": True, "takes_qp": True, "coding_of_window": True},
    ],
)
@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_every_kind(clip, tmp_path, spec, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    torch.manual_seed(0)
    out = tmp_path / "out.mkv"
    report = enhance_video(clip, out, Plain(**spec), codec="ffv1", precision=precision)
    assert report.frames_out == 16 == len(read_frames(out))
    assert precision == "auto" or report.precision == precision


def test_without_weights(clip, tmp_path):
    class Darker(nn.Module):
        spec = LUMA_SPEC

        def forward(self, luma):
            return luma * 0.5

    report = enhance_video(clip, tmp_path / "out.mkv", Darker(), codec="ffv1")
    assert report.precision == "fp32"
    (_, planes), (_, before) = read_frames(tmp_path / "out.mkv")[0], read_frames(clip)[0]
    assert abs(planes[0].astype(float) - before[0] / 2).max() <= 0.5


class Locked(Plain):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_what_cannot_be_copied_or_sent(clip, tmp_path):
    out = tmp_path / "out.mkv"
    with pytest.raises(VideoError, match=r"the model Locked cannot be copied .*_thread\.lock"):
        enhance_video(clip, out, Locked())

    class Local(Plain):
        """Pickle finds it in no module."""

    with pytest.raises(VideoError, match=r"the model Local cannot be sent to workers .* without w"):
        enhance_video(clip, out, Local(), workers=2, segment_seconds=0.2)
    with pytest.raises(VideoError, match="precision must be auto, fp32, bf16, fp16; got 'int8'"):
        enhance_video(clip, out, Plain(), precision="int8")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
