"""The tests that every operator must pass; an operator's test file subclasses and describes it."""

import itertools
import warnings
from functools import partial

import pytest
import torch

import vqe_fast
from support.errors import (
    GRADIENT_FACTOR,
    VALUE_FACTOR,
    assert_no_worse,
    assert_same_direction,
)
from support.layouts import LAYOUTS
from support.memory import poisoned_memory, threads

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
ISA_LEVELS = ("baseline", "avx2", "avx512", "avx512_bf16", "amx")
OPCHECKS = (
    "test_schema",
    "test_autograd_registration",
    "test_faketensor",
    "test_aot_dispatch_dynamic",
)
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class OperatorContract:
    """Inherited by one class in each ``tests/ops/test_<op>.py``.

    Set ``function`` and ``reference`` (as staticmethods), ``schema_calls``, ``variants``
    (dictionaries of keyword arguments), ``shapes`` (whatever ``make_tensors`` takes as a size) and
    ``small_shape``, and define ``make_tensors``.
    """

    function = None
    reference = None
    variants = ()
    shapes = ()
    small_shape = None
    isas = ("baseline", "avx2")  # ISA levels that the operator has code for, but for the best one
    generates_code = True  # whether test_compile generates code around it
    float64_units = 4  # errors in float64 that count as rounding, in units in the last place

    def make_tensors(self, shape, dtype, device):
        """The operator's tensor arguments; the same shape gives the same values."""
        raise AssertionError("a subclass defines this")

    def schema_calls(self, tensors, variant):
        """(operator overload, arguments) of each registered schema, for opcheck."""
        raise AssertionError("a subclass defines this")

    def run(self, function, tensors, variant, grad_output=None):
        """Result and gradients of every tensor."""
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        result = function(*leaves, **variant)
        grad_output = torch.ones_like(result) if grad_output is None else grad_output
        return [result.detach(), *torch.autograd.grad(result, leaves, grad_output)]

    def check_against_float64(self, tensors, variant, seed=0):
        """Values and gradients of the operator by the acceptance rule."""
        exact_tensors = [tensor.double() for tensor in tensors]
        size = self.reference(*exact_tensors, **variant).shape
        generator = torch.Generator().manual_seed(seed)
        grad = torch.rand(size, generator=generator, dtype=torch.float64) + 0.5
        grad = grad.to(tensors[0].device, tensors[0].dtype)
        actual = self.run(self.function, tensors, variant, grad)
        control = self.run(self.reference, tensors, variant, grad)
        exact = self.run(self.reference, exact_tensors, variant, grad.double())
        for index, (a, c, e) in enumerate(zip(actual, control, exact, strict=True)):
            factor = GRADIENT_FACTOR if index else VALUE_FACTOR
            assert_no_worse(a, c, e, factor, self.float64_units)
            if index and e.isfinite().all() and e.numel():
                assert_same_direction(a, e)

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    def test_values_and_gradients(self, dtype, device, shape, variant):
        """Wrong arithmetic, wrong tails, sizes 1, odd and 0, elements that are never written."""
        with poisoned_memory():
            self.check_against_float64(self.make_tensors(shape, dtype, device), variant)

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
    @pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
    def test_layouts(self, dtype, layout, device, variant):
        """A kernel that takes strides for granted; each tensor gets the layout by itself too."""
        tensors = self.make_tensors(self.small_shape, dtype, device)
        expected = self.run(self.function, tensors, variant)
        for chosen in itertools.product((False, True), repeat=len(tensors)):
            laid = [layout(t) if c else t for t, c in zip(tensors, chosen, strict=True)]
            actual = self.run(self.function, laid, variant)
            for a, e in zip(actual, expected, strict=True):
                torch.testing.assert_close(a, e)

    @pytest.mark.parametrize("device", DEVICES)
    def test_expanded_tensors(self, device, variant):
        """Stride 0: one row seen many times, and a gradient that is one number expanded."""
        tensors = self.make_tensors(self.small_shape, torch.float32, device)
        rows = [tensor[..., :1, :].expand(tensor.shape) for tensor in tensors]
        result = self.function(*rows, **variant)
        grad = torch.full((), 0.5, device=device).expand(result.shape)
        actual = self.run(self.function, rows, variant, grad)
        expected = self.run(self.reference, [row.contiguous() for row in rows], variant, grad)
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
    def test_gradient_layouts(self, layout, device, variant):
        """The gradient of the result may arrive in any layout."""
        tensors = self.make_tensors(self.small_shape, torch.float32, device)
        result = self.function(*tensors, **variant)
        if result.dim() == 0:
            return
        grad = torch.arange(result.numel(), dtype=torch.float32, device=device)
        grad = grad.view(result.shape) / result.numel()
        actual = self.run(self.function, tensors, variant, layout(grad))
        expected = self.run(self.reference, tensors, variant, grad)
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)

    def test_every_subset_of_gradients(self, variant):
        """Gradients only for those that ask, and the same ones as when all ask."""
        tensors = self.make_tensors(self.small_shape, torch.float64, "cpu")
        _, *expected = self.run(self.function, tensors, variant)
        for asked in itertools.product((False, True), repeat=len(tensors)):
            leaves = [t.clone().requires_grad_(a) for t, a in zip(tensors, asked, strict=True)]
            result = self.function(*leaves, **variant)
            assert result.requires_grad == any(asked)
            if any(asked):
                result.backward(torch.ones_like(result))
            for leaf, ask, gradient in zip(leaves, asked, expected, strict=True):
                if ask:
                    torch.testing.assert_close(leaf.grad, gradient)
                else:
                    assert leaf.grad is None

    def test_gradcheck(self, variant):
        """First and second derivatives against finite differences."""
        tensors = self.make_tensors(self.small_shape, torch.float64, "cpu")
        self.check_derivatives(partial(self.function, **variant), tensors)

    def check_derivatives(self, function, tensors):
        """Both between random vectors: whole Jacobians take as many calls as there are values."""
        leaves = [tensor.requires_grad_() for tensor in tensors]
        assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True)

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("layout", LAYOUTS[:3], ids=lambda layout: layout.__name__)
    def test_opcheck(self, layout, device, variant):
        """Schema, fake kernel (shapes and strides), autograd registration, AOT dispatch."""
        tensors = [
            layout(tensor).requires_grad_()
            for tensor in self.make_tensors(self.small_shape, torch.float32, device)
        ]
        # Autograd under AOT dispatch takes long, and is the same for every layout.
        checks = OPCHECKS if layout is LAYOUTS[0] else OPCHECKS[:-1]
        for overload, arguments in self.schema_calls(tensors, variant):
            torch.library.opcheck(overload, arguments, test_utils=checks)

    @pytest.mark.parametrize("device", DEVICES)
    def test_compile(self, device, variant):
        """One graph, no break, the same numbers, new sizes without a new error.

        Code is generated around the first variant only: what it must keep to, of an operator's
        strides and dtypes, is the same for all.
        """
        torch.compiler.reset()
        generates_code = self.generates_code and variant == self.variants[0]
        backend = "inductor" if generates_code else "aot_eager"
        compiled = torch.compile(self.function, fullgraph=True, backend=backend)
        for shape in (self.small_shape, *self.shapes[-2:]):
            tensors = self.make_tensors(shape, torch.float32, device)
            expected = self.run(self.function, tensors, variant)
            actual = self.run(compiled, tensors, variant)
            for a, e in zip(actual, expected, strict=True):
                torch.testing.assert_close(a, e)

    @pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
    def test_threads_give_the_same_bits(self, dtype, shape, variant):
        """A sum whose order depends on the number of threads."""
        tensors = self.make_tensors(shape, dtype, "cpu")
        results = []
        for count in (1, 2, 3):
            with threads(count):
                results.append(self.run(self.function, tensors, variant))
        for other in results[1:]:
            for first, second in zip(results[0], other, strict=True):
                torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)

    @pytest.mark.parametrize("device", DEVICES)
    def test_autocast(self, device, variant):
        """Losses are computed in float32 under autocast."""
        tensors = self.make_tensors(self.small_shape, torch.bfloat16, device)
        with torch.autocast(device, torch.bfloat16):
            actual = self.function(*tensors, **variant)
        assert actual.dtype == torch.float32
        expected = self.function(*(tensor.float() for tensor in tensors), **variant)
        torch.testing.assert_close(actual, expected)

    def test_reference_backend(self, variant, monkeypatch):
        """``backend("reference")`` must not touch a kernel; nor may a missing library."""
        tensors = self.make_tensors(self.small_shape, torch.float32, "cpu")
        expected = self.reference(*tensors, **variant)
        with vqe_fast.backend("reference"):
            assert torch.equal(self.function(*tensors, **variant), expected)
        monkeypatch.setattr("vqe_fast.ops._library.cpu_problem", "_ops_cpu was not built")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert torch.equal(self.function(*tensors, **variant), expected)
            self.function(*tensors, **variant)
            torch.compiler.reset()
            compiled = torch.compile(self.function, fullgraph=True, backend="eager")
            assert torch.equal(compiled(*tensors, **variant), expected)
        assert len(caught) <= 1

    def test_other_dtypes_and_devices_fall_back(self, variant):
        """A kernel that is handed what it cannot take."""
        tensors = self.make_tensors(self.small_shape, torch.float32, "cpu")
        expected = self.reference(*tensors, **variant)
        on_meta = self.function(*(tensor.to("meta") for tensor in tensors), **variant)
        assert on_meta.shape == expected.shape and on_meta.device.type == "meta"
