"""Codes of codecs and frame types, which models take beside the QP."""

from __future__ import annotations

UNKNOWN = 0
"""The code of what is not known."""

CODECS = ("unknown", "h264", "hevc", "vp9", "av1")
"""FFmpeg's names of the codecs that have a code of their own: their places here."""

FRAME_TYPES = ("?", "I", "P", "B")
"""Types of frames: their places here are their codes."""


def codec_code(name: str) -> int:
    """The code of a codec by FFmpeg's name; :data:`UNKNOWN` for others."""
    return CODECS.index(name) if name in CODECS else UNKNOWN


def frame_type_code(letter: str) -> int:
    """The code of a frame's type by its letter; :data:`UNKNOWN` for others."""
    return FRAME_TYPES.index(letter) if letter in FRAME_TYPES else UNKNOWN
