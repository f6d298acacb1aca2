"""The QPs that a model is told while a video is enhanced."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest
import torch

from support.media import damage_packet, write_clip
from support.memory import threads
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.video import VideoError, enhance_video, read_qp
from vqe_fast.video.qp.provider import QPProvider

SIZE = 48, 64


class Listens(Pointwise):
    """A model that keeps what QPs it is told."""

    def __init__(self):
        super().__init__(spec=replace(LUMA_SPEC, takes_qp=True))
        self.told = []

    def forward(self, luma, qp):
        self.told.append(qp)
        return luma

    def __deepcopy__(self, memo):
        return self


@pytest.fixture
def clip(tmp_path):
    options = {"qp": "30", "bf": "2", "b_strategy": "0"}
    return write_clip(tmp_path / "in.mp4", frames=9, options=options, audio=("aac",))


def enhance(clip, tmp_path, **options):
    """What the model was told, frame after frame, and the report."""
    model = Listens()
    with threads(1):
        report = enhance_video(clip, tmp_path / "out.mkv", model, precision="fp32", **options)
    return model.told, report


def test_every_frame_has_its_own(clip, tmp_path):
    """In display order: B-frames lie between frames that come before them in the file."""
    told, report = enhance(clip, tmp_path)
    assert told == [frame.qp for frame in read_qp(clip)]
    assert len(set(told)) >= 3 and report.qp_sources == {"stream": 9}


def test_given(clip, tmp_path):
    told, report = enhance(clip, tmp_path, qp=35.5)
    assert set(told) == {35.5} and report.qp_sources == {"given": 9}


@pytest.mark.parametrize("qp", (-1, 64, float("nan")))
def test_given_out_of_range(clip, tmp_path, qp):
    with pytest.raises(VideoError, match=r"the QP must lie in 0 to 63, got"):
        enhance(clip, tmp_path, qp=qp)


def test_given_to_a_model_that_takes_none(clip, tmp_path):
    with pytest.raises(VideoError, match="a QP was given, but the model takes none"):
        enhance_video(clip, tmp_path / "out.mkv", Pointwise(), qp=30)


def not_needed():
    """Luma costs an upload and a conversion: who need not see it does not ask for it."""
    raise AssertionError("the luma was asked for")


def luma_of(value):
    return lambda: torch.full((1, 1, *SIZE), value)


def test_a_codec_that_does_not_tell(tmp_path):
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=2)
    with (
        closing(QPProvider(source)) as track,
        pytest.raises(VideoError, match=r"does not tell its QPs.*--qp"),
    ):
        track.of(0, SIZE, not_needed)
    with closing(QPProvider(source, estimate=lambda luma: 30.0 + luma().mean().item())) as track:
        assert track.of(0, SIZE, luma_of(0.0)).qp == 30
        assert track.of(40, SIZE, luma_of(1.0)).qp == 31
        assert track.sources == {"estimate": 2}


def test_frames_that_are_passed_over(clip):
    """A frame that the decoder did not show takes nobody's QP, nor does one that is not there."""
    frames = read_qp(clip)
    with closing(QPProvider(clip, estimate=lambda luma: 1.0)) as track:
        assert track.of(frames[0].pts, SIZE, not_needed).qp == frames[0].qp
        assert track.of(frames[3].pts, SIZE, not_needed).qp == frames[3].qp
        assert track.of(frames[3].pts + 1, SIZE, luma_of(0.0)).qp == 1
        assert track.of(frames[4].pts, SIZE, not_needed).qp == frames[4].qp
        assert track.of(None, SIZE, not_needed).qp == frames[5].qp
        assert track.of(frames[8].pts + 512, SIZE, luma_of(0.0)).qp == 1


def test_the_stream_is_read_in_a_thread_of_its_own(clip):
    """From anywhere, begun anew as often as one likes; a QP that is given needs none."""
    before = threading.active_count()
    frames = read_qp(clip)
    with closing(QPProvider(clip)) as track:
        assert threading.active_count() == before
        for first in (0, 3, 0):
            track.start_at(frames[first].pts)
            told = [track.of(frame.pts, SIZE, not_needed).qp for frame in frames[first:-1]]
            assert told == [frame.qp for frame in frames[first:-1]]
            assert threading.active_count() <= before + 1
    assert threading.active_count() == before
    with closing(QPProvider(clip, 30.0)) as track:
        assert track.of(0, SIZE, not_needed).qp == 30 and threading.active_count() == before


def test_damage(clip, tmp_path):
    """Frames that decode are told their own QP although others are lost."""
    expected = {frame.pts: frame.qp for frame in read_qp(clip)}
    damage_packet(clip, 4)
    model = Listens()
    report = enhance_video(clip, tmp_path / "out.mkv", model, precision="fp32")
    assert len(model.told) == report.frames_out and model.told
    assert set(model.told) <= set(expected.values())


def test_estimated_where_the_stream_does_not_tell(tmp_path):
    """By the predictor that ships: an old codec is enhanced without being asked for anything."""
    source = write_clip(tmp_path / "in.mp4", codec="mpeg4", frames=3)
    told, report = enhance(source, tmp_path)
    assert report.qp_sources == {"estimate": 3}
    assert all(10 < qp < 52 for qp in told)
