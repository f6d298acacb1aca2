"""Whatever fails on the way: the error arrives, threads end, and no file is left."""

import gc
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

import pytest

from support.media import full_disk, read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.video import VideoError, enhance_video, session
from vqe_fast.video.media import containers, reader
from vqe_fast.video.media.stream_copy import StreamCopy
from vqe_fast.video.media.video_encoder import FrameEncoder
from vqe_fast.video.media.writer import VideoWriter


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=30)


@pytest.fixture(params=[False, True], ids=["new target", "existing target"])
def target(request, tmp_path):
    target = tmp_path / "out.mp4"
    if request.param:
        target.write_text("precious")
    return target


@contextmanager
def leaving_nothing(target):
    """Fails if files appear or change in the target's directory, or threads stay."""
    before = {p: p.read_bytes() for p in target.parent.iterdir()}
    threads = threading.active_count()
    yield
    assert {p: p.read_bytes() for p in target.parent.iterdir()} == before
    assert threading.active_count() == threads


class Listens(Pointwise):
    """A model that is told QPs."""

    def forward(self, frames, qp):
        return frames


def fail_at(frame, error):
    """A model that raises at a frame, counted from 0, having checked that work is under way."""
    calls = iter(range(1000))

    def function(luma):
        if next(calls) == frame:
            raise error
        return luma

    return Pointwise(function)


def test_model_fails(clip, target):
    with leaving_nothing(target), pytest.raises(RuntimeError, match="out of tune"):
        enhance_video(clip, target, fail_at(17, RuntimeError("out of tune")), overwrite=True)


def test_encoder_fails(clip, target, monkeypatch):
    """The model's thread must not wait for ever for room in the queue of a dead encoder."""
    written = []

    def write(self, item):
        written.append(item)
        if len(written) == 5:
            raise RuntimeError("no ink")

    monkeypatch.setattr(VideoWriter, "write", write)
    with leaving_nothing(target), pytest.raises(RuntimeError, match="no ink"):
        enhance_video(clip, target, Pointwise(), overwrite=True)


def test_decoder_fails(clip, target, monkeypatch):
    calls = []

    def take_over(frame):
        calls.append(frame)
        if len(calls) == 9:
            raise RuntimeError("no film")

    monkeypatch.setattr(reader, "take_over", take_over)
    with leaving_nothing(target), pytest.raises(RuntimeError, match="no film"):
        enhance_video(clip, target, Pointwise(), overwrite=True)


def test_disk_full(clip, target):
    """Writes fail in the middle, and in another thread."""
    sentence = r"out\.mp4 cannot be written: "
    with leaving_nothing(target), pytest.raises(VideoError, match=sentence), full_disk(4096):
        enhance_video(clip, target, Pointwise(), codec="ffv1", overwrite=True)


def test_rename_fails(clip, target, monkeypatch):
    def replace(_, __):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", replace)
    with leaving_nothing(target), pytest.raises(VideoError, match="Permission denied"):
        enhance_video(clip, target, Pointwise(), overwrite=True)


def test_encoder_loses_a_frame(clip, target, monkeypatch):
    """Frames in = frames out, or no file."""
    encode = FrameEncoder.encode

    def forgetful(self, frame):
        packets = encode(self, frame)
        self.frames_encoded -= frame.pts == 0
        return packets

    monkeypatch.setattr(FrameEncoder, "encode", forgetful)
    with leaving_nothing(target), pytest.raises(VideoError, match="gave back 29 of 30 frames"):
        enhance_video(clip, target, Pointwise(), overwrite=True)


def test_the_end_of_the_file_fails(target, monkeypatch):
    """A muxer that fails at its last step, of which it gave no sign before."""

    def trust(_, stream, picture, packets):
        return StreamCopy(stream, picture, keeps_tag=False)

    monkeypatch.setattr(containers, "find_copy", trust)
    clip = write_clip(
        target.parent / "in.avi",
        codec="mpeg4",
        time_base=Fraction(1, 25),
        audio=("pcm_s16le",),
        layout="stereo",
    )
    with leaving_nothing(target), pytest.raises(VideoError, match="0 of 12 frames"):
        enhance_video(clip, target, Pointwise(), overwrite=True)


@pytest.mark.parametrize("moment", [1, 15, 30])
def test_interrupted_in_the_calling_thread(clip, target, moment):
    """Ctrl-C at the first frame, in the middle, and while the encoder is being emptied."""

    def interrupt(done, _):
        partial = [p for p in target.parent.iterdir() if ".part" in p.name]
        assert len(partial) == 1
        if done == moment:
            signal.raise_signal(signal.SIGINT)

    with leaving_nothing(target), pytest.raises(KeyboardInterrupt):
        enhance_video(clip, target, Pointwise(), overwrite=True, progress=interrupt)


@pytest.mark.parametrize("moment", [1, 15, 30])
@pytest.mark.parametrize("options", [{}, {"segment_seconds": 10.0}], ids=["one pass", "segment"])
def test_interrupted_while_qps_are_read_ahead(clip, target, moment, options):
    def interrupt(done, _):
        if done == moment:
            signal.raise_signal(signal.SIGINT)

    model = Listens(spec=replace(LUMA_SPEC, takes_qp=True))
    with leaving_nothing(target), pytest.raises(KeyboardInterrupt):
        enhance_video(clip, target, model, overwrite=True, progress=interrupt, **options)


def test_interrupted_while_waiting_for_the_encoder(clip, target, monkeypatch):
    """The file must not be taken away under a thread that is still writing it."""
    finish = VideoWriter.finish

    def interrupted_finish(self):
        os.kill(os.getpid(), signal.SIGINT)
        finish(self)
        assert self._partial.exists()

    monkeypatch.setattr(VideoWriter, "finish", interrupted_finish)
    with leaving_nothing(target), pytest.raises(KeyboardInterrupt):
        enhance_video(clip, target, Pointwise(), overwrite=True)


def test_a_failure_does_not_spoil_the_next_run(clip, target):
    with pytest.raises(RuntimeError):
        enhance_video(clip, target, fail_at(3, RuntimeError()), overwrite=True)
    enhance_video(clip, target, Pointwise(), overwrite=True)
    assert len(read_frames(target)) == 30


@pytest.mark.parametrize("slow", ["model", "encoder"])
def test_frames_alive_do_not_grow_with_length(tmp_path, monkeypatch, slow):
    """A stage that runs ahead of a slow one would hold the whole video in memory."""
    clip = write_clip(tmp_path / "in.mkv", size=(32, 32), frames=300, audio=("aac",))
    alive, most = [0], [0]
    pause = threading.Event()
    in_bundles, write = session.in_bundles, VideoWriter.write

    def counted(items):
        for step in in_bundles(items):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield step

    def slow_write(self, item):
        write(self, item)
        if isinstance(item, reader.VideoFrame):
            alive[0] -= 1
            if slow == "encoder":
                pause.wait(0.001)

    def slow_model(luma):
        if slow == "model":
            pause.wait(0.001)
        return luma

    monkeypatch.setattr(session, "in_bundles", counted)
    monkeypatch.setattr(VideoWriter, "write", slow_write)
    report = enhance_video(clip, tmp_path / "out.mkv", Pointwise(slow_model), preset="ultrafast")
    assert report.frames_out == 300
    assert most[0] <= 12


def test_frames_do_not_wait_for_the_garbage_collector(tmp_path):
    """It counts objects, and lets hundreds of frames pile up before it looks for cycles."""

    clip = write_clip(tmp_path / "in.mkv", size=(32, 32), frames=120)
    counts = []

    def count(done, _):
        if done % 20 == 0:
            counts.append(sum(type(each) is reader.VideoFrame for each in gc.get_objects()))

    model = Listens(spec=replace(LUMA_SPEC, takes_qp=True))
    gc.collect()
    gc.disable()
    try:
        report = enhance_video(clip, tmp_path / "out.mkv", model, progress=count)
    finally:
        gc.enable()
    assert report.qp_sources == {"stream": 120}
    assert len(counts) == 6 and max(counts) <= 30
