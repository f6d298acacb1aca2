import os

import numpy as np
import pytest

from support.clips import moving_texture, smooth_noise, write_png
from support.media import write_clip
from support.pairs import write_lossless
from support.unprivileged import obeying_permissions
from vqe_fast.data.color import luma_of
from vqe_fast.data.raw import RawFormat
from vqe_fast.data.sources import Source, find_sources
from vqe_fast.data.stills import CameraMove


def noise(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.repeat(smooth_noise(120, 160, seed)[..., None], 3, axis=2))


def test_folders_are_searched_in_order(tmp_path):
    noise(tmp_path / "b" / "still.png")
    write_clip(tmp_path / "clip.mkv", codec="ffv1", frames=2)
    (tmp_path / "notes.csv").write_text("a,b")
    found = find_sources([tmp_path], frames=9)
    assert [source.name for source in found] == ["clip", "b/still"]
    assert (found[0].frames, found[0].move) == (9, None)
    assert found[1].move == CameraMove()
    (alone,) = find_sources([tmp_path / "clip.mkv"])
    assert alone.name == "clip"


def test_equal_names_are_told_apart(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "clip.mkv", codec="ffv1", frames=1)
    found = find_sources([tmp_path / "x", tmp_path / "y"])
    assert [source.name for source in found] == ["clip", "clip (2)"]


def test_images_are_frames_where_asked_for(tmp_path):
    for number in range(3):
        noise(tmp_path / "walk" / f"{number}.png", number)
    (walk,) = find_sources([tmp_path], images="frames", frames=2)
    assert (walk.name, walk.survey().frames) == ("walk", 2)
    assert len(list(walk.clip().frames)) == 2
    assert len(find_sources([tmp_path])) == 3


def test_a_folder_without_clips(tmp_path):
    with pytest.raises(ValueError, match="missing holds no clip or photograph"):
        find_sources([tmp_path / "missing"])


def test_what_indices_cannot_name_is_refused(tmp_path):
    write_clip(tmp_path / os.fsdecode(b"sch\xf6n.mp4"))
    with pytest.raises(ValueError, match="is not UTF-8"):
        find_sources([tmp_path])


def test_a_folder_that_cannot_be_listed(tmp_path):
    """Training without some of its clips would not be noticed."""
    write_clip(tmp_path / "a.mp4")
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    with obeying_permissions(), pytest.raises(ValueError, match="closed cannot be read: Perm"):
        find_sources([tmp_path])
    closed.chmod(0o700)


def test_survey(tmp_path):
    """Counted, not guessed from a header, which lies in some files."""
    write_clip(tmp_path / "clip.mp4", frames=7, size=(64, 48), rate=50)
    survey = Source(tmp_path / "clip.mp4", "clip").survey()
    assert (survey.frames, survey.width, survey.height, survey.rate) == (7, 64, 48, 50)
    assert Source(tmp_path / "clip.mp4", "clip", frames=3).survey().frames == 3
    raw = Source(tmp_path / "raw.yuv", "raw", raw=RawFormat((16, 16)))
    raw.path.write_bytes(bytes(384 * 5))
    assert raw.survey().frames == 5


def test_what_can_be_read_again_as_it_is(tmp_path):
    for name, pixel_format, size in (
        ("plain", "yuv420p", (64, 48)),
        ("odd", "yuv420p", (63, 48)),
        ("deep", "yuv420p10le", (64, 48)),
    ):
        path = tmp_path / f"{name}.mkv"
        write_clip(path, codec="ffv1", pixel_format=pixel_format, size=size, frames=1)
        assert Source(path, name).rereadable() is (name == "plain")
    noise(tmp_path / "still.png")
    (still,) = find_sources([tmp_path / "still.png"])
    assert not still.rereadable()


def test_clips_of_another_size(tmp_path):
    """Scaled to what is asked for, smaller only; what was prepared without must be found again."""
    write_clip(tmp_path / "clip.mkv", codec="ffv1", frames=2, size=(96, 64))
    noise(tmp_path / "still.png")
    clip, still = find_sources([tmp_path], size=(46, 32))
    assert (clip.size, still.size) == ((46, 32), None)
    assert not clip.rereadable() and clip.settings() == {"size": [46, 32]}
    assert (clip.survey().width, clip.survey().height) == (46, 32)
    frames = list(clip.clip().frames)
    assert [(frame.width, frame.height) for frame in frames] == [(46, 32)] * 2
    whole = Source(tmp_path / "clip.mkv", "clip")
    assert whole.settings() == {}
    for scaled, frame in zip(frames, whole.clip().frames, strict=True):
        assert luma_of(scaled).mean() == pytest.approx(luma_of(frame).mean(), abs=1)
        assert (scaled.colorspace, scaled.color_range) == (frame.colorspace, frame.color_range)
    (larger,) = find_sources([tmp_path / "clip.mkv"], size=(96, 66))
    with pytest.raises(ValueError, match=r"clip\.mkv is 96x64, smaller than the size 96x66"):
        larger.survey()


def test_moves_depend_on_the_picture_alone(tmp_path):
    """Another picture in the folder must not change them, nor must the name."""
    noise(tmp_path / "a.png")
    noise(tmp_path / "z.png")
    first, second = find_sources([tmp_path], move=CameraMove(2, (64, 48)))
    frames = [[luma_of(f) for f in source.clip().frames] for source in (first, second)]
    assert np.array_equal(*frames)
    (other,) = find_sources([tmp_path / "a.png"], move=CameraMove(2, (64, 48)), seed=1)
    assert not np.array_equal(frames[0], [luma_of(f) for f in other.clip().frames])


def test_layers_are_told_where_there_are_two(tmp_path):
    """What was prepared before there were layers must be found again."""
    noise(tmp_path / "a.png")
    settings = [
        find_sources([tmp_path], move=CameraMove(2, (64, 48), layers=layers))[0].settings()
        for layers in (1, 2)
    ]
    assert settings[0] == {"frames": 2, "size": [64, 48], "minimum_shrink": 1.25, "seed": 0}
    assert settings[1] == settings[0] | {"layers": 2}
    (resting,) = find_sources([tmp_path], move=CameraMove(2, (64, 48), resting=0.5))
    assert resting.settings() == settings[0] | {"resting": 0.5}
    (slow,) = find_sources([tmp_path], move=CameraMove(2, (64, 48), speed=0.25))
    assert slow.settings() == settings[0] | {"speed": 0.25}


def test_checksums(tmp_path):
    """Of a folder: every image counts, and its name, which tells its place."""
    for number in range(2):
        noise(tmp_path / f"{number}.png", number)
    source = Source(tmp_path, "a")
    before = source.checksum()
    assert before == source.checksum()
    (tmp_path / "1.png").rename(tmp_path / "2.png")
    renamed = source.checksum()
    noise(tmp_path / "2.png", 5)
    assert len({before, renamed, source.checksum()}) == 3
    write_lossless(tmp_path / "clip.mkv", moving_texture(1))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        Source(tmp_path / "gone.mkv", "gone").checksum()
