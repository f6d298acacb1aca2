"""PSNR and SSIM of real clips against scikit-image and FFmpeg's filters."""

import re
import subprocess

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from support.footage import packaged_clip
from vqe_fast import evaluate
from vqe_fast.data.clips import read_clip, stored_frames
from vqe_fast.data.color import luma_of
from vqe_fast.evaluation.command_restorer import ffmpeg_version

FRAMES = 4


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Camera footage at two QPs: the evaluation, and original and compressed luma."""
    folder = tmp_path_factory.mktemp("agreement")
    path = packaged_clip("bikes.mp4")
    settings = [{"codec": "libx264", "mode": "qp", "values": [28, 40], "preset": "ultrafast"}]
    found = evaluate([path], [], settings, output=folder, frames=FRAMES, device="cpu")
    originals = [luma_of(frame) for frame in read_clip(path, FRAMES).frames]
    streams = {row.setting: folder / "encodes" for row in found.rows}
    streams = {setting: found.case(found.clips[0], setting).path for setting in streams}
    return found, path, originals, streams


def frames_of(measured, figure):
    """Setting → values of the frames of the compressed clip."""
    found = measured[0]
    return {row.setting: row.frames[figure] for row in found.rows}


def test_scikit_image(measured):
    """PSNR to rounding; SSIM with the same Gaussian window, where that lies in the picture."""
    _, _, originals, streams = measured
    for setting, path in streams.items():
        decoded = [luma_of(frame) for frame in stored_frames(path)]
        for number, (frame, original) in enumerate(zip(decoded, originals, strict=True)):
            psnr = peak_signal_noise_ratio(original, frame)
            assert frames_of(measured, "psnr_y")[setting][number] == pytest.approx(psnr, abs=1e-9)
            _, similar = structural_similarity(
                original,
                frame,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
                full=True,
            )
            inside = similar[5:-5, 5:-5].mean()
            assert frames_of(measured, "ssim_y")[setting][number] == pytest.approx(inside, abs=1e-4)


needs_ffmpeg = pytest.mark.skipif(
    ffmpeg_version() is None, reason="the program ffmpeg is not installed"
)


def by_ffmpeg(measured, setting, name, tmp_path):
    """What FFmpeg's filter ``name`` says of the luma of each frame."""
    _, original, _, streams = measured
    stats = tmp_path / "stats"
    graph = f"[0:v][1:v]{name}=shortest=1:stats_file={stats}"
    command = ["ffmpeg", "-v", "error", "-i", streams[setting], "-i", original, "-lavfi", graph]
    subprocess.run([*map(str, command), "-f", "null", "-"], check=True)
    key = {"psnr": "psnr_y", "ssim": "Y"}[name]
    return [float(value) for value in re.findall(rf"\b{key}:([\d.]+)", stats.read_text())][:FRAMES]


@needs_ffmpeg
def test_psnr_of_ffmpeg(measured, tmp_path):
    """To the two digits that it prints."""
    for setting, values in frames_of(measured, "psnr_y").items():
        theirs = by_ffmpeg(measured, setting, "psnr", tmp_path)
        assert values == pytest.approx(theirs, abs=0.00501)


def ssim_of_blocks(image, original):
    """SSIM over blocks of 8×8 pixels, every 4 pixels, with unbiased variances, as FFmpeg has it."""
    x, y = (each.astype(np.float64) for each in (image, original))

    def sums(values):
        total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        box = total[8:, 8:] - total[:-8, 8:] - total[8:, :-8] + total[:-8, :-8]
        return box[::4, ::4]

    mean_x, mean_y = sums(x) / 64, sums(y) / 64
    variances = (sums(x * x) + sums(y * y)) / 64 - mean_x**2 - mean_y**2
    covariance = sums(x * y) / 64 - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2 * 63 / 64
    return (
        (2 * mean_x * mean_y + c1)
        * (2 * covariance + c2)
        / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    ).mean()


@needs_ffmpeg
def test_ssim_of_ffmpeg(measured, tmp_path):
    """FFmpeg's windows are blocks of 8×8, ours Gaussian: the numbers differ by that alone.

    Its number comes out of the frames that we measure by its formula, and ours lies near it.
    """
    _, _, originals, streams = measured
    for setting, values in frames_of(measured, "ssim_y").items():
        theirs = by_ffmpeg(measured, setting, "ssim", tmp_path)
        decoded = [luma_of(frame) for frame in stored_frames(streams[setting])]
        formula = [ssim_of_blocks(a, b) for a, b in zip(decoded, originals, strict=True)]
        assert theirs == pytest.approx(formula, abs=2e-4)
        assert values == pytest.approx(theirs, abs=0.02)
