"""Models on whole frames."""

import numpy as np
import pytest
import torch

from support.held_clips import texture_pair
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast import create_model
from vqe_fast.training.losses import relative_charbonnier_loss
from vqe_fast.training.measure import measure, summarise
from vqe_fast.training.whole import restored_frames

CPU = torch.device("cpu")


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
            told.append(qp.item())
            return luma

    model = Listens(spec=LUMA_SPEC.__class__(**vars(LUMA_SPEC) | {"takes_qp": True}))
    measure(model, [clip], frame_step=2)
    assert told == [20, 22, 24, 40, 40, 40]
    told.clear()
    measure(model, [clip], frame_step=3, qp="base")
    assert told == [30, 30, 40, 40]


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
        rounded = (expected[number] * 255).round().clamp(0, 255)
        assert np.abs(frame.astype(float) - rounded.numpy()).max() <= 1


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
