"""From file to file: the video engine, against ffmpeg decoding and encoding with the same settings.

Frames per second of decoding, a model and encoding together; ``identity`` shows what the engine
itself takes, which ffmpeg, that runs no model, is compared with.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import FP32, Case

import vqe_fast
from vqe_fast.bench.case import Candidate, Work
from vqe_fast.bench.record import NOT_INSTALLED

CRF, PRESET = 18, "medium"
# Model, height and width, frames, implementations.
CASES = {
    "cpu": [
        ("identity", (720, 1280), 90, ("vqe_fast", "ffmpeg")),
        ("carcnn_small", (240, 416), 40, ("vqe_fast",)),
        ("identity", (240, 416), 200, ("vqe_fast", "ffmpeg")),
    ],
    "cuda": [
        ("dualres_s", (1080, 1920), 300, ("vqe_fast",)),
        ("identity", (1080, 1920), 300, ("vqe_fast", "ffmpeg")),
    ],
}
TINY = ("identity", (48, 64), 5, ("vqe_fast", "ffmpeg"))


def plan(device, tiny):
    return [
        Case(
            f"{model} {size}",
            names,
            functools.partial(work, model, size, frames, device, names),
            budget=8.0,
            rotate=False,
        )
        for model, size, frames, names in ([TINY] if tiny else CASES[device])
    ]


@functools.cache
def folder():
    return tempfile.TemporaryDirectory(prefix="vqe_fast-bench-")


def work(model, size, frames, device, names):
    height, width = size
    source = Path(folder().name) / f"{height}-{frames}.mp4"
    target = Path(folder().name) / "out.mp4"

    def sample(_):
        """The clip, compressed hard; written once."""
        from support.media import write_clip

        if not source.exists():
            options = {"crf": "32", "preset": "veryfast"}
            write_clip(source, size=(width, height), frames=frames, options=options)
        return source

    def enhanced(source):
        return vqe_fast.enhance_video(
            source, target, model, device=device, crf=CRF, preset=PRESET, overwrite=True
        )

    def ffmpeg(source):
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-c:v", "libx264"]
        command += ["-crf", str(CRF), "-preset", PRESET, str(target)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def error(call):
        """Whether all frames are there; what they look like is for the tests."""
        from support.media import read_frames

        call(sample(0))
        return 0.0 if len(read_frames(target)) == frames else float("inf")

    def candidate(name):
        if name == "vqe_fast":
            return Candidate(name, "own", lambda: enhanced, error)
        problem = None if shutil.which("ffmpeg") else NOT_INSTALLED
        return Candidate(name, "alternative", lambda: ffmpeg, error, problem)

    return Work(
        operator="video",
        case=model,
        shape=size,
        dtype=FP32,
        direction="forward",
        device=device,
        sample=sample,
        candidates=[candidate(name) for name in names],
        frames=frames,
    )


def test_video(report, case, name):
    report(case, name)
