"""Against the package bjontegaard."""

import warnings

import bjontegaard
import pytest

from vqe_fast.metrics import bd_psnr, bd_rate

ANCHOR = [4121.0, 1987.0, 1003.0, 512.0, 260.0], [40.1, 37.4, 34.9, 32.0, 29.7]
BETTER = [4121.0, 1987.0, 1003.0, 512.0, 260.0], [40.3, 37.9, 35.4, 32.4, 29.9]


def against(anchor, rates, quality):
    """The arguments of a curve and its anchor."""
    return {
        "rates": rates,
        "quality": quality,
        "anchor_rates": anchor[0],
        "anchor_quality": anchor[1],
    }


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
    assert bd_rate(**against(anchor, *curve)) == pytest.approx(rate, rel=1e-9)
    assert bd_psnr(**against(anchor, *curve)) == pytest.approx(psnr, rel=1e-9)


def test_signs_and_sizes():
    """Half the rate at the same quality is −50 %, and the order of points does not matter."""
    rates, quality = ANCHOR
    halved = against(ANCHOR, [rate / 2 for rate in rates], quality)
    assert bd_rate(**halved) == pytest.approx(-50)
    raised = against(ANCHOR, rates, [value + 1 for value in quality])
    assert bd_psnr(**raised) == pytest.approx(1)
    turned = against(BETTER, rates[::-1], quality[::-1])
    assert bd_rate(**turned) == pytest.approx(bd_rate(**against(BETTER, *ANCHOR)))
    assert bd_rate(**against(ANCHOR, *ANCHOR)) == pytest.approx(0)


@pytest.mark.parametrize("function", (bd_rate, bd_psnr))
def test_curves_by_place_are_refused(function):
    """Tools that take the anchor first would get the opposite sign."""
    call = rf"{function.__name__}\(rates=…, quality=…, anchor_rates=…, anchor_quality=…\)"
    with pytest.raises(TypeError, match=call):
        function(*ANCHOR, *BETTER)


def far_from(anchor, share):
    """A curve of twice the range, which begins where this share of the anchor's is left."""
    _, quality = anchor
    width = max(quality) - min(quality)
    start = max(quality) - share * width
    steps = [index / 4 for index in range(5)]
    return [1000 * 2 ** (4 * step) for step in steps], [start + 2 * width * s for s in steps]


def test_warns_of_a_small_overlap():
    """A mean over a sliver of the curves is one, but says little; over half of them it counts."""
    sliver = far_from(ANCHOR, 0.006)
    message = r"overlap over 0\.6 % of the narrower one's qualities only: measure points at which"
    with pytest.warns(UserWarning, match=message) as caught:
        found = bd_rate(**against(ANCHOR, *sliver))
    assert len(caught) == 1 and caught[0].filename == __file__
    rate = bjontegaard.bd_rate(*ANCHOR, *sliver, method="akima", min_overlap=0)
    assert found == pytest.approx(rate, rel=1e-9)
    with pytest.warns(UserWarning, match=r"overlap over 49 % of the narrower one's qualities"):
        bd_rate(**against(far_from(ANCHOR, 0.49), *ANCHOR))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bd_rate(**against(ANCHOR, *far_from(ANCHOR, 0.51)))
    faster = [rate / 15 for rate in BETTER[0]], BETTER[1]
    with pytest.warns(UserWarning, match="of the narrower one's log rates only"):
        bd_psnr(**against(ANCHOR, *faster))
    with pytest.raises(ValueError, match="do not overlap"):
        bd_psnr(**against(ANCHOR, [200 * rate for rate in ANCHOR[0]], ANCHOR[1]))


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
        bd_rate(**against(ANCHOR, *curve))
