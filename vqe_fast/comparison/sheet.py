"""Sheets: PNGs composed of pictures, pixel for pixel, and text."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from vqe_fast.comparison.footage import Pixels
from vqe_fast.video.errors import VideoError

INK, MUTED = "#1f2430", "#5c6370"
LETTER_WIDTH = 8
"""Pixels that a letter of the text takes at most, on average."""

_DPI = 100


class Sheet:
    """An empty white picture; positions are in pixels from its top left.

    Raises:
        VideoError: there is no matplotlib.
    """

    def __init__(self, width: int, height: int) -> None:
        if find_spec("matplotlib") is None:
            raise VideoError("a picture needs matplotlib: pip install matplotlib")
        from matplotlib.figure import Figure

        self._height = height
        self._figure = Figure((width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")

    def picture(self, pixels: Pixels, left: int, top: int) -> None:
        """Draws a picture, (H, W, 3), with its top left at a position."""
        bottom = self._height - top - pixels.shape[0]
        self._figure.figimage(pixels, left, bottom, origin="upper")

    def text(self, text: str, left: int, top: int, *, bold: bool = False) -> None:
        """Draws a line of text, 16 pixels high, bold or muted."""
        width, height = self._figure.get_size_inches() * _DPI
        self._figure.text(
            left / width,
            1 - top / height,
            text,
            va="top",
            fontsize=9.5,
            fontweight="bold" if bold else "normal",
            color=INK if bold else MUTED,
            parse_math=False,
        )

    def save(self, path: Path) -> None:
        """Writes the PNG."""
        self._figure.savefig(path, dpi=_DPI, format="png")


def shortened(name: str, width: int) -> str:
    """``name``, without its middle where it would be wider than so many pixels."""
    room = max(width // LETTER_WIDTH, 8)
    if len(name) <= room:
        return name
    return f"{name[: room // 2 - 1]}…{name[len(name) - (room - room // 2) :]}"
