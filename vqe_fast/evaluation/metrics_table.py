"""Table of metrics: their names, and how tables write them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A metric: title with unit, digits, and which way is better.

    Attributes:
        title: for tables, with the unit.
        digits: after the point.
        more_is_better: which way is up.
    """

    title: str
    digits: int
    more_is_better: bool

    def write(self, value: float | None, *, signed: bool = False) -> str:
        """A value for a table; a dash where there is none."""
        if value is None:
            return "–"
        if not signed:
            return f"{value:.{self.digits}f}"
        text = f"{value:+.{self.digits}f}"
        return text if float(text) else text.replace(text[0], "±")


FIGURES = {
    "psnr_y": Figure("PSNR, dB", 2, True),
    "ssim_y": Figure("SSIM", 4, True),
    "ms_ssim_y": Figure("MS-SSIM", 4, True),
    "psnr_u": Figure("PSNR of Cb, dB", 2, True),
    "psnr_v": Figure("PSNR of Cr, dB", 2, True),
    "psnr_rgb": Figure("PSNR of RGB, dB", 2, True),
    "ssim_rgb": Figure("SSIM of RGB", 4, True),
    "ms_ssim_rgb": Figure("MS-SSIM of RGB", 4, True),
    "fluctuation": Figure("fluctuation, dB", 3, False),
    "peak_valley": Figure("peak to valley, dB", 3, False),
    "flicker": Figure("flicker", 3, False),
    "vmaf": Figure("VMAF", 2, True),
    "vmaf_neg": Figure("VMAF NEG", 2, True),
    "xpsnr": Figure("XPSNR, dB", 2, True),
    "lpips": Figure("LPIPS", 4, False),
    "lpips_vgg": Figure("LPIPS of VGG", 4, False),
    "efficientnet_distance": Figure("EfficientNet distance", 4, False),
    "dists": Figure("DISTS", 4, False),
    "niqe": Figure("NIQE", 3, False),
    "brisque": Figure("BRISQUE", 2, False),
    "fid": Figure("FID", 2, False),
    "map": Figure("mAP@0.5", 3, True),
}
"""Name → measure; those without a suffix are of luma or of RGB as their definition says."""

CHROMA = ("psnr_u", "psnr_v")
"""The measures of chroma; its gain is the mean of theirs."""
