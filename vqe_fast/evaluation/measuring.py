"""Measurement of restored frames against the originals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from vqe_fast.data.color import Samples, luma_of, to_yuv420p
from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.detection import Detections, Detector, Matches
from vqe_fast.evaluation.metrics_table import CHROMA
from vqe_fast.evaluation.rgb import Chroma, Conversion, ToRGB, to_rgb
from vqe_fast.evaluation.row import PerFrame
from vqe_fast.metrics import Flicker, fluctuation, peak_valley_difference, psnr
from vqe_fast.metrics.averages import BEST_PSNR, mean_of_known
from vqe_fast.metrics.measure import ClipFacts, Measure, Shown
from vqe_fast.ops import ms_ssim, ssim
from vqe_fast.video.frames.planes import plane_view

_EDITION = 2
"""Counted up when the same frames get other figures, so that they are measured anew."""

_SMALLEST_SSIM = 11
_SMALLEST_MS_SSIM = 161


@dataclass(frozen=True)
class Measured:
    """Figures of a restored clip; fields as in :class:`vqe_fast.evaluation.row.Row`."""

    figures: Mapping[str, float | None]
    frames: PerFrame
    matches: Matches | None


@dataclass(frozen=True)
class Measures:
    """The measures of an evaluation, and their colours.

    Attributes:
        asked: those that were asked for by name.
        chroma: see :mod:`vqe_fast.evaluation.rgb`.
        conversion: the same.
        detector: of objects; None to do without.
        detector_name: what identifies it.
        folder: where there is room for temporary files.
    """

    asked: Sequence[Measure]
    chroma: Chroma
    conversion: Conversion
    detector: Detector | None
    detector_name: str
    folder: Path
    _truths: dict[str, list[Detections]] = field(default_factory=dict)

    def identity(self) -> Mapping[str, object]:
        """Fingerprint of all that decides about figures beside the frames, as JSON has it."""
        return {
            "edition": _EDITION,
            "asked": self.about(),
            "chroma": self.chroma,
            "conversion": self.conversion,
            "detector": self.detector_name,
        }

    def about(self) -> dict[str, Any]:
        """Name → what decides about the figure, of each measure that was asked for."""
        return {name: each for measure in self.asked for name, each in measure.identity().items()}

    def of(self, case: Case, frames: Iterable[VideoFrame]) -> Measured:
        """Measures restored frames against the originals.

        Args:
            case: the clip.
            frames: as they are compared, as many as the clip has.

        Raises:
            ValueError: the detector does not do what a detector does.
        """
        rgb = to_rgb(self.chroma, self.conversion, case.color)
        values: list[dict[str, float | None]] = []
        flicker = Flicker()
        matches = None if self.detector is None else Matches()
        truths = self._truths_of(case, rgb) if self.detector else []
        with ExitStack() as stack:
            meters = [stack.enter_context(each.of_clip(self._facts(case))) for each in self.asked]
            for number, (frame, original) in enumerate(zip(frames, case.originals(), strict=True)):
                planes = _planes(frame), _planes(original)
                luma, *chroma = zip(*(map(_tensor, each) for each in planes), strict=True)
                flicker.push(luma[0][0, 0], luma[1][0, 0])
                colours = rgb(frame, original), rgb(original, original)
                values.append(
                    _compared("y", *luma)
                    | {name: _psnr(*pair) for name, pair in zip(CHROMA, chroma, strict=True)}
                    | _compared("rgb", _tensor(colours[0]), _tensor(colours[1]))
                )
                for meter in meters:
                    meter.add(*map(Shown, planes, colours))
                if self.detector is not None and matches is not None:
                    matches.add(_detected(self.detector, colours[0]), truths[number])
            found = [meter.found() for meter in meters]
        per_frame = {name: [each[name] for each in values] for name in values[0]}
        for each in found:
            per_frame |= {name: [*column] for name, column in each.frames.items()}
        psnrs = [each["psnr_y"] or 0.0 for each in values]
        figures: dict[str, float | None] = {
            **{name: mean_of_known(column) for name, column in per_frame.items()},
            "fluctuation": fluctuation(psnrs),
            "peak_valley": peak_valley_difference(psnrs),
            "flicker": flicker.value,
        }
        for each in found:
            figures |= each.clip
        if matches is not None:
            figures["map"] = matches.mean_average_precision()
        return Measured(figures, per_frame, matches)

    def _facts(self, case: Case) -> ClipFacts:
        width, height = (side // 2 * 2 for side in case.size)  # of RGB, whose planes are 4:2:0
        return ClipFacts(width, height, case.rate / case.step, self.folder)

    def _truths_of(self, case: Case, rgb: ToRGB) -> list[Detections]:
        """What the detector finds in the originals; kept for the clip that was asked for last."""
        key = f"{case.original.sha256} {case.frames} {case.first} {case.step} {case.count}"
        if key not in self._truths:
            assert self.detector is not None
            self._truths.clear()
            self._truths[key] = [
                _detected(self.detector, rgb(original, original)) for original in case.originals()
            ]
        return self._truths[key]


def luma_psnr(case: Case, frames: Iterable[VideoFrame]) -> float:
    """PSNR of luma in dB, mean over the frames."""
    pairs = zip(frames, case.originals(), strict=True)
    return fmean(
        _psnr(_tensor(luma_of(frame)), _tensor(luma_of(original))) for frame, original in pairs
    )


def _planes(frame: VideoFrame) -> list[Samples]:
    """Y, Cb and Cr, each (h, w); of RGB by BT.709, 4:2:0."""
    if frame.format.is_rgb:
        frame = to_yuv420p(frame)
    return [plane_view(frame, index) for index in range(3)]


def _psnr(image: Tensor, original: Tensor) -> float:
    return float(psnr(image, original, peak=255, ceiling=BEST_PSNR))


def _compared(planes: str, image: Tensor, original: Tensor) -> dict[str, float | None]:
    """PSNR, SSIM and MS-SSIM of (1, C, H, W), 0 to 255; None where frames are too small."""
    side = min(image.shape[-2:])
    shown, expected = image.float() / 255, original.float() / 255
    return {
        f"psnr_{planes}": _psnr(image, original),
        f"ssim_{planes}": float(ssim(shown, expected)) if side >= _SMALLEST_SSIM else None,
        f"ms_ssim_{planes}": float(ms_ssim(shown, expected)) if side >= _SMALLEST_MS_SSIM else None,
    }


def _tensor(samples: Samples) -> Tensor:
    """(1, C, H, W) of (H, W) or (C, H, W)."""
    image = torch.tensor(samples)
    return image[None, None] if image.dim() == 2 else image[None]


def _detected(detector: Detector, rgb: Samples) -> Detections:
    return Detections.of(detector(np.ascontiguousarray(rgb.transpose(1, 2, 0))))
