"""Cross-frame attention in Triton.

Maps are [channels, positions]; in a program's tiles queries are rows and keys are columns. Weights
are 2^((logit - maximum) · POWER), where logit is query·key, or its negative for a scale below 0.
What a program sums up over its loop stays in registers: BLOCK_C channels of the output, or of
gradients. Nothing is added to memory, so that results are the same in every run.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _tile(
    p_map,  # [channels, positions]
    channel_step,
    position_step,
    first_channel,
    first_position,
    channels,
    positions,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """[BLOCK_C, BLOCK_P] of a map, zeros outside."""
    o_channel = first_channel + tl.arange(0, BLOCK_C).to(tl.int64)
    o_position = first_position + tl.arange(0, BLOCK_P).to(tl.int64)
    p_tile = p_map + o_channel[:, None] * channel_step + o_position[None, :] * position_step
    m_tile = (o_channel < channels)[:, None] & (o_position < positions)[None, :]
    return tl.load(p_tile, mask=m_tile, other=0.0)


@triton.jit
def _store_tile(
    p_map,  # [channels, positions], contiguous
    first_channel,
    first_position,
    channels,
    positions,
    b_tile,  # [BLOCK_C, BLOCK_P]
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    o_channel = first_channel + tl.arange(0, BLOCK_C).to(tl.int64)
    o_position = first_position + tl.arange(0, BLOCK_P).to(tl.int64)
    p_tile = p_map + o_channel[:, None] * positions + o_position[None, :]
    m_tile = (o_channel < channels)[:, None] & (o_position < positions)[None, :]
    tl.store(p_tile, b_tile.to(p_map.dtype.element_ty), mask=m_tile)


@triton.jit
def _row(p_row, first, count, other, BLOCK: tl.constexpr):
    o_row = first + tl.arange(0, BLOCK).to(tl.int64)
    return tl.load(p_row + o_row, mask=o_row < count, other=other)


@triton.jit
def _products(
    p_rows,  # [channels, rows]
    row_channel_step,
    row_step,
    first_row,
    rows,
    p_columns,  # [channels, columns]
    column_channel_step,
    column_step,
    first_column,
    columns,
    channels,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """[BLOCK_M, BLOCK_N] of row times column, summed over channels, CHUNK of them at a time."""
    b_sum = tl.zeros([BLOCK_M, BLOCK_N], dtype=ACC)
    for i_chunk in range(CHUNKS):
        b_rows = _tile(
            p_rows,
            row_channel_step,
            row_step,
            i_chunk * CHUNK,
            first_row,
            channels,
            rows,
            CHUNK,
            BLOCK_M,
        )
        b_columns = _tile(
            p_columns,
            column_channel_step,
            column_step,
            i_chunk * CHUNK,
            first_column,
            channels,
            columns,
            CHUNK,
            BLOCK_N,
        )
        b_sum = tl.dot(tl.trans(b_rows), b_columns, b_sum, input_precision=PRECISION, out_dtype=ACC)
    return b_sum


@triton.jit
def forward_kernel(
    p_query,  # [B, D, queries]
    p_key,  # [B, D, keys]
    p_value,  # [B, C, keys]
    p_output,  # [B, C, queries], contiguous
    p_statistics,  # [B, 2, queries], contiguous
    query_batch_step,
    query_channel_step,
    query_step,
    key_batch_step,
    key_channel_step,
    key_step,
    value_batch_step,
    value_channel_step,
    value_step,
    channels,
    value_channels,
    queries,
    keys,
    SCALE: tl.constexpr,
    POWER: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Output of BLOCK_M queries and BLOCK_C channels."""
    first_query = tl.program_id(0).to(tl.int64) * BLOCK_M
    first_channel = tl.program_id(1).to(tl.int64) * BLOCK_C
    i_batch = tl.program_id(2).to(tl.int64)
    p_query += i_batch * query_batch_step
    p_key += i_batch * key_batch_step
    p_value += i_batch * value_batch_step
    if CHUNKS == 1:
        b_query = tl.trans(
            _tile(
                p_query,
                query_channel_step,
                query_step,
                0,
                first_query,
                channels,
                queries,
                CHUNK,
                BLOCK_M,
            )
        )
    b_maximum = tl.full([BLOCK_M], float("-inf"), dtype=ACC)
    b_sum = tl.zeros([BLOCK_M], dtype=ACC)
    b_output = tl.zeros([BLOCK_M, BLOCK_C], dtype=ACC)
    for first_key in range(0, keys, BLOCK_N):
        if CHUNKS == 1:
            b_key = _tile(
                p_key, key_channel_step, key_step, 0, first_key, channels, keys, CHUNK, BLOCK_N
            )
            b_logit = tl.dot(b_query, b_key, input_precision=PRECISION, out_dtype=ACC)
        else:
            b_logit = _products(
                p_query,
                query_channel_step,
                query_step,
                first_query,
                queries,
                p_key,
                key_channel_step,
                key_step,
                first_key,
                keys,
                channels,
                CHUNK,
                CHUNKS,
                BLOCK_M,
                BLOCK_N,
                ACC,
                PRECISION,
            )
        if SCALE < 0:
            b_logit = -b_logit
        m_key = first_key + tl.arange(0, BLOCK_N) < keys
        b_logit = tl.where(m_key[None, :], b_logit, float("-inf"))
        b_largest = tl.maximum(b_maximum, tl.max(b_logit, 1))
        b_factor = tl.exp2((b_maximum - b_largest) * POWER)
        b_weight = tl.exp2((b_logit - b_largest[:, None]) * POWER)
        b_sum = b_sum * b_factor + tl.sum(b_weight, 1)
        b_value = _tile(
            p_value,
            value_channel_step,
            value_step,
            first_channel,
            first_key,
            value_channels,
            keys,
            BLOCK_C,
            BLOCK_N,
        )
        b_output = tl.dot(
            b_weight.to(b_value.dtype),
            tl.trans(b_value),
            b_output * b_factor[:, None],
            input_precision=PRECISION,
            out_dtype=ACC,
        )
        b_maximum = b_largest
    _store_tile(
        p_output + i_batch * value_channels * queries,
        first_channel,
        first_query,
        value_channels,
        queries,
        tl.trans(b_output / b_sum[:, None]),
        BLOCK_C,
        BLOCK_M,
    )
    if first_channel == 0:
        o_query = first_query + tl.arange(0, BLOCK_M)
        p_statistics += i_batch * 2 * queries
        tl.store(p_statistics + o_query, b_maximum, mask=o_query < queries)
        tl.store(p_statistics + queries + o_query, b_sum, mask=o_query < queries)


@triton.jit
def expected_kernel(
    p_grad_output,  # [B, C, queries]
    p_output,  # [B, C, queries], contiguous
    p_expected,  # [B, queries], contiguous
    grad_batch_step,
    grad_channel_step,
    grad_step,
    value_channels,
    queries,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    ACC: tl.constexpr,
):
    """Output times its gradient, summed over channels, of BLOCK_M queries."""
    first_query = tl.program_id(0).to(tl.int64) * BLOCK_M
    i_batch = tl.program_id(1).to(tl.int64)
    p_grad_output += i_batch * grad_batch_step
    p_output += i_batch * value_channels * queries
    b_sum = tl.zeros([BLOCK_M], dtype=ACC)
    for channel in range(0, value_channels, BLOCK_C):
        b_grad = _tile(
            p_grad_output,
            grad_channel_step,
            grad_step,
            channel,
            first_query,
            value_channels,
            queries,
            BLOCK_C,
            BLOCK_M,
        )
        b_output = _tile(
            p_output, queries, 1, channel, first_query, value_channels, queries, BLOCK_C, BLOCK_M
        )
        b_sum += tl.sum(b_grad.to(ACC) * b_output.to(ACC), 0)
    o_query = first_query + tl.arange(0, BLOCK_M)
    tl.store(p_expected + i_batch * queries + o_query, b_sum, mask=o_query < queries)


@triton.jit
def _weights(
    p_query,  # [D, queries]
    query_channel_step,
    query_step,
    first_query,
    queries,
    p_key,  # [D, keys]
    key_channel_step,
    key_step,
    first_key,
    keys,
    channels,
    p_statistics,  # [2, queries], contiguous
    SCALE: tl.constexpr,
    POWER: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """[BLOCK_M, BLOCK_N] of the softmax, zeros outside."""
    b_logit = _products(
        p_query,
        query_channel_step,
        query_step,
        first_query,
        queries,
        p_key,
        key_channel_step,
        key_step,
        first_key,
        keys,
        channels,
        CHUNK,
        CHUNKS,
        BLOCK_M,
        BLOCK_N,
        ACC,
        PRECISION,
    )
    if SCALE < 0:
        b_logit = -b_logit
    b_maximum = _row(p_statistics, first_query, queries, float("inf"), BLOCK_M)
    b_sum = _row(p_statistics + queries, first_query, queries, 1.0, BLOCK_M)
    m_key = first_key + tl.arange(0, BLOCK_N) < keys
    b_logit = tl.where(m_key[None, :], b_logit, float("-inf"))
    return tl.exp2((b_logit - b_maximum[:, None]) * POWER) / b_sum[:, None]


@triton.jit
def grad_query_kernel(
    p_grad_output,  # [B, C, queries]
    p_query,  # [B, D, queries]
    p_key,  # [B, D, keys]
    p_value,  # [B, C, keys]
    p_statistics,  # [B, 2, queries], contiguous
    p_expected,  # [B, queries], contiguous
    p_grad_query,  # [B, D, queries], contiguous
    grad_batch_step,
    grad_channel_step,
    grad_step,
    query_batch_step,
    query_channel_step,
    query_step,
    key_batch_step,
    key_channel_step,
    key_step,
    value_batch_step,
    value_channel_step,
    value_step,
    channels,
    value_channels,
    queries,
    keys,
    SCALE: tl.constexpr,
    POWER: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
    VALUE_CHUNK: tl.constexpr,
    VALUE_CHUNKS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradient of BLOCK_M queries and BLOCK_C of their channels."""
    first_query = tl.program_id(0).to(tl.int64) * BLOCK_M
    first_channel = tl.program_id(1).to(tl.int64) * BLOCK_C
    i_batch = tl.program_id(2).to(tl.int64)
    p_grad_output += i_batch * grad_batch_step
    p_query += i_batch * query_batch_step
    p_key += i_batch * key_batch_step
    p_value += i_batch * value_batch_step
    p_statistics += i_batch * 2 * queries
    b_expected = _row(p_expected + i_batch * queries, first_query, queries, 0.0, BLOCK_M)
    b_grad_query = tl.zeros([BLOCK_M, BLOCK_C], dtype=ACC)
    for first_key in range(0, keys, BLOCK_N):
        b_weight = _weights(
            p_query,
            query_channel_step,
            query_step,
            first_query,
            queries,
            p_key,
            key_channel_step,
            key_step,
            first_key,
            keys,
            channels,
            p_statistics,
            SCALE,
            POWER,
            CHUNK,
            CHUNKS,
            BLOCK_M,
            BLOCK_N,
            ACC,
            PRECISION,
        )
        b_slope = _products(
            p_grad_output,
            grad_channel_step,
            grad_step,
            first_query,
            queries,
            p_value,
            value_channel_step,
            value_step,
            first_key,
            keys,
            value_channels,
            VALUE_CHUNK,
            VALUE_CHUNKS,
            BLOCK_M,
            BLOCK_N,
            ACC,
            PRECISION,
        )
        b_slope = b_weight * (b_slope - b_expected[:, None])
        b_key = _tile(
            p_key,
            key_channel_step,
            key_step,
            first_channel,
            first_key,
            channels,
            keys,
            BLOCK_C,
            BLOCK_N,
        )
        b_grad_query = tl.dot(
            b_slope.to(b_key.dtype),
            tl.trans(b_key),
            b_grad_query,
            input_precision=PRECISION,
            out_dtype=ACC,
        )
    _store_tile(
        p_grad_query + i_batch * channels * queries,
        first_channel,
        first_query,
        channels,
        queries,
        tl.trans(b_grad_query * SCALE),
        BLOCK_C,
        BLOCK_M,
    )


@triton.jit
def grad_reference_kernel(
    p_grad_output,  # [B, C, queries]
    p_query,  # [B, D, queries]
    p_key,  # [B, D, keys]
    p_value,  # [B, C, keys]
    p_statistics,  # [B, 2, queries], contiguous
    p_expected,  # [B, queries], contiguous
    p_grad,  # of the key [B, D, keys] or of the value [B, C, keys], contiguous
    grad_batch_step,
    grad_channel_step,
    grad_step,
    query_batch_step,
    query_channel_step,
    query_step,
    key_batch_step,
    key_channel_step,
    key_step,
    value_batch_step,
    value_channel_step,
    value_step,
    channels,
    value_channels,
    queries,
    keys,
    OF_VALUE: tl.constexpr,
    SCALE: tl.constexpr,
    POWER: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
    VALUE_CHUNK: tl.constexpr,
    VALUE_CHUNKS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradient of BLOCK_N keys, or values, and BLOCK_C of their channels."""
    first_key = tl.program_id(0).to(tl.int64) * BLOCK_N
    first_channel = tl.program_id(1).to(tl.int64) * BLOCK_C
    i_batch = tl.program_id(2).to(tl.int64)
    p_grad_output += i_batch * grad_batch_step
    p_query += i_batch * query_batch_step
    p_key += i_batch * key_batch_step
    p_value += i_batch * value_batch_step
    p_statistics += i_batch * 2 * queries
    p_expected += i_batch * queries
    b_grad = tl.zeros([BLOCK_C, BLOCK_N], dtype=ACC)
    for first_query in range(0, queries, BLOCK_M):
        b_weight = _weights(
            p_query,
            query_channel_step,
            query_step,
            first_query,
            queries,
            p_key,
            key_channel_step,
            key_step,
            first_key,
            keys,
            channels,
            p_statistics,
            SCALE,
            POWER,
            CHUNK,
            CHUNKS,
            BLOCK_M,
            BLOCK_N,
            ACC,
            PRECISION,
        )
        if OF_VALUE:
            b_left = _tile(
                p_grad_output,
                grad_channel_step,
                grad_step,
                first_channel,
                first_query,
                value_channels,
                queries,
                BLOCK_C,
                BLOCK_M,
            )
        else:
            b_slope = _products(
                p_grad_output,
                grad_channel_step,
                grad_step,
                first_query,
                queries,
                p_value,
                value_channel_step,
                value_step,
                first_key,
                keys,
                value_channels,
                VALUE_CHUNK,
                VALUE_CHUNKS,
                BLOCK_M,
                BLOCK_N,
                ACC,
                PRECISION,
            )
            b_expected = _row(p_expected, first_query, queries, 0.0, BLOCK_M)
            b_weight *= b_slope - b_expected[:, None]
            b_left = _tile(
                p_query,
                query_channel_step,
                query_step,
                first_channel,
                first_query,
                channels,
                queries,
                BLOCK_C,
                BLOCK_M,
            )
        b_grad = tl.dot(
            b_left, b_weight.to(b_left.dtype), b_grad, input_precision=PRECISION, out_dtype=ACC
        )
    if OF_VALUE:
        all_channels = value_channels
    else:
        all_channels = channels
        b_grad *= SCALE
    _store_tile(
        p_grad + i_batch * all_channels * keys,
        first_channel,
        first_key,
        all_channels,
        keys,
        b_grad,
        BLOCK_C,
        BLOCK_N,
    )


class Plan(NamedTuple):
    """Constants of a kernel and how it is compiled."""

    constants: dict[str, object]
    num_warps: int
    num_stages: int

    @property
    def options(self) -> dict[str, object]:
        """What a launch takes."""
        return self.constants | {"num_warps": self.num_warps, "num_stages": self.num_stages}


def plan(
    kernel: str, dtype: torch.dtype, channels: int, value_channels: int, scale: float, arch: int
) -> Plan:
    """How to launch ``forward``, ``grad_query``, ``grad_key`` or ``grad_value``.

    Chosen by compiling: sums fill half of the registers and nothing, or next to nothing, is
    spilled; tiles, twice, stay within the shared memory of ``arch``, the compute capability times
    ten.
    """
    size = dtype.itemsize
    summed = channels if kernel in ("grad_query", "grad_key") else value_channels
    forward = kernel == "forward"
    block_m, block_n, most_summed, most_chunk = {
        2: (128, 64 if arch >= 90 else 32, 256, 256) if forward else (64, 64, 256, 128),
        4: (64 if forward else 32, 32, 128, 32),
        8: (32, 16, 64, 16),
    }[size]
    chunk = min(_tile_size(channels), most_chunk)
    constants: dict[str, object] = {
        "SCALE": scale,
        # Never 0: it is multiplied by -inf, the maximum of no logits.
        "POWER": max(abs(scale) / math.log(2), sys.float_info.min if size == 8 else 1e-37),
        "CHUNK": chunk,
        "CHUNKS": triton.cdiv(channels, chunk),
        "BLOCK_C": min(_tile_size(summed), most_summed),
        "BLOCK_M": block_m,
        "BLOCK_N": block_n,
        "ACC": tl.float64 if size == 8 else tl.float32,
        "PRECISION": _precision() if size == 4 else "ieee",
    }
    if not forward:
        value_chunk = min(_tile_size(value_channels), most_chunk)
        constants["VALUE_CHUNK"] = value_chunk
        constants["VALUE_CHUNKS"] = triton.cdiv(value_channels, value_chunk)
    if kernel in ("grad_key", "grad_value"):
        constants["OF_VALUE"] = kernel == "grad_value"
    return Plan(constants, num_warps=8, num_stages=2)


def cross_frame_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """The operator ``cross_frame_attention`` of ``csrc/library.cpp``."""
    query, key, value = (_readable(tensor) for tensor in (query, key, value))
    batch, channels, height, width = query.shape
    value_channels, queries = value.shape[1], height * width
    output = value.new_empty(batch, value_channels, height, width)
    statistics = query.new_empty(batch, 2, height, width, dtype=_wide(query))
    if output.numel():
        with torch.cuda.device_of(query):
            chosen = plan("forward", query.dtype, channels, value_channels, scale, _arch())
            grid = _grid(chosen, "BLOCK_M", queries, value_channels, batch)
            forward_kernel[grid](
                query,
                key,
                value,
                output,
                statistics,
                *_steps(query),
                *_steps(key),
                *_steps(value),
                channels,
                value_channels,
                queries,
                _positions(key),
                **chosen.options,
            )
    return output, statistics


def cross_frame_attention_backward(
    grad_output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    statistics: Tensor,
    scale: float,
    needed: list[bool],
) -> tuple[Tensor, ...]:
    """The operator ``cross_frame_attention_backward`` of ``csrc/library.cpp``."""
    maps = [_readable(tensor) for tensor in (grad_output, query, key, value)]
    grad_output, query, key, value = maps
    output, statistics = output.contiguous(), statistics.contiguous()
    batch, channels, value_channels = query.shape[0], query.shape[1], value.shape[1]
    queries, keys = _positions(query), _positions(key)
    gradients = [
        tensor.new_zeros(tensor.shape if need else 0, dtype=_wide(tensor))
        for tensor, need in zip((query, key, value), needed, strict=True)
    ]
    if not (output.numel() and query.numel()):
        return tuple(gradients)
    expected = statistics.new_empty(batch, queries)
    sizes = (channels, value_channels, queries, keys)
    with torch.cuda.device_of(query):
        expected_kernel[(triton.cdiv(queries, 64), batch)](
            grad_output,
            output,
            expected,
            *_steps(grad_output),
            value_channels,
            queries,
            BLOCK_C=32,
            BLOCK_M=64,
            ACC=tl.float64 if query.dtype == torch.float64 else tl.float32,
        )
        steps = [step for tensor in maps for step in _steps(tensor)]
        for name, need, gradient in zip(("query", "key", "value"), needed, gradients, strict=True):
            if not need:
                continue
            chosen = plan(f"grad_{name}", query.dtype, channels, value_channels, scale, _arch())
            kernel = grad_query_kernel if name == "query" else grad_reference_kernel
            block = "BLOCK_M" if name == "query" else "BLOCK_N"
            grid = _grid(chosen, block, _positions(gradient), gradient.shape[1], batch)
            kernel[grid](*maps, statistics, expected, gradient, *steps, *sizes, **chosen.options)
    return tuple(gradients)


def _grid(
    chosen: Plan, block: str, positions: int, channels: int, batch: int
) -> tuple[int, int, int]:
    blocks = (chosen.constants[name] for name in (block, "BLOCK_C"))
    return *map(triton.cdiv, (positions, channels), blocks), batch


def _tile_size(channels: int) -> int:
    return max(16, 1 << (channels - 1).bit_length())


def _positions(tensor: Tensor) -> int:
    return tensor.shape[2] * tensor.shape[3]


def _readable(tensor: Tensor) -> Tensor:
    """The tensor itself if one number leads from each position to the next, else a copy."""
    height, width = tensor.shape[2:]
    even = min(height, width) <= 1 or tensor.stride(2) == width * tensor.stride(3)
    return tensor if even else tensor.contiguous()


def _steps(tensor: Tensor) -> tuple[int, int, int]:
    """From one image, one channel and one position to the next."""
    position = tensor.stride(3) if tensor.shape[3] > 1 else tensor.stride(2)
    return tensor.stride(0), tensor.stride(1), position


def _arch() -> int:
    """The compute capability times ten of the current device; the lowest where there is none."""
    if not torch.cuda.is_available():
        return 80
    major, minor = torch.cuda.get_device_capability()
    return 10 * major + minor


def _precision() -> str:
    """What the user's setting allows in products of float32."""
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
