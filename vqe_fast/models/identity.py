"""The identity model, which changes nothing: a file that only the pipeline touched."""

from __future__ import annotations

from torch import Tensor, nn

from vqe_fast.models.registry import ModelSpec, register_model


class Identity(nn.Module):
    """The identity on luma, without weights.

    With a lossless encoder its output equals its input on every plane: this is how to check that a
    file survives the engine, and how fast the engine is without a model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spec = ModelSpec(
            planes="y",
            temporal_radius=0,
            recurrent=False,
            takes_qp=False,
            receptive_field=1,
            alignment=1,
            value_range=(0.0, 1.0),
            casts_inputs=True,
        )

    def forward(self, luma: Tensor) -> Tensor:
        """Returns ``luma``, (B, 1, H, W), itself."""
        return luma


@register_model
def identity() -> nn.Module:
    """The model that changes nothing, to check and to time the pipeline."""
    return Identity()
