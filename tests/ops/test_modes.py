"""Operators wherever PyTorch differentiates: right, whether by a kernel or by the reference."""

from functools import partial

import pytest
import torch
from torch.autograd import forward_ad

from support.modes import FILES, MODES, OPERATORS, seeded
from vqe_fast import backend, ops, reference


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_modes(operator, mode):
    """Forward derivatives were 0 in silence, and torch.func refused."""
    call, shapes = OPERATORS[operator]
    found, expected = (MODES[mode](partial(call, of), seeded(*shapes)) for of in (ops, reference))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mode", FILES)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.torch.jit")
def test_graphs_in_files(operator, mode):
    """An infinite number had no place in JSON, a list of bools none in TorchScript."""
    call, shapes = OPERATORS[operator]
    tensors = seeded(*shapes)
    function = partial(call, ops)
    loaded, graph = FILES[mode](function, tensors)
    assert "vqe_fast" in graph
    torch.testing.assert_close(loaded(*tensors), function(*tensors))


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
