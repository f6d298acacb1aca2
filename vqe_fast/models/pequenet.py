"""PeQuENet (Zhang et al.): attention to two neighbouring frames and adaptation to the QP."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast.models.pequenet_alignment import Alignment, DeformableAlignment, aligned_by_flow
from vqe_fast.models.registry import ModelSpec, register_model
from vqe_fast.models.spynet import SPyNet
from vqe_fast.models.vgg import VGG
from vqe_fast.nn import CrossFrameAttention, QPModulatedConv2d, QPModulation
from vqe_fast.weights.trunks import trunk_features

NEIGHBOURS = ("previous", "following")
SCALES = (3, 4, 5)
"""The stages of VGG19 whose first features are attended to."""

COLUMN_WIDTH = 320
"""Pixels of a column with ``attention="columns"``, as in the released inference for 1080p."""

_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu5_4")
_TAP_OF_SCALE = {3: 2, 4: 3, 5: 4}
_SMALLEST = 16


class Configuration(NamedTuple):
    """Configuration of the generator: its components, Table VI.

    Attributes:
        branches: of the decoder, ``"previous"`` (the paper's second) and ``"following"`` (first).
        attention_blocks: 1 to 6 from the left to the right of Fig. 2: odd ones attend to the
            previous frame, even ones to the following one, at scales 3, 3, 4, 4, 5, 5.
        qp_adaptation: whether the QP modulates the head.
    """

    branches: tuple[str, ...]
    attention_blocks: tuple[int, ...]
    qp_adaptation: bool


CONFIGURATIONS = {
    "A": Configuration(("previous",), (), False),
    "B": Configuration(("previous",), (), True),
    "C": Configuration(("previous",), (1,), True),
    "D": Configuration(("previous",), (1, 3), True),
    "E": Configuration(("previous",), (1, 3, 5), True),
    "F": Configuration(NEIGHBOURS, (1, 3, 5), True),
    "G": Configuration(NEIGHBOURS, (1, 2, 3, 5), True),
    "H": Configuration(NEIGHBOURS, (1, 2, 3, 4, 5), True),
    "I": Configuration(NEIGHBOURS, (1, 2, 3, 4, 5, 6), True),
}
"""The paper's configurations; I is PeQuENet."""


class FrameFeatures(NamedTuple):
    """VGG19 features of a frame: six taps, 64 to 512 channels, at 1 to 1/16 of its size.

    ``luma`` is the frame itself, (B, 1, H, W), which flow is found from.
    """

    relu1_1: Tensor
    relu2_1: Tensor
    relu3_1: Tensor
    relu4_1: Tensor
    relu5_1: Tensor
    relu5_4: Tensor
    luma: Tensor


class _DecoderBlock(nn.Module):
    """conv, ReLU, twice the size, concatenation with the skip, conv, ReLU."""

    def __init__(self, entering: int, leaving: int, beside: int = 0) -> None:
        super().__init__()
        self.before = nn.Conv2d(entering + beside, entering, 3, padding=1)
        self.after = nn.Conv2d(entering + leaving, leaving, 3, padding=1)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        inplace = not torch.is_grad_enabled()
        features = F.relu(self.before(features), inplace)
        features = F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=True)
        below, right = (a - b for a, b in zip(skip.shape[-2:], features.shape[-2:], strict=True))
        margins = (right // 2, right - right // 2, below // 2, below - below // 2)
        if any(margins):
            features = F.pad(features, margins)
        return F.relu(self.after(torch.cat((skip, features), dim=1)), inplace)


class _Branch(nn.Module):
    """Decodes a frame's features with what was found in a neighbour; Fig. 2.

    What attention finds is added to them; what other alignments find stands beside them (IV-F).
    """

    def __init__(self, scales: Collection[int], alignment: Alignment, downsample: int) -> None:
        super().__init__()
        channels = {3: 256, 4: 512, 5: 512}
        attending = scales if alignment == "attention" else ()
        self.attention = nn.ModuleDict(
            {
                str(scale): CrossFrameAttention(channels[scale], downsample=downsample)
                for scale in attending
            }
        )
        deforming = scales if alignment == "deformable" else ()
        self.deformable = nn.ModuleDict(
            {str(scale): DeformableAlignment(channels[scale]) for scale in deforming}
        )
        self.beside = () if alignment == "attention" else tuple(scales)
        wider = [channels[scale] if scale in self.beside else 0 for scale in (5, 4, 3)]
        sizes = (512, 512, 256, 128, 64)
        self.decoder = nn.ModuleList(map(_DecoderBlock, sizes[:-1], sizes[1:], (*wider, 0)))

    def forward(
        self, target: FrameFeatures, reference: FrameFeatures, flow: Tensor | None = None
    ) -> Tensor:
        features = target.relu5_4
        skips = (target.relu4_1, target.relu3_1, target.relu2_1, target.relu1_1)
        for block, skip, scale in zip(self.decoder, skips, (5, 4, 3, None), strict=True):
            if str(scale) in self.attention:
                tap = _TAP_OF_SCALE[scale]  # type: ignore[index]
                features = features + self.attention[str(scale)](target[tap], reference[tap])
            elif scale in self.beside:
                aligned = self._aligned(scale, target, reference, flow)
                features = torch.cat((features, aligned), dim=1)
            features = block(features, skip)
        return features

    def _aligned(
        self, scale: int, target: FrameFeatures, reference: FrameFeatures, flow: Tensor | None
    ) -> Tensor:
        tap = _TAP_OF_SCALE[scale]
        if flow is not None:
            return aligned_by_flow(reference[tap], flow)
        aligned: Tensor = self.deformable[str(scale)](target[tap], reference[tap])
        return aligned


class _Head(nn.Module):
    """The QP-conditional adaptation module, Fig. 4; one convolution without adaptation."""

    def __init__(self, channels: int, qps: Sequence[float] | None) -> None:
        super().__init__()
        if qps is None:
            self.output: nn.Conv2d = nn.Conv2d(channels, 1, 3, padding=1)
            return
        self.modulation = QPModulation(len(qps), 64, qps=qps)
        self.input = nn.Conv2d(channels, 64, 3, padding=1)
        self.hidden = nn.ModuleList(QPModulatedConv2d(64, 64, 3, padding=1) for _ in range(2))
        self.output = QPModulatedConv2d(64, 1, 3, padding=1)

    def forward(self, features: Tensor, qp: float | Tensor | None) -> Tensor:
        if not isinstance(self.output, QPModulatedConv2d):
            return torch.tanh(self.output(features))
        if qp is None:
            raise ValueError("qp must be given: this model adapts to it")
        gains = self.modulation.gains(qp)
        features = self.input(features)
        for conv in (*self.hidden, self.output):
            features = conv(features, gains, activation="relu", inplace=not torch.is_grad_enabled())
        return torch.tanh(features)


class PeQuENet(nn.Module):
    """The generator of section III-A: 26,329,281 trainable parameters, 46,353,665 with VGG19.

    Luma in [0, 1], repeated to three channels and not normalised, goes through a frozen VGG19. Of
    each neighbour, attention finds what resembles the frame at three scales; two decoders bring it
    back to the frame's size, and a head that the QP modulates gives the enhanced luma. It is not a
    correction to the input: the tanh is the result. At the ends of a video a missing neighbour is
    the frame itself.

    Where the paper is silent, the released code decides: ReLU before the gains (as good as after
    them, they are positive), bilinear interpolation with aligned corners, zero padding to the size
    of the skip. Its inference cuts large frames into columns and enhances each by itself;
    ``attention="columns"`` does that, for figures to compare with. QPs other than those of the
    table are interpolated, and maps of QPs are taken: that is ours.

    Args:
        configuration: A to I of Table VI; I is the proposed network. The next three override it.
        branches: of the decoder: ``"previous"``, ``"following"`` or both.
        attention_blocks: which of the six there are; see :class:`Configuration`.
        qp_adaptation: whether there is a head for the QP.
        attention_downsample: the factor of section IV-G-1, 1, 2, 4 or 6 there; features are
            averaged by it before they attend (the paper does not say how).
        attention: ``"exact"`` over the whole frame, or ``"columns"`` of 320 pixels.
        alignment: ``"attention"``, or what section IV-F puts in the place of each of its blocks:
            ``"deformable"`` convolution, or warping by ``"flow"``, see
            :mod:`vqe_fast.models.pequenet_alignment`. The paper's flow is that of published
            weights (``load_published(model.spynet, file)``) and stays as it is; here it is learnt
            with the rest, from none, unless training freezes ``spynet``.
        qps: the QPs that have an entry in the table.
        vgg: ``"random"``, ``"published"`` or a file with VGG19's weights; see
            :func:`vqe_fast.weights.trunks.trunk_features`.

    Raises:
        ValueError: an option is unknown or does not fit another.
        WeightsError: VGG19's weights are asked for and cannot be had.
    """

    def __init__(
        self,
        configuration: str = "I",
        *,
        branches: Collection[str] | None = None,
        attention_blocks: Collection[int] | None = None,
        qp_adaptation: bool | None = None,
        attention_downsample: int = 1,
        attention: str = "exact",
        alignment: Alignment = "attention",
        qps: Sequence[float] = (22, 27, 32, 37),
        vgg: str | Path = "random",
    ) -> None:
        super().__init__()
        if attention not in ("exact", "columns"):
            raise ValueError(f"attention must be exact or columns, got {attention!r}")
        _refuse_alignment(alignment, attention_downsample)
        chosen = _chosen(configuration, branches, attention_blocks, qp_adaptation)
        self.configuration = chosen
        self.attention = attention
        self.vgg = VGG(19)
        del self.vgg.features[36:]  # the last pooling, which nothing sees
        if vgg != "random":
            state = trunk_features("vgg19", None if vgg == "published" else vgg)
            self.vgg.load_state_dict(state)
        self.vgg.requires_grad_(False)
        self.branches = nn.ModuleDict(
            {
                neighbour: _Branch(_scales(chosen, neighbour), alignment, attention_downsample)
                for neighbour in chosen.branches
            }
        )
        self.spynet = SPyNet() if alignment == "flow" else None
        self.head = _Head(64 * len(self.branches), qps if chosen.qp_adaptation else None)
        self.spec = ModelSpec(
            planes="y",
            temporal_radius=1,
            recurrent=False,
            takes_qp=chosen.qp_adaptation,
            receptive_field=0,
            alignment=_SMALLEST,
            value_range=(0.0, 1.0),
            casts_inputs=True,
        )

    def forward(self, frames: Tensor, qp: float | Tensor | None = None) -> Tensor:
        """Enhances the frame in the middle.

        Args:
            frames: (B, 3, 1, H, W): the previous, the current and the following frame, luma in
                [0, 1], H and W at least 16.
            qp: of the current frame: a number, (B), or a map (B, h, w) no finer than the frame;
                needed unless the model has no adaptation.

        Returns:
            (B, 1, H, W), in (−1, 1), not clamped.

        Raises:
            ValueError: ``frames`` has another shape or is too small, or ``qp`` is missing.
        """
        if frames.dim() != 5 or frames.shape[1:3] != (3, 1):
            raise ValueError(f"frames must be (B, 3, 1, H, W), got {tuple(frames.shape)}")
        previous, current, following = (self.features(frame) for frame in frames.unbind(1))
        return self.enhance(previous, current, following, qp)

    def features(self, luma: Tensor) -> list[FrameFeatures]:
        """What :meth:`enhance` needs of a frame, for itself or as a neighbour.

        Args:
            luma: (B, 1, H, W), values in [0, 1].

        Returns:
            The features of the frame, or of each of its columns.

        Raises:
            ValueError: ``luma`` has another shape or is too small.
        """
        if luma.dim() != 4 or luma.shape[1] != 1:
            raise ValueError(f"luma must be (B, 1, H, W), got {tuple(luma.shape)}")
        if min(luma.shape[-2:]) < _SMALLEST:
            raise ValueError(
                f"luma must be at least {_SMALLEST}×{_SMALLEST}, "
                f"got {luma.shape[-2]}×{luma.shape[-1]}"
            )
        columns = luma.split(self._column_widths(luma.shape[-1]), dim=-1)
        weight = self.vgg.features[0].weight
        return [
            FrameFeatures._make(
                (*self.vgg(column.to(weight.dtype).expand(-1, 3, -1, -1), _TAPS), column)
            )
            for column in columns
        ]

    def enhance(
        self,
        previous: list[FrameFeatures],
        current: list[FrameFeatures],
        following: list[FrameFeatures],
        qp: float | Tensor | None = None,
    ) -> Tensor:
        """Enhances a frame from :meth:`features` of three.

        Args:
            previous: of the frame before, or again of the frame itself.
            current: of the frame.
            following: of the frame after, or again of the frame itself.
            qp: as in :meth:`forward`.

        Returns:
            (B, 1, H, W) in the dtype of the weights.
        """
        neighbours = {"previous": previous, "following": following}
        widths = [column.relu1_1.shape[-1] for column in current]
        enhanced = []
        for index, column in enumerate(current):
            decoded = [
                branch(column, neighbours[name][index], self._flow(column, neighbours[name][index]))
                for name, branch in self.branches.items()
            ]
            of_column = _qp_of_column(qp, widths, index)
            enhanced.append(self.head(torch.cat(decoded, dim=1), of_column))
        return torch.cat(enhanced, dim=-1)

    def attention_maps(
        self, frames: Tensor, pixels: Sequence[tuple[int, int]], scale: int = 3
    ) -> dict[str, Tensor]:
        """Where some pixels look in each neighbour, as in Fig. 9.

        Args:
            frames: (B, 3, 1, H, W).
            pixels: rows and columns in the frame.
            scale: 3, 4 or 5: attention at a quarter, an eighth, a sixteenth of the frame's size.

        Returns:
            For each neighbour that is attended to at this scale, (B, P, h, w) of sum 1 each.

        Raises:
            ValueError: the model has columns, there is no attention at this scale, or a pixel lies
                outside.
        """
        if self.attention != "exact":
            raise ValueError("attention maps are of the whole frame: use attention='exact'")
        features = [self.features(frame)[0] for frame in frames.unbind(1)]
        found = {}
        for name, branch in self.branches.items():
            blocks = cast(_Branch, branch).attention
            if str(scale) not in blocks:
                continue
            block, tap = cast(CrossFrameAttention, blocks[str(scale)]), _TAP_OF_SCALE[scale]
            reference = features[0 if name == "previous" else 2][tap]
            step = 2 ** (scale - 1) * block.downsample
            positions = torch.tensor(pixels, device=frames.device) // step
            found[name] = block.weights(features[1][tap], reference, positions)
        if not found:
            raise ValueError(f"this model attends to nothing at scale {scale}")
        return found

    def stream(self) -> PeQuENetStream:
        """The same for a video that comes frame by frame."""
        return PeQuENetStream(self)

    def _flow(self, current: FrameFeatures, reference: FrameFeatures) -> Tensor | None:
        """From a frame to a neighbour, where features are aligned by it."""
        if self.spynet is None:
            return None
        frames = (each.luma.expand(-1, 3, -1, -1) for each in (current, reference))
        flow: Tensor = self.spynet(*frames)
        return flow

    def _column_widths(self, width: int) -> list[int]:
        if self.attention == "exact" or width <= COLUMN_WIDTH:
            return [width]
        count = width // COLUMN_WIDTH
        widths = [COLUMN_WIDTH] * count
        rest = width - sum(widths)
        if rest >= _SMALLEST:
            widths.append(rest)
        else:
            widths[-1] += rest
        return widths


class PeQuENetStream:
    """Streaming inference of a video, frame by frame; VGG19 sees each frame once.

    The state is the features of the last two frames.
    """

    def __init__(self, model: PeQuENet) -> None:
        self._model = model
        self._previous: list[FrameFeatures] | None = None
        self._waiting: tuple[list[FrameFeatures], float | Tensor | None] | None = None

    def push(self, luma: Tensor, qp: float | Tensor | None = None) -> Tensor | None:
        """Takes the next frame, gives the enhanced one before it.

        Args:
            luma: (B, 1, H, W), values in [0, 1].
            qp: of this frame, as in :meth:`PeQuENet.forward`.

        Returns:
            (B, 1, H, W), or nothing for the first frame.
        """
        features = self._model.features(luma)
        enhanced = self._enhanced(features)
        self._previous = features if self._waiting is None else self._waiting[0]
        self._waiting = features, qp
        return enhanced

    def flush(self) -> Tensor | None:
        """The last enhanced frame, or nothing if there was none; then a new video may begin."""
        if self._waiting is None:
            return None
        enhanced = self._enhanced(self._waiting[0])
        self._waiting = self._previous = None
        return enhanced

    def _enhanced(self, following: list[FrameFeatures]) -> Tensor | None:
        if self._waiting is None or self._previous is None:
            return None
        current, qp = self._waiting
        return self._model.enhance(self._previous, current, following, qp)


@register_model
def pequenet(
    configuration: str = "I",
    branches: Collection[str] | None = None,
    attention_blocks: Collection[int] | None = None,
    qp_adaptation: bool | None = None,
    attention_downsample: int = 1,
    attention: str = "exact",
    alignment: Alignment = "attention",
    qps: Sequence[float] = (22, 27, 32, 37),
    vgg: str | Path = "random",
) -> PeQuENet:
    """PeQuENet's generator; see :class:`PeQuENet` for the options."""
    return PeQuENet(
        configuration,
        branches=branches,
        attention_blocks=attention_blocks,
        qp_adaptation=qp_adaptation,
        attention_downsample=attention_downsample,
        attention=attention,
        alignment=alignment,
        qps=qps,
        vgg=vgg,
    )


HEADS = ("QENet", "QPNet")
"""What the authors' code calls the head: since January 2022, and before."""


def published_name(name: str, head: str = HEADS[0]) -> str:
    """Name of a weight of :class:`PeQuENet` in the authors' code, which calls the head ``head``."""
    part, *middle, kind = name.split(".")
    if part == "vgg":
        # Their layers are numbered as VGG19's are, in a group for each tap.
        tap = next(tap for tap, end in _ENDS_OF_TAPS.items() if int(middle[1]) < end)
        return f"features.to_relu_{tap}.{middle[1]}.{kind}"
    if part == "head":
        return f"{head}.{_PUBLISHED_NAMES['.'.join(middle)]}.{kind}"
    if part == "spynet" or "deformable" in middle:
        return name  # of which they publish none
    neighbour, module, number, conv = middle
    place = f"att{number}" if module == "attention" else f"dec{4 - int(number)}"
    return f"{place}_{_PUBLISHED_NAMES[neighbour]}.{_PUBLISHED_NAMES[conv]}.{kind}"


_ENDS_OF_TAPS = {"1_1": 2, "2_1": 7, "3_1": 12, "4_1": 21, "5_1": 30, "5_4": 36}
_PUBLISHED_NAMES = {
    "query": "proj_tgt",
    "key": "proj_ref",
    "before": "conv1",
    "after": "conv2",
    "input": "in_conv",
    "hidden.0": "hid_conv1",
    "hidden.1": "hid_conv2",
    "output": "out_conv",
    "modulation": "fc.0",
    "previous": "minus",
    "following": "plus",
}


def _chosen(
    configuration: str,
    branches: Collection[str] | None,
    attention_blocks: Collection[int] | None,
    qp_adaptation: bool | None,
) -> Configuration:
    if configuration not in CONFIGURATIONS:
        raise ValueError(
            f"configuration must be one of {', '.join(CONFIGURATIONS)}; got {configuration!r}"
        )
    known = CONFIGURATIONS[configuration]
    chosen = Configuration(
        known.branches if branches is None else tuple(n for n in NEIGHBOURS if n in branches),
        known.attention_blocks if attention_blocks is None else tuple(sorted(attention_blocks)),
        known.qp_adaptation if qp_adaptation is None else qp_adaptation,
    )
    if branches is not None and (not branches or not set(branches) <= set(NEIGHBOURS)):
        raise ValueError(f"branches must be some of {', '.join(NEIGHBOURS)}; got {branches}")
    if not set(chosen.attention_blocks) <= set(range(1, 7)):
        raise ValueError(f"attention_blocks must be some of 1 to 6, got {attention_blocks}")
    needless = [
        number
        for number in chosen.attention_blocks
        if NEIGHBOURS[(number - 1) % 2] not in chosen.branches
    ]
    if needless:
        raise ValueError(
            f"attention block {needless[0]} belongs to the branch "
            f"{NEIGHBOURS[(needless[0] - 1) % 2]!r}, which is not there"
        )
    return chosen


def _refuse_alignment(alignment: Alignment, attention_downsample: int) -> None:
    if alignment not in get_args(Alignment):
        raise ValueError(
            f"alignment must be one of {', '.join(get_args(Alignment))}; got {alignment!r}"
        )
    if alignment != "attention" and attention_downsample != 1:
        raise ValueError(f"attention_downsample must be 1 with alignment={alignment!r}")


def _scales(chosen: Configuration, neighbour: str) -> list[int]:
    odd = neighbour == "previous"
    return [SCALES[(n - 1) // 2] for n in chosen.attention_blocks if (n % 2 == 1) == odd]


def _qp_of_column(
    qp: float | Tensor | None, widths: list[int], index: int
) -> float | Tensor | None:
    """The QPs of a column: of a map the part that lies over it."""
    if not isinstance(qp, Tensor) or qp.dim() != 3 or len(widths) == 1:
        return qp
    start, end, whole = sum(widths[:index]), sum(widths[: index + 1]), sum(widths)
    places = torch.arange(start, end, device=qp.device) * qp.shape[-1] // whole
    return qp.index_select(-1, places)
