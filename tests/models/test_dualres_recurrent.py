"""The recurrent network: that of windows at first, then every frame matters to every other."""

import pytest
import torch

from support.drifting import clip, windows
from support.small_models import SMALL, randomised
from vqe_fast import create_model
from vqe_fast.models.coding import FRAME_TYPES
from vqe_fast.models.dualres_neighbours import FrameState
from vqe_fast.models.dualres_recurrent import candidates, chosen

FRAMES = 11


def told(frames=FRAMES, batch=1):
    """QPs and types of each frame of clips."""
    generator = torch.Generator().manual_seed(1)
    qps = torch.randint(22, 38, (batch, frames), generator=generator).double()
    return qps, torch.randint(0, len(FRAME_TYPES), (batch, frames), generator=generator)


@torch.no_grad()
def test_starts_as_the_network_of_windows():
    torch.manual_seed(0)
    model = create_model("dualres_r", **SMALL["dualres_r"]).double().eval()
    windowed = randomised("dualres_t").double()
    model.load_state_dict(windowed.state_dict(), strict=False)
    video, (qps, types) = clip(FRAMES).double(), told()
    expected = windowed(windows(video), windows(qps[0]), 2, windows(types[0]))
    torch.testing.assert_close(model(video[None], qps, 2, types)[0], expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_every_frame_matters_to_every_frame():
    model, video = randomised("dualres_r"), clip(FRAMES)[None]
    plain = model(video, 30.0)
    for changed in (0, 5, FRAMES - 1):
        other = video.clone()
        other[:, changed] = other[:, changed].roll(3, -1)
        differs = (model(other, 30.0) != plain).flatten(2).any(2)
        assert differs.all()


@torch.no_grad()
def test_clips_of_a_batch_have_their_own_references():
    """The best of the QPs are other frames in each."""
    model = randomised("dualres_r").double()
    videos = torch.stack([clip(FRAMES, seed=seed).double() for seed in range(3)])
    qps, types = told(batch=3)
    together = model(videos, qps, torch.tensor([1, 2, 3]), types)
    alone = [model(videos[n, None], qps[n, None], n + 1, types[n, None])[0] for n in range(3)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-9, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_clips_and_other_sizes(count):
    model = randomised("dualres_r")
    for channels in (1, 3):
        video = torch.rand(2, count, channels, 21, 35)
        enhanced = model(video, torch.tensor([25.0, 35.0]))
        assert enhanced.shape == video.shape and enhanced.isfinite().all()
        assert torch.equal(model(video[:1], 25.0), model(video[:1], torch.full((1, count), 25.0)))


def test_everything_learns():
    """A gradient reaches each parameter, through the states of other frames too."""
    model = randomised("dualres_r").train()
    video = clip(FRAMES)[None].expand(2, -1, -1, -1, -1).clone()
    model(video, told(batch=2)[0], 1, told(batch=2)[1]).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_states_are_chosen_for_each_image():
    states = [FrameState(*torch.full((3, 3, 2), float(n))) for n in range(6)]
    assert chosen(states, range(2, 3), torch.tensor([2, 2, 2])) is states[2]
    one = chosen(states, range(2, 5), torch.tensor([4, 2, 3]))
    assert all(part[:, 0].tolist() == [4, 2, 3] for part in one)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (5, [range(4, 5), range(1, 4), range(6, 7), range(7, 10)]),
        (1, [range(0, 1), range(0, 1), range(2, 3), range(3, 6)]),
        (0, [range(0, 1), range(0, 1), range(1, 2), range(2, 5)]),
        (8, [range(7, 8), range(4, 7), range(9, 10), range(9, 10)]),
    ],
)
def test_candidates(number, expected):
    assert [candidates(n, number, 10) for n in range(4)] == expected


def pushed(stream, video, qps, types):
    """What a stream makes of a video (T, C, H, W), in the order in which it comes."""
    found = [
        stream.push(frame, qp, 2, kind)
        for frame, qp, kind in zip(video[:, None], qps[0].tolist(), types[0].tolist(), strict=True)
    ]
    assert found[: stream.delay] == [None] * min(stream.delay, len(video))
    found = found[stream.delay :]
    while (frame := stream.flush()) is not None:
        found.append(frame)
    return torch.cat(found)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 4, FRAMES, 13])
def test_frame_by_frame(count):
    """What fits into the delay of a stream is what it is as a clip; twice, for two videos."""
    model, video = randomised("dualres_r").double(), clip(count).double()
    qps, types = told(count)
    expected = model(video[None], qps, 2, types)[0]
    stream = model.stream(13)
    for _ in range(2):
        found = pushed(stream, video, qps, types)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_longer_than_the_delay():
    """States from behind begin six frames after each chunk: that is hardly to be seen."""
    model, video = randomised("dualres_r").double(), clip(40).double()
    qps, types = told(40)
    whole = model(video[None], qps, 2, types)[0]
    parts = torch.cat(
        [model(part[None], qps[:, at], 2, types[:, at])[0] for part, at in halves(video)]
    )
    streamed = pushed(model.stream(13), video, qps, types)
    assert len(streamed) == 40
    errors = [(each - whole).abs().max().item() for each in (streamed, parts)]
    assert 0 < errors[0] < 0.05 * errors[1]


def halves(video):
    middle = len(video) // 2
    return [(video[:middle], slice(middle)), (video[middle:], slice(middle, None))]


@torch.no_grad()
def test_what_a_stream_computes_once(monkeypatch):
    """Features of a frame, matches of a pair."""
    model, seen, matched = randomised("dualres_r"), [], []
    features, match = model.trunk.features, model.match

    def noted(current, reference):
        matched.append((current.luma.sum().item(), reference.luma.sum().item()))
        return match(current, reference)

    monkeypatch.setattr(model, "match", noted)
    monkeypatch.setattr(
        model.trunk, "features", lambda *inputs: seen.append(1) or features(*inputs)
    )
    video = clip(29)
    pushed(model.stream(13), video, *told(29))
    assert len(seen) == 29
    assert len(matched) == len(set(matched)) > 29 * 3


def test_too_few_frames_for_a_stream():
    with pytest.raises(ValueError, match="frames must be at least 13, got 12"):
        create_model("dualres_r", **SMALL["dualres_r"]).stream(12)


@pytest.mark.parametrize("shape", [(1, 9, 2, 16, 16), (9, 3, 16, 16)], ids=str)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"frames must be \(B, T, 3 or 1, H, W\), got"):
        create_model("dualres_r", **SMALL["dualres_r"])(torch.rand(shape), 30.0)
