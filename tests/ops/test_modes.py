"""Operators wherever PyTorch goes: right, whether by a kernel or by the reference, or refused."""

import itertools
from pathlib import Path

import pytest
import torch
import write_modes
from torch.autograd import forward_ad

from support.mode_cells import ALONE, PARALLEL, cell
from support.modes import OPERATORS, seeded
from vqe_fast import backend, ops, reference

PAGE = (Path(__file__).parents[2] / "docs" / "modes.md").read_text("utf-8")
WRITTEN = write_modes.written(PAGE)


@pytest.mark.parametrize("mode", ALONE)
@pytest.mark.parametrize("operator", OPERATORS)
def test_modes(operator, mode):
    """Forward derivatives were 0 in silence, torch.func refused, an infinite number had no place in
    JSON, a list of bools none in TorchScript."""
    assert cell(operator, mode) == WRITTEN.get((operator, mode)), "run make modes"


@pytest.mark.parametrize("modes", [["AOTInductor"], PARALLEL], ids=["AOTInductor", "parallel"])
def test_modes_together(modes):
    """An empty list of tensors came out of a package of AOTInductor as None."""
    for operator, mode in itertools.product(OPERATORS, modes):
        assert cell(operator, mode) == WRITTEN.get((operator, mode)), "run make modes"


def test_page():
    assert write_modes.page(lambda *place: WRITTEN.get(place)) == PAGE, "run make modes"


def test_every_operator_is_in_the_table():
    """ms_ssim_loss is what is left of ms_ssim."""
    names = {name.partition(",")[0] for name in OPERATORS}
    assert names | {"ms_ssim_loss"} == set(ops.__all__)


def test_a_schema_refuses_tangents():
    """What has no forward derivative says so."""
    (x,) = seeded((1, 1, 4, 4))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="unsharp_mask has no forward-mode"):
            torch.ops.vqe_fast.unsharp_mask(dual, 0.5, [1.0], False)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("eps", lambda x, n: ops.charbonnier_loss(x, x, n)),
        ("sigma", lambda x, n: ops.ssim(x, x, sigma=n)),
        ("alpha", lambda x, n: ops.ssim_mse_loss(x, x, n)),
        ("scale", lambda x, n: ops.cross_frame_attention(x, x, x, scale=n)),
        ("negative_slope", lambda x, n: ops.qp_modulate(x, x[..., 0, 0], negative_slope=n)),
        ("amount", lambda x, n: ops.unsharp_mask(x, n)),
        ("sharpen", lambda x, n: ops.astf_fuse(x, x, x, x, sharpen=n)),
    ],
)
def test_numbers_get_no_gradient(name, call):
    """A tensor in place of a number was detached in silence."""
    (x,) = seeded((1, 1, 12, 12))
    with pytest.raises(TypeError, match=f"{name} gets no gradient: pass a number"):
        call(x, torch.tensor(0.5, requires_grad=True))


@pytest.mark.parametrize("of", [ops, reference])
@pytest.mark.parametrize("create_graph", [False, True])
def test_equal_pixels_in_half_precision(of, create_graph):
    """The square of ε is 0 in float16, and the gradient was not a number."""
    x = torch.full((3,), 0.5, dtype=torch.float16, requires_grad=True)
    loss = of.charbonnier_loss(x, x.detach())
    (gradient,) = torch.autograd.grad(loss, x, create_graph=create_graph)
    assert gradient.tolist() == [0, 0, 0]


def test_charbonnier_under_autocast_without_kernels():
    x = torch.rand(3, 5).bfloat16()
    with backend("reference"), torch.autocast("cpu", torch.bfloat16):
        loss = ops.charbonnier_loss(x, x + 1)
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(("eps", "dtype"), [(1e-23, torch.float16), (1e-170, torch.float64)])
def test_eps_without_a_square(eps, dtype):
    x = torch.zeros(2, dtype=dtype)
    with pytest.raises(ValueError, match=r"eps must be \S+ to \S+ for torch"):
        ops.charbonnier_loss(x, x, eps)
