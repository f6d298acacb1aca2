import pytest
import torch
from torch import nn

from vqe_fast import create_model
from vqe_fast.models import inference
from vqe_fast.models.inference import HALF_STEP, prepare_inference

CPU = torch.device("cpu")


def prepare(model, precision, probe=None):
    probe = torch.rand(1, 1, 40, 56) if probe is None else probe
    with torch.inference_mode():
        return prepare_inference(model, device=CPU, precision=precision, probe=probe)


@pytest.mark.parametrize(("precision", "dtype"), list(inference.DTYPES.items()))
def test_precision_asked_for_is_used(precision, dtype):
    model, used = prepare(create_model("carcnn_small"), precision)
    assert used == dtype == next(model.parameters()).dtype
    assert not model.training
    with torch.inference_mode():
        assert model(torch.rand(1, 1, 8, 8)).dtype == torch.float32


def test_the_original_is_left_alone():
    model = create_model("carcnn_small")
    prepare(model, "bf16")
    assert model.training and next(model.parameters()).dtype == torch.float32


class Scaled(nn.Module):
    """Its error in bfloat16 is what ``scale`` loses by rounding."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, luma):
        return luma * self.scale.float()


@pytest.mark.parametrize(
    ("scale", "fast_is_faster", "expected"),
    [
        (1.0, True, torch.bfloat16),
        (1.0, False, torch.float32),
        (1.0 + 1.5 * HALF_STEP, True, torch.float32),
        (float("nan"), True, torch.float32),
    ],
)
def test_auto_wants_speed_and_exactness(scale, fast_is_faster, expected, monkeypatch):
    """16 bits only if faster and within half an 8-bit step; NaN is not "within"."""

    def seconds(model, sample):
        is_fast = next(model.parameters()).dtype == torch.bfloat16
        return 1.0 if is_fast == fast_is_faster else 2.0

    monkeypatch.setattr(inference, "_seconds", seconds)
    assert prepare(Scaled(scale), "auto", torch.ones(1, 1, 4, 4))[1] == expected


class Limited(Scaled):
    """Has memory for small frames only."""

    def forward(self, luma):
        if luma.shape[-1] > 8:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(luma)


def test_large_frames_are_compared_if_memory_allows(monkeypatch):
    timed = []

    def seconds(model, arguments):
        timed.append(arguments[0].shape[-1])
        return float(model is exact)

    monkeypatch.setattr(inference, "_seconds", seconds)
    samples = [torch.ones(1, 1, 4, 16), torch.ones(1, 1, 4, 8)]
    for kind, width in ((Scaled, 16), (Limited, 8)):
        exact, fast = kind(1.0), kind(1.0)
        assert inference._is_better(fast, exact, samples, ())
        assert set(timed) == {width}
        timed.clear()
    with pytest.raises(torch.OutOfMemoryError):
        inference._is_better(fast, exact, samples[:1], ())


def test_parameters_have_versions():
    """By which modules know what they keep, also of what was prepared in inference mode."""
    model, _ = prepare(create_model("carcnn_small", qp_adaptive=True), "fp32")
    assert not any(parameter.is_inference() for parameter in model.parameters())


def test_no_graphs_on_a_cpu():
    model = create_model("carcnn_small")
    probe = torch.rand(1, 1, 8, 8)
    ready, _ = prepare_inference(model, device=CPU, precision="fp32", probe=probe, graphs=True)
    assert type(ready) is type(model)


def test_unknown_precision():
    with pytest.raises(ValueError, match="precision must be auto, fp32, bf16, fp16; got 'int8'"):
        prepare(create_model("carcnn_small"), "int8")
