"""vqe-fast enhance with several inputs or a directory, and its reports."""

import json
import signal

import pytest
from typer.testing import CliRunner

from support.media import damage_packet, full_disk, read_frames, write_clip
from vqe_fast.cli import enhance_file
from vqe_fast.cli.app import app
from vqe_fast.cli.batch_table import Row, table
from vqe_fast.models.identity import Identity

OPTIONS = ("--model", "identity", "--preset", "ultrafast")


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in ("enhance", *OPTIONS, *arguments)])


def clip(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_clip(path, **{"frames": 6, "size": (32, 32), **options})


@pytest.fixture
def archive(tmp_path):
    """Good and bad videos, and what is none."""
    folder = tmp_path / "archive"
    clip(folder / "b" / "first.mp4")
    clip(folder / "b" / "deep" / "second.AVI", codec="mpeg4", muxer="avi")
    clip(folder / "a.mkv", frames=9)
    (folder / "broken.mp4").write_bytes(b"no video at all, for sure\n" * 9)
    (folder / "notes.txt").write_text("about these")
    (folder / ".hidden.mp4").write_text("not to be touched")
    return folder


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_directory(archive, tmp_path):
    """Sub-directories are kept, a bad file stops nothing, and a table tells of all."""
    target = tmp_path / "new" / "better"
    result = run(archive, target)
    assert (result.exit_code, result.stderr) == (3, "")
    assert files_in(target) == ["a.mkv", "b/deep/second.AVI.mkv", "b/first.mp4"]
    assert len(read_frames(target / "a.mkv")) == 9
    lines = result.stdout.splitlines()
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)  # a name stays whole
    assert lines[0].split() == ["file", "frames", "rate", "result"]
    rows = {line.split()[0][-9:]: line.split()[1:] for line in lines if line[0] not in " p"}
    assert rows["ive/a.mkv"][0] == "9" and rows["ive/a.mkv"][-1] == "done"
    assert rows["roken.mp4"] == ["-", "-", "refused"]
    assert "broken.mp4 is not a video" in " ".join(result.stdout.split())
    assert lines[-2].startswith("passed over") and lines[-1].strip().endswith("notes.txt")


def test_several_files(archive, tmp_path):
    """Files that are named are tried, whatever their names are."""
    odd = clip(tmp_path / "odd.bin", muxer="matroska")
    target = tmp_path / "better"
    result = run(archive / "a.mkv", archive / "b" / "first.mp4", odd, target)
    assert (result.exit_code, result.stderr) == (0, "")
    assert files_in(target) == ["a.mkv", "first.mp4", "odd.bin.mkv"]


@pytest.mark.parametrize("is_there", [True, False])
def test_one_file_into_a_directory(archive, tmp_path, is_there):
    target = tmp_path / "better"
    if is_there:
        target.mkdir()
    result = run(archive / "a.mkv", f"{target}{'' if is_there else '/'}")
    assert (result.exit_code, files_in(target)) == (0, ["a.mkv"])


def test_the_worst_exit_code(tmp_path):
    good = clip(tmp_path / "good.mkv")
    damaged = clip(tmp_path / "damaged.mkv", codec="ffv1", options={"g": "1"})
    damage_packet(damaged, 3)
    result = run(good, damaged, tmp_path / "out/")
    assert result.exit_code == 1
    assert "damaged.mkv is damaged: 1 packets" in " ".join(result.stdout.split())
    quiet = run(good, damaged, tmp_path / "out2/", "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    assert quiet.stderr.startswith("vqe-fast: ") and quiet.stderr.count("\n") == 1


def test_a_container_that_does_not_hold_the_codec(tmp_path):
    source = clip(tmp_path / "in" / "a.webm", codec="libvpx-vp9")
    result = run(source.parent, tmp_path / "out")
    assert (result.exit_code, files_in(tmp_path / "out")) == (0, ["a.webm.mkv"])


def test_outputs_inside_the_directory_are_no_inputs(archive):
    target = archive / "better"
    (archive / "broken.mp4").unlink()
    assert run(archive, target).exit_code == 0
    before = files_in(target)
    again = run(archive, target, "--overwrite")
    assert (again.exit_code, files_in(target)) == (0, before)
    refused = run(archive, archive)
    assert refused.exit_code == 2


def test_two_outputs_of_one_name(archive, tmp_path):
    other = clip(tmp_path / "other" / "a.mkv")
    result = run(archive / "a.mkv", other, tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "would both be written to" in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("empty", "out"), 3, "there is no video among"),
        (("-", "a.mkv", "out"), 2, "are for one video"),
        (("a.mkv", "b.mkv", "file"), 2, "OUTPUT has to be a directory for 2 inputs, and file"),
    ],
)
def test_refusals(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("a.mkv", "b.mkv"):
        clip(tmp_path / name)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr and result.stderr.count("\n") == 1


def test_interrupted_and_resumed(archive, tmp_path, monkeypatch):
    """What is finished is left alone; what was begun goes on from its segments."""
    clip(archive / "c.mkv", frames=60)
    (archive / "broken.mp4").unlink()
    target, seen = tmp_path / "out", []

    def forward(self, luma):
        seen.append(luma)
        if len(seen) == 58:
            signal.raise_signal(signal.SIGINT)
        return luma

    monkeypatch.setattr(Identity, "forward", forward)
    options = ("--segment-seconds", "1", "--precision", "fp32")
    result = run(archive, target, *options)
    assert result.exit_code == 130
    assert "a.mkv" in result.stdout and "first.mp4" not in result.stdout
    hint = "the same command with --resume goes on"
    assert result.stderr == f"vqe-fast: interrupted, {target} lacks files; {hint}\n"
    parts = target / "c.mkv.parts"
    assert parts.is_dir() and files_in(target)[0] == "a.mkv"
    again = run(archive, target, "--resume", *options)
    assert (again.exit_code, again.stderr) == (0, "")
    rows = {line.split()[0][-5:]: line.split()[-2:] for line in again.stdout.splitlines()}
    assert rows["a.mkv"] == ["done", "before"] and rows["c.mkv"][-1] == "done"
    assert not parts.exists() and len(read_frames(target / "c.mkv")) == 60


@pytest.mark.parametrize("options", [(), ("--segment-seconds", "1"), ("--shard", "1/1")])
def test_interrupted_before_the_first_is_done(archive, tmp_path, monkeypatch, options):
    """There is no table then."""
    (archive / "broken.mp4").unlink()
    (archive / "notes.txt").unlink()
    monkeypatch.setattr(Identity, "forward", lambda *_: signal.raise_signal(signal.SIGINT))
    result = run(archive, tmp_path / "out", "--precision", "fp32", *options)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.count("\n") == 1


def test_long_names_fit_the_table():
    text = table([Row("x" * 90 + ".mp4", "refused", notes=("no " * 60,))], ["y" * 20])
    assert max(map(len, text.splitlines())) <= 80 and "xxx.mp4" in text


class TestReport:
    def test_of_one_file(self, tmp_path):
        source, path = clip(tmp_path / "in.mkv"), tmp_path / "report.json"
        path.write_text("old")
        assert run(source, tmp_path / "out.mkv", "--report", path).exit_code == 0
        report = json.loads(path.read_text())
        assert (report["frames_out"], report["source"], report["model"]) == (
            6,
            str(source),
            "identity",
        )
        assert set(report["timings"]) == {"decode", "model", "encode", "waiting"}
        assert (report["segments"], report["resumed"]) == (None, 0)

    def test_of_a_damaged_file(self, tmp_path):
        source = clip(tmp_path / "in.mkv", codec="ffv1", options={"g": "1"})
        damage_packet(source, 3)
        path = tmp_path / "report.json"
        assert run(source, tmp_path / "out.mkv", "--report", path).exit_code == 1
        assert json.loads(path.read_text())["damaged_packets"] == 1

    def test_on_standard_output(self, tmp_path):
        """Nothing else is there, so that a program can read it."""
        result = run(clip(tmp_path / "in.mkv"), tmp_path / "out.mkv", "--report", "-")
        assert json.loads(result.stdout)["frames_out"] == 6
        assert "6 frames in" in result.stderr

    def test_of_several_files(self, archive, tmp_path):
        path = tmp_path / "report.json"
        assert run(archive, tmp_path / "out", "--report", path).exit_code == 3
        reports = json.loads(path.read_text())
        assert [report.get("frames_out") for report in reports] == [9, None, 6, 6]
        assert "is not a video" in reports[1]["error"]
        result = run(archive, tmp_path / "out", "--resume", "--report", "-")
        assert [report.get("was_there") for report in json.loads(result.stdout)] == [
            True,
            None,
            True,
            True,
        ]

    @pytest.mark.parametrize(
        ("path", "words"),
        [("no/report.json", "there is no directory"), (".", "is a directory")],
    )
    def test_refused_before_any_work(self, tmp_path, path, words):
        source = clip(tmp_path / "in.mkv")
        result = run(source, tmp_path / "out.mkv", "--report", tmp_path / path)
        assert result.exit_code == 2 and words in result.stderr
        assert list(tmp_path.iterdir()) == [source]

    def test_both_on_standard_output(self, tmp_path):
        result = run(clip(tmp_path / "in.mkv"), "-", "--format", "mkv", "--report", "-")
        assert result.exit_code == 2 and "not both" in result.stderr

    def test_full_disk(self, tmp_path, monkeypatch):
        """The video is there; the report is missing, and no half of it."""
        source, path = clip(tmp_path / "in.mkv"), tmp_path / "report.json"
        write_report = enhance_file.write_report

        def in_little_room(*arguments):
            with full_disk(100):
                write_report(*arguments)

        monkeypatch.setattr(enhance_file, "write_report", in_little_room)
        result = run(source, tmp_path / "out.mkv", "--report", path)
        assert result.exit_code == 2
        assert "report.json cannot be written: File too large" in result.stderr
        assert sorted(each.name for each in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


@pytest.mark.parametrize("option", [("--segment-seconds", "1"), ("--workers", "2"), ("--resume",)])
@pytest.mark.parametrize("pipe", ["in", "out"])
def test_pipes_have_no_segments(tmp_path, option, pipe):
    source = clip(tmp_path / "in.mkv")
    ends = ("-", tmp_path / "out.mkv") if pipe == "in" else (source, "-", "--format", "mkv")
    result = run(*ends, *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be worked on in segments" in result.stderr
    assert list(tmp_path.iterdir()) == [source]
