"""vqe-fast enhance --shard: runs that part the files of a directory among them."""

import json

import pytest
from typer.testing import CliRunner

from support.media import write_clip
from vqe_fast.cli.app import app

OPTIONS = ("--model", "identity", "--preset", "ultrafast")
NAMES = ["a.mkv", "b/c.mp4", "b/d.avi", "e.mkv", "e.mp4", "f.mkv"]


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in ("enhance", *OPTIONS, *arguments)])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Six videos, two of which differ in their suffix alone, and what is none."""
    folder = tmp_path_factory.mktemp("shards") / "archive"
    (folder / "b").mkdir(parents=True)
    for name in NAMES:
        write_clip(folder / name, frames=3, size=(32, 32))
    (folder / "notes.txt").write_text("about these")
    return folder


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("count", [2, 7])
def test_together_they_have_all(archive, tmp_path, count):
    """Each file once, in the order of names; a shard without a file is done.

    Files that another container may give the same output are in one shard.
    """
    shares = []
    for number in range(1, count + 1):
        path = tmp_path / "report.json"
        result = run(archive, tmp_path / "out", "--shard", f"{number}/{count}", "--report", path)
        assert (result.exit_code, result.stderr) == (0, "")
        reports = json.loads(path.read_text())
        shares.append([report["source"].removeprefix(f"{archive}/") for report in reports])
        if not reports:
            assert result.stdout == f"shard {number}/{count} has no file\n"
        else:
            rows = len([line for line in result.stdout.splitlines() if line[0] not in " p"])
            assert rows == 1 + len(reports)
            assert ("notes.txt" in result.stdout) == (number == 1)
    assert sorted(name for share in shares for name in share) == NAMES
    assert ["e.mkv", "e.mp4"] in [share[-2:] for share in shares]
    assert len(files_in(tmp_path / "out")) == len(NAMES)
    if count == 2:
        assert shares == [["a.mkv", "b/d.avi", "f.mkv"], ["b/c.mp4", "e.mkv", "e.mp4"]]


def test_estimates(archive, tmp_path):
    result = run(archive, tmp_path / "out", "--shard", "1/3", "--estimate", "--report", "-")
    assert result.exit_code == 0
    told = [row["source"].removeprefix(f"{archive}/") for row in json.loads(result.stdout)]
    assert told == ["a.mkv", "e.mkv", "e.mp4"]
    empty = run(archive, tmp_path / "out", "--shard", "7/7", "--estimate")
    assert (empty.exit_code, empty.stdout) == (0, "shard 7/7 has no file\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        ("0/4", "counted from 1 to their number, got 0/4; where a queue counts"),
        ("5/4", "counted from 1 to their number, got 5/4"),
        ("0/0", "counted from 1 to their number"),
        ("a/b", "a shard is I/N, such as 1/8"),
        ("2", "a shard is I/N"),
        ("-1/4", "a shard is I/N"),
        ("1/4/", "a shard is I/N"),
    ],
)
def test_refused_shards(archive, tmp_path, shard, words):
    result = run(archive, tmp_path / "out", f"--shard={shard}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("output", [(), ("{tmp}/out.mkv",), ("{tmp}/",), ("-", "--format", "mkv")])
def test_of_one_file(archive, tmp_path, output):
    target = [word.format(tmp=tmp_path) for word in output]
    result = run(archive / "a.mkv", *target, "--shard", "1/2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a shard is of the files of a directory" in result.stderr
    assert files_in(archive) == [*NAMES, "notes.txt"]
