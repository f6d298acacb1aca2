"""Suggestions for names that there are not."""

import pytest

from vqe_fast._suggest import did_you_mean


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Apple_", "did you mean apple? "),
        ("aple", "did you mean apple or pear? "),
        ("pears", "did you mean pear or spear? "),
        ("quince", "did you mean apple? "),
        ("nothing like it", ""),
        ("", ""),
    ],
)
def test_did_you_mean(given, said):
    assert did_you_mean(given, ["apple", "pear", "spear"], {"Quince": "apple"}) == said
