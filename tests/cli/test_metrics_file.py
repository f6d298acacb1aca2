"""``--metrics``: a text file that Prometheus reads."""

import re

import pytest
from typer.testing import CliRunner

from support.media import full_disk, write_clip
from vqe_fast.cli import metrics_file as module
from vqe_fast.cli.app import app
from vqe_fast.cli.metrics_file import MetricsFile, metrics_text
from vqe_fast.cli.run_output import RunOutput, in_words
from vqe_fast.cli.tally import Tally
from vqe_fast.video.events import (
    Advanced,
    FileRefused,
    FileSkipped,
    FileStarted,
    SegmentDone,
    WorkerLost,
    WorkersAwaited,
)


def run(*arguments):
    words = ("enhance", "--model", "identity", "--preset", "ultrafast", *arguments)
    return CliRunner().invoke(app, [str(word) for word in words])


def parsed(text):
    """Series → value; what the text format asks for is checked."""
    assert text.endswith("\n")
    kinds, told, values = {}, set(), {}
    for line in text.splitlines():
        if help_of := re.fullmatch(r"# HELP ([a-z_]+) \S.*", line):
            assert help_of[1] not in told
            told.add(help_of[1])
        elif type_of := re.fullmatch(r"# TYPE ([a-z_]+) (counter|gauge)", line):
            assert type_of[1] in told and type_of[1] not in kinds
            kinds[type_of[1]] = type_of[2]
            assert type_of[1].endswith("_total") == (type_of[2] == "counter")
        else:
            name, labels, value = re.fullmatch(
                r'([a-z_]+)(\{[a-z]+="[a-z]+"\})? (\S+)', line
            ).groups()
            assert name == list(kinds)[-1] and name + (labels or "") not in values
            values[name + (labels or "")] = float(value)
    assert set(kinds) == told
    return values


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_clip(folder / "a.mkv", frames=6, size=(32, 32))
    (folder / "b.mkv").write_text("no video at all\n" * 9)
    return folder


@pytest.mark.parametrize("ways", [(), ("--segment-seconds", "1")], ids=["one pass", "segments"])
def test_of_a_folder(folder, tmp_path, ways):
    path = tmp_path / "run.prom"
    assert run(folder, tmp_path / "out", "--metrics", path, *ways).exit_code == 3
    values = parsed(path.read_text())
    assert values.pop("vqe_fast_last_update_seconds") > 1.7e9
    assert {name: value for name, value in values.items() if value} == {
        "vqe_fast_frames_total": 6,
        'vqe_fast_files{result="done"}': 1,
        'vqe_fast_files{result="refused"}': 1,
        **({"vqe_fast_segments_total": 1} if ways else {}),
    }
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out", "run.prom"]


def test_of_one_file(folder, tmp_path):
    path = tmp_path / "run.prom"
    assert run(folder / "a.mkv", tmp_path / "out.mkv", "--metrics", path).exit_code == 0
    assert parsed(path.read_text())['vqe_fast_files{result="done"}'] == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no/run.prom", "there is no directory"),
        (".", "is a directory"),
        ("out.mkv", "not both"),
        ("-", "the name of a file"),
    ],
)
def test_refused_before_any_work(folder, tmp_path, monkeypatch, path, words):
    monkeypatch.chdir(tmp_path)
    result = run("in/a.mkv", "out.mkv", "--metrics", path)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [folder])
    assert words in result.stderr and result.stderr.count("\n") == 1


def test_not_with_an_estimate(folder, tmp_path):
    result = run(folder / "a.mkv", "--estimate", "--metrics", tmp_path / "run.prom")
    assert result.exit_code == 2 and "leave out --metrics" in result.stderr


def started(source, resumed=0):
    return FileStarted(source, "out", 4, 100, resumed // 25, resumed, "here:1")


def advanced(source, done, all_done):
    return Advanced(source, done, 100, all_done, 200, workers=2)


def tally_of(*events):
    tally = Tally()
    tally.files = 3
    for event in events:
        tally.observe(event)
    return tally


def test_frames_of_an_earlier_run_and_of_a_lost_worker():
    """A counter never goes back, and what is done again counts once."""
    tally = tally_of(started("a", resumed=50), started("b"), advanced("a", 50, 50))
    assert tally.frames == 0
    tally.observe(advanced("b", 30, 80))
    tally.observe(advanced("a", 60, 90))
    assert (tally.frames, tally.done, tally.all_frames) == (40, 90, 200)
    tally.observe(WorkerLost("b", "segment 2", "was killed by signal 9", "here:2", again=True))
    tally.observe(advanced("b", 25, 85))
    assert (tally.frames, tally.workers_lost) == (40, 1)
    tally.observe(SegmentDone("b", 2, 25, 1.0, "here:3"))
    tally.observe(advanced("b", 50, 110))
    tally.observe(FileRefused("b", "out", ValueError("no")))
    tally.observe(FileSkipped("c", "out", was_there=True, why="was there"))
    assert (tally.frames, tally.segments, dict(tally.ended)) == (
        60,
        1,
        {"refused": 1, "skipped": 1},
    )
    assert tally.in_words() == "2/3 files, 2 workers" and tally.seconds_left > 0


class Clock:
    now = 1000.0

    def __init__(self, monkeypatch):
        monkeypatch.setattr(module, "time", self)

    def monotonic(self):
        return self.now

    def time(self):
        return self.now


def test_how_often_it_is_written(tmp_path, monkeypatch):
    clock, path, tally = Clock(monkeypatch), tmp_path / "run.prom", Tally()
    metrics = MetricsFile(path, tally, pytest.fail)
    values = []
    for frames in range(30):
        tally.observe(advanced("a", frames, frames))
        metrics.refresh()
        values.append(parsed(path.read_text())["vqe_fast_frames_total"])
        clock.now += 1
    assert sorted(set(values)) == [0, 10, 20]
    assert parsed(path.read_text())["vqe_fast_workers"] == 2
    metrics.close()
    values = parsed(path.read_text())
    assert (values["vqe_fast_frames_total"], values["vqe_fast_workers"]) == (29, 0)


def test_a_full_disk_is_said_once_and_the_work_goes_on(tmp_path):
    path, said = tmp_path / "run.prom", []
    metrics = MetricsFile(path, Tally(), said.append)
    before = path.read_text()
    with full_disk(100):
        metrics.close()
        metrics.close()
    assert said == [f"the metrics file {path} cannot be written: File too large"]
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_readers_of_one_suffix_see_no_draft(tmp_path, monkeypatch):
    """Node exporter takes all files that end with .prom: a second one would be told twice."""
    seen, path = [], tmp_path / "run.prom"

    def text(*_, **__):
        seen.extend(each.suffix for each in tmp_path.iterdir())
        return "# empty\n"

    monkeypatch.setattr(module, "metrics_text", lambda *_, **__: text())
    MetricsFile(path, Tally(), pytest.fail)
    assert ".prom" not in seen and path.exists()


def test_the_text():
    assert parsed(metrics_text(tally_of(advanced("a", 1, 1)), is_over=False))


@pytest.mark.parametrize(("again", "then"), [(True, "it is done again"), (False, "is set aside")])
def test_a_lost_worker_in_words(capsys, again, then):
    event = WorkerLost("s3://b/in/a.mp4", "segment 3", "was killed by signal 9", "here:7", again)
    sentence = in_words(event)
    assert sentence.startswith("worker here:7 was killed by signal 9 over segment 3 of a.mp4; ")
    assert sentence.endswith(then)
    told = RunOutput(None, quiet=False)
    with told.progress():
        told.observe(event)
    assert capsys.readouterr().err == f"vqe-fast: {sentence}\n"


def test_a_full_cluster(capsys):
    told, event = RunOutput(None, quiet=False), WorkersAwaited(60.2)
    with told.progress():
        told.observe(event)
    said = capsys.readouterr().err
    assert said.startswith("vqe-fast: there has been no worker for 60 seconds: the cluster is full")
    assert tally_of(advanced("a", 1, 1), event).workers == 0
