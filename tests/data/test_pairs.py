import math
import os

import numpy as np
import pytest

from support.clips import moving_texture
from support.pairs import QP_44, paired, prepare_clip
from vqe_fast.data.color import luma_of, rgb_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.pairs import Decoded, decode_all
from vqe_fast.video.frames.color import ColorFacts


def decoded(folder, frames, shape):
    store = folder / "planes" / "clip-0123"
    return Decoded("clip.mkv", lambda: iter(frames), shape, store)


def test_planes_are_decoded_once_and_mapped(tmp_path):
    frames = moving_texture(3)
    footage = decoded(tmp_path, frames, (3, 64, 96))
    luma = footage.samples("y")
    assert np.array_equal(luma, np.stack([luma_of(frame) for frame in frames]))
    again = decoded(tmp_path, [], (3, 64, 96)).samples("y")
    assert np.array_equal(again, luma)
    assert not again.flags.writeable
    rgb = footage.samples("rgb")
    color = ColorFacts.of(frames[0])
    assert np.array_equal(rgb, np.stack([rgb_of(frame, color) for frame in frames]))


def test_no_file_stays_open(tmp_path):
    """Some thousand of them are mapped at a time, more than a process may open."""
    footage = decoded(tmp_path, moving_texture(1), (1, 64, 96))
    before = len(os.listdir("/proc/self/fd"))
    kept = [footage.samples("y") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before and len(kept) == 20


@pytest.mark.parametrize("shape", [(2, 64, 96), (4, 64, 96), (3, 48, 96)])
def test_a_file_that_is_not_what_the_index_says(tmp_path, shape):
    """A file of another length would shift every pair; no half-written planes are left."""
    with pytest.raises(ValueError, match=r"clip\.mkv does not decode to \d frames of 96x"):
        decoded(tmp_path, moving_texture(3), shape).samples("y")
    assert not list((tmp_path / "planes").iterdir())


def test_interrupted_decoding_leaves_nothing(tmp_path):
    def broken():
        yield moving_texture(1)[0]
        raise KeyboardInterrupt

    footage = Decoded("a", broken, (2, 64, 96), tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        footage.samples("y")
    assert not list(tmp_path.iterdir())


def test_partners_of_blurred_frames():
    """Frame i of a blur of 7 stands for pristine frame 7·i + 3."""
    pristine = np.arange(30, dtype=np.uint8).reshape(30, 1, 1) * np.ones((1, 8, 8), np.uint8)
    clip = paired("a", pristine, {"blur 7": pristine[3::7]}, first=3, step=7)
    assert clip.pristine("y", "blur 7")[:, 0, 0].tolist() == [3, 10, 17, 24]
    assert clip.pristine("y").shape == (30, 8, 8)


def test_scenes():
    """A frame that is the mean of frames on both sides of a cut belongs to no scene."""
    pristine = np.zeros((28, 8, 8), np.uint8)
    plain = paired("a", pristine, {"x": pristine}, cuts=(10, 14))
    assert plain.scenes("x") == [range(10), range(10, 14), range(14, 28)]
    blurred = paired("a", pristine, {"x": pristine[3::7]}, cuts=(10, 14), first=3, step=7)
    assert blurred.scenes("x") == [range(1), range(2, 4)]


def test_what_does_not_belong_together():
    pristine = np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="x of a is 4 frames of 6x8, the pristine clip 4 frames"):
        paired("a", pristine, {"x": pristine[:, :, :6]})
    with pytest.raises(ValueError, match="x of a is 5 frames of 8x8"):
        paired("a", pristine, {"x": np.zeros((5, 8, 8), np.uint8)})
    with pytest.raises(ValueError, match="has 4 frames but QPs of 3"):
        paired("a", pristine, {"x": pristine}, qp={"x": [1, 2, 3]})


def test_qps_and_samples_of_prepared_clips(tmp_path):
    """Of real encoders: QPs by frame type, RGB of both sides by the same matrix."""
    settings = [QP_44, Degradation("mjpeg", "quality", 95)]
    clip = prepare_clip(moving_texture(9), settings, tmp_path)
    assert set(clip.qp("x264 QP 44")) == {41, 44, 46, 45} and clip.base_qp("x264 QP 44") == 44
    assert np.isnan(clip.qp("JPEG 95")).all() and math.isnan(clip.base_qp("JPEG 95"))
    decode_all([clip], "rgb", settings=["JPEG 95"])
    assert len(list((tmp_path / "cache" / "planes").glob("*-rgb.npy"))) == 2
    for planes in ("y", "rgb"):
        error = clip.compressed(planes, "JPEG 95").astype(int) - clip.pristine(planes)
        assert np.abs(error).mean() < 4
