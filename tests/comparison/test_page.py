"""What is in the page that compares videos."""

import html
import re
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

import vqe_fast
from support.compared import (
    LOSSLESS,
    data_of,
    names_of,
    numbered,
    picture_of,
    write_three,
)
from support.media import damage_packet, read_frames, write_clip
from vqe_fast.comparison import Crop, compare_videos
from vqe_fast.comparison.measures import Quality
from vqe_fast.data.color import rgb_of
from vqe_fast.ops import ssim
from vqe_fast.video import VideoError, read_qp
from vqe_fast.video.frames.color import ColorFacts


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return write_three(tmp_path_factory.mktemp("three"), frames=6)


@pytest.fixture(scope="module")
def page(three, tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "page.html"
    compare_videos(three[0], three[1], target, reference=three[2])
    return target


def decoded(path):
    """The frames of a file as RGB, (H, W, 3)."""
    with av.open(str(path)) as container:
        return [
            np.moveaxis(rgb_of(frame, ColorFacts.of(frame)), 0, -1)
            for frame in container.decode(video=0)
        ]


def test_pictures_are_the_decoded_frames(three, page):
    assert names_of(page) == [f"{letter}{i}" for i in range(6) for letter in "ABR"]
    for letter, path in zip("ABR", three, strict=True):
        for i, expected in enumerate(decoded(path)):
            np.testing.assert_array_equal(picture_of(page, f"{letter}{i}"), expected)


def test_figures(three, page):
    """PSNR by scikit-image, SSIM by the operator, QPs, types and sizes as inspect tells them."""
    data = data_of(page)
    lumas = [[planes[0] for _, planes in read_frames(path)] for path in three]
    for letter, frames in zip("AB", lumas, strict=False):
        for i, (luma, original) in enumerate(zip(frames, lumas[2], strict=True)):
            expected = peak_signal_noise_ratio(original, luma, data_range=255)
            assert data["curves"]["psnr"][letter][i] == pytest.approx(expected, abs=1e-4)
            images = [torch.tensor(each)[None, None] / 255 for each in (luma, original)]
            assert data["curves"]["ssim"][letter][i] == pytest.approx(
                float(ssim(*images)), abs=2e-6
            )
    for letter, path in zip("AB", three, strict=False):
        known = read_qp(path)
        assert data["types"][letter] == "".join(frame.type for frame in known)
        assert data["curves"]["size"][letter] == [frame.size for frame in known]
    qps = [round(frame.qp, 2) for frame in read_qp(three[0])]
    assert data["curves"]["qp"] == {"A": qps, "B": [None] * 6}
    assert data["seconds"] == [pytest.approx(i / 25) for i in range(6)]
    assert [video["name"] for video in data["videos"]] == ["a.mp4", "b.mkv", "r.mkv"]


def test_without_a_reference_the_two_are_measured_against_each_other(three, tmp_path):
    report = compare_videos(three[2], three[1], tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert data["curves"]["psnr"].keys() == {"AB"}
    psnr = 10 * np.log10(255**2 / 9)
    assert data["curves"]["psnr"]["AB"] == [pytest.approx(psnr, abs=1e-4)] * 6
    assert report.quality["AB"].psnr == pytest.approx(psnr)
    assert report.matched_by == "number"
    assert report.bytes == (tmp_path / "page.html").stat().st_size


def test_equal_videos(three, tmp_path):
    """An infinite PSNR has no number in JSON."""
    report = compare_videos(three[2], three[2], tmp_path / "page.html")
    assert data_of(tmp_path / "page.html")["curves"]["psnr"]["AB"] == ["inf"] * 6
    assert report.quality["AB"].psnr == float("inf")


def test_names_cannot_break_out(three, tmp_path):
    """Neither out of the title nor out of the data."""
    evil = tmp_path / "<img src=x onerror=alert(1)></script><script>alert(2)<!--.mp4"
    evil.parent.mkdir(parents=True)
    evil.write_bytes(three[0].read_bytes())
    compare_videos(evil, three[1], tmp_path / "page.html", frames=1)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<img" not in text
    assert "alert(2)<!--" not in text
    assert html.escape(evil.name) in text
    assert data_of(tmp_path / "page.html")["videos"][0]["name"] == evil.name


def test_the_page_loads_nothing_and_runs_its_own_program_only(page):
    text = page.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'", policy
    )
    outside = re.findall(r"(?:src|href)=|@import|url\(|https?://[^\s\"']+", text)
    assert outside == ["http://www.w3.org/2000/svg"]
    assert "<!--" not in text


def test_crop(three, tmp_path):
    report = compare_videos(*three[:2], tmp_path / "page.html", crop=Crop(32, 16, 8, 12), frames=2)
    expected = decoded(three[0])[1][12:28, 8:40]
    np.testing.assert_array_equal(picture_of(tmp_path / "page.html", "A1"), expected)
    data = data_of(tmp_path / "page.html")
    assert (data["width"], data["height"]) == (32, 16)
    assert "the part 32x16+8+12" in " ".join(report.remarks)
    lumas = [planes[0][12:28, 8:40] for path in three[:2] for _, planes in read_frames(path)[:1]]
    expected = peak_signal_noise_ratio(*lumas, data_range=255)
    assert data["curves"]["psnr"]["AB"][0] == pytest.approx(expected, abs=1e-4)


def test_start_and_frames(three, tmp_path):
    progress = []
    report = compare_videos(
        three[0],
        three[1],
        tmp_path / "page.html",
        start=0.08,
        frames=3,
        progress=lambda *done: progress.append(done),
    )
    data = data_of(tmp_path / "page.html")
    assert [video["numbers"] for video in data["videos"]] == [[2, 3, 4], [2, 3, 4]]
    assert data["curves"]["size"]["A"] == [frame.size for frame in read_qp(three[0])[2:5]]
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert report.frames == 3


def test_five_seconds_by_default(tmp_path):
    options = {"frames": 12, "rate": 2, "size": (16, 16)}
    clip = write_clip(tmp_path / "a.mkv", **LOSSLESS, **options)
    assert compare_videos(clip, clip, tmp_path / "page.html").frames == 10
    assert compare_videos(clip, clip, tmp_path / "page.html", frames=12).frames == 12


def test_pages_do_not_grow_without_end(three, tmp_path, monkeypatch):
    """Unless a number of frames is asked for."""
    whole = compare_videos(*three[:2], tmp_path / "page.html", frames=6)
    single = compare_videos(*three[:2], tmp_path / "page.html", frames=1)
    limit = (single.bytes + whole.bytes) // 2
    monkeypatch.setattr("vqe_fast.comparison.compare._BYTES", limit)
    cut = compare_videos(*three[:2], tmp_path / "page.html")
    assert 1 < cut.frames < 6
    assert cut.bytes < limit + 2000
    assert compare_videos(*three[:2], tmp_path / "page.html", frames=6).frames == 6


def grey_numbers(page, letter):
    """The numbers of :func:`numbered` frames, from their pictures."""
    names = [name for name in names_of(page) if name[0] == letter]
    # Limited range: luma 16 to 235.
    luma = [16 + picture_of(page, name)[0, 0, 0] / 255 * 219 for name in names]
    return [round((each - 100) / 4 * 2) / 2 for each in luma]


def test_another_frame_rate_is_matched_by_time(tmp_path):
    slow = write_clip(tmp_path / "a.mkv", frames=6, draw=numbered, **LOSSLESS)
    fast = write_clip(tmp_path / "b.mkv", frames=12, rate=50, draw=numbered, **LOSSLESS)
    report = compare_videos(slow, fast, tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert report.matched_by == "time"
    assert data["videos"][1]["numbers"] == [0, 2, 4, 6, 8, 10]
    assert "A 6, B 12" in " ".join(report.remarks)
    shown = [grey_numbers(tmp_path / "page.html", letter) for letter in "AB"]
    assert shown == [[0, 1, 2, 3, 4, 5]] * 2
    compare_videos(fast, slow, tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    numbers, known = data["videos"][1]["numbers"], read_qp(slow)
    assert data["curves"]["size"]["B"] == [known[number].size for number in numbers]
    assert numbers == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_frames_that_one_lacks_are_matched_by_time(tmp_path):
    """Variable rate: the third and fourth of six are left out."""
    whole = write_clip(tmp_path / "a.mkv", frames=6, draw=numbered, **LOSSLESS)
    ticks = [i * 512 for i in (0, 1, 4, 5)]
    part = write_clip(tmp_path / "b.mkv", pts=ticks, draw=numbered, **LOSSLESS)
    compare_videos(part, whole, tmp_path / "page.html")
    assert data_of(tmp_path / "page.html")["videos"][1]["numbers"] == [0, 1, 4, 5]
    assert grey_numbers(tmp_path / "page.html", "B") == [0, 1, 4, 5]


def test_as_many_frames_at_another_rate_are_matched_by_number(tmp_path):
    """Raw originals often have lost their rate."""
    clip = write_clip(tmp_path / "a.mkv", frames=6, draw=numbered, **LOSSLESS)
    other = write_clip(tmp_path / "b.mkv", frames=6, rate=30, draw=numbered, **LOSSLESS)
    assert compare_videos(clip, other, tmp_path / "page.html").matched_by == "number"
    assert data_of(tmp_path / "page.html")["videos"][1]["numbers"] == [0, 1, 2, 3, 4, 5]


def test_the_shorter_one_counts(three, tmp_path):
    short = write_clip(tmp_path / "short.mkv", frames=4, **LOSSLESS)
    for pair in ((three[2], short), (short, three[2])):
        report = compare_videos(*pair, tmp_path / "page.html")
        assert report.frames == 4
        assert report.quality["AB"].psnr == float("inf")
        assert "the end of the shortest" in " ".join(report.remarks)


def test_colours_are_those_of_each_stream(tmp_path):
    """The same scene in another range and another matrix looks the same and measures equal."""
    limited = write_clip(tmp_path / "a.mkv", frames=2, draw=numbered, **LOSSLESS)

    def full(frame):
        numbered(frame)
        luma = np.frombuffer(frame.planes[0], np.uint8)
        luma[:] = np.round((luma.astype(float) - 16) * 255 / 219)

    def tag(container, stream):
        stream.codec_context.color_range = 2

    other = write_clip(tmp_path / "b.mkv", frames=2, draw=full, prepare=tag, **LOSSLESS)
    for pair in ((other, limited), (limited, other)):
        report = compare_videos(*pair, tmp_path / "page.html")
        assert report.quality["AB"].psnr > 55
    pictures = [picture_of(tmp_path / "page.html", name).astype(int) for name in ("A1", "B1")]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "gray", "gbrp10le", "bgr0"])
def test_other_pixel_formats(tmp_path, pixel_format):
    def draw(frame):
        depth = frame.format.components[0].bits
        for index, plane in enumerate(frame.planes):
            samples = np.frombuffer(plane, np.uint8 if depth == 8 else np.uint16)
            samples[:] = (80 + 20 * index) << (depth - 8)

    clip = write_clip(
        tmp_path / "a.mkv", codec="ffv1", pixel_format=pixel_format, frames=2, draw=draw
    )
    report = compare_videos(clip, clip, tmp_path / "page.html")
    assert report.quality["AB"] == Quality(float("inf"), 1.0)
    picture = picture_of(tmp_path / "page.html", "A0")
    np.testing.assert_array_equal(picture, decoded(clip)[0])
    assert ("A has 10 bits" in " ".join(report.remarks)) == ("10" in pixel_format)


def test_turned_video_is_shown_upright(tmp_path):
    def turn(container, stream):
        cos, sin = 0, 1 << 16
        stream.set_display_matrix((cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30))

    clip = write_clip(tmp_path / "a.mp4", frames=2, prepare=turn)
    with av.open(str(clip)) as container:
        turned = next(container.decode(video=0)).rotation
    report = compare_videos(clip, clip, tmp_path / "page.html")
    assert report.frames == 2
    picture = picture_of(tmp_path / "page.html", "A0")
    assert picture.shape == (64, 48, 3)
    np.testing.assert_array_equal(picture, np.rot90(decoded(clip)[0], turned // 90))


def test_pixels_that_are_not_square(tmp_path):
    def widen(container, stream):
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)

    clip = write_clip(tmp_path / "a.mkv", frames=2, prepare=widen)
    report = compare_videos(clip, clip, tmp_path / "page.html")
    assert "B has pixels of the aspect 16/11; here they are square." in report.remarks


def test_damaged_video(tmp_path):
    whole = write_clip(tmp_path / "r.mkv", frames=6, draw=numbered, **LOSSLESS)
    broken = write_clip(tmp_path / "a.mkv", frames=6, draw=numbered, options={"g": "1"}, **LOSSLESS)
    damage_packet(broken, 3)
    report = compare_videos(broken, whole, tmp_path / "page.html")
    assert "Parts of A are damaged" in " ".join(report.remarks)


def test_refusals(three, tmp_path):
    target = tmp_path / "page.html"
    other = write_clip(tmp_path / "other.mp4", size=(32, 48), frames=2)
    tiny = write_clip(tmp_path / "tiny.mp4", size=(8, 8), frames=2)
    cases = {
        "has 64x48 pixels and .* 32x48; .* scale one": ((three[0], other), {}),
        "there is no file": ((three[0], tmp_path / "none.mp4"), {}),
        "SSIM needs 11x11 pixels, got 8x8": ((tiny, tiny), {}),
        "32x16\\+40\\+0 does not lie in the frames, 64x48": (
            three[:2],
            {"crop": Crop(32, 16, 40, 0)},
        ),
        "at least 1, got 0": (three[:2], {"frames": 0}),
        "no frame to compare from 9 s on": (three[:2], {"start": 9}),
        "from 0 on, got -1": (three[:2], {"start": -1}),
    }
    for words, (pair, options) in cases.items():
        with pytest.raises(VideoError, match=words):
            compare_videos(*pair, target, **options)
    assert not target.exists()
    with pytest.raises(VideoError, match="is one of the videos"):
        compare_videos(*three[:2], three[0])
    with pytest.raises(VideoError, match="cannot be written: No such file"):
        compare_videos(*three[:2], tmp_path / "no" / "page.html")
    with pytest.raises(VideoError, match="is a directory"):
        compare_videos(*three[:2], tmp_path)
    with pytest.raises(VideoError, match="got 3x4"):
        Crop.parse("3x4")
    assert Crop.parse("3x4+5+6") == Crop(3, 4, 5, 6)


def test_an_interruption_leaves_what_was_there(three, tmp_path):
    target = tmp_path / "page.html"
    target.write_text("the page of yesterday")

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_videos(*three[:2], target, progress=interrupt)
    assert target.read_text() == "the page of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_public_name():
    assert vqe_fast.compare_videos is compare_videos
