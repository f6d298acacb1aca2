"""Frames on their way to a GPU and back, beside the model."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from support.cuda_streams import imitate
from support.frames import CPU, enhanced, enhancer_of, textured
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Blend, Pointwise, Recurrent
from vqe_fast.video import enhance_video
from vqe_fast.video.frames import transfer
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.frames.transfer import Direct, Result, Streamed, transfer_for
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.strength import Strength
from vqe_fast.video.options import ModelOptions
from vqe_fast.video.pipeline import enhancer
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import Enhancer, ResultWriter
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.qp.estimate import find_estimator
from vqe_fast.video.qp.provider import QPProvider

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no GPU: streams are only imitated"
)

YUV_SPEC = replace(LUMA_SPEC, planes="yuv")


def planes_of(frame):
    return [plane_view(frame, index).copy() for index in range(len(frame.planes))]


def never():
    raise AssertionError("this was waited for")


def test_nothing_is_copied_on_a_cpu():
    frame = textured(0)
    way = transfer_for(CPU)
    assert isinstance(way, Direct)
    planes = way.upload(frame, 3)
    for index, plane in enumerate(planes):
        assert plane.data_ptr() == plane_view(frame, index).ctypes.data
    result = way.download(planes, torch.tensor(True)).planes()
    assert [plane.data_ptr() for plane in result] == [plane.data_ptr() for plane in planes]
    assert way.download(planes, torch.tensor(False)).planes() is None


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_the_model_waits_for_its_frame(monkeypatch, pixel_format):
    """And for no later one; the frame may change meanwhile."""
    streams = imitate(monkeypatch, transfer, eager_model=False)
    way = Streamed(CPU)
    frame = textured(0, pixel_format=pixel_format)
    before = planes_of(frame)
    planes = way.upload(frame, 3)
    seen = []
    streams.model.add(lambda: seen.extend(plane.clone() for plane in planes))
    for index in range(3):
        plane_view(frame, index)[:] = 0
    way.upload(frame, 3)
    assert way._up.done == 0
    streams.model.run(2)
    for plane, expected in zip(seen, before, strict=True):
        np.testing.assert_array_equal(plane[0, 0].numpy(), expected)
    assert way._up.done == 3
    assert [streams.users[plane.data_ptr()] for plane in planes] == [[streams.model]] * 3


@pytest.mark.parametrize("finite", [True, False])
def test_a_result_waits_for_its_frame(monkeypatch, finite):
    """And for nothing that begins later, on its way or the other; the caller waits for nothing."""
    streams = imitate(monkeypatch, transfer, eager_model=False)
    way = Streamed(CPU)
    planes = [torch.zeros(1, 1, 6, 8, dtype=torch.uint8), torch.zeros(1, 1, 3, 4)]
    flag = torch.tensor(not finite)
    for value, tensor in enumerate((*planes, flag)):
        streams.model.add(lambda v=value, t=tensor: t.fill_(finite if t is flag else v + 1))
    result = way.download(planes, flag)
    assert streams.model.done == way._down.done == 0
    for stream in (streams.model, way._up):
        stream.add(never)
    way.download([torch.ones(1, 1, 2, 2)], flag)
    found = result.planes()
    assert way._down.done == 4 and streams.model.done == 3  # a wait and three copies
    if finite:
        assert [plane.unique().tolist() for plane in found] == [[1], [2]]
    else:
        assert found is None
    users = [streams.users[tensor.data_ptr()] for tensor in planes]
    assert users == [[way._down]] * 2 and set(streams.users[flag.data_ptr()]) == {way._down}


@pytest.mark.parametrize(
    "model",
    [
        Pointwise(lambda luma: 1 - luma),
        Pointwise(lambda frames: 1 - frames, spec=YUV_SPEC),
        Blend(3.0, 2.0, 1.0),
        Recurrent(),
    ],
    ids=["luma", "planes", "window", "recurrent"],
)
def test_frames_are_those_of_a_cpu(monkeypatch, model):
    """With repeats and a still among them."""

    def frames():
        return [textured(min(number, 30) // 2) for number in range(40)]

    expected, _, _ = enhanced(model, frames())
    imitate(monkeypatch, transfer, eager_model=True)
    monkeypatch.setattr(enhancer, "transfer_for", Streamed)
    found, _, watch = enhanced(model, frames())
    assert watch.repeats == 24
    for old, new in zip(expected, found, strict=True):
        assert all(map(np.array_equal, planes_of(old), planes_of(new)))


@pytest.mark.parametrize("interlaced", ["prog", "tff"])
def test_from_file_to_file(monkeypatch, tmp_path, interlaced):
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=30, scan=interlaced)
    options = {"codec": "ffv1", "precision": "fp32", "interlaced": "fields", "tile": 32}
    model = Pointwise(lambda luma: 1 - luma)
    enhance_video(source, tmp_path / "expected.mkv", model, **options)
    imitate(monkeypatch, transfer, eager_model=True)
    monkeypatch.setattr(enhancer, "transfer_for", Streamed)
    enhance_video(source, tmp_path / "out.mkv", model, **options)
    assert_same_frames(tmp_path / "expected.mkv", tmp_path / "out.mkv")


def test_waiting_for_results_is_time_of_the_model(monkeypatch):
    """The encoder has nothing to do meanwhile."""
    frames = [textured(number) for number in range(20)]
    ready = enhancer_of(Pointwise(), frames[0])
    late = SimpleNamespace(synchronize=lambda: time.sleep(0.01))
    monkeypatch.setattr(
        ready._transfer, "download", lambda planes, finite: Result(planes, finite, late)
    )
    sink = SimpleNamespace(write=lambda item: None, finish=lambda: None)
    done, seconds = run(
        [FrameBundle(frame=frame) for frame in frames], ready, sink, lambda done: None
    )
    assert done == 20 and seconds["model"] >= 0.2 > 2 * seconds["encode"]


@needs_gpu
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("planes", ["y", "rgb", "yuv"])
def test_on_a_gpu(tmp_path, planes, pixel_format):
    """Rounded to samples, a model that changes nothing and one that inverts are exact there too."""
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", frames=30, size=(640, 360), pixel_format=pixel_format
    )
    options = {"codec": "ffv1", "precision": "fp32"}
    spec = replace(LUMA_SPEC, planes=planes)
    for number, change in enumerate((lambda x: x, lambda x: 1 - x)):
        if planes == "rgb" and number:
            continue  # its matrix product may round otherwise
        for device in ("cpu", "cuda"):
            target = tmp_path / f"{device}{number}.mkv"
            enhance_video(source, target, Pointwise(change, spec), device=device, **options)
        assert_same_frames(tmp_path / f"cpu{number}.mkv", tmp_path / f"cuda{number}.mkv")


@needs_gpu
def test_qps_are_estimated_on_a_gpu(tmp_path):
    """Beside the model, by a network that rounds otherwise there."""
    source = write_clip(tmp_path / "in.mp4", codec="mpeg4", frames=20)
    told = []
    for device in ("cpu", "cuda"):
        estimate = find_estimator(torch.device(device))
        track = QPProvider(source, None, estimate)
        for _, planes in read_frames(source):
            luma = torch.from_numpy(planes[0])[None, None] / 255
            told.append(track.of(None, luma.shape[-2:], lambda x=luma, d=device: x.to(d)).qp)
        track.close()
    assert told[:20] == pytest.approx(told[20:], abs=0.1) and len(told) == 40


@needs_gpu
@pytest.mark.parametrize("planes", ["y", "rgb", "yuv"])
def test_nothing_waits_for_a_gpu_but_the_encoder(planes):
    """Once memory is there: PyTorch raises at what makes the CPU wait."""
    model = Listens(spec=replace(LUMA_SPEC, planes=planes, takes_qp=True, takes_coding=True))
    frames = [textured(number, (640, 360)) for number in range(12)]
    view = view_for(planes, frames[0])
    ready = Enhancer(
        model,
        device=torch.device("cuda"),
        view=view,
        probe=frames[0],
        options=ModelOptions(precision="fp32"),
    )
    blocks = torch.zeros(1, 45, 80, dtype=torch.uint8)
    coding = FrameCoding(30.0, blocks, 1, 1, Strength(0.5, 0.25))
    bundles = [FrameBundle(frame=frame, coding=coding) for frame in frames]
    write = ResultWriter(view.planes)
    for bundle in ready(bundles[:6]):
        write(bundle)
    torch.cuda.set_sync_debug_mode("error")
    try:
        enhanced_ones = list(ready(bundles[6:]))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for bundle in enhanced_ones:
        write(bundle)


class Listens(Pointwise):
    """Inverts frames, and takes all that it can be told."""

    def forward(self, frames, qp, codec=0, frame_type=0):
        return 1 - frames


def assert_same_frames(expected, found):
    for (_, old), (_, new) in zip(read_frames(expected), read_frames(found), strict=True):
        assert all(map(np.array_equal, old, new))
