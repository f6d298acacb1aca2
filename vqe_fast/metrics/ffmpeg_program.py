"""The program ``ffmpeg`` that measures: the user's where it can, else a package's."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vqe_fast.metrics.ffmpeg_measures import VMAF_MODELS, XPSNR, FFmpegMeasure, versions_of

VARIABLE = "VQE_FAST_FFMPEG"
"""Environment variable that names the program."""


def ffmpeg_measure(names: Sequence[str]) -> FFmpegMeasure:
    """Measures by the first program that has their filters.

    These are the one that ``VQE_FAST_FFMPEG`` names, or else the ``ffmpeg`` of the search path and
    that of the package ``imageio-ffmpeg``. Each is tried on two small frames.

    Args:
        names: of ``vmaf``, ``vmaf_neg`` and ``xpsnr``.

    Raises:
        ValueError: none has them.
    """
    named = os.environ.get(VARIABLE)
    programs, advice = ([named], f"name another in {VARIABLE}") if named else _found()
    refused = []
    for program in programs:
        path = shutil.which(program) or program
        try:
            with tempfile.TemporaryDirectory(prefix="vqe-fast-") as folder:
                versions = versions_of(os.path.abspath(path), names, Path(folder))
        except ValueError as error:
            refused.append(str(error))
        else:
            return FFmpegMeasure(os.path.abspath(path), tuple(names), versions)
    why = f" ({'; '.join(refused)})" if refused else ""
    raise ValueError(f"{', '.join(names)} needs an ffmpeg with {_wanted(names)}{why}: {advice}")


def _found() -> tuple[list[str], str]:
    """The user's program and the package's, where they are there, and what to do if none will."""
    name_one = f"name one in {VARIABLE}"
    users = shutil.which("ffmpeg")
    programs = [] if users is None else [users]
    try:
        package = importlib.import_module("imageio_ffmpeg")
    except ImportError:
        return programs, f"pip install imageio-ffmpeg, or {name_one}"
    try:
        programs.append(package.get_ffmpeg_exe())
    except RuntimeError:  # the package has no program for this machine
        return programs, name_one
    return list(dict.fromkeys(programs)), f"pip install --upgrade imageio-ffmpeg, or {name_one}"


def _wanted(names: Sequence[str]) -> str:
    filters = ["libvmaf"] if not VMAF_MODELS.keys().isdisjoint(names) else []
    filters += ["xpsnr"] if XPSNR in names else []
    return f"the filter{'s' if len(filters) > 1 else ''} {' and '.join(filters)}"
