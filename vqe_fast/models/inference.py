"""Inference copies of models: device, precision and memory layout that are fastest and faithful."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vqe_fast._precision import Precision
from vqe_fast.models.graphed import Graphed, can_be_graphed

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
HALF_STEP = 0.5 / 255
PROBE_SIDE = 256
"""Pixels a side that suffice to compare precisions on, on a CPU; less of frames that come together.

On a GPU a frame as small as that takes as long as its launches, in any precision."""

_GPU_SIDE = 1448  # as many pixels as 1080p: more do not keep it busier
_PROBE_ROUNDS = 3
_PROBE_SECONDS = 2.0
_GPU_SECONDS = 0.05  # in which its clock rises


def prepare_inference(
    model: nn.Module,
    *,
    device: torch.device,
    precision: Precision,
    probe: Tensor,
    qp: float | None = None,
    graphs: bool = False,
) -> tuple[nn.Module, torch.dtype]:
    """Copies ``model`` to ``device`` in the dtype asked for, channels last, ready to run.

    With ``"auto"`` the 16-bit copy is taken only if, on ``probe``, it is faster than the fp32
    one and no sample differs from it by half an 8-bit step or more. On a CPU the 16-bit dtype
    tried is bfloat16, on a corner of ``probe``; on a GPU float16, on all of it up to the pixels of
    1080p, or on the corner if memory does not suffice.

    Args:
        model: a registered model; left as it is.
        device: where to run.
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        probe: a typical input, (B, C, H, W) or (B, T, C, H, W) float32 in the model's value range.
        qp: a typical one, for a model that takes QPs.
        graphs: on a GPU, replay calls that come again as CUDA graphs, which hold memory; see
            :class:`vqe_fast.models.graphed.Graphed`.

    Returns:
        The module, in evaluation mode, which takes and returns float32 on ``device``; and the
        dtype of its weights.

    Raises:
        ValueError: unknown ``precision``.
    """
    if precision != "auto" and precision not in DTYPES:
        raise ValueError(f"precision must be auto, {', '.join(DTYPES)}; got {precision!r}")
    if precision != "auto":
        return _ready(model, device, DTYPES[precision], graphs), DTYPES[precision]
    candidate = torch.float16 if device.type == "cuda" else torch.bfloat16
    exact = _ready(model, device, torch.float32, graphs)
    fast = _ready(model, device, candidate, graphs)
    together = probe.shape[1] if probe.dim() == 5 else 1
    side = math.isqrt(PROBE_SIDE**2 // together)
    samples = [probe[:1, ..., :side, :side].to(device)]
    if device.type == "cuda":
        large = _GPU_SIDE if probe.shape[-2] * probe.shape[-1] > _GPU_SIDE**2 else None
        samples.insert(0, probe[:1, ..., :large, :large].to(device))
    if _is_better(fast, exact, samples, () if qp is None else (qp,)):
        return _as_new(fast), candidate
    return _as_new(exact), torch.float32


def _ready(model: nn.Module, device: torch.device, dtype: torch.dtype, graphs: bool) -> nn.Module:
    with torch.inference_mode(False):  # whose parameters would have no version
        own = copy.deepcopy(model).eval().to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Graphed(own) if graphs and device.type == "cuda" and can_be_graphed(own) else own


def _as_new(model: nn.Module) -> nn.Module:
    """The model without the graphs of the comparison, so that their memory can be planned with."""
    if isinstance(model, Graphed):
        model.clear()
    return model


def _is_better(
    fast: nn.Module, exact: nn.Module, samples: Sequence[Tensor], told: tuple[float, ...]
) -> bool:
    """Whether ``fast`` is as good and takes less time, on the first sample that memory allows."""
    *large, last = samples
    for sample in large:
        try:
            return _is_better(fast, exact, [sample], told)
        except torch.OutOfMemoryError:
            pass
        # Not before the traceback, which holds tensors, is gone.
        _as_new(fast), _as_new(exact)
        torch.cuda.empty_cache()
    arguments = (last, *told)
    with torch.inference_mode():
        error = (exact(*arguments) - fast(*arguments)).abs().max().item()
        return error < HALF_STEP and _seconds(fast, arguments) < _seconds(exact, arguments)


def _seconds(model: nn.Module, arguments: tuple[object, ...]) -> float:
    """Best of a few runs, or of one that takes long: the noise of a timing only ever adds."""
    times: list[float] = []
    least = _GPU_SECONDS if isinstance(arguments[0], Tensor) and arguments[0].is_cuda else 0.0
    while (len(times) < _PROBE_ROUNDS or sum(times) < least) and sum(times) < _PROBE_SECONDS:
        start = time.perf_counter()
        result = model(*arguments)
        if result.is_cuda:
            torch.cuda.synchronize(result.device)
        times.append(time.perf_counter() - start)
    return min(times)
