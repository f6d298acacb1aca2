"""The objective of restoration: what a model sees of a batch, and what it is compared with."""

import pytest
import torch

from support.small_models import SMALL, randomised
from vqe_fast import create_model
from vqe_fast.data.windows import Batch
from vqe_fast.training.recipe import StageRecipe
from vqe_fast.training.restoration import Restoration

CPU = torch.device("cpu")
STAGE = StageRecipe.model_validate(
    {"steps": 1, "loss": [{"name": "mse"}], "optimiser": {"rate": 1e-3}}
)


def batch(frames, targets):
    generator = torch.Generator().manual_seed(0)

    def samples(count):
        return torch.randint(0, 256, (2, count, 3, 32, 32), dtype=torch.uint8, generator=generator)

    qps = 22 + 16 * torch.rand(2, frames, generator=generator)
    types = torch.randint(0, 4, (2, frames), generator=generator)
    nothing = torch.empty(2, targets, 0, 32, 32, dtype=torch.int8)
    return Batch(samples(frames), samples(targets), qps, torch.tensor([1, 2]), types, nothing)


def test_windows():
    """The middle frame is compared, with QP and type of each frame told."""
    model, given = randomised("dualres_t"), batch(9, 1)
    restored = Restoration(model, STAGE, CPU)(model, given)
    expected = model(given.compressed.float() / 255, given.qp, given.codec, given.frame_type)
    assert torch.equal(restored.output, expected)
    assert torch.equal(restored.pristine, given.pristine[:, 0].float() / 255)
    assert torch.equal(restored.compressed, given.compressed[:, 4].float() / 255)


@pytest.mark.parametrize("name", ["dualres_t", "dualres_r"])
def test_whole_clips(name):
    """Every frame is compared; of a network of windows if the recipe says so."""
    model, given = randomised(name), batch(4, 4)
    restored = Restoration(model, STAGE, CPU, "all")(model, given)
    whole = model.clip if name == "dualres_t" else model
    expected = whole(given.compressed.float() / 255, given.qp, given.codec, given.frame_type)
    assert torch.equal(restored.output, expected.flatten(0, 1))
    assert torch.equal(restored.pristine, given.pristine.flatten(0, 1).float() / 255)
    terms = Restoration(model, STAGE, CPU, "all").terms(restored)
    assert terms["mse"].item() == pytest.approx(
        (restored.output - restored.pristine).square().mean().item(), rel=1e-5
    )


def test_models_without_clips():
    model = create_model("pequenet", **SMALL["pequenet"])
    with pytest.raises(ValueError, match="the model has no method clip: leave out target"):
        Restoration(model, STAGE, CPU, "all")


def test_teachers_see_single_frames():
    stage = STAGE.model_copy(update={"teacher": "carcnn_small"})
    with pytest.raises(ValueError, match="a teacher's luma is for models that see single frames"):
        Restoration(randomised("dualres_t"), stage, CPU, "all")
