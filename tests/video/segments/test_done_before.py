"""Outputs that were made before: the fingerprint in their tag, and what --resume makes of it."""

import json
import os
import pickle
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.media import write_clip
from support.modules import Pointwise
from vqe_fast.cli.app import app
from vqe_fast.video import SourceError, VideoError, enhance_video
from vqe_fast.video.errors import SkippedError
from vqe_fast.video.options import parse_options
from vqe_fast.video.segments.fingerprint import done_before, fingerprint_of
from vqe_fast.video.session import EnhanceSession

OPTIONS = {"model": "identity", "preset": "ultrafast"}


def fingerprint(source, *excerpt, **options):
    model, encode, _ = parse_options({**OPTIONS, **options})
    return fingerprint_of(EnhanceSession(source, Path("out.mkv"), model, encode), *excerpt)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "in.mkv", frames=30, size=(32, 32))


class TestFingerprint:
    @pytest.mark.parametrize(
        "options",
        [
            {"crf": 30},
            {"codec": "libx265"},
            {"model": "dualres_t"},
            {"precision": "bf16"},
            {"pix_fmt": "yuv444p"},
            {"target_size": "1MiB"},
        ],
    )
    def test_options_that_decide(self, clip, options):
        assert fingerprint(clip, **options) != fingerprint(clip)

    @pytest.mark.parametrize(
        "options",
        [
            {"device": "cpu"},
            {"segment_seconds": 1},
            {"workers": 2, "resume": True},
            {"container": "auto", "max_memory": "8GiB", "tag": False},
        ],
    )
    def test_options_that_do_not(self, clip, options):
        """Where it is enhanced, in how many pieces, and how it is called."""
        assert fingerprint(clip, **options) == fingerprint(clip)

    def test_an_excerpt(self, clip):
        found = {
            fingerprint(clip, *each) for each in [(), (Fraction(1),), (Fraction(0), 5), (0, 6)]
        }
        assert len(found) == 4

    def test_the_source(self, clip, tmp_path):
        """A copy is the same, whatever its name and time are; a byte decides."""
        copy = shutil.copyfile(clip, tmp_path / "copy.mkv")
        os.utime(copy, (0, 0))
        assert fingerprint(copy) == fingerprint(clip)
        content = bytearray(copy.read_bytes())
        content[-1] ^= 1
        copy.write_bytes(content)
        assert fingerprint(copy) != fingerprint(clip)
        copy.unlink()
        with pytest.raises(SourceError, match=r"copy\.mkv cannot be read: No such file"):
            fingerprint(copy)

    def test_a_module(self, clip, tmp_path):
        """It has none: its code may count calls, and the tag has to be the same each time."""
        assert fingerprint(clip, model=Pointwise()) is None
        report = enhance_video(clip, tmp_path / "out.mkv", Pointwise())
        assert done_before(Path(report.target), fingerprint(clip)) is None
        assert done_before(Path(report.target), None) is None

    def test_sent_to_a_worker(self, clip):
        model, encode, _ = parse_options(OPTIONS)
        session = EnhanceSession(clip, Path("out.mkv"), model, encode, fingerprint="0" * 12)
        assert pickle.loads(pickle.dumps(session)).fingerprint == "0" * 12


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("out.mkv", {}, True),
        ("out.mkv", {"segment_seconds": 1}, True),
        ("out.mkv", {"workers": 2}, True),
        ("out.mp4", {"segment_seconds": 1, "tile": 32}, True),
        ("out.webm", {"codec": "libvpx-vp9", "preset": "8"}, True),
        ("out.mov", {}, None),
        ("out.mkv", {"tag": False}, None),
    ],
)
def test_the_tag(clip, tmp_path, name, options, told):
    target = tmp_path / name
    enhance_video(clip, target, **{**OPTIONS, **options})
    assert done_before(target, fingerprint(clip, **options)) is told
    assert done_before(target, "0" * 12) is (told and False)


def test_the_tag_of_an_excerpt(clip, tmp_path):
    target = tmp_path / "out.mkv"
    enhance_video(clip, target, frames=5, **OPTIONS)
    assert done_before(target, fingerprint(clip)) is False
    assert done_before(target, fingerprint(clip, Fraction(0), 5))


def test_what_is_no_video_was_not_made(tmp_path):
    (tmp_path / "out.mkv").write_text("no video")
    assert done_before(tmp_path / "out.mkv", "0" * 12) is False


def test_the_api_skips_it_too(clip, tmp_path):
    target = tmp_path / "out.mkv"
    enhance_video(clip, target, **OPTIONS)
    with pytest.raises(SkippedError, match="done before"):
        enhance_video(clip, target, resume=True, **OPTIONS)
    with pytest.raises(VideoError, match="exists already"):
        enhance_video(clip, target, **OPTIONS)


class TestCommand:
    def run(self, *arguments):
        words = ("enhance", "--model", "identity", "--preset", "ultrafast", *arguments)
        return CliRunner().invoke(app, [str(word) for word in words])

    @pytest.fixture
    def archive(self, clip, tmp_path):
        folder = tmp_path / "archive"
        folder.mkdir()
        for name in ("a.mkv", "b.mov", "c.mkv"):
            write_clip(folder / name, frames=3, size=(32, 32))
        assert self.run(folder, tmp_path / "out").exit_code == 0
        return folder

    def results(self, result):
        lines = [line.split() for line in result.stdout.splitlines() if line[0] != " "]
        return [" ".join(line[3 if line[1] == "-" else 5 :]) for line in lines[1:]]

    def test_the_same(self, archive, tmp_path):
        """Made in one pass, gone on with in segments; .mov goes by its name."""

        def written():
            facts = {path.name: path.stat() for path in (tmp_path / "out").iterdir()}
            return {name: (each.st_ino, each.st_mtime_ns) for name, each in facts.items()}

        before = written()
        path = tmp_path / "report.json"
        result = self.run(archive, tmp_path / "out", "--resume", "--report", path)
        assert (result.exit_code, result.stderr) == (0, "")
        assert self.results(result) == ["done before", "was there", "done before"]
        skipped = [report["skipped"] for report in json.loads(path.read_text())]
        assert skipped == ["done before", "was there", "done before"]
        assert written() == before

    def test_other_options(self, archive, tmp_path):
        result = self.run(archive, tmp_path / "out", "--resume", "--crf", "30")
        assert result.exit_code == 2
        assert self.results(result) == ["refused", "was there", "refused"]
        said = " ".join(result.stdout.split())
        assert "was not made of" in said and "delete it, or ask to overwrite it" in said
        again = self.run(archive, tmp_path / "out", "--resume", "--crf", "30", "--overwrite")
        assert (again.exit_code, again.stdout.count("done before")) == (0, 0)
        after = self.run(archive, tmp_path / "out", "--resume", "--crf", "30")
        assert (after.exit_code, after.stdout.count("done before")) == (0, 2)

    def test_another_source(self, archive, tmp_path):
        write_clip(archive / "a.mkv", frames=4, size=(32, 32))
        result = self.run(archive, tmp_path / "out", "--resume")
        assert result.exit_code == 2
        assert self.results(result) == ["refused", "was there", "done before"]

    def test_one_file(self, archive, tmp_path):
        source, target = archive / "a.mkv", tmp_path / "out" / "a.mkv"
        result = self.run(source, target, "--resume")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"{source}: skipped, done before\n"
        other = self.run(source, target, "--resume", "--crf", "30")
        assert other.exit_code == 2 and "was not made of" in other.stderr
        unknown = self.run(archive / "b.mov", tmp_path / "out" / "b.mov", "--resume")
        assert unknown.exit_code == 2 and "exists already" in unknown.stderr
