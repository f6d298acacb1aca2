import pytest
import torch

from support.contract import DEVICES, OperatorContract
from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from support.memory import poisoned_memory
from support.triton_kernels import (
    Specialisation,
    compile_only,
    interpreted,
)
from vqe_fast import ops, reference
from vqe_fast.ops._checks import REDUCTIONS


class TestCharbonnier(OperatorContract):
    function = staticmethod(ops.charbonnier_loss)
    reference = staticmethod(reference.charbonnier_loss)
    variants = (
        {"eps": 1e-3, "reduction": "mean"},
        {"eps": 1e-3, "reduction": "sum"},
        {"eps": 1e-3, "reduction": "none"},
        {"eps": 1e-6, "reduction": "mean"},
    )
    # A block of the kernel holds 64 values, a part 16384.
    shapes = ((1, 1), (1, 63), (64, 1), (5, 13), (0, 4), (2, 3, 31, 29), (3, 16384 + 1))
    small_shape = (2, 3, 5, 7)

    def make_tensors(self, shape, dtype, device):
        generator = torch.Generator().manual_seed(sum(shape))
        pair = torch.rand((2, *shape), generator=generator, dtype=torch.float64)
        return list(pair.to(device, dtype).unbind())

    def schema_calls(self, tensors, variant):
        names = torch.ops.vqe_fast
        settings = (variant["eps"], REDUCTIONS[variant["reduction"]])
        for wanted in (False, True):
            yield names.charbonnier_loss.default, (*tensors, *settings, wanted)
        size = self.reference(*tensors, **variant).shape
        grad = torch.rand(size, device=tensors[0].device)
        plain = [tensor.detach() for tensor in tensors]
        yield names.charbonnier_loss_backward.default, (grad, *plain, *settings)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_empty_input(device, reduction):
    """The mean of nothing is NaN, its sum 0, as in PyTorch; no division trap, no read of memory."""
    empty = torch.empty(0, 3, device=device, requires_grad=True)
    actual = ops.charbonnier_loss(empty, empty.detach(), reduction=reduction)
    expected = reference.charbonnier_loss(empty, empty.detach(), reduction=reduction)
    torch.testing.assert_close(actual, expected, equal_nan=True)
    actual.sum().backward()
    assert empty.grad.shape == (0, 3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "large"),
    [(torch.float32, 1e18), (torch.float16, 6e4), (torch.bfloat16, 1e18), (torch.float64, 1e150)],
    ids=str,
)
def test_extreme_values(device, dtype, large):
    """Equal values (loss ε, gradient 0), the largest allowed differences, infinities, NaN."""
    values = [0.0, 1e-3, large, -large, float("inf"), float("nan"), 1.0, -0.0]
    x = torch.tensor(values, dtype=dtype, device=device, requires_grad=True)
    y = torch.tensor([0.0, 1e-3, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], dtype=dtype, device=device)
    loss = ops.charbonnier_loss(x, y, 1e-3, "none")
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    control = reference.charbonnier_loss(x, y, 1e-3, "none").detach()
    finite = torch.tensor([0, 1, 6, 7])
    exact = reference.charbonnier_loss(x.double(), y.double(), 1e-3, "none").detach()
    assert_no_worse(loss.detach()[finite], control[finite], exact[finite], VALUE_FACTOR)
    assert torch.equal(loss[2:4].detach(), torch.full_like(y[2:4], large))
    assert loss[4].isinf() and loss[5].isnan()
    expected = torch.tensor([0.0, 0.0, 1.0, -1.0], dtype=dtype, device=device)
    assert torch.equal(gradient[:4], expected)


@pytest.mark.parametrize("device", DEVICES)
def test_tiny_eps(device):
    """Its square is not a normal number of float32: neither lost nor divided by."""
    x = torch.tensor([0.25, 0.5], device=device, requires_grad=True)
    loss = ops.charbonnier_loss(x, x.new_tensor([0.25, 0.0]), 1e-20, "none")
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert gradient.tolist() == [0.0, 1.0]
    torch.testing.assert_close(loss, x.new_tensor([1e-20, 0.5]), rtol=1e-4, atol=0.0)


def test_large_sum_keeps_its_precision():
    """Float32 sums of millions of values drift; these must not."""
    x = torch.full((1 << 22,), 0.1)
    exact = reference.charbonnier_loss(
        x.double(), torch.zeros(1).double().expand_as(x), 1e-6, "sum"
    )
    assert abs(ops.charbonnier_loss(x, torch.zeros_like(x), 1e-6, "sum") / exact - 1) < 1e-7


def test_gradient_scaled_by_what_follows():
    """Computed along with the loss, it is right for any weight, a second time, and for both."""
    x, y = (torch.rand(3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = ops.charbonnier_loss(x, y, 1e-3)
    expected = torch.autograd.grad(reference.charbonnier_loss(x, y, 1e-3), (x, y))
    for weight in (-2.0, 1.0, 0.5):
        found = torch.autograd.grad(weight * loss, (x, y), retain_graph=True)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, weight * other)
    first, second = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
    first.zero_()
    torch.testing.assert_close(second, expected[0])


@pytest.mark.parametrize("autocast", [False, True])
def test_small_gradients_in_float16(autocast):
    """A scaled loss keeps gradients that are too small for float16 without their scale."""
    x = torch.rand(1 << 22, dtype=torch.float16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = ops.charbonnier_loss(x, torch.zeros_like(x), 1e-3)
    (float(1 << 12) * loss.float()).backward()
    torch.testing.assert_close(x.grad[x > 0.1], torch.full_like(x, 2.0**-10)[x > 0.1])


def test_mixed_dtypes_promote():
    """A bfloat16 network output against a float32 target, as plain PyTorch takes it."""
    x = torch.rand(3, 5).bfloat16().requires_grad_()
    y = torch.rand(3, 5)
    loss = ops.charbonnier_loss(x, y)
    torch.testing.assert_close(loss, reference.charbonnier_loss(x, y))
    loss.backward()
    assert x.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.zeros(2, 3), torch.zeros(3)), ValueError, r"target .*\(2, 3\); got \(3,\)"),
        ((torch.zeros(2), torch.zeros(2, device="meta")), ValueError, "target must be on cpu"),
        ((torch.zeros(2).int(), torch.zeros(2)), TypeError, r"input .*torch\.int32"),
        ((torch.zeros(2), [0.0, 0.0]), TypeError, "target must be a tensor, got list"),
        ((torch.zeros(2).to_sparse(), torch.zeros(2)), TypeError, "input must be a dense tensor"),
        ((torch.zeros(2), torch.zeros(2), 0.0), ValueError, "eps .* above 0, got 0.0"),
        ((torch.zeros(2), torch.zeros(2), float("nan")), ValueError, "eps .* got nan"),
        ((torch.zeros(2), torch.zeros(2), 1e-3, "avg"), ValueError, "reduction .* got 'avg'"),
        ((torch.zeros(2), torch.zeros(2), "sum"), TypeError, r"\(input, target, reduction='sum'\)"),
        ((torch.zeros(2),) * 3, TypeError, r"\(input, target, weight=…\)"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ops.charbonnier_loss(*arguments)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (0.5, TypeError, "weight must be a tensor, got float"),
        (torch.ones(2, 3, dtype=torch.complex64), TypeError, r"must be real, got torch\.complex64"),
        (torch.ones(3, device="meta"), ValueError, "weight must be on cpu like input; got meta"),
        (torch.ones(2), ValueError, r"broadcast .*\(2, 3\); got \(2,\)"),
        (torch.ones(1, 2, 3), ValueError, r"broadcast .*\(2, 3\); got \(1, 2, 3\)"),
    ],
)
def test_wrong_weights(weight, error, message):
    with pytest.raises(error, match=message):
        ops.charbonnier_loss(torch.zeros(2, 3), torch.zeros(2, 3), weight=weight)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", ((2, 3, 4, 5), (4, 1), ()), ids=str)
def test_weight(shape, reduction, device):
    """w·ρ, its mean over all elements or its sum; gradients for the weight as well."""
    x, y = (torch.rand(2, 3, 4, 5, dtype=torch.float64, device=device) for _ in range(2))
    weight = torch.randn(shape, dtype=torch.float64, device=device)
    values = weight * (x - y).square().add(1e-6).sqrt()
    expected = {"none": values, "mean": values.sum() / 120, "sum": values.sum()}[reduction]
    for function in (ops.charbonnier_loss, reference.charbonnier_loss):
        found = function(x, y, 1e-3, reduction, weight=weight)
        torch.testing.assert_close(found, expected)
    leaves = [each.cpu().requires_grad_() for each in (x, y, weight)]
    assert torch.autograd.gradcheck(
        lambda x, y, w: ops.charbonnier_loss(x, y, 1e-3, reduction, weight=w),
        leaves,
        fast_mode=True,
    )


@pytest.mark.parametrize("dtype", (torch.bool, torch.uint8, torch.float32), ids=str)
def test_weight_keeps_the_dtype(dtype):
    """A mask, and weights with more digits than the values."""
    x, y = torch.rand(2, 3, 50).bfloat16()
    weight = (torch.arange(50) % 2).to(dtype)
    for reduction in REDUCTIONS:
        loss = ops.charbonnier_loss(x, y, reduction=reduction, weight=weight)
        assert loss.dtype == torch.bfloat16
    torch.testing.assert_close(loss, ops.charbonnier_loss(x[:, 1::2], y[:, 1::2], reduction="sum"))


@interpreted
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.float16), ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_triton_interpreted(reduction, dtype):
    """The CUDA path's arithmetic, masks and tails, one block and a bit long."""
    from vqe_fast.kernels import charbonnier as kernels

    generator = torch.Generator().manual_seed(3)
    pair = torch.rand(2, kernels.BLOCK + 5, generator=generator, dtype=torch.float64)
    for x, y in (pair.to(dtype), pair[:, :1].to(dtype), pair[:, :0].to(dtype)):
        leaf, exact_leaf = x.clone().requires_grad_(), x.double().requires_grad_()
        control = reference.charbonnier_loss(leaf, y, 1e-3, reduction)
        exact = reference.charbonnier_loss(exact_leaf, y.double(), 1e-3, reduction)
        with poisoned_memory():
            options = (1e-3, REDUCTIONS[reduction])
            actual, nothing = kernels.charbonnier_loss(x, y, *options, False)
            again, along = kernels.charbonnier_loss(x, y, *options, True)
            grad = torch.full_like(control, 0.5).detach()
            gradient = kernels.charbonnier_loss_backward(grad, x, y, 1e-3, REDUCTIONS[reduction])
        assert_no_worse(actual, control.detach(), exact.detach(), VALUE_FACTOR)
        torch.testing.assert_close(again, actual, rtol=0, atol=0, equal_nan=True)
        assert nothing.numel() == 0
        (control,) = torch.autograd.grad(control, leaf, grad)
        (exact,) = torch.autograd.grad(exact, exact_leaf, grad.double())
        assert_no_worse(gradient, control, exact, GRADIENT_FACTOR)
        if reduction != "none":
            assert_no_worse(along * 0.5, control, exact, GRADIENT_FACTOR)


def test_triton_compiles_for_gpus():
    """Every kernel compiles for sm_80 and sm_90 in the dtypes that a user has, and its roots and
    quotients are rounded to nearest: approximations are off by a unit, and flush what is small."""
    from vqe_fast.kernels import charbonnier as kernels

    asked = []
    for element in ("bf16", "fp16", "fp32", "fp64"):
        acc = "fp64" if element == "fp64" else "fp32"
        constants = {"ACC": f"tl.float{acc[2:]}", "BLOCK": kernels.BLOCK, "WIDE": True}
        types = {"p_sums": f"*{acc}", "count": "i32", "wanted": "u1"}
        types |= dict.fromkeys(("squared_eps", "weight"), "fp64")
        for kernel, more in (
            ("map_kernel", {}),
            ("partial_sum_kernel", {}),
            ("gradient_kernel", {"PER_VALUE": False}),
            ("gradient_kernel", {"PER_VALUE": True}),
        ):
            chosen = constants | more
            signature = {
                name: types.get(name, f"*{element}")
                for name in getattr(kernels, kernel).arg_names
                if name not in chosen
            }
            asked.append(Specialisation(kernels.__name__, kernel, signature, chosen))
    footprints = compile_only(asked)
    assert len(footprints) == 2 * len(asked)
    for (index, arch), footprint in footprints.items():
        assert footprint.fits(arch), footprint
        double = asked[index].constants["ACC"] == "tl.float64"
        expected = {"sqrt.rn.f64" if double else "sqrt.rn.f32"}
        if asked[index].kernel != "map_kernel":
            expected.add("div.rn.f64" if double else "div.rn.f32")
        inexact = ("sqrt", "rsqrt", "div", "rcp")
        assert {name for name in footprint.opcodes if name.startswith(inexact)} == expected
        assert not any("approx" in name or "ftz" in name for name in footprint.opcodes)
