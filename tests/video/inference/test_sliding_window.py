"""Models that see several frames together: who sees whom, and what comes out when."""

from dataclasses import replace

import pytest
import torch

from support.drifting import windows
from support.frames import assert_luma, enhanced, enhancer_of, lumas, textured, two_scenes
from support.media import read_frames, write_clip
from support.memory import threads
from support.modules import LUMA_SPEC, Blend, Recurrent, RunsOut, StreamedBlend
from support.recurrent import randomised as moving
from support.small_models import randomised
from vqe_fast import create_model
from vqe_fast.models.coding import codec_code, frame_type_code
from vqe_fast.video import VideoError, enhance_video, read_qp
from vqe_fast.video.inference.recurrent import OVERLAP, SHORTEST
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.bundle import FrameBundle

SEAM = 1 / 128 + 0.5 / 255
"""What Recurrent loses beyond six frames, and the rounding."""

LONG = (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
WINDOWED = {
    "one neighbour": Blend(3.0, 2.0, 1.0),
    "two neighbours": Blend(5.0, 4.0, 3.0, 2.0, 1.0),
    "stream": StreamedBlend(3.0, 2.0, 1.0),
    "stream of seven": StreamedBlend(*LONG),
}


def in_memory(model, values, *arguments):
    """Frame by frame from its window in (T, H, W), as training and evaluation do."""
    radius, last = model.spec.temporal_radius, len(values) - 1
    windows = [
        values[[min(max(n, 0), last) for n in range(t - radius, t + radius + 1)]]
        for t in range(len(values))
    ]
    with torch.inference_mode():
        return torch.stack([model(window[None, :, None], *arguments)[0, 0] for window in windows])


def luma_in(path):
    """(T, H, W) float32, in steps."""
    return torch.stack([torch.from_numpy(planes[0]).float() for _, planes in read_frames(path)])


def video_in(path):
    """(T, 3, H, W) float32, in steps, chroma of 4:2:0 enlarged by repeating samples."""
    planes = [
        [torch.from_numpy(plane).float() for plane in planes] for _, planes in read_frames(path)
    ]
    luma, *chroma = (torch.stack(plane) for plane in zip(*planes, strict=True))
    spread = [plane.repeat_interleave(2, -1).repeat_interleave(2, -2) for plane in chroma]
    return torch.stack([luma, *spread], dim=1)


def moving_frames(count, **options):
    return [textured(number, **options) for number in range(count)]


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p12le"])
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_window_holds_the_neighbours(name, count, pixel_format):
    frames = moving_frames(count, pixel_format=pixel_format)
    expected = in_memory(WINDOWED[name], lumas(frames))
    result, enhancer, watch = enhanced(WINDOWED[name], frames)
    assert result == frames and enhancer.tile is None
    assert_luma(result, expected)
    assert watch.scene_cuts == 0


class Listens(Blend):
    """Adds as many steps of 8 bits as each frame's QP says before it blends them."""

    def __init__(self, *weights):
        super().__init__(*weights)
        self.spec = replace(self.spec, takes_qp=True, takes_coding=True, coding_of_window=True)

    def forward(self, frames, qp, codec=0, frame_type=0):
        told = torch.as_tensor(qp, dtype=torch.float32).expand(len(frames), frames.shape[1])
        return super().forward(frames + told[..., None, None, None] / 255)


class StreamedListens(Listens):
    """The same, frame by frame."""

    def stream(self):
        stream = StreamedBlend(*LONG).stream()
        push = stream.push
        stream.push = lambda frame, qp, codec, frame_type: push(frame + qp / 255)
        return stream


@pytest.mark.parametrize(
    "model", [Listens(*LONG), StreamedListens(*LONG)], ids=["window", "stream"]
)
def test_each_frame_of_a_window_has_its_qp(tmp_path, model):
    source = write_clip(tmp_path / "in.mp4", frames=9, options={"qp": "30", "bf": "2"})
    qps = torch.tensor([frame.qp for frame in read_qp(source)])
    assert len(set(qps.tolist())) > 1
    told = luma_in(source) / 255 + qps[:, None, None] / 255
    enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", precision="fp32")
    expected = (in_memory(Blend(*LONG), told) * 255).round().clamp(0, 255)
    assert (luma_in(tmp_path / "out.mkv") - expected).abs().max() <= 1


def test_pequenet_is_what_it_is_in_memory(tmp_path):
    """From file to file, by its stream, bit for bit."""
    model = randomised("pequenet")
    source = write_clip(tmp_path / "in.mp4", frames=3, size=(32, 32), options={"bf": "2"})
    expected = in_memory(model, luma_in(source) / 255, 30.0)
    enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", qp=30, precision="fp32")
    assert torch.equal(luma_in(tmp_path / "out.mkv"), (expected * 255).round().clamp(0, 255))


@pytest.mark.parametrize("name", ["dualres_t", "dualres_r"])
@torch.no_grad()
def test_temporal_networks_are_what_they_are_in_memory(tmp_path, name):
    """From file to file, by their streams; the recurrent one is told of each frame too."""
    model = randomised(name)
    source = write_clip(tmp_path / "in.mp4", frames=16, size=(48, 32), options={"bf": "2"})
    found = list(read_qp(source))
    qps = torch.tensor([frame.qp for frame in found])
    types = torch.tensor([frame_type_code(frame.type) for frame in found])
    video = video_in(source) / 255
    told = (codec_code("h264"),)
    if name == "dualres_r":
        expected = model(video[None], qps[None], *told, types[None])[0]
    else:
        expected = model(windows(video), windows(qps), *told, windows(types))
    options = {"codec": "ffv1", "precision": "fp32"}
    report = enhance_video(source, tmp_path / "out.mkv", model, **options)
    assert report.clip_frames == (24 if name == "dualres_r" else None)
    after = video_in(tmp_path / "out.mkv")
    assert (after - (expected * 255).round().clamp(0, 255)).abs().max() <= 1
    assert (after - video * 255).abs().max() > 3


@pytest.mark.parametrize("model", [*WINDOWED.values(), Recurrent()], ids=[*WINDOWED, "recurrent"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_scenes_do_not_see_each_other(tmp_path, model, pixel_format):
    cut, count = 7, 12
    draw = two_scenes(cut)
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", frames=count, draw=draw, pixel_format=pixel_format
    )
    before, peak = luma_in(source), 255 if pixel_format == "yuv420p" else 1023
    report = enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", precision="fp32")
    assert report.scene_cuts == 1
    parts = before[:cut] / peak, before[cut:] / peak
    if model.spec.recurrent:
        expected = [model(part[None, :, None])[0, :, 0] for part in parts]
    else:
        expected = [in_memory(model, part) for part in parts]
    after = luma_in(tmp_path / "out.mkv")
    assert torch.equal(after, (torch.cat(expected) * peak).round())


@pytest.mark.parametrize("model", [*WINDOWED.values(), Recurrent()], ids=[*WINDOWED, "recurrent"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
def test_neighbours_of_fields_are_fields_of_the_same_rows(tmp_path, model, pixel_format):
    """As if the even rows and the odd rows were two videos."""
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", frames=9, pixel_format=pixel_format, scan="bff"
    )
    peak = 255 if pixel_format == "yuv420p" else 1023
    options = {"codec": "ffv1", "precision": "fp32", "interlaced": "fields"}
    enhance_video(source, tmp_path / "out.mkv", model, **options)
    before, after = luma_in(source) / peak, luma_in(tmp_path / "out.mkv")
    for parity in (0, 1):
        field = before[:, parity::2]
        if model.spec.recurrent:
            expected = model(field[None, :, None])[0, :, 0]
        else:
            expected = in_memory(model, field)
        assert torch.equal(after[:, parity::2], (expected * peak).round())


@pytest.mark.parametrize("name", ["one neighbour", "stream", "stream of seven"])
@pytest.mark.parametrize("call", [0, 1, 4, 6, 8])
def test_a_window_that_does_not_fit_is_tried_again_in_tiles(name, call):
    """Streams of tiles begin anew with the frames before, whichever frame it happens at."""
    frames = moving_frames(9)
    expected = in_memory(WINDOWED[name], lumas(frames))
    model = WINDOWED[name]
    failing = RunsOut(Blend(*(LONG if name == "stream of seven" else (3.0, 2.0, 1.0))), call)
    if name != "one neighbour":
        failing.stream = lambda: type(model.stream())(failing)
    result, enhancer, _ = enhanced(failing, frames)
    assert (enhancer.tile, enhancer.is_exact) == (32, True)
    assert_luma(result, expected)


def clip_of(count):
    """Noise: each frame has much that its neighbours have not."""
    frames = moving_frames(count)
    generator = torch.Generator().manual_seed(0)
    for frame in frames:
        plane = torch.frombuffer(frame.planes[0], dtype=torch.uint8)
        plane.copy_(torch.randint(0, 256, plane.shape, generator=generator))
    return frames


@pytest.mark.parametrize("count", [1, 5, 13, 14, 20, 21, 40])
def test_clips_overlap_and_cover_each_frame_once(count):
    model, frames = Recurrent(), clip_of(count)
    whole = model(lumas(frames)[None, :, None])[0, :, 0]
    model.lengths.clear()
    result, enhancer, _ = enhanced(model, frames, clip_frames=SHORTEST)
    assert result == frames and enhancer.clip_frames == SHORTEST
    assert (lumas(result) - whole).abs().max() <= SEAM
    clips = model.lengths[1:] if count > SHORTEST else model.lengths
    assert max(clips) <= SHORTEST
    assert len(clips) <= max(1, count - 2 * OVERLAP) + 1


def test_seams_do_not_show():
    """BasicVSR: a clip in pieces is one clip, within half a step of 8 bits.

    With PyTorch's first values: with those that training begins with it forgets nothing, unlike a
    trained one.
    """
    torch.manual_seed(0)
    model = create_model("basicvsr", scale=1, width=8, blocks=2)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.weight.any():
            module.reset_parameters()
    model = moving(model, std=0.03)
    frames, again, original = (moving_frames(16, size=(48, 32)) for _ in range(3))
    with threads(1):  # small layers
        pieces, enhancer, _ = enhanced(model, frames, clip_frames=SHORTEST)
        whole, _, _ = enhanced(model, again)
    assert enhancer.clip_frames == SHORTEST
    # Half a step, rounded, is one.
    assert (lumas(pieces) - lumas(whole)).abs().max() * 255 < 1.01
    assert (lumas(whole) - lumas(original)).abs().max() * 255 > 3


def test_a_clip_that_does_not_fit_is_halved_before_frames_are_cut():
    frames, model = clip_of(30), Recurrent()
    whole = model(lumas(frames)[None, :, None])[0, :, 0]
    failing = RunsOut(model, 0, 2, 4)
    result, enhancer, _ = enhanced(failing, frames, clip_frames=29)
    assert (enhancer.clip_frames, enhancer.tile) == (SHORTEST, 32)
    assert not enhancer.is_exact
    assert (lumas(result) - whole).abs().max() <= SEAM


def test_shortest_clip():
    with pytest.raises(VideoError, match="at least 13 frames, 6 of them beside each seam; got 12"):
        enhanced(Recurrent(), moving_frames(2), clip_frames=12)


@pytest.mark.parametrize("model", [*WINDOWED.values(), Recurrent()], ids=[*WINDOWED, "recurrent"])
@pytest.mark.parametrize("is_still", [False, True])
def test_frames_do_not_pile_up(model, is_still):
    """However long the video is, and however long it stands still."""
    numbers = [0 if is_still else number for number in range(300)]
    enhancer = enhancer_of(model, textured(0, (16, 16)))
    fed = given = most = 0

    def feed():
        nonlocal fed, most
        for number in numbers:
            fed += 1
            most = max(most, fed - given)
            yield FrameBundle(frame=textured(number, (16, 16)))

    for _ in enhancer(FrameAnalyzer(planes=1, temporal=True)(feed())):
        given += 1
    assert given == 300
    assert most <= (12 if is_still or not model.spec.recurrent else 60)


def test_qps_belong_to_frames_of_windows(tmp_path):
    """A frame is enhanced when its neighbour arrives, with its own QP."""

    class Listens(Blend):
        def __init__(self):
            super().__init__(1.0, 1.0, 1.0, spec=replace(LUMA_SPEC, takes_qp=True))

        def forward(self, frames, qp):
            return frames[:, 1] * 0 + qp / 255

    source = write_clip(tmp_path / "in.mp4", frames=8, options={"qp": "30", "bf": "2"})
    enhance_video(source, tmp_path / "out.mkv", Listens(), codec="ffv1", precision="fp32")
    told = [planes[0][0, 0] for _, planes in read_frames(tmp_path / "out.mkv")]
    assert told == [round(frame.qp) for frame in read_qp(source)]
