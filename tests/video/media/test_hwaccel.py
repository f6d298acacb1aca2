"""Hardware decoding: devices by name, refusals, and software where there is none."""

import av
import pytest
from av.codec.hwaccel import HWAccel, hwdevices_available

from support.media import read_packets, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.media import hwaccel
from vqe_fast.video.media.reader import VideoReader

DEVICES = hwdevices_available()


def is_there(device):
    try:
        HWAccel(device).create(av.Codec("h264", "r"))
    except (av.error.FFmpegError, NotImplementedError):
        return False
    return True


@pytest.mark.parametrize("device", DEVICES)
def test_without_the_device(tmp_path, device):
    if is_there(device):
        pytest.skip(f"this machine decodes on {device}")
    source = write_clip(tmp_path / "in.mkv", frames=3)
    with pytest.raises(VideoError) as caught:
        enhance_video(source, tmp_path / "out.mkv", "identity", hwaccel=device)
    sentence = str(caught.value)
    assert f"{device} does not decode {source} on this machine (" in sentence
    assert "leave hwaccel out, or choose auto" in sentence and "\n" not in sentence
    assert list(tmp_path.iterdir()) == [source]


def test_a_device_that_ffmpeg_has_not(tmp_path):
    source = write_clip(tmp_path / "in.mkv", frames=3)
    with pytest.raises(VideoError, match=r"no hardware decoding on 'abacus'.*choose one of .*auto"):
        enhance_video(source, tmp_path / "out.mkv", "identity", hwaccel="abacus")
    with pytest.raises(VideoError, match="there is no file"):
        enhance_video(tmp_path / "none.mkv", tmp_path / "out.mkv", "identity", hwaccel="auto")


def test_a_codec_that_no_device_decodes(tmp_path):
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=3)
    if "cuda" not in DEVICES:
        pytest.skip("this FFmpeg knows no cuda")
    with pytest.raises(VideoError, match=r"cuda does not decode .* \(it does not decode ffv1\)"):
        enhance_video(source, tmp_path / "out.mkv", "identity", hwaccel="cuda")


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
@pytest.mark.parametrize("segment_seconds", [None, 1])
def test_auto_gives_the_same(tmp_path, codec, segment_seconds):
    """Decoders agree to the last bit: with a device, and without one."""
    source = write_clip(tmp_path / "in.mkv", codec=codec, frames=40)
    options = {"codec": "ffv1", "segment_seconds": segment_seconds}
    enhance_video(source, tmp_path / "auto.mkv", "identity", hwaccel="auto", **options)
    enhance_video(source, tmp_path / "plain.mkv", "identity", **options)
    [packets] = read_packets(tmp_path / "auto.mkv", "video")
    assert len(packets) == 40
    assert [packets] == read_packets(tmp_path / "plain.mkv", "video")


def test_auto_passes_over_a_device_that_does_not_open(tmp_path, monkeypatch):
    """The first one is tried, and the reader gets what opens."""
    tried = []

    class Absent:
        def __init__(self, device, **_):
            self.device = device

        def create(self, codec):
            tried.append((self.device, codec.name))
            raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(hwaccel, "HWAccel", Absent)
    source = write_clip(tmp_path / "in.mkv", frames=3)
    with VideoReader(source, threads=1, hwaccel="auto") as video:
        assert sum(isinstance(item, av.VideoFrame) for item in video.items()) == 3
    assert ("cuda", "h264") in tried or "cuda" not in DEVICES
