"""Block matching on decoded luma, and warping by its vectors, as fused operators."""

from __future__ import annotations

import torch
from torch import Tensor

from vqe_fast._whole_number import one_of
from vqe_fast.ops import _library
from vqe_fast.ops._autograd import differentiable
from vqe_fast.ops._backend import use_kernel
from vqe_fast.ops._checks import check_tensor
from vqe_fast.reference import block_match as _match_in_pytorch
from vqe_fast.reference import block_warp as _warp_in_pytorch

BLOCK_SIZES = (4, 8)
CELLS = (1, 2, 4)
_INTEGERS = (torch.int16, torch.int32, torch.int64)


def block_match(
    frame: Tensor, reference: Tensor, *, block_size: int = 8, candidates: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Where the blocks of a frame lie in another one: hierarchical block matching.

    Luma is quantised to 8 bits, round(255 · x) with ties to even, clamped and NaN taken as 0, and
    everything after that is integers: every device gives the same vectors, bit for bit. Beyond the
    border the outermost pixels go on. What is compared is a window of 8×8 pixels, which is the
    block, or a block of 4×4 with two pixels around it. A vector v costs the sum of the window's
    absolute differences and min(2·|v − p|₁, 64), where p is what the blocks around predict; of
    vectors of one cost the shortest by |v|₁ is taken, of those the highest, then the leftmost.

    1. Of means of 4×4 pixels, the block and 3 of them around it are compared at ±8 to each side,
       every place; each step away from zero costs 4.
    2. The best of this vector, zero and the candidate, then the whole pixels up to 2 around it;
       p is the median of the coarse vectors of the 3×3 blocks around, x and y each by itself.
    3. The best of the vectors of the 3×3 blocks around and of their median, which is p for 3 and 4.
    4. The eight vectors half a pixel around it, then the eight a quarter around the best. Between
       pixels lie bicubic values, Catmull-Rom's: (−9, 111, 29, −3)/128 at a quarter and
       (−8, 72, 72, −8)/128 at a half, along rows and then along columns, each time rounded to the
       nearest of 8 bits, ties up, and clamped.
    5. Once more the best of the vectors of the 3×3 blocks around, and of their median, which is p.

    The result is an integer choice and has no gradient: neither does it require one, nor does one
    flow to any argument.

    Args:
        frame: luma (B, 1, H, W) in [0, 1], float64, float32, bfloat16 or float16; or uint8.
        reference: the frame that is searched, the shape, dtype and device of ``frame``.
        block_size: side of the blocks in pixels, 4 or 8.
        candidates: (B, 2, ⌈H/block_size⌉, ⌈W/block_size⌉), x and y in quarter pixels, int16, int32
            or int64: vectors that are tried too, such as those of the stream, rounded to whole
            pixels and refined from there; beyond ±32000 they are clamped.

    Returns:
        The vectors, int16, (B, 2, ⌈H/block_size⌉, ⌈W/block_size⌉), x (to the right) first, in
        quarter pixels: the block of ``frame`` looks like ``reference`` displaced by its vector, of
        at most ±34.75 pixels to each side without candidates. And the mean absolute difference of
        each window to what its vector finds, float32, (B, 1, …), in [0, 1].

    Raises:
        TypeError: an argument is not a tensor of such a dtype.
        ValueError: shapes, dtypes or devices do not fit, or ``block_size`` is neither 4 nor 8.
    """
    _check_luma("frame", frame)
    _check_luma("reference", reference)
    if reference.shape != frame.shape:
        raise ValueError(
            f"reference must have the shape of frame, {tuple(frame.shape)}; "
            f"got {tuple(reference.shape)}"
        )
    if reference.dtype != frame.dtype:
        raise ValueError(f"reference must be {frame.dtype} like frame; got {reference.dtype}")
    if reference.device != frame.device:
        raise ValueError(f"reference must be on {frame.device} like frame; got {reference.device}")
    block_size = one_of("block_size", block_size, *BLOCK_SIZES)
    if candidates is not None:
        _check_vectors("candidates", candidates, frame, block_size)
    if frame.is_meta:  # thousands of operators, for nothing but a shape
        vectors, errors = _fake_match(frame, reference, candidates, block_size)  # type: ignore[no-untyped-call]
        return vectors, errors
    if not use_kernel("block_match", frame):
        return _match_in_pytorch(frame, reference, block_size=block_size, candidates=candidates)
    if candidates is not None:
        candidates = candidates.detach().to(torch.int64)
    vectors, errors = torch.ops.vqe_fast.block_match(
        frame.detach(), reference.detach(), candidates, block_size
    )
    return vectors, errors


def block_warp(planes: Tensor, vectors: Tensor, *, block_size: int = 8, cell: int = 1) -> Tensor:
    """Moves each block by its vector: warped(y, x) = planes(y + v_y, x + v_x).

    Between pixels values are bicubic, Catmull-Rom's as in :func:`block_match` but not rounded, in
    float32, or in float64 for float64; beyond the border the outermost pixels go on. With ``cell``
    planes are coarser than the luma that was matched: vectors are divided by it.

    Gradients flow to ``planes``; the backward is the transpose, the same to the bit in every run
    on a CPU, for any number of threads. Its own derivatives are the operator again.

    Args:
        planes: (B, C, H, W), any values; float64, float32, bfloat16 or float16.
        vectors: (B, 2, ⌈H·cell/block_size⌉, ⌈W·cell/block_size⌉), x first, in quarter pixels of the
            luma, as :func:`block_match` returns them; int16, int32 or int64, at most ±32767.
        block_size: side of the blocks in pixels of the luma, 4 or 8.
        cell: pixels of the luma along a side of a pixel of ``planes``: 1 for luma, to quarters of a
            pixel; 2 for the chroma of 4:2:0, to eighths; 4 for features at a quarter of the
            resolution, which move by whole pixels, vector/16 rounded to the nearest, ties away
            from zero.

    Returns:
        (B, C, H, W), contiguous, in the dtype of ``planes``.

    Raises:
        TypeError: an argument is not a tensor of such a dtype.
        ValueError: shapes or devices do not fit, ``block_size`` is neither 4 nor 8, or ``cell`` is
            none of 1, 2 and 4.
    """
    check_tensor("planes", planes)
    if planes.dim() != 4 or 0 in planes.shape[2:]:
        raise ValueError(f"planes must be (B, C, H, W) of at least 1×1, got {tuple(planes.shape)}")
    block_size = one_of("block_size", block_size, *BLOCK_SIZES)
    cell = one_of("cell", cell, *CELLS)
    _check_vectors("vectors", vectors, planes, block_size // cell)
    if not use_kernel("block_match", planes):
        return _warp_in_pytorch(planes, vectors, block_size=block_size, cell=cell)
    warped: Tensor = _warp(planes, vectors.detach().to(torch.int16), block_size, cell)
    return warped


def _check_luma(name: str, luma: object) -> None:
    if not (isinstance(luma, Tensor) and luma.dtype == torch.uint8):
        check_tensor(name, luma)
    assert isinstance(luma, Tensor)
    if luma.dim() != 4 or luma.shape[1] != 1 or 0 in luma.shape[2:]:
        raise ValueError(
            f"{name} must be luma (B, 1, H, W) of at least 1×1, got {tuple(luma.shape)}"
        )


def _check_vectors(name: str, vectors: object, planes: Tensor, side: int) -> None:
    """Vectors for blocks of ``side`` pixels of the planes."""
    if not isinstance(vectors, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(vectors).__name__}")
    if vectors.dtype not in _INTEGERS:
        raise TypeError(
            f"{name} must be a tensor of int16, int32 or int64, got {vectors.dtype}: "
            "quarter pixels are whole numbers"
        )
    batch, _, height, width = planes.shape
    expected = (batch, 2, -(-height // side), -(-width // side))
    if vectors.shape != expected:
        raise ValueError(
            f"{name} must be {expected}, a vector for each block; got {tuple(vectors.shape)}"
        )
    if vectors.device != planes.device:
        raise ValueError(f"{name} must be on {planes.device} like the rest; got {vectors.device}")


def _fake_match(  # type: ignore[no-untyped-def]
    frame, reference, candidates, block_size
):
    batch, _, height, width = frame.shape
    size = (-(-height // block_size), -(-width // block_size))
    return (
        frame.new_empty((batch, 2, *size), dtype=torch.int16),
        frame.new_empty((batch, 1, *size), dtype=torch.float32),
    )


def _fake_warp(planes: Tensor, vectors: Tensor, block_size: int, cell: int) -> Tensor:
    return planes.new_empty(planes.shape)


def _setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, vectors, *ctx.options = inputs
    ctx.save_for_backward(vectors)


def _backward_warp(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    return _warp_transposed(grad_output, *ctx.saved_tensors, *ctx.options), None, None, None


def _backward_transposed(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    return _warp(grad_output, *ctx.saved_tensors, *ctx.options), None, None, None


def _cuda(name: str):  # type: ignore[no-untyped-def]
    def run(*arguments):  # type: ignore[no-untyped-def]
        from vqe_fast.kernels import block_match

        return getattr(block_match, name)(*arguments)

    return run


_warp = differentiable("block_warp", _setup, _backward_warp)
_warp_transposed = differentiable("block_warp_backward", _setup, _backward_transposed)

if _library.cpu_problem is None:
    for _name, _fake in (
        ("block_match", _fake_match),
        ("block_warp", _fake_warp),
        ("block_warp_backward", _fake_warp),
    ):
        torch.library.register_fake(f"vqe_fast::{_name}", _fake)
        torch.library.impl(f"vqe_fast::{_name}", "CUDA", _cuda(_name))
