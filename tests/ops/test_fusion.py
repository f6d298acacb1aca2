import itertools

import numpy as np
import pytest
import torch

from support.contract import DEVICES, OperatorContract
from support.errors import VALUE_FACTOR, assert_no_worse, relative_rms
from support.layouts import channels_last, sliced
from support.memory import poisoned_memory
from vqe_fast import nn, ops, reference
from vqe_fast.ops import fusion

TAPS = reference.fusion.gaussian_taps(3, 0.8)


def frames(shape, dtype, device="cpu", count=1):
    generator = torch.Generator().manual_seed(sum(shape))
    values = torch.rand((count, *shape), generator=generator, dtype=torch.float64)
    return list(values.to(device, dtype).unbind())


class _FusionContract(OperatorContract):
    """The tests of operators that keep their dtype under autocast."""

    count = 1

    def make_tensors(self, shape, dtype, device):
        return frames(shape, dtype, device, self.count)

    @pytest.mark.parametrize("device", DEVICES)
    def test_autocast(self, device, variant):
        """Nothing here is a matrix product: autocast changes nothing."""
        tensors = self.make_tensors(self.small_shape, torch.bfloat16, device)
        expected = self.function(*tensors, **variant)
        with torch.autocast(device, torch.bfloat16):
            actual = self.function(*tensors, **variant)
        assert actual.dtype == torch.bfloat16
        assert torch.equal(actual, expected)


class TestLocalVariance(_FusionContract):
    function = staticmethod(ops.local_variance)
    reference = staticmethod(reference.local_variance)
    variants = ({}, {"radius": 1}, {"radius": 4}, {"radius": 63})
    # A tile of the kernel has 128 rows and 512 columns.
    shapes = (
        (1, 1, 1, 1),
        (1, 1, 1, 40),
        (2, 3, 7, 5),
        (1, 1, 131, 9),
        (0, 1, 4, 4),
        (1, 3, 3, 520),
        (2, 1, 30, 33),
    )
    small_shape = (2, 3, 5, 4)
    float64_units = 64  # the variance of far more than its own size in squares

    def schema_calls(self, tensors, variant):
        names, (image,) = torch.ops.vqe_fast, tensors
        radius = variant.get("radius", 11)
        yield names.local_variance.default, (image, [image], radius)
        others = [1 - image.detach(), 0.5 * image.detach()]
        for neighbours in (others[:1], others):
            yield names.local_variance.default, (image.detach(), neighbours, radius)
        grad = torch.rand(image.shape[0], 1, *image.shape[2:], device=image.device)
        yield names.local_variance_backward.default, (grad, image.detach(), radius)


class TestUnsharpMask(_FusionContract):
    function = staticmethod(ops.unsharp_mask)
    reference = staticmethod(reference.unsharp_mask)
    variants = (
        {"amount": 0.7},
        {"amount": 0.0},
        {"amount": -1.0, "kernel_size": 7, "sigma": 2.0},
        {"amount": 1.5, "kernel_size": 33, "sigma": 4.0},
        {"amount": 1.5, "kernel_size": 1},
    )
    # A tile of the kernel has 32 rows and 512 columns.
    shapes = (
        (1, 1, 1, 1),
        (1, 2, 1, 40),
        (1, 1, 2, 2),
        (2, 3, 7, 5),
        (0, 1, 4, 4),
        (1, 1, 5, 520),
        (2, 1, 70, 33),
    )
    small_shape = (2, 3, 5, 4)

    def schema_calls(self, tensors, variant):
        taps = reference.fusion.gaussian_taps(
            variant.get("kernel_size", 3), variant.get("sigma", 0.8)
        )
        for transposed in (False, True):
            arguments = (*tensors, variant["amount"], taps, transposed)
            yield torch.ops.vqe_fast.unsharp_mask.default, arguments


def with_fixed_neighbours(function):
    """``function`` of the two frames that are blended, between neighbours that they determine."""

    def fuse(detail, smooth, **options):
        dim = smooth.new_tensor(0.25)
        return function(detail, smooth.detach() * dim, smooth, 1 - smooth.detach() * dim, **options)

    return fuse


class TestAstfFuse(_FusionContract):
    function = staticmethod(with_fixed_neighbours(ops.astf_fuse))
    reference = staticmethod(with_fixed_neighbours(reference.astf_fuse))
    variants = ({}, {"radius": 2, "sharpen": 0.6}, {"radius": 1})
    shapes = (
        (1, 1, 1, 1),
        (1, 3, 1, 40),
        (2, 3, 13, 17),
        (0, 1, 4, 4),
        (1, 1, 5, 520),
        (2, 1, 140, 33),
    )
    small_shape = (2, 3, 5, 4)
    float64_units = 4096  # windows that see nearly the same: masks enlarge what rounding leaves
    count = 2

    # Through the mask smooth has an effect that it gets no gradient for.
    def test_gradcheck(self, variant):
        """First and second derivatives against finite differences, of fusing by a given mask."""
        detail, smooth = frames((2, 3, 5, 4), torch.double, "cpu", 2)
        variance, bounds = fusion.frame_variance(smooth, variant.get("radius", 11))

        def fuse(detail, smooth):
            return fusion.fuse(detail, smooth, variance, bounds, variant.get("sharpen", 0.0))

        self.check_derivatives(fuse, [detail, smooth])

    def schema_calls(self, tensors, variant):
        names, (detail, smooth) = torch.ops.vqe_fast, tensors
        variance, bounds = fusion.frame_variance(smooth.detach())
        known = (variance, bounds, variant.get("sharpen", 0.0), TAPS)
        yield names.astf_fuse.default, (detail, smooth, *known)
        for needed in ([True, True], [False, True]):
            yield names.astf_fuse_backward.default, (torch.rand_like(detail), *known, needed)


def moved(shape, dtype=torch.float32, count=3):
    """Frames that differ little, with a flat region and a textured one."""
    (base, *noise) = frames(shape, torch.float64, count=count + 1)
    base[..., : shape[-1] // 2] = 0.5
    return [(base + 0.01 * each).to(dtype) for each in noise]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16), ids=str)
@pytest.mark.parametrize("channels", (1, 3))
def test_mask(channels, dtype, device):
    """The mask of the paper, against plain PyTorch in float64; it spans what it must."""
    previous, current, following = (
        frame.to(device) for frame in moved((2, channels, 40, 50), dtype)
    )
    with poisoned_memory():
        mask = ops.astf_mask(previous, current, following, 3)
    control = reference.astf_mask(previous, current, following, 3)
    exact = reference.astf_mask(previous.double(), current.double(), following.double(), 3)
    assert mask.shape == (2, 1, 40, 50) and mask.min() >= 0 and mask.max() <= 1
    assert_no_worse(mask, control, exact, VALUE_FACTOR, 64)
    assert mask[..., :15].max() < 0.1 < mask[..., 30:].mean()


def test_mask_of_a_frame_alone():
    """Its own neighbours: the least variance gives 0 and the largest 1, to the bit."""
    (frame,) = frames((3, 3, 30, 41), torch.float32)
    mask = ops.astf_mask(frame, frame, frame)
    assert torch.equal(mask.amin((1, 2, 3)), torch.zeros(3))
    assert torch.equal(mask.amax((1, 2, 3)), torch.ones(3))


def test_mask_by_definition():
    """Eq. 4 to 6 pixel by pixel with NumPy, the window clipped at the border."""
    images = moved((1, 3, 9, 11), torch.float64)
    maps = []
    for image in images:
        luma = np.tensordot([0.299, 0.587, 0.114], image[0].numpy(), axes=1)
        maps.append(np.empty_like(luma))
        for i, j in np.ndindex(*luma.shape):
            window = luma[max(0, i - 2) : i + 3, max(0, j - 2) : j + 3]
            maps[-1][i, j] = window.var()
    low, high = np.min(maps), np.max(maps)
    expected = torch.from_numpy((maps[1] - low) / (high - low))
    torch.testing.assert_close(ops.astf_mask(*images, 2)[0, 0], expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("backend", (ops, reference), ids=("ops", "reference"))
def test_flat_frames(backend, dtype, device):
    """Nothing to normalise by: the mask is 0, not noise, not NaN; windows of a pixel too."""
    colour = torch.tensor([0.1, 0.3, 0.7], dtype=dtype, device=device).view(3, 1, 1)
    flat = colour.expand(2, 3, 150, 400)
    assert backend.local_variance(flat).count_nonzero() == 0
    darker = 0.3 * flat
    assert backend.astf_mask(darker, flat, flat).count_nonzero() == 0
    assert torch.equal(backend.astf_fuse(darker, flat, flat, flat), flat)
    (noise,) = frames((1, 3, 20, 30), dtype, device)
    assert backend.astf_mask(noise, noise, noise, 0).count_nonzero() == 0


@pytest.mark.parametrize("device", DEVICES)
def test_variance_of_large_frames(device):
    """Sums that run on over 2160 rows or 3840 columns, of values that are far from zero."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2160, 3840, generator=generator)
    luma = (1 - 0.001 * noise)[None, None].to(device)
    exact = reference.local_variance(luma.double())
    actual = ops.local_variance(luma)
    assert relative_rms(actual, exact) < 1e-7
    corner = (..., slice(-40, None), slice(-40, None))
    assert relative_rms(actual[corner], exact[corner]) < 1e-7


def test_opencv_agrees():
    """Box filters of OpenCV in float64, divided by the pixels that each window really has."""
    cv2 = pytest.importorskip("cv2")
    (luma,) = frames((1, 1, 150, 430), torch.float32)
    image = luma[0, 0].double().numpy()

    def boxes(values):
        return cv2.boxFilter(values, -1, (23, 23), normalize=False, borderType=cv2.BORDER_CONSTANT)

    count = boxes(np.ones_like(image))
    mean = boxes(image) / count
    exact = torch.from_numpy(boxes(image * image) / count - mean * mean)
    control = reference.local_variance(luma)[0, 0]
    assert_no_worse(ops.local_variance(luma)[0, 0], control, exact, VALUE_FACTOR)
    blurred = cv2.GaussianBlur(image, (5, 5), 1.3)
    exact = torch.from_numpy(image + 0.8 * (image - blurred))
    control = reference.unsharp_mask(luma, 0.8, 5, 1.3)[0, 0]
    assert_no_worse(ops.unsharp_mask(luma, 0.8, 5, 1.3)[0, 0], control, exact, VALUE_FACTOR)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bad", (float("nan"), float("inf"), -float("inf")))
def test_a_bad_pixel_spoils_only_its_windows(bad, device):
    """Running sums would carry it on to the end of the tile."""
    (luma,) = frames((1, 1, 60, 540), torch.float32, device)
    expected = ops.local_variance(luma, 3)
    places = torch.zeros_like(luma)
    for row, column in ((0, 0), (20, 269), (20, 276), (33, 40), (59, 539)):
        places[0, 0, row, column] = 1
        luma[0, 0, row, column] = bad
    spoilt = torch.nn.functional.max_pool2d(places, 7, 1, 3) > 0
    actual = ops.local_variance(luma, 3)
    assert torch.equal(actual.isnan(), spoilt)
    torch.testing.assert_close(actual[~spoilt], expected[~spoilt])
    assert ops.astf_mask(luma, luma, luma, 3).isnan().all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "size"),
    [(torch.float32, 1e15), (torch.float32, 1e-15), (torch.float64, 1e100), (torch.float16, 1e2)],
    ids=str,
)
def test_extreme_values(dtype, size, device):
    """Squares near the ends of the range."""
    (luma,) = frames((1, 1, 30, 30), dtype, device)
    scaled = luma * size
    expected = reference.local_variance(scaled.double()).to(dtype)
    torch.testing.assert_close(ops.local_variance(scaled), expected, rtol=1e-3, atol=0)


def test_gradients_do_not_flow_through_the_mask():
    """Where the two frames agree, smooth has its effect through the blend alone."""
    detail, previous, smooth, following = (
        frame.requires_grad_() for frame in frames((1, 3, 12, 13), torch.float64, count=4)
    )
    fused = ops.astf_fuse(detail, previous, smooth, following)
    mask = ops.astf_mask(previous, smooth, following)
    assert not mask.requires_grad
    fused.sum().backward()
    torch.testing.assert_close(detail.grad, mask.expand_as(detail))
    torch.testing.assert_close(smooth.grad, 1 - mask.expand_as(detail))
    assert previous.grad is None and following.grad is None


def test_mixed_dtypes():
    """Half-precision detail over a float32 frame gives float32."""
    detail, smooth = frames((1, 3, 9, 8), torch.float32, count=2)
    detail = detail.bfloat16()
    actual = ops.astf_fuse(detail, smooth, smooth, smooth, sharpen=0.5)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(
        actual, ops.astf_fuse(detail.float(), smooth, smooth, smooth, sharpen=0.5)
    )


IMAGE = torch.zeros(1, 3, 4, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.local_variance([0.0]), TypeError, "luma must be a tensor, got list"),
        (lambda: ops.local_variance(IMAGE.int()), TypeError, r"luma .*torch\.int32"),
        (lambda: ops.local_variance(IMAGE[0]), ValueError, r"luma .*\(B, C, H, W\).*\(3, 4, 4\)"),
        (lambda: ops.local_variance(IMAGE[:, :2]), ValueError, r"1 channel or 3, got \(1, 2, 4"),
        (lambda: ops.local_variance(IMAGE[..., :0]), ValueError, "luma .* not empty"),
        (lambda: ops.local_variance(IMAGE, 64), ValueError, "radius .* 0 to 63, got 64"),
        (lambda: ops.local_variance(IMAGE, 1.5), ValueError, "radius must be a whole number"),
        (
            lambda: ops.astf_mask(IMAGE, IMAGE[:, :1], IMAGE),
            ValueError,
            r"previous .*\(1, 1, 4, 4\)",
        ),
        (
            lambda: ops.astf_mask(IMAGE, IMAGE, IMAGE.to("meta")),
            ValueError,
            "following must be on cpu like current; got meta",
        ),
        (
            lambda: ops.astf_fuse(IMAGE, IMAGE, IMAGE[..., :3], IMAGE),
            ValueError,
            r"smooth must have the shape of detail, .*got \(1, 3, 4, 3\)",
        ),
        (
            lambda: ops.astf_fuse(IMAGE, IMAGE, IMAGE, IMAGE, sharpen=float("inf")),
            ValueError,
            "sharpen must be a finite number, got inf",
        ),
        (lambda: ops.unsharp_mask(IMAGE, float("nan")), ValueError, "amount .* got nan"),
        (lambda: ops.unsharp_mask(IMAGE, 1.0, 4), ValueError, "kernel_size .* got 4"),
        (lambda: ops.unsharp_mask(IMAGE, 1.0, 35), ValueError, "kernel_size .* 1 to 33, got 35"),
        (lambda: ops.unsharp_mask(IMAGE, 1.0, 3, 0.0), ValueError, "sigma .* above 0"),
        (lambda: nn.UnsharpMask(1.0, 2), ValueError, "kernel_size"),
        (lambda: nn.AdaptiveSpatialTemporalFusion(radius=-1), ValueError, "radius"),
        (lambda: nn.AdaptiveSpatialTemporalFusion()(IMAGE, IMAGE), ValueError, r"\(B, T, C, H, W"),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("neighbours", "message"),
    [
        ([IMAGE] * 3, "at most 2 neighbours, got 3"),
        ([IMAGE, IMAGE[..., :3]], "neighbours must have the shape"),
        ([IMAGE.double()], "neighbours must have the shape, dtype"),
    ],
)
def test_wrong_neighbours(neighbours, message):
    """What the operator refuses whoever calls it."""
    with pytest.raises(RuntimeError, match=message):
        torch.ops.vqe_fast.local_variance(IMAGE, neighbours, 11)


def test_neighbours_of_other_dtypes():
    """Each is as exact as its own dtype, whichever is the frame's."""
    previous, current, following = frames((1, 3, 30, 41), torch.float64, count=3)
    actual = ops.astf_mask(previous.float(), current.bfloat16(), following, 3)
    expected = ops.astf_mask(previous.float().double(), current.bfloat16().double(), following, 3)
    assert actual.dtype == torch.bfloat16
    assert torch.equal(actual, expected.bfloat16())


def clip(length, shape=(2, 3, 20, 30)):
    """(B, T, C, H, W) twice: detail and smooth."""
    both = frames((shape[0], length, *shape[1:]), torch.float32, count=2)
    return [each.requires_grad_() for each in both]


@pytest.mark.parametrize("length", (1, 2, 5))
def test_clip_is_frame_by_frame(length):
    """The module against the operator on each frame; the ends are their own neighbours."""
    detail, smooth = clip(length)
    module = nn.AdaptiveSpatialTemporalFusion(radius=4, sharpen=0.5)
    fused = module(detail, smooth)
    for t in range(length):
        before, after = smooth[:, max(t - 1, 0)], smooth[:, min(t + 1, length - 1)]
        alone = ops.astf_fuse(detail[:, t], before, smooth[:, t], after, radius=4, sharpen=0.5)
        assert torch.equal(fused[:, t], alone)
    fused.sum().backward()
    assert detail.grad.count_nonzero() and smooth.grad.count_nonzero()


@pytest.mark.parametrize("length", (0, 1, 2, 5))
def test_stream_is_the_clip(length):
    """Frame by frame the same bits, and the stream can be used again."""
    detail, smooth = clip(length)
    module = nn.AdaptiveSpatialTemporalFusion(radius=4)
    stream = module.stream()
    for _ in range(2):
        pushed = [stream.push(detail[:, t], smooth[:, t]) for t in range(length)]
        assert all((frame is None) == (t == 0) for t, frame in enumerate(pushed))
        got = [*pushed[1:], *([last] if (last := stream.flush()) is not None else [])]
        assert len(got) == length
        if length:
            assert torch.equal(torch.stack(got, dim=1), module(detail, smooth))
    assert stream.flush() is None


def test_stream_computes_each_variance_once(monkeypatch):
    """What the stream is for."""
    calls = []

    def counted(frames, radius):
        calls.append(frames)
        return fusion.frame_variance(frames, radius)

    monkeypatch.setattr("vqe_fast.nn.fusion.frame_variance", counted)
    detail, smooth = clip(6)
    stream = nn.AdaptiveSpatialTemporalFusion().stream()
    for t in range(6):
        stream.push(detail[:, t], smooth[:, t])
    stream.flush()
    assert len(calls) == 6


def test_stream_refuses_what_does_not_fit():
    stream = nn.FusionStream()
    with pytest.raises(ValueError, match="smooth must have the shape of detail"):
        stream.push(IMAGE, IMAGE[..., :2])
    stream.push(IMAGE, IMAGE)
    with pytest.raises(ValueError, match="frames before"):
        stream.push(IMAGE[..., :2], IMAGE[..., :2])


def test_unsharp_module():
    """The module is the function with its options."""
    (image,) = frames((1, 3, 9, 8), torch.float32)
    module = nn.UnsharpMask(0.5, kernel_size=5, sigma=1.0)
    assert torch.equal(module(image), ops.unsharp_mask(image, 0.5, 5, 1.0))
    assert repr(module) == "UnsharpMask(amount=0.5, kernel_size=5, sigma=1.0)"
    assert repr(nn.AdaptiveSpatialTemporalFusion(3)) == (
        "AdaptiveSpatialTemporalFusion(radius=3, sharpen=0.0)"
    )


@pytest.mark.parametrize("device", DEVICES)
def test_frames_of_different_layouts(device):
    """Each frame may lie differently."""
    detail, previous, smooth, following = frames((2, 3, 15, 22), torch.float32, device, 4)
    expected = ops.astf_fuse(detail, previous, smooth, following, sharpen=0.5)
    for first, second in itertools.product((channels_last, sliced), repeat=2):
        actual = ops.astf_fuse(
            first(detail), second(previous), second(smooth), first(following), sharpen=0.5
        )
        assert torch.equal(actual, expected)
