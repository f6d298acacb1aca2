"""VMAF and XPSNR, by the filters of a program ``ffmpeg``."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from vqe_fast.metrics.averages import BEST_PSNR
from vqe_fast.metrics.measure import ClipFacts, Found, Shown

VMAF_MODELS = {"vmaf": "vmaf_v0.6.1", "vmaf_neg": "vmaf_v0.6.1neg"}
"""Measures by the filter ``libvmaf`` → the model, which the library has built in."""

XPSNR = "xpsnr"
"""The measure by the filter of that name."""

_SMALLEST_VMAF = 32
"""Shorter side in pixels; the coarsest of VMAF's scales is empty at 16, and the filter crashes."""

_SMALLEST_XPSNR = 2025
"""Area in pixels below which a block of XPSNR has none, and the filter gives plain PSNR."""

_VMAF_LOG, _XPSNR_LOG, _ERRORS = "vmaf.json", "xpsnr.txt", "errors.txt"


@dataclass(frozen=True)
class FFmpegMeasure:
    """Measures of luma by filters of a program, all asked for in one pass over the clip.

    Frames go to the program through one pipe, the restored above the original in each picture, and
    its filters cut them apart: nothing waits for anything but the program's own pace, and memory
    does not depend on the length of the clip.

    Attributes:
        program: its path.
        names: of ``vmaf``, ``vmaf_neg`` and ``xpsnr``.
        versions: of the program and its library.
    """

    program: str
    names: tuple[str, ...]
    versions: Mapping[str, str]

    def identity(self) -> Mapping[str, Any]:
        """Each measure's program, library and model."""
        program = {"ffmpeg": self.versions["ffmpeg"]}
        library = {"libvmaf": self.versions.get("libvmaf", "")}
        return {
            name: program | (library | {"model": VMAF_MODELS[name]} if name in VMAF_MODELS else {})
            for name in self.names
        }

    @contextmanager
    def of_clip(self, facts: ClipFacts) -> Iterator[FFmpegMeter]:
        """A measurement; what frames are too small for has no figure."""
        with tempfile.TemporaryDirectory(dir=facts.folder, prefix="measure-") as folder:
            meter = FFmpegMeter(self.program, self.names, facts, Path(folder))
            try:
                yield meter
            finally:
                meter.end()


class FFmpegMeter:
    """Measurement of a clip by a process that is told its frames.

    Args:
        program: its path.
        names: of the measures.
        facts: of the clip.
        folder: for logs, empty.

    Raises:
        ValueError: the program cannot be run.
    """

    def __init__(self, program: str, names: Sequence[str], facts: ClipFacts, folder: Path) -> None:
        self._program, self._names, self._folder = program, names, folder
        self._count = 0
        self._shape = facts.height, facts.width
        self._is_odd = facts.height % 2 == 1
        self._process: subprocess.Popen[bytes] | None = None
        filters = _filters(names, facts)
        if filters:
            with (folder / _ERRORS).open("wb") as errors:
                self._process = _started(_command(program, filters, facts), folder, errors)

    def add(self, frame: Shown, original: Shown) -> None:
        """Hands a frame and its original to the program.

        Raises:
            ValueError: one has another size than the clip, or the program has ended.
        """
        shapes = [each.planes[0].shape for each in (frame, original)]
        if shapes != [self._shape] * 2:
            raise ValueError(f"luma must be {self._shape}, got {shapes[0]} and {shapes[1]}")
        self._count += 1
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            for index, pair in enumerate(zip(frame.planes, original.planes, strict=True)):
                for plane in pair:
                    self._process.stdin.write(np.ascontiguousarray(plane).data)
                    if index == 0 and self._is_odd:
                        self._process.stdin.write(bytes(plane.shape[1]))  # chroma has no half rows
        except BrokenPipeError as error:
            self._process.wait()
            raise ValueError(self._why()) from error

    def found(self) -> Found:
        """The figures.

        Raises:
            ValueError: the program failed, or measured another number of frames.
        """
        frames: dict[str, list[float | None]] = {name: [None] * self._count for name in self._names}
        clip: dict[str, float | None] = {}
        if self._process is None:
            return Found(frames)
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            self._process.wait()
            raise ValueError(self._why()) from error
        if self._process.wait():
            raise ValueError(self._why())
        if (self._folder / _VMAF_LOG).exists():
            frames |= self._vmaf()
        if (self._folder / _XPSNR_LOG).exists():
            values, clip[XPSNR] = _xpsnr((self._folder / _XPSNR_LOG).read_text("utf-8"))
            frames[XPSNR] = [*values]
        for name, column in frames.items():
            if len(column) != self._count:
                raise ValueError(
                    f"{self._program} measured {name} of {len(column)} frames for {self._count}"
                )
        return Found(frames, clip)

    def version_of_libvmaf(self) -> str:
        """Version of the library that measured VMAF, after :meth:`found`; empty if none did."""
        path = self._folder / _VMAF_LOG
        return str(json.loads(path.read_text("utf-8"))["version"]) if path.exists() else ""

    def end(self) -> None:
        """Ends the process if it still runs."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # of what it will not be told any more
            self._process.stdin.close()

    def _vmaf(self) -> dict[str, list[float | None]]:
        told = json.loads((self._folder / _VMAF_LOG).read_text("utf-8"))["frames"]
        return {
            name: [float(frame["metrics"][name]) for frame in told]
            for name in self._names
            if name in VMAF_MODELS
        }

    def _why(self) -> str:
        """Why the program ended: the first line that it complained in."""
        assert self._process is not None
        told = (self._folder / _ERRORS).read_text("utf-8", errors="replace")
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        code = self._process.returncode
        reason = re.sub(r"^\[[^]]*\] ", "", lines[0]) if lines else f"it ended with code {code}"
        return f"{self._program} cannot measure {', '.join(self._names)}: {reason}"


def versions_of(program: str, names: Sequence[str], folder: Path) -> dict[str, str]:
    """Versions of a program and its library, found by a trial of two small frames.

    Raises:
        ValueError: it cannot be run, or lacks a filter or a model that is asked for.
    """
    facts = ClipFacts(64, 64, Fraction(25), folder)
    luma = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    planes = [luma, *[np.full((32, 32), 128, np.uint8)] * 2]
    frame = Shown(planes, np.stack([luma] * 3))
    with FFmpegMeasure(program, tuple(names), {}).of_clip(facts) as meter:
        for _ in range(2):
            meter.add(frame, frame)
        meter.found()
        library = meter.version_of_libvmaf()
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    line = told.stdout.partition(" Copyright")[0].partition("\n")[0]
    return {"ffmpeg": line.removeprefix("ffmpeg version ")} | (
        {"libvmaf": library} if library else {}
    )


def _filters(names: Sequence[str], facts: ClipFacts) -> list[str]:
    """Each filter with its two inputs: those of VMAF are the other way round than XPSNR's."""
    filters = []
    models = [f"version={VMAF_MODELS[name]}\\:name={name}" for name in names if name in VMAF_MODELS]
    if models and min(facts.width, facts.height) >= _SMALLEST_VMAF:
        options = f"n_threads={torch.get_num_threads()}:log_fmt=json:log_path={_VMAF_LOG}"
        filters.append(f"[frame{{0}}][original{{0}}]libvmaf=model='{'|'.join(models)}':{options}")
    if XPSNR in names and facts.width * facts.height >= _SMALLEST_XPSNR:
        filters.append(f"[original{{0}}][frame{{0}}]xpsnr=stats_file={_XPSNR_LOG}")
    return filters


def _command(program: str, filters: Sequence[str], facts: ClipFacts) -> list[str]:
    count, height = len(filters), facts.height
    below = height + height % 2
    parts = ["[0:v]split[above][below]"]
    for name, pad, top in (("frame", "above", 0), ("original", "below", below)):
        outputs = "".join(f"[{name}{number}]" for number in range(count))
        parts.append(f"[{pad}]crop=iw:{height}:0:{top}:exact=1,split={count}{outputs}")
    parts += [f"{each.format(number)}[out{number}]" for number, each in enumerate(filters)]
    mapped = [word for number in range(count) for word in ("-map", f"[out{number}]")]
    size, rate = f"{facts.width}x{2 * below}", f"{facts.rate.numerator}/{facts.rate.denominator}"
    words = f"-hide_banner -nostats -v error -f rawvideo -pix_fmt yuv420p -video_size {size}"
    return [
        *[program, *words.split(), "-framerate", rate, "-i", "pipe:0"],
        *["-filter_complex", ";".join(parts), *mapped, "-f", "null", "-"],
    ]


def _started(words: list[str], folder: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    except OSError as error:
        raise ValueError(f"{words[0]} cannot be run: {error.strerror}") from error


def _xpsnr(told: str) -> tuple[list[float], float]:
    """XPSNR of luma of each frame and of the clip, in dB, as the filter writes them."""
    frames = re.findall(r"^n: .*?XPSNR y: +(\S+)", told, re.MULTILINE)
    average = re.search(r"^XPSNR average.* y: +(\S+)", told, re.MULTILINE)
    if average is None:
        raise ValueError("the filter xpsnr gave no average")
    values = [min(float(each), BEST_PSNR) for each in (*frames, average[1])]
    return values[:-1], values[-1]
