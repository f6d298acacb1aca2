"""Modulation of features by gains, and the gains of QPs, in Triton.

Features are walked by their steps, in tiles of channels, rows and columns, so that the place of a
gain is worked out for each row and column rather than for each value. Gradients that are sums are
summed up in fixed parts, which torch adds: results are the same in every run.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048  # features that a program takes
POSITIONS, CHANNELS = 64, 16  # gains that a program takes at once
TILES_OF_PART = 16  # tiles of positions that are summed up by one program


@triton.jit
def _activated(b_feature, b_value, SLOPE: tl.constexpr):
    """What the activation makes of a value: a feature, or a gradient on its way to one."""
    b_negative = b_value * SLOPE
    if SLOPE == 0:
        b_negative = tl.zeros_like(b_value)  # of -infinity too
    return tl.where(b_feature <= 0, b_negative, b_value)


@triton.jit
def _places(o_channel, o_row, o_column, channel_step, row_step, column_step):
    """[channels, rows, columns]"""
    o_tile = o_channel.to(tl.int64)[:, None, None] * channel_step
    o_tile += o_row.to(tl.int64)[None, :, None] * row_step
    return o_tile + o_column.to(tl.int64)[None, None, :] * column_step


@triton.jit
def modulate_kernel(
    p_features,  # [B, channels, rows, columns], by its steps
    p_gains,  # [B or 1, channels, gain_rows, gain_columns]
    p_output,  # as the features
    batch_step,
    channel_step,
    row_step,
    column_step,
    gain_batch_step,
    channels,
    rows,
    columns,
    gain_rows,
    gain_columns,
    SLOPE: tl.constexpr,
    ACC: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    i_program = tl.program_id(0)
    tiles_x = tl.cdiv(columns, BLOCK_X)
    tiles_y = tl.cdiv(rows, BLOCK_Y)
    tiles_c = tl.cdiv(channels, BLOCK_C)
    i_batch = (i_program // tiles_x // tiles_y // tiles_c).to(tl.int64)
    o_channel = i_program // tiles_x // tiles_y % tiles_c * BLOCK_C + tl.arange(0, BLOCK_C)
    o_row = i_program // tiles_x % tiles_y * BLOCK_Y + tl.arange(0, BLOCK_Y)
    o_column = i_program % tiles_x * BLOCK_X + tl.arange(0, BLOCK_X)
    m_tile = (o_channel < channels)[:, None, None] & (o_row < rows)[None, :, None]
    m_tile &= (o_column < columns)[None, None, :]
    o_gain_row = o_row.to(INDEX) * gain_rows // rows
    o_gain_column = o_column.to(INDEX) * gain_columns // columns
    gain_step = gain_rows * gain_columns
    o_gain = _places(o_channel, o_gain_row, o_gain_column, gain_step, gain_columns, 1)
    b_gain = tl.load(p_gains + i_batch * gain_batch_step + o_gain, mask=m_tile, other=0.0)
    o_tile = _places(o_channel, o_row, o_column, channel_step, row_step, column_step)
    o_tile += i_batch * batch_step
    b_feature = tl.load(p_features + o_tile, mask=m_tile, other=0.0).to(ACC)
    b_output = _activated(b_feature, b_feature, SLOPE) * b_gain
    tl.store(p_output + o_tile, b_output.to(p_output.dtype.element_ty), mask=m_tile)


@triton.jit
def modulate_backward_kernel(
    p_grad_output,  # as the features
    p_features,  # [B, channels, rows, columns], by its steps
    p_gains,  # [B or 1, channels, gain_rows, gain_columns]
    p_grad_features,  # as the features
    p_sums,  # [B, channels, gain_rows, row_parts, gain_columns, column_parts]
    batch_step,
    channel_step,
    row_step,
    column_step,
    gain_batch_step,
    channels,
    rows,
    columns,
    gain_rows,
    gain_columns,
    row_parts,
    column_parts,
    FEATURES: tl.constexpr,  # whether their gradient is needed
    SLOPE: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    # The parts are the blocks of a finer map: each lies in one block of the gains.
    i_program = tl.program_id(0).to(tl.int64)
    parts_x = gain_columns * column_parts
    parts_y = gain_rows * row_parts
    tiles_c = tl.cdiv(channels, BLOCK_C)
    i_batch = i_program // parts_x // parts_y // tiles_c
    o_channel = i_program // parts_x // parts_y % tiles_c * BLOCK_C + tl.arange(0, BLOCK_C)
    i_row = i_program // parts_x % parts_y
    i_column = i_program % parts_x
    o_row = tl.cdiv(i_row * rows, parts_y) + tl.arange(0, BLOCK_Y)
    o_column = tl.cdiv(i_column * columns, parts_x) + tl.arange(0, BLOCK_X)
    m_channel = o_channel < channels
    m_row = o_row < tl.cdiv((i_row + 1) * rows, parts_y)
    m_column = o_column < tl.cdiv((i_column + 1) * columns, parts_x)
    m_tile = m_channel[:, None, None] & m_row[None, :, None] & m_column[None, None, :]
    o_tile = _places(o_channel, o_row, o_column, channel_step, row_step, column_step)
    o_tile += i_batch * batch_step
    b_feature = tl.load(p_features + o_tile, mask=m_tile, other=0.0).to(ACC)
    b_grad = tl.load(p_grad_output + o_tile, mask=m_tile, other=0.0).to(ACC)
    b_sum = tl.sum(tl.sum(b_grad * _activated(b_feature, b_feature, SLOPE), 2), 1)
    o_sum = ((i_batch * channels + o_channel) * parts_y + i_row) * parts_x + i_column
    tl.store(p_sums + o_sum, b_sum, mask=m_channel)
    if FEATURES:
        o_gain = (o_channel * gain_rows + i_row // row_parts) * gain_columns
        o_gain += i_batch * gain_batch_step + i_column // column_parts
        b_gain = tl.load(p_gains + o_gain, mask=m_channel, other=0.0)
        b_grad = _activated(b_feature, b_grad * b_gain[:, None, None], SLOPE)
        b_grad = b_grad.to(p_grad_features.dtype.element_ty)
        tl.store(p_grad_features + o_tile, b_grad, mask=m_tile)


@triton.jit
def _row_at(b_qp, QPS: tl.constexpr, ROWS: tl.constexpr):
    """The row of the table at or below each QP, and how far towards the next one it lies.

    A QP that is not a number has a part that is none either.
    """
    b_row = tl.zeros_like(b_qp).to(tl.int32)
    b_lower = tl.zeros_like(b_qp) + QPS[0]
    b_upper = tl.zeros_like(b_qp) + QPS[min(1, ROWS - 1)]
    for i in tl.static_range(1, ROWS):
        m_above = b_qp >= QPS[i]
        b_row = tl.where(m_above, i, b_row)
        b_lower = tl.where(m_above, QPS[i], b_lower)
        b_upper = tl.where(m_above, QPS[min(i + 1, ROWS - 1)], b_upper)
    m_outside = (b_qp < QPS[0]) | (b_row == ROWS - 1)
    b_part = (b_qp - b_lower) / tl.where(m_outside, 1.0, b_upper - b_lower)
    return b_row, tl.where(m_outside, b_qp - b_qp, b_part)


@triton.jit
def _table_sum(
    p_table,  # [ROWS, channels]
    p_bias,  # [channels]
    b_row,  # [positions]
    b_part,  # [positions]
    o_channel,
    channels,
    m_tile,
    ROWS: tl.constexpr,
    ACC: tl.constexpr,
):
    """[channels, positions]: what softplus is taken of."""
    b_next = tl.minimum(b_row + 1, ROWS - 1)
    o_lower = b_row.to(tl.int64)[None, :] * channels + o_channel[:, None]
    o_upper = b_next.to(tl.int64)[None, :] * channels + o_channel[:, None]
    b_lower = tl.load(p_table + o_lower, mask=m_tile, other=0.0).to(ACC)
    b_upper = tl.load(p_table + o_upper, mask=m_tile, other=0.0).to(ACC)
    b_bias = tl.load(p_bias + o_channel, mask=o_channel < channels, other=0.0).to(ACC)
    b_part = b_part.to(ACC)[None, :]
    return b_lower * (1 - b_part) + b_upper * b_part + b_bias[:, None]


@triton.jit
def gains_kernel(
    p_qp,  # [images * positions], float64
    p_table,  # [ROWS, channels]
    p_bias,  # [channels]
    p_gains,  # [images, channels, positions]
    count,  # images * positions
    positions,
    channels,
    QPS: tl.constexpr,
    ROWS: tl.constexpr,
    TERMS: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    o_position = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    o_channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    m_tile = (o_channel < channels)[:, None] & (o_position < count)[None, :]
    b_qp = tl.load(p_qp + o_position, mask=o_position < count, other=0.0)
    b_row, b_part = _row_at(b_qp, QPS, ROWS)
    b_z = _table_sum(p_table, p_bias, b_row, b_part, o_channel, channels, m_tile, ROWS, ACC)
    # log(1 + y), by the series of artanh at y / (2 + y).
    b_y = tl.exp(-tl.abs(b_z))
    b_s = b_y / (2 + b_y)
    b_series = tl.zeros_like(b_z)
    for i in tl.static_range(TERMS):
        b_series = b_series * b_s * b_s + 1.0 / (2 * (TERMS - i) - 1)
    b_softplus = tl.where(b_z > 0, b_z, 0.0) + 2 * b_s * b_series
    b_gains = tl.where(b_z > 20, b_z, b_softplus)
    o_image = o_position // positions
    o_gains = (o_image * channels * positions + o_position % positions)[None, :]
    o_gains += o_channel[:, None] * positions
    tl.store(p_gains + o_gains, b_gains.to(p_gains.dtype.element_ty), mask=m_tile)


@triton.jit
def gains_backward_kernel(
    p_grad_output,  # [images, channels, positions]
    p_qp,  # [images * positions], float64
    p_table,  # [ROWS, channels]
    p_bias,  # [channels]
    p_sums,  # [parts, ROWS, channels], ACC
    count,  # images * positions
    positions,
    channels,
    QPS: tl.constexpr,
    ROWS: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    TILES: tl.constexpr,
):
    i_part, i_row = tl.program_id(0).to(tl.int64), tl.program_id(2)
    o_channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    b_sum = tl.zeros([BLOCK_C, BLOCK_P], dtype=ACC)
    for i_tile in range(TILES):
        o_position = (i_part * TILES + i_tile) * BLOCK_P + tl.arange(0, BLOCK_P)
        m_position = o_position < count
        m_tile = (o_channel < channels)[:, None] & m_position[None, :]
        b_qp = tl.load(p_qp + o_position, mask=m_position, other=0.0)
        b_row, b_part = _row_at(b_qp, QPS, ROWS)
        b_z = _table_sum(p_table, p_bias, b_row, b_part, o_channel, channels, m_tile, ROWS, ACC)
        b_y = tl.exp(-tl.abs(b_z))
        b_slope = tl.where(b_z < 0, b_y, 1.0) / (1 + b_y)
        b_slope = tl.where(b_z > 20, 1.0, b_slope)
        o_image = o_position // positions
        o_grad = (o_image * channels * positions + o_position % positions)[None, :]
        o_grad += o_channel[:, None] * positions
        b_grad = tl.load(p_grad_output + o_grad, mask=m_tile, other=0.0).to(ACC)
        b_weight = tl.where(b_row == i_row, 1 - b_part, 0.0)
        b_weight = tl.where(b_row + 1 == i_row, b_part, b_weight)
        b_sum += b_grad * b_slope * b_weight.to(ACC)[None, :]
    o_sum = (i_part * ROWS + i_row) * channels + o_channel
    tl.store(p_sums + o_sum, tl.sum(b_sum, 1), mask=o_channel < channels)


def qp_modulate(features: Tensor, gains: Tensor, slope: list[float]) -> Tensor:
    """The operator ``qp_modulate`` of ``csrc/library.cpp``."""
    features, gains = _laid(features, _memory_format(features)), gains.contiguous()
    output = torch.empty_like(features)
    if features.numel():
        steps, sizes = _walk(features, gains)
        channels, rows, columns, gain_rows, gain_columns = sizes
        tile = tile_of(_memory_format(features), channels, rows, columns)
        tiles = map(triton.cdiv, sizes, tile)
        longest = max(rows * gain_rows, columns * gain_columns)
        with torch.cuda.device_of(features):
            modulate_kernel[(len(features) * math.prod(tiles),)](
                features,
                gains,
                output,
                *steps,
                *sizes,
                slope[0] if slope else 1.0,
                _accumulator(features),
                tl.int32 if longest < 1 << 31 else tl.int64,
                *tile,
                num_warps=_warps(tile),
            )
    return output


def qp_modulate_backward(
    grad_output: Tensor, features: Tensor, gains: Tensor, slope: list[float], needed: list[bool]
) -> tuple[Tensor, Tensor]:
    """The operator ``qp_modulate_backward`` of ``csrc/library.cpp``."""
    memory_format = _memory_format(features)
    features, grad_output = _laid(features, memory_format), _laid(grad_output, memory_format)
    gains = gains.contiguous()
    grad_features = torch.empty_like(features) if needed[0] else features.new_empty(0)
    if not features.numel():
        return grad_features, gains.new_zeros(gains.shape if needed[1] else 0)
    steps, sizes = _walk(features, gains)
    channels, rows, columns, gain_rows, gain_columns = sizes
    block = triton.cdiv(rows, gain_rows), triton.cdiv(columns, gain_columns)
    tile = tile_of(memory_format, channels, *block)
    row_parts, column_parts = map(triton.cdiv, block, tile[1:])
    sums = gains.new_empty(
        (len(features), channels, gain_rows, row_parts, gain_columns, column_parts)
    )
    programs = sums.numel() // channels * triton.cdiv(channels, tile[0])
    with torch.cuda.device_of(features):
        modulate_backward_kernel[(programs,)](
            grad_output,
            features,
            gains,
            grad_features,
            sums,
            *steps,
            *sizes,
            row_parts,
            column_parts,
            needed[0],
            slope[0] if slope else 1.0,
            _accumulator(features),
            *tile,
            num_warps=_warps(tile),
        )
    if not needed[1]:
        return grad_features, gains.new_empty(0)
    parts = (3, 5) if len(gains) == len(features) else (0, 3, 5)
    return grad_features, sums.sum(parts).view(gains.shape)


def qp_gains(qp: Tensor, table: Tensor, bias: Tensor, qps: list[float]) -> Tensor:
    """The operator ``qp_gains`` of ``csrc/library.cpp``, without a check of the QPs."""
    gains = table.new_empty((qp.shape[0], table.shape[1], *qp.shape[1:]))
    if gains.numel():
        grid = (triton.cdiv(qp.numel(), POSITIONS), triton.cdiv(table.shape[1], CHANNELS))
        with torch.cuda.device_of(table):
            gains_kernel[grid](
                qp.contiguous(),
                table.contiguous(),
                bias.contiguous(),
                gains,
                qp.numel(),
                math.prod(qp.shape[1:]),
                table.shape[1],
                tuple(qps),
                len(qps),
                terms_of(table.dtype),
                _accumulator(table),
                CHANNELS,
                POSITIONS,
            )
    return gains


def qp_gains_backward(
    grad_output: Tensor, qp: Tensor, table: Tensor, bias: Tensor, qps: list[float]
) -> tuple[Tensor, Tensor]:
    """The operator ``qp_gains_backward`` of ``csrc/library.cpp``."""
    rows, channels = table.shape
    parts = triton.cdiv(qp.numel(), POSITIONS * TILES_OF_PART)
    sums = table.new_empty((parts, rows, channels), dtype=_wide(table))
    if sums.numel():
        with torch.cuda.device_of(table):
            gains_backward_kernel[(parts, triton.cdiv(channels, CHANNELS), rows)](
                grad_output.contiguous(),
                qp.contiguous(),
                table.contiguous(),
                bias.contiguous(),
                sums,
                qp.numel(),
                math.prod(qp.shape[1:]),
                channels,
                tuple(qps),
                rows,
                _accumulator(table),
                CHANNELS,
                POSITIONS,
                TILES_OF_PART,
            )
    grad_table = sums.sum(0)
    return grad_table.to(table.dtype), grad_table.sum(0).to(bias.dtype)


def tile_of(
    memory_format: torch.memory_format, channels: int, rows: int, columns: int
) -> tuple[int, int, int]:
    """Channels, rows and columns that a program takes: no more than there are, nearest first."""
    left, tile = TILE, []
    near = [columns, rows]
    near = [channels, *near] if memory_format == torch.channels_last else [*near, 1]
    for size in near:
        tile.append(min(triton.next_power_of_2(size), left))
        left //= tile[-1]
    if memory_format == torch.channels_last:
        return tile[0], tile[2], tile[1]
    return tile[2], tile[1], tile[0]


def terms_of(dtype: torch.dtype) -> int:
    """Terms of the series of log(1 + y), so that what is left out is less than rounding."""
    return 17 if dtype == torch.float64 else 9


def _memory_format(features: Tensor) -> torch.memory_format:
    channels_last = features.is_contiguous(memory_format=torch.channels_last)
    if channels_last and not features.is_contiguous():
        return torch.channels_last
    return torch.contiguous_format


def _laid(tensor: Tensor, memory_format: torch.memory_format) -> Tensor:
    return tensor.contiguous(memory_format=memory_format)


def _walk(features: Tensor, gains: Tensor) -> tuple[list[int], list[int]]:
    """The kernels' steps and sizes; features that share one gain are one row of them."""
    _, channels, rows, columns = features.shape
    gain_rows, gain_columns = gains.shape[2:]
    if gain_rows == gain_columns == 1:
        rows, columns = 1, rows * columns
    gain_batch_step = 0 if len(gains) == 1 else channels * gain_rows * gain_columns
    steps = [*features.stride(), gain_batch_step]
    return steps, [channels, rows, columns, gain_rows, gain_columns]


def _warps(tile: tuple[int, int, int]) -> int:
    return min(max(math.prod(tile) // 512, 1), 4)


def _accumulator(tensor: Tensor) -> tl.dtype:
    return tl.float64 if tensor.dtype == torch.float64 else tl.float32


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
