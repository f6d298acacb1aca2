"""Tiles, and what happens when memory does not suffice."""

from dataclasses import replace

import pytest
import torch

from support.frames import assert_luma, enhanced, enhancer_of, lumas, textured
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise, RunsOut
from support.small_models import SMALL, randomised
from vqe_fast.models import spec_of
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.single_frame import SingleRunner
from vqe_fast.video.inference.tiling import Tiling, is_exact
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import ResultWriter

FINITE = [name for name in SMALL if is_exact(spec_of(randomised(name)))]
CPU_ERROR = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"
)


def test_which_models_are_exact():
    unbounded = ("astf", "basicvsr", "dualres_r", "pequenet")
    assert [name for name in SMALL if name not in unbounded] == FINITE


@torch.inference_mode()
@pytest.mark.parametrize("name", FINITE)
def test_tiles_give_what_the_whole_gives(name):
    model = randomised(name)
    spec = spec_of(model)
    # Multiscale looks 290 pixels far; some windows are to have inner borders on both sides.
    tile, size = (32, (61, 107)) if spec.receptive_field < 100 else (64, (17, 750))
    window = (2 * spec.temporal_radius + 1,) if spec.temporal_radius else ()
    frames = torch.rand(1, *window, 1 if spec.planes == "y" else 3, *size)
    arguments = (30.0,) if spec.takes_qp else ()
    tiling = Tiling(spec, size, tile)
    windows = [each.window[1] for each in tiling.tiles()]
    assert any(window.start > 0 and window.stop < size[1] for window in windows)
    tiled = tiling.run(frames, lambda _, window: model(window, *arguments))
    assert (tiled - model(frames, *arguments)).abs().max() <= 5e-6


@pytest.mark.parametrize("size", [(33, 90), (32, 32), (1, 200), (97, 65)])
@pytest.mark.parametrize("tile", [32, 33, 50])
def test_tiles_cover_each_pixel_once(size, tile):
    tiling = Tiling(replace(LUMA_SPEC, receptive_field=11, alignment=4), size, tile)
    covered = torch.zeros(size)
    for each in tiling.tiles():
        covered[each.place] += 1
        window = torch.zeros(size)
        window[each.window] = 1
        place = torch.zeros(size)
        place[each.window][each.core] = 1
        assert place[each.place].all() and place.sum() == place[each.place].sum()
        for side, part, whole in zip(each.place, each.window, size, strict=True):
            assert part.start % 4 == 0
            assert side.start - part.start >= 5 or part.start == 0
            assert part.stop - side.stop >= 5 or part.stop == whole
    assert (covered == 1).all()


def test_a_tile_as_large_as_the_frame_is_none():
    assert Tiling(LUMA_SPEC, (48, 64), 64).tile is None
    assert Tiling(LUMA_SPEC, (48, 65), 64).tile == 64


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), CPU_ERROR, MemoryError()])
@pytest.mark.parametrize("call", [0, 3])
def test_a_frame_that_does_not_fit_is_tried_again_in_tiles(tmp_path, error, call):
    source = write_clip(tmp_path / "in.mp4", frames=6, options={"bf": "2"})
    model = RunsOut(Pointwise(lambda luma: 1 - luma), call, error=error)
    report = enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", precision="fp32")
    assert (report.frames_out, report.tile, report.tiles_exact) == (6, 32, True)
    before, after = read_frames(source), read_frames(tmp_path / "out.mkv")
    for (time, old), (same, new) in zip(before, after, strict=True):
        assert time == same and (new[0] == 255 - old[0]).all()
    assert len(model.sizes) == call + 1 + 4 * (6 - call)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p12le"])
@pytest.mark.parametrize("planes", ["y", "rgb"])
@pytest.mark.parametrize("scan", ["prog", "tff"])
def test_tiles_of_more_bits_and_of_fields(tmp_path, pixel_format, planes, scan):
    """What is not on an 8-bit step, and not in one piece, comes out the same."""

    def blurred(frames):
        return torch.nn.functional.avg_pool2d(frames, 3, 1, 1, count_include_pad=False)

    spec = replace(LUMA_SPEC, planes=planes, receptive_field=3)
    source = write_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        frames=3,
        size=(75, 68),
        pixel_format=pixel_format,
        scan=scan,
    )
    found = []
    for tile in (None, 32):
        target = tmp_path / f"{tile}.mkv"
        options = {"codec": "ffv1", "precision": "fp32", "interlaced": "fields", "tile": tile}
        report = enhance_video(source, target, Pointwise(blurred, spec), **options)
        assert report.tile == tile
        found.append([planes for _, planes in read_frames(target)])
    for whole, tiled in zip(*found, strict=True):
        assert all((a == b).all() for a, b in zip(whole, tiled, strict=True))


def test_tiles_are_halved_until_they_fit():
    frames = [textured(0, (200, 100))]
    model = RunsOut(Pointwise(), 0, 1, 2)
    result, enhancer, _ = enhanced(model, frames)
    assert enhancer.tile == 32 and result == frames
    assert [max(size) for size in model.sizes[:4]] == [200, 100, 50, 29]


def test_no_memory_at_all(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=2)
    model = RunsOut(Pointwise(), *range(9))
    with pytest.raises(VideoError, match="does not suffice for tiles of 32 pixels; close other"):
        enhance_video(source, tmp_path / "out.mp4", model, precision="fp32")
    assert not (tmp_path / "out.mp4").exists()


def test_other_errors_of_a_model_are_not_memory():
    model = RunsOut(Pointwise(), 0, error=RuntimeError("shapes"))
    with pytest.raises(RuntimeError, match="shapes"):
        enhanced(model, [textured(0)])


@pytest.mark.parametrize("failing", [(), (0,), (1,), (0, 1)])
def test_batches(failing):
    """As on a GPU: several frames of one call, fewer when memory runs out, none lost."""
    frames = [textured(number) for number in range(7)]
    expected = 1 - lumas(frames)
    model = RunsOut(Pointwise(lambda luma: 1 - luma), *failing)
    _, enhancer, _ = enhanced(Pointwise(), [textured(0)])
    enhancer._runner = SingleRunner(model, Tiling(LUMA_SPEC, (48, 64)), batch=4)
    write = ResultWriter(1)
    for bundle in enhancer(FrameBundle(frame=frame) for frame in frames):
        write(bundle)
    assert_luma(frames, expected)
    assert sum(size[0] for n, size in enumerate(model.sizes) if n not in failing) == 7
    assert max(size[0] for size in model.sizes) == 4


@pytest.mark.parametrize("failing", [(), (0,), (0, 1)])
def test_batches_of_fields(failing):
    """Two pictures of a frame stay together, and are told the QP of their frame."""
    frames = [textured(number) for number in range(7)]
    expected = lumas(frames) + torch.arange(7.0).view(-1, 1, 1) / 255
    spec = replace(LUMA_SPEC, takes_qp=True)
    model = RunsOut(Pointwise(spec=spec), *failing)

    def add(luma, qp):
        return model(luma) + torch.as_tensor(qp).view(-1, 1, 1, 1) / 255

    add.spec = spec
    view = view_for("y", frames[0], fields=True)
    enhancer = enhancer_of(Pointwise(), frames[0], view)
    enhancer._runner = SingleRunner(add, Tiling(spec, (24, 64)), batch=4)
    write = ResultWriter(1)
    codings = [FrameCoding(float(number)) for number in range(7)]
    for bundle in enhancer(map(lambda f, c: FrameBundle(frame=f, coding=c), frames, codings)):
        write(bundle)
    assert_luma(frames, expected)
    assert sum(size[0] for n, size in enumerate(model.sizes) if n not in failing) == 14
    assert max(size[0] for size in model.sizes) == 8
