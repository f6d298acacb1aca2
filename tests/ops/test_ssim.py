import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from support.contract import DEVICES, DTYPES, OperatorContract
from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from vqe_fast import nn, ops, reference
from vqe_fast.ops.ssim import WITHOUT_LUMINANCE, check_options


def images(shape, seed=0):
    """Two images in [0, 1], float64: a texture on a ramp, and the same with noise."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    ramp = torch.linspace(0.2, 0.6, shape[-1], dtype=torch.float64)
    clean = ramp + 0.2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = 0.2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    return [clean, (0.8 * clean + noise).clamp(0, 1)]


def mean_arguments(settings, blend, per_plane, *needed):
    """Those of the schema ssim_mean behind the images."""
    window_size, *constants, same = settings
    return window_size, [*constants, *blend], [int(choice) for choice in (same, per_plane, *needed)]


class SSIMContract(OperatorContract):
    # Plain PyTorch's own error in float64: variances are differences of nearly equal numbers.
    float64_units = 4096

    def make_tensors(self, shape, dtype, device):
        return [image.to(device, dtype) for image in images(shape)]

    def blend(self, variant):
        """offset, weight and mse_weight of the operator, and the options of its window."""
        return (1.0, -1.0, 0.0), check_options(**variant)

    def schema_calls(self, tensors, variant):
        names = torch.ops.vqe_fast
        blend, settings = self.blend(variant)
        for needed in ((True, True), (False, True)):
            asking = [t if need else t.detach() for t, need in zip(tensors, needed, strict=True)]
            for per_plane in (False, True):
                arguments = mean_arguments(settings, blend, per_plane, *needed)
                yield names.ssim_mean.default, (*asking, *arguments)
        window_size, *constants, same = settings
        yield names.ssim_map.default, (*tensors, window_size, constants, same)
        plain = [tensor.detach() for tensor in tensors]
        grad = torch.rand_like(names.ssim_map(*plain, window_size, constants, same))
        arguments = (grad, *plain, window_size, constants, [same, True, False])
        yield names.ssim_map_backward.default, arguments


class TestValid(SSIMContract):
    function = staticmethod(ops.ssim)
    reference = staticmethod(reference.ssim)
    variants = (
        {},
        {"reduction": "none"},
        {"window_size": 5, "sigma": 0.8, "data_range": 2.0, "k1": 0.02, "k2": 0.05},
        {"window_size": 7, "window": "uniform", "reduction": "sum"},
    )
    # A tile of the kernel is 256 × 128 pixels, a buffer 64 rows, a vector 4 to 16 values.
    shapes = (
        (1, 1, 11, 11),
        (0, 3, 16, 16),
        (1, 2, 258, 13),
        (1, 1, 12, 150),
        (2, 3, 13, 29),
        (1, 1, 83, 140),
    )
    small_shape = (1, 2, 11, 12)


class TestSame(SSIMContract):
    generates_code = False  # the operator is that of TestValid
    function = staticmethod(ops.ssim)
    reference = staticmethod(reference.ssim)
    variants = (
        {"padding": "same"},
        {"padding": "same", "reduction": "none"},
        {"padding": "same", "window_size": 33, "sigma": 5.0},
        {"padding": "same", "window_size": 1},
    )
    shapes = ((1, 1, 1, 1), (1, 2, 1, 7), (3, 1, 5, 3), (1, 1, 9, 131), (1, 1, 70, 35))
    small_shape = (1, 2, 7, 6)


class TestLoss(SSIMContract):
    generates_code = False  # the operator is that of TestValid
    function = staticmethod(ops.ssim_loss)
    reference = staticmethod(reference.ssim_loss)
    variants = ({}, {"padding": "same", "reduction": "none"}, {"reduction": "sum"})
    shapes = ((1, 1, 11, 11), (2, 2, 17, 30))
    small_shape = (1, 1, 12, 13)

    def blend(self, variant):
        return (0.0, 1.0, 0.0), check_options(**variant)


class TestMSE(SSIMContract):
    generates_code = False  # the operator is that of TestValid
    function = staticmethod(ops.ssim_mse_loss)
    reference = staticmethod(reference.ssim_mse_loss)
    variants = (
        {},
        {"alpha": 0.3, "padding": "same"},
        {"alpha": 0.3, "padding": "same", "reduction": "none"},
        {"alpha": 0.3, "padding": "same", "reduction": "sum"},
    )
    shapes = ((0, 1, 12, 12), (1, 1, 11, 11), (1, 1, 259, 12), (2, 2, 17, 140))
    small_shape = (1, 1, 12, 13)

    def blend(self, variant):
        options = dict(variant)
        alpha = options.pop("alpha", 0.79)
        return (0.0, alpha, 1 - alpha), check_options(**options)


class TestMultiscale(SSIMContract):
    generates_code = False  # the operator is that of TestValid
    function = staticmethod(ops.ms_ssim)
    reference = staticmethod(reference.ms_ssim)
    variants = (
        {"weights": (0.4, 0.6), "window_size": 3, "sigma": 0.8},
        {"weights": (0.3, 0.3, 0.4), "window_size": 3, "sigma": 0.8, "reduction": "none"},
        {"weights": (0.5, 0.5), "window_size": 3, "window": "uniform", "reduction": "sum"},
    )
    shapes = ((1, 1, 9, 9), (0, 2, 10, 10), (2, 3, 31, 45), (1, 1, 150, 22))
    small_shape = (1, 2, 9, 11)

    def schema_calls(self, tensors, variant):
        names = ("window_size", "sigma", "window")
        settings = check_options(**{name: variant[name] for name in names if name in variant})
        without_luminance = settings._replace(c1=WITHOUT_LUMINANCE)
        arguments = mean_arguments(without_luminance, (1.0, -1.0, 0.0), True, True, True)
        yield torch.ops.vqe_fast.ssim_mean.default, (*tensors, *arguments)


def measured(x, y):
    """The map of scikit-image, less the border where its windows leave the image."""
    metrics = pytest.importorskip("skimage.metrics")
    planes = zip(*(image.double().flatten(0, 1).numpy() for image in (x, y)), strict=True)
    maps = [
        metrics.structural_similarity(
            a,
            b,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1]
        for a, b in planes
    ]
    return torch.from_numpy(np.stack(maps)[:, 5:-5, 5:-5]).reshape(*x.shape[:2], -1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_agrees_with_scikit_image(dtype, close, device):
    x, y = (image.to(dtype) for image in images((2, 3, 61, 47)))
    actual = ops.ssim(x.to(device), y.to(device), reduction="none").cpu().flatten(2)
    assert (actual - measured(x, y)).abs().max() <= close


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", (3, 7, 11))
def test_agrees_with_pytorch_msssim(size, device):
    pytorch_msssim = pytest.importorskip("pytorch_msssim")
    x, y = (image.float().to(device).requires_grad_() for image in images((2, 3, 61, 47)))
    ours = ops.ssim(x, y, window_size=size)
    theirs = pytorch_msssim.ssim(x, y, data_range=1.0, win_size=size)
    assert abs(ours - theirs) <= 1e-5
    for a, b in zip(*(torch.autograd.grad(v, (x, y)) for v in (ours, theirs)), strict=True):
        assert (a - b).abs().max() <= 1e-5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", ((2, 3, 176, 176), (1, 1, 193, 261)), ids=str)
def test_multiscale_agrees_with_pytorch_msssim(shape, device):
    """All five scales, sizes that are odd at some of them."""
    pytorch_msssim = pytest.importorskip("pytorch_msssim")
    x, y = (image.float().to(device).requires_grad_() for image in images(shape))
    ours = ops.ms_ssim(x, y)
    theirs = pytorch_msssim.ms_ssim(x, y, data_range=1.0)
    assert abs(ours - theirs) <= 1e-5
    for a, b in zip(*(torch.autograd.grad(v, (x, y)) for v in (ours, theirs)), strict=True):
        assert (a - b).abs().max() <= 1e-5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("padding", ("valid", "same"))
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_image_with_itself_is_exactly_one(dtype, padding, device):
    """And its gradient is nearly zero: rounding must not look like a difference."""
    x = (1000 * images((1, 2, 40, 50))[0]).to(device, dtype).requires_grad_()
    similarity = ops.ssim(x, x.detach().clone(), padding=padding, reduction="none")
    assert (similarity == 1).all()
    mean = ops.ssim(x, x.detach().clone(), padding=padding)
    assert mean == 1
    mean.backward()
    assert x.grad.abs().max() <= 1e-9


def difficult(kind):
    clean = torch.rand((1, 2, 40, 50), dtype=torch.float64, generator=torch.manual_seed(3))
    other = torch.rand((1, 2, 40, 50), dtype=torch.float64, generator=torch.manual_seed(4))
    x, y, data_range = {
        "constant": (torch.full_like(clean, 0.3), torch.full_like(clean, 0.7), 1.0),
        "black": (torch.zeros_like(clean), 0.3 + 0.5 * other, 1.0),
        "one constant": (torch.full_like(clean, 1000.25), 1000 + other, 1.0),
        "anti-correlated": (clean, 1 - clean, 1.0),
        "far from zero": (1000 + 0.01 * clean, 1000 + 0.01 * other, 0.01),
        "far from each other": (1000 + 0.01 * clean, -500 + 0.01 * other, 0.01),
        "a step": ((clean > 0.5) * 4096.0 + clean, (clean > 0.5) * 4096.0 + other, 255.0),
        "large": (1e8 * clean, 1e8 * other, 1e8),
        "small": (1e-5 * clean, 1e-5 * other, 1e-5),
    }[kind]
    return x.float(), y.float(), data_range


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("padding", ("valid", "same"))
@pytest.mark.parametrize(
    "kind",
    (
        "constant",
        "black",
        "one constant",
        "anti-correlated",
        "far from zero",
        "far from each other",
        "a step",
        "large",
        "small",
    ),
)
def test_difficult_images(kind, padding, device):
    """Cancellation: differences of squares that are much larger than the differences."""
    x, y, data_range = difficult(kind)
    options = {"data_range": data_range, "padding": padding, "reduction": "none"}
    contract = TestValid()
    actual = contract.run(ops.ssim, [x.to(device), y.to(device)], options)
    control = contract.run(reference.ssim, [x, y], options)
    exact = contract.run(reference.ssim, [x.double(), y.double()], options)
    for index, (a, c, e) in enumerate(zip(actual, control, exact, strict=True)):
        assert_no_worse(a.cpu(), c, e, GRADIENT_FACTOR if index else VALUE_FACTOR)
    assert actual[0].abs().max() <= 1


class Convolutions(TorchDispatchMode):
    """Keeps the arguments of convolutions and of their gradients."""

    def __init__(self):
        super().__init__()
        self.of_images, self.gradients = [], []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function is torch.ops.aten.convolution.default:
            self.of_images.append((*arguments[:2], arguments[8]))
        if function is torch.ops.aten.convolution_backward.default:
            self.gradients.append((*arguments[1:3], arguments[9]))
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("channels", (1, 3))
@pytest.mark.parametrize(
    ("frames", "memory_format"),
    [((), torch.contiguous_format), ((), torch.channels_last), ((12,), torch.channels_last_3d)],
    ids=str,
)
def test_reference_takes_no_tf32(channels, frames, memory_format):
    """Its convolutions are those for which PyTorch has a kernel of its own, which has no TF32: as
    many groups as channels, more than one, in rows one after the other."""
    shape = (2, channels, *frames, 16, 20)
    x, y = (i.float().to(memory_format=memory_format) for i in images(shape))
    measure = nn.SSIM(spatial_dims=3) if frames else reference.ssim
    with Convolutions() as convolutions:
        measure(x.requires_grad_(), y).backward()
    assert len(convolutions.of_images) == len(convolutions.gradients) == x.dim() - 2
    for image, weight, groups in convolutions.of_images + convolutions.gradients:
        assert image.shape[1] == weight.shape[0] == groups > 1
        assert image.is_contiguous()
        assert not image.is_contiguous(memory_format=torch.channels_last)
        assert not weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bad", (float("nan"), float("inf")))
@pytest.mark.parametrize("window_size", (7, 11))
def test_a_bad_pixel_spoils_only_its_windows(window_size, bad, device):
    x, y = (image.float().to(device) for image in images((1, 1, 300, 300)))
    clean = ops.ssim(x, y, window_size=window_size, reduction="none")
    places = ((0, 0), (40, 130), (299, 299))
    seen = torch.zeros_like(x)
    for row, column in places:
        x[0, 0, row, column] = bad
        seen[0, 0, row, column] = 1
    spoilt = torch.nn.functional.max_pool2d(seen, window_size, stride=1) > 0
    actual = ops.ssim(x, y, window_size=window_size, reduction="none")
    assert actual[spoilt].isnan().all()
    torch.testing.assert_close(actual[~spoilt], clean[~spoilt], rtol=0, atol=1e-5)
    assert ops.ssim(x, y, window_size=window_size).isnan()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("padding", ("valid", "same"))
@pytest.mark.parametrize("shape", ((2, 2, 17, 140), (1, 1, 259, 12)), ids=str)
def test_value_alone_is_that_beside_the_gradient(shape, padding, device):
    """Without gradients other tiles and other sums are computed, and nothing is kept."""
    x, y = (image.to(device) for image in images(shape))
    asking = x.clone().requires_grad_()
    for function in (ops.ssim, ops.ssim_mse_loss):
        beside = function(asking, y, padding=padding)
        with torch.no_grad():
            alone = function(asking, y, padding=padding)
        assert alone.grad_fn is None
        torch.testing.assert_close(alone, beside.detach(), rtol=1e-13, atol=1e-13)
    settings = check_options(padding=padding)
    arguments = mean_arguments(settings, (0.0, 1.0, 0.0), False, False, False)
    _, *kept = torch.ops.vqe_fast.ssim_mean(x, y, *arguments)
    assert [gradient.numel() for gradient in kept] == [0, 0]


def test_small_losses_keep_their_digits():
    """1 − SSIM of nearly equal images is not the difference of two rounded ones."""
    x = images((1, 1, 64, 64))[0]
    y = x + 1e-5 * torch.rand_like(x)
    exact = reference.ssim_loss(x, y)
    assert 1e-10 < exact < 1e-8
    assert abs(ops.ssim_loss(x.float(), y.float()) / exact - 1) < 0.02


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_twice(device):
    """The kept gradient is handed over once; what a caller does to it must not show later."""
    x, y = (image.to(device).requires_grad_() for image in images((2, 1, 20, 20)))
    for loss in (
        2 * ops.ssim_loss(x, y),
        ops.ms_ssim_loss(x, y, window_size=3, weights=(0.5, 0.5)),
    ):
        first = torch.autograd.grad(loss, (x, y), retain_graph=True)
        kept = [gradient.clone() for gradient in first]
        for gradient in first:
            gradient.zero_()
        for again, expected in zip(torch.autograd.grad(loss, (x, y)), kept, strict=True):
            torch.testing.assert_close(again, expected)


@pytest.mark.parametrize("device", DEVICES)
def test_multiscale_of_opposites_has_a_gradient(device):
    """A negative factor counts as 0; the power's slope there must not turn into NaN."""
    x = images((1, 1, 20, 20))[0].to(device).requires_grad_()
    value = ops.ms_ssim(x, 1 - x.detach(), window_size=3, weights=(0.5, 0.5))
    assert value == 0
    value.backward()
    assert (x.grad == 0).all()


def test_mixed_dtypes_promote():
    """A bfloat16 network output against a float32 target."""
    x, y = images((1, 1, 16, 16))
    x = x.bfloat16().requires_grad_()
    loss = ops.ssim_loss(x, y.float())
    torch.testing.assert_close(loss, reference.ssim_loss(x.float(), y.float()))
    loss.backward()
    assert x.grad.dtype == torch.bfloat16


IMAGE = torch.zeros(1, 1, 16, 16)


@pytest.mark.parametrize(
    ("function", "arguments", "options", "error", "message"),
    [
        (ops.ssim, (IMAGE, IMAGE[..., 1:]), {}, ValueError, r"target .*got \(1, 1, 16, 15\)"),
        (ops.ssim, (IMAGE[0, 0, 0],) * 2, {}, ValueError, r"\(B, C, H, W\) .*got \(16,\)"),
        (ops.ssim, (IMAGE.int(), IMAGE), {}, ValueError, r"input of torch\.int32 .*data_range=255"),
        (ops.ssim, (IMAGE, IMAGE.byte()), {}, ValueError, r"target of torch\.uint8 .*data_range"),
        (ops.ssim, (IMAGE + 0j, IMAGE), {}, TypeError, r"input .*torch\.complex64"),
        (ops.ssim, (IMAGE, IMAGE.to("meta")), {}, ValueError, "target must be on cpu"),
        (ops.ssim, (IMAGE, 3), {}, TypeError, "target must be a tensor, got int"),
        (ops.ssim, (IMAGE, IMAGE), {"window_size": 17}, ValueError, "at least 17×17"),
        (ops.ssim, (IMAGE, IMAGE), {"window_size": 4}, ValueError, "odd .*got 4"),
        (ops.ssim, (IMAGE, IMAGE), {"window_size": 35}, ValueError, "1 to 33, got 35"),
        (ops.ssim, (IMAGE, IMAGE), {"sigma": 0.0}, ValueError, "sigma .*got 0.0"),
        (ops.ssim, (IMAGE, IMAGE), {"data_range": -1.0}, ValueError, "data_range .*got -1.0"),
        (ops.ssim, (IMAGE, IMAGE), {"k2": float("nan")}, ValueError, "k2 .*got nan"),
        (ops.ssim, (IMAGE, IMAGE), {"padding": "full"}, ValueError, "padding .*'full'"),
        (ops.ssim, (IMAGE, IMAGE), {"window": "box"}, ValueError, "gaussian, uniform; got 'box'"),
        (ops.ssim, (IMAGE, IMAGE), {"reduction": "max"}, ValueError, "reduction .* got 'max'"),
        (ops.ssim, (IMAGE, IMAGE), {"full": True, "reduction": "none"}, ValueError, "mean, sum"),
        (ops.ssim, (IMAGE, IMAGE), {"weight": IMAGE[..., 1:]}, ValueError, "weight must broadcast"),
        (ops.ssim, (IMAGE,) * 2, {"weight": IMAGE[..., 1:], "full": True}, ValueError, "weight"),
        (ops.ssim, (IMAGE.movedim(1, 3),) * 2, {}, ValueError, r"16×1, .* of \(1, 16, 16, 1\)"),
        (ops.ssim_loss, (IMAGE, IMAGE), {"size": 3}, TypeError, "size"),
        (ops.ssim_mse_loss, (IMAGE, IMAGE, 1.5), {}, ValueError, "alpha .*got 1.5"),
        (ops.ssim_mse_loss, (IMAGE, IMAGE), {"reduction": "sum"}, ValueError, "'sum' needs"),
        (ops.ssim_mse_loss, (IMAGE, IMAGE), {"weight": IMAGE}, ValueError, "weight needs padding"),
        (ops.ms_ssim, (IMAGE, IMAGE), {}, ValueError, "at least 161×161 for 5 scales, got 16×16"),
        (ops.ms_ssim, (IMAGE, IMAGE), {"weights": ()}, ValueError, "weights"),
        (ops.ms_ssim_loss, (IMAGE, IMAGE), {"weights": (-1.0,)}, ValueError, "weights"),
    ],
)
def test_wrong_arguments(function, arguments, options, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **options)


@pytest.mark.parametrize(
    ("module", "function", "options"),
    [
        (nn.SSIMLoss, ops.ssim_loss, {"window_size": 7}),
        (nn.SSIMMSELoss, ops.ssim_mse_loss, {"alpha": 0.5, "padding": "same"}),
        (nn.MSSSIMLoss, ops.ms_ssim_loss, {"weights": (0.5, 0.5)}),
    ],
)
def test_modules(module, function, options):
    """A module is its function with options, and refuses wrong ones when it is built."""
    x, y = images((1, 2, 30, 30))
    loss = module(**options)
    assert torch.equal(loss(x, y), function(x, y, **options))
    shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
    assert repr(loss) == f"{module.__name__}({shown})"
    with pytest.raises(ValueError, match="data_range"):
        module(data_range=0)
    with pytest.raises(TypeError, match="win_size"):
        module(win_size=3)
