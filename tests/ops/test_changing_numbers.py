"""Compiled operators whose numbers change from call to call: they are symbols in the graph then."""

import pytest
import torch

from vqe_fast import ops

SHAPE = (1, 3, 16, 24)
CALLS = {
    "charbonnier_loss": lambda x, y, number: ops.charbonnier_loss(x, y, eps=number),
    "ssim_loss": lambda x, y, number: ops.ssim_loss(x, y, data_range=number),
    "ssim_mse_loss": lambda x, y, number: ops.ssim_mse_loss(x, y, alpha=number),
    "cross_frame_attention": lambda x, y, number: ops.cross_frame_attention(x, y, y, scale=number),
    "qp_modulate": lambda x, y, number: ops.qp_modulate(
        x, y[..., :1, :1], activation="leaky_relu", negative_slope=number
    ),
    "astf_fuse": lambda x, y, number: ops.astf_fuse(x, y, x, y, sharpen=number),
    "unsharp_mask": lambda x, y, number: ops.unsharp_mask(x, number),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_numbers_change(call):
    generator = torch.Generator().manual_seed(2)
    x, y = torch.rand(2, *SHAPE, generator=generator) - 0.25
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    for number in (0.25, 0.5, 0.75):
        torch.testing.assert_close(compiled(x, y, number), call(x, y, number))
