import pytest

from vqe_fast.training.degradation import Degradation


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
    assert Degradation("libx265", "crf", 37).base_qp is None
    assert Degradation("libvpx-vp9", "qp", 37).base_qp is None
