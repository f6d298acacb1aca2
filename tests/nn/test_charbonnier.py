import pytest
import torch

from vqe_fast import nn, ops

REDUCTIONS = ("mean", "sum", "none")


def pair():
    return torch.rand(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).unbind()


def test_function_with_options():
    """The module is the function with its options, and refuses wrong ones when it is built."""
    x, y = pair()
    loss = nn.CharbonnierLoss(eps=0.1, reduction="sum")
    assert torch.equal(loss(x, y), ops.charbonnier_loss(x, y, 0.1, "sum"))
    weight = torch.rand(4, 5)
    assert torch.equal(loss(x, y, weight), ops.charbonnier_loss(x, y, 0.1, "sum", weight=weight))
    assert repr(loss) == "CharbonnierLoss(eps=0.1, reduction='sum')"
    assert repr(nn.CharbonnierLoss()) == "CharbonnierLoss(eps=1e-06, reduction='mean')"
    for options in ({"reduction": "median"}, {"eps": 0.0}, {"loss_weight": float("inf")}):
        with pytest.raises(ValueError, match=next(iter(options))):
            nn.CharbonnierLoss(**options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("eps", (None, 1e-3))
def test_as_basicsr(eps, reduction):
    """loss_weight · √(x² + eps), without a square, 1e-12 unless it is given."""
    x, y = pair()
    options = {} if eps is None else {"eps": eps}
    values = 2 * ((x - y) ** 2 + (eps or 1e-12)).sqrt()
    expected = {"none": values, "mean": values.mean(), "sum": values.sum()}[reduction]
    loss = nn.CharbonnierLoss(loss_weight=2.0, reduction=reduction, **options)
    torch.testing.assert_close(loss(x, y), expected)
    shown = f"CharbonnierLoss(loss_weight=2.0, reduction='{reduction}', eps={eps or 1e-12})"
    assert repr(loss) == shown


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("channels", (1, 3))
def test_weight_as_basicsr(channels, reduction):
    """A mean is over the weights, those of one channel counted for each."""
    x, y = pair()
    weight = torch.rand(2, channels, 4, 5)
    values = 0.5 * weight * ((x - y) ** 2 + 1e-12).sqrt()
    mean = values.sum() / weight.expand_as(x).sum()
    expected = {"none": values, "mean": mean, "sum": values.sum()}[reduction]
    loss = nn.CharbonnierLoss(loss_weight=0.5, reduction=reduction)
    torch.testing.assert_close(loss(x, y, weight), expected)
    assert not loss(x, y, torch.zeros_like(weight)).any()


@pytest.mark.parametrize(
    ("arguments", "ours", "theirs"),
    [
        ((1.0, "mean"), "eps=1.0, reduction='mean'", "loss_weight=1.0, reduction='mean'"),
        ((1e-3,), "eps=0.001", "loss_weight=0.001"),
        ((1.0, "sum", 1e-12), "eps=1.0", "loss_weight=1.0, reduction='sum', eps=1e-12"),
    ],
)
def test_arguments_by_place_are_refused(arguments, ours, theirs):
    """BasicSR's first one is no ε: the message has both calls."""
    with pytest.raises(TypeError) as raised:
        nn.CharbonnierLoss(*arguments)
    assert f"CharbonnierLoss({ours}" in str(raised.value)
    assert f"CharbonnierLoss({theirs})" in str(raised.value)
