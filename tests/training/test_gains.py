"""Models on whole frames."""

import csv
import tomllib
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from support.held_clips import texture_pair
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast import create_model
from vqe_fast.data.pairs import PairedClip, Variant
from vqe_fast.training.card import Card
from vqe_fast.training.full_frames import restored_frames
from vqe_fast.training.gains import Measurement, compare, measure, summarise, write_csv
from vqe_fast.training.losses import relative_charbonnier_loss

CPU = torch.device("cpu")
SIDE = 32
TWICE = 20 * np.log10(2)
"""Half the error, in dB."""


@dataclass(frozen=True)
class Held:
    """Footage of luma and chroma, (T, 3HW/2), in memory."""

    yuv: np.ndarray

    @property
    def shape(self):
        return len(self.yuv), SIDE, SIDE

    def samples(self, planes):
        luma = self.yuv[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE)
        return self.yuv if planes == "yuv" else luma


def off_by(*errors, name="clip"):
    """A clip whose compressed frames are off by so many steps, each (Y, Cb, Cr)."""
    generator = np.random.default_rng(0)
    quarter = SIDE * SIDE // 4
    pristine = generator.integers(60, 180, (len(errors), 6 * quarter), np.uint8)
    steps = np.array(errors, np.uint8).repeat([4 * quarter, quarter, quarter], axis=1)
    variant = Variant(Held(pristine + steps), np.full(len(errors), 30, np.float32))
    return PairedClip(name, Held(pristine), {"QP 30": variant})


def less(*steps, planes="yuv"):
    """A model that takes so many steps of 8 bits away, from each plane."""
    shift = torch.tensor(steps).view(-1, 1, 1) / 255
    return Pointwise(lambda frames: frames - shift, replace(LUMA_SPEC, planes=planes))


def test_a_model_that_does_nothing():
    rows = measure(Pointwise(), [texture_pair()])
    assert [row.setting for row in rows] == ["x264 QP 30", "x264 QP 40"]
    for row in rows:
        assert row.psnr_gain == 0 and row.ssim_gain == 0 and 15 < row.psnr_before < 45
    assert summarise(rows)["x264 QP 30"]["worst_psnr_gain"] == 0


def test_the_qp_of_each_frame_is_told():
    clip = texture_pair()
    clip.settings["x264 QP 30"].qp[:] = np.arange(6) + 20
    told = []

    class Listens(Pointwise):
        def forward(self, luma, qp):
            told.append(qp)
            return luma

    model = Listens(spec=replace(LUMA_SPEC, takes_qp=True))
    measure(model, [clip], frame_step=2)
    assert sorted(told) == [20, 22, 24, 40, 40, 40]
    told.clear()
    measure(model, [clip], frame_step=3, qp="base")
    assert sorted(told) == [30, 30, 40, 40]


@pytest.mark.parametrize(
    ("name", "options"), [("pequenet", {"configuration": "A"}), ("basicvsr", {"scale": 1})]
)
def test_neighbours_and_clips(name, options):
    """Frames come in the order asked for, each made of its own neighbours."""
    torch.manual_seed(0)
    options |= {"width": 4, "blocks": 1} if name == "basicvsr" else {}
    model, clip = create_model(name, **options).eval(), texture_pair(frames=4, size=32)
    planes = model.spec.planes
    given = torch.tensor(clip.compressed(planes, "x264 QP 30")).float() / 255
    with torch.no_grad():
        if name == "basicvsr":
            expected = model(given[None])[0]
        else:
            windows = [[max(t - 1, 0), t, min(t + 1, 3)] for t in range(4)]
            expected = torch.cat([model(given[w][None, :, None]) for w in windows])
    found = restored_frames(model, clip, "x264 QP 30", [0, 2, 3], device=CPU)
    for frame, number in zip(found, [0, 2, 3], strict=True):
        rounded = (expected[number] * 255).round().clamp(0, 255).numpy().reshape(frame.shape)
        assert np.abs(frame.astype(float) - rounded).max() <= 1


def test_luma_and_chroma():
    """Each on its own: luma is what a model of luma would gain."""
    clip = off_by((4, 4, 2), (4, 4, 2))
    (row,) = measure(less(2, 2, 1), [clip])
    (luma,) = measure(less(2, planes="y"), [clip])
    for figure in ("psnr_before", "psnr_after", "ssim_before", "ssim_after"):
        assert getattr(row, figure) == getattr(luma, figure)
    assert row.psnr_before == pytest.approx(20 * np.log10(255 / 4), abs=1e-4)
    assert row.psnr_gain == pytest.approx(TWICE, abs=1e-4)
    errors = (255 / 4, 255 / 2)
    assert row.chroma_before == pytest.approx(np.mean(20 * np.log10(errors)), abs=1e-4)
    assert row.chroma_gain == pytest.approx(TWICE, abs=1e-4)
    (row,) = measure(less(0, 2, 0), [clip])
    assert row.psnr_gain == 0 and row.chroma_gain == pytest.approx(TWICE / 2, abs=1e-4)
    assert luma.chroma_before is luma.chroma_after is luma.chroma_gain is None


def test_a_distance_beside_psnr(tmp_path):
    """Of luma before and after, over the frames that compression changed."""
    distance = torch.nn.L1Loss()
    (row,) = measure(less(3, planes="y"), [off_by((4, 4, 4), (0, 0, 0))], distance=distance)
    assert row.distance_before == pytest.approx(4 / 255, abs=1e-6)
    assert row.distance_after == pytest.approx(1 / 255, abs=1e-6)
    write_csv([row], tmp_path / "seen.csv")
    (found,) = csv.DictReader((tmp_path / "seen.csv").open())
    assert float(found["distance_after"]) == row.distance_after and "chroma_after" not in found


def test_what_has_no_error_gains_none():
    """Planes, frames and clips that compression left alone do not count, whatever came of them."""
    flat = (0, 0, 0)
    clips = [off_by((4, 2, 0), flat, (4, 0, 0), name="a"), off_by(flat, flat, name="b")]
    model = less(2, 1, 1)
    some, none = measure(model, clips)
    assert some.psnr_gain == pytest.approx(TWICE, abs=1e-4)
    assert some.chroma_gain == pytest.approx(TWICE, abs=1e-4), "one frame of Cb"
    (whole,) = measure(model, [off_by((4, 2, 0), (4, 2, 0))])
    assert some.ssim_before == pytest.approx(whole.ssim_before, abs=1e-3)
    assert none == Measurement("b", "QP 30", *[None] * 4)
    assert none.psnr_gain is none.ssim_gain is none.chroma_gain is None
    gains = summarise([some, none])["QP 30"]
    assert gains["psnr_gain"] == gains["worst_psnr_gain"] == some.psnr_gain
    assert (gains["ssim_gain"], gains["chroma_gain"]) == (some.ssim_gain, some.chroma_gain)
    assert summarise([none]) == {}
    (mended,) = measure(less(4, 4, 2), [off_by((4, 4, 2))])
    assert mended.psnr_after == mended.chroma_after == 100


def test_equal_frames():
    frames = off_by((0, 0, 0), (4, 0, 0))
    luma, original = (
        each.samples("y") for each in (frames.settings["QP 30"].footage, frames.footage)
    )
    psnr, ssim = compare(luma, original)
    assert psnr == pytest.approx((100 + 20 * np.log10(255 / 4)) / 2, abs=1e-4)
    assert 0.5 < ssim < 1
    with pytest.raises(ValueError, match="clips of one shape can be compared"):
        compare(luma[1:], original)


def test_files(tmp_path):
    """Those of models of luma are as they always were."""
    luma = Measurement("a", "QP 30", 30.0, 30.5, 0.8, 0.9)
    both = replace(luma, clip="b", chroma_before=40.0, chroma_after=40.25)
    write_csv([luma], tmp_path / "luma.csv")
    header = "clip,setting,psnr_before,psnr_after,ssim_before,ssim_after"
    text = (tmp_path / "luma.csv").read_text()
    assert text.splitlines() == [header, "a,QP 30,30.0,30.5,0.8,0.9"]
    write_csv([both, Measurement("c", "QP 30", *[None] * 4)], tmp_path / "both.csv")
    found, empty = csv.DictReader((tmp_path / "both.csv").open())
    assert found["chroma_after"] == "40.25" and set(empty.values()) == {"c", "QP 30", ""}
    about = {"options": {}, "file": "f", "recipe": "r", "data": "d", "validated_on": "v"}
    for row, more in ((luma, {}), (both, {"chroma_gain": 0.25})):
        card = Card(model="m", **about, steps=1, seed=0, measured=summarise([row]))
        expected = {"psnr_gain": 0.5, "worst_psnr_gain": 0.5, "ssim_gain": 0.1} | more
        assert tomllib.loads(card.to_toml())["m"]["measured"] == {"QP 30": expected}


def test_relative_loss_counts_every_patch_alike():
    """Halving the error of a good patch is worth what halving that of a bad one is."""
    target = torch.zeros(2, 1, 8, 8)
    errors = torch.tensor([0.2, 0.01]).view(2, 1, 1, 1).expand_as(target)
    losses = []
    for halved in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.5)):
        factors = torch.tensor(halved).view(2, 1, 1, 1)
        losses.append(relative_charbonnier_loss(errors * factors, target, 1e-6))
    torch.testing.assert_close(losses[0] - losses[1], losses[0] - losses[2])
    assert losses[1] < losses[0]
