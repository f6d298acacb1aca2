"""Inference copies of models: device, precision and memory layout that are fastest and faithful."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from vqe_fast._precision import Precision
from vqe_fast.models.example import coding_of_example, example_of, test_picture
from vqe_fast.models.graphed import Graphed, can_be_graphed
from vqe_fast.models.registry import spec_of
from vqe_fast.models.weights_dtype import in_weights_dtype, weights_of

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

MIXED = "mixed"
"""The precision of a model whose weights have several dtypes, which it keeps."""

RMS_STEPS = 0.1
MOST_STEPS = 1.0
"""What 16 bits may change on the test picture, in steps of 8 bits: in the root mean square, and at
most. What ships changes by 0.04 to 0.07, and up to 0.65; rounding to 8 bits changes by 0.29."""

_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
_TENSOR_CORES = (7, 0)
_CLIP = 3


class PreparationError(ValueError):
    """A model that cannot be run as it was asked to."""


def prepare_inference(
    model: nn.Module,
    *,
    device: torch.device,
    precision: Precision,
    graphs: bool = False,
) -> tuple[nn.Module, str]:
    """Copies ``model`` to ``device`` in the precision asked for, channels last, ready to run.

    ``"auto"`` goes by device and model alone, so that the answer is always the same. It takes 16
    bits if

    1. the device computes in them: a CPU bfloat16, if it has the instructions (AVX512-BF16, AMX,
       or BF16 of Arm), a GPU float16, from compute capability 7.0 on;
    2. the model's weights are float32, and some are kernels or matrices, whose products take the
       time;
    3. the model changes a test picture by the same, within :data:`RMS_STEPS`.

    Otherwise it takes fp32. Weights that are in 16 bits, or in several dtypes, stay as they are.

    Args:
        model: a model with a ``spec``; left as it is. One that does not cast by itself gets inputs
            in the dtype of its weights.
        device: where to run.
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        graphs: on a GPU, replay calls that come again as CUDA graphs, which hold memory; see
            :class:`vqe_fast.models.graphed.Graphed`.

    Returns:
        The module, in evaluation mode, which takes and returns float32 on ``device``; and the
        precision of its weights: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"mixed"``.

    Raises:
        PreparationError: unknown ``precision``, or the model cannot be copied or run in it.
    """
    if precision == "auto":
        ready, used = _chosen(model, device)
    elif precision in DTYPES:
        ready, used = _asked_for(model, device, precision), str(precision)
    else:
        raise PreparationError(f"precision must be auto, {', '.join(DTYPES)}; got {precision!r}")
    is_graphed = graphs and device.type == "cuda" and can_be_graphed(ready)
    return Graphed(ready) if is_graphed else ready, used


def reduced_dtype(device: torch.device) -> torch.dtype | None:
    """The 16-bit dtype that ``device`` has instructions for; None if float32 is as fast."""
    if device.type == "cuda":
        return torch.float16 if torch.cuda.get_device_capability(device) >= _TENSOR_CORES else None
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if any(able.get(name) for name in _BFLOAT16) else None
    return None


def _chosen(model: nn.Module, device: torch.device) -> tuple[nn.Module, str]:
    weights = list(weights_of(model))
    dtypes = {weight.dtype for weight in weights}
    if len(dtypes) > 1 or any(dtype.is_complex for dtype in dtypes):
        return _copied(model, device), MIXED
    if dtypes <= {torch.bfloat16, torch.float16} and dtypes:
        return _copied(model, device), _NAMES[dtypes.pop()]
    exact = _copied(model, device, torch.float32)
    dtype = reduced_dtype(device)
    if dtype is None or not any(weight.dim() > 1 for weight in weights):
        return exact, "fp32"
    fast = _copied(model, device, dtype)
    return (fast, _NAMES[dtype]) if _is_as_good(fast, exact, device) else (exact, "fp32")


def _asked_for(model: nn.Module, device: torch.device, precision: Precision) -> nn.Module:
    if any(weight.is_complex() for weight in weights_of(model)):
        raise PreparationError(
            f"the model {type(model).__name__} has complex weights, which have no {precision}; "
            "leave the precision at auto, which keeps weights as they are"
        )
    ready = _copied(model, device, DTYPES[precision])
    if precision != "fp32" and not spec_of(model).casts_inputs:
        try:
            _changed(ready, device)
        except RuntimeError as error:
            first_line = str(error).partition("\n")[0]
            raise PreparationError(
                f"the model {type(model).__name__} does not run in {precision} ({first_line}); "
                "give the precision fp32 or auto"
            ) from error
    return ready


def _copied(model: nn.Module, device: torch.device, dtype: torch.dtype | None = None) -> nn.Module:
    """A copy that takes and returns float32; None for weights as they are."""
    with torch.inference_mode(False):  # whose parameters would have no version
        try:
            own = copy.deepcopy(model).eval()
        except (TypeError, RuntimeError, AttributeError, NotImplementedError) as error:
            raise PreparationError(
                f"the model {type(model).__name__} cannot be copied ({error}); "
                "give it a __deepcopy__, or keep what cannot be copied out of the module"
            ) from error
        own = own.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return in_weights_dtype(own)


def _is_as_good(fast: nn.Module, exact: nn.Module, device: torch.device) -> bool:
    expected = _changed(exact, device)
    try:
        error = _changed(fast, device) - expected
    except RuntimeError as problem:
        if spec_of(exact).casts_inputs or isinstance(problem, torch.OutOfMemoryError):
            raise
        return False  # a module that was written for float32 alone
    least, most = spec_of(exact).value_range
    steps = error.double() * (255 / (most - least))
    # NaN is not within.
    return bool(steps.square().mean().sqrt() <= RMS_STEPS and steps.abs().max() <= MOST_STEPS)


@torch.inference_mode()
def _changed(model: nn.Module, device: torch.device) -> Tensor:
    """The test picture as the model changes it."""
    spec = spec_of(model)
    frames = example_of(spec, test_picture(spec), _CLIP).to(device)
    result: Tensor = model(frames, *coding_of_example(spec, frames))
    return result
