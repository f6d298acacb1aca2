"""How far a result may lie from the truth: no more than plain PyTorch in the same dtype does.

The measure is the root mean square over the result. Where a result has few values plain PyTorch
may hit them by luck, as it hits single values of any result; ``largest_roundings`` is for those.
"""

import torch

VALUE_FACTOR = 2.0
GRADIENT_FACTOR = 3.0


def relative_rms(actual, exact):
    """Root mean square of the error over that of the exact values, in float64."""
    actual, exact = actual.double(), exact.double()
    size = exact.square().mean().sqrt().clamp_min(1e-300)
    return ((actual - exact).square().mean().sqrt() / size).item()


def allowed_error(control, exact, factor, float64_units=4):
    """The largest relative error that counts as no worse than that of ``control``.

    A unit in the last place is always allowed, the control may hit a value by luck; in float64,
    where the control is the measure itself and has an error of its own, ``float64_units``.
    """
    units = float64_units if control.dtype == torch.float64 else 1
    return factor * relative_rms(control, exact) + units * torch.finfo(control.dtype).eps


def assert_no_worse(actual, control, exact, factor, float64_units=4):
    """Fails if the error of ``actual`` is more than that of ``control`` allows.

    Args:
        actual: the kernel's result.
        control: plain PyTorch's, in the same dtype.
        exact: plain PyTorch's in float64 from the same inputs.
        factor: VALUE_FACTOR or GRADIENT_FACTOR.
        float64_units: as for ``allowed_error``.
    """
    assert actual.dtype == control.dtype
    assert actual.shape == exact.shape
    finite = exact.isfinite() & control.isfinite()
    assert actual[finite].isfinite().all()
    if not finite.any():
        return
    actual, control, exact = actual[finite], control[finite], exact[finite]
    allowed = allowed_error(control, exact, factor, float64_units)
    assert relative_rms(actual, exact) <= allowed


def largest_roundings(actual, exact, size):
    """The largest error of a single value, in units in the last place of what was added up.

    A single value of plain PyTorch may be right by luck: no multiple of its error is a measure.

    Args:
        actual: the result.
        exact: in float64.
        size: of each value, the sum of the absolute values of its summands, in float64.
    """
    error = (actual.double() - exact).abs()
    return (error / size.clamp_min(1e-300)).max().item() / torch.finfo(actual.dtype).eps


def assert_same_direction(actual, exact, cosine=0.999, bias=0.01):
    """Fails if a gradient points elsewhere or is too long or short, which an RMS can hide."""
    actual, exact = actual.double().flatten(), exact.double().flatten()
    if exact.norm() == 0:
        assert actual.norm() == 0
        return
    assert torch.dot(actual, exact) / (actual.norm() * exact.norm()) > cosine
    assert abs(actual.norm() / exact.norm() - 1) < bias
