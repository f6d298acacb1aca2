"""Memory layout of the arguments of elementwise operators."""

from __future__ import annotations

from torch import Tensor


def memory_order(*tensors: Tensor) -> list[int] | None:
    """The permutation of dimensions under which every tensor is contiguous.

    It lets an elementwise kernel walk channels-last or transposed tensors as they lie in memory.

    Returns:
        The permutation, or nothing if no permutation does that for all of them or none is needed.
    """
    for tensor in tensors:
        if not tensor.is_contiguous():
            break
    else:
        return None
    first = tensors[0]
    order = sorted(range(first.dim()), key=first.stride, reverse=True)
    if all(tensor.permute(order).is_contiguous() for tensor in tensors):
        return order
    return None


def inverse(order: list[int]) -> list[int]:
    """The permutation that undoes ``order``."""
    return sorted(range(len(order)), key=order.__getitem__)
