"""What models of luma and chroma see of frames, and how their changes get into the planes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.frames import CPU, textured
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.frames.tensors import load_planes

YUV_SPEC = replace(LUMA_SPEC, planes="yuv", alignment=8, receptive_field=17)
FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "gray", "yuv411p", "yuv440p", "yuva420p"),
    *("yuv420p10le", "yuv422p10le", "yuv444p12le", "gray10le"),
]


def noise(pixel_format, size=(35, 27)):
    frame = textured(0, size, pixel_format)
    generator = np.random.default_rng(0)
    for index in range(len(frame.planes)):
        view = plane_view(frame, index)
        view[:] = generator.integers(0, 200, view.shape)
    return frame


def seen(frame, **options):
    view = view_for("yuv", frame, **options)
    planes = load_planes(frame, view.planes, CPU)
    return view, planes, view.values(planes)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_nothing_changed_gives_every_sample_back(pixel_format):
    view, planes, values = seen(noise(pixel_format))
    assert values.shape == (1, 1 if "gray" in pixel_format else 3, 27, 35)
    assert all(map(torch.equal, view.samples(planes, values), planes))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv411p"])
def test_chroma_lies_where_its_luma_does(pixel_format):
    """Each sample of chroma is seen by the pixels that share it, and gets the mean of theirs."""
    view, planes, values = seen(noise(pixel_format))
    down, across = {"420": (2, 2), "422": (1, 2), "444": (1, 1), "411": (1, 4)}[pixel_format[3:6]]
    rows, columns = torch.arange(27) // down, torch.arange(35) // across
    for channel in (1, 2):
        spread = planes[channel][0, 0][rows][:, columns]
        assert torch.equal((values[0, channel] * 255).round().byte(), spread)
    changed = values.clone()
    changed[:, 1, ::down, ::across] += 8 * down * across / 255
    after = view.samples(planes, changed)
    assert torch.equal(after[0], planes[0]) and torch.equal(after[2], planes[2])
    whole = (after[1].int() - planes[1].int())[..., : 27 // down, : 35 // across]
    assert whole.unique().tolist() == [8]


def test_tens_bits_keep_theirs():
    """Steps of ten bits, for luma and chroma alike."""
    view, planes, values = seen(noise("yuv420p10le"))
    after = view.samples(planes, values + 3 / 1023)
    assert all(
        torch.equal(new.int(), old.int() + 3) for new, old in zip(after, planes, strict=True)
    )


def test_fields():
    view, planes, values = seen(noise("yuv420p", (32, 24)), fields=True)
    assert values.shape == (2, 3, 12, 32)
    assert torch.equal((values[1, 0] * 255).round().byte(), planes[0][0, 0, 1::2])
    assert torch.equal((values[1, 1, ::2, ::2] * 255).round().byte(), planes[1][0, 0, 1::2])
    assert all(map(torch.equal, view.samples(planes, values), planes))


def test_fields_without_rows_of_their_own_are_refused():
    with pytest.raises(VideoError, match="do not part into two fields"):
        view_for("yuv", noise("yuv420p", (32, 26)), fields=True)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "gray", "yuv420p10le"])
def test_from_file_to_file(tmp_path, pixel_format):
    """Each plane gets its change, through tiles and without."""
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", pixel_format=pixel_format, frames=2)
    steps = torch.tensor([4.0, -8.0, 12.0]).view(1, 3, 1, 1) / (
        1023 if "10" in pixel_format else 255
    )
    model = Pointwise(lambda frames: frames + steps[:, : frames.shape[1]], YUV_SPEC)
    for tile in (None, 32):
        target = tmp_path / f"out{tile}.mkv"
        enhance_video(source, target, model, codec="ffv1", precision="fp32", tile=tile)
        for (_, old), (_, new) in zip(read_frames(source), read_frames(target), strict=True):
            for before, after, step in zip(old, new, (4, -8, 12), strict=False):
                moved = after.astype(int) - before.astype(int)
                assert (moved[(after > 0) & (after < 255)] == step).all() and moved.any()
