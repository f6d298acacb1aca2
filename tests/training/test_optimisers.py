import copy

import pytest
import torch
from torch import nn

from vqe_fast.training.optimisers import ConvolutionMuon, build_optimisers
from vqe_fast.training.recipe import OptimiserRecipe


def muon(**options):
    return OptimiserRecipe(name="muon", rate=0.1, adam_rate=0.01, **options)


def network(memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 1))
    return layers.to(memory_format=memory_format)


def step(module, optimisers):
    module(
        torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    ).square().sum().backward()
    for optimiser in optimisers:
        optimiser.step()


@pytest.mark.parametrize("layout", (torch.contiguous_format, torch.channels_last), ids=str)
def test_weights_move_by_orthogonal_matrices(layout):
    """All singular values of a step are about the rate, whatever the size of the gradient."""
    module = network(layout)
    before = [conv.weight.detach().clone() for conv in module]
    generator = torch.Generator().manual_seed(1)
    for conv in module:
        conv.weight.grad = 1e-4 * torch.randn(conv.weight.shape, generator=generator)
    ConvolutionMuon([conv.weight for conv in module], 0.1, 0.0).step()
    for conv, old in zip(module, before, strict=True):
        moved = (conv.weight.detach() - old).flatten(1)
        values = torch.linalg.svdvals(moved) / 0.1
        assert values.min() > 0.6 and values.max() < 1.3
        assert conv.weight.is_contiguous(memory_format=layout)


def test_layouts_agree():
    modules = [network(), network(torch.channels_last)]
    for module in modules:
        step(module, build_optimisers(module, muon()))
    for one, other in zip(*(module.parameters() for module in modules), strict=True):
        # Muon orthogonalises in bfloat16.
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3)


def test_what_adam_trains_beside():
    """Biases always, and what is named; its first steps are as large as its rate."""
    module = network()
    before = [p.detach().clone() for p in module.parameters()]
    step(module, build_optimisers(module, muon(beside=["2"])))
    moved = [
        (p - old).abs().max().item() for p, old in zip(module.parameters(), before, strict=True)
    ]
    assert [move == pytest.approx(0.01, rel=1e-3) for move in moved] == [
        name.endswith("bias") or name.startswith("2.") for name, _ in module.named_parameters()
    ]


def test_states_come_back():
    ahead, behind = network(), network()
    first, second = build_optimisers(ahead, muon()), build_optimisers(behind, muon())
    for _ in range(2):
        step(ahead, first)
    behind.load_state_dict(ahead.state_dict())
    for new, old in zip(second, first, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    for module, optimisers in ((ahead, first), (behind, second)):
        module.zero_grad()
        step(module, optimisers)
    assert all(map(torch.equal, ahead.parameters(), behind.parameters()))


def test_weights_without_a_gradient_stay():
    """Such as those of an output that no loss looks at."""
    module = network()
    before = copy.deepcopy(module)
    optimisers = build_optimisers(module, muon())
    module[1](torch.rand(1, 8, 9, 9)).sum().backward()
    for optimiser in optimisers:
        optimiser.step()
    same = [
        torch.equal(one.weight, other.weight) for one, other in zip(module, before, strict=True)
    ]
    assert same == [True, False, True]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"the model has no tail, which the optimiser's beside"):
        build_optimisers(network(), muon(beside=["tail"]))


@pytest.mark.parametrize("options", ({"name": "muon"}, {"name": "adam", "adam_rate": 0.1}))
def test_rates_belong_to_their_optimiser(options):
    with pytest.raises(ValueError, match="adam_rate is for muon"):
        OptimiserRecipe(rate=0.1, **options)
