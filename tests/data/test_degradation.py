from collections import Counter
from itertools import pairwise

import pytest

from vqe_fast.data.degradation import Degradation, drawn


@pytest.mark.parametrize(
    ("degradation", "name"),
    [
        (Degradation("libx265", "qp", 37), "x265 QP 37"),
        (Degradation("libx264", "crf", 29, max_bitrate=1500), "x264 CRF 29 max 1500k"),
        (
            Degradation("libx265", "qp", 22, structure="low_delay_p", preset="slow"),
            "x265 QP 22 low-delay P preset slow",
        ),
        (Degradation("libvpx-vp9", "crf", 63, structure="intra"), "VP9 CRF 63 intra"),
        (Degradation("libx265", "qp", 37, structure="cascade"), "x265 QP 37 cascade"),
        (Degradation("libsvtav1", "qp", 50, preset="8"), "SVT-AV1 QP 50"),
        (Degradation("mjpeg", "quality", 10), "JPEG 10"),
        (Degradation("none", blur=7), "blur 7"),
        (Degradation("libx264", "qp", 30, blur=13), "blur 13 x264 QP 30"),
    ],
)
def test_names(degradation, name):
    """They are what tables, files and the index tell versions apart by."""
    assert degradation.name == name


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("libx264", "crf", 52), {}, r"crf of libx264 must lie in 0\.\.51, got 52"),
        (("libsvtav1", "qp", 0), {}, r"qp of libsvtav1 must lie in 1\.\.63, got 0"),
        (("libx264", "qp"), {}, r"must lie in 0\.\.51, got None"),
        (("libx264", "quality", 50), {}, "mode of libx264 must be qp or crf, got quality"),
        (("mjpeg", "qp", 20), {}, "mode of mjpeg must be quality, got qp"),
        (("mjpeg", "quality", 101), {}, r"1\.\.100, got 101"),
        (("mjpeg", "quality", 50), {"preset": "fast"}, "mjpeg has no presets, got 'fast'"),
        (("mjpeg", "quality", 50), {"structure": "intra"}, "mjpeg codes intra frames only"),
        (("libx264", "qp", 30), {"structure": "lowdelay"}, "got 'lowdelay'"),
        (("libx264", "qp", 30), {"structure": "cascade"}, "got libx264 and qp"),
        (("libx265", "crf", 30), {"structure": "cascade"}, "codec libx265 and the mode qp, .* crf"),
        (("libx264", "qp", 30), {"max_bitrate": 900}, "needs the mode crf, got 900 with qp"),
        (("libx264", "crf", 30), {"max_bitrate": 0}, "at least 1 kbit/s"),
        (("libx264", "crf", 30), {"blur": 8}, "blur must be one of 7, 9, 11, 13, got 8"),
        (("libx266", "qp", 30), {}, "codec must be one of none, .*libsvtav1, mjpeg, got 'libx266'"),
        (("none",), {}, "without a codec there must be a blur"),
        (("none", "qp", 30), {"blur": 7}, "without a codec there is no mode and no value"),
    ],
)
def test_refusals(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Degradation(*arguments, **options)


def test_base_qp_is_known_where_the_encoder_was_asked_for_one():
    """Models trained on base QPs must not get the index of another codec's scale."""
    assert Degradation("libx265", "qp", 37).base_qp == 37
    assert Degradation("libx265", "qp", 37, structure="cascade").base_qp == 37
    assert Degradation("libx265", "crf", 37).base_qp is None
    assert Degradation("libvpx-vp9", "qp", 37).base_qp is None


QPS = [Degradation("libx265", "qp", qp) for qp in range(22, 43)]


def draws(clips, count, degradations=QPS, seed=0):
    return [drawn(degradations, count, seed, f"{clip:064x}") for clip in range(clips)]


@pytest.mark.parametrize("count", [1, 3, 4, 20])
def test_draws_are_even(count):
    """Each is drawn about equally often: a binomial count within five standard deviations."""
    clips, share = 3000, count / len(QPS)
    found = Counter(each for draw in draws(clips, count) for each in draw)
    deviation = (clips * share * (1 - share)) ** 0.5
    assert set(found) == set(QPS)
    assert all(abs(times - clips * share) < 5 * deviation for times in found.values())


def test_a_draw_is_spread_over_the_list():
    """One of each third of it, wherever the thirds begin; none twice, in the order of the list."""
    for draw in draws(200, 3):
        values = [each.value for each in draw]
        assert values == sorted(set(values)) and len(values) == 3
        gaps = [after - before for before, after in pairwise([*values, values[0] + len(QPS)])]
        assert max(gaps) < 2 * len(QPS) / 3
    assert len({tuple(draw) for draw in draws(200, 3)}) > 100


def test_what_a_draw_depends_on():
    assert draws(9, 2) == draws(9, 2)
    assert draws(9, 2) != draws(9, 2, seed=1)
    assert draws(1, 30) == [QPS]
