"""Standard streams that are closed, or whose encoding lacks characters."""

from __future__ import annotations

import codecs
import io
import os
import sys

_SPELLED = {"→": "->", "×": "x", "…": "...", "–": "-", "∞": "inf", "Δ": "d", "±": "+-"}
"""What is written for a character that the encoding lacks; for others a question mark."""

_ERRORS = "vqe-fast-spelled"


def prepare_streams() -> None:
    """Lets the program print whatever there is to print, wherever it goes.

    A name of a file that is not text goes out as the bytes that it is. Streams that are closed
    stay so, but no file that is opened gets their place, where FFmpeg's messages would go into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest that is free
    codecs.register_error(_ERRORS, _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte, as os.fsdecode puts it
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _SPELLED.get(character, "?"), error.start + 1
