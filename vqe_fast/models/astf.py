"""ASTF (Zheng et al.): two enhancements of a clip, one detailed, one smooth, fused by texture."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from torch import Tensor, nn

from vqe_fast.models.basicvsr import BasicVSR, Keeping
from vqe_fast.models.registry import register_model
from vqe_fast.nn.fusion import AdaptiveSpatialTemporalFusion


class ASTF(nn.Module):
    """The two stages of section 3: 17,987,661 parameters in three same-resolution BasicVSRs.

    ``stage1`` (trained with the Charbonnier loss) enhances the clip. Its output goes through
    ``detail`` (EnhanceNet1, trained with LPIPS alone) and ``smooth`` (EnhanceNet2, trained with
    0.15 · Charbonnier + 10000 · LPIPS, eq. 2). ``fusion`` takes the details where the smooth frame
    and its neighbours show texture (eq. 3 to 6) and sharpens. Each of the four is a module of its
    own that can be trained and used alone. The whole starts as the identity, up to rounding.

    The spec's receptive field is that of two stages of :class:`BasicVSR` and of the fusion's
    windows, with the reservations made there. The bounds that normalise the fusion's mask are
    those of the whole frame, of a tile where tiles are used.

    Args:
        width: feature maps of every hidden layer outside SPyNet.
        blocks: residual blocks of each direction.
        radius: of the fusion's windows, 0 to 63 pixels; the paper's are 23×23, radius 11.
        sharpen: amount of sharpening. The paper sharpens with a Gaussian of three taps, does not
            say how much, and measures that it lowers PSNR; here 0, none, unless asked for.
        flow_pairs: as for :class:`BasicVSR`.
        backward_features: as for :class:`BasicVSR`.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 30,
        radius: int = 11,
        sharpen: float = 0.0,
        flow_pairs: int | None = 4,
        backward_features: Keeping = "device",
    ) -> None:
        super().__init__()
        self.stage1 = BasicVSR(1, width, blocks, flow_pairs, backward_features)
        self.detail = BasicVSR(1, width, blocks, flow_pairs, backward_features)
        self.smooth = BasicVSR(1, width, blocks, flow_pairs, backward_features)
        self.fusion = AdaptiveSpatialTemporalFusion(radius, sharpen)
        stage = self.stage1.spec
        field = 2 * (stage.receptive_field - 1) + 2 * (self.fusion.radius + (sharpen != 0)) + 1
        self.spec = replace(stage, receptive_field=field)

    def forward(self, clip: Tensor) -> Tensor:
        """Enhances a clip.

        Gradients flow to ``detail`` and ``smooth`` where they are blended, and through both to
        ``stage1``; none through the mask.

        Args:
            clip: (B, T, 3, H, W), RGB in [0, 1], any T, H and W from 1 on.

        Returns:
            (B, T, 3, H, W) in the dtype of ``clip``; not clamped.

        Raises:
            ValueError: ``clip`` is not (B, T, 3, H, W) or has no frame.
        """
        coarse = self.stage1(clip)
        return cast(Tensor, self.fusion(self.detail(coarse), self.smooth(coarse)))


@register_model
def astf(
    width: int = 64,
    blocks: int = 30,
    radius: int = 11,
    sharpen: float = 0.0,
    flow_pairs: int | None = 4,
    backward_features: Keeping = "device",
) -> ASTF:
    """ASTF as in the paper, but for sharpening; see :class:`ASTF` for the options."""
    return ASTF(width, blocks, radius, sharpen, flow_pairs, backward_features)
