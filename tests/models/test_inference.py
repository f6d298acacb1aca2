import threading
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.support.modules import LUMA_SPEC
from vqe_fast import create_model
from vqe_fast.models import inference
from vqe_fast.models.inference import PreparationError, prepare_inference

CPU = torch.device("cpu")


def prepare(model, precision):
    with torch.inference_mode():
        return prepare_inference(model, device=CPU, precision=precision)


def enhanced(model, *told, frames=None):
    with torch.inference_mode():
        return model(torch.rand(1, 1, 8, 8) if frames is None else frames, *told)


@pytest.fixture
def computes_in_bfloat16(monkeypatch):
    """A processor with its instructions, whatever runs the test."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})


@pytest.mark.parametrize(("precision", "dtype"), list(inference.DTYPES.items()))
def test_precision_asked_for_is_used(precision, dtype):
    model, used = prepare(create_model("carcnn_small"), precision)
    assert used == precision and dtype == next(model.parameters()).dtype
    assert not model.training
    assert enhanced(model).dtype == torch.float32


def test_the_original_is_left_alone():
    model = create_model("carcnn_small")
    prepare(model, "bf16")
    assert model.training and next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"bf16": True, "architecture": "arm64"}, torch.bfloat16),
        ({"avx512_bf16": False, "avx512_vnni": True, "fp16_arith": True}, None),
    ],
)
def test_a_cpu_gets_bfloat16_if_it_has_instructions(able, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert inference.reduced_dtype(CPU) == expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 0), torch.float16), ((6, 1), None)])
def test_a_gpu_gets_float16_if_it_has_tensor_cores(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert inference.reduced_dtype(torch.device("cuda")) == expected


def test_other_devices_get_float32():
    assert inference.reduced_dtype(torch.device("meta")) is None


@pytest.mark.parametrize("name", ["carcnn_small", "dualres_s", "dualres_t", "galteri_very_fast"])
def test_what_ships_runs_in_16_bits_wherever_they_are_fast(name, computes_in_bfloat16):
    assert prepare(create_model(name, pretrained=True), "auto")[1] == "bf16"


def test_without_instructions_auto_is_fp32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert prepare(create_model("carcnn_small"), "auto")[1] == "fp32"


class Filter(nn.Module):
    """One convolution, which passes the frame through times ``gain``; nothing casts."""

    spec = LUMA_SPEC

    def __init__(self, gain=1.0, dtype=torch.float32):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False, dtype=dtype)
        nn.init.constant_(self.conv.weight, gain)

    def forward(self, luma):
        return self.conv(luma)


class Casting(Filter):
    """The same, casting by itself: the error in bfloat16 is what the gain loses by rounding."""

    spec = replace(LUMA_SPEC, casts_inputs=True)

    def forward(self, luma):
        return luma * self.conv.weight.float()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Casting(1.0), "bf16"),
        (Casting(1.0 + 1 / 600), "fp32"),  # bfloat16 has 1 and 1 + 1/128
        (Casting(float("nan")), "fp32"),
        (Filter(1.0), "fp32"),  # rounds the frame itself to 8 bits
        (Filter(1 / 512), "bf16"),
        (nn.Identity(), "fp32"),
    ],
)
def test_auto_wants_exactness(model, expected, computes_in_bfloat16):
    """NaN is not exact; what has no products has nothing to gain."""
    model.spec = getattr(model, "spec", LUMA_SPEC)
    assert prepare(model, "auto")[1] == expected


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_a_module_that_does_not_cast_gets_the_dtype_of_its_weights(precision):
    model, _ = prepare(Filter(0.5), precision)
    assert enhanced(model, frames=torch.ones(1, 1, 8, 8)).equal(torch.full((1, 1, 8, 8), 0.5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_one_dtype(dtype):
    """16 bits stay as they are; 64 bits become float32."""
    model, used = prepare(Filter(0.5, dtype), "auto")
    assert used == {torch.bfloat16: "bf16", torch.float64: "fp32"}[dtype]
    assert enhanced(model).dtype == torch.float32


class Mixed(Filter):
    """A convolution in bfloat16, and a gain in float32."""

    def __init__(self):
        super().__init__(0.5, torch.bfloat16)
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, luma):
        assert luma.dtype == torch.bfloat16
        return self.conv(luma).float() * self.gain


def test_weights_of_several_dtypes_stay_as_they_are():
    model, used = prepare(Mixed(), "auto")
    assert used == "mixed"
    ones = torch.ones(1, 1, 4, 4)
    assert enhanced(model, frames=ones).equal(ones)


class Complex(nn.Module):
    spec = LUMA_SPEC

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([[1j]]))

    def forward(self, luma):
        return (luma * self.gain * -1j).real


def test_complex_weights():
    model, used = prepare(Complex(), "auto")
    ones = torch.ones(1, 1, 4, 4)
    assert used == "mixed" and enhanced(model, frames=ones).equal(ones)
    with pytest.raises(PreparationError, match=r"Complex has complex weights, .* at auto"):
        prepare(Complex(), "fp32")


class Float32Only(Filter):
    """Makes a constant of its own, in float32."""

    def forward(self, luma):
        return self.conv(luma - torch.zeros(1, 1, 1, 1))


def test_a_module_for_float32_alone(computes_in_bfloat16):
    assert prepare(Float32Only(), "auto")[1] == "fp32"
    with pytest.raises(
        PreparationError, match=r"Float32Only does not run in bf16 \(.*fp32 or auto"
    ):
        prepare(Float32Only(), "bf16")


class Told(nn.Module):
    """Puts the QP, of each frame if it sees several, through a layer with weights."""

    def __init__(self, **spec):
        super().__init__()
        self.spec = replace(LUMA_SPEC, takes_qp=True, **spec)
        self.layer = nn.Linear(1, 1)
        nn.init.constant_(self.layer.weight, 1 / 64)
        nn.init.zeros_(self.layer.bias)

    def forward(self, frames, qp):
        if not isinstance(qp, torch.Tensor):
            qp = frames.new_tensor([qp])
        gains = self.layer(qp.unsqueeze(-1))
        if self.spec.recurrent:
            return frames * gains[..., None, None]
        return (frames if frames.dim() == 4 else frames[:, 1]) * gains.mean()


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({}, (1, 1, 8, 8)),
        ({"temporal_radius": 1}, (1, 3, 1, 8, 8)),
        ({"temporal_radius": 1, "coding_of_window": True}, (1, 3, 1, 8, 8)),
        ({"recurrent": True, "coding_of_window": True}, (1, 3, 1, 8, 8)),
    ],
)
@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_modules_that_are_told_qps(spec, shape, precision, computes_in_bfloat16):
    model, _ = prepare(Told(**spec), precision)
    qp = torch.full(shape[:2], 32.0) if "coding_of_window" in spec else 32.0
    half = enhanced(model, qp, frames=torch.ones(shape))
    assert half.dtype == torch.float32
    assert half.equal(torch.full(half.shape, 0.5))


class Sparing(Filter):
    def forward(self, luma):
        return luma, None


def test_a_module_must_return_a_tensor():
    model, _ = prepare(Sparing(), "fp32")
    with pytest.raises(TypeError, match="Sparing returned a tuple; its forward must return a tens"):
        enhanced(model)


class Locked(Filter):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_a_module_that_cannot_be_copied():
    with pytest.raises(
        PreparationError, match=r"Locked cannot be copied .* give it a __deepcopy__"
    ):
        prepare(Locked(), "fp32")


def test_parameters_have_versions():
    """By which modules know what they keep, also of what was prepared in inference mode."""
    model, _ = prepare(create_model("carcnn_small", qp_adaptive=True), "fp32")
    assert not any(parameter.is_inference() for parameter in model.parameters())


def test_no_graphs_on_a_cpu():
    model = create_model("carcnn_small")
    ready, _ = prepare_inference(model, device=CPU, precision="fp32", graphs=True)
    assert type(ready) is type(model)


def test_unknown_precision():
    with pytest.raises(PreparationError, match="must be auto, fp32, bf16, fp16; got 'int8'"):
        prepare(create_model("carcnn_small"), "int8")
