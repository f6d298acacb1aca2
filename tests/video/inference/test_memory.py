"""Memory measured, told in words, and shared out."""

from dataclasses import replace

import pytest
import torch

from support.frames import CPU, enhanced, textured
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise, Recurrent
from support.small_models import randomised
from vqe_fast._memory import available_memory, in_words
from vqe_fast.models import spec_of
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.inference import memory_plan
from vqe_fast.video.inference.memory import is_out_of_memory, memory_taken, parse_bytes
from vqe_fast.video.inference.memory_plan import LONGEST, make_plan
from vqe_fast.video.inference.recurrent import SHORTEST
from vqe_fast.video.options import ModelOptions


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("2GiB", 2 << 30),
        ("1.5 gib", 3 << 29),
        ("800MB", 800_000_000),
        ("800m", 800_000_000),
        ("7KiB", 7 << 10),
        ("123", 123),
        (456, 456),
    ],
)
def test_amounts(amount, expected):
    assert parse_bytes(amount) == expected


@pytest.mark.parametrize("amount", ["", "GiB", "-2GB", "2 GiB of it", "0", 0, -1, "1e3"])
def test_amounts_that_are_none(amount):
    with pytest.raises(VideoError, match="looks like 2GiB or 800MB, got"):
        parse_bytes(amount)


def test_words():
    amounts = [1, 999, 1024, 3 << 20, 3 << 29]
    assert [in_words(n) for n in amounts] == ["1 bytes", "999 bytes", "1 KiB", "3 MiB", "1.5 GiB"]


def test_available():
    assert 1 << 20 < available_memory(CPU) < 1 << 50


def test_taken():
    """Tensors that live together count, those that are gone and views do not."""
    large = torch.rand(100_000)
    assert memory_taken(lambda: (large + 1, large + 2), CPU) == 800_000
    assert memory_taken(lambda: [(large + 1).sum() for _ in range(9)], CPU) < 410_000
    assert memory_taken(lambda: [large[n:] for n in range(9)], CPU) <= 400_000
    assert memory_taken(lambda: torch.relu((large + 1)[5:]), CPU) == 800_000 - 20


def test_errors():
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def planned(model, size, **limits):
    spec = spec_of(model)
    channels = 1 if spec.planes == "y" else 3

    def example(frames):
        shape = (1, frames, channels) if spec.recurrent else (1, channels)
        return torch.rand(*shape, 64, 64)

    return make_plan(model, example, size, CPU, ModelOptions(**limits))


@torch.inference_mode()
@pytest.mark.parametrize("budget", [5 << 20, 30 << 20, 1 << 30])
def test_tiles_use_the_memory_that_is_allowed(budget):
    """No more than it, and not much less."""
    model = randomised("carcnn_small")
    tiling = planned(model, (720, 1280), max_memory=budget).tiling
    window = torch.rand(1, 1, 64, 64)
    a_pixel = memory_taken(lambda: model(window, 30.0), CPU) / 64**2
    taken = 1.5 * a_pixel * tiling.window_pixels(tiling.tile)
    assert taken <= budget
    assert taken > budget / 2 or tiling.tile is None
    assert (tiling.tile is None) == (budget == 1 << 30)


def test_too_little_memory():
    with pytest.raises(VideoError, match=r"about .* for tiles of 32 pixels, where 20 KiB .*more$"):
        planned(randomised("carcnn_small"), (720, 1280), max_memory=20 << 10)


def test_a_model_that_sees_the_whole_frame_is_not_cut_unasked():
    """Tiles would change its result: the user is to say so."""
    model = Pointwise(lambda luma: luma * 2, spec=replace(LUMA_SPEC, receptive_field=0))
    with pytest.raises(VideoError, match=r"for whole frames, where .* tiles, which change"):
        planned(model, (720, 1280), max_memory=1 << 20)
    tiling = planned(model, (720, 1280), max_memory=1 << 20, tile=64).tiling
    assert (tiling.tile, tiling.exact) == (64, False)


def test_clips_use_the_memory_that_is_allowed(monkeypatch):
    model, size = Recurrent(), (100, 100)
    assert planned(model, size).clip_frames == LONGEST
    monkeypatch.setattr(memory_plan, "_LAVISH", 1 << 40)
    assert planned(model, size, max_memory=1 << 30).clip_frames == LONGEST
    # Input, output and both directions: 4 to 6 times 4 bytes a pixel and frame, and half more.
    chosen = planned(model, size, max_memory=20 * 6 * 100**2 * 4).clip_frames
    assert SHORTEST <= chosen <= 20
    with pytest.raises(VideoError, match="tiles, which change the result a little"):
        planned(model, size, max_memory=1000)


def test_a_limit_from_file_to_file(tmp_path):
    """The same frames in tiles that fit."""
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", size=(160, 120), frames=2)
    model = randomised("carcnn")
    small, large = (
        enhance_video(
            source,
            tmp_path / f"{limit}.mkv",
            model,
            codec="ffv1",
            qp=30,
            precision="fp32",
            max_memory=limit,
        )
        for limit in ("2MB", "1GiB")
    )
    assert small.tile is not None and small.tiles_exact and large.tile is None
    frames = [read_frames(tmp_path / name) for name in ("2MB.mkv", "1GiB.mkv")]
    for (_, tiled), (_, whole) in zip(*frames, strict=True):
        assert (abs(tiled[0].astype(int) - whole[0]) <= 1).all()
        assert (tiled[0] == whole[0]).mean() > 0.999


def test_report(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=6)
    report = enhance_video(source, tmp_path / "out.mp4", Pointwise(), tile=32, precision="fp32")
    assert (report.tile, report.tiles_exact, report.clip_frames) == (32, True, None)
    assert report.scene_cuts is None and report.duplicated == 0
    assert set(report.timings) == {"decode", "model", "encode", "waiting"}
    assert all(0 <= seconds <= report.seconds for seconds in report.timings.values())
    assert report.timings["encode"] > 0 and report.peak_memory > 10 << 20


def test_an_example_is_not_a_whole_clip():
    """Measuring must not take the memory that is measured."""
    frames = [textured(0, (300, 200))]
    seen = []

    class Watched(Recurrent):
        def forward(self, clip):
            seen.append(clip.shape)
            return super().forward(clip)

    enhanced(Watched(), frames, max_memory=200 << 20)
    assert all(shape[-2] <= 128 for shape in seen[:-1])
