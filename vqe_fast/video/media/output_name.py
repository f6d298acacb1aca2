"""Names of outputs where the user gives none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import overload

from vqe_fast._atomic_write import NAME_BYTES, shortened
from vqe_fast.storage.location import Location
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


@overload
def beside(source: Path, codec: str) -> Path: ...
@overload
def beside(source: Location, codec: str) -> Location: ...
def beside(source: Location, codec: str) -> Location:
    """The output for ``source`` in its directory: ``a.enhanced.mp4`` for ``a.mp4``.

    It has the suffix of the source, or ``.mkv`` where that container does not hold ``codec``.
    """
    suffix = source.suffix if holds(source.suffix, codec) else ".mkv"
    return named_after(source, f".enhanced{suffix}")


def in_each_container(target: Location) -> list[Location]:
    """``target``, and after it the same name with each other suffix that can be written."""
    others = [suffix for suffix in FORMATS if suffix != target.suffix.lower()]
    return [target, *(target.with_suffix(suffix) for suffix in others)]


@overload
def named_after(source: Path, end: str) -> Path: ...
@overload
def named_after(source: Location, end: str) -> Location: ...
def named_after(source: Location, end: str) -> Location:
    """The file beside ``source`` that has its name, as far as there is room, and another end."""
    room = NAME_BYTES - len(os.fsencode(end))
    return source.with_name(f"{shortened(source.stem, room)}{end}")
