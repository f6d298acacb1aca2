"""VMAF and XPSNR against the program called by hand, and XPSNR against its definition."""

import json
import os
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from support.clips import smooth_noise
from vqe_fast.metrics.ffmpeg_measures import FFmpegMeasure, versions_of
from vqe_fast.metrics.ffmpeg_program import VARIABLE, ffmpeg_measure
from vqe_fast.metrics.measure import ClipFacts, Shown

NAMES = ("vmaf", "vmaf_neg", "xpsnr")
FRAMES = 4


@pytest.fixture(scope="module")
def program():
    package = pytest.importorskip(
        "imageio_ffmpeg", reason="imageio-ffmpeg has the program: pip install imageio-ffmpeg"
    )
    return package.get_ffmpeg_exe()


def clip(width, height):
    """Planes of moving frames, and of the same with errors: (Y, Cb, Cr) each."""
    texture = smooth_noise(height, width + 3 * FRAMES)
    half = (height + 1) // 2, (width + 1) // 2
    generator = np.random.default_rng(height)
    originals, restored = [], []
    for number in range(FRAMES):
        luma = texture[:, 3 * number : 3 * number + width]
        chroma = [np.full(half, value + number, np.uint8) for value in (90, 140)]
        originals.append([luma, *chroma])
        restored.append(
            [
                (plane.astype(int) + generator.integers(-9, 10, plane.shape)).clip(0, 255)
                for plane in originals[-1]
            ]
        )
    return originals, [[plane.astype(np.uint8) for plane in frame] for frame in restored]


def measured(program, names, originals, restored, folder, rate=Fraction(25)):
    height, width = originals[0][0].shape
    facts = ClipFacts(width, height, rate, folder)
    with FFmpegMeasure(program, names, {}).of_clip(facts) as meter:
        for frame, original in zip(restored, originals, strict=True):
            meter.add(Shown(frame, None), Shown(original, None))
        found = meter.found()
    assert not list(folder.iterdir())
    return found


def by_hand(program, originals, restored, folder, rate):
    """What the program writes about two files, in VMAF's order and in XPSNR's."""
    height, width = originals[0][0].shape
    command = [program, "-v", "error"]
    for name, frames in (("restored", restored), ("original", originals)):
        planes = (plane.tobytes() for frame in frames for plane in frame)
        (folder / name).write_bytes(b"".join(planes))
        size = f"{width}x{height}"
        command += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(rate)]
        command += ["-i", name]
    for graph in (
        "[0][1]libvmaf=log_fmt=json:log_path=vmaf",
        "[0][1]libvmaf=model=version=vmaf_v0.6.1neg:log_fmt=json:log_path=neg",
        "[1][0]xpsnr=stats_file=xpsnr",
    ):
        subprocess.run([*command, "-lavfi", graph, "-f", "null", "-"], cwd=folder, check=True)
    vmaf, neg = (json.loads((folder / name).read_text()) for name in ("vmaf", "neg"))
    return vmaf, neg, (folder / "xpsnr").read_text()


@pytest.mark.parametrize("size", [(96, 64), (65, 47)], ids=str)
def test_against_the_program_by_hand(program, size, tmp_path):
    rate = Fraction(30000, 1001)
    originals, restored = clip(*size)
    (tmp_path / "logs").mkdir()
    (tmp_path / "hand").mkdir()
    found = measured(program, NAMES, originals, restored, tmp_path / "logs", rate)
    vmaf, neg, xpsnr = by_hand(program, originals, restored, tmp_path / "hand", rate)
    for name, told in (("vmaf", vmaf), ("vmaf_neg", neg)):
        assert found.frames[name] == [frame["metrics"]["vmaf"] for frame in told["frames"]]
        mean = told["pooled_metrics"]["vmaf"]["mean"]
        assert np.mean(found.frames[name]) == pytest.approx(mean, abs=1e-5)
        assert 10 < mean < 99
    *frames, average = map(float, re.findall(r" y: +(\S+)", xpsnr))
    assert (found.frames["xpsnr"], found.clip) == (frames, {"xpsnr": average})
    assert len(frames) == FRAMES


def xpsnr(originals, restored, rate):
    """XPSNR of luma as Helmrich et al. define it, for frames of at most 640×480.

    Each block's squared errors are weighted by the inverse of the original's activity, in space
    and time; frames are averaged as root mean squares are.
    """
    height, width = originals[0].shape
    share = height * width / (3840 * 2160)
    side = 4 * int(32 * share**0.5 + 0.5)
    picture = (16 * 2**7 / max(share, 1e-5) ** 0.5) ** 0.5
    before = [np.zeros((height, width))] * 2
    roots = []
    for original, image in zip(originals, restored, strict=True):
        now = original.astype(float)
        around = sum(
            (1 + (not (y and x))) * np.roll(now, (y, x), (0, 1))
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
            if y or x
        )
        spatial = np.abs(12 * now - around)
        first, second = now - before[0], now - 2 * before[0] + before[1]
        temporal = 2 * np.abs(first if rate < 32 else second)
        errors = (now - image) ** 2
        tops, lefts = range(0, height, side), range(0, width, side)
        weights, sums = (np.zeros((len(tops), len(lefts))) for _ in range(2))
        for row, top in enumerate(tops):
            for column, left in enumerate(lefts):
                block = np.s_[top : top + side, left : left + side]
                inner = np.s_[
                    max(top, 1) : min(top + side, height - 1),
                    max(left, 1) : min(left + side, width - 1),
                ]
                activity = max(spatial[inner].mean() + temporal[block].mean(), 4)
                weights[row, column], sums[row, column] = 1 / activity, errors[block].sum()
        for row, column in np.ndindex(weights.shape):
            near = [weights[row, column - 1]] if column else []
            near += [weights[row, column + 1]] if column + 1 < len(lefts) else []
            near += [weights[row - 1, column]] if row else []
            weights[row, column] = min(weights[row, column], max(near))
        roots.append((weights * sums).sum() ** 0.5 * picture**0.5)
        before = [now, before[0]]
    peak = height * width * 255**2
    return [10 * np.log10(peak / root**2) for root in (*roots, np.mean(roots))]


@pytest.mark.parametrize("rate", [25, 50])
def test_xpsnr_against_its_definition(program, rate, tmp_path):
    originals, restored = clip(160, 90)
    found = measured(program, ("xpsnr",), originals, restored, tmp_path, Fraction(rate))
    *frames, average = xpsnr(
        *([frame[0] for frame in each] for each in (originals, restored)), rate
    )
    assert found.frames["xpsnr"] == pytest.approx(frames, abs=2e-4)
    assert found.clip["xpsnr"] == pytest.approx(average, abs=2e-4)


def test_equal_frames_have_the_greatest_psnr(program, tmp_path):
    originals, _ = clip(96, 64)
    found = measured(program, ("xpsnr",), originals, originals, tmp_path)
    assert found.frames["xpsnr"] == [100] * FRAMES and found.clip["xpsnr"] == 100


@pytest.mark.parametrize(
    ("size", "defined"), [((64, 24), []), ((48, 40), ["vmaf"]), ((96, 24), ["xpsnr"])], ids=str
)
def test_frames_that_are_too_small(program, size, defined, tmp_path):
    found = measured(program, ("vmaf", "xpsnr"), *clip(*size), tmp_path)
    assert [name for name, values in found.frames.items() if None not in values] == defined
    assert all(len(values) == FRAMES for values in found.frames.values())


def test_frames_of_another_size(program, tmp_path):
    """They would be taken for others without a word: the pipe has no sizes."""
    originals, restored = clip(96, 64)
    smaller = [[plane[:-1] for plane in frame] for frame in restored]
    with pytest.raises(ValueError, match=r"luma must be \(64, 96\), got \(63, 96\) and"):
        measured(program, ("vmaf",), originals, smaller, tmp_path)


def test_a_program_that_ends_early(tmp_path):
    """A sentence with what it complained of, whenever the pipe breaks."""
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho '[graph @ 0x1] no filters today' >&2\nexit 3\n")
    script.chmod(0o755)
    (tmp_path / "logs").mkdir()
    originals, restored = (frames * 30 for frames in clip(96, 64))
    with pytest.raises(ValueError, match=r"broken cannot measure vmaf: no filters today"):
        measured(str(script), ("vmaf",), originals, restored, tmp_path / "logs")
    assert not list((tmp_path / "logs").iterdir())


def test_an_interruption_ends_the_program(program, tmp_path):
    originals, restored = clip(96, 64)
    measure = FFmpegMeasure(program, NAMES, {})
    with (
        pytest.raises(KeyboardInterrupt),
        measure.of_clip(ClipFacts(96, 64, Fraction(25), tmp_path)) as meter,
    ):
        meter.add(Shown(restored[0], None), Shown(originals[0], None))
        raise KeyboardInterrupt
    assert meter._process.returncode is not None and meter._process.stdin.closed
    assert not list(tmp_path.iterdir())


def test_what_identifies_them(program, tmp_path):
    versions = versions_of(program, NAMES, tmp_path)
    assert set(versions) == {"ffmpeg", "libvmaf"} and all(versions.values())
    identity = FFmpegMeasure(program, NAMES, versions).identity()
    assert identity["vmaf"] == versions | {"model": "vmaf_v0.6.1"}
    assert identity["vmaf_neg"] == versions | {"model": "vmaf_v0.6.1neg"}
    assert identity["xpsnr"] == {"ffmpeg": versions["ffmpeg"]}


@pytest.fixture
def lacking(tmp_path, monkeypatch):
    """The search path has an ffmpeg without the filters, and no variable names another."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text("#!/bin/sh\necho \"No such filter: 'libvmaf'\" >&2\nexit 8\n")
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv(VARIABLE, raising=False)
    return folder / "ffmpeg"


def test_the_users_program_comes_first(program, lacking):
    assert ffmpeg_measure(NAMES).program == program, "the user's lacks the filters"
    lacking.unlink()
    lacking.symlink_to(program)
    assert ffmpeg_measure(NAMES).program == str(lacking)


def test_the_variable_names_the_program(program, lacking, monkeypatch):
    monkeypatch.setenv(VARIABLE, program)
    assert ffmpeg_measure(["xpsnr"]).program == program
    monkeypatch.setenv(VARIABLE, str(lacking))
    said = r"^vmaf needs an ffmpeg with the filter libvmaf \(.*No such filter: 'libvmaf'\): name "
    with pytest.raises(ValueError, match=said + f"another in {VARIABLE}$"):
        ffmpeg_measure(["vmaf"])
    monkeypatch.setenv(VARIABLE, "/nowhere/ffmpeg")
    with pytest.raises(ValueError, match="/nowhere/ffmpeg cannot be run: No such file"):
        ffmpeg_measure(["vmaf"])


def test_no_program_has_them(lacking, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    said = "vmaf, xpsnr needs an ffmpeg with the filters libvmaf and xpsnr .*: pip install imageio-"
    with pytest.raises(ValueError, match=said):
        ffmpeg_measure(["vmaf", "xpsnr"])
