"""Mean average precision of cases worked out by hand."""

import numpy as np
import pytest

from vqe_fast.evaluation.detection import Detections, Matches


def found(*objects):
    """Detections of (left, label, score), boxes of 10×10 pixels."""
    boxes = [[left, 0, left + 10, 10] for left, _, _ in objects]
    return Detections.of([boxes, [label for _, label, _ in objects], [s for *_, s in objects]])


def precision(*frames):
    matches = Matches()
    for detections, truth in frames:
        matches.add(detections, truth)
    return matches.mean_average_precision()


TWO = found((0, 1, 0.9), (50, 1, 0.8))


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        (TWO, 1.0),
        (found(), 0.0),
        (found((0, 1, 0.6)), 0.5),
        (found((0, 2, 0.9), (50, 2, 0.9)), 0.0),  # another class
        (found((0, 1, 0.9), (100, 1, 0.95)), 0.25),  # the surest is wrong: precision 1/2 at 1/2
        (found((0, 1, 0.9), (1, 1, 0.8), (50, 1, 0.7)), (1 + 2 / 3) / 2),  # one box twice
        (found((3, 1, 0.9), (50, 1, 0.1)), 1.0),  # 7/13 overlaps enough
        (found((4, 1, 0.9), (50, 1, 0.1)), 0.25),  # 6/14 does not: one hit of two, at rank two
    ],
)
def test_one_frame(detections, expected):
    assert precision((detections, TWO)) == pytest.approx(expected)


def test_a_detection_takes_the_box_it_overlaps_most():
    truth = found((0, 1, 1.0), (4, 1, 1.0))
    assert precision((found((4, 1, 0.9), (0, 1, 0.8)), truth)) == 1.0
    assert precision((found((2, 1, 0.9), (2, 1, 0.8)), truth)) == 1.0


def test_classes_count_alike():
    """One of three objects of one class is found, all of another; a class without truth is none."""
    truth = found((0, 1, 1.0), (20, 1, 1.0), (40, 1, 1.0), (60, 2, 1.0))
    seen = found((0, 1, 0.9), (60, 2, 0.5), (80, 3, 0.9))
    assert precision((seen, truth)) == pytest.approx((1 / 3 + 1) / 2)


def test_frames_are_ranked_together():
    """A sure mistake in one frame comes before a hit in another."""
    one = found((0, 1, 1.0))
    assert precision((found((0, 1, 0.6)), one), (found((50, 1, 0.9)), one)) == pytest.approx(0.25)
    assert precision((found((0, 1, 0.9)), one), (found((50, 1, 0.6)), one)) == pytest.approx(0.5)


def test_unsure_truth_does_not_count():
    assert precision((found((0, 1, 0.9)), found((0, 1, 0.9), (50, 1, 0.49)))) == 1.0
    assert precision((found((0, 1, 0.9)), found((0, 1, 0.49)))) is None


def test_clips_together():
    one = found((0, 1, 1.0))
    parts = [Matches(), Matches()]
    parts[0].add(found((0, 1, 0.6)), one)
    parts[1].add(found((50, 1, 0.9)), one)
    merged = Matches()
    for part in parts:
        merged.merge(Matches.from_dict(part.to_dict()))
    assert merged.mean_average_precision() == pytest.approx(0.25)


def test_what_a_detector_must_give():
    with pytest.raises(ValueError, match=r"\(2, 4\), \(1,\) and \(2,\)"):
        Detections.of([np.zeros((2, 4)), [1], [0.5, 0.5]])


def test_in_an_evaluation(run):
    """A detector that sees one bright object: the compressed clip's is where it was or not."""
    pictures = []

    def detector(picture):
        pictures.append(picture)
        assert picture.shape in ((64, 64, 3), (64, 96, 3)) and picture.dtype == np.uint8
        return [[0, 0, 10, 10]], [1], [0.9]

    qp_40 = [{"codec": "libx264", "mode": "qp", "values": [40]}]
    found_all = run({}, qp_40, detector=detector)
    assert {row.figures["map"] for row in found_all.rows} == {1.0}
    assert found_all.tables == ["psnr_y", "ssim_y", "map"]
    assert found_all.means[0].figures["map"] == 1.0
    assert len(pictures) == 24
    run({}, qp_40, detector=detector)
    assert len(pictures) == 24, "nothing is detected again"


def test_a_detector_that_fails(run):
    def detector(picture):
        raise RuntimeError("no")

    failed = run({}, detector=detector).failed
    assert {row.error for row in failed} == {"RuntimeError: no"} and len(failed) == 4
