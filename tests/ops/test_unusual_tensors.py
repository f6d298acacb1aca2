"""Tensors that an operator cannot compute with, and such as only look unusual."""

import re

import pytest
import torch

import vqe_fast
from vqe_fast import metrics, nn, ops

FEATURES, MAP, LUMA = (1, 3, 24, 26), (1, 3, 6, 7), (1, 1, 24, 26)
# Name of the operator → it, and the names and shapes of its tensors.
OPERATORS = {
    "charbonnier_loss": (ops.charbonnier_loss, {"input": FEATURES, "target": FEATURES}),
    "charbonnier_loss map": (
        lambda x, y: ops.charbonnier_loss(x, y, reduction="none"),
        {"input": FEATURES, "target": FEATURES},
    ),
    "ssim": (ops.ssim, {"input": FEATURES, "target": FEATURES}),
    "ssim map": (
        lambda x, y: ops.ssim(x, y, reduction="none"),
        {"input": FEATURES, "target": FEATURES},
    ),
    "ssim_loss": (ops.ssim_loss, {"input": FEATURES, "target": FEATURES}),
    "ssim_mse_loss": (ops.ssim_mse_loss, {"input": FEATURES, "target": FEATURES}),
    "ssim_mse_loss map": (
        lambda x, y: ops.ssim_mse_loss(x, y, padding="same", reduction="none"),
        {"input": FEATURES, "target": FEATURES},
    ),
    "ms_ssim": (
        lambda x, y: ops.ms_ssim(x, y, weights=(0.5, 0.5)),
        {"input": FEATURES, "target": FEATURES},
    ),
    "cross_frame_attention": (ops.cross_frame_attention, {"query": MAP, "key": MAP, "value": MAP}),
    "qp_modulate": (
        lambda x, gains: ops.qp_modulate(x, gains, activation="leaky_relu"),
        {"features": FEATURES, "gains": MAP},
    ),
    "qp_gains": (
        lambda table, bias: ops.qp_gains(torch.tensor([24.0, 37]), table, bias),
        {"table": (4, 5), "bias": (5,)},
    ),
    "local_variance": (ops.local_variance, {"luma": FEATURES}),
    "astf_mask": (
        ops.astf_mask,
        {"previous": FEATURES, "current": FEATURES, "following": FEATURES},
    ),
    "astf_fuse": (
        lambda *frames: ops.astf_fuse(*frames, sharpen=0.5),
        {
            "detail": FEATURES,
            "smooth_previous": FEATURES,
            "smooth": FEATURES,
            "smooth_following": FEATURES,
        },
    ),
    "unsharp_mask": (lambda x: ops.unsharp_mask(x, 0.5), {"frames": FEATURES}),
    "block_match": (lambda x, y: ops.block_match(x, y)[1], {"frame": LUMA, "reference": LUMA}),
    "block_warp": (
        lambda x: ops.block_warp(x, torch.full((1, 2, 3, 4), 5)),
        {"planes": FEATURES},
    ),
}
MODULES = {
    "FusionStream": (lambda *xs: nn.FusionStream().push(*xs), {"detail": MAP, "smooth": MAP}),
    "AdaptiveSpatialTemporalFusion": (
        lambda *xs: nn.AdaptiveSpatialTemporalFusion()(*(x[None] for x in xs)),
        {"detail": MAP, "smooth": MAP},
    ),
}
EVERY = pytest.mark.parametrize("name", OPERATORS)


def tensors_for(name):
    generator = torch.Generator().manual_seed(len(name))
    _, shapes = {**OPERATORS, **MODULES}[name]
    return [torch.rand(shape, generator=generator) - 0.25 for shape in shapes.values()]


@pytest.mark.parametrize("backend", ("auto", "reference"))
@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        (torch.float8_e4m3fn, r"convert it with \.float\(\)$"),
        (torch.float8_e5m2, r"convert it with \.float\(\)$"),
        (torch.bool, r"convert it with \.float\(\)$"),
        (torch.complex64, r"take its \.real, \.imag or \.abs\(\)$"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [*OPERATORS, *MODULES])
def test_dtypes_that_nothing_computes_with(name, dtype, advice, backend):
    """Each argument by itself is refused by its name, with the dtypes that are taken."""
    function, shapes = {**OPERATORS, **MODULES}[name]
    taken = r"must be a tensor of float64, float32, bfloat16 or float16, got "
    for index, argument in enumerate(shapes):
        tensors = tensors_for(name)
        tensors[index] = tensors[index].to(dtype)
        with vqe_fast.backend(backend), pytest.raises(TypeError) as caught:
            function(*tensors)
        assert re.search(rf"^{argument} {taken}{dtype}: {advice}", str(caught.value))


@pytest.mark.parametrize("dtype", (torch.uint8, torch.int64), ids=str)
@pytest.mark.parametrize("name", [name for name in (*OPERATORS, *MODULES) if "ssim" not in name])
def test_integers(name, dtype):
    """SSIM takes them with a data_range, matching takes bytes; nothing else does."""
    if name == "block_match" and dtype == torch.uint8:
        return
    test_dtypes_that_nothing_computes_with(name, dtype, r"convert it with \.float\(\)$", "auto")


@EVERY
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors(name):
    """Their layout is that of dense ones; torch's own error was an internal one, to be reported."""
    function, shapes = OPERATORS[name]
    for index, argument in enumerate(shapes):
        tensors = tensors_for(name)
        tensors[index] = torch.nested.nested_tensor(list(tensors[index]))
        with pytest.raises(TypeError, match=f"^{argument} must be a dense tensor, got a nested"):
            function(*tensors)


def conjugated(tensor):
    """The imaginary part of a conjugate: the same values, as a view that negates what is stored."""
    view = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
    assert view.is_neg()
    return view


def negated(tensor):
    """Such a view with all other properties of the tensor."""
    return torch._neg_view(-tensor)


def value_and_gradients(function, tensors, grad_view=lambda grad: grad):
    leaves = [tensor.requires_grad_() for tensor in tensors]
    result = function(*leaves)
    if not result.requires_grad:
        return [result]
    grad = torch.linspace(-1, 1, result.numel()).view(result.shape)
    gradients = torch.autograd.grad(result, leaves, grad_view(grad), allow_unused=True)
    return [result.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("backend", ("auto", "reference"))
@pytest.mark.parametrize("view", (conjugated, negated), ids=lambda view: view.__name__)
@EVERY
def test_negative_views(name, view, backend):
    """Values and gradients are those of a copy; the gradient that comes may be such a view too."""
    function, _ = OPERATORS[name]
    with vqe_fast.backend(backend):
        expected = value_and_gradients(function, tensors_for(name))
        views = [view(tensor) for tensor in tensors_for(name)]
        actual = value_and_gradients(function, views, view)
    assert all(tensor.is_neg() for tensor in views)
    torch.testing.assert_close(actual, expected)


@EVERY
def test_negative_views_in_a_graph(name):
    function, _ = OPERATORS[name]
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    actual = compiled(*(conjugated(tensor) for tensor in tensors_for(name)))
    torch.testing.assert_close(actual, function(*tensors_for(name)))


def test_negative_qps():
    """A map of QPs that is such a view."""
    qp, table, bias = torch.full((1, 2, 2), 30.0), torch.rand(4, 3), torch.rand(3)
    expected = ops.qp_gains(qp, table, bias)
    assert torch.equal(ops.qp_gains(conjugated(qp), table, bias), expected)


@pytest.mark.parametrize("dtype", (torch.float8_e4m3fn, torch.bool, torch.uint8, torch.bfloat16))
def test_psnr_of_any_dtype(dtype):
    images, originals = (torch.rand(2, 2, 1, 4, 4) * 2).to(dtype).unbind()
    expected = metrics.psnr(images.double(), originals.double())
    assert torch.equal(metrics.psnr(images, originals), expected)
