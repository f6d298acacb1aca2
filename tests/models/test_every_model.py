"""What trainers, engines and exporters do with a model, done with each that is registered."""

import copy
import pickle

import pytest
import torch

import vqe_fast
from support.contract import DEVICES
from support.errors import VALUE_FACTOR, assert_no_worse, relative_rms
from support.small_models import SMALL, randomised
from vqe_fast import list_models
from vqe_fast.models import spec_of
from vqe_fast.models.dualres_neighbours import NeighbourFusion

SIZE = (19, 27)


@pytest.fixture(scope="module", params=list(SMALL))
def model(request):
    return randomised(request.param)


def inputs(model, size=SIZE, batch=1, clip=3):
    """Frames as the model's spec asks for them, and a QP for each where it takes one.

    Recurrent models get so many frames as ``clip`` says; tracing takes as long as there are frames.
    """
    spec = spec_of(model)
    length = clip if spec.recurrent else 2 * spec.temporal_radius + 1
    generator = torch.Generator().manual_seed(size[0])
    frames = torch.rand(batch, length, 1 if spec.planes == "y" else 3, *size, generator=generator)
    if not spec.recurrent and length == 1:
        frames = frames[:, 0]
    return (frames, torch.linspace(24.5, 37, batch)) if spec.takes_qp else (frames,)


def test_none_is_left_out():
    assert sorted(SMALL) == list_models()


@torch.no_grad()
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_fast_path_is_the_plain_one(model, dtype, device):
    """The kernels are no worse than plain PyTorch with the same weights, against float64."""
    own = copy.deepcopy(model).to(device, dtype)
    frames, *qp = inputs(model, batch=2)
    frames = frames.to(device, dtype)
    actual = own(frames, *qp)
    with vqe_fast.backend("reference"):
        control = own(frames, *qp)
        exact = copy.deepcopy(own).double()(frames.double(), *qp)
    assert_no_worse(actual, control, exact, VALUE_FACTOR)


@torch.no_grad()
@pytest.mark.parametrize("device", DEVICES)
def test_weights_in_bfloat16(model, device):
    """Frames stay in float32, as the engine hands them over."""
    frames, *qp = (value.to(device) for value in inputs(model))
    exact = copy.deepcopy(model).to(device)(frames, *qp)
    rough = copy.deepcopy(model).to(device, torch.bfloat16)(frames, *qp)
    assert relative_rms(rough, exact) < 0.1


@torch.no_grad()
@pytest.mark.parametrize("size", ((16, 16), (17, 31)), ids=str)
def test_any_size(model, size):
    frames, *qp = inputs(model, size)
    enhanced = model(frames, *qp)
    assert enhanced.shape[-2:] == size and enhanced.isfinite().all()


def test_autocast(model):
    """Forward and backward in 16 bits."""
    if not list(model.parameters()):
        pytest.skip("there is nothing to train")
    frames, *qp = inputs(model)
    training = copy.deepcopy(model).train()
    with torch.autocast("cpu", torch.bfloat16):
        rough = training(frames, *qp)
    exact = model(frames, *qp)
    assert relative_rms(rough, exact) < 0.1
    rough.float().square().mean().backward()
    gradients = [p.grad for p in training.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


@torch.no_grad()
def test_channels_last(model):
    """As the engine holds weights and frames."""
    frames, *qp = inputs(model)
    expected = model(frames, *qp)
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    if frames.dim() == 4:
        frames = frames.contiguous(memory_format=torch.channels_last)
    else:
        frames = frames.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(last(frames, *qp), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_copies(model):
    expected = model(*inputs(model))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(*inputs(model)), expected)
        assert spec_of(twin) == spec_of(model)


def test_the_same_bits_without_gradients(model):
    """What is kept, and what is computed in place, changes no result and no input."""
    frames, *qp = inputs(model)
    given = frames.clone()
    for told in (qp, [value.item() for value in qp]):
        expected = model(frames, *told)
        for _ in range(2):
            with torch.no_grad():
                assert torch.equal(model(frames, *told), expected)
    assert torch.equal(frames, given)


@torch.no_grad()
def test_compiles(model):
    """One graph; Inductor takes up to a minute for the largest, so what comes before it is run."""
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    given = inputs(model, clip=2)
    torch.testing.assert_close(compiled(*given), model(*given))


@torch.no_grad()
def test_exports(model):
    """A graph of plain PyTorch for other run times, in which the QP is an input.

    Block matching is two thousand operators, for each frame and neighbour.
    """
    frames, *qp = inputs(model, clip=1 if isinstance(model, NeighbourFusion) else 2)
    with vqe_fast.backend("reference"):
        exported = torch.export.export(model, (frames, *qp)).module()
        other = [values + 5 for values in qp]
        torch.testing.assert_close(exported(frames, *other), model(frames, *other))
