"""Names of outputs where the user gives none."""

from __future__ import annotations

import os
from pathlib import Path

from vqe_fast._atomic_write import NAME_BYTES, shortened
from vqe_fast.video.media.containers import FORMATS
from vqe_fast.video.media.encoders import ENCODERS


def holds(suffix: str, codec: str) -> bool:
    """Whether a file with this suffix can be written and holds what an encoder makes.

    Args:
        suffix: of a file, such as ``.mp4``.
        codec: of :data:`ENCODERS`; of ``source`` and unknown ones nothing is known yet.
    """
    able = ENCODERS[codec].suffixes if codec in ENCODERS else tuple(FORMATS)
    return suffix.lower() in FORMATS and suffix.lower() in able


def beside(source: Path, codec: str) -> Path:
    """The output for ``source`` in its directory: ``a.enhanced.mp4`` for ``a.mp4``.

    It has the suffix of the source, or ``.mkv`` where that container does not hold ``codec``.
    """
    suffix = source.suffix if holds(source.suffix, codec) else ".mkv"
    return named_after(source, f".enhanced{suffix}")


def in_each_container(target: Path) -> list[Path]:
    """``target``, and after it the same name with each other suffix that can be written."""
    others = [suffix for suffix in FORMATS if suffix != target.suffix.lower()]
    return [target, *(target.with_suffix(suffix) for suffix in others)]


def named_after(source: Path, end: str) -> Path:
    """The file beside ``source`` that has its name, as far as there is room, and another end."""
    room = NAME_BYTES - len(os.fsencode(end))
    return source.with_name(f"{shortened(source.stem, room)}{end}")
