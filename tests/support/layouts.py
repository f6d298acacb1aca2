"""The same values lying differently in memory."""

import torch


def contiguous(tensor):
    return tensor.contiguous()


def transposed(tensor):
    """Dense, dimensions in reverse order: the one layout that makes opcheck look at strides."""
    order = list(range(tensor.dim()))[::-1]
    return tensor.permute(order).contiguous().permute(order)


def channels_last(tensor):
    if tensor.dim() != 4:
        return tensor.contiguous()
    return tensor.contiguous(memory_format=torch.channels_last)


def sliced(tensor):
    """Every second column of a wider tensor."""
    wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1]), 7.0)
    wide[..., ::2] = tensor
    return wide[..., ::2]


def offset(tensor):
    """Starts one element into its storage: no alignment beyond that of an element."""
    storage = tensor.new_full((tensor.numel() + 1,), 7.0)
    storage[1:] = tensor.flatten()
    return storage[1:].view(tensor.shape)


LAYOUTS = (contiguous, transposed, channels_last, sliced, offset)
