"""Dual-resolution networks, ours: luma and chroma at a quarter and an eighth of the resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast._whole_number import whole_number
from vqe_fast.models.blocks import activate, add_to
from vqe_fast.models.coding import CODECS, FRAME_TYPES, UNKNOWN
from vqe_fast.models.registry import ModelSpec, register_model
from vqe_fast.nn import QPModulatedConv2d, QPModulation
from vqe_fast.nn.kept import Kept

QPS = (12, 17, 22, 27, 32, 37, 42, 47, 52)
"""The QPs that have an entry in the tables."""

_LARGEST_QP = 63
_CELL = 4
_ALIGNMENT = 2 * _CELL
_BANDS = 24  # of a cell: 16 of luma, 4 of either chroma
_SLOPE = 0.1
_DC_SCALE, _AC_SCALE = 0.5, 12.0
_CORRECTION_SCALE = 0.5


def cell_transform() -> Tensor:
    """Orthonormal DCT of a cell of 4×4 pixels, (24, 3, 4, 4): of luma, and of halved chroma.

    Bands 0 to 15 are the 4×4 DCT-II of luma, 16 to 19 and 20 to 23 the 2×2 DCT-II of Cb and Cr
    averaged over 2×2 pixels, each with the mean first.
    """
    transform = torch.zeros(_BANDS, 3, _CELL, _CELL)
    fine, coarse = _dct(4), _dct(2)
    transform[:16, 0] = torch.einsum("ui,vj->uvij", fine, fine).flatten(0, 1)
    halved = torch.einsum("ui,vj->uvij", coarse, coarse).flatten(0, 1)
    spread = halved.repeat_interleave(2, -1).repeat_interleave(2, -2) / 4
    transform[16:20, 1] = spread
    transform[20:24, 2] = spread
    return transform


def _dct(size: int) -> Tensor:
    """DCT-II, (frequency, place)."""
    frequency, place = torch.arange(size)[:, None], torch.arange(size)
    rows = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * size)) * math.sqrt(2 / size)
    rows[0] *= math.sqrt(0.5)
    return rows


def qp_shares(qp: Tensor, qps: Tensor) -> Tensor:
    """The shares that the QPs of a table have in others, which lie between two of them.

    Args:
        qp: any shape; beyond the ends of the table they have that end alone.
        qps: of the table, (N), ascending, on the device of ``qp``.

    Returns:
        The shape of ``qp`` and (N), with a sum of 1, in the dtype of ``qps``.
    """
    at = qp.to(qps.dtype).clamp(qps[0], qps[-1])[..., None]
    part = (at - qps[:-1]) / (qps[1:] - qps[:-1])  # of the way to the next
    rising = F.pad(part, (1, 0), value=1.0)
    falling = F.pad(1 - part, (0, 1), value=1.0)
    return torch.minimum(rising, falling).clamp_min(0)


class CodingGains(nn.Module):
    """Channel gains by QP, codec and type of frame: softplus(QP) · (1 + codec + type).

    All gains are 1 at first. Without gradients, those of numbers are kept.

    Args:
        width: channels.
        qps: those that have an entry in the table; others are interpolated between them, and have
            the gains of the nearest beyond its ends.
    """

    def __init__(self, width: int, qps: Sequence[float]) -> None:
        super().__init__()
        self.qp = QPModulation(len(qps), width, qps=qps)
        self.codec = nn.Parameter(torch.zeros(len(CODECS), width))
        self.frame_type = nn.Parameter(torch.zeros(len(FRAME_TYPES), width))
        nn.init.zeros_(self.qp.weight)
        nn.init.constant_(self.qp.bias, math.log(math.e - 1))
        self._kept = Kept()

    def forward(self, qp: float | Tensor, codec: int | Tensor, frame_type: int | Tensor) -> Tensor:
        """The gains of images.

        Args:
            qp: as :meth:`vqe_fast.nn.QPModulation.gains` takes it, no lower or higher than those
                of the table; or rows of tables, as :func:`rows_of` gives them; or the
                :func:`qp_shares` of a map, (B, h, w, N), which are the same for all blocks.
            codec: a code, or (B).
            frame_type: a code, or (B).

        Returns:
            (1, C), (B, C), or (B, C, h, w) for a map of QPs; not to be changed.
        """
        if isinstance(qp, Tensor) and qp.dim() == 3 and not qp.is_floating_point():
            tables = self._of_numbers(None, codec, frame_type)
            return F.embedding(qp, tables).movedim(-1, 1)
        if not isinstance(qp, Tensor):
            return self._of_numbers(qp, codec, frame_type)
        factor = self._factor(codec, frame_type)
        if qp.dim() == 4:
            with torch.autocast(qp.device.type, enabled=False):
                rows = F.linear(qp, self.qp.weight, self.qp.bias)
                gains = F.softplus(rows.movedim(-1, 1).contiguous())
            return gains * factor[:, :, None, None]
        gains = self.qp.gains(qp)
        return gains * (factor if gains.dim() == 2 else factor[:, :, None, None])

    def _of_numbers(
        self, qp: float | None, codec: int | Tensor, frame_type: int | Tensor
    ) -> Tensor:
        """The gains of a QP, (1 or B, C); of all, if it is None, in float32 at least."""

        def make() -> Tensor:
            factor = self._factor(codec, frame_type)
            if qp is not None:
                return self.qp.gains(qp) * factor
            low, high = self.qp.qps[0], self.qp.qps[-1]
            every = torch.arange(_LARGEST_QP + 1.0, device=factor.device).clamp(low, high)
            tables = self.qp.gains(every) * factor[:, None]  # one for all images, or one for each
            # As qp_modulate takes them: the map need not be converted.
            dtype = torch.promote_types(tables.dtype, torch.float32)
            return tables.to(dtype).flatten(0, 1)

        if isinstance(codec, Tensor) or isinstance(frame_type, Tensor):
            return make()
        sources = (self.qp.weight, self.qp.bias, self.codec, self.frame_type)
        return self._kept.get((qp, codec, frame_type), sources, make)

    def _factor(self, codec: int | Tensor, frame_type: int | Tensor) -> Tensor:
        """(1, C) or (B, C)."""
        factor: Tensor = torch.atleast_2d(1 + self.codec[codec] + self.frame_type[frame_type])
        return factor


def rows_of(qp: Tensor, images: int, device: torch.device) -> Tensor:
    """A map of integers as rows of the tables of :class:`CodingGains`, (B, h, w).

    Args:
        qp: (1 or B, h, w).
        images: how many have a table of their own; 1 where all share one.
        device: of the tables.
    """
    rows = qp.to(device).clamp(0, _LARGEST_QP)
    if images == 1:
        return rows.to(torch.int64)
    first = torch.arange(images, device=device) * (_LARGEST_QP + 1)
    return first[:, None, None] + rows


class ModulatedBlock(nn.Module):
    """Residual block with gains: x + conv(LeakyReLU(conv(x)) · gains), 3×3.

    Args:
        width: channels.
        qps: see :class:`CodingGains`.
    """

    def __init__(self, width: int, qps: Sequence[float]) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.gains = CodingGains(width, qps)
        self.second = QPModulatedConv2d(width, width, 3, padding=1)

    def forward(
        self,
        features: Tensor,
        qp: float | Tensor,
        codec: int | Tensor,
        frame_type: int | Tensor,
    ) -> Tensor:
        """(B, width, H, W) → the same shape; the others as :class:`CodingGains` takes them."""
        changed = self.second(
            self.first(features),
            self.gains(qp, codec, frame_type),
            activation="leaky_relu",
            negative_slope=_SLOPE,
            inplace=not torch.is_grad_enabled(),
        )
        return add_to(changed, features)


class DualResolution(nn.Module):
    """A residual network on cells of 4×4 pixels, with a branch on cells of 8×8.

    A fixed DCT turns a cell into 24 bands, which are brought to one size; convolutions of 3×3
    cells and residual blocks follow; a branch at half that resolution sees further for a quarter
    of the arithmetic, and is added; the inverse DCT of 24 bands is the correction. Each block's
    inner channels are multiplied by gains of the QP (:class:`vqe_fast.nn.QPModulation`), codec and
    type of frame. At first the network changes nothing.

    Chroma is seen, and corrected, at half the resolution of luma: what has a finer one keeps its
    detail, and gets the correction of the 2×2 pixels around.

    Args:
        width: channels at the resolution of cells.
        deep_width: channels of the branch.
        before: residual blocks before the branch.
        deep: residual blocks in the branch.
        after: residual blocks after it.
        qps: those with an entry in the tables, ascending in 0 to 63.

    Raises:
        ValueError: a number is below 1, or ``qps`` is not ascending in 0 to 63.
    """

    transform: Tensor
    scale: Tensor

    def __init__(
        self,
        width: int,
        deep_width: int,
        before: int,
        deep: int,
        after: int,
        qps: Sequence[float] = QPS,
    ) -> None:
        super().__init__()
        width = whole_number("width", width, 1)
        deep_width = whole_number("deep_width", deep_width, 1)
        before = whole_number("before", before, 1)
        deep = whole_number("deep", deep, 1)
        after = whole_number("after", after, 1)
        self.qps = tuple(qps)
        scale = torch.full((_BANDS, 1, 1), _AC_SCALE)
        scale[[0, 16, 20]] = _DC_SCALE
        self.register_buffer("transform", cell_transform(), persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self._kept = Kept()
        self.head = nn.Conv2d(_BANDS, width, 3, padding=1)
        self.before = nn.ModuleList(ModulatedBlock(width, qps) for _ in range(before))
        self.down = nn.Conv2d(width, deep_width, 3, stride=2, padding=1)
        self.deep = nn.ModuleList(ModulatedBlock(deep_width, qps) for _ in range(deep))
        self.up = nn.Conv2d(deep_width, 4 * width, 1)
        self.after = nn.ModuleList(ModulatedBlock(width, qps) for _ in range(after))
        self.output = nn.Conv2d(width, _BANDS, 3, padding=1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]
        # Cells to the side that a cell is made from: two a block and one for head and output
        # each; in the branch twice as many, one for down, and one for the cell beside it.
        cells = 2 + 2 * before + 2 * after + 4 * deep + 2
        self.spec = ModelSpec(
            planes="yuv",
            temporal_radius=0,
            recurrent=False,
            takes_qp=True,
            takes_coding=True,
            receptive_field=(2 * cells + 1) * _CELL + _ALIGNMENT,
            alignment=_ALIGNMENT,
            value_range=(0.0, 1.0),
            casts_inputs=True,
        )

    def forward(
        self,
        frames: Tensor,
        qp: float | Tensor,
        codec: int | Tensor = UNKNOWN,
        frame_type: int | Tensor = UNKNOWN,
    ) -> Tensor:
        """Enhances luma and chroma.

        Args:
            frames: (B, 3, H, W), Y'CbCr in [0, 1], chroma enlarged to the size of luma by
                repeating samples; or luma alone, (B, 1, H, W); any H and W.
            qp: a number, (B), or a map of blocks of 8×8 pixels, (B, H/8, W/8), both rounded up;
                maps of integers, 0 to 63, take less time. Or the :func:`qp_shares` of a map, for
                training.
            codec: place in :data:`vqe_fast.models.coding.CODECS`, a number or (B).
            frame_type: place in :data:`vqe_fast.models.coding.FRAME_TYPES`, a number or (B).

        Returns:
            The shape and dtype of ``frames``; not clamped. The convolutions run in the dtype of
            the weights, the final sum in that of ``frames``.

        Raises:
            ValueError: ``frames`` is of another shape, or a number is no code.
        """
        if frames.dim() != 4 or frames.shape[1] not in (1, 3):
            raise ValueError(f"frames must be (B, 3 or 1, H, W), got {tuple(frames.shape)}")
        return self.corrected(frames, self.features(frames, qp, codec, frame_type))

    def features(
        self,
        frames: Tensor,
        qp: float | Tensor,
        codec: int | Tensor = UNKNOWN,
        frame_type: int | Tensor = UNKNOWN,
    ) -> Tensor:
        """The last features, which the correction is made from; arguments as :meth:`forward`.

        Returns:
            (B, width, 2·⌈H/8⌉, 2·⌈W/8⌉) in the dtype of the weights.
        """
        told = self.told(qp, codec, frame_type, frames.device)
        features = activate(self.head(self.bands(frames)), _SLOPE)
        for block in self.before:
            features = block(features, *told)
        deep = activate(self.down(features), _SLOPE)
        for block in self.deep:
            deep = block(deep, *told)
        features = add_to(F.pixel_shuffle(self.up(deep), 2), features)
        for block in self.after:
            features = block(features, *told)
        return features

    def corrected(self, frames: Tensor, features: Tensor) -> Tensor:
        """The frames with the correction that is made from their :meth:`features`."""
        channels, height, width = frames.shape[1:]
        correction = self.correction(self.output(features).to(frames.dtype), channels)
        return frames + correction[..., :height, :width]

    def told(
        self,
        qp: float | Tensor,
        codec: int | Tensor,
        frame_type: int | Tensor,
        device: torch.device,
    ) -> tuple[float | Tensor, int | Tensor, int | Tensor]:
        """QP, codec and type of frame as blocks take them.

        Raises:
            ValueError: a number is no code.
        """
        codec = _codes("codec", codec, CODECS, device)
        frame_type = _codes("frame_type", frame_type, FRAME_TYPES, device)
        return self._qp_told(qp, codec, frame_type), codec, frame_type

    def _qp_told(
        self, qp: float | Tensor, codec: int | Tensor, frame_type: int | Tensor
    ) -> float | Tensor:
        """QPs as :class:`CodingGains` takes them."""
        low, high = self.qps[0], self.qps[-1]
        if not isinstance(qp, Tensor):
            return min(max(qp, low), high)
        if qp.dim() == 4:
            return qp
        if qp.dim() != 3 or qp.is_floating_point():
            return qp.clamp(low, high)
        images = [len(code) for code in (codec, frame_type) if isinstance(code, Tensor)]
        return rows_of(qp, max(images, default=1), self.transform.device)

    def bands(self, frames: Tensor, *, differences: bool = False) -> Tensor:
        """The scaled DCT of cells, (B, 1 or 3, H, W) → (B, 24, H/4, W/4), in the weights' dtype.

        Args:
            frames: in [0, 1], or differences of such.
            differences: whether they are.
        """
        channels, height, width = frames.shape[1:]
        below, right = -height % _ALIGNMENT, -width % _ALIGNMENT
        if below or right:
            frames = F.pad(frames, (0, right, 0, below), mode="replicate")
        dtype, sources = frames.dtype, (self.transform, self.scale)

        def analysis() -> Tensor:
            return (self.transform * self.scale[..., None])[:, :channels].to(dtype)

        transform = self._kept.get(("analysis", channels, dtype), sources, analysis)
        middle = None
        if not differences:
            middle = self._kept.get(
                ("middle", channels, dtype), sources, lambda: -0.5 * transform.sum((1, 2, 3))
            )
        bands: Tensor = F.conv2d(frames, transform, middle, stride=_CELL)
        return bands.to(self.head.weight.dtype)

    def correction(self, bands: Tensor, channels: int) -> Tensor:
        """(B, 24, H/4, W/4) → (B, channels, H, W): the inverse DCT, chroma spread over pixels."""
        dtype = bands.dtype

        def synthesis() -> Tensor:
            inverse = self.transform.clone()
            inverse[16:] *= 4
            return (inverse[:, :channels] * _CORRECTION_SCALE).to(dtype)

        inverse = self._kept.get(("synthesis", channels, dtype), (self.transform,), synthesis)
        return F.conv_transpose2d(bands, inverse, stride=_CELL)


def _codes(
    name: str, code: int | Tensor, known: Sequence[str], device: torch.device
) -> int | Tensor:
    """A checked code, or codes as (1) or (B), without waiting for the device."""
    if isinstance(code, Tensor):
        return code.to(device).reshape(-1)
    return whole_number(f"{name}, the place in {known},", code, 0, len(known) - 1)


@register_model
def dualres_s(
    width: int = 48,
    deep_width: int = 64,
    before: int = 4,
    deep: int = 1,
    after: int = 3,
    qps: Sequence[float] = QPS,
) -> DualResolution:
    """Ours: luma and chroma for 21 kMAC a pixel; see :class:`DualResolution` for the options."""
    return DualResolution(width, deep_width, before, deep, after, qps)


@register_model
def dualres_m(
    width: int = 64,
    deep_width: int = 96,
    before: int = 6,
    deep: int = 2,
    after: int = 5,
    qps: Sequence[float] = QPS,
) -> DualResolution:
    """Ours: three times the arithmetic of ``dualres_s``, for what it still gains."""
    return DualResolution(width, deep_width, before, deep, after, qps)
