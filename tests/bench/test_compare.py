"""This checkout against another commit: which suites can be compared."""

import compare
import pytest


@pytest.fixture
def known(monkeypatch):
    """The files that the other commit has."""
    names = {"harness", "bench_ssim"}
    monkeypatch.setattr(compare, "_has_file", lambda commit, name: name in names)
    return names


def test_suites_that_only_one_commit_has_are_left_out(known, monkeypatch, capsys):
    """pytest ran none of the suites, without a word, when one of the files was missing."""
    ran = []
    monkeypatch.setattr(compare, "_git", lambda *arguments: None)
    monkeypatch.setattr(compare, "_build", lambda tree, site: None)
    monkeypatch.setattr(compare, "_measure", lambda tree, site, suites, *rest: ran.append(suites))
    monkeypatch.setattr(compare, "best", lambda paths: {})
    assert compare.compare("old", ["ssim", "block_match"], "cpu", True) == 0
    assert ran == [["ssim"]] * 4
    assert "left out: old has no suite block_match" in capsys.readouterr().out


def test_nothing_to_compare(known, capsys):
    assert compare.compare("old", ["block_match"], "cpu", True) == 2
    assert "nothing is left to compare" in capsys.readouterr().err
    known.clear()
    assert compare.compare("old", ["ssim"], "cpu", True) == 2
    assert "old is no commit with these benchmarks" in capsys.readouterr().err
