"""``--sharpen``: an unsharp mask over luma, after any model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.frames import assert_luma, enhanced, enhancer_of, lumas, textured
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise
from tests.cli.test_enhance import assert_refused, run
from vqe_fast.ops import unsharp_mask
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.strength import NONE
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import ResultWriter

AMOUNT = 0.75


def sharpened(pictures):
    """(T, H, W), each by itself."""
    return unsharp_mask(pictures[:, None], AMOUNT)[:, 0]


def chroma(frames):
    return [plane_view(frame, index).astype(int) for frame in frames for index in (1, 2)]


@pytest.mark.parametrize("tile", [None, 32])
def test_of_luma(tile):
    """After the model, and over whole frames where the model sees tiles."""
    frames = [textured(number) for number in range(3)]
    before, colours = lumas(frames), chroma(frames)
    frames, *_ = enhanced(Pointwise(lambda luma: 1 - luma), frames, sharpen=AMOUNT, tile=tile)
    assert_luma(frames, sharpened(1 - before))
    assert all(map(np.array_equal, chroma(frames), colours))


@pytest.mark.parametrize("planes", ["yuv", "rgb"])
def test_of_colours(planes):
    """Luma is sharpened, Cb and Cr stay."""
    frames = [textured(0, pixel_format="yuv444p")]
    for index, level in enumerate((0.5, 0.1, 0.1)):  # colours that RGB can show
        plane = plane_view(frames[0], index)
        plane[:] = 128 + (plane.astype(int) - 128) * level
    before, colours = lumas(frames), chroma(frames)
    model = Pointwise(lambda values: values, spec=replace(LUMA_SPEC, planes=planes))
    frames, *_ = enhanced(model, frames, sharpen=AMOUNT)
    off = 255 * (lumas(frames) - sharpened(before)).abs()
    assert off.max() <= 0.51 and (lumas(frames) != before).any()
    assert all(np.abs(a - b).max() <= 1 for a, b in zip(chroma(frames), colours, strict=True))


def test_fields_by_themselves():
    frame = textured(0)
    fields = [lumas([frame])[:, parity::2] for parity in (0, 1)]
    view = view_for("y", frame, fields=True)
    enhancer = enhancer_of(Pointwise(lambda luma: luma), frame, view, sharpen=AMOUNT)
    write = ResultWriter(1)
    for bundle in enhancer([FrameBundle(frame=frame)]):
        write(bundle)
    woven = torch.stack([sharpened(field)[0] for field in fields], 1).flatten(0, 1)
    assert_luma([frame], woven[None])


def test_also_where_nothing_is_corrected():
    """Else sharp and soft frames would take turns."""
    frame = textured(0)
    before = lumas([frame])
    enhancer = enhancer_of(Pointwise(lambda luma: 1 - luma), frame, sharpen=AMOUNT)
    bundle = FrameBundle(frame=frame, coding=FrameCoding(10.0, strength=NONE))
    for each in enhancer([bundle]):
        ResultWriter(1)(each)
    assert_luma([frame], sharpened(before))


def test_of_a_file(tmp_path):
    """The report and the tag tell of it; segments give the same."""
    source, target = write_clip(tmp_path / "in.mkv", size=(64, 48), frames=3), tmp_path / "out.mkv"
    options = ("--model", "identity", "--codec", "ffv1", "--sharpen", AMOUNT)
    assert run("enhance", source, target, *options).exit_code == 0
    found = [planes for _, planes in read_frames(target)]
    parted = tmp_path / "parted.mkv"
    options = {"codec": "ffv1", "sharpen": AMOUNT, "segment_seconds": 0.04}
    report = enhance_video(source, parted, "identity", **options)
    assert report.options["sharpen"] == AMOUNT
    for old, new, again in zip(read_frames(source), found, read_frames(parted), strict=True):
        luma = torch.from_numpy(old[1][0].astype(np.float32)) / 255
        wanted = (sharpened(luma[None])[0] * 255).round().clamp(0, 255).numpy()
        assert np.array_equal(new[0], wanted) and np.array_equal(new[1], old[1][1])
        assert all(map(np.array_equal, new, again[1]))
    told = run("enhance", target, tmp_path / "b.mkv", "--model", "identity", "--report", "-").stdout
    assert "model identity, sharpened by 0.75, fp32" in told


@pytest.mark.parametrize("amount", [-0.5, float("nan"), float("inf")])
def test_amounts_that_make_no_sense(tmp_path, amount):
    source = write_clip(tmp_path / "in.mkv", size=(64, 48), frames=2)
    with pytest.raises(VideoError, match="the amount of sharpening is a number from 0 on, got"):
        enhance_video(source, tmp_path / "out.mkv", "identity", sharpen=amount)
    result = run("enhance", source, tmp_path / "out.mkv", "--sharpen", amount)
    if amount > 0:
        assert_refused(result, "the amount of sharpening is a number from 0 on")
    assert result.exit_code == 2 and list(tmp_path.iterdir()) == [source]
