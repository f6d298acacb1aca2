"""The quality ensemble by name: a whole file, each frame by the generator for its quality."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import vqe_fast.weights
from tests.cli.test_enhance import assert_refused, run
from tests.support.media import read_frames, write_clip
from vqe_fast import create_model
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.video import enhance_video

NAME = "galteri_ensemble"
QPS = [22, 37]
OPTIONS = {
    "generator": "galteri_very_fast",
    "qps": QPS,
    "generator_options": {"width": 4, "blocks": 1},
}
STEPS = {22: 10 / 255, 37: -20 / 255}
"""What each generator adds to red, green and blue."""


def brightening():
    """An ensemble whose frames tell by which generator they came."""
    ensemble = create_model(NAME, **OPTIONS)
    for generator, step in zip(ensemble.generators, STEPS.values(), strict=True):
        torch.nn.init.constant_(generator.output.bias, np.arctanh(2 * step))
    return ensemble


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(brightening(), path, NAME, OPTIONS)
    return path


def clip_of(folder, name="in.mkv", **options):
    return write_clip(folder / name, size=(96, 64), frames=6, **options)


def lumas(path):
    return np.array([planes[0].astype(float) for _, planes in read_frames(path)])


def added(source, target):
    """What each frame's luma has got brighter by, in steps of 8 bits."""
    return (lumas(target) - lumas(source)).mean((1, 2))


def expected(*qps):
    """Of limited range; some colours are at the end of theirs and cannot get brighter or darker."""
    return pytest.approx([219 * STEPS[qp] for qp in qps], abs=2.5)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
@pytest.mark.parametrize(("told", "nearest"), [(29.5, 22), (30, 37)])
def test_the_qp_picks_the_generator(tmp_path, weights, told, nearest, precision):
    source, target = clip_of(tmp_path), tmp_path / "out.mkv"
    where = {"weights": weights, "qp": told, "precision": precision}
    report = enhance_video(source, target, NAME, codec="ffv1", **where)
    assert report.model == NAME and report.qp_sources == {"given": 6}
    assert list(added(source, target)) == expected(*[nearest] * 6)


@pytest.mark.parametrize(("qp", "nearest"), [(18, 22), (44, 37)])
def test_the_stream_tells_it(tmp_path, weights, qp, nearest):
    """No frame of such a stream is near to the other generator."""
    source, target = clip_of(tmp_path, options={"qp": str(qp)}), tmp_path / "out.mkv"
    report = enhance_video(source, target, weights=weights, codec="ffv1")
    assert report.model == NAME and report.qp_sources == {"stream": 6}
    assert list(added(source, target)) == expected(*[nearest] * 6)


def test_the_predictor_tells_it(tmp_path, weights, monkeypatch):
    """Of a stream without QPs, frame by frame; all tiles of a frame go to one generator."""
    estimates = iter([20.0, 40.0, 20.0, 40.0, 40.0, 20.0] * 2)
    monkeypatch.setattr(
        "vqe_fast.video.session.find_estimator", lambda device: lambda luma: next(estimates)
    )
    source = clip_of(tmp_path, codec="ffv1")
    found = []
    for tile in (None, 32):
        target = tmp_path / f"{tile}.mkv"
        where = {"weights": weights, "tile": tile, "precision": "fp32"}
        report = enhance_video(source, target, NAME, codec="ffv1", **where)
        assert report.qp_sources == {"estimate": 6} and report.tiles_exact is not False
        found.append(lumas(target))
    assert list((found[0] - lumas(source)).mean((1, 2))) == expected(22, 37, 22, 37, 37, 22)
    np.testing.assert_array_equal(*found)


def test_segments_and_workers(tmp_path, weights):
    source = clip_of(tmp_path, options={"g": "2", "qp": "30"})
    found = []
    for name, options in (("a", {}), ("b", {"segment_seconds": 0.08, "workers": 2})):
        target = tmp_path / f"{name}.mkv"
        where = {"weights": weights, "precision": "fp32", "codec": "ffv1"}
        enhance_video(source, target, NAME, **where, **options)
        found.append(lumas(target))
    np.testing.assert_array_equal(*found)


def test_command_line(tmp_path, weights):
    """With a file that says all, with one that says nothing, and with none."""
    source, out = clip_of(tmp_path), tmp_path / "out.mkv"
    command = ["enhance", source, out, "--model", NAME, "--codec", "ffv1", "--qp", "40"]
    assert_refused(
        run(*command),
        "no weights ship for the model 'galteri_ensemble'",
        "join their files by vqe-fast join",
    )
    assert run(*command, "--weights", weights).exit_code == 0
    assert list(added(source, out)) == expected(*[37] * 6)
    bare = tmp_path / "bare.safetensors"
    save_file(brightening().state_dict(), bare)
    command += ["--overwrite", "--weights", bare]
    assert_refused(run(*command), "build the model with the options that the weights were trained")
    told = [
        "generator=galteri_very_fast",
        "qps=[22,37]",
        'generator_options={"width":4,"blocks":1}',
    ]
    result = run(*command, *(word for text in told for word in ("--option", text)))
    assert result.exit_code == 0 and list(added(source, out)) == expected(*[37] * 6)


def test_weights_that_ship(tmp_path, weights, monkeypatch):
    """A card with options and strengths is all that such weights need."""
    cards = vqe_fast.weights.shipped()
    strength = {"other": [[20, 0.0], [40, 0.5]]}
    cards[NAME] = {"file": str(weights), "options": OPTIONS, "strength": strength}
    monkeypatch.setattr(vqe_fast.weights, "shipped", lambda: cards)
    source, target = clip_of(tmp_path), tmp_path / "out.mkv"
    report = enhance_video(source, target, NAME, codec="ffv1", qp=40)
    assert report.applied == {"part": 6}
    assert list(added(source, target)) == pytest.approx([219 * STEPS[37] / 2] * 6, abs=2.5)
