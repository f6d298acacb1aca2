"""Modulation of features by gains that depend on QPs, as fused operators."""

from __future__ import annotations

import itertools
import numbers
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from vqe_fast import reference
from vqe_fast.ops import _library
from vqe_fast.ops._autocast import autocast_enabled
from vqe_fast.ops._autograd import differentiable, reference_gradients, wants_reference
from vqe_fast.ops._backend import use_kernel
from vqe_fast.ops._checks import check_finite, check_tensor
from vqe_fast.reference.modulation import computed_dtype, row_qps

ACTIVATIONS = (None, "relu", "leaky_relu")
LARGEST_QP = 63


def qp_modulate(
    features: Tensor,
    gains: Tensor,
    *,
    activation: str | None = None,
    negative_slope: float = 0.01,
) -> Tensor:
    """activation(features) · gains; PeQuENet §III-A-4 has ReLU(conv(x)) · v.

    Gains are one number for each channel of a frame, or a map for each channel, coarser than the
    features: pixel (y, x) takes the gain at (⌊y·h/H⌋, ⌊x·w/W⌋). They are never stored at the size
    of the features. Gradients flow to both, whichever asks for one, and are the same to the bit in
    every run, for any number of threads. The backward of the backward (``create_graph=True``)
    comes from the reference. Autocast changes nothing.

    Args:
        features: (B, C, H, W); float64, float32, bfloat16 or float16. NaN stays NaN. NCHW and
            channels_last are read as they lie, other layouts are copied.
        gains: (B, C) or (B, C, h, w), with 1 for B where all images share them, 1 ≤ h ≤ H and
            1 ≤ w ≤ W; of the same dtypes, used as float32, or as float64 for float64 features.
        activation: of the features before the gains: ``"relu"``, ``"leaky_relu"`` or nothing.
        negative_slope: factor of negative features for ``"leaky_relu"``, finite.

    Returns:
        (B, C, H, W) in the dtype of ``features``; channels_last if they are, else contiguous.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: shapes or devices do not fit, the map is finer than the features,
            ``activation`` is unknown, or ``negative_slope`` is not finite.
    """
    check_modulation(features, gains, activation, negative_slope)
    if not use_kernel("modulation", features):
        return reference.qp_modulate(
            features, gains, activation=activation, negative_slope=negative_slope
        )
    if gains.dim() == 2:
        gains = gains[:, :, None, None]
    gains = gains.to(computed_dtype(features))
    slopes = {"relu": [0.0], "leaky_relu": [float(negative_slope)]}
    slope = slopes[activation] if activation else []
    modulated: Tensor = _modulate(features, gains, slope)
    return modulated


def check_modulation(
    features: object, gains: object, activation: str | None, negative_slope: float = 0.01
) -> None:
    """Raises what :func:`qp_modulate` raises."""
    check_tensor("features", features)
    check_tensor("gains", gains)
    assert isinstance(features, Tensor) and isinstance(gains, Tensor)
    if features.dim() != 4:
        raise ValueError(f"features must be (B, C, H, W), got {tuple(features.shape)}")
    if gains.dim() not in (2, 4):
        raise ValueError(f"gains must be (B, C) or (B, C, h, w), got {tuple(gains.shape)}")
    if gains.device != features.device:
        raise ValueError(f"gains must be on {features.device} like features; got {gains.device}")
    batch, channels, *size = features.shape
    if gains.shape[0] not in (1, batch):
        raise ValueError(
            f"gains must have the batch size of features, {batch}, or 1; got {gains.shape[0]}"
        )
    if gains.shape[1] != channels:
        raise ValueError(
            f"gains must have the channels of features, {channels}; got {gains.shape[1]}"
        )
    if gains.dim() == 4 and not all(
        1 <= a <= b for a, b in zip(gains.shape[2:], size, strict=True)
    ):
        raise ValueError(
            f"gains must be a map of at least 1×1 and no finer than the features, "
            f"{size[0]}×{size[1]}; got {gains.shape[2]}×{gains.shape[3]}"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be relu, leaky_relu or None; got {activation!r}")
    check_finite("negative_slope", negative_slope)


def qp_gains(
    qp: float | Tensor, table: Tensor, bias: Tensor, *, qps: Sequence[float] | None = None
) -> Tensor:
    """Gains for QPs: softplus(row of ``table`` at ``qp`` + ``bias``).

    For a QP that a row stands for it is PeQuENet's softplus of a linear layer of the one-hot QP
    (§III-A-4), whose transposed weight is the table. Between two rows the row is interpolated
    linearly, below the first and above the last it is that one (our extension); a warning says so
    once in a process. Computed in float32, in float64 for float64 tensors. Under autocast the
    result is float32. Gradients flow to ``table`` and ``bias``, not to ``qp``.

    QPs on a GPU are checked there, for which the CPU waits. QPs on the CPU do for a table on a GPU:
    they are checked and then sent, without waiting. A compiled graph checks on the CPU only, and
    does not warn; a CUDA graph checks nothing.

    Args:
        qp: QPs in 0 to 63: a number or a tensor (), (B) or (B, h, w) of any integer or floating
            dtype, on the CPU or the table's device.
        table: (N, C), a row for each of N QPs, at most 64; float64, float32, bfloat16 or float16.
        bias: (C), on the table's device; of two dtypes the wider one is used.
        qps: the QPs of the rows, ascending in 0 to 63; the paper's 22, 27, 32, 37 for four rows
            and 0, 1, 2, … for other tables unless they are given.

    Returns:
        (1, C) for one QP, (B, C) or (B, C, h, w), contiguous.

    Raises:
        TypeError: ``table`` or ``bias`` is not a floating-point tensor, or ``qp`` is boolean,
            complex, or no number at all.
        ValueError: shapes or devices do not fit, a QP is not finite or outside 0 to 63, or ``qps``
            does not name an ascending QP for each row.
    """
    _check_table(table, bias)
    rows = check_qps(qps, table.shape[0])
    positions = _positions(qp, table.device, rows)
    dtype = torch.promote_types(table.dtype, bias.dtype)
    if autocast_enabled(table.device.type) and dtype != torch.float64:
        dtype = torch.float32
    table, bias = table.to(dtype), bias.to(dtype)
    if not use_kernel("modulation", table):
        return reference.qp_gains(positions, table, bias, qps=rows)
    gains: Tensor = _gains(positions, table, bias, list(rows))
    return gains


def check_qps(qps: Sequence[float] | None, rows: int) -> tuple[float, ...]:
    """The QP of each row of a table; raises ValueError for what no table has."""
    if not 1 <= rows <= LARGEST_QP + 1:
        raise ValueError(f"table must have 1 to {LARGEST_QP + 1} rows, got {rows}")
    chosen = row_qps(qps, rows)
    if len(chosen) != rows:
        raise ValueError(f"qps must have a QP for each row of the table, {rows}; got {len(chosen)}")
    ascending = all(a < b for a, b in itertools.pairwise(chosen))
    if not (ascending and chosen[0] >= 0 and chosen[-1] <= LARGEST_QP):
        raise ValueError(
            f"qps must be strictly ascending numbers in 0 to {LARGEST_QP}, got {chosen}"
        )
    return chosen


def _check_table(table: object, bias: object) -> None:
    check_tensor("table", table)
    check_tensor("bias", bias)
    assert isinstance(table, Tensor) and isinstance(bias, Tensor)
    if table.dim() != 2:
        raise ValueError(f"table must be (N, C), got {tuple(table.shape)}")
    if bias.shape != table.shape[1:]:
        raise ValueError(
            f"bias must have a number for each column of the table, ({table.shape[1]},); "
            f"got {tuple(bias.shape)}"
        )
    if bias.device != table.device:
        raise ValueError(f"bias must be on {table.device} like table; got {bias.device}")


def _positions(qp: object, device: torch.device, rows: tuple[float, ...]) -> Tensor:
    """The checked QPs as float64 on the table's device, (B) or (B, h, w)."""
    if isinstance(qp, Tensor):
        if qp.dtype == torch.bool or qp.is_complex() or qp.layout is not torch.strided:
            raise TypeError(
                f"qp must be a dense tensor of real numbers, got {qp.dtype} {qp.layout}"
            )
        if qp.dim() not in (0, 1, 3):
            raise ValueError(f"qp must be a number, (B) or (B, h, w); got {tuple(qp.shape)}")
        if qp.device not in (device, torch.device("cpu")):
            raise ValueError(f"qp must be on the CPU or on {device} like table; got {qp.device}")
        # A copy, so that who owns the memory may change it while it is sent.
        positions = qp.detach().to(torch.float64, copy=True)
        if qp.numel() and not _cannot_wait(qp):
            lowest, highest = positions.aminmax()
            _check_range(lowest.item(), highest.item(), rows)
        return positions.reshape(qp.shape or (1,)).to(device, non_blocking=True)
    if isinstance(qp, bool) or not isinstance(qp, numbers.Real):
        raise TypeError(f"qp must be a number or a tensor, got {type(qp).__name__}")
    number = float(qp)
    _check_range(number, number, rows)
    return torch.full((1,), number, dtype=torch.float64, device=device)


def _cannot_wait(qp: Tensor) -> bool:
    """Whether the QPs cannot be looked at: they are not computed before the graph is run."""
    if torch.compiler.is_compiling() or qp.is_meta:
        return True
    return qp.is_cuda and torch.cuda.is_current_stream_capturing()


def _check_range(lowest: float, highest: float, rows: tuple[float, ...]) -> None:
    for qp in (lowest, highest):
        if not 0 <= qp <= LARGEST_QP:
            raise ValueError(f"qp must be a finite number in 0 to {LARGEST_QP}, got {qp}")
    if torch.compiler.is_compiling():
        return
    for qp in (lowest, highest):
        if not rows[0] <= qp <= rows[-1]:
            _warn_once(qp, rows)


_warned = False


def _warn_once(qp: float, rows: tuple[float, ...]) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"vqe_fast: QP {qp:g} is outside the table's {rows[0]:g} to {rows[-1]:g}, whose gains "
            "at that end are used for it and for others outside",
            stacklevel=5,
        )


def _fake(features: Tensor, gains: Tensor, slope: list[float]) -> Tensor:
    return torch.empty_like(features, memory_format=_memory_format(features))


def _fake_backward(  # type: ignore[no-untyped-def]
    grad_output, features, gains, slope, needed
):
    return (
        _fake(features, gains, slope) if needed[0] else features.new_empty(0),
        gains.new_empty(gains.shape if needed[1] else 0),
    )


def _memory_format(features: Tensor) -> torch.memory_format:
    """In which the kernels walk the features, and give what has their shape."""
    channels_last = features.is_contiguous(memory_format=torch.channels_last)
    if channels_last and not features.is_contiguous():
        return torch.channels_last
    return torch.contiguous_format


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    features, gains, ctx.slope = inputs
    ctx.save_for_backward(features, gains)


def _backward(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    features, gains = ctx.saved_tensors
    needed = ctx.needs_input_grad[:2]
    if wants_reference(grad_output):

        def modulate(x: Tensor, v: Tensor) -> Tensor:
            if not ctx.slope:
                return reference.qp_modulate(x, v)
            if ctx.slope[0] == 0:
                return reference.qp_modulate(x, v, activation="relu")
            return reference.qp_modulate(x, v, activation="leaky_relu", negative_slope=ctx.slope[0])

        return *reference_gradients(modulate, (features, gains), needed, grad_output), None
    gradients = torch.ops.vqe_fast.qp_modulate_backward(
        grad_output, features, gains, ctx.slope, list(needed)
    )
    return *(g if need else None for g, need in zip(gradients, needed, strict=True)), None


def _fake_gains(qp: Tensor, table: Tensor, bias: Tensor, qps: list[float]) -> Tensor:
    return table.new_empty((qp.shape[0], table.shape[1], *qp.shape[1:]))


def _fake_gains_backward(  # type: ignore[no-untyped-def]
    grad_output, qp, table, bias, qps
):
    return table.new_empty(table.shape), bias.new_empty(bias.shape)


def _setup_gains_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.qps = inputs
    ctx.save_for_backward(*tensors)


def _gains_backward(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    qp, table, bias = ctx.saved_tensors
    needed = ctx.needs_input_grad[1:3]
    if wants_reference(grad_output):

        def gains(rows: Tensor, offset: Tensor) -> Tensor:
            return reference.qp_gains(qp, rows, offset, qps=ctx.qps)

        return None, *reference_gradients(gains, (table, bias), needed, grad_output), None
    gradients = torch.ops.vqe_fast.qp_gains_backward(grad_output, qp, table, bias, ctx.qps)
    return None, *(g if need else None for g, need in zip(gradients, needed, strict=True)), None


def _cuda(name: str):  # type: ignore[no-untyped-def]
    def run(*arguments):  # type: ignore[no-untyped-def]
        from vqe_fast.kernels import modulation

        return getattr(modulation, name)(*arguments)

    return run


_modulate = differentiable("qp_modulate", _setup_context, _backward)
_gains = differentiable("qp_gains", _setup_gains_context, _gains_backward)

if _library.cpu_problem is None:
    for _name, _its_fake, _its_fake_backward in (
        ("qp_modulate", _fake, _fake_backward),
        ("qp_gains", _fake_gains, _fake_gains_backward),
    ):
        for _schema, _function in (
            (_name, _its_fake),
            (f"{_name}_backward", _its_fake_backward),
        ):
            torch.library.register_fake(f"vqe_fast::{_schema}", _function)
            torch.library.impl(f"vqe_fast::{_schema}", "CUDA", _cuda(_schema))
