import itertools
import math

import pytest
import torch

from support.contract import DEVICES, DTYPES, OperatorContract
from support.errors import (
    GRADIENT_FACTOR,
    VALUE_FACTOR,
    assert_no_worse,
    largest_roundings,
    relative_rms,
)
from support.layouts import channels_last, contiguous, sliced
from support.memory import poisoned_memory
from support.triton_kernels import SHARED_MEMORY_LIMIT, compile_only, interpreted
from vqe_fast import nn, ops, reference
from vqe_fast.bench.peak_memory import allocated_bytes


def maps(shape, seed=0):
    """Query, key and value, float64; logits of a size that picks out a few positions."""
    batch, channels, value_channels, size, reference_size = shape
    generator = torch.Generator().manual_seed(seed + channels)

    def normal(*sizes):
        return torch.randn(sizes, generator=generator, dtype=torch.float64)

    spread = 1.5 * channels**-0.25
    return [
        spread * normal(batch, channels, *size),
        spread * normal(batch, channels, *reference_size),
        normal(batch, value_channels, *reference_size),
    ]


class TestAttention(OperatorContract):
    function = staticmethod(ops.cross_frame_attention)
    reference = staticmethod(reference.cross_frame_attention)
    variants = ({}, {"scale": 0.25}, {"scale": -1.0}, {"scale": 0.0})
    # The kernels take 384 queries and 192 keys at a time, 48 columns, 8 or 32 rows, 2 or 32
    # channels; shapes are batch, channels, those of the value, sizes of query and reference.
    shapes = (
        (1, 1, 1, (1, 1), (1, 1)),
        (2, 16, 32, (5, 7), (1, 2)),
        (1, 20, 33, (1, 1), (25, 9)),
        (0, 4, 4, (3, 3), (3, 3)),
        (1, 3, 5, (0, 4), (3, 3)),
        (1, 31, 7, (20, 20), (1, 385)),
        (1, 16, 16, (14, 14), (19, 21)),
        (2, 32, 48, (13, 16), (13, 16)),
    )
    small_shape = (2, 3, 4, (2, 3), (3, 2))
    isas = ("baseline", "avx2", "avx512", "avx512_bf16")
    # Plain PyTorch's own error in float64: logits of 20 are exact to 20 units.
    float64_units = 64

    def make_tensors(self, shape, dtype, device):
        return [tensor.to(device, dtype) for tensor in maps(shape)]

    def schema_calls(self, tensors, variant):
        names = torch.ops.vqe_fast
        scale = variant.get("scale", 1.0)
        yield names.cross_frame_attention.default, (*tensors, scale)
        plain = [tensor.detach() for tensor in tensors]
        output, statistics = names.cross_frame_attention(*plain, scale)
        for needed in ([True, True, True], [False, True, False]):
            arguments = (torch.rand_like(output), *plain, output, statistics, scale, needed)
            yield names.cross_frame_attention_backward.default, arguments

    @pytest.mark.parametrize("device", DEVICES)
    def test_autocast(self, device, variant):
        """Computed in autocast's dtype, as matrix products are; gradients in that of the leaves."""
        tensors = self.make_tensors(self.small_shape, torch.float32, device)
        leaf = tensors[0].requires_grad_()
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast(device, dtype):
                actual = self.function(*tensors, **variant)
            expected = self.function(*(tensor.to(dtype) for tensor in tensors), **variant)
            assert torch.equal(actual, expected) and actual.dtype == dtype
            (gradient,) = torch.autograd.grad(actual.sum(), leaf)
            assert gradient.dtype == torch.float32


KINDS = ("200", "-200", "equal", "ascending", "descending", "one hot")


def extreme_maps(kind):
    """Query, key, value and a gradient, float64; logits of ±200 that nobody scaled."""
    channels, queries, keys = 16, (3, 20), (20, 25)
    generator = torch.Generator().manual_seed(1)
    query = torch.full((1, channels, *queries), 200**0.5 / 4, dtype=torch.float64)
    key = torch.full((1, channels, *keys), 200**0.5 / 4, dtype=torch.float64)
    ramp = torch.linspace(-1, 1, key[0, 0].numel(), dtype=torch.float64).view(keys)
    if kind == "200":
        key *= torch.randint(0, 2, key.shape, generator=generator) * 2 - 1
    elif kind == "-200":
        key *= -1 + 0.05 * torch.rand(keys, generator=generator, dtype=torch.float64)
    elif kind == "ascending":
        key *= ramp
    elif kind == "descending":
        key *= -ramp
    elif kind == "one hot":
        key *= -1
        key[..., 7, 11] *= -1
    value = torch.randn(1, 24, *keys, generator=generator, dtype=torch.float64)
    return query, key, value, torch.randn(1, 24, *queries, generator=generator)


def attended_and_gradients(tensors, grad, **options):
    """Of the reference."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    result = reference.cross_frame_attention(*leaves, **options)
    return [result.detach(), *torch.autograd.grad(result, leaves, grad)]


def check_extreme(actual, tensors, grad):
    """By the acceptance rule; what cancels to nothing has no relative error: the size of what
    cancels is the measure."""
    _, key, value = tensors
    control = attended_and_gradients(tensors, grad)
    exact = attended_and_gradients([tensor.double() for tensor in tensors], grad.double())
    scale = (value.abs().max() * 24 * grad.abs().max() * key.abs().max()).item()
    for index, (a, c, e) in enumerate(zip(actual, control, exact, strict=True)):
        factor = GRADIENT_FACTOR if index else VALUE_FACTOR
        assert a.isfinite().all()
        if e.abs().max() < 1e-9 * scale:
            bound = factor * (c - e).abs().max() + 64 * torch.finfo(c.dtype).eps * scale
            assert (a - e).abs().max() <= bound
        else:
            assert_no_worse(a, c, e, factor, float64_units=4096)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits(kind, dtype, device):
    """Logits of ±200 that nobody scaled, rows whose log-sum-exp is far below zero, all equal, a
    maximum that grows or never changes from one block of keys to the next."""
    *tensors, grad = (tensor.to(device, dtype) for tensor in extreme_maps(kind))
    leaves = [tensor.requires_grad_() for tensor in tensors]
    result = ops.cross_frame_attention(*leaves)
    check_extreme([result.detach(), *torch.autograd.grad(result, leaves, grad)], tensors, grad)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_reference_position(dtype, device):
    """There is nothing to choose: the value everywhere, and no gradient of query and key."""
    query, key, value = (t.to(device, dtype) for t in maps((2, 33, 40, (4, 9), (1, 1))))
    leaves = [tensor.requires_grad_() for tensor in (query, key, value)]
    attended = ops.cross_frame_attention(*leaves)
    assert torch.equal(attended, value.expand_as(attended))
    of_query, of_key, of_value = torch.autograd.grad(attended.sum(), leaves)
    bound = 64 * torch.finfo(dtype).eps * value.abs().sum(1).max() * key.abs().max()
    assert max(of_query.abs().max(), of_key.abs().max() / 36) <= bound
    torch.testing.assert_close(of_value, torch.full_like(value, 36))


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
@pytest.mark.parametrize("keys", (2, 3, 9))
def test_tiny_maps(keys, dtype):
    """A result of few values, of which plain PyTorch may hit one exactly: over many maps together
    the operator is as near, and a single value is off by roundings of what it is made of."""
    errors, bound = {ops: [], reference: []}, 2
    for channels, seed in itertools.product((1, 3, 16, 64), range(50)):
        tensors = maps((1, channels, 1, (1, 1), (1, keys)), seed=seed)
        tensors = [tensor.to(dtype) for tensor in tensors]
        exact_tensors = query, key, value = [tensor.double() for tensor in tensors]
        exact = reference.cross_frame_attention(*exact_tensors)
        size = reference.cross_frame_attention(query, key, value.abs())
        largest_logit = torch.einsum("bdhw,bdij->hwij", query.abs(), key.abs()).max()
        for where, found in errors.items():
            actual = where.cross_frame_attention(*tensors)
            found.append(largest_roundings(actual, exact, size))
        assert errors[ops][-1] <= bound * (1 + largest_logit)
    ours, theirs = (torch.tensor(found).square().mean().sqrt() for found in errors.values())
    assert ours <= 1.25 * theirs


def test_not_finite_spoils_its_own_rows_only():
    """A NaN of the query stays in its position, one of the reference reaches all of its image."""
    query, key, value = (tensor.float() for tensor in maps((2, 5, 6, (7, 30), (6, 40))))
    clean = ops.cross_frame_attention(query, key, value)
    query[0, 2, 3, 4] = torch.nan
    spoilt = ops.cross_frame_attention(query, key, value)
    expected = torch.zeros(spoilt.shape, dtype=torch.bool)
    expected[0, :, 3, 4] = True
    assert torch.equal(spoilt.isnan(), expected)
    assert torch.equal(spoilt[~expected], clean[~expected])
    key[1, 0, 5, 39] = torch.nan
    assert ops.cross_frame_attention(query, key, value)[1].isnan().all()


@pytest.mark.parametrize("layout", (contiguous, channels_last, sliced))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_memory(dtype, layout):
    """Forward and backward allocate what they return and a few numbers for each position, no map
    and no copy of a reference that lies as models produce it."""
    tensors = [layout(t.to(dtype)) for t in maps((1, 16, 32, (40, 40), (40, 40)))]
    element, positions = tensors[0].element_size(), 1600
    copies = sum(t.numel() for t in tensors) * element if layout is sliced else 0
    forward = 32 * positions * element + 2 * positions * 4
    assert allocated_bytes(lambda: ops.cross_frame_attention(*tensors), "cpu") <= forward + copies
    leaves = [tensor.requires_grad_() for tensor in tensors]
    gradients = (16 + 16 + 32) * positions * (4 if dtype == torch.float32 else 4 + element)
    grad = torch.ones(1, 32, 40, 40, dtype=dtype)

    def step():
        torch.autograd.grad(ops.cross_frame_attention(*leaves), leaves, grad)

    assert allocated_bytes(step, "cpu") <= forward + gradients + 4 * positions + copies


def test_mixed_dtypes_promote():
    """Projections in float32 beside features in bfloat16, as plain PyTorch would refuse."""
    query, key, value = maps((1, 4, 6, (3, 3), (3, 3)))
    attended = ops.cross_frame_attention(query.bfloat16(), key.bfloat16(), value.float())
    assert attended.dtype == torch.float32


@pytest.mark.parametrize(
    ("shapes", "options", "error", "message"),
    [
        (((3, 4, 4), (1, 3, 4, 4), (1, 2, 4, 4)), {}, ValueError, r"query .* got \(3, 4, 4\)"),
        (((1, 3, 4, 4), (2, 3, 4, 4), (1, 2, 4, 4)), {}, ValueError, "key .* batch .* 1; got 2"),
        (((1, 3, 4, 4), (1, 3, 4, 4), (3, 2, 4, 4)), {}, ValueError, "value .* batch .* 1; got 3"),
        (((1, 3, 4, 4), (1, 2, 4, 4), (1, 2, 4, 4)), {}, ValueError, "key .* channels .* 3; got 2"),
        (
            ((1, 3, 4, 4), (1, 3, 4, 4), (1, 2, 2, 8)),
            {},
            ValueError,
            r"value .* size of key, \(4, 4\); got \(2, 8\)",
        ),
        (((1, 3, 4, 4), (1, 3, 0, 4), (1, 2, 0, 4)), {}, ValueError, "key .* one position"),
        (
            ((1, 3, 4, 4), (1, 3, 4, 4), (1, 2, 4, 4)),
            {"scale": math.inf},
            ValueError,
            "scale .* finite number, got inf",
        ),
    ],
)
def test_wrong_shapes(shapes, options, error, message):
    with pytest.raises(error, match=message):
        ops.cross_frame_attention(*(torch.zeros(shape) for shape in shapes), **options)


def test_wrong_types_and_devices():
    good = torch.zeros(1, 2, 3, 3)
    with pytest.raises(TypeError, match="key must be a tensor, got list"):
        ops.cross_frame_attention(good, [0.0], good)
    with pytest.raises(TypeError, match=r"value .*torch\.int32"):
        ops.cross_frame_attention(good, good, good.int())
    with pytest.raises(ValueError, match="value must be on cpu like query; got meta"):
        ops.cross_frame_attention(good, good, good.to("meta"))


def plain_module(module, features, reference_features):
    """What the module promises, in plain PyTorch, through the map."""
    r = module.downsample
    height, width = features.shape[2:]
    rows, columns = -(-height // r), -(-width // r)
    squares = [
        [t[..., i * r : (i + 1) * r, k * r : (k + 1) * r].mean((2, 3)) for k in range(columns)]
        for t in (features, reference_features)
        for i in range(rows)
    ]
    small = torch.stack([torch.stack(row, -1) for row in squares], -2)
    features, reference_features = small.split(rows, dim=2)
    projected = [
        torch.einsum("dc,bchw->bdhw", conv.weight[..., 0, 0], x) + conv.bias[:, None, None]
        for conv, x in ((module.query, features), (module.key, reference_features))
    ]
    query, key = (x.clamp_min(0).flatten(2) for x in projected)
    weights = torch.einsum("bdi,bdj->bij", query, key).softmax(-1)
    attended = torch.einsum("bcj,bij->bci", reference_features.flatten(2), weights)
    return attended.unflatten(2, (rows, columns))


@pytest.mark.parametrize("downsample", (1, 2, 3))
def test_module(downsample):
    """Projections with bias and ReLU, values as they are, squares averaged, their values back at
    their centres."""
    module = nn.CrossFrameAttention(8, downsample=downsample)
    features, other = torch.randn(2, 2, 8, 7, 9)
    attended = module(features, other)
    assert attended.shape == features.shape
    expected = plain_module(module, features, other)
    if downsample == 3:
        # The middle of a square of three is a pixel.
        attended = attended[..., 1::3, 1::3]
        expected = expected[..., : attended.shape[2], : attended.shape[3]]
    elif downsample == 2:
        # A quarter of the way to the neighbours of the second square.
        attended = attended[..., 2, 2]
        weights = torch.tensor([0.25, 0.75])
        expected = torch.einsum("bchw,h,w->bc", expected[..., :2, :2], weights, weights)
    torch.testing.assert_close(attended, expected, rtol=1e-4, atol=1e-5)


def test_module_learns_and_compiles():
    """Gradients reach both projections; the compiled module gives the same."""
    module = nn.CrossFrameAttention(8, 6, downsample=2)
    features, other = torch.randn(2, 1, 8, 10, 11)
    attended = module(features, other)
    attended.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
    assert module.query.weight.shape == (6, 8, 1, 1)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(features, other), attended)
    assert "downsample=2" in repr(module)


def test_module_refuses():
    with pytest.raises(ValueError, match="downsample must be a whole number of at least 1, got 0"):
        nn.CrossFrameAttention(8, downsample=0)
    with pytest.raises(
        ValueError, match="projected_channels must be a whole number of at least 1, got 0"
    ):
        nn.CrossFrameAttention(1)
    module = nn.CrossFrameAttention(8, downsample=6)
    with pytest.raises(ValueError, match=r"reference must be at least 6×6 .* got 5×7"):
        module(torch.rand(1, 8, 9, 9), torch.rand(1, 8, 5, 7))


@pytest.mark.parametrize("channels", (128, 256))
def test_real_size(channels):
    """Several blocks of queries and keys, poisoned memory; sums over many channels and positions
    that keep their digits, as those of a library do."""
    query, key, value = maps((1, channels, 2 * channels, (30, 52), (30, 52)))
    tensors = [tensor.float() for tensor in (2 * query, 2 * key, value)]
    with poisoned_memory():
        actual = ops.cross_frame_attention(*tensors)
    control = reference.cross_frame_attention(*tensors)
    exact = reference.cross_frame_attention(*(tensor.double() for tensor in tensors))
    assert_no_worse(actual, control, exact, factor=1.5)


def launched(tensors, grad, scale, arch, multiprocessors, needed=(True, True, True)):
    """Result, statistics and gradients of the Triton kernels, these in float32 or float64."""
    from support.attention_kernels import tensor_cores
    from vqe_fast.kernels import attention as kernels
    from vqe_fast.kernels.attention_plan import Device

    device = Device(arch, multiprocessors)
    with tensor_cores():
        output, lse = kernels.cross_frame_attention(*tensors, scale, device=device)
        arguments = (grad, *tensors, output, lse, scale, list(needed))
        gradients = kernels.cross_frame_attention_backward(*arguments, device=device)
    return output, lse, gradients


# Channels filled up, keys and queries short of a block, one and several blocks, both signs.
TRITON_SHAPES = (
    ((2, 16, 32, (5, 7), (5, 7)), 1.0),
    ((1, 20, 33, (3, 26), (9, 37)), -0.5),
    ((1, 3, 40, (13, 11), (1, 1)), 0.0),
    ((0, 3, 4, (2, 2), (2, 2)), 1.0),
)
# A GPU of one multiprocessor never splits keys, one of very many always does.
ONE, MANY = 1, 10**6


@interpreted
@pytest.mark.parametrize(
    ("dtype", "arch", "multiprocessors"),
    [
        (torch.bfloat16, 90, ONE),
        (torch.bfloat16, 90, MANY),
        (torch.float16, 80, ONE),
        (torch.float32, 90, ONE),
        (torch.float32, 90, MANY),
        (torch.float32, 80, ONE),
    ],
    ids=str,
)
@pytest.mark.parametrize(("shape", "scale"), TRITON_SHAPES, ids=str)
def test_triton_interpreted(shape, scale, dtype, arch, multiprocessors):
    """The CUDA path's arithmetic, masks and tails; gradients with each subset of the others."""
    tensors = [tensor.to(dtype) for tensor in maps(shape)]
    tensors[1] = channels_last(tensors[1])
    grad = torch.randn(shape[0], shape[2], *shape[3], dtype=torch.float64).to(dtype)
    with poisoned_memory():
        output, lse, gradients = launched(tensors, grad, scale, arch, multiprocessors)
        *_, some = launched(tensors, grad, scale, arch, multiprocessors, (False, True, False))
    actual = [output, *(gradient.to(dtype) for gradient in gradients)]
    control = attended_and_gradients(tensors, grad, scale=scale)
    exact_tensors = [tensor.double() for tensor in tensors]
    exact = attended_and_gradients(exact_tensors, grad.double(), scale=scale)
    for index, (a, c, e) in enumerate(zip(actual, control, exact, strict=True)):
        assert_no_worse(a, c, e, GRADIENT_FACTOR if index else VALUE_FACTOR)
    logits = scale * exact_tensors[0].flatten(2).mT @ exact_tensors[1].flatten(2)
    expected = logits.logsumexp(-1).view(lse.shape) / math.log(2)
    torch.testing.assert_close(lse, expected.to(lse.dtype), rtol=1e-5, atol=1e-5)
    assert [tensor.numel() > 0 for tensor in some] == [False, shape[0] > 0, False]
    assert torch.equal(some[1], gradients[1])


@interpreted
def test_triton_interpreted_in_float64():
    """The whole scale lies in the copy of the query: kernels take numbers in float32."""
    tensors = maps((1, 17, 20, (3, 4), (4, 5)))
    grad = torch.randn(1, 20, 3, 4, dtype=torch.float64)
    output, _, gradients = launched(tensors, grad, -0.3, 90, MANY)
    exact = attended_and_gradients(tensors, grad, scale=-0.3)
    for actual, expected in zip((output, *gradients), exact, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-13, atol=1e-14)


@interpreted
@pytest.mark.parametrize("kind", ("200", "-200", "one hot"))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_triton_extreme_logits(kind, dtype):
    """Six products of bfloat16 have the digits of float32 where tensor cores cut off."""
    *tensors, grad = (tensor.to(dtype) for tensor in extreme_maps(kind))
    output, _, gradients = launched(tensors, grad, 1.0, 90, ONE)
    check_extreme([output, *(gradient.to(dtype) for gradient in gradients)], tensors, grad)


@interpreted
def test_triton_keeps_digits_over_many_channels():
    """What tensor cores cut off must not add up: gradients are differences of long sums."""
    tensors = [tensor.float() for tensor in maps((1, 128, 256, (4, 8), (20, 26)))]
    grad = torch.randn(1, 256, 4, 8, generator=torch.Generator().manual_seed(3))
    output, _, gradients = launched(tensors, grad, 1.0, 90, ONE)
    control = attended_and_gradients(tensors, grad)
    exact = attended_and_gradients([tensor.double() for tensor in tensors], grad.double())
    for actual, c, e in zip((output, *gradients), control, exact, strict=True):
        assert_no_worse(actual, c, e, factor=1.5)


@interpreted
def test_triton_tf32():
    """Where TF32 is allowed, three products: 16 bits, more than TF32's 11."""
    tensors = [tensor.float() for tensor in maps((1, 32, 32, (5, 6), (6, 7)))]
    grad = torch.randn(1, 32, 5, 6)
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        output, _, gradients = launched(tensors, grad, 1.0, 90, ONE)
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    exact = attended_and_gradients([tensor.double() for tensor in tensors], grad.double())
    for actual, expected in zip((output, *gradients), exact, strict=True):
        assert 2**-20 < relative_rms(actual, expected) < 2**-15


@interpreted
@pytest.mark.parametrize("dtype", (torch.float32, torch.float16), ids=str)
def test_triton_not_finite(dtype):
    """As :func:`test_not_finite_spoils_its_own_rows_only`, and no zero times another image's."""
    query, key, value = (tensor.to(dtype) for tensor in maps((2, 5, 6, (7, 3), (6, 4))))
    query[0, 2, 3, 1] = torch.nan
    value[1] = torch.nan
    attended, *_ = launched([query, key, value], torch.zeros(2, 6, 7, 3).to(dtype), 1.0, 90, ONE)
    expected = torch.zeros(attended.shape, dtype=torch.bool)
    expected[0, :, 3, 1] = True
    expected[1] = True
    assert torch.equal(attended.isnan(), expected)


def test_triton_copies():
    """Parts add up to the map, channels are filled up with zeros, and what fits is not copied."""
    from vqe_fast.kernels.attention import _copied

    tensor = 1000 * torch.randn(2, 33, 5, 7) ** 3
    copied = _copied(tensor).view(2, 35, 3, 64)
    assert copied.dtype == torch.bfloat16 and not copied[..., 33:].any()
    assert torch.equal(copied[..., :33].float().sum(2).mT, tensor.flatten(2))
    half = channels_last(torch.randn(2, 32, 5, 7).half())
    assert _copied(half).data_ptr() == half.data_ptr()
    assert torch.equal(_copied(half).mT, half.flatten(2))
    assert torch.equal(_copied(half.contiguous()), _copied(half))


@pytest.mark.parametrize("kernel", ("forward", "grad_query", "grad_key", "grad_value"))
def test_split_loops_fill_a_gpu(kernel):
    """48 blocks leave most of 132 multiprocessors idle, 195 take two rounds; more need no split."""
    from vqe_fast.kernels.attention_plan import plan, split_length

    chosen = plan(kernel, torch.bfloat16, 128, 256, 90)
    splits = {}
    for positions in (6144, 24_960, 129_600):
        length = split_length(kernel, chosen, 1, positions, positions, 132)
        splits[positions] = -(-positions // length)
    assert splits[6144] * 48 >= 132 and splits[6144] <= 16
    assert splits[24_960] == 2
    assert splits[129_600] == 1


def test_few_kernels():
    """Every kernel costs a user a second before its first result: neither sizes nor strides nor
    scales make another one, and few numbers of channels do."""
    from support.attention_kernels import distinct_kernels

    channels = {shape[1:3] for shape in TestAttention.shapes}
    assert len(distinct_kernels(channels, DTYPES)) <= 80
    assert len(distinct_kernels({(1, 1), (20, 30), (31, 32)}, DTYPES)) == 4 * 6


def test_triton_compiles_for_gpus(record_property):
    """The shapes of PeQuENet for sm_80 and sm_90: shared memory within what a block may have,
    nothing spilled that would matter, and on sm_90 the copy engine and wgmma."""
    from support.attention_kernels import real_kernels
    from vqe_fast.kernels.attention_plan import KERNELS

    asked = real_kernels()
    footprints = compile_only(asked.values())
    assert len(footprints) == len(asked)
    for one, (index, arch) in zip(asked, footprints, strict=True):
        footprint = footprints[index, arch]
        record_property(
            " ".join(map(str, one)),
            f"registers {footprint.registers}, stack {footprint.stack}, shared {footprint.shared}",
        )
        assert footprint.shared <= SHARED_MEMORY_LIMIT[arch], (one, footprint)
        assert footprint.stack <= 64, (one, footprint)
        if one[0] not in KERNELS:
            continue
        assert footprint.count("LDG.E.U16") == 0, (one, footprint)
        if arch == 90 and one[1] != torch.float64:
            assert footprint.count("HGMMA") > 0, (one, footprint)
            assert footprint.count("UTMALDG") > 0, (one, footprint)
