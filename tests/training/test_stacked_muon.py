import copy

import pytest
import torch
from torch import nn

from vqe_fast.training.optimisers import ConvolutionMuon
from vqe_fast.training.stacked_muon import StackedMuon, orthogonalised


@pytest.mark.parametrize("layout", (torch.contiguous_format, torch.channels_last), ids=str)
def test_the_steps_of_muon(layout):
    """Those of torch.optim.Muon, but for the rounding of bfloat16."""
    torch.manual_seed(0)
    shapes = ((3, 8, 3), (8, 8, 3), (8, 8, 3), (8, 4, 1), (4, 16, 1))
    module = nn.ModuleList(nn.Conv2d(*shape) for shape in shapes).to(memory_format=layout)
    other, rate = copy.deepcopy(module), torch.tensor(0.1)
    ours = StackedMuon([conv.weight for conv in module], rate)
    theirs = ConvolutionMuon([conv.weight for conv in other], 0.1, 0.0)
    for step in range(3):
        rate.fill_(0.1 / (step + 1))
        for group in theirs.param_groups:
            group["lr"] = 0.1 / (step + 1)
        for conv, twin in zip(module, other, strict=True):
            conv.weight.grad = torch.randn_like(conv.weight)
            twin.weight.grad = conv.weight.grad.clone()
        ours.step()
        theirs.step()
    for conv, twin in zip(module, other, strict=True):
        torch.testing.assert_close(conv.weight, twin.weight, rtol=0, atol=4e-3)


def test_singular_values_become_alike():
    matrices = torch.randn(4, 12, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices).float())
    assert values.min() > 0.6 and values.max() < 1.3
    tall = orthogonalised(matrices.mT).float()
    torch.testing.assert_close(tall.mT, orthogonalised(matrices).float(), rtol=0, atol=0.02)
