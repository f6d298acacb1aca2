"""The inspection behind ``vqe-fast inspect``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from vqe_fast._atomic_write import atomic_write
from vqe_fast.storage.location import Location
from vqe_fast.video import FrameQP, iterate_qp
from vqe_fast.video.frames.planes import luma_view
from vqe_fast.video.media.open import open_video, pick_stream
from vqe_fast.video.media.stream_info import rate_of
from vqe_fast.video.qp.packets import VideoPackets

STDOUT = Path("-")


class CannotInspect(Exception):
    """An error in what was asked for: one sentence for the user."""


@dataclass(frozen=True)
class StreamFacts:
    """Properties of a video stream by its container; ``frame_rate`` is per second."""

    file: str
    codec: str
    width: int
    height: int
    pixel_format: str | None
    frame_rate: Fraction | None
    time_base: Fraction | None


@dataclass(frozen=True)
class Inspection:
    """A video stream and its frames, those without their blocks."""

    facts: StreamFacts
    frames: list[FrameQP]


def inspect_video(source: Location, json_to: Path | None = None) -> Inspection:
    """Reads the QPs of a video in one pass.

    Args:
        source: the video.
        json_to: file for all that is known of each frame, blocks included; ``-`` for stdout.

    Raises:
        VideoError: the source cannot be read.
        CannotInspect: the file cannot be written.
    """
    facts = _read_facts(source)
    with closing(iterate_qp(source)) as frames:
        everything: Iterable[FrameQP] = chain([next(frames)], frames)
        if json_to is not None:  # with the first frame there: a refusal leaves no file behind
            everything = _write_json(json_to, source, facts, everything)
        return Inspection(facts, [replace(f, blocks=None, block_size=None) for f in everything])


def read_frame(source: Location, number: int) -> tuple[FrameQP, npt.NDArray[np.uint8]]:
    """QPs of one frame, blocks included, and its luma, (H, W) uint8.

    Args:
        source: the video.
        number: the frame, counted from 0.

    Raises:
        VideoError: the source cannot be read.
        CannotInspect: there is no such frame, or it does not decode.
    """
    with closing(iterate_qp(source)) as frames:
        frame = next(islice(frames, number, None), None)
    if frame is None:
        raise CannotInspect(f"{source} has no frame {number}; they are counted from 0")
    with open_video(source) as container:
        packets = VideoPackets(container, pick_stream(container, source), source)
        for index, picture in enumerate(packets.frames()):
            if index == number if frame.pts is None else picture.pts == frame.pts:
                return frame, luma_view(picture.reformat(format="gray")).copy()
    raise CannotInspect(f"frame {number} of {source} does not decode; choose another one")


@contextmanager
def writing(target: Path, source: Location) -> Iterator[Path]:
    """Yields the path to write in the place of ``target``, which it replaces if all is well.

    Raises:
        CannotInspect: that fails, or it is the source.
    """
    is_here = isinstance(source, Path) and os.path.exists(target)
    if is_here and os.path.samefile(target, str(source)):
        raise CannotInspect(f"{target} is the video itself; give another name to write to")
    try:
        with atomic_write(target) as draft:
            yield draft
    except OSError as error:
        raise CannotInspect(f"{target} cannot be written: {error.strerror}") from error


def _read_facts(source: Location) -> StreamFacts:
    with open_video(source) as container:
        stream = pick_stream(container, source)
        context = stream.codec_context
        return StreamFacts(
            file=str(source),
            codec=context.codec.canonical_name,
            width=context.width,
            height=context.height,
            pixel_format=context.pix_fmt,
            frame_rate=rate_of(stream),
            time_base=stream.time_base,
        )


def _write_json(
    target: Path, source: Location, facts: StreamFacts, frames: Iterable[FrameQP]
) -> Iterator[FrameQP]:
    """Passes frames on, and writes each into ``target`` as it goes by, a line for each."""
    with _written(target, source) as text:
        separator = json.dumps(asdict(facts), default=str)[:-1] + ', "frames": [\n'
        for frame in frames:
            text.write(separator + json.dumps(vars(frame), default=np.ndarray.tolist))
            separator = ",\n"
            yield frame
        text.write("\n]}\n")


@contextmanager
def _written(target: Path, source: Location) -> Iterator[TextIO]:
    if target == STDOUT:
        if sys.stdout is None:
            raise CannotInspect("standard output is closed; give the JSON the name of a file")
        yield sys.stdout
        return
    with writing(target, source) as draft, draft.open("w", encoding="utf-8") as text:
        yield text
