"""Models for tests: what they do to a frame can be said in one line."""

import torch

from vqe_fast.models import ModelSpec

LUMA_SPEC = ModelSpec(
    planes="y",
    temporal_radius=0,
    recurrent=False,
    takes_qp=False,
    receptive_field=1,
    alignment=1,
    value_range=(0.0, 1.0),
)


class Pointwise(torch.nn.Module):
    """Applies a function to the luma."""

    def __init__(self, function=lambda luma: luma, spec=LUMA_SPEC):
        super().__init__()
        self.function = function
        self.spec = spec

    def forward(self, luma):
        return self.function(luma)


def brighter(steps):
    """A model that adds so many 8-bit steps."""
    return Pointwise(lambda luma: luma + steps / 255)
