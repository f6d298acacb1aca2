from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest

from support.clips import moving_texture, write_png
from support.media import write_clip
from vqe_fast.data import clips
from vqe_fast.data.clips import open_media, read_clip
from vqe_fast.data.color import luma_of, rows_of
from vqe_fast.data.raw import RawFormat, raw_format_of


def lumas(clip):
    return [luma_of(frame) for frame in clip.frames]


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "ffv1"), (".mp4", "libx264")])
def test_containers(tmp_path, suffix, codec):
    """Iterated over twice, a clip gives the same frames twice, and no more than asked for."""
    path = write_clip(tmp_path / f"a{suffix}", codec=codec, frames=5)
    clip = read_clip(path, 4)
    assert (clip.name, clip.rate) == ("a", 25)
    first, again = lumas(clip), lumas(clip)
    assert len(first) == len(again) == 4
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == (48, 64)
    assert not np.array_equal(first[0], first[1])


def raw_bytes(frame):
    """The samples of all planes, without padding."""
    size = 2 if "10le" in frame.format.name else 1
    planes = (np.frombuffer(p, np.uint8).reshape(p.height, -1) for p in frame.planes)
    return b"".join(
        rows[:, : plane.width * size].tobytes()
        for rows, plane in zip(planes, frame.planes, strict=True)
    )


def write_raw(path, frames):
    path.write_bytes(b"".join(map(raw_bytes, frames)))


def test_y4m(tmp_path):
    frames = moving_texture(3)
    head = b"YUV4MPEG2 W96 H64 F30:1 Ip A1:1 C420\n"
    body = b"".join(b"FRAME\n" + raw_bytes(frame) for frame in frames)
    (tmp_path / "a.y4m").write_bytes(head + body)
    clip = read_clip(tmp_path / "a.y4m")
    assert clip.rate == 30
    expected = [luma_of(frame) for frame in frames]
    assert all(np.array_equal(a, b) for a, b in zip(lumas(clip), expected, strict=True))


@pytest.mark.parametrize("size", [(96, 64), (50, 30)])
def test_raw(tmp_path, size):
    """Rows of a frame in memory may be padded, those of the file are not."""
    frames = moving_texture(3, *size)
    path = tmp_path / f"Texture_{size[0]}x{size[1]}_50.yuv"
    write_raw(path, frames)
    read = list(read_clip(path).frames)
    assert len(read) == 3
    for given, got in zip(frames, read, strict=True):
        for before, after in zip(given.planes, got.planes, strict=True):
            assert np.array_equal(rows_of(before), rows_of(after))
    renamed = path.rename(tmp_path / "texture.yuv")
    clip = read_clip(renamed, 2, raw=RawFormat(size, rate=Fraction(30)))
    assert (len(lumas(clip)), clip.rate) == (2, 30)


def test_raw_of_ten_bits(tmp_path):
    frame = moving_texture(1)[0]
    path = tmp_path / "Traffic_96x64_30_10bit.yuv"
    write_raw(path, [frame.reformat(format="yuv420p10le")])
    (read,) = lumas(read_clip(path))
    assert np.abs(read.astype(int) - luma_of(frame)).max() <= 1


@pytest.mark.parametrize(
    ("name", "size", "pix_fmt"),
    [
        ("BasketballPass_416x240_50", (416, 240), "yuv420p"),
        ("videoSRC33_1920x1080_24_300", (1920, 1080), "yuv420p"),
        ("Nebuta_2560x1600_60_10bit_crop", (2560, 1600), "yuv420p10le"),
        ("a_16x16_to_832x480", (832, 480), "yuv420p"),
    ],
)
def test_names_of_raw_files(tmp_path, name, size, pix_fmt):
    raw = raw_format_of(tmp_path / f"{name}.yuv")
    assert (raw.size, raw.pix_fmt) == (size, pix_fmt)


def test_raw_refusals(tmp_path):
    path = tmp_path / "texture.yuv"
    path.write_bytes(bytes(9216 + 100))
    with pytest.raises(ValueError, match=r"does not tell its size as in name_416x240\.yuv"):
        read_clip(path)
    with pytest.raises(ValueError, match=r"holds 1\.01 frames of 96x64 yuv420p"):
        lumas(read_clip(path, raw=RawFormat((96, 64))))
    with pytest.raises(ValueError, match=r"pix_fmt must be one of .* got 'nv12'"):
        RawFormat((96, 64), "nv12")
    with pytest.raises(ValueError, match="must be positive"):
        RawFormat((0, 64))


def test_folder_of_images(tmp_path):
    """In natural order, and only the images directly in it."""
    for number in (1, 2, 10):
        write_png(tmp_path / f"frame{number}.png", np.full((32, 48, 3), 20 * number, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    levels = [luma.mean() for luma in lumas(read_clip(tmp_path))]
    assert levels == sorted(levels) and len(levels) == 3
    write_png(tmp_path / "frame11.png", np.zeros((34, 48, 3), np.uint8))
    with pytest.raises(ValueError, match="changes from 48x32 to 48x34"):
        lumas(read_clip(tmp_path))


def test_other_formats_become_8_bit_420(tmp_path):
    write_clip(
        tmp_path / "a.mkv", codec="ffv1", pixel_format="yuv444p10le", size=(33, 21), frames=1
    )
    (frame,) = read_clip(tmp_path / "a.mkv").frames
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 32, 20)


def test_refusals(tmp_path):
    (tmp_path / "a.mkv").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"a\.mkv cannot be read as video: Invalid data"):
        read_clip(tmp_path / "a.mkv")
    with pytest.raises(ValueError, match=r"b\.mkv cannot be read as video: No such file"):
        read_clip(tmp_path / "b.mkv")
    write_clip(tmp_path / "c.mka", codec=None, audio=("aac",), pts=[0, 512], muxer="matroska")
    with pytest.raises(ValueError, match=r"c\.mka holds no video"):
        read_clip(tmp_path / "c.mka")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no video frame"):
        lumas(read_clip(tmp_path / "empty"))


def test_an_interruption_while_files_are_closed_is_not_lost(tmp_path, monkeypatch):
    """As it is in a generator that is let go of: Python has nobody to tell there."""
    path = write_clip(tmp_path / "a.mkv", frames=3)

    @contextmanager
    def interrupted(path):
        with open_media(path) as container:
            try:
                yield container
            finally:
                raise KeyboardInterrupt

    monkeypatch.setattr(clips, "open_media", interrupted)
    for look in (clips.first_frame, lambda path: list(clips.stored_frames(path, 1))):
        with pytest.raises(KeyboardInterrupt):
            look(path)
