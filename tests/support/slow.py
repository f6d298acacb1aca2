"""What the daily round leaves out, ``-m "not slow"``: the tests named in ``tests/slow.txt``, which
``--slow-to`` writes anew, and all variants of an operator but the first."""

from pathlib import Path

import pytest

SECONDS = 0.4
"""What a test may take in the daily round."""
LIST = Path(__file__).parents[1] / "slow.txt"


def mark(items):
    """Marks the tests of the list."""
    names = set(LIST.read_text("utf-8").splitlines())
    for item in items:
        if item.nodeid in names:
            item.add_marker(pytest.mark.slow)


def all_but_first(values):
    """The values of a parameter, all but the first marked."""
    return [pytest.param(v, marks=pytest.mark.slow) if i else v for i, v in enumerate(values)]


def write(path, reports):
    """Lists the tests that took longer, what they set up included."""
    seconds = {}
    for report in reports:
        seconds[report.nodeid] = seconds.get(report.nodeid, 0) + report.duration
    slow = sorted(name for name, taken in seconds.items() if taken > SECONDS)
    Path(path).write_text("".join(f"{name}\n" for name in slow), "utf-8")
