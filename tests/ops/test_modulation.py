import copy
import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from support.contract import DEVICES, DTYPES, OperatorContract
from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from support.layouts import LAYOUTS, channels_last, contiguous
from support.memory import poisoned_memory
from support.triton_kernels import Specialisation, compile_only, interpreted
from vqe_fast import nn, ops, reference
from vqe_fast.bench.peak_memory import allocated_bytes
from vqe_fast.ops import modulation
from vqe_fast.reference.modulation import computed_dtype

PAPER_QPS = [22.0, 27.0, 32.0, 37.0]


def features_and_gains(shape, gains_shape):
    """Float64; features of both signs, none so near to 0 that a finite difference crosses it."""
    generator = torch.Generator().manual_seed(sum(shape) + sum(gains_shape))
    features = torch.randn(shape, generator=generator, dtype=torch.float64)
    gains = torch.rand(gains_shape, generator=generator, dtype=torch.float64)
    return [features + 0.1 * features.sign(), gains + 0.5]


class TestQPModulate(OperatorContract):
    function = staticmethod(ops.qp_modulate)
    reference = staticmethod(reference.qp_modulate)
    variants = (
        {},
        {"activation": "relu"},
        {"activation": "leaky_relu", "negative_slope": 0.2},
    )
    # Features, gains, how the features lie. A block of the kernel holds 64 values, a chunk 2048, a
    # part 32 rows or 16384 values.
    shapes = tuple(
        (*shapes, layout)
        for layout in (torch.contiguous_format, torch.channels_last)
        for shapes in (
            ((1, 1, 1, 1), (1, 1)),
            ((0, 3, 4, 5), (1, 3, 2, 2)),
            ((2, 3, 0, 5), (2, 3)),
            ((2, 3, 5, 7), (1, 3, 5, 7)),
            ((2, 5, 100, 171), (2, 5)),
            ((3, 2, 40, 7), (1, 2)),
            ((1, 1, 70, 65), (1, 1, 2, 1)),
            ((1, 2, 2, 16384 + 3), (1, 2, 1, 4)),
            ((1, 2049, 3, 2), (1, 2049, 2, 2)),
            ((2, 5, 40, 7), (2, 5, 1, 3)),
            ((1, 20, 33, 35), (1, 20, 3, 4)),
        )
    )
    small_shape = ((2, 3, 4, 5), (2, 3, 2, 3), torch.contiguous_format)
    # Sums of thousands of values of both signs, in another order than plain PyTorch's.
    float64_units = 64

    def make_tensors(self, shape, dtype, device):
        *sizes, layout = shape
        features, gains = (tensor.to(device, dtype) for tensor in features_and_gains(*sizes))
        return [features.contiguous(memory_format=layout), gains]

    def schema_calls(self, tensors, variant):
        names = torch.ops.vqe_fast
        slope = {"relu": [0.0], "leaky_relu": [0.2]}.get(variant.get("activation"), [])
        yield names.qp_modulate.default, (*tensors, slope)
        plain = [tensor.detach() for tensor in tensors]
        for needed in ([True, True], [False, True]):
            arguments = (torch.rand_like(plain[0]), *plain, slope, needed)
            yield names.qp_modulate_backward.default, arguments

    @pytest.mark.parametrize("device", DEVICES)
    def test_autocast(self, device, variant):
        """Autocast changes nothing: the result has the features' dtype."""
        features, gains = self.make_tensors(self.small_shape, torch.bfloat16, device)
        expected = self.function(features, gains.float(), **variant)
        with torch.autocast(device, torch.float16):
            actual = self.function(features, gains.float(), **variant)
        assert torch.equal(actual, expected) and actual.dtype == torch.bfloat16


GAINS_OF = {
    "number": 29.5,
    "frames": torch.tensor([22, 40, 33]),
    "maps": 63 * torch.rand(2, 5, 14, generator=torch.Generator().manual_seed(1)),
}


@pytest.mark.filterwarnings("ignore:vqe_fast. QP")
class TestQPGains(OperatorContract):
    @staticmethod
    def function(table, bias, qp):
        return ops.qp_gains(GAINS_OF[qp], table, bias)

    @staticmethod
    def reference(table, bias, qp):
        return reference.qp_gains(GAINS_OF[qp], table, bias)

    variants = tuple({"qp": name} for name in GAINS_OF)
    # Rows and columns of the table.
    shapes = ((1, 1), (64, 3), (52, 0), (5, 2), (4, 65))
    small_shape = (4, 2)

    def make_tensors(self, shape, dtype, device):
        generator = torch.Generator().manual_seed(sum(shape))
        table = torch.randn(shape, generator=generator, dtype=torch.float64)
        bias = torch.randn(shape[1:], generator=generator, dtype=torch.float64)
        return [table.to(device, dtype), bias.to(device, dtype)]

    def schema_calls(self, tensors, variant):
        names = torch.ops.vqe_fast
        qp = torch.as_tensor(GAINS_OF[variant["qp"]]).double()
        qp = qp.reshape(qp.shape or 1).to(tensors[0].device)
        yield names.qp_gains.default, (qp, *tensors, PAPER_QPS)
        plain = [tensor.detach() for tensor in tensors]
        grad = torch.rand_like(names.qp_gains(qp, *plain, PAPER_QPS))
        yield names.qp_gains_backward.default, (grad, qp, *plain, PAPER_QPS)

    @pytest.mark.parametrize("device", DEVICES)
    def test_expanded_tensors(self, device, variant):
        """Stride 0: one row of the table for every QP, one number for the bias."""
        table, bias = self.make_tensors(self.small_shape, torch.float32, device)
        expanded = [table[:1].expand(table.shape), bias[:1].expand(bias.shape)]
        actual = self.run(self.function, expanded, variant)
        expected = self.run(self.reference, [t.contiguous() for t in expanded], variant)
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)


def mapped(features, gains):
    """Features times their gains, pixel by pixel."""
    height, width = features.shape[2:]
    rows, columns = gains.shape[2:]
    modulated = features.clone()
    for y, x in itertools.product(range(height), range(width)):
        modulated[..., y, x] *= gains[..., y * rows // height, x * columns // width]
    return modulated


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("function", (ops.qp_modulate, reference.qp_modulate), ids=("ops", "plain"))
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("size", ((1, 1), (1, 4), (3, 1), (3, 4), (7, 9)), ids=str)
def test_each_pixel_takes_the_gain_of_its_block(size, layout, function, device):
    """Blocks that do not divide the size, in integers; the reference too is checked here."""
    features, gains = (t.to(device) for t in features_and_gains((2, 3, 7, 9), (2, 3, *size)))
    modulated = function(layout(features), layout(gains))
    assert torch.equal(modulated, mapped(features, gains))
    if size == (1, 1):
        assert torch.equal(function(layout(features), gains[:, :, 0, 0]), modulated)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layout_of_result_and_gradient(layout, device):
    """channels_last stays channels_last, everything else becomes contiguous."""
    features, gains = (t.to(device) for t in features_and_gains((2, 3, 7, 9), (2, 3)))
    features = layout(features).requires_grad_()
    result = ops.qp_modulate(features, gains, activation="relu")
    (gradient,) = torch.autograd.grad(result.sum(), features)
    expected = torch.channels_last if layout is channels_last else torch.contiguous_format
    assert result.is_contiguous(memory_format=expected)
    assert gradient.is_contiguous(memory_format=expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", (contiguous, channels_last), ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("activation", modulation.ACTIVATIONS, ids=str)
def test_extreme_values(activation, dtype, layout, device):
    """NaN stays, ReLU of -infinity is 0, the gradient at 0 is that of PyTorch."""
    values = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 1e4, -1e4]
    features = torch.tensor(values, dtype=dtype, device=device).view(1, 1, 3, 3)
    features = layout(features.expand(2, 5, 3, 3)).requires_grad_()
    gains = torch.full((2, 5), 2.0, device=device)
    results = []
    for function in (ops.qp_modulate, reference.qp_modulate):
        result = function(features, gains, activation=activation)
        # That of NaN is not said.
        grad = torch.ones_like(result)
        (gradient,) = torch.autograd.grad(result, features, grad)
        results.append((result.detach(), gradient[~features.isnan()]))
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    assert results[0][0].isnan().sum() == 10


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", (contiguous, channels_last), ids=lambda layout: layout.__name__)
def test_large_sums_keep_their_precision(layout, device):
    """Gradients of gains are sums of millions of values, which drift in float32."""
    features = layout(torch.full((2, 2, 1024, 1024), 0.1, device=device))
    for size in ((1, 2), (1, 2, 1, 2), (1, 2, 2, 1)):
        gains = torch.ones(size, device=device, requires_grad=True)
        grad = torch.ones_like(features)
        (gradient,) = torch.autograd.grad(ops.qp_modulate(features, gains), gains, grad)
        exact = features.double().sum() / gains.numel()
        assert (gradient / exact - 1).abs().max() < 1e-7


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", (contiguous, channels_last), ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("size", ((1, 64), (1, 64, 8, 15)), ids=str)
def test_gains_are_never_as_large_as_the_features(size, layout, device):
    """Forward and backward allocate what they return, and little beside it."""
    features, gains = features_and_gains((1, 64, 135, 240), size)
    features = layout(features.float()).to(device).requires_grad_()
    gains = gains.float().to(device).requires_grad_()
    grad = torch.ones_like(features)
    result = features.numel() * 4
    little = 1 << 20

    def forward():
        return ops.qp_modulate(features, gains, activation="relu")

    assert result <= allocated_bytes(forward, device) <= result + little
    both = allocated_bytes(lambda: torch.autograd.grad(forward(), (features, gains), grad), device)
    assert both <= 2 * result + little


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("features", "gains"),
    [
        (torch.float32, torch.bfloat16),
        (torch.bfloat16, torch.float32),
        (torch.float64, torch.float32),
        (torch.float32, torch.float64),
        (torch.float16, torch.bfloat16),
    ],
    ids=str,
)
def test_gains_of_another_dtype(features, gains, device):
    """The result has the features' dtype, each gradient that of its tensor."""
    x, v = features_and_gains((2, 3, 5, 8), (2, 3, 2, 2))
    x, v = x.to(device, features).requires_grad_(), v.to(device, gains).requires_grad_()
    result = ops.qp_modulate(x, v, activation="relu")
    expected = reference.qp_modulate(x, v, activation="relu")
    assert result.dtype == features
    torch.testing.assert_close(result, expected)
    gradients = torch.autograd.grad(result, (x, v), torch.ones_like(result))
    for g, e in zip(
        gradients, torch.autograd.grad(expected, (x, v), torch.ones_like(result)), strict=True
    ):
        torch.testing.assert_close(g, e)
    assert [g.dtype for g in gradients] == [features, gains]


X = torch.zeros(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("features", "gains", "options", "error", "message"),
    [
        ([0.0], X[..., 0, 0], {}, TypeError, "features must be a tensor, got list"),
        (X.int(), X[..., 0, 0], {}, TypeError, r"features .*torch\.int32"),
        (X, X[..., 0, 0].bool(), {}, TypeError, r"gains .*torch\.bool"),
        (X[0], X[..., 0, 0], {}, ValueError, r"features .*\(B, C, H, W\), got \(3, 4, 5\)"),
        (X, X[..., 0], {}, ValueError, r"gains .*\(B, C, h, w\), got \(2, 3, 4\)"),
        (X, X[..., 0, 0].to("meta"), {}, ValueError, "gains must be on cpu .* got meta"),
        (X[:1], X[..., 0, 0], {}, ValueError, "gains .* batch size of features, 1, or 1; got 2"),
        (X[:, :2], X[..., 0, 0], {}, ValueError, "gains .* channels of features, 2; got 3"),
        (X[:, :, :3], X, {}, ValueError, "no finer than the features, 3×5; got 4×5"),
        (X[..., :4], X, {}, ValueError, "no finer than the features, 4×4; got 4×5"),
        (X, X[:, :, :0], {}, ValueError, "at least 1×1 .* got 0×5"),
        (X, X, {"activation": "gelu"}, ValueError, "activation must be .* got 'gelu'"),
        (
            X,
            X,
            {"activation": "leaky_relu", "negative_slope": math.nan},
            ValueError,
            "negative_slope must be a finite number, got nan",
        ),
    ],
)
def test_wrong_arguments_of_modulate(features, gains, options, error, message):
    with pytest.raises(error, match=message):
        ops.qp_modulate(features, gains, **options)


def test_schemas_check_by_themselves():
    """A compiled graph calls them without Python's checks: none may read what is not there."""
    names = torch.ops.vqe_fast
    for x, v in (
        (X, torch.ones(2, 3, 5, 5)),
        (X, torch.ones(2, 2, 1, 1)),
        (X, torch.ones(3, 3, 1, 1)),
        (X, torch.ones(2, 3)),
        (X, torch.ones(2, 3, 1, 1, dtype=torch.float64)),
    ):
        with pytest.raises(RuntimeError, match="qp_modulate takes"):
            names.qp_modulate(x, v, [])
    table, bias = torch.zeros(4, 3), torch.zeros(3)
    for qp in (-1.0, 63.5, math.nan, math.inf):
        with pytest.raises(RuntimeError, match="qp must lie in 0 to 63"):
            names.qp_gains(torch.tensor([22.0, qp]).double(), table, bias, PAPER_QPS)
    qp = torch.tensor([30.0]).double()
    for arguments in (
        (qp.float(), table, bias, PAPER_QPS),
        (qp, table, bias[:2], PAPER_QPS),
        (qp, table, bias.double(), PAPER_QPS),
        (qp, table, bias, PAPER_QPS[:3]),
        (qp, table[:0], bias, []),
    ):
        with pytest.raises(RuntimeError, match="qp_gains takes"):
            names.qp_gains(*arguments)


def table_and_bias(rows, channels):
    generator = torch.Generator().manual_seed(rows)
    return torch.randn(rows + 1, channels, generator=generator).split((rows, 1))


def plain_gains(table, bias, weights):
    """softplus of rows with weights, {row: weight}."""
    return F.softplus(sum(weight * table[row] for row, weight in weights.items()) + bias)


@pytest.mark.parametrize("function", (ops.qp_gains, reference.qp_gains), ids=("ops", "plain"))
@pytest.mark.parametrize(
    ("rows", "qps", "qp", "weights"),
    [
        (4, None, 22, {0: 1}),
        (4, None, 37.0, {3: 1}),
        (4, None, 28, {1: 0.8, 2: 0.2}),
        (4, None, 36.5, {2: 0.1, 3: 0.9}),
        (4, (0, 10, 11, 63), 62, {2: 1 / 52, 3: 51 / 52}),
        (4, (0, 10, 11, 63), 0, {0: 1}),
        (52, None, 51, {51: 1}),
        (52, None, 0.25, {0: 0.75, 1: 0.25}),
        (64, None, 63, {63: 1}),
        (1, (30,), 30, {0: 1}),
        (2, (22.5, 37.5), 22.5, {0: 1}),
    ],
)
def test_rows_and_what_lies_between(rows, qps, qp, weights, function):
    """A row exactly, or a mixture of two before softplus; for every form of a QP."""
    table, bias = table_and_bias(rows, 7)
    bias = bias[0]
    expected = plain_gains(table, bias, weights)
    tensors = [torch.tensor(qp, dtype=dtype) for dtype in (torch.float64, torch.float16)]
    if qp == int(qp):
        tensors += [torch.tensor(int(qp), dtype=d) for d in (torch.uint8, torch.int64)]
    for given in (qp, *tensors):
        torch.testing.assert_close(function(given, table, bias, qps=qps), expected[None])
    for given in tensors:
        frames = function(given.expand(3), table, bias, qps=qps)
        torch.testing.assert_close(frames, expected.expand(3, 7))
        maps = function(given.expand(3, 2, 5), table, bias, qps=qps)
        torch.testing.assert_close(maps, expected[:, None, None].expand(3, 7, 2, 5))
        assert maps.is_contiguous()


@pytest.mark.parametrize("number", (np.int64(30), np.uint8(30), np.float32(30)))
def test_numbers_of_numpy(number):
    """What comes out of arrays and data frames."""
    table, bias = table_and_bias(4, 5)
    assert torch.equal(ops.qp_gains(number, table, bias[0]), ops.qp_gains(30, table, bias[0]))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_extreme_gains(dtype, device):
    """Softplus far from 0: the identity above 20, tiny but right below."""
    numbers = [-80.0, -30.0, -10.0, -1e-3, 0.0, 1e-3, 10.0, 19.9, 20.1, 30.0, 1000.0]
    bias = torch.tensor(numbers, dtype=dtype, device=device).requires_grad_()
    table = torch.zeros(1, len(numbers), dtype=dtype, device=device)
    gains = ops.qp_gains(0, table, bias)
    exact_bias = bias.detach().double().requires_grad_()
    exact = F.softplus(exact_bias)
    (gradient,) = torch.autograd.grad(gains.sum(), bias)
    (slope,) = torch.autograd.grad(exact.sum(), exact_bias)
    # Each to its own rounding, those too small for a normal number to its unit. In float64 e^-80 is
    # as exact as 80 log2(e).
    limits, units = torch.finfo(dtype), 32 if dtype == torch.float64 else 4
    for actual, wanted in ((gains[0], exact), (gradient, slope)):
        error = (actual.double() - wanted).abs()
        assert (error <= units * limits.eps * wanted + limits.smallest_normal * limits.eps).all()


def test_qps_outside_the_table_warn_once(monkeypatch):
    """The last row is used; who has a hundred thousand frames is told once."""
    monkeypatch.setattr(modulation, "_warned", False)
    table, bias = table_and_bias(4, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.qp_gains(torch.tensor([22, 37]), table, bias[0])
    with pytest.warns(UserWarning, match="QP 45 is outside the table's 22 to 37") as caught:
        high = ops.qp_gains(torch.tensor([45, 37]), table, bias[0])
        low = ops.qp_gains(torch.tensor([10, 22]), table, bias[0])
    assert len(caught) == 1 and caught[0].filename == __file__
    assert torch.equal(high[0], high[1]) and torch.equal(low[0], low[1])


TABLE, BIAS = torch.zeros(4, 3), torch.zeros(3)


@pytest.mark.parametrize(
    ("qp", "error", "message"),
    [
        (-1, ValueError, "qp must be a finite number in 0 to 63, got -1"),
        (64, ValueError, "got 64"),
        (math.nan, ValueError, "got nan"),
        (torch.tensor(math.inf), ValueError, "got inf"),
        (torch.tensor([30, 63.5]), ValueError, r"got 63\.5"),
        (torch.tensor([[[30, -2]]]), ValueError, "got -2"),
        (torch.tensor([30, math.nan, 31]), ValueError, "got nan"),
        (torch.tensor([30, 1 << 40]), ValueError, r"got 1099511627776"),
        (True, TypeError, "qp must be a number or a tensor, got bool"),
        ("30", TypeError, "qp must be a number or a tensor, got str"),
        ([30], TypeError, "qp must be a number or a tensor, got list"),
        (torch.tensor([True]), TypeError, r"qp .* real numbers, got torch\.bool"),
        (torch.tensor([1j]), TypeError, r"qp .* real numbers, got torch\.complex64"),
        (torch.tensor([30]).to_sparse(), TypeError, r"qp .*torch\.sparse_coo"),
        (torch.zeros(2, 3), ValueError, r"qp must be a number, \(B\) .* got \(2, 3\)"),
        (torch.zeros(2, device="meta"), ValueError, "qp must be on the CPU or on cpu .* got meta"),
    ],
)
def test_wrong_qps(qp, error, message):
    with pytest.raises(error, match=message):
        ops.qp_gains(qp, TABLE, BIAS)


@pytest.mark.parametrize(
    ("table", "bias", "qps", "error", "message"),
    [
        ([[0.0]], BIAS, None, TypeError, "table must be a tensor, got list"),
        (TABLE, BIAS.int(), None, TypeError, r"bias .*torch\.int32"),
        (TABLE[0], BIAS, None, ValueError, r"table must be \(N, C\), got \(3,\)"),
        (TABLE, BIAS[:2], None, ValueError, r"bias must have .* \(3,\); got \(2,\)"),
        (TABLE, BIAS.to("meta"), None, ValueError, "bias must be on cpu like table; got meta"),
        (TABLE[:0], BIAS, None, ValueError, "table must have 1 to 64 rows, got 0"),
        (torch.zeros(65, 3), BIAS, None, ValueError, "table must have 1 to 64 rows, got 65"),
        (TABLE, BIAS, (22, 27, 32), ValueError, "qps must have .* table, 4; got 3"),
        (TABLE, BIAS, (22, 27, 27, 32), ValueError, "qps must be strictly ascending .* 0 to 63"),
        (TABLE, BIAS, (-1, 27, 28, 32), ValueError, "qps must be .* 0 to 63"),
        (TABLE, BIAS, (22, 27, 28, 64), ValueError, "qps must be .* 0 to 63"),
        (TABLE, BIAS, (22, 27, math.nan, 32), ValueError, "qps must be .* got .*nan"),
    ],
)
def test_wrong_tables(table, bias, qps, error, message):
    with pytest.raises(error, match=message):
        ops.qp_gains(30, table, bias, qps=qps)


def test_compiled_graph_checks_qps():
    """Without Python's checks it is the kernel that refuses."""
    compiled = torch.compile(ops.qp_gains, fullgraph=True)
    good = compiled(torch.tensor([30.0, 35.0]), TABLE, BIAS)
    assert torch.equal(good, ops.qp_gains(torch.tensor([30.0, 35.0]), TABLE, BIAS))
    with pytest.raises(RuntimeError, match="qp must lie in 0 to 63, got 64"):
        compiled(torch.tensor([30.0, 64.0]), TABLE, BIAS)


def test_mixed_tables_promote_and_qp_needs_no_gradient():
    table, bias = (tensor.squeeze(0).requires_grad_() for tensor in table_and_bias(4, 5))
    qp = torch.tensor([30.0], requires_grad=True)
    gains = ops.qp_gains(qp, table.bfloat16(), bias)
    torch.testing.assert_close(gains, reference.qp_gains(qp, table.bfloat16(), bias))
    assert gains.dtype == torch.float32
    gains.sum().backward()
    assert table.grad is not None and bias.grad is not None and qp.grad is None


def test_modulation_module():
    """PeQuENet's head: Softplus(Linear(one-hot QP)), from the state dict of that Linear."""
    linear = torch.nn.Linear(4, 6)
    module = nn.QPModulation(4, 6)
    module.load_state_dict(linear.state_dict())
    one_hot = torch.eye(4)
    expected = F.softplus(linear(one_hot))
    torch.testing.assert_close(module.gains(torch.tensor([22, 27, 32, 37])), expected)
    features = torch.randn(2, 6, 5, 8)
    modulated = module(features, 32, "relu")
    torch.testing.assert_close(modulated, features.relu() * expected[2][:, None, None])
    maps = torch.tensor([[[22, 27]], [[32, 37]]])
    modulated = module(features, maps)
    torch.testing.assert_close(
        modulated[1, :, :, :4],
        features[1, :, :, :4] * modulated.new_tensor(expected[2].tolist())[:, None, None],
    )
    modulated.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
    assert repr(module) == "QPModulation(4, 6, qps=(22.0, 27.0, 32.0, 37.0))"


def test_modulation_module_starts_like_linear():
    torch.manual_seed(3)
    weight, bias = (p.detach() for p in nn.QPModulation(4, 2000).parameters())
    for parameter in (weight, bias):
        assert 0.49 < parameter.max() <= 0.5 and -0.5 <= parameter.min() < -0.49


def test_modulation_module_with_its_own_qps():
    module = nn.QPModulation(3, 5, qps=(10, 20, 50))
    torch.testing.assert_close(
        module.gains(35), F.softplus(module.weight[:, 1:].mean(1) + module.bias)[None]
    )
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    features, qp = torch.randn(2, 5, 3, 4), torch.tensor([12, 45])
    torch.testing.assert_close(compiled(features, qp), module(features, qp))
    for arguments, options, message in (
        ((0, 5), {}, "num_qps must be a whole number from 1 to 64, got 0"),
        ((2, 0), {}, "channels must be a whole number of at least 1, got 0"),
        ((2, 5), {"qps": (37, 22)}, "strictly ascending"),
    ):
        with pytest.raises(ValueError, match=message):
            nn.QPModulation(*arguments, **options)


CONVOLUTIONS = (
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "groups": 2, "bias": False},
    {"kernel_size": (3, 5), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 4},
    {"kernel_size": 3, "padding": "same", "padding_mode": "reflect"},
    {"kernel_size": 3, "padding": 2, "padding_mode": "circular"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "dtype": torch.float64},
    {"kernel_size": 1, "dtype": torch.bfloat16},
)


@pytest.mark.parametrize("training", (False, True))
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_folded_convolution(options, training):
    """Gains in the weights are gains of the features, whatever the settings."""
    conv = torch.nn.Conv2d(8, 12, **options).train(training)
    before = copy.deepcopy(conv.state_dict())
    dtype = conv.weight.dtype
    features = torch.randn(2, 8, 13, 14, dtype=dtype)
    gains = torch.rand(1, 8) + 0.5
    expected = conv(ops.qp_modulate(features, gains, activation="relu"))
    tolerance = {"rtol": 0, "atol": 16 * torch.finfo(dtype).eps * expected.abs().max().item()}
    for given in (gains, gains[0]):
        state = torch.get_rng_state()
        folded = nn.fold_qp(conv, given)
        assert torch.equal(torch.get_rng_state(), state)
        torch.testing.assert_close(folded(features.relu()), expected, **tolerance)
        assert type(folded) is torch.nn.Conv2d and folded.training == training
        assert folded.extra_repr() == conv.extra_repr() and folded.weight.dtype == dtype
    for name, tensor in conv.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("conv", "gains", "error", "message"),
    [
        (torch.nn.ConvTranspose2d(3, 3, 3), BIAS, TypeError, "Conv2d, got ConvTranspose2d"),
        (torch.nn.Linear(3, 3), BIAS, TypeError, "Conv2d, got Linear"),
        (torch.nn.Conv2d(3, 3, 3), [1.0], TypeError, "gains must be a tensor, got list"),
        (torch.nn.Conv2d(3, 3, 3), BIAS[:2], ValueError, r"each of the 3 channels .* got \(2,\)"),
        (torch.nn.Conv2d(3, 3, 3), TABLE, ValueError, r"each of the 3 channels .* got \(4, 3\)"),
        (torch.nn.Conv2d(3, 3, 3), BIAS.view(1, 3, 1, 1), ValueError, r"got \(1, 3, 1, 1\)"),
    ],
)
def test_what_does_not_fold(conv, gains, error, message):
    with pytest.raises(error, match=message):
        nn.fold_qp(conv, gains)


@pytest.mark.parametrize("activation", modulation.ACTIVATIONS, ids=str)
@pytest.mark.parametrize("options", CONVOLUTIONS[:6], ids=str)
def test_modulated_convolution(options, activation):
    """Folded in eval mode, not folded in training: the same result, the same gradients."""
    options = {"dtype": torch.float64} | options
    plain = torch.nn.Conv2d(8, 12, **options)
    conv = nn.QPModulatedConv2d(8, 12, **options)
    conv.load_state_dict(plain.state_dict())
    features = torch.randn(3, 8, 13, 14, dtype=plain.weight.dtype, requires_grad=True)
    gains = (torch.rand(1, 8, dtype=torch.float64) + 0.5).requires_grad_()
    leaves = (features, gains, *conv.parameters())
    results = []
    for training in (True, False):
        result = conv.train(training)(features, gains, activation=activation)
        gradients = torch.autograd.grad(result.square().sum(), leaves)
        results.append((result, *gradients))
    expected = plain(reference.qp_modulate(features, gains, activation=activation))
    torch.testing.assert_close(results[0][0], expected)
    for folded, unfolded in zip(*results, strict=True):
        torch.testing.assert_close(folded, unfolded)


def test_modulated_convolution_folds_only_what_it_can(monkeypatch):
    """One vector in eval mode goes into the weights; maps, frames and training do not."""
    conv = nn.QPModulatedConv2d(4, 4, 3).eval()
    calls = []
    monkeypatch.setattr(
        "vqe_fast.nn.modulation.qp_modulate", lambda *_, **__: calls.append(1) or features
    )
    features = torch.randn(2, 4, 5, 5)
    conv(features, torch.ones(1, 4))
    assert not calls
    conv(features, torch.ones(2, 4))
    conv(features, torch.ones(1, 4, 1, 1))
    conv.train()(features, torch.ones(1, 4))
    assert len(calls) == 3
    with pytest.raises(ValueError, match=r"gains .* channels of features, 4; got 3"):
        conv.eval()(features, torch.ones(1, 3))


@interpreted
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.float16), ids=str)
@pytest.mark.parametrize("layout", (contiguous, channels_last), ids=lambda layout: layout.__name__)
@pytest.mark.parametrize(
    ("shape", "gains_shape", "slope"),
    [
        ((2, 2, 31, 70), (2, 2, 1, 1), [0.0]),
        ((2, 2, 9, 7), (1, 2, 4, 3), []),
        ((1, 3, 19, 140), (1, 3, 1, 2), [0.2]),
        ((0, 2, 3, 4), (1, 2, 3, 4), [0.0]),
    ],
    ids=str,
)
def test_triton_modulate_interpreted(shape, gains_shape, slope, layout, dtype):
    """The CUDA path's arithmetic, masks, blocks and parts; both layouts."""
    from vqe_fast.kernels import modulation as kernels

    features, gains = (tensor.to(dtype) for tensor in features_and_gains(shape, gains_shape))
    features = layout(features)
    generator = torch.Generator().manual_seed(0)
    grad = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    options = {"activation": "leaky_relu", "negative_slope": slope[0]} if slope else {}
    results = []
    for cast in (dtype, torch.float64):
        leaves = [features.to(cast).requires_grad_(), gains.to(cast).requires_grad_()]
        result = reference.qp_modulate(*leaves, **options)
        gradients = torch.autograd.grad(result, leaves, grad.to(cast))
        results.append([result.detach(), *gradients])
    plain = (features, gains.to(computed_dtype(features)), slope)
    with poisoned_memory():
        output = kernels.qp_modulate(*plain)
        of_features, of_gains = kernels.qp_modulate_backward(grad, *plain, [True, True])
        some, none = kernels.qp_modulate_backward(grad, *plain, [True, False])
    assert none.numel() == 0 and torch.equal(some, of_features)
    assert output.stride() == of_features.stride() == torch.empty_like(features).stride()
    actual = [output, of_features, of_gains.to(dtype)]
    for index, (a, control, exact) in enumerate(zip(actual, *results, strict=True)):
        factor = GRADIENT_FACTOR if index else VALUE_FACTOR
        assert_no_worse(a, control, exact, factor, float64_units=64)


@interpreted
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.float16), ids=str)
@pytest.mark.parametrize(
    ("qp", "qps", "channels"),
    [
        ([22, 63.0, 0, 29.5, 37, 35], PAPER_QPS, 17),
        ([[[22, 40, 33]] * 200, [[22, 10, 23]] * 200], PAPER_QPS[:3], 3),
        ([30.0, 31.0], [30.0], 2),
        ([], PAPER_QPS, 2),
    ],
    ids=("frames", "maps", "one row", "none"),
)
def test_triton_gains_interpreted(qp, qps, channels, dtype):
    """The CUDA path: rows and what lies between and outside, parts that are added."""
    from vqe_fast.kernels import modulation as kernels

    qp = torch.tensor(qp, dtype=torch.float64)
    generator = torch.Generator().manual_seed(channels)
    numbers = torch.randn(len(qps) + 1, channels, generator=generator, dtype=torch.float64)
    numbers[:, 0] *= 15
    results = []
    for cast in (dtype, torch.float64):
        table, bias = (numbers[:-1].to(dtype).to(cast), numbers[-1].to(dtype).to(cast))
        leaves = [table.requires_grad_(), bias.requires_grad_()]
        result = reference.qp_gains(qp, *leaves, qps=qps)
        grad = torch.rand(result.shape, generator=generator.manual_seed(0)).to(dtype).to(cast)
        results.append([result.detach(), *torch.autograd.grad(result, leaves, grad)])
    plain = (qp, numbers[:-1].to(dtype), numbers[-1].to(dtype), qps)
    with poisoned_memory():
        gains = kernels.qp_gains(*plain)
        gradients = kernels.qp_gains_backward(grad.to(dtype), *plain)
    for index, (a, control, exact) in enumerate(zip((gains, *gradients), *results, strict=True)):
        factor = GRADIENT_FACTOR if index else VALUE_FACTOR
        assert_no_worse(a, control, exact, factor, float64_units=64)


@interpreted
def test_triton_gains_of_qps_that_nobody_checked():
    """A compiled graph on a GPU reads no row that is not there, and lets NaN through."""
    from vqe_fast.kernels import modulation as kernels

    qp = torch.tensor([-1e9, math.nan, 1e9, math.inf, -math.inf], dtype=torch.float64)
    table = torch.eye(4).double()
    gains = kernels.qp_gains(qp, table, torch.zeros(4).double(), PAPER_QPS)
    torch.testing.assert_close(gains[[0, 2]], F.softplus(table[[0, 3]]))
    assert gains[1].isnan().all()


def specialisation(kernel, element, constants, num_warps=4):
    """A kernel as it is launched, for pointers that are multiples of 16."""
    from vqe_fast.kernels import modulation as kernels

    accumulator = "fp64" if element == "fp64" else "fp32"
    types = {"slope": "fp64", "of_features": "u1", "p_qp": "*fp64", "p_qps": "*fp64"}
    types |= {"p_gains": f"*{accumulator}", "p_sums": f"*{accumulator}"}
    if kernel == "gains_kernel":
        types["p_gains"] = f"*{element}"
    if kernel.startswith("gains"):
        constants = constants | {"ACC": f"tl.float{accumulator[2:]}"}
    signature = {
        name: types.get(name, f"*{element}" if name.startswith("p_") else "i32")
        for name in getattr(kernels, kernel).arg_names
        if name not in constants
    }
    pointers = tuple(name for name in signature if name.startswith("p_"))
    named = (kernels.__name__, kernel, signature, constants)
    return Specialisation(*named, num_warps=num_warps, divisible=pointers)


# Types of features and tables, with sizes of features and of the gains of a channel.
COMPILED = (
    ("bf16", torch.bfloat16, (540, 960), (1, 1)),
    ("fp16", torch.float16, (540, 960), (34, 60)),
    ("fp32", torch.float32, (128, 128), (8, 8)),
    ("fp64", torch.float64, (128, 128), (1, 1)),
)


def test_triton_compiles_for_gpus():
    """Every kernel for sm_80 and sm_90, in the dtypes and tiles that a user has."""
    from vqe_fast.kernels import modulation as kernels

    asked = []
    for element, dtype, size, gains_size in COMPILED:
        block = [math.ceil(a / b) for a, b in zip(size, gains_size, strict=True)]
        gains = torch.empty(16, 64, *gains_size, device="meta")
        shared = gains_size == (1, 1)
        for memory_format in (torch.contiguous_format, torch.channels_last):
            features = torch.empty(16, 64, *size, dtype=dtype, device="meta")
            chosen = kernels.plan(features.contiguous(memory_format=memory_format), gains)
            constants = chosen.constants | {"INDEX": "tl.uint32"}
            asked.append(specialisation("modulate_kernel", element, constants))
            tile = kernels.tile_of(memory_format, 64, block[1], shared)
            constants = dict(zip(("BLOCK_C", "BLOCK_Y", "BLOCK_X"), tile, strict=True))
            channels_last = memory_format == torch.channels_last
            constants |= {"WIDE": True, "SHARED": shared, "CHANNELS_LAST": channels_last}
            constants["INDEX"] = "tl.uint32"
            named = ("modulate_backward_kernel", element, constants)
            asked.append(specialisation(*named, num_warps=kernels.warps_of(tile)))
        constants = {"BLOCK_C": kernels.CHANNELS, "BLOCK_P": kernels.POSITIONS}
        terms, tiles = kernels.terms_of(dtype), kernels.TILES_OF_PART
        asked += [
            specialisation("gains_kernel", element, constants | {"TERMS": terms}),
            specialisation("gains_backward_kernel", element, constants | {"TILES": tiles}),
        ]
    footprints = compile_only(asked)
    assert len(footprints) == 2 * len(asked)
    for (index, arch), footprint in footprints.items():
        assert footprint.fits(arch), (asked[index], footprint)


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16), ids=str)
@pytest.mark.parametrize("of", (ops, reference), ids=("kernel", "reference"))
def test_16_bits_are_rounded_once(of, dtype):
    """What a slope makes of a feature was rounded before its gain."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 9, 7, generator=generator).to(dtype)
    gains = torch.rand(2, 3, generator=generator)
    options = {"activation": "leaky_relu", "negative_slope": 0.1}
    exact = of.qp_modulate(features.float(), gains, **options).to(dtype)
    assert torch.equal(of.qp_modulate(features, gains, **options), exact)
