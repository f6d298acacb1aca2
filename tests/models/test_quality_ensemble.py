"""Generators for several qualities, and which of them a frame goes to."""

import copy

import pytest
import torch

from vqe_fast import create_model
from vqe_fast.models import spec_of
from vqe_fast.models.galteri import QualityPredictor
from vqe_fast.models.quality_ensemble import QualityEnsemble

NEAREST = [
    (0.0, 22),
    (23.0, 22),
    (26.0, 22),  # as near to 30: the lower
    (26.01, 30),
    (33.0, 30),
    (33.5, 30),
    (33.6, 37),
    (63.0, 37),
]


def drawing(name="galteri_very_fast"):
    """A generator that does something, unlike any other."""
    model = create_model(name, width=4, blocks=1)
    torch.nn.init.normal_(model.output.weight, std=0.1)
    return model


@pytest.fixture
def generators():
    return {qp: drawing().eval() for qp in (37, 22, 30)}


@pytest.fixture
def frames():
    return torch.rand(len(NEAREST), 3, 20, 22)


@torch.no_grad()
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_each_frame_goes_to_the_nearest(generators, frames, device):
    """Whether the QP is a number, one of several, or the mean of a map."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    ensemble = QualityEnsemble(generators).eval().to(device)  # and the generators with it
    frames = frames.to(device)
    expected = torch.cat([generators[qp](frames[n : n + 1]) for n, (_, qp) in enumerate(NEAREST)])
    qps = torch.tensor([qp for qp, _ in NEAREST])
    maps = qps[:, None, None] + torch.tensor([[-4.0, 4.0], [2.0, -2.0]])
    for told in (qps, maps, qps.to(device)):
        torch.testing.assert_close(ensemble(frames, told), expected)
    for n, (qp, _) in enumerate(NEAREST):
        alone = frames[n : n + 1]
        for told in (qp, torch.tensor(qp)):
            torch.testing.assert_close(ensemble(alone, told), expected[n : n + 1])
    torch.testing.assert_close(ensemble(frames, 36), generators[37](frames))
    assert torch.equal(copy.deepcopy(ensemble)(frames, qps), ensemble(frames, qps))


@torch.no_grad()
def test_estimates_where_no_qp_is_told(generators, frames):
    ensemble = QualityEnsemble(generators, QualityPredictor(4)).eval()
    luma = (frames * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    estimates = ensemble.predictor(luma)
    torch.testing.assert_close(ensemble(frames), ensemble(frames, estimates))


def test_each_learns_from_its_own_frames(generators, frames):
    ensemble = QualityEnsemble(generators)
    ensemble(frames[:2], torch.tensor([20.0, 38.0])).square().sum().backward()
    learns = [bool(each.output.weight.grad.any()) for each in ensemble.generators]
    assert ensemble.qps == [22, 30, 37] and learns == [True, False, True]


def test_one_generator_takes_every_frame(frames):
    generator = drawing().eval()
    ensemble = QualityEnsemble({32: generator}).eval()
    for told in (60.0, torch.full((len(frames),), 10.0)):
        torch.testing.assert_close(ensemble(frames, told), generator(frames))


def test_by_name():
    """Any of the generators; the spec is theirs, so that tiles are exact."""
    ensemble = create_model(
        "galteri_ensemble", generator="galteri_fast", qps=[25, 35.5], generator_options={"width": 8}
    )
    generator = create_model("galteri_fast", width=8)
    assert ensemble.qps == [25, 35.5] and ensemble.predictor is None
    spec = spec_of(ensemble)
    assert spec.takes_qp and spec.receptive_field == spec_of(generator).receptive_field
    assert len(ensemble.state_dict()) == 2 * len(generator.state_dict())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: QualityEnsemble({}), "there must be at least one generator"),
        (lambda: QualityEnsemble({22: drawing(), 37: drawing("galteri_base")}), "one architecture"),
        (
            lambda: create_model("galteri_ensemble", generator="galteri_ensemble"),
            "must not take QPs",
        ),
        (lambda: create_model("galteri_ensemble", qps=[37, 22]), "ascending numbers in 0 to 63"),
        (lambda: create_model("galteri_ensemble", qps=[22, 64]), r"in 0 to 63, got \[22, 64\]"),
        (lambda: create_model("galteri_ensemble", qps="22"), "ascending numbers in 0 to 63"),
        (lambda: create_model("galteri_ensemble", qps=[]), "at least one generator"),
        (lambda: create_model("galteri_ensemble", generator="x"), "no model is named 'x'"),
        (lambda: QualityEnsemble({22: drawing()})(torch.rand(1, 3, 8, 8)), "qp must be given"),
        (
            lambda: QualityEnsemble({22: drawing()})(torch.rand(3, 3, 8, 8), torch.ones(2)),
            r"qp must be a number, \(3\) or \(3, h, w\); got \(2,\)",
        ),
        (
            lambda: create_model("galteri_ensemble", pretrained=True),
            r"join their files by vqe-fast join, and give the .safetensors",
        ),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
