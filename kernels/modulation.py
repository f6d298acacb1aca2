"""Modulation of features by gains, and the gains of QPs, in Triton.

Forward, features are walked as they lie in memory: as matrices of positions and channels in
channels_last, of the channels' rows and columns in NCHW, with gains that lie like them, so that the
place of a gain is worked out for each row and column rather than for each value. Backward they are
walked in tiles of channels, rows and columns that share a gain of each channel. Gradients that are
sums are summed up in fixed parts, which torch adds: results are the same in every run.

Numbers that make no access wider are not specialised on: slopes, tables of QPs and most sizes need
no kernels of their own.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from vqe_fast.kernels._operands import accumulator, aligned, known_multiple, wide

TILE = 4096  # features that a program takes
NARROWEST = 16  # of a tile, in channels of channels_last or in columns
POSITIONS, CHANNELS = 64, 16  # gains that a program takes at once
TILES_OF_PART = 16  # tiles of positions that are summed up by one program


@triton.jit
def _activated(b_feature, b_value, slope):
    """What the activation makes of a value: a feature, or a gradient on its way to one."""
    b_slope = tl.full((), slope, b_value.dtype)
    b_negative = tl.where(b_slope == 0, 0.0, b_value * b_slope)  # of infinity too
    return tl.where(b_feature <= 0, b_negative, b_value)


@triton.jit
def _gain_of(o_place, gains, size, KIND: tl.constexpr, INDEX: tl.constexpr):
    """Which of the gains of all rows, or columns, a row or column takes."""
    if KIND == "one":
        return o_place * 0
    elif KIND == "each":
        return o_place
    else:
        return (o_place.to(INDEX) * gains.to(INDEX) // size.to(INDEX)).to(tl.int32)


@triton.jit
def _start(i_gain, size, gains, INDEX: tl.constexpr):
    """The first row, or column, that takes a gain."""
    first = i_gain.to(INDEX) * size.to(INDEX) + (gains - 1).to(INDEX)
    return (first // gains.to(INDEX)).to(tl.int32)


@triton.jit
def _split(i_program, count):
    """Quotient and remainder."""
    count = count.to(tl.uint32)
    i_whole = i_program // count
    return i_whole, i_program - i_whole * count


@triton.jit(
    do_not_specialize=[
        "columns",
        "rows",
        "outer",
        "row_size",
        "row_gains",
        "outer_gains",
        "column_gains",
        "batch_gain_rows",
    ]
)
def modulate_kernel(
    p_features,  # [B, outer, rows, columns]
    p_gains,  # [B or 1, outer_gains, gains of the rows, column_gains]
    p_output,  # as the features
    columns,
    rows,
    outer,
    row_size,  # rows that have row_gains gains
    row_gains,
    outer_gains,
    column_gains,
    batch_gain_rows,  # rows of gains from one image to the next
    slope: tl.float64,
    WIDE: tl.constexpr,  # whether columns is a multiple of 16
    ROWS: tl.constexpr,  # gains of the rows: one, each its own, or blocks of rows
    COLUMNS: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    columns = known_multiple(columns, WIDE)
    i_tile, i_tile_x = _split(tl.program_id(0).to(tl.uint32), tl.cdiv(columns, BLOCK_X))
    i_outer, i_tile_y = _split(i_tile, tl.cdiv(rows, BLOCK_Y))
    first_row, first_column = (i_tile_y * BLOCK_Y).to(tl.int32), (i_tile_x * BLOCK_X).to(tl.int32)
    o_row, o_column = tl.arange(0, BLOCK_Y), tl.arange(0, BLOCK_X)
    m_row, m_column = o_row < rows - first_row, o_column < columns - first_column
    m_tile = m_row[:, None] & m_column[None, :]

    gain_stride = columns if COLUMNS == "each" else column_gains
    first_gain = _gain_of(first_row, row_gains, row_size, ROWS, INDEX)
    o_gain_row = _gain_of(first_row + o_row, row_gains, row_size, ROWS, INDEX) - first_gain
    o_gain_column = _gain_of(first_column + o_column, column_gains, columns, COLUMNS, INDEX)
    i_batch, i_outer_gain = i_outer, 0
    if ROWS == "blocks" and COLUMNS == "each":
        i_batch, i_outer_row = _split(i_outer, outer)
        i_outer_gain = _gain_of(i_outer_row, outer_gains, outer, ROWS, INDEX) * row_gains
    p_gains += (i_batch.to(tl.int64) * batch_gain_rows + i_outer_gain + first_gain) * gain_stride
    if ROWS == "one":
        b_gain = tl.load(p_gains + o_gain_column[None, :], mask=m_column[None, :], other=0.0)
    elif COLUMNS == "one":
        b_gain = tl.load(p_gains + (o_gain_row * gain_stride)[:, None], m_row[:, None], other=0.0)
    else:
        o_gain = (o_gain_row * gain_stride)[:, None] + o_gain_column[None, :]
        b_gain = tl.load(p_gains + o_gain, mask=m_tile, other=0.0)

    o_first = (i_outer.to(tl.int64) * rows + first_row) * columns + first_column
    o_tile = (o_row * columns)[:, None] + o_column[None, :]
    b_feature = tl.load(p_features + o_first + o_tile, mask=m_tile, other=0.0).to(b_gain.dtype)
    b_output = _activated(b_feature, b_feature, slope) * b_gain
    tl.store(p_output + o_first + o_tile, b_output.to(p_output.dtype.element_ty), mask=m_tile)


@triton.jit(
    do_not_specialize=[
        "nearest",
        "rows",
        "other",
        "gain_rows",
        "gain_columns",
        "row_parts",
        "column_parts",
        "batch_gains",
    ],
    do_not_specialize_on_alignment=["p_gains", "p_sums"],
)
def modulate_backward_kernel(
    p_grad_output,  # as the features
    p_features,  # [B, channels, rows, columns], or [B, rows, columns, channels] if CHANNELS_LAST
    p_gains,  # [B or 1, channels, gain_rows, gain_columns]
    p_grad_features,  # as the features
    p_sums,  # [B, channels, gain_rows, row_parts, gain_columns, column_parts]
    nearest,  # size of the last dimension of features as they lie
    rows,
    other,  # channels or columns, whichever is not nearest
    gain_rows,
    gain_columns,
    row_parts,
    column_parts,
    batch_gains,  # channels of gains from one image to the next
    slope: tl.float64,
    of_features,  # whether their gradient is needed
    WIDE: tl.constexpr,  # whether nearest is a multiple of 16
    SHARED: tl.constexpr,  # whether all rows and columns share the gain of a channel
    CHANNELS_LAST: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    ACC: tl.constexpr = p_gains.dtype.element_ty
    nearest = known_multiple(nearest, WIDE)
    channels, columns = (nearest, other) if CHANNELS_LAST else (other, nearest)
    parts_x, parts_y = gain_columns * column_parts, gain_rows * row_parts
    i_rest, i_column = _split(tl.program_id(0).to(tl.uint32), parts_x)
    i_tile, i_row = _split(i_rest, parts_y)
    i_batch, i_tile_c = _split(i_tile, tl.cdiv(channels, BLOCK_C))
    i_batch, first_channel = i_batch.to(tl.int64), (i_tile_c * BLOCK_C).to(tl.int32)
    # A part is a piece of the block of features that shares a gain.
    i_gain_row, i_row_part = _split(i_row, row_parts)
    i_gain_column, i_column_part = _split(i_column, column_parts)
    first_row, first_column = (
        i_row_part.to(tl.int32) * BLOCK_Y,
        i_column_part.to(tl.int32) * BLOCK_X,
    )
    end_row, end_column = rows, columns
    if not SHARED:
        first_row += _start(i_gain_row, rows, gain_rows, INDEX)
        end_row = _start(i_gain_row + 1, rows, gain_rows, INDEX)
        first_column += _start(i_gain_column, columns, gain_columns, INDEX)
        end_column = _start(i_gain_column + 1, columns, gain_columns, INDEX)
    o_channel, o_row = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_Y)
    o_column = tl.arange(0, BLOCK_X)
    m_channel = o_channel < channels - first_channel
    m_tile = m_channel[:, None, None] & (o_row < end_row - first_row)[None, :, None]
    m_tile &= (o_column < end_column - first_column)[None, None, :]
    if CHANNELS_LAST:
        o_first = ((i_batch * rows + first_row) * columns + first_column) * channels + first_channel
        o_tile = (o_row[:, None] * columns + o_column[None, :])[None, :, :] * channels
        o_tile += o_channel[:, None, None]
    else:
        o_first = ((i_batch * channels + first_channel) * rows + first_row) * columns + first_column
        o_tile = (o_channel[:, None] * rows + o_row[None, :])[:, :, None] * columns
        o_tile += o_column[None, None, :]
    b_feature = tl.load(p_features + o_first + o_tile, mask=m_tile, other=0.0).to(ACC)
    b_grad = tl.load(p_grad_output + o_first + o_tile, mask=m_tile, other=0.0).to(ACC)
    b_sum = tl.sum(tl.sum(b_grad * _activated(b_feature, b_feature, slope), 2), 1)
    i_channel = i_batch * channels + first_channel + o_channel
    o_sum = (i_channel * parts_y + i_row) * parts_x + i_column
    tl.store(p_sums + o_sum, b_sum, mask=m_channel)
    if of_features:
        i_channel = i_batch * batch_gains + first_channel + o_channel
        o_gain = (i_channel * gain_rows + i_gain_row) * gain_columns + i_gain_column
        b_gain = tl.load(p_gains + o_gain, mask=m_channel, other=0.0)
        b_grad_feature = _activated(b_feature, b_grad * b_gain[:, None, None], slope)
        b_grad_feature = b_grad_feature.to(p_grad_features.dtype.element_ty)
        tl.store(p_grad_features + o_first + o_tile, b_grad_feature, mask=m_tile)


@triton.jit
def _row_at(
    b_qp,
    p_qps,  # [rows], float64
    rows,
):
    """The row of the table at or below each QP, and how far towards the next one it lies.

    A QP that is not a number has a part that is none either.
    """
    b_row = tl.zeros_like(b_qp).to(tl.int32)
    for i in range(1, rows):
        b_row = tl.where(b_qp >= tl.load(p_qps + i), i, b_row)
    b_lower = tl.load(p_qps + b_row)
    b_upper = tl.load(p_qps + tl.minimum(b_row + 1, rows - 1))
    m_outside = (b_qp < b_lower) | (b_row == rows - 1)
    b_part = (b_qp - b_lower) / tl.where(m_outside, 1.0, b_upper - b_lower)
    return b_row, tl.where(m_outside, b_qp - b_qp, b_part)


@triton.jit
def _table_sum(
    p_table,  # [rows, channels]
    p_bias,  # [channels]
    b_row,  # [positions]
    b_part,  # [positions]
    o_channel,
    rows,
    channels,
    m_tile,
    ACC: tl.constexpr,
):
    """[channels, positions]: what softplus is taken of."""
    b_next = tl.minimum(b_row + 1, rows - 1)
    o_lower = b_row.to(tl.int64)[None, :] * channels + o_channel[:, None]
    o_upper = b_next.to(tl.int64)[None, :] * channels + o_channel[:, None]
    b_lower = tl.load(p_table + o_lower, mask=m_tile, other=0.0).to(ACC)
    b_upper = tl.load(p_table + o_upper, mask=m_tile, other=0.0).to(ACC)
    b_bias = tl.load(p_bias + o_channel, mask=o_channel < channels, other=0.0).to(ACC)
    b_part = b_part.to(ACC)[None, :]
    return b_lower * (1 - b_part) + b_upper * b_part + b_bias[:, None]


@triton.jit(
    do_not_specialize=["count", "positions", "rows", "channels"],
    do_not_specialize_on_alignment=["p_qp", "p_qps", "p_table", "p_bias", "p_gains"],
)
def gains_kernel(
    p_qp,  # [images * positions], float64
    p_qps,  # [rows], float64
    p_table,  # [rows, channels]
    p_bias,  # [channels]
    p_gains,  # [images, channels, positions]
    count,  # images * positions
    positions,
    rows,
    channels,
    TERMS: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    o_position = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    o_channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    m_tile = (o_channel < channels)[:, None] & (o_position < count)[None, :]
    b_qp = tl.load(p_qp + o_position, mask=o_position < count, other=0.0)
    b_row, b_part = _row_at(b_qp, p_qps, rows)
    b_z = _table_sum(p_table, p_bias, b_row, b_part, o_channel, rows, channels, m_tile, ACC)
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


@triton.jit(
    do_not_specialize=["count", "positions", "rows", "channels"],
    do_not_specialize_on_alignment=[
        "p_grad_output",
        "p_qp",
        "p_qps",
        "p_table",
        "p_bias",
        "p_sums",
    ],
)
def gains_backward_kernel(
    p_grad_output,  # [images, channels, positions]
    p_qp,  # [images * positions], float64
    p_qps,  # [rows], float64
    p_table,  # [rows, channels]
    p_bias,  # [channels]
    p_sums,  # [parts, rows, channels], ACC
    count,  # images * positions
    positions,
    rows,
    channels,
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
        b_row, b_part = _row_at(b_qp, p_qps, rows)
        b_z = _table_sum(p_table, p_bias, b_row, b_part, o_channel, rows, channels, m_tile, ACC)
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
    o_sum = (i_part * rows + i_row) * channels + o_channel
    tl.store(p_sums + o_sum, tl.sum(b_sum, 1), mask=o_channel < channels)


class Plan(NamedTuple):
    """Numbers and constants of ``modulate_kernel``, and how many programs there are."""

    sizes: tuple[int, ...]
    constants: dict[str, object]
    programs: int


def plan(features: Tensor, gains: Tensor) -> Plan:
    """How to launch ``modulate_kernel`` for features, and gains of 4 dimensions.

    Both are only asked for their sizes and strides.
    """
    batch, channels, height, width = features.shape
    gain_height, gain_width = gains.shape[2:]
    share = gain_height == gain_width == 1  # a gain for each channel
    if share:
        height, width = 1, height * width
    if _memory_format(features) == torch.channels_last:
        outer, rows, columns = height, width, channels
        outer_gains, row_size, row_gains, column_gains = gain_height, width, gain_width, channels
        kinds = ("one" if share else "blocks", "each")
        gain_rows = gain_height * gain_width
    else:
        outer, rows, columns = 1, channels * height, width
        outer_gains, row_size, row_gains, column_gains = 1, height, gain_height, gain_width
        kinds = ("each", "one") if share else ("blocks", "blocks")
        gain_rows = channels * gain_height
    batch_gain_rows = 0 if len(gains) == 1 else gain_rows
    narrowest = NARROWEST if kinds[1] == "each" else 4 * NARROWEST
    block_x = min(max(triton.next_power_of_2(columns), narrowest), TILE)
    block_y = TILE // block_x
    sizes = (columns, rows, outer, row_size, row_gains, outer_gains, column_gains, batch_gain_rows)
    constants = {
        "WIDE": columns % 16 == 0,
        "ROWS": kinds[0],
        "COLUMNS": kinds[1],
        "INDEX": _index()
        if share
        else _index(rows * row_gains, columns * column_gains, outer * outer_gains),
        "BLOCK_Y": block_y,
        "BLOCK_X": block_x,
    }
    programs = batch * outer * triton.cdiv(rows, block_y) * triton.cdiv(columns, block_x)
    return Plan(sizes, constants, programs)


def qp_modulate(features: Tensor, gains: Tensor, slope: list[float]) -> Tensor:
    """The operator ``qp_modulate`` of ``csrc/library.cpp``."""
    memory_format = _memory_format(features)
    features = aligned(features.contiguous(memory_format=memory_format))
    gains = aligned(gains.contiguous(memory_format=memory_format))
    output = torch.empty_like(features)
    if features.numel():
        chosen = plan(features, gains)
        with torch.cuda.device_of(features):
            modulate_kernel[(chosen.programs,)](
                features, gains, output, *chosen.sizes, _slope(slope), **chosen.constants
            )
    return output


def qp_modulate_backward(
    grad_output: Tensor, features: Tensor, gains: Tensor, slope: list[float], needed: list[bool]
) -> tuple[Tensor, Tensor]:
    """The operator ``qp_modulate_backward`` of ``csrc/library.cpp``."""
    memory_format = _memory_format(features)
    features = aligned(features.contiguous(memory_format=memory_format))
    grad_output = aligned(grad_output.contiguous(memory_format=memory_format))
    gains = gains.contiguous()
    grad_features = torch.empty_like(features) if needed[0] else features.new_empty(0)
    if not features.numel():
        return grad_features, gains.new_zeros(gains.shape if needed[1] else 0)
    batch, channels, rows, columns = features.shape
    gain_rows, gain_columns = gains.shape[2:]
    shared = gain_rows == gain_columns == 1
    if shared:
        rows, columns = 1, rows * columns
    block = triton.cdiv(rows, gain_rows), triton.cdiv(columns, gain_columns)
    tile = tile_of(memory_format, channels, block[1], shared)
    parts = tuple(map(triton.cdiv, block, tile[1:]))
    sums = gains.new_empty((batch, channels, gain_rows, parts[0], gain_columns, parts[1]))
    programs = sums.numel() // channels * triton.cdiv(channels, tile[0])
    channels_last = memory_format == torch.channels_last
    nearest, other = (channels, columns) if channels_last else (columns, channels)
    with torch.cuda.device_of(features):
        modulate_backward_kernel[(programs,)](
            grad_output,
            features,
            gains,
            grad_features,
            sums,
            nearest,
            rows,
            other,
            gain_rows,
            gain_columns,
            *parts,
            0 if len(gains) == 1 else channels,
            _slope(slope),
            needed[0],
            nearest % 16 == 0 and (channels_last or shared),  # else columns start anywhere
            shared,
            channels_last,
            _index((rows + 1) * gain_rows, (columns + 1) * gain_columns),
            *tile,
            num_warps=warps_of(tile),
        )
    if not needed[1]:
        return grad_features, gains.new_empty(0)
    summed = (3, 5) if len(gains) == batch else (0, 3, 5)
    return grad_features, sums.sum(summed).view(gains.shape)


def qp_gains(qp: Tensor, table: Tensor, bias: Tensor, qps: list[float]) -> Tensor:
    """The operator ``qp_gains`` of ``csrc/library.cpp``, without a check of the QPs."""
    gains = table.new_empty((qp.shape[0], table.shape[1], *qp.shape[1:]))
    if gains.numel():
        grid = (triton.cdiv(qp.numel(), POSITIONS), triton.cdiv(table.shape[1], CHANNELS))
        with torch.cuda.device_of(table):
            gains_kernel[grid](
                qp.contiguous(),
                _on_device(qps, table.device),
                table.contiguous(),
                bias.contiguous(),
                gains,
                qp.numel(),
                math.prod(qp.shape[1:]),
                *table.shape,
                terms_of(table.dtype),
                accumulator(table),
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
    sums = table.new_empty((parts, rows, channels), dtype=wide(table))
    if sums.numel():
        with torch.cuda.device_of(table):
            gains_backward_kernel[(parts, triton.cdiv(channels, CHANNELS), rows)](
                grad_output.contiguous(),
                qp.contiguous(),
                _on_device(qps, table.device),
                table.contiguous(),
                bias.contiguous(),
                sums,
                qp.numel(),
                math.prod(qp.shape[1:]),
                rows,
                channels,
                accumulator(table),
                CHANNELS,
                POSITIONS,
                TILES_OF_PART,
            )
    grad_table = sums.sum(0)
    return grad_table.to(table.dtype), grad_table.sum(0).to(bias.dtype)


def tile_of(
    memory_format: torch.memory_format, channels: int, columns: int, shared: bool
) -> tuple[int, int, int]:
    """Channels, rows and columns that a program of the backward takes of a block of features.

    There are few: each is a kernel of its own.
    """
    tile_c = 1
    if memory_format == torch.channels_last:
        tile_c = min(max(triton.next_power_of_2(channels), NARROWEST), TILE)
    if shared:
        return tile_c, 1, TILE // tile_c
    width = (columns - 1).bit_length()
    tile_x = min(max(1 << width + width % 2, NARROWEST), TILE // tile_c)
    return tile_c, min(16, TILE // tile_c // tile_x), tile_x


def warps_of(tile: tuple[int, int, int]) -> int:
    """Of a program of the backward: small tiles have no work for four."""
    return min(max(math.prod(tile) // 512, 1), 4)


def terms_of(dtype: torch.dtype) -> int:
    """Terms of the series of log(1 + y), so that what is left out is less than rounding."""
    return 17 if dtype == torch.float64 else 9


def _on_device(qps: list[float], device: torch.device) -> Tensor:
    """The QPs of a table, float64, made there: a copy would wait, and no graph could record it."""
    steps = {after - before for before, after in itertools.pairwise(qps)}
    if len(steps) <= 1:
        step = steps.pop() if steps else 1.0
        places = torch.arange(len(qps), dtype=torch.float64, device=device)
        return torch.add(places.new_full((), qps[0]), places, alpha=step)
    return torch.stack([torch.full((), qp, dtype=torch.float64, device=device) for qp in qps])


def _index(*products: int) -> tl.dtype:
    """In which places are multiplied by sizes."""
    return tl.uint64 if max(products, default=0) >= 1 << 32 else tl.uint32


def _slope(slope: list[float]) -> float:
    return slope[0] if slope else 1.0


def _memory_format(features: Tensor) -> torch.memory_format:
    channels_last = features.is_contiguous(memory_format=torch.channels_last)
    if channels_last and not features.is_contiguous():
        return torch.channels_last
    return torch.contiguous_format
