"""Cross-frame attention as a fused operator."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from vqe_fast import reference
from vqe_fast.ops import _library
from vqe_fast.ops._autocast import autocast_enabled, without_autocast
from vqe_fast.ops._autograd import differentiable, reference_gradients, wants_reference
from vqe_fast.ops._backend import use_kernel
from vqe_fast.ops._checks import check_finite, check_tensor


def cross_frame_attention(
    query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0
) -> Tensor:
    """Cross-frame attention: exact softmax attention of each position over all of another map.

    output[:, i] = Σⱼ softmaxⱼ(scale · query[:, i]·key[:, j]) · value[:, j], with i over the H·W
    positions of the query and j over the H'·W' positions of the reference; PeQuENet §III-A-2
    have scale 1. The (H·W)×(H'·W') map is never stored: memory grows with the number of
    positions, forward and backward. 16-bit maps are multiplied as they are and summed up in
    float32; the weights are rounded to 16 bits where that is faster. Under autocast everything is
    computed in autocast's dtype. Results and gradients are the same to the bit in every run, for
    any number of threads.

    But where a GPU may take TF32, a value is off by at most 2·(1 + L) units in the last place of
    its dtype, of Σⱼ weight·|value|; L is the largest Σ_d |scale · query · key|, whose rounding is
    most of the error. Plain PyTorch keeps to about the same: over many values errors are no larger
    than its own, or up to twice where there are many keys and few channels; of a single value,
    which it may hit exactly, that says nothing.

    The backward of the backward (``create_graph=True``) comes from the reference and does store
    the map.

    Args:
        query: (B, D, H, W); float64, float32, bfloat16 or float16; any finite values, their
            products need not be scaled. Layouts are NCHW or channels_last; others are copied.
        key: (B, D, H', W').
        value: (B, C, H', W').
        scale: factor of the logits, finite.

    Returns:
        (B, C, H, W), contiguous, in the widest dtype of the three.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: shapes or devices do not fit, the reference is empty, or ``scale`` is not
            finite.
    """
    _check(query, key, value, scale)
    dtype = functools.reduce(torch.promote_types, (key.dtype, value.dtype), query.dtype)
    device_type = query.device.type
    if autocast_enabled(device_type):
        dtype = torch.get_autocast_dtype(device_type)
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if not use_kernel("attention", query, key, value):
        with without_autocast(device_type):
            return reference.cross_frame_attention(query, key, value, scale=scale)
    attended: Tensor = _operator(query, key, value, scale)[0]
    return attended


def _check(query: object, key: object, value: object, scale: float) -> None:
    maps = {"query": query, "key": key, "value": value}
    for name, tensor in maps.items():
        check_tensor(name, tensor)
        assert isinstance(tensor, Tensor)
        if tensor.dim() != 4:
            raise ValueError(f"{name} must be (B, C, H, W), got {tuple(tensor.shape)}")
    assert isinstance(query, Tensor) and isinstance(key, Tensor) and isinstance(value, Tensor)
    for name, tensor in (("key", key), ("value", value)):
        if tensor.device != query.device:
            raise ValueError(f"{name} must be on {query.device} like query; got {tensor.device}")
        if tensor.shape[0] != query.shape[0]:
            raise ValueError(
                f"{name} must have the batch size of query, {query.shape[0]}; got {tensor.shape[0]}"
            )
    if key.shape[1] != query.shape[1]:
        raise ValueError(
            f"key must have the channels of query, {query.shape[1]}; got {key.shape[1]}"
        )
    if value.shape[2:] != key.shape[2:]:
        raise ValueError(
            f"value must have the size of key, {tuple(key.shape[2:])}; got {tuple(value.shape[2:])}"
        )
    if 0 in key.shape[2:]:
        raise ValueError(f"key must have at least one position, got {tuple(key.shape)}")
    check_finite("scale", scale)


def _computed_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _fake(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    batch, _, height, width = query.shape
    output = value.new_empty((batch, value.shape[1], height, width))
    # On a CPU maximum and sum of each query, on a GPU their logarithm.
    size = (batch, height, width) if query.is_cuda else (batch, 2, height, width)
    return output, query.new_empty(size, dtype=_computed_dtype(query))


def _fake_backward(  # type: ignore[no-untyped-def]
    grad_output, query, key, value, output, statistics, scale, needed
):
    return tuple(
        tensor.new_empty(tensor.shape if need else 0, dtype=_computed_dtype(tensor))
        for tensor, need in zip((query, key, value), needed, strict=True)
    )


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *maps, ctx.scale = inputs
    ctx.save_for_backward(*maps, *output)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_output: Tensor | None, _: None):  # type: ignore[no-untyped-def]
    *maps, output, statistics = ctx.saved_tensors
    needed = ctx.needs_input_grad[:3]
    if grad_output is None:
        return (None,) * 4
    if wants_reference(grad_output):
        attend = functools.partial(reference.cross_frame_attention, scale=ctx.scale)
        return *reference_gradients(attend, maps, needed, grad_output), None
    gradients = torch.ops.vqe_fast.cross_frame_attention_backward(
        grad_output, *maps, output, statistics, ctx.scale, list(needed)
    )
    gradients = (
        gradient.to(tensor.dtype) if need else None
        for gradient, tensor, need in zip(gradients, maps, needed, strict=True)
    )
    return *gradients, None


def _cuda(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    from vqe_fast.kernels import attention

    output, statistics = attention.cross_frame_attention(query, key, value, scale)
    return output, statistics


def _cuda_backward(*arguments):  # type: ignore[no-untyped-def]
    from vqe_fast.kernels import attention

    return attention.cross_frame_attention_backward(*arguments)


_operator = differentiable("cross_frame_attention", _setup_context, _backward)

if _library.cpu_problem is None:
    _NAME = "vqe_fast::cross_frame_attention"
    torch.library.register_fake(_NAME, _fake)
    torch.library.register_fake(f"{_NAME}_backward", _fake_backward)
    torch.library.impl(_NAME, "CUDA", _cuda)
    torch.library.impl(f"{_NAME}_backward", "CUDA", _cuda_backward)
