"""Restorers that are programs: any that turns a file into a file, and FFmpeg's ``spp``."""

from __future__ import annotations

import functools
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqe_fast.data.clips import stored_frames
from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.restorer import Timed, Tuned, Work
from vqe_fast.evaluation.store import FrameStore

_STRENGTHS = (1, 2, 4, 6, 9, 13, 18, 25)
"""Of ``spp``'s 0 to 63: from a touch to more than helps at the coarsest settings."""

_FULLEST = 6
"""``spp``'s best quality: all 64 shifts."""


@dataclass(frozen=True)
class Command:
    """Restorer by a program that reads a file and writes another.

    Attributes:
        words: the program and its arguments, in which ``{input}`` and ``{output}`` stand for the
            files; the output is a Matroska file.

    Raises:
        ValueError: one of the two is missing, or there is no such program.
    """

    words: tuple[str, ...]
    planes: str = "the file"
    timed: Timed = "command"

    def __post_init__(self) -> None:
        line = shlex.join(self.words)
        for place in ("{input}", "{output}"):
            if place not in " ".join(self.words):
                raise ValueError(f"the command {line} lacks {place}: say where the file goes")
        if shutil.which(self.words[0]) is None:
            raise ValueError(f"there is no program {self.words[0]}: install it, or give its path")

    def identity(self, case: Case) -> Mapping[str, Any]:
        """The words of the command."""
        return {"kind": "command", "words": list(self.words)}

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Runs the program, and reads the file that it wrote."""
        with tempfile.TemporaryDirectory(prefix="vqe-fast-") as folder:
            output = Path(folder) / "restored.mkv"
            with case.video_file(cut=True) as path:
                places = {"{input}": str(path), "{output}": str(output)}
                start = time.perf_counter()
                _run([_filled(word, places) for word in self.words])
                seconds = time.perf_counter() - start
            if not output.exists():
                raise ValueError(f"{self.words[0]} ended well but wrote no {{output}}")
            for frame in stored_frames(output):
                frames.append(frame)
        return Work(seconds)


@dataclass(frozen=True)
class Spp:
    """Restorer by FFmpeg's filter ``spp`` with one strength.

    Without a strength of its own it takes QPs from MPEG-2 and its like only, and leaves H.264 and
    HEVC as they are without a word.

    Attributes:
        strength: its ``qp``, 1 to 63.
    """

    strength: int
    planes: str = "luma and chroma"
    timed: Timed = "command"

    @property
    def filter(self) -> str:
        """The filter as FFmpeg takes it."""
        return f"spp=quality={_FULLEST}:qp={self.strength}"

    def identity(self, case: Case) -> Mapping[str, Any]:
        """The filter, and FFmpeg's version."""
        return {"kind": "spp", "filter": self.filter, "ffmpeg": ffmpeg_version()}

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Filters the clip."""
        if ffmpeg_version() is None:
            raise ValueError("not installed: spp takes the program ffmpeg")
        to_filter = f"ffmpeg -nostdin -v error -y -i {{input}} -map 0:v:0 -vf {self.filter}"
        words = tuple(f"{to_filter} -c:v ffv1 {{output}}".split())
        seconds, _ = Command(words).restore(case, frames)
        return Work(seconds, self.filter)


def spp() -> Tuned:
    """Restorer by ``spp`` with the strength that does best at each setting."""
    return Tuned([Spp(strength) for strength in _STRENGTHS])


def command_of(text: str) -> Command:
    """The restorer of a command line after ``cmd:``.

    Raises:
        ValueError: as :class:`Command`, or quotes that do not close.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"the command {text} cannot be read: {error}") from error
    if not words:
        raise ValueError("cmd: takes a command with {input} and {output}")
    return Command(words)


@functools.cache
def ffmpeg_version() -> str | None:
    """Version line of the program ``ffmpeg``; None if there is none."""
    if shutil.which("ffmpeg") is None:
        return None
    told = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=False)
    return told.stdout.partition(" Copyright")[0].partition("\n")[0]


def _filled(word: str, places: Mapping[str, str]) -> str:
    for place, path in places.items():
        word = word.replace(place, path)
    return word


@contextmanager
def _ended_together() -> Iterator[None]:
    """Lets SIGTERM, by which a worker is ended, end the program that it runs as well."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(words: list[str]) -> None:
    with _ended_together():
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        reason = f": {lines[-1].strip()}" if lines else ""
        raise ValueError(f"{Path(words[0]).name} ended with code {done.returncode}{reason}")
