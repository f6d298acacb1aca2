"""Progress on a terminal of 80 columns, and in a log."""

import io
import re
import time

import pytest

from vqe_fast.cli import progress_bar as module
from vqe_fast.cli.batch_table import Row, table
from vqe_fast.cli.in_words import clock, rate_in_words, time_in_words
from vqe_fast.cli.progress_bar import progress_bar


@pytest.mark.parametrize(
    ("fps", "words"),
    [(29.71, "29.7 fps"), (1, "1.0 fps"), (0.24, "4.2 s/frame"), (0.004, "250.0 s/frame")],
)
def test_rates(fps, words):
    """0.0 fps would tell nothing."""
    assert rate_in_words(fps) == words
    assert words in table([Row("a.mp4", "was there", 123456, fps)], [])
    assert max(map(len, table([Row("x" * 99, "was there", 123456, fps)], []).splitlines())) <= 80


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 seconds"), (725, "12 minutes"), (12600, "3.5 hours")]
)
def test_times(seconds, words):
    assert time_in_words(seconds) == words
    assert clock(3725.4) == "1:02:05"


class Clock:
    """Time that passes only when told, for this module alone."""

    strftime = staticmethod(time.strftime)

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(module, "time", self)

    def monotonic(self):
        return self.now


def test_lines_in_a_log(capsys, monkeypatch):
    """Nothing for half a minute, then a line that tells how long it will take."""
    passing = Clock(monkeypatch)
    with progress_bar("1/3 a.mp4", frames=True) as show:
        for done in range(1, 10):
            show(done, 100)
            passing.now += 10
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(
        r"vqe-fast: \d\d:\d\d:\d\d 1/3 a\.mp4: 4/100 frames, 7\.5 s/frame, 0:12:00 left", lines[0]
    )


def test_files_and_workers(capsys, monkeypatch):
    """What is before the figures changes while a run goes on."""
    passing = Clock(monkeypatch)
    with progress_bar(frames=True) as show:
        show(1, 100)
        passing.now += 30
        show.entitle("3/12 files, 4 workers")
        show(30, 100)
    assert capsys.readouterr().err.endswith(
        " 3/12 files, 4 workers: 30/100 frames, 1.0 fps, 0:01:10 left\n"
    )


def test_what_was_done_before_does_not_count(capsys, monkeypatch):
    passing = Clock(monkeypatch)
    with progress_bar(frames=True) as show:
        show(500, 1000)
        passing.now += 30
        show(529, 1000)
    assert "529/1000 frames, 1.0 fps, 0:07:51 left" in capsys.readouterr().err


def test_without_a_total_or_frames(capsys, monkeypatch):
    passing = Clock(monkeypatch)
    with progress_bar("encode") as show:
        show(1, None)
        passing.now += 30
        show(2, None)
    assert capsys.readouterr().err.endswith(" encode: 2\n")
    with progress_bar("encode", quiet=True) as show:
        assert show is None


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("title", ["12/345 " + "a long name" * 9 + ".mp4", None])
def test_a_bar_fits_the_terminal(columns, title, monkeypatch):
    """All figures are there: a name that is too long gives way."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    shown = io.StringIO()
    monkeypatch.setattr(module.sys, "stderr", shown)
    with progress_bar(title, frames=True) as show:
        for done in range(5):
            show(100000 + done, 123456)
            time.sleep(0.02)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    last = [line for line in re.split(r"[\r\n]", text) if line.strip()][-1]
    assert len(last.rstrip()) <= columns
    assert "100004/123456" in last and "fps" in last and re.search(r"\d:\d\d:\d\d", last)
    assert (title is None) or (last.startswith("12/345") and ".mp4" in last)
