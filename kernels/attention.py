"""Cross-frame attention on a GPU: copies of the maps, launches of the Triton kernels.

Maps are copied to [B, positions, channels] unless they lie so: rows that the copy engine and wide
loads can take, whatever the size and the strides. Channels are filled up with zeros. A float32 map
becomes two or three of bfloat16, side by side, whose sum it is: six products of these on tensor
cores have the digits of float32.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from vqe_fast.kernels import attention_kernels as kernels
from vqe_fast.kernels.attention_plan import Device, Plan, padded, parts, plan, split_length

_LOG2_E = 1 / math.log(2)


def cross_frame_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    *,
    device: Device | None = None,
) -> tuple[Tensor, Tensor]:
    """The operator ``cross_frame_attention`` of ``csrc/library.cpp``.

    Args:
        query: (B, D, H, W).
        key: (B, D, H', W').
        value: (B, C, H', W').
        scale: factor of the logits.
        device: plan for this GPU instead of the current one.

    Returns:
        Output (B, C, H, W), and (B, H, W), the logarithm to base 2 of each query's sum of
        exp(scale · query·key), in float32, or float64 of float64.
    """
    batch, _, height, width = query.shape
    value_channels, queries, keys = value.shape[1], height * width, _positions(key)
    output = value.new_empty(batch, value_channels, height, width)
    lse = query.new_empty(batch, height, width, dtype=_wide(query))
    if not output.numel():
        return output, lse
    device = device or _current_device()
    chosen = _chosen("forward", query, value_channels, device)
    length = split_length("forward", chosen, batch, queries, keys, device.multiprocessors)
    splits = triton.cdiv(keys, length)
    partial = lse.new_empty(splits, batch, queries, padded(value_channels))
    partial_lse = lse.new_empty(splits, *lse.shape)
    with torch.cuda.device_of(query):
        maps = _copies(query, key, value, scale)
        kernels.forward_kernel[_grid(chosen, "BLOCK_M", queries, "C", batch * splits)](
            _argument(maps[0], chosen, "BLOCK_M", "BLOCK_D"),
            _argument(maps[1], chosen, "BLOCK_N", "BLOCK_D"),
            _argument(maps[2], chosen, "BLOCK_N", "BLOCK_C"),
            partial,
            partial_lse,
            batch,
            queries,
            keys,
            length,
            _power(query.dtype, scale),
            **chosen.options,
        )
        kernels.combine_kernel[(triton.cdiv(queries, 32), triton.cdiv(value_channels, 32), batch)](
            partial,
            partial_lse,
            output,
            lse,
            splits,
            batch,
            value_channels,
            queries,
            C=padded(value_channels),
            BLOCK_C=32,
            BLOCK_M=32,
        )
    return output, lse


def cross_frame_attention_backward(
    grad_output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    lse: Tensor,
    scale: float,
    needed: list[bool],
    *,
    device: Device | None = None,
) -> tuple[Tensor, ...]:
    """The operator ``cross_frame_attention_backward`` of ``csrc/library.cpp``.

    Args:
        grad_output: (B, C, H, W), gradient of the output.
        query: as in the forward; so are ``key``, ``value``, ``scale`` and ``device``.
        output: of the forward.
        lse: of the forward.
        needed: whether the gradients of query, key and value are asked for.

    Returns:
        These gradients, in float32, or float64 of float64; an empty one where none is asked for.
    """
    batch, value_channels = query.shape[0], value.shape[1]
    queries = _positions(query)
    gradients = [
        tensor.new_empty(tensor.shape if need else 0, dtype=_wide(tensor))
        for tensor, need in zip((query, key, value), needed, strict=True)
    ]
    if not (output.numel() and query.numel()):
        return tuple(gradient.zero_() for gradient in gradients)
    device = device or _current_device()
    output, lse = output.contiguous(), lse.contiguous()
    delta = torch.empty_like(lse)
    with torch.cuda.device_of(query):
        maps = [*_copies(query, key, value, scale), _copied(grad_output)]
        kernels.delta_kernel[(triton.cdiv(queries, 64), batch)](
            maps[3],
            output,
            delta,
            value_channels,
            queries,
            C=padded(value_channels),
            BLOCK_C=32,
            BLOCK_M=64,
            ACC=tl.float64 if query.dtype == torch.float64 else tl.float32,
            PARTS=_parts(query.dtype),
        )
        for index, name in enumerate(("grad_query", "grad_key", "grad_value")):
            if needed[index]:
                chosen = _chosen(name, query, value_channels, device)
                lse_delta = (lse, delta)
                gradients[index] = _gradient(
                    name, chosen, maps, lse_delta, gradients[index], scale, device
                )
    return tuple(gradients)


def _gradient(
    name: str,
    chosen: Plan,
    maps: list[Tensor],
    lse_delta: tuple[Tensor, Tensor],
    gradient: Tensor,
    scale: float,
    device: Device,
) -> Tensor:
    """Of the map that kernel ``name`` is for, of the shape and dtype of ``gradient``."""
    batch, channels = gradient.shape[:2]
    queries, keys = maps[0].shape[1], maps[1].shape[1]
    of_query = name == "grad_query"
    positions, looped = (queries, keys) if of_query else (keys, queries)
    length = split_length(name, chosen, batch, positions, looped, device.multiprocessors)
    splits = triton.cdiv(looped, length)
    partial = gradient.new_empty(splits, batch, positions, padded(channels))
    # Each has the power and the sign of the other's copy; float64 has all of the scale in a copy.
    factor = {"grad_query": scale, "grad_key": abs(scale), "grad_value": 1.0}[name]
    exact = gradient.dtype == torch.float64
    kernel = kernels.grad_query_kernel if of_query else kernels.grad_reference_kernel
    grid = _grid(
        chosen,
        "BLOCK_M" if of_query else "BLOCK_N",
        positions,
        "C" if name == "grad_value" else "D",
        batch * splits,
    )
    kernel[grid](
        _argument(maps[0], chosen, "BLOCK_M", "BLOCK_D"),
        _argument(maps[1], chosen, "BLOCK_N", "BLOCK_D"),
        _argument(maps[2], chosen, "BLOCK_N", "BLOCK_C"),
        _argument(maps[3], chosen, "BLOCK_M", "BLOCK_C"),
        *lse_delta,
        partial,
        batch,
        queries,
        keys,
        length,
        _power(gradient.dtype, scale),
        1.0 if exact else factor,
        **chosen.options,
    )
    total = partial.sum(0) if splits > 1 else partial[0]
    gradient.flatten(2).copy_(total[..., :channels].mT)
    if exact and name == "grad_query":
        gradient *= scale
    elif exact and name == "grad_key":
        gradient *= math.log(2)
    return gradient


def _copies(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, ...]:
    """Maps as the kernels take them: in the query lies what ``_power`` leaves out of the scale."""
    if query.dtype == torch.float64:
        query = query * (scale * _LOG2_E)
    elif scale < 0:
        query = -query
    return _copied(query), _copied(key), _copied(value)


def _power(dtype: torch.dtype, scale: float) -> float:
    """What logits are multiplied by in the kernels, in float32.

    Never 0, which is not a number times the logit of a key past the last, -inf.
    """
    return 1.0 if dtype == torch.float64 else max(abs(scale) * _LOG2_E, 1e-37)


def _copied(tensor: Tensor) -> Tensor:
    """[B, positions, parts * padded channels], contiguous; the tensor itself if it lies so."""
    batch, channels, height, width = tensor.shape
    count, row = _parts(tensor.dtype), padded(channels)
    rows = tensor.permute(0, 2, 3, 1)
    if count == 1 and channels == row and rows.is_contiguous() and tensor.data_ptr() % 16 == 0:
        return rows.view(batch, height * width, row)
    dtype = torch.bfloat16 if count > 1 else tensor.dtype
    allocate = torch.empty if channels == row else torch.zeros
    copy = allocate((batch, height, width, count, row), dtype=dtype, device=tensor.device)
    for i_part in range(count):
        part = copy[:, :, :, i_part, :channels]
        part.copy_(rows)
        if i_part + 1 < count:
            rows = rows - part
    return copy.view(batch, height * width, count * row)


def _argument(source: Tensor, chosen: Plan, block: str, channels: str) -> Tensor | TensorDescriptor:
    """A map as the kernel takes it, which loads tiles of two of its constants."""
    if not chosen.constants["TMA"]:
        return source
    tile = [1, chosen.constants[block], chosen.constants[channels]]
    return TensorDescriptor(source, list(source.shape), list(source.stride()), tile)


def _grid(
    chosen: Plan, block: str, positions: int, channels: str, images: int
) -> tuple[int, int, int]:
    constants = chosen.constants
    return (
        triton.cdiv(positions, constants[block]),
        triton.cdiv(constants[channels], constants[f"BLOCK_{channels}"]),
        images,
    )


def _chosen(name: str, query: Tensor, value_channels: int, device: Device) -> Plan:
    return plan(name, query.dtype, query.shape[1], value_channels, device.arch, _precision())


def _parts(dtype: torch.dtype) -> int:
    return parts(dtype, _precision())


def _positions(tensor: Tensor) -> int:
    return tensor.shape[2] * tensor.shape[3]


def _current_device() -> Device:
    """The current GPU; the smallest there is where there is none."""
    if not torch.cuda.is_available():
        return Device(80, 1)
    properties = torch.cuda.get_device_properties()
    return Device(10 * properties.major + properties.minor, properties.multi_processor_count)


def _precision() -> str:
    """What the user's setting allows in products of float32."""
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
