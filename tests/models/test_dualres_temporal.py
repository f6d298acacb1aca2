"""The temporal network: which neighbours it takes, what it makes of them, frame by frame."""

import pytest
import torch

from support.drifting import WINDOW, clip, windows
from support.small_models import SMALL, randomised
from vqe_fast import create_model
from vqe_fast.models import spec_of
from vqe_fast.models.coding import FRAME_TYPES
from vqe_fast.models.dualres_neighbours import REACH, reference_places


@pytest.mark.parametrize(
    ("qps", "places"),
    [
        ([32] * 9, [3, 2, 5, 6]),
        ([30, 33, 32, 32, 32, 32, 33, 34, 28], [3, 0, 5, 8]),
        ([20, 20, 32, 20, 32, 20, 32, 20, 20], [3, 1, 5, 7]),  # the nearest of equals
        ([32, 31.9, 32, 32, 32, 32, 32, 31.9, 32], [3, 2, 5, 6]),  # which hardly differ
    ],
)
def test_references(qps, places):
    """Those beside the frame, and the best of those two to four frames away on either side."""
    assert reference_places(torch.tensor([qps], dtype=torch.float32)).tolist() == [places]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(48, 64), (21, 35), (1, 1)], ids=str)
@torch.no_grad()
def test_starts_as_its_trunk(channels, size):
    torch.manual_seed(0)
    model = create_model("dualres_t", **SMALL["dualres_t"])
    torch.nn.init.normal_(model.trunk.output.weight, std=0.05)
    frames = torch.rand(2, WINDOW, channels, *size)
    trunk = model.trunk(frames[:, REACH], 30.0, 1, 2)
    assert torch.equal(model(frames, 30.0, 1, 2), trunk)


@torch.no_grad()
def test_frame_by_frame():
    """The stream gives what the window gives, with the QP and type of each frame."""
    model, video = randomised("dualres_t").double(), clip(11).double()
    generator = torch.Generator().manual_seed(1)
    qps = torch.randint(22, 38, (11,), generator=generator).double()
    types = torch.randint(0, len(FRAME_TYPES), (11,), generator=generator)
    expected = model(windows(video), windows(qps), 2, windows(types))
    stream = model.stream()
    for _ in range(2):  # of two videos, one after the other
        told = zip(video[:, None], qps.tolist(), types.tolist(), strict=True)
        found = [stream.push(frame, qp, 2, kind) for frame, qp, kind in told]
        assert found[:REACH] == [None] * REACH
        found = [*found[REACH:], *(stream.flush() for _ in range(REACH))]
        assert stream.flush() is None
        torch.testing.assert_close(torch.cat(found), expected, rtol=1e-9, atol=1e-9)
    assert (expected - video).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 3, 11])
def test_whole_clips(count):
    """Every frame of clips is what its window gives, with references of its own in each."""
    model = randomised("dualres_t").double()
    generator = torch.Generator().manual_seed(1)
    videos = [clip(count, seed=seed).double() for seed in range(2)]
    qps = torch.randint(22, 38, (2, count), generator=generator).double()
    types = torch.randint(0, len(FRAME_TYPES), (2, count), generator=generator)
    found = model.clip(torch.stack(videos), qps, torch.tensor([1, 2]), types)
    for number, video in enumerate(videos):
        told = windows(qps[number]), number + 1, windows(types[number])
        expected = model(windows(video), *told)
        torch.testing.assert_close(found[number], expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(model.clip(videos[0][None], 30.0), model.clip(videos[0][None], 30.0, 0, 0))


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_short_videos(count):
    model, video = randomised("dualres_t"), clip(count)
    stream = model.stream()
    assert [stream.push(frame, 30.0) for frame in video[:, None]][:4] == [None] * min(count, 4) or (
        count > REACH
    )
    found = []
    while (frame := stream.flush()) is not None:
        found.append(frame)
    expected = model(windows(video), 30.0)[-len(found) :]
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_each_frame_is_computed_once(monkeypatch):
    model, seen = randomised("dualres_t"), []
    features = model.trunk.features
    monkeypatch.setattr(
        model.trunk, "features", lambda *inputs: seen.append(len(inputs[0])) or features(*inputs)
    )
    stream = model.stream()
    for frame in clip(9)[:, None]:
        stream.push(frame, 30.0)
    while stream.flush() is not None:
        pass
    assert seen == [1] * 9


@torch.no_grad()
@pytest.mark.parametrize("changed", range(WINDOW))
def test_neighbours_that_matter(changed):
    """Those of the references, and no other."""
    model, qps = randomised("dualres_t"), torch.tensor([[30.0, 33, 32, 32, 32, 32, 33, 34, 28]])
    video = clip(WINDOW)[None]
    other = video.clone()
    other[:, changed] = other[:, changed].roll(3, -1)
    differs = not torch.equal(model(video, qps), model(other, qps))
    assert differs == (changed in (0, 3, 4, 5, 8))


@torch.no_grad()
def test_told_of_each_frame():
    """A number is that of all frames, one for a window that of all of its frames."""
    model, video = randomised("dualres_t"), clip(WINDOW)[None].expand(2, -1, -1, -1, -1)
    by_number = model(video, 30.0, 1, 2)
    assert torch.equal(model(video, torch.full((2,), 30.0), 1, 2), by_number)
    each = model(
        video, torch.full((2, WINDOW), 30.0), torch.ones(2).long(), torch.tensor([[2] * 9])
    )
    torch.testing.assert_close(each, by_number)
    lower = torch.full((2, WINDOW), 30.0)
    lower[1, REACH - 1] = 20
    assert not torch.equal(model(video, lower, 1, 2)[1], by_number[1])
    assert torch.equal(model(video, lower, 1, 2)[0], by_number[0])


@torch.no_grad()
def test_noise_is_averaged_away():
    """With the weights of a mean of five frames; the camera moves, so they must be aligned."""
    model = create_model("dualres_t", **SMALL["dualres_t"])
    model.weights.bias.copy_((0.2 / (0.5 * model.trunk.scale.flatten())).repeat(4))
    noisy, clean = (
        clip(WINDOW, size=(96, 128), channels=1, noise=noise)[None] for noise in (0.03, 0)
    )
    inside = (..., slice(16, -16), slice(24, -24))
    before, after = (
        (frame - clean[:, REACH])[inside].square().mean()
        for frame in (noisy[:, REACH], model(noisy, 30.0))
    )
    assert after < 0.4 * before


@pytest.mark.parametrize("shape", [(1, 8, 3, 16, 16), (1, 9, 2, 16, 16), (9, 3, 16, 16)], ids=str)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"frames must be \(B, 9, 3 or 1, H, W\), got"):
        create_model("dualres_t", **SMALL["dualres_t"])(torch.rand(shape), 30.0)


def test_clips_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"frames must be \(B, T, 3 or 1, H, W\), got"):
        create_model("dualres_t", **SMALL["dualres_t"]).clip(torch.rand(9, 3, 16, 16), 30.0)


@pytest.mark.parametrize("option", ["reference_width", "fusion_width", "fusion_blocks"])
def test_options_are_checked(option):
    with pytest.raises(ValueError, match="whole number of at least 1, got 0"):
        create_model("dualres_t", **{option: 0})


@torch.no_grad()
def test_tiles_equal_the_whole():
    model = randomised("dualres_t")
    spec = spec_of(model)
    halo = spec.receptive_field // 2
    halo += -halo % spec.alignment
    frames = clip(WINDOW, size=(2 * halo + 48, 2 * halo + 72))[None]
    whole = model(frames, 30.0)
    tile = model(frames[..., :, 24:], 30.0)
    torch.testing.assert_close(
        tile[..., :, halo:], whole[..., :, 24 + halo :], rtol=1e-4, atol=1e-5
    )
