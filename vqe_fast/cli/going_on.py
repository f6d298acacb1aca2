"""What an interrupted enhancement leaves, and how to go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vqe_fast.cli.pipes import PIPE
from vqe_fast.storage.location import Location, exists
from vqe_fast.video.media.output_name import in_each_container
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.segments.parts_folder import parts_path


def after_one(source: Location, target: Location, options: Mapping[str, Any]) -> str:
    """The sentence after an interruption of the enhancement of one file.

    Args:
        source: the file that was read, or ``-``.
        target: the file that was to be written, or ``-``.
        options: of :func:`vqe_fast.video.enhance_video`.
    """
    if PIPE in (source, target):
        return f"interrupted, {target} was not written"
    names = [target] if options["container"] == "given" else in_each_container(target)
    kept = next((path for path in map(parts_path, names) if exists(path)), None)
    if kept is not None:
        return (
            f"interrupted, {kept.name} holds what is finished; the same command {_again(options)}"
        )
    if keeps_parts(options):
        return f"interrupted, {target} was not written, as no segment of it was finished yet"
    hint = "; --segment-seconds 30 keeps finished parts, for --resume to go on with"
    return f"interrupted, {target} was not written{hint if may_keep_parts(options) else ''}"


def after_several(target: Location, options: Mapping[str, Any]) -> str:
    """The sentence after an interruption of the enhancement of several files into ``target``."""
    if not may_keep_parts(options):
        return f"interrupted, {target} lacks files"
    anew = ", without --overwrite" if options["overwrite"] else ""  # which does them all again
    return f"interrupted, {target} lacks files; the same command {_again(options)}{anew}"


def _again(options: Mapping[str, Any]) -> str:
    return "goes on" if options["resume"] else "with --resume goes on"


def keeps_parts(options: Mapping[str, Any]) -> bool:
    """Whether a run is one in segments."""
    names = (each.name for each in fields(SegmentOptions))
    return SegmentOptions(**{name: options[name] for name in names if name in options}).is_asked_for


def may_keep_parts(options: Mapping[str, Any]) -> bool:
    """Whether a run could be one in segments."""
    return options["frames"] is None and not options["start"]
