"""Triton kernels of block matching and of warping by its vectors."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from vqe_fast.kernels._operands import accumulator, aligned

WINDOW: tl.constexpr = tl.constexpr(8)
RANGE: tl.constexpr = tl.constexpr(8)
CELL_MARGIN: tl.constexpr = tl.constexpr(3)
CELL_PENALTY: tl.constexpr = tl.constexpr(4)
PENALTY: tl.constexpr = tl.constexpr(2)
MOST_PENALTY: tl.constexpr = tl.constexpr(64)
LARGEST: tl.constexpr = tl.constexpr(32000)
NONE: tl.constexpr = tl.constexpr(1 << 30)

PIXELS = 1024
"""Pixels, or cells, that a program of the elementwise kernels takes."""
WARPED = 256
"""Pixels that a program of warping takes, which needs sixteen for each."""
BLOCKS = 8
"""Blocks that a program of the search takes."""


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=["p_luma"])
def quantise_kernel(
    p_luma,  # [count]
    p_bytes,  # [count]
    count,
    WHOLE: tl.constexpr,  # a number with no digits below one, which adding it rounds to
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    o_pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_pixel = o_pixel < count
    b_scaled = tl.load(p_luma + o_pixel, mask=m_pixel, other=0.0).to(ACC) * 255
    b_limited = tl.minimum(tl.where(b_scaled > 0, b_scaled, 0.0), 255.0)
    b_whole = (b_limited + WHOLE) - WHOLE
    tl.store(p_bytes + o_pixel, b_whole.to(tl.int32).to(tl.uint8), mask=m_pixel)


@triton.jit(do_not_specialize=["height", "width", "rows", "columns"])
def cells_kernel(
    p_bytes,  # [images, height, width]
    p_cells,  # [images, rows, columns]
    height,
    width,
    rows,
    columns,
    BLOCK: tl.constexpr,
):
    i_image = tl.program_id(1).to(tl.int64)
    o_cell = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_cell = o_cell < rows.to(tl.int64) * columns
    o_row, o_column = o_cell // columns * 4, o_cell % columns * 4
    b_sum = tl.full([BLOCK], 8, tl.int32)
    for i in tl.static_range(16):
        o_y = tl.minimum(o_row + i // 4, height - 1)
        o_x = tl.minimum(o_column + i % 4, width - 1)
        o_pixel = (i_image * height + o_y) * width + o_x
        b_sum += tl.load(p_bytes + o_pixel, mask=m_cell, other=0).to(tl.int32)
    tl.store(p_cells + i_image * rows * columns + o_cell, (b_sum >> 4).to(tl.uint8), mask=m_cell)


@triton.jit
def _fetch(p_plane, o_y, o_x, m_block, height, width):
    """[blocks, window]: pixels of a plane as int32, edges replicated."""
    o_y = tl.minimum(tl.maximum(o_y, 0), height - 1).to(tl.int64)
    o_x = tl.minimum(tl.maximum(o_x, 0), width - 1)
    return tl.load(p_plane + o_y * width + o_x, mask=m_block[:, None], other=0).to(tl.int32)


@triton.jit
def _lower(b_best, b_x, b_y, b_cost, b_differences):
    """The cheaper of the best vectors so far and others; of equal ones the shorter, and so on."""
    b_best_cost, b_best_x, b_best_y, b_best_differences = b_best
    b_length = tl.abs(b_x) + tl.abs(b_y)
    b_best_length = tl.abs(b_best_x) + tl.abs(b_best_y)
    m_before = (b_y < b_best_y) | ((b_y == b_best_y) & (b_x < b_best_x))
    m_before = (b_length < b_best_length) | ((b_length == b_best_length) & m_before)
    m_lower = (b_cost < b_best_cost) | ((b_cost == b_best_cost) & m_before)
    return (
        tl.where(m_lower, b_cost, b_best_cost),
        tl.where(m_lower, b_x, b_best_x),
        tl.where(m_lower, b_y, b_best_y),
        tl.where(m_lower, b_differences, b_best_differences),
    )


@triton.jit
def _nothing(BLOCKS: tl.constexpr):
    """Best vectors before there are any."""
    b_zero = tl.zeros([BLOCKS], tl.int32)
    return b_zero + NONE, b_zero, b_zero, b_zero


@triton.jit(do_not_specialize=["height", "width", "rows", "columns"])
def coarse_kernel(
    p_frame,  # [images, height, width], cells
    p_reference,  # [images, height, width], cells
    p_vectors,  # [images, 2, rows, columns]
    height,
    width,
    rows,
    columns,
    SIDE: tl.constexpr,  # of a block, in cells
    BLOCKS: tl.constexpr,
):
    i_image = tl.program_id(1).to(tl.int64)
    p_frame += i_image * height * width
    p_reference += i_image * height * width
    o_block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    m_block = o_block < rows * columns
    o_place = tl.arange(0, 64)
    SPAN: tl.constexpr = SIDE + 2 * CELL_MARGIN
    m_place = ((o_place // 8 < SPAN) & (o_place % 8 < SPAN))[None, :]
    o_y = (o_block // columns * SIDE - CELL_MARGIN)[:, None] + o_place // 8
    o_x = (o_block % columns * SIDE - CELL_MARGIN)[:, None] + o_place % 8
    b_own = _fetch(p_frame, o_y, o_x, m_block, height, width)
    b_best = _nothing(BLOCKS)
    b_zero = tl.zeros([BLOCKS], tl.int32)
    for y in range(-RANGE, RANGE + 1):
        for x in range(-RANGE, RANGE + 1):
            b_other = _fetch(p_reference, o_y + y, o_x + x, m_block, height, width)
            b_cost = tl.sum(tl.where(m_place, tl.abs(b_own - b_other), 0), 1)
            b_y, b_x = b_zero + y, b_zero + x
            b_cost += CELL_PENALTY * (tl.abs(b_y) + tl.abs(b_x))
            b_best = _lower(b_best, b_x, b_y, b_cost, b_cost)
    p_vectors += i_image * 2 * rows * columns
    tl.store(p_vectors + o_block, 16 * b_best[1], mask=m_block)
    tl.store(p_vectors + rows * columns + o_block, 16 * b_best[2], mask=m_block)


@triton.jit
def _neighbour(p_vectors, o_block, m_block, rows, columns, Y: tl.constexpr, X: tl.constexpr):
    """A component of the vectors of the blocks beside some."""
    o_row = tl.minimum(tl.maximum(o_block // columns + Y, 0), rows - 1)
    o_column = tl.minimum(tl.maximum(o_block % columns + X, 0), columns - 1)
    return tl.load(p_vectors + o_row * columns + o_column, mask=m_block, other=0)


@triton.jit
def _sorted(b_a, b_b, b_c):
    """The least, the middle and the largest of three."""
    b_low, b_high = tl.minimum(b_a, b_b), tl.maximum(b_a, b_b)
    b_middle = tl.maximum(b_low, tl.minimum(b_high, b_c))
    return tl.minimum(b_low, b_c), b_middle, tl.maximum(b_high, b_c)


@triton.jit
def _sorted_row(p_vectors, o_block, m_block, rows, columns, Y: tl.constexpr):
    b_left = _neighbour(p_vectors, o_block, m_block, rows, columns, Y, -1)
    b_own = _neighbour(p_vectors, o_block, m_block, rows, columns, Y, 0)
    b_right = _neighbour(p_vectors, o_block, m_block, rows, columns, Y, 1)
    return _sorted(b_left, b_own, b_right)


@triton.jit
def _median(p_vectors, o_block, m_block, rows, columns):
    """Of a component among the 3×3 blocks around each."""
    b_low_a, b_a, b_high_a = _sorted_row(p_vectors, o_block, m_block, rows, columns, -1)
    b_low_b, b_b, b_high_b = _sorted_row(p_vectors, o_block, m_block, rows, columns, 0)
    b_low_c, b_c, b_high_c = _sorted_row(p_vectors, o_block, m_block, rows, columns, 1)
    b_low = tl.maximum(b_low_a, tl.maximum(b_low_b, b_low_c))
    b_high = tl.minimum(b_high_a, tl.minimum(b_high_b, b_high_c))
    _, b_middle, _ = _sorted(b_a, b_b, b_c)
    _, b_median, _ = _sorted(b_low, b_middle, b_high)
    return b_median


@triton.jit
def _tap(b_part, OFFSET: tl.constexpr):
    """Catmull-Rom times 128 at quarters, for the pixel at an offset of −1 to 2."""
    if OFFSET == -1:
        b_tap = tl.where(b_part == 0, 0, tl.where(b_part == 1, -9, tl.where(b_part == 2, -8, -3)))
    elif OFFSET == 0:
        b_tap = tl.where(
            b_part == 0, 128, tl.where(b_part == 1, 111, tl.where(b_part == 2, 72, 29))
        )
    elif OFFSET == 1:
        b_tap = tl.where(b_part == 0, 0, tl.where(b_part == 1, 29, tl.where(b_part == 2, 72, 111)))
    else:
        b_tap = tl.where(b_part == 0, 0, tl.where(b_part == 1, -3, tl.where(b_part == 2, -8, -9)))
    return b_tap


@triton.jit
def _rounded(b_sum):
    return tl.minimum(tl.maximum((b_sum + 64) >> 7, 0), 255)


@triton.jit
def _offer(
    b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px, b_py,
    PARTS: tl.constexpr,
):  # fmt: skip
    """The best vectors so far, or the given ones where they are better.

    o_y, o_x: [blocks, window], the places of the windows; b_own: the pixels of the frame there;
    b_px, b_py: what was predicted; PARTS: whether vectors have parts of a pixel.
    """
    o_y += (b_y >> 2)[:, None]
    o_x += (b_x >> 2)[:, None]
    if PARTS:
        b_other = tl.zeros_like(b_own)
        for i in tl.static_range(-1, 3):
            b_row = tl.zeros_like(b_own)
            for k in tl.static_range(-1, 3):
                b_pixel = _fetch(p_reference, o_y + i, o_x + k, m_block, height, width)
                b_row += _tap(b_x & 3, k)[:, None] * b_pixel
            b_other += _tap(b_y & 3, i)[:, None] * _rounded(b_row)
        b_other = _rounded(b_other)
    else:
        b_other = _fetch(p_reference, o_y, o_x, m_block, height, width)
    b_differences = tl.sum(tl.abs(b_own - b_other), 1)
    b_off = tl.abs(b_x - b_px) + tl.abs(b_y - b_py)
    b_cost = b_differences + tl.minimum(PENALTY * b_off, MOST_PENALTY)
    return _lower(b_best, b_x, b_y, b_cost, b_differences)


@triton.jit
def _windows(o_block, columns, BLOCK_SIZE: tl.constexpr):
    """[blocks, window]: where the pixels of windows lie."""
    o_place = tl.arange(0, WINDOW * WINDOW)
    o_top = o_block // columns * BLOCK_SIZE - (WINDOW - BLOCK_SIZE) // 2
    o_left = o_block % columns * BLOCK_SIZE - (WINDOW - BLOCK_SIZE) // 2
    return o_top[:, None] + o_place // WINDOW, o_left[:, None] + o_place % WINDOW


@triton.jit
def _whole(b_quarters):
    """Clamped, and rounded to multiples of 4, ties away from zero."""
    b_limited = tl.minimum(tl.maximum(b_quarters, -LARGEST), LARGEST).to(tl.int32)
    b_size = (tl.abs(b_limited) + 2) // 4 * 4
    return tl.where(b_limited < 0, -b_size, b_size)


@triton.jit(
    do_not_specialize=["height", "width", "rows", "columns"],
    do_not_specialize_on_alignment=["p_candidates"],
)
def whole_kernel(
    p_frame,  # [images, height, width], bytes
    p_reference,  # [images, height, width], bytes
    p_coarse,  # [images, 2, rows, columns]
    p_candidates,  # [images, 2, rows, columns], int64; read where they are GIVEN
    p_vectors,  # [images, 2, rows, columns]
    height,
    width,
    rows,
    columns,
    GIVEN: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCKS: tl.constexpr,
):
    i_image = tl.program_id(1).to(tl.int64)
    p_frame += i_image * height * width
    p_reference += i_image * height * width
    p_coarse += i_image * 2 * rows * columns
    p_vectors += i_image * 2 * rows * columns
    o_block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    m_block = o_block < rows * columns
    o_y, o_x = _windows(o_block, columns, BLOCK_SIZE)
    b_own = _fetch(p_frame, o_y, o_x, m_block, height, width)
    b_px = _median(p_coarse, o_block, m_block, rows, columns)
    b_py = _median(p_coarse + rows * columns, o_block, m_block, rows, columns)
    b_x = tl.load(p_coarse + o_block, mask=m_block, other=0)
    b_y = tl.load(p_coarse + rows * columns + o_block, mask=m_block, other=0)
    b_best = _nothing(BLOCKS)
    b_best = _offer(
        b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px, b_py, False
    )
    b_x, b_y = tl.zeros_like(b_x), tl.zeros_like(b_y)
    b_best = _offer(
        b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px, b_py, False
    )
    if GIVEN:
        p_candidates += i_image * 2 * rows * columns
        b_x = _whole(tl.load(p_candidates + o_block, mask=m_block, other=0))
        b_y = _whole(tl.load(p_candidates + rows * columns + o_block, mask=m_block, other=0))
        b_best = _offer(
            b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px, b_py,
            False,
        )  # fmt: skip
    b_start_x, b_start_y = b_best[1], b_best[2]
    for i in range(25):
        b_x, b_y = b_start_x + 4 * (i % 5 - 2), b_start_y + 4 * (i // 5 - 2)
        b_best = _offer(
            b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px, b_py,
            False,
        )  # fmt: skip
    tl.store(p_vectors + o_block, b_best[1], mask=m_block)
    tl.store(p_vectors + rows * columns + o_block, b_best[2], mask=m_block)


@triton.jit(do_not_specialize=["height", "width", "rows", "columns"])
def adopt_kernel(
    p_frame,  # [images, height, width], bytes
    p_reference,  # [images, height, width], bytes
    p_given,  # [images, 2, rows, columns]
    p_vectors,  # [images, 2, rows, columns]
    p_errors,  # [images, rows, columns]; written where this is LAST
    height,
    width,
    rows,
    columns,
    LAST: tl.constexpr,  # else half and quarter pixels follow
    BLOCK_SIZE: tl.constexpr,
    BLOCKS: tl.constexpr,
):
    i_image = tl.program_id(1).to(tl.int64)
    p_frame += i_image * height * width
    p_reference += i_image * height * width
    p_given += i_image * 2 * rows * columns
    p_vectors += i_image * 2 * rows * columns
    o_block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    m_block = o_block < rows * columns
    o_y, o_x = _windows(o_block, columns, BLOCK_SIZE)
    b_own = _fetch(p_frame, o_y, o_x, m_block, height, width)
    b_px = _median(p_given, o_block, m_block, rows, columns)
    b_py = _median(p_given + rows * columns, o_block, m_block, rows, columns)
    b_best = _nothing(BLOCKS)
    b_best = _offer(
        b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_px, b_py, b_px, b_py, LAST
    )
    for i in range(9):
        o_row = tl.minimum(tl.maximum(o_block // columns + i // 3 - 1, 0), rows - 1)
        o_column = tl.minimum(tl.maximum(o_block % columns + i % 3 - 1, 0), columns - 1)
        o_given = o_row * columns + o_column
        b_x = tl.load(p_given + o_given, mask=m_block, other=0)
        b_y = tl.load(p_given + rows * columns + o_given, mask=m_block, other=0)
        b_best = _offer(
            b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px, b_py,
            LAST,
        )  # fmt: skip
    if LAST:
        # Rounded to nearest, as on the CPU.
        b_most = tl.full([BLOCKS], 255 * WINDOW * WINDOW, tl.float32)
        b_error = tl.div_rn(b_best[3].to(tl.float32), b_most)
        tl.store(p_errors + i_image * rows * columns + o_block, b_error, mask=m_block)
    else:
        for i_half in range(2):
            b_start_x, b_start_y = b_best[1], b_best[2]
            for i in range(9):
                b_x = b_start_x + (2 - i_half) * (i % 3 - 1)
                b_y = b_start_y + (2 - i_half) * (i // 3 - 1)
                b_best = _offer(
                    b_best, b_own, p_reference, o_y, o_x, m_block, height, width, b_x, b_y, b_px,
                    b_py, True,
                )  # fmt: skip
    dtype = p_vectors.dtype.element_ty
    tl.store(p_vectors + o_block, b_best[1].to(dtype), mask=m_block)
    tl.store(p_vectors + rows * columns + o_block, b_best[2].to(dtype), mask=m_block)


@triton.jit
def _displacement(b_vector, CELL: tl.constexpr):
    """In eighths of a pixel; whole pixels for a CELL of 4, ties away from zero."""
    if CELL == 4:
        b_size = (tl.abs(b_vector) + 8) // 16 * 8
        b_moved = tl.where(b_vector < 0, -b_size, b_size)
    else:
        b_moved = b_vector * (2 // CELL)
    return b_moved


@triton.jit
def _catmull_rom(b_part, OFFSET: tl.constexpr, ACC: tl.constexpr):
    """The weight of the pixel at an offset of −1 to 2, at eighths of a pixel."""
    b_t = b_part.to(ACC) / 8
    b_near = b_t if (OFFSET == 0) | (OFFSET == -1) else 1 - b_t
    if (OFFSET == -1) | (OFFSET == 2):
        b_weight = -b_near * (1 - b_near) * (1 - b_near) / 2
    else:
        b_weight = 1 + b_near * b_near * (3 * b_near - 5) / 2
    return b_weight


@triton.jit(
    do_not_specialize=["channels", "height", "width", "rows", "columns"],
    do_not_specialize_on_alignment=["p_vectors"],
)
def warp_kernel(
    p_from,  # [images, channels, height, width]: planes, or the gradient of warped ones
    p_vectors,  # [images, 2, rows, columns], int16
    p_to,  # [images, channels, height, width]: what is warped, or zeros that gradients are added to
    channels,
    height,
    width,
    rows,
    columns,
    TRANSPOSED: tl.constexpr,
    SIDE: tl.constexpr,  # of a block, in pixels of the planes
    CELL: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    count = height.to(tl.int64) * width
    i_plane = tl.program_id(0) // tl.cdiv(count, BLOCK)
    o_pixel = tl.program_id(0) % tl.cdiv(count, BLOCK) * BLOCK + tl.arange(0, BLOCK)
    m_pixel = o_pixel < count
    o_y, o_x = o_pixel // width, o_pixel % width
    p_vectors += i_plane // channels * 2 * rows * columns
    o_block = o_y // SIDE * columns + o_x // SIDE
    b_x = _displacement(tl.load(p_vectors + o_block, mask=m_pixel, other=0).to(tl.int32), CELL)
    o_block += rows.to(tl.int64) * columns
    b_y = _displacement(tl.load(p_vectors + o_block, mask=m_pixel, other=0).to(tl.int32), CELL)
    o_x += b_x >> 3
    o_y += b_y >> 3
    p_from += i_plane * height * width
    p_to += i_plane * height * width
    if TRANSPOSED:
        b_grad = tl.load(p_from + o_pixel, mask=m_pixel, other=0.0).to(ACC)
    b_sum = tl.zeros([BLOCK], ACC)
    FIRST: tl.constexpr = 0 if CELL == 4 else -1
    LAST: tl.constexpr = 1 if CELL == 4 else 3
    for i in tl.static_range(FIRST, LAST):
        o_row = tl.minimum(tl.maximum(o_y + i, 0), height - 1) * width
        b_row = tl.zeros([BLOCK], ACC)
        for k in tl.static_range(FIRST, LAST):
            o_at = o_row + tl.minimum(tl.maximum(o_x + k, 0), width - 1)
            b_weight = _catmull_rom(b_x & 7, k, ACC)
            if TRANSPOSED:
                b_share = b_grad * (b_weight * _catmull_rom(b_y & 7, i, ACC))
                tl.atomic_add(p_to + o_at, b_share, mask=m_pixel & (b_share != 0), sem="relaxed")
            else:
                b_row += b_weight * tl.load(p_from + o_at, mask=m_pixel, other=0.0).to(ACC)
        if not TRANSPOSED:
            b_sum += _catmull_rom(b_y & 7, i, ACC) * b_row
    if not TRANSPOSED:
        tl.store(p_to + o_pixel, b_sum.to(p_to.dtype.element_ty), mask=m_pixel)


def block_match(
    frame: Tensor, reference: Tensor, candidates: Tensor | None, block_size: int
) -> tuple[Tensor, Tensor]:
    """The operator ``block_match`` of ``csrc/library.cpp``."""
    batch, _, height, width = frame.shape
    rows, columns = triton.cdiv(height, block_size), triton.cdiv(width, block_size)
    vectors = frame.new_empty((batch, 2, rows, columns), dtype=torch.int16)
    errors = frame.new_empty((batch, 1, rows, columns), dtype=torch.float32)
    if not batch:
        return vectors, errors
    with torch.cuda.device_of(frame):
        planes = [_quantised(luma) for luma in (frame, reference)]
        cells = [_cells(plane) for plane in planes]
        coarse, whole, parts = frame.new_empty((3, *vectors.shape), dtype=torch.int32)
        size = (height, width, rows, columns)
        grid = (triton.cdiv(rows * columns, BLOCKS), batch)
        coarse_kernel[grid](
            *cells, coarse, *cells[0].shape[1:], rows, columns, block_size // 4, BLOCKS
        )
        given = coarse if candidates is None else candidates.contiguous()
        whole_kernel[grid](
            *planes, coarse, given, whole, *size, candidates is not None, block_size, BLOCKS
        )
        adopt_kernel[grid](*planes, whole, parts, errors, *size, False, block_size, BLOCKS)
        adopt_kernel[grid](*planes, parts, vectors, errors, *size, True, block_size, BLOCKS)
    return vectors, errors


def block_warp(planes: Tensor, vectors: Tensor, block_size: int, cell: int) -> Tensor:
    """The operator ``block_warp`` of ``csrc/library.cpp``."""
    planes = aligned(planes.contiguous())
    warped = torch.empty_like(planes)
    _warp(planes, vectors, warped, False, block_size, cell)
    return warped


def block_warp_backward(grad_output: Tensor, vectors: Tensor, block_size: int, cell: int) -> Tensor:
    """The operator ``block_warp_backward`` of ``csrc/library.cpp``.

    Sums in any order, in float64 because a pixel at the border may get many.
    """
    grad_output = aligned(grad_output.contiguous())
    sums = torch.zeros_like(grad_output, dtype=torch.float64)
    _warp(grad_output, vectors, sums, True, block_size, cell)
    return sums.to(grad_output.dtype)


def _warp(
    planes: Tensor, vectors: Tensor, to: Tensor, transposed: bool, block_size: int, cell: int
) -> None:
    if not planes.numel():
        return
    batch, channels, height, width = planes.shape
    grid = (batch * channels * triton.cdiv(height * width, WARPED),)
    with torch.cuda.device_of(planes):
        warp_kernel[grid](
            planes,
            vectors.contiguous(),
            to,
            channels,
            height,
            width,
            *vectors.shape[2:],
            transposed,
            block_size // cell,
            cell,
            accumulator(to),
            WARPED,
        )


def _quantised(luma: Tensor) -> Tensor:
    """Luma in 8 bits, (B, H, W)."""
    luma = luma[:, 0].contiguous()
    if luma.dtype == torch.uint8:
        return aligned(luma)
    bytes = torch.empty_like(luma, dtype=torch.uint8)
    grid = (triton.cdiv(luma.numel(), PIXELS),)
    quantise_kernel[grid](
        luma, bytes, luma.numel(), whole_of(luma.dtype), accumulator(luma), PIXELS
    )
    return bytes


def _cells(plane: Tensor) -> Tensor:
    """Means of 4×4 pixels, (B, ⌈H/4⌉, ⌈W/4⌉)."""
    batch, height, width = plane.shape
    cells = plane.new_empty((batch, triton.cdiv(height, 4), triton.cdiv(width, 4)))
    grid = (triton.cdiv(cells[0].numel(), PIXELS), batch)
    cells_kernel[grid](plane, cells, height, width, *cells.shape[1:], PIXELS)
    return cells


def whole_of(dtype: torch.dtype) -> float:
    """What has no digits below one, in what luma of a dtype is computed in."""
    return 1.5 * 2.0**52 if dtype == torch.float64 else 1.5 * 2.0**23
