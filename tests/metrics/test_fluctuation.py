import numpy as np
import pytest

from vqe_fast.metrics import fluctuation, peak_valley_difference


def test_fluctuation_is_the_standard_deviation():
    values = [31.0, 33.5, 30.25, 34.0]
    assert fluctuation(values) == pytest.approx(np.std(values), rel=1e-12)
    assert fluctuation([30.0]) == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 3, 2, 5, 1], 2.0),  # peak 3, valley 2, peak 5: 1 and 3
        ([1, 3, 3, 3, 2, 2, 5, 1], 2.0),  # plateaus count once
        ([1, 3, 2], 0.0),  # a peak alone
        ([1, 2, 3, 4], 0.0),
        ([4, 4, 4], 0.0),
        ([1], 0.0),
        ([], 0.0),
    ],
)
def test_peaks_and_valleys(values, expected):
    assert peak_valley_difference(values) == expected
