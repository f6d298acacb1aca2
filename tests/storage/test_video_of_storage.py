"""Remote videos: read and written as local ones are, and little fetched of them."""

from fractions import Fraction

import av
import pytest
from typer.testing import CliRunner

from support.media import write_clip
from support.streams import assert_same_frames, contents
from vqe_fast.cli.app import app
from vqe_fast.cli.exit_codes import ExitCode
from vqe_fast.storage.block_cache import bytes_fetched
from vqe_fast.storage.location import location
from vqe_fast.video import SourceError, VideoError, enhance_video, read_qp
from vqe_fast.video.media.open import open_video, read_packets
from vqe_fast.video.media.payload import leave_out_payload, opened_for_payload
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.options import parse_options
from vqe_fast.video.segments.fingerprint import request_of
from vqe_fast.video.segments.split import plan_segments
from vqe_fast.video.session import EnhanceSession


def put(path, root, name=None):
    remote = location(f"{root}/{name or path.name}")
    remote.write_bytes(path.read_bytes())
    return remote


def packets_of(source, prepare=lambda file, container: None):
    file = opened_for_payload(source)
    with open_video(file) as container:
        prepare(file, container)
        return [
            (p.stream.index, p.pts, p.dts, p.size, p.is_keyframe, p.is_discard, bytes(p))
            for p in read_packets(container, file)
            if p.size
        ]


def frames_of(path):
    with VideoReader(path, threads=1) as video:
        return [
            (item.pts, item.to_ndarray().tobytes())
            for item in video.items()
            if isinstance(item, av.VideoFrame)
        ]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("avi", "mpeg4"), ("mov", "mpeg4")],
)
def test_same_packets_and_frames_as_of_a_local_file(suffix, codec, tmp_path, memory):
    path = write_clip(tmp_path / f"clip.{suffix}", codec=codec, frames=40, audio=("aac",))
    remote = put(path, memory)
    assert packets_of(remote) == packets_of(path)
    assert frames_of(remote) == frames_of(path)
    ours, theirs = read_qp(str(remote)), read_qp(path)
    assert [(f.pts, f.qp, f.type) for f in ours] == [(f.pts, f.qp, f.type) for f in theirs]
    for source in (remote, path):
        with VideoReader(source, threads=1) as video:
            assert video.seek(video.first_frame.pts)


def test_a_video_over_sftp(tmp_path, sftp):
    path = write_clip(tmp_path / "clip.mkv", frames=40, audio=("aac",))
    remote = put(path, sftp)
    assert packets_of(remote) == packets_of(path)
    with pytest.raises(VideoError, match=r"there is no folder sftp://.*/new; create it first"):
        enhance_video(remote, f"{sftp}/new/out.mkv", "identity", device="cpu")
    location(f"{sftp}/new").mkdir()
    enhance_video(remote, f"{sftp}/new/out.mkv", "identity", device="cpu")
    found = sorted(map(str, location(sftp).walk_files()))
    port = sftp.rpartition("@")[2]
    assert found == [f"sftp://{port}/clip.mkv", f"sftp://{port}/new/out.mkv"]


@pytest.mark.parametrize(
    "codec", ["libx264", "libx265", "mpeg4", "mpeg2video", "libsvtav1", "libvpx-vp9", "mjpeg"]
)
def test_packets_are_the_same_without_their_payload(codec, tmp_path, memory):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(
        tmp_path / "clip.mp4",
        codec=codec,
        pixel_format=pixels,
        frames=60,
        time_base=Fraction(1, 25),
        audio=("aac", "libmp3lame"),
    )
    remote = put(path, memory)
    whole = packets_of(path)
    for kinds in (("video",), ("video", "audio")):

        def without(file, container, kinds=kinds):
            leave_out_payload(file, container, [s for s in container.streams if s.type in kinds])

        found = packets_of(remote, without)
        assert [each[:-1] for each in found] == [each[:-1] for each in whole]
        if kinds == ("video",):
            assert [p for p in found if p[0]] == [p for p in whole if p[0]]


def long_clip(path):
    """Of the usual kind, but for its size: 40 s, a keyframe each second, sound."""
    return write_clip(
        path,
        frames=1000,
        size=(96, 64),
        audio=("aac",),
        options={"g": "25", "qp": "10", "preset": "ultrafast"},
    )


def test_plan_and_join_fetch_little(clip, memory):
    size = clip.stat().st_size
    remote = put(clip, memory)
    before = bytes_fetched(str(remote))
    assert plan_segments(remote, 10) == plan_segments(clip, 10)
    planned = bytes_fetched(str(remote))
    assert planned - before < 0.1 * size
    with VideoReader(remote, threads=1, without_payload_of_video=True) as video:
        sound = [bytes(p) for p in video.packets() if p.stream.type == "audio"]
    with VideoReader(clip, threads=1) as video:
        assert sound == [bytes(p) for p in video.packets() if p.stream.type == "audio"]
    assert bytes_fetched(str(remote)) - planned < sum(map(len, sound)) + 0.05 * size


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return long_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


OPTIONS = {"model": "identity", "precision": "fp32", "codec": "ffv1", "device": "cpu"}


def test_segments_of_a_remote_file(clip, tmp_path, s3):
    remote = put(clip, s3)
    before = bytes_fetched(str(remote))
    there = enhance_video(str(remote), tmp_path / "there.mkv", segment_seconds=10, **OPTIONS)
    fetched = bytes_fetched(str(remote)) - before
    here = enhance_video(clip, tmp_path / "here.mkv", segment_seconds=10, **OPTIONS)
    assert there.segments == here.segments == 4
    assert there.frames_out == here.frames_out
    assert_same_frames(tmp_path / "there.mkv", tmp_path / "here.mkv")
    assert contents(tmp_path / "there.mkv") == contents(tmp_path / "here.mkv")
    assert fetched <= 1.3 * clip.stat().st_size
    assert there.source == str(remote) and there.source_bytes == clip.stat().st_size


def test_from_a_bucket_to_a_bucket(tmp_path, s3):
    path = write_clip(tmp_path / "in.mp4", frames=12, audio=("aac",))
    source = put(path, s3)
    target = f"{s3}/folder/out.mp4"
    report = enhance_video(str(source), target, "identity", device="cpu")
    enhance_video(path, tmp_path / "out.mp4", "identity", device="cpu")
    written = location(target)
    (tmp_path / "fetched.mp4").write_bytes(written.read_bytes())
    assert contents(tmp_path / "fetched.mp4") == contents(tmp_path / "out.mp4")
    assert_same_frames(tmp_path / "fetched.mp4", tmp_path / "out.mp4")
    assert (report.source, report.target) == (str(source), target)
    assert report.target_bytes == written.stat().st_size
    assert list(location(s3).walk_files()) == [source, written]
    with pytest.raises(VideoError, match=r"out\.mp4 exists already"):
        enhance_video(str(source), target, "identity", device="cpu")
    with pytest.raises(VideoError, match="is the source itself"):
        enhance_video(str(source), source, "identity", device="cpu", overwrite=True)
    put(path, f"{s3}/folder.mp4")
    with pytest.raises(VideoError, match=r"folder\.mp4 is a folder"):
        enhance_video(str(source), f"{s3}/folder.mp4", "identity", device="cpu")


def test_what_fails_leaves_nothing(tmp_path, memory, monkeypatch):
    path = write_clip(tmp_path / "in.mp4", frames=6)

    def refuse(*_, **__):
        raise PermissionError("no")

    target = location(f"{memory}/out.mp4")
    monkeypatch.setattr(type(target._system), "put_file", refuse)
    with pytest.raises(VideoError, match=r"out\.mp4 cannot be written: access is denied"):
        enhance_video(path, str(target), "identity", device="cpu")
    assert not list(location(memory).walk_files())


def test_errors_in_a_sentence(tmp_path, s3):
    path = write_clip(tmp_path / "in.mp4", frames=6)
    said = {
        ("s3://nowhere/in.mp4", tmp_path / "out.mp4"): SourceError,
        (f"{s3}/nothing.mp4", tmp_path / "out.mp4"): SourceError,
        (path, "s3://nowhere/out.mp4"): VideoError,
        (path, "https://127.0.0.1:1/out.mp4"): VideoError,
        ("http://someone:s3cr3t@127.0.0.1:1/in.mp4?token=signed", tmp_path / "out"): SourceError,
    }
    for (source, target), kind in said.items():
        with pytest.raises(VideoError) as caught:
            enhance_video(source, target, "identity", device="cpu", container="auto")
        assert type(caught.value) is kind
        assert str(caught.value).count("\n") == 0
        assert "s3cr3t" not in str(caught.value) and "signed" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_source_that_changes_while_it_is_read(clip, tmp_path, memory):
    remote = put(clip, memory)
    changed = []

    def change(done, total):
        if done == 100 and not changed:
            changed.append(True)
            remote.write_bytes(clip.read_bytes()[:-1] + b"!")

    with pytest.raises(SourceError, match="changed while it was read"):
        enhance_video(str(remote), tmp_path / "out.mkv", progress=change, **OPTIONS)
    assert not (tmp_path / "out.mkv").exists()


def test_a_server_that_fails_while_reading_is_no_damage(clip, tmp_path, memory, monkeypatch):
    remote = put(clip, memory)
    system = type(remote._system)
    fetch = system.cat_file

    def fail(self, place, start, end):
        if start > 1 << 20:
            raise PermissionError("no")
        return fetch(self, place, start, end)

    monkeypatch.setattr(system, "cat_file", fail)
    with pytest.raises(SourceError, match="access is denied"):
        enhance_video(str(remote), tmp_path / "out.mkv", **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_tells_states_apart_and_no_secrets(tmp_path, memory):
    path = write_clip(tmp_path / "in.mp4", frames=6)
    remote = put(path, memory)
    options = parse_options({"model": "identity", "device": "cpu"})
    session = EnhanceSession(remote, tmp_path / "out.mkv", *options[:2])
    first = request_of(session, options[2])["source"]
    assert first["path"] == str(remote) and first["bytes"] == path.stat().st_size
    remote.write_bytes(path.read_bytes())
    other = session.adjusted(source=location(str(remote)))
    assert request_of(other, options[2])["source"] != first


def test_folders_of_a_bucket_by_the_command(tmp_path, s3, monkeypatch):
    path = write_clip(tmp_path / "in.mp4", frames=6)
    for name in ("a.mp4", "below/b.mp4", ".hidden/c.mp4", "notes.txt"):
        put(path, f"{s3}/in", name)
    run = CliRunner()
    options = ["--model", "identity", "--device", "cpu"]
    done = run.invoke(app, ["enhance", f"{s3}/in", f"{s3}/out/", *options])
    assert done.exit_code == 0, done.output
    made = [str(each) for each in location(f"{s3}/out").walk_files()]
    assert made == [f"{s3}/out/a.mp4", f"{s3}/out/below/b.mp4"]
    done = run.invoke(app, ["enhance", f"{s3}/in/", str(tmp_path / "out"), *options])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "below" / "b.mp4").is_file()
    done = run.invoke(app, ["enhance", f"{s3}/in/a.mp4", f"{s3}/c.mp4", *options])
    assert done.exit_code == 0 and f"{s3}/c.mp4: 6 frames" in done.output
    done = run.invoke(app, ["inspect", f"{s3}/in/a.mp4"])
    assert done.exit_code == 0 and "a.mp4" in done.output
    done = run.invoke(app, ["enhance", "s3://nowhere/a.mp4", str(tmp_path / "d.mp4"), *options])
    assert done.exit_code == ExitCode.REFUSED_INPUT
    assert "there is no bucket nowhere" in done.output and "Traceback" not in done.output
    done = run.invoke(app, ["enhance", str(path), "s3://nowhere/a.mp4", *options])
    assert done.exit_code == ExitCode.REFUSED_OPTIONS
    assert "there is no bucket nowhere" in done.output
