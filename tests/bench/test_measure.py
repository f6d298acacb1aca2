"""The gate before the time, and rows for what has none."""

import time

import pytest
import torch

from vqe_fast.bench import measure as measuring
from vqe_fast.bench.case import NotDone, Sample, in_float64, relative_error, run
from vqe_fast.bench.functions import Function, random_tensors
from vqe_fast.bench.measure import left_out, measure
from vqe_fast.bench.operators import BUILDERS
from vqe_fast.bench.operators.modulation import modulation

SHAPES = {
    "attention": (2, 8, 5, 7),
    "block_match": (2, 3, 18, 21),
    "charbonnier": (2, 3, 9, 8),
    "fusion": (1, 3, 33, 29),
    "modulation": (2, 6, 32, 48),
    "ssim": (1, 2, 17, 19),
}


def doubled(shape=(4, 5), direction="forward"):
    """A function to measure: x → 2x."""

    def sample(number):
        (x,) = random_tensors(number, [shape], torch.float32, "cpu")
        if direction == "forward":
            return Sample((x,))
        return Sample((x.requires_grad_(),), (x,), torch.ones(shape))

    return Function("ssim", "test", shape, torch.float32, direction, "cpu", double, double, sample)


def double(x):
    return 2 * x


def fails(x):
    raise RuntimeError("no kernel for this\nand more")


def rows_of(function, *candidates):
    results = measure(function.work(candidates), budget=0)
    assert all(bool(each.seconds) == (each.row.status == "measured") for each in results)
    return [each.row for each in results]


def test_a_wrong_result_gets_no_time():
    function = doubled()
    right, wrong = rows_of(
        function,
        function.candidate("vqe_fast", lambda: double, role="own"),
        function.candidate("other", lambda: lambda x: 2.001 * x),
    )
    assert right.status == "measured" and right.median > 0 and right.rounds == 1
    assert wrong.median is None and wrong.ratio is None and not wrong.is_red
    assert wrong.status == "wrong: relative error 5.0e-04, at most 1e-04 is allowed"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: 3 * x, "wrong: relative error 5.0e-01"),
        (lambda x: x * float("nan"), "wrong: relative error inf"),
        (lambda x: (2 * x)[:1], "wrong: relative error inf"),
        (fails, "failed: no kernel for this"),
    ],
)
def test_our_own_mistakes_are_red(function, says):
    work = doubled()
    (row,) = rows_of(work, work.candidate("vqe_fast", lambda: function, role="own"))
    assert row.is_red and row.status.startswith(says) and row.median is None


def test_a_wrong_gradient_gets_no_time():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return 2.5 * grad

    function = doubled(direction="both")
    (row,) = rows_of(function, function.candidate("other", lambda: Wrong.apply))
    assert row.status.startswith("wrong")


def test_what_cannot_be_measured_says_why():
    function = doubled()
    rows = rows_of(
        function,
        function.candidate("absent", lambda: 1 / 0, problem="not installed"),
        function.candidate("refuses", lambda: fails),
        function.candidate("large", lambda: double, least_memory=1 << 60),
        function.candidate("vqe_fast", lambda: double, role="own"),
    )
    assert [row.status for row in rows[:2]] == ["not installed", "no kernel for this"]
    assert rows[2].status.startswith("needs 1.07e+09 GiB, ")
    assert rows[3].status == "measured" and rows[3].ratio is None


def test_another_definition_is_checked_by_itself():
    function = doubled()
    (row,) = rows_of(function, function.candidate("other", lambda: torch.exp, definition=torch.exp))
    assert row.status == "measured"


def test_one_long_call_is_measured(monkeypatch):
    monkeypatch.setattr(measuring, "ONCE", 0.0)
    calls = []

    def counted(x):
        calls.append(1)
        return 2 * x

    function = doubled()
    (row,) = rows_of(function, function.candidate("vqe_fast", lambda: counted, role="own"))
    assert row.rounds == 1 and len(calls) == 3  # the check, the first one, the one that counts


def test_compiling_does_not_count(monkeypatch):
    """The first call of a shape may compile for long; the next ones are what is measured."""
    monkeypatch.setattr(measuring, "ONCE", 0.2)
    calls = []

    def compiled(x):
        calls.append(1)
        if len(calls) == 2:
            time.sleep(0.3)
        return 2 * x

    function = doubled()
    (row,) = rows_of(function, function.candidate("vqe_fast", lambda: compiled, role="own"))
    assert row.median < 0.1


def test_least_bytes_are_inputs_and_results():
    function = doubled((100,), "both")
    (row,) = rows_of(function, function.candidate("vqe_fast", lambda: double, role="own"))
    assert row.work_bytes == 4 * (100 + 100 + 100 + 100)  # and upstream, and the gradient


def test_left_out():
    function = doubled()
    (row,) = (each.row for each in left_out(function.work(function.usual()[:1]), "no time"))
    assert row.status == "no time" and row.median is None


def test_float64_keeps_leaves_apart():
    x = torch.rand(3, requires_grad=True)
    exact = in_float64(Sample((x, x, 2), (x,)))
    assert exact.arguments[0] is exact.arguments[1] is exact.leaves[0]
    assert exact.leaves[0].dtype == torch.float64 and exact.leaves[0].is_leaf
    _, gradient = run(lambda a, b, c: (a * b * c).sum(), exact)
    torch.testing.assert_close(gradient, 4 * x.double())


def test_relative_error_is_the_worst():
    one, two = torch.ones(4), torch.full((4,), 2.0)
    assert relative_error([one, two], [one, 0.5 * two]) == pytest.approx(1.0)


@pytest.mark.parametrize("direction", ("forward", "both"))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("operator", BUILDERS)
def test_operators_pass_their_gate(operator, dtype, direction):
    """Every operator against its definition, kernels and plain PyTorch alike."""
    function = BUILDERS[operator](SHAPES[operator], dtype, "cpu", direction)
    rows = rows_of(function, *function.usual()[:2])
    assert [row.status for row in rows] == ["measured"] * 2
    assert rows[0].operator == operator and rows[0].shape == SHAPES[operator]


@pytest.mark.parametrize("layout", ("NCHW", "channels_last"))
def test_modulation_by_blocks(layout):
    function = modulation(
        (1, 4, 32, 48), torch.float32, "cpu", "both", gains="blocks", layout=layout
    )
    assert {row.status for row in rows_of(function, *function.usual()[:2])} == {"measured"}


def test_the_same_number_gives_the_same_inputs():
    sample = BUILDERS["fusion"]((1, 3, 8, 8), torch.float32, "cpu", "forward").sample
    for a, b, c in zip(*(sample(n).arguments for n in (3, 3, 4)), strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_what_is_not_done_is_no_mistake():
    def refuses(x):
        raise NotDone("cannot be captured")

    function = doubled()
    (row,) = rows_of(function, function.candidate("vqe_fast", lambda: refuses, role="own"))
    assert row.status == "cannot be captured" and not row.is_red
