import json

import numpy as np
import pytest

from support.clips import moving_texture, smooth_noise, write_png
from support.footage import COLLECTION, needs_collection
from support.pairs import QP_44, write_lossless
from vqe_fast.data import prepared as module
from vqe_fast.data.color import luma_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.prepared import Prepared, prepare
from vqe_fast.data.raw import RawFormat
from vqe_fast.data.size_estimate import stream_bytes
from vqe_fast.data.sources import Source, find_sources
from vqe_fast.data.stills import CameraMove
from vqe_fast.data.windows import WindowSampler

BLUR = Degradation("none", blur=7)
X265 = Degradation("libx265", "qp", 37, structure="low_delay_p")


@pytest.fixture
def folder(tmp_path):
    """Two clips in ``clips/``."""
    (tmp_path / "clips").mkdir()
    write_lossless(tmp_path / "clips" / "slow.mkv", moving_texture(8))
    write_lossless(tmp_path / "clips" / "fast.mkv", moving_texture(15, step=5))
    return tmp_path


@pytest.fixture
def encoded(monkeypatch):
    """Names of the degradations that were run, in no particular order."""
    names = []
    write = module.write_stream
    monkeypatch.setattr(
        module,
        "write_stream",
        lambda clip, degradation, *rest: (
            names.append(degradation.name) or write(clip, degradation, *rest)
        ),
    )
    return names


def run(folder, *degradations, **options):
    return prepare(find_sources([folder / "clips"]), degradations, folder / "cache", **options)


def files(folder):
    return sorted(path.name for path in (folder / "cache" / "streams").iterdir())


def test_pairs_and_index(folder):
    """What comes out of the cache is what the encoders made of the frames that went in."""
    fast, slow = run(folder, QP_44, X265, BLUR).clips
    assert (fast.name, fast.shape, slow.shape) == ("fast", (15, 64, 96), (8, 64, 96))
    assert list(fast.settings) == ["x264 QP 44", "x265 QP 37 low-delay P", "blur 7"]
    original = np.stack([luma_of(frame) for frame in moving_texture(15, step=5)])
    assert np.array_equal(fast.pristine("y"), original)
    errors = {
        name: np.abs(fast.compressed("y", name).astype(int) - fast.pristine("y", name)).mean()
        for name in fast.settings
    }
    assert 0 < errors["x265 QP 37 low-delay P"] < errors["x264 QP 44"] < 20
    assert fast.compressed("y", "blur 7").shape == (2, 64, 96)
    assert np.array_equal(fast.pristine("y", "blur 7"), original[[3, 10]])
    assert fast.qp("x265 QP 37 low-delay P").tolist() == [34] + [37] * 14
    text = (folder / "cache" / "index.json").read_text()
    entry = json.loads(text)["clips"][0]["streams"]["x265 QP 37 low-delay P"]
    assert json.loads(text)["clips"][0]["name"] == "fast"
    assert entry["types"] == "I" + "P" * 14
    assert sum(entry["sizes"]) <= entry["file"]["bytes"]
    assert '"qp": [34.0, 37.0,' in text  # for people to read: a line for each list


def test_opened_again(folder):
    made = run(folder, QP_44)
    opened = Prepared.open(folder / "cache", verify=True)
    assert opened.index == made.index
    assert np.array_equal(
        opened.clips[0].compressed("y", "x264 QP 44"), made.clips[0].compressed("y", "x264 QP 44")
    )


def test_finished_streams_are_kept(folder, encoded):
    plans = []
    run(folder, QP_44)
    run(folder, QP_44, X265, announce=plans.append)
    assert sorted(encoded) == ["x264 QP 44"] * 2 + ["x265 QP 37 low-delay P"] * 2
    assert (plans[0].clips, plans[0].frames) == (2, 23)
    assert (plans[0].streams, plans[0].kept) == (2, 2)
    assert plans[0].luma_bytes == 23 * 3 * 64 * 96


def test_what_is_not_asked_for_stays_but_is_not_returned(folder):
    run(folder, QP_44, X265)
    assert all(list(clip.settings) == ["x264 QP 44"] for clip in run(folder, QP_44).clips)
    (folder / "clips" / "fast.mkv").rename(folder / "aside.mkv")
    assert [clip.name for clip in run(folder, QP_44).clips] == ["slow"]
    (folder / "aside.mkv").rename(folder / "clips" / "fast.mkv")
    assert len(Prepared.open(folder / "cache").clips[0].settings) == 2


def test_a_cascade(folder):
    """Each frame's QP is what it was asked for, the base QP that of the intra frame."""
    fast, slow = run(folder, Degradation("libx265", "qp", 37, structure="cascade")).clips
    assert fast.qp("x265 QP 37 cascade").tolist() == ([37] + 4 * [42, 41, 42, 38])[:15]
    assert slow.qp("x265 QP 37 cascade").tolist() == [37, 42, 41, 42, 38, 42, 41, 42]
    assert fast.base_qp("x265 QP 37 cascade") == 37


MANY = [Degradation("libx264", "qp", qp) for qp in range(30, 50, 2)]


def test_some_degradations_for_each_clip(folder, encoded):
    """The plan, the files and the clips are those of what was drawn, and nothing else is made."""
    plans = []
    made = run(folder, *MANY, per_clip=3, announce=plans.append)
    assert [len(clip.settings) for clip in made.clips] == [3, 3]
    drawn = [[stream.degradation for stream in c.streams.values()] for c in made.index.clips]
    assert drawn[0] != drawn[1]
    assert sorted(encoded) == sorted(each.name for draw in drawn for each in draw)
    assert len(files(folder)) == 6
    surveys = [source.survey() for source in find_sources([folder / "clips"])]
    assert (plans[0].streams, plans[0].kept) == (6, 0)
    assert plans[0].luma_bytes == 23 * 4 * 64 * 96
    assert plans[0].bytes == sum(
        stream_bytes(survey, each)
        for survey, draw in zip(surveys, drawn, strict=True)
        for each in draw
    )
    run(folder, *MANY, per_clip=3, announce=plans.append)
    assert (plans[1].streams, plans[1].kept) == (0, 6)
    sampler = WindowSampler(made.clips, planes="y", patch=32, batch=64)
    qps = {qp for step in range(4) for qp in sampler.draw(step, 0).qp.flatten().tolist()}
    assert len(qps & {float(each.value) for draw in drawn for each in draw}) > 3


def test_draws_depend_on_the_clip_and_the_seed_alone(folder):
    """Neither on its name nor on what else there is."""

    def chosen(**options):
        return {clip.name: list(clip.settings) for clip in run(folder, *MANY, **options).clips}

    first = chosen(per_clip=2)
    write_lossless(folder / "clips" / "another.mkv", moving_texture(4, step=7))
    (folder / "clips" / "slow.mkv").rename(folder / "clips" / "a.mkv")
    second = chosen(per_clip=2)
    assert (second["fast"], second["a"]) == (first["fast"], first["slow"])
    assert chosen(per_clip=2, seed=1) != second
    assert {len(names) for names in chosen(per_clip=99).values()} == {len(MANY)}


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
def test_damaged_streams_are_noticed_and_made_again(folder, encoded, damage):
    made = run(folder, QP_44)
    path = folder / "cache" / made.index.clips[0].streams["x264 QP 44"].file.path
    good = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(good[:-9] if damage == "short" else good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"x264_qp_44\.mkv of fast is missing or has changed"):
        Prepared.open(folder / "cache", verify=damage == "other")
    encoded.clear()
    run(folder, QP_44)
    assert encoded == ["x264 QP 44"]
    assert path.read_bytes() == good


def test_a_changed_source_replaces_what_was_made_of_it(folder, encoded):
    run(folder, QP_44).clips[0].compressed("y", "x264 QP 44")
    before = files(folder)
    write_lossless(folder / "clips" / "fast.mkv", moving_texture(7, step=2))
    with pytest.raises(ValueError, match=r"fast\.mkv of fast is missing or has changed"):
        Prepared.open(folder / "cache")
    encoded.clear()
    fast, _ = run(folder, QP_44).clips
    assert fast.shape == (7, 64, 96)
    assert encoded == ["x264 QP 44"]
    assert len(files(folder)) == 2 and files(folder) != before
    assert not list((folder / "cache" / "planes").iterdir())  # decoded from what is gone


def test_interruption(folder, encoded, monkeypatch):
    """What was finished is kept, nothing half-made has a name, and the next run goes on."""

    def interrupt(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    long = folder / "clips" / "long.mkv"
    write_lossless(long, moving_texture(40, 256, 192))
    settings = [QP_44, X265, Degradation("libx264", "qp", 20), Degradation("libsvtav1", "qp", 30)]
    with pytest.raises(KeyboardInterrupt):
        run(folder, *settings, workers=1, progress=interrupt)
    assert not [name for name in files(folder) if ".part" in name]
    index = json.loads((folder / "cache" / "index.json").read_text())
    done = sum(len(clip["streams"]) for clip in index["clips"])
    assert done < 12 and {f"streams/{name}" for name in files(folder)} >= {
        stream["file"]["path"] for clip in index["clips"] for stream in clip["streams"].values()
    }
    encoded.clear()
    run(folder, *settings)
    assert len(encoded) == 12 - done


def test_an_error_names_the_clip_and_keeps_the_rest(folder, encoded):
    with pytest.raises(ValueError, match=r"slow: there is no frame .* blur takes at least 13"):
        run(folder, Degradation("none", blur=13), workers=1)
    assert not [name for name in files(folder) if ".part" in name]
    (folder / "clips" / "fast.mkv").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"fast\.mkv cannot be read as video"):
        run(folder, QP_44)


def test_sources_that_cannot_be_read_again(tmp_path):
    """Photographs, raw files and folders of images get a lossless copy; files of video none."""
    clips = tmp_path / "clips"
    (clips / "walk").mkdir(parents=True)
    for number in range(3):
        picture = np.repeat(smooth_noise(64, 96, number)[..., None], 3, axis=2)
        write_png(clips / "walk" / f"{number}.png", picture)
    (clips / "raw.yuv").write_bytes(moving_texture(1)[0].to_ndarray().tobytes() * 4)
    still = Source(clips / "walk" / "0.png", "still", move=CameraMove(2, (48, 32)))
    raw = Source(clips / "raw.yuv", "raw", raw=RawFormat((96, 64)))
    made = prepare([still, Source(clips / "walk", "walk"), raw], [QP_44], tmp_path / "cache")
    assert [clip.shape for clip in made.clips] == [(2, 32, 48), (3, 64, 96), (4, 64, 96)]
    assert all(entry.pristine.path.endswith(".pristine.mkv") for entry in made.index.clips)
    for source, clip in zip((still, Source(clips / "walk", "walk"), raw), made.clips, strict=True):
        expected = np.stack([luma_of(frame) for frame in source.clip().frames])
        assert np.array_equal(clip.pristine("y"), expected)


def test_cuts_are_found_and_follow_the_threshold(folder, encoded):
    both = moving_texture(6) + [f for f in moving_texture(6, step=9) for _ in [f]]
    for frame in both[6:]:
        luma = np.frombuffer(frame.planes[0], np.uint8)
        luma[:] = luma // 3
    write_lossless(folder / "clips" / "fast.mkv", both)
    assert run(folder, QP_44).clips[0].cuts == (6,)
    encoded.clear()
    assert run(folder, QP_44, cut_threshold=3.0).clips[0].cuts == ()
    assert not encoded  # the streams are the same


def test_an_index_of_another_kind(folder):
    with pytest.raises(ValueError, match=r"cache holds no index\.json: run vqe-fast prepare"):
        Prepared.open(folder / "cache")
    run(folder, QP_44)
    index = folder / "cache" / "index.json"
    index.write_text(index.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(ValueError, match=r"not an index of this version \(.* at format\)"):
        Prepared.open(folder / "cache")


@needs_collection
def test_the_size_that_is_announced(tmp_path):
    """Within a factor of three on real footage."""
    plans = []
    settings = [
        Degradation("libx264", "crf", 29, max_bitrate=2000),
        Degradation("libx265", "qp", 37),
        Degradation("mjpeg", "quality", 30),
    ]
    sources = find_sources([COLLECTION / "val" / "video"], frames=6)
    made = prepare(sources, settings, tmp_path, announce=plans.append)
    size = sum(stream.file.bytes for clip in made.index.clips for stream in clip.streams.values())
    assert size / 3 < plans[0].bytes < size * 3
