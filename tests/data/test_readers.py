import math
from fractions import Fraction

import numpy as np
import pytest

from support.clips import moving_texture, smooth_noise, write_png
from support.pairs import QP_44, luma_frames, write_lossless
from vqe_fast.data import pairs
from vqe_fast.data.color import luma_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.data.readers import read_gopro, read_ldv, read_mfqe, read_pairs


def write_raw(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame.to_ndarray().tobytes() for frame in frames))


def write_pictures(folder, count, level=0):
    folder.mkdir(parents=True)
    for number in range(count):
        texture = smooth_noise(32, 48, number) // 2 + level
        write_png(folder / f"{number:06}.png", np.stack([texture, texture // 2, texture // 4], -1))


@pytest.fixture
def mfqe(tmp_path):
    texture, darker = moving_texture(5), luma_frames(np.full((5, 64, 96), 40))
    for name, frames in (("Walk_96x64_5.yuv", texture), ("Talk_96x64_5.yuv", darker)):
        write_raw(tmp_path / "train_108" / "raw" / name, frames)
        for qp in (27, 37):
            noisy = luma_frames([luma_of(frame) // 2 + qp for frame in frames[:4]])
            write_raw(tmp_path / "train_108" / "HM16.5_LDP" / f"QP{qp}" / name, noisy)
    return tmp_path


def test_mfqe(mfqe):
    """Base QPs by the folder; luma is mapped where it lies, and RGB is decoded."""
    talk, walk = read_mfqe(mfqe / "train_108", mfqe / "cache")
    assert (talk.name, walk.name) == ("Talk_96x64_5", "Walk_96x64_5")
    assert list(walk.settings) == ["HM16.5_LDP QP27", "HM16.5_LDP QP37"]
    original = np.stack([luma_of(frame) for frame in moving_texture(5)])
    assert np.array_equal(walk.pristine("y"), original)
    setting = "HM16.5_LDP QP37"
    assert np.array_equal(walk.compressed("y", setting), original[:4] // 2 + 37)
    assert walk.pristine("y", setting).shape == (4, 64, 96)
    assert walk.base_qp(setting) == 37 and np.isnan(walk.qp(setting)).all()
    assert not list((mfqe / "cache").glob("*.npy"))
    assert walk.compressed("rgb", setting).shape == (4, 3, 64, 96)


def test_ldv_files(tmp_path):
    """QPs are those of the streams; clips that have no partner are left out."""
    for place in ("training_raw", "training_fixed-QP37", "training_fixed-rate"):
        (tmp_path / place).mkdir()
    frames = moving_texture(6)
    write_lossless(tmp_path / "training_raw" / "001.mkv", frames)
    write_lossless(tmp_path / "training_raw" / "002.mkv", frames)
    setting = Degradation("libx265", "qp", 37, structure="low_delay_p")
    encode(frames, setting, Fraction(25), tmp_path / "training_fixed-QP37" / "001.mkv")
    encode(frames, QP_44, Fraction(25), tmp_path / "training_fixed-rate" / "001.mkv")
    for _ in range(2):  # the second time from what was remembered
        (clip,) = read_ldv(tmp_path, tmp_path.parent / f"{tmp_path.name}-cache")
        assert clip.qp("training_fixed-QP37").tolist() == [34, 37, 37, 37, 37, 37]
        assert clip.base_qp("training_fixed-QP37") == 37
        assert math.isnan(clip.base_qp("training_fixed-rate"))
        assert set(clip.qp("training_fixed-rate")) <= {41, 44, 45, 46}
        error = clip.compressed("y", "training_fixed-QP37").astype(int) - clip.pristine("y")
        assert 0 < np.abs(error).mean() < 10


def test_ldv_frames(tmp_path):
    """RGB of pictures as they are."""
    write_pictures(tmp_path / "gt" / "003", 3)
    write_pictures(tmp_path / "QP37" / "003", 3, level=5)
    (clip,) = read_ldv(tmp_path, tmp_path.parent / f"{tmp_path.name}-cache")
    texture = smooth_noise(32, 48, 1) // 2
    assert np.array_equal(clip.pristine("rgb")[1], np.stack([texture, texture // 2, texture // 4]))
    assert clip.compressed("rgb", "QP37").max() > clip.pristine("rgb").max()
    assert clip.pristine("y").shape == (3, 32, 48)


def test_gopro(tmp_path):
    for part, level in (("sharp", 0), ("blur", 3), ("blur_gamma", 9)):
        write_pictures(tmp_path / "train" / "GOPR0372_07_00" / part, 2, level)
    (clip,) = read_gopro(tmp_path, tmp_path / "cache")
    assert clip.name == "GOPR0372_07_00"
    assert list(clip.settings) == ["blur", "blur_gamma"]
    for setting, level in (("blur", 3), ("blur_gamma", 9)):
        brighter = clip.compressed("rgb", setting)[:, 0].astype(int) - clip.pristine("rgb")[:, 0]
        assert np.unique(brighter).tolist() == [level]


def test_cuts_in_published_clips(tmp_path):
    frames = luma_frames([*np.full((4, 64, 96), 30), *np.full((4, 64, 96), 200)])
    write_raw(tmp_path / "raw" / "a_96x64.yuv", frames)
    write_raw(tmp_path / "x" / "a_96x64.yuv", frames)
    (clip,) = read_pairs(tmp_path / "raw", {"x": tmp_path / "x"}, tmp_path / "cache")
    assert clip.cuts == (4,)


def test_a_changed_file_is_decoded_again(tmp_path, monkeypatch):
    write_pictures(tmp_path / "gt" / "a", 2)
    write_pictures(tmp_path / "x" / "a", 2, level=4)
    folders = (tmp_path / "gt", {"x": tmp_path / "x"}, tmp_path / "cache")
    (clip,) = read_pairs(*folders)
    before = clip.compressed("rgb", "x").copy()
    monkeypatch.setattr(pairs.Decoded, "_decode", None)  # would fail if it were called
    assert np.array_equal(read_pairs(*folders)[0].compressed("rgb", "x"), before)
    monkeypatch.undo()
    write_png(tmp_path / "x" / "a" / "000000.png", np.full((32, 48, 3), 9, np.uint8))
    assert read_pairs(*folders)[0].compressed("rgb", "x")[0].max() == 9


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="must hold one folder called raw or gt, got none"):
        read_ldv(tmp_path, tmp_path / "cache")
    with pytest.raises(ValueError, match="hold no pairs of clips"):
        read_mfqe(tmp_path, tmp_path / "cache")
    with pytest.raises(ValueError, match="hold no pairs of clips"):
        read_gopro(tmp_path, tmp_path / "cache")
    write_pictures(tmp_path / "gt" / "a", 2)
    write_pictures(tmp_path / "x" / "a", 3)
    with pytest.raises(ValueError, match="x of a is 3 frames of 48x32, the pristine clip 2"):
        read_pairs(tmp_path / "gt", {"x": tmp_path / "x"}, tmp_path / "cache")
