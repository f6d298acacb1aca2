"""Against the package bjontegaard."""

import bjontegaard
import pytest

from vqe_fast.metrics import bd_psnr, bd_rate

ANCHOR = [4121.0, 1987.0, 1003.0, 512.0, 260.0], [40.1, 37.4, 34.9, 32.0, 29.7]
BETTER = [4121.0, 1987.0, 1003.0, 512.0, 260.0], [40.3, 37.9, 35.4, 32.4, 29.9]


@pytest.mark.parametrize(
    ("curve", "anchor"),
    [
        (BETTER, ANCHOR),
        (ANCHOR, BETTER),
        ((BETTER[0][1:], BETTER[1][1:]), (ANCHOR[0][:-1], ANCHOR[1][:-1])),
    ],
)
def test_agrees(curve, anchor):
    points = *anchor, *curve
    rate = bjontegaard.bd_rate(*points, method="akima", min_overlap=0)
    psnr = bjontegaard.bd_psnr(*points, method="akima", min_overlap=0)
    assert bd_rate(*curve, *anchor) == pytest.approx(rate, rel=1e-9)
    assert bd_psnr(*curve, *anchor) == pytest.approx(psnr, rel=1e-9)


def test_signs_and_sizes():
    """Half the rate at the same quality is −50 %, and the order of points does not matter."""
    rates, quality = ANCHOR
    assert bd_rate([rate / 2 for rate in rates], quality, rates, quality) == pytest.approx(-50)
    assert bd_psnr(rates, [value + 1 for value in quality], rates, quality) == pytest.approx(1)
    assert bd_rate(rates[::-1], quality[::-1], *BETTER) == pytest.approx(bd_rate(*ANCHOR, *BETTER))
    assert bd_rate(*ANCHOR, *ANCHOR) == pytest.approx(0)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (([1, 2, 3], [1, 2, 3]), "at least 4 points"),
        (([1, 2, 3, 4], [1, 2, 3]), "as many rates as qualities, got 3 and 4"),
        (([1, 2, 3, 4], [30, 31, 30.5, 33]), "must rise"),
        (([2, 2, 3, 4], [30, 31, 32, 33]), "must rise"),
        (([1, 2, 3, 4], [30, 31, 32, float("inf")]), "finite"),
        (([1, 2, 3, 4], [1, 2, 3, 4]), "do not overlap"),
    ],
)
def test_refusals(curve, message):
    with pytest.raises(ValueError, match=message):
        bd_rate(*curve, *ANCHOR)
