"""Evaluations of tiny clips."""

import os
import signal
from fractions import Fraction
from pathlib import Path

from support.clips import moving_texture
from vqe_fast.data.color import rows_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.evaluation import Evaluation, Protocol, Row
from vqe_fast.evaluation.case import Case, Media, Stream
from vqe_fast.evaluation.restorer import Work
from vqe_fast.evaluation.setting import Setting
from vqe_fast.video.frames.color import ColorFacts

QPS = [{"codec": "libx264", "mode": "qp", "values": [30, 40]}]

FACTS = {
    "vqe_fast": "0",
    "torch": "0",
    "date": "2026-01-01",
    "machine": "a machine",
    "encoders": {"libx264": "x264 - core 1"},
    "measures": {"vmaf": {"ffmpeg": "9.0", "libvmaf": "3.1.0", "model": "vmaf_v0.6.1"}},
    "restorers": {"none": {}, "ours": {"kind": "network", "weights": "0123456789abcdef0123"}},
}


def write_clips(folder, sizes=((64, 64), (96, 64)), frames=6):
    """Files of moving textures, FFV1 in Matroska, called ``a.mkv``, ``b.mkv``…"""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (width, height) in zip("abcdef", sizes, strict=False):
        path = folder / f"{name}.mkv"
        encode(moving_texture(frames, width, height), None, Fraction(25), path)
    return folder


class Brighter:
    """A restorer of anyone's, which adds to luma.

    Args:
        steps: of 8 bits.
        failures: number of the call, counted from 0 → what is raised instead.
    """

    planes, timed = "luma", ""

    def __init__(self, steps, failures=None):
        self.steps = steps
        self.failures = failures or {}
        self.calls = 0

    def identity(self, case):
        return {"steps": self.steps}

    def restore(self, case, frames):
        self.calls += 1
        if self.calls - 1 in self.failures:
            raise self.failures[self.calls - 1]
        for frame in case.compressed():
            rows_of(frame.planes[0])[:] += self.steps
            frames.append(frame)
        return Work(None, f"{self.steps} steps")


def made_up(degradations, figures, *, clips=("one", "two"), protocol=None, errors=()):
    """An evaluation that nobody ran.

    Args:
        degradations: one for each setting.
        figures: clip, number of the setting, restorer → figures.
        clips: their names.
        protocol: fields beside the degradations.
        errors: clip, setting number and restorer of rows that failed.
    """
    rows, cases = [], []
    for clip in clips:
        for number, degradation in enumerate(degradations):
            cases.append(_case(clip, degradation))
            for restorer in ("none", "ours"):
                failed = (clip, number, restorer) in errors
                values = {} if failed else figures(clip, number, restorer)
                row = Row(
                    clip,
                    degradation.name,
                    restorer,
                    3,
                    1000 / 2**number,
                    figures=values,
                    frames={} if failed else {"psnr_y": [values["psnr_y"]] * 3},
                    fps=None if restorer == "none" or failed else 20.0,
                    timed="model",
                    error="it broke" if failed else "",
                )
                rows.append(row)
    grids = [{"codec": "libx264", "mode": "qp", "values": [30]}]
    protocol = Protocol.model_validate({"degradations": grids} | (protocol or {}))
    return Evaluation(protocol, rows, cases, FACTS)


def _case(clip, degradation):
    return Case(
        clip,
        Setting.of(degradation),
        original=Media(Path("x.mkv"), 1, "0" * 64),
        stream=Stream(Path("y.mkv"), 1, "0" * 64, "IPB", [30, None, 34.5], [300, 200, 100]),
        frames=3,
        first=0,
        step=1,
        size=(64, 64),
        rate=Fraction(25),
        color=ColorFacts(1, full_range=False),
    )


def x264(*qps, **options):
    """Degradations by x264 at some QPs."""
    return [Degradation("libx264", "qp", qp, **options) for qp in qps]


class Marked(Brighter):
    """The same in any process, which leaves a file for each call.

    Args:
        steps: of 8 bits.
        folder: for the files.
        deaths: clip and setting → how many calls for it kill their process.
    """

    def __init__(self, steps, folder, deaths):
        super().__init__(steps)
        self.folder, self.deaths, self.home = folder, deaths, os.getpid()

    def restore(self, case, frames):
        name = f"{case.clip} {case.setting.name}"
        calls = len(list(self.folder.glob(f"{name} *")))
        (self.folder / f"{name} {calls}").touch()
        if calls < self.deaths.get(name, 0) and os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().restore(case, frames)

    @property
    def marks(self):
        """Clip, setting and number of each call."""
        return sorted(path.name for path in self.folder.iterdir())
