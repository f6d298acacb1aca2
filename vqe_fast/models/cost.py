"""Cost of a model: multiply-adds a pixel, parameters, receptive field."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vqe_fast._whole_number import whole_number
from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.registry import ModelSpec, spec_of

COUNTED_SIZE = (1088, 1920)
"""Height and width that :func:`cost` counts at unless told otherwise: 1080p as codecs hold it,
multiples of what any model here is aligned to."""

_QP = 32.0


@dataclass(frozen=True)
class Cost:
    """Multiply-adds a pixel, parameters and receptive field of a model.

    Attributes:
        kmac_per_pixel: thousands of multiply-adds for a pixel of an enhanced frame.
        parameters: numbers that training changes; those that are frozen are left out.
        receptive_field: of the model's spec: side in pixels of the square of inputs that one output
            pixel depends on; 0 where it depends on the whole frame.
    """

    kmac_per_pixel: float
    parameters: int
    receptive_field: int


def cost(model: nn.Module, *, size: tuple[int, int] = COUNTED_SIZE) -> Cost:
    """Counts multiply-adds and parameters, and measures the receptive field of a model.

    Counted are the multiply-adds of convolutions, transposed ones too, of linear layers, other
    products of matrices and attention, with the zeros that pad a frame and with transforms that
    are not trained, but not what is done to samples one by one, nor means, interpolation and
    warping. They are those of one call for one frame, with its neighbours where the model takes
    them; of a model with a stream or a recurrent one, those that one more frame adds. The model
    runs on tensors without memory: counting takes the time of its Python code.

    The result hardly depends on ``size``, but for frames that a model pads, and for attention to
    whole frames, whose arithmetic for a pixel grows with the number of pixels.

    Args:
        model: a registered model, on any device; left as it is.
        size: height and width in pixels of the frames that go in.

    Returns:
        The cost, for a pixel of the output, which has ``scale²`` times as many as the input.

    Raises:
        ValueError: ``size`` has a number below 1, or is smaller than the model takes.
    """
    height, width = size
    size = whole_number("size's height", height, 1), whole_number("size's width", width, 1)
    spec = spec_of(model)
    counted = copy.deepcopy(model).to("meta").eval()
    if spec.recurrent:
        multiply_adds = _multiply_adds(counted, 2, size) - _multiply_adds(counted, 1, size)
    elif hasattr(counted, "stream"):
        multiply_adds = _multiply_adds_of_stream(counted, size)
    else:
        multiply_adds = _multiply_adds(counted, 2 * spec.temporal_radius + 1, size)
    return Cost(
        kmac_per_pixel=multiply_adds / (1000 * size[0] * size[1] * spec.scale**2),
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        receptive_field=spec.receptive_field,
    )


def _multiply_adds(model: nn.Module, frames: int, size: tuple[int, int]) -> int:
    """Of a call with so many frames of a model on the meta device."""
    return _counted(model, *_inputs(spec_of(model), frames, size))


@torch.no_grad()
def _multiply_adds_of_stream(model: nn.Module, size: tuple[int, int]) -> int:
    """Of one more frame, when there are as many as the model sees."""
    spec = spec_of(model)
    clip = _inputs(spec, 1, size)[0]
    assert isinstance(clip, Tensor)
    told = (_QP, UNKNOWN, UNKNOWN)[: spec.takes_qp + 2 * spec.takes_coding]
    stream = model.stream()  # type: ignore[operator]
    for _ in range(2 * spec.temporal_radius):
        stream.push(clip[:, 0], *told)
    return _counted(stream.push, clip[:, 0], *told)


@torch.no_grad()
def _counted(run: Callable[..., object], *inputs: Tensor | float) -> int:
    """Of a call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run(*inputs)
    flops: int = counter.get_total_flops()
    return flops // 2


def _inputs(spec: ModelSpec, frames: int, size: tuple[int, int]) -> list[Tensor | float]:
    """What a model of this spec is called with, without memory."""
    together = (frames,) if spec.recurrent or spec.temporal_radius else ()
    channels = 1 if spec.planes == "y" else 3
    inputs: list[Tensor | float] = [torch.empty(1, *together, channels, *size, device="meta")]
    if spec.takes_qp:
        inputs.append(_QP)
    if spec.takes_coding:
        inputs += [torch.full((1,), UNKNOWN, device="meta")] * 2
    return inputs
