"""The networks with two resolutions: their transform, what they see, and what they are told."""

import pytest
import torch

from support.small_models import SMALL, randomised
from vqe_fast import create_model
from vqe_fast.models import spec_of
from vqe_fast.models.coding import CODECS, FRAME_TYPES, codec_code, frame_type_code
from vqe_fast.models.dualres import DualResolution, cell_transform, qp_shares

SIZE = (35, 51)
MAP = (5, 7)
"""Blocks of 8×8 pixels in a frame of that size."""


def smallest(seed=0):
    """One block of each kind, every weight random, float64: for what depends on rounding."""
    torch.manual_seed(seed)
    model = DualResolution(4, 4, 1, 1, 1).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module", params=["dualres_s", "dualres_m"])
def model(request):
    return randomised(request.param)


def random_frames(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def in_420(batch, height, width, seed=0):
    """Frames (B, 3, H, W) whose chroma has a sample for 2×2 pixels, repeated."""
    frames = random_frames(batch, 3, height, width, seed=seed)
    chroma = frames[:, 1:, ::2, ::2].repeat_interleave(2, -2).repeat_interleave(2, -1)
    frames[:, 1:] = chroma[..., :height, :width]
    return frames


def test_transform_of_luma_is_orthonormal():
    basis = cell_transform().double()[:16, 0].flatten(1)
    torch.testing.assert_close(basis @ basis.mT, torch.eye(16).double(), rtol=0, atol=1e-6)


def test_transform_of_chroma_is_orthonormal_on_halved_samples():
    """A band of 2×2 samples, each repeated over the 2×2 pixels that it stands for."""
    for plane, bands in ((1, slice(16, 20)), (2, slice(20, 24))):
        basis = cell_transform().double()[bands, plane]
        halved = 4 * basis[:, ::2, ::2].flatten(1)
        torch.testing.assert_close(halved @ halved.mT, torch.eye(4).double(), rtol=0, atol=1e-6)


def test_planes_do_not_mix_in_the_transform():
    transform = cell_transform()
    for plane, bands in enumerate((range(16), range(16, 20), range(20, 24))):
        others = [band for band in range(24) if band not in bands]
        assert not transform[others, plane].any()
        assert transform[list(bands), plane].any()


@pytest.mark.parametrize("band", [0, 16, 20])
def test_the_first_band_of_a_plane_is_its_mean(band):
    """All others see no difference between a flat cell and another."""
    flat = cell_transform().sum((1, 2, 3))
    assert flat[band] > 1
    means = {0, 16, 20}
    others = [other for other in range(24) if other not in means]
    assert flat[others].abs().max() < 1e-6


@torch.no_grad()
def test_synthesis_of_analysis_is_the_frame():
    """Bands without their sizes, and the correction without its own, give back 4:2:0 frames."""
    model = DualResolution(4, 4, 1, 1, 1)
    model.scale.fill_(1)
    frames = in_420(2, 32, 48)
    back = model.correction(model.bands(frames), 3)
    torch.testing.assert_close(2 * back + 0.5, frames, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [SIZE, (1, 1), (64, 48)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["dualres_s", "dualres_m"])
def test_starts_as_the_identity(name, channels, size):
    frames = random_frames(2, channels, *size)
    untrained = create_model(name, **SMALL[name])
    for training in (True, False):
        assert torch.equal(untrained.train(training)(frames, 30.0), frames)


@pytest.mark.parametrize("position", range(8))
def test_nothing_outside_the_receptive_field_has_influence(position):
    """Of any pixel of a cell of 8×8; what the spec says is not much more than what is reached."""
    model = smallest()
    spec = spec_of(model)
    reach = spec.receptive_field // 2
    side = 2 * reach + 40
    side += -side % spec.alignment
    centre = side // 2 // spec.alignment * spec.alignment
    row, column = centre + position, centre + 7 - position
    frames = random_frames(1, 3, side, side, dtype=torch.float64).requires_grad_()
    enhanced = model(frames, 30.0)[0, :, row, column].sum()
    (gradient,) = torch.autograd.grad(enhanced, frames)
    reached = (gradient[0] != 0).any(0)
    rows, columns = reached.any(1).nonzero().flatten(), reached.any(0).nonzero().flatten()
    farthest = max(row - rows[0], rows[-1] - row, column - columns[0], columns[-1] - column).item()
    assert reach - 16 < farthest <= reach


@torch.no_grad()
def test_tiles_equal_the_whole():
    """At multiples of 8 with half a receptive field around, also at the border of an odd frame."""
    model = smallest()
    alignment = spec_of(model).alignment
    halo = spec_of(model).receptive_field // 2
    halo += -halo % alignment
    height, width = 2 * halo + 61, 2 * halo + 83
    frames = random_frames(1, 3, height, width, dtype=torch.float64)
    whole = model(frames, 30.0)
    assert (whole - frames).abs().max() > 0.1
    for top, left in ((0, 0), (24, 40), (halo, halo + 8), (height - 41, width - 47)):
        top, left = top // alignment * alignment, left // alignment * alignment
        bottom, right = min(top + 48, height), min(left + 56, width)
        window_top, window_left = max(top - halo, 0), max(left - halo, 0)
        window = frames[..., window_top : bottom + halo, window_left : right + halo]
        tile = model(window, 30.0)[
            ..., top - window_top : bottom - window_top, left - window_left : right - window_left
        ]
        expected = whole[..., top:bottom, left:right]
        torch.testing.assert_close(tile, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_frame_that_ends_within_a_cell_goes_on_as_it_ends(model):
    frames = random_frames(1, 3, *SIZE)
    height, width = SIZE
    longer = torch.nn.functional.pad(frames, (0, -width % 8, 0, -height % 8), mode="replicate")
    torch.testing.assert_close(model(frames, 30.0), model(longer, 30.0)[..., :height, :width])


@torch.no_grad()
def test_luma_alone(model):
    """Is enhanced as it is beside grey chroma."""
    luma = random_frames(2, 1, *SIZE)
    grey = torch.cat((luma, torch.full((2, 2, *SIZE), 0.5)), dim=1)
    alone = model(luma, 30.0)
    assert alone.shape == luma.shape
    torch.testing.assert_close(alone, model(grey, 30.0)[:, :1], rtol=0, atol=1e-6)
    assert (alone - luma).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("size", [SIZE, (32, 48), (17, 34), (1, 1)], ids=str)
def test_repeated_chroma_stays_repeated(model, size):
    """So that 4:2:0 goes in and comes out, at odd sizes too."""
    frames = in_420(2, *size)
    chroma = model(frames, 30.0)[:, 1:]
    assert (chroma - frames[:, 1:]).abs().max() > 1e-3
    repeated = chroma[..., ::2, ::2].repeat_interleave(2, -2).repeat_interleave(2, -1)
    torch.testing.assert_close(chroma, repeated[..., : size[0], : size[1]], rtol=0, atol=1e-6)


@torch.no_grad()
def test_fine_chroma_keeps_its_detail(model):
    """What differs within 2×2 pixels is not seen, and is not changed."""
    coarse = in_420(1, 32, 48)
    detail = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat(16, 24)
    fine = coarse.clone()
    fine[:, 1:] += detail
    corrections = [model(frames, 30.0) - frames for frames in (coarse, fine)]
    torch.testing.assert_close(*corrections, rtol=0, atol=1e-5)


@torch.no_grad()
def test_qp_of_all_of_each_and_of_blocks_agree(model):
    frames = random_frames(2, 3, *SIZE)
    qps = torch.tensor([24.5, 37.0])
    both = model(frames, qps)
    maps = model(frames, qps[:, None, None].expand(2, *MAP))
    for image, qp in enumerate(qps.tolist()):
        single = model(frames[image : image + 1], qp)[0]
        torch.testing.assert_close(both[image], single)
        torch.testing.assert_close(maps[image], single)
    assert (both[0] - model(frames, 45.0)[0]).abs().max() > 1e-3


@torch.no_grad()
def test_a_map_of_qps_acts_where_it_lies():
    """Far from the border between two QPs each side is as with its QP everywhere."""
    model = smallest()
    reach = spec_of(model).receptive_field // 2
    half = reach + 32 + -reach % 8
    frames = random_frames(1, 3, 24, 2 * half - 3, dtype=torch.float64)
    qps = torch.full((1, 3, half // 4), 22.0)
    qps[..., half // 8 :] = 42.0
    mixed, low, high = (model(frames, qp) for qp in (qps, 22.0, 42.0))
    torch.testing.assert_close(mixed[..., : half - reach], low[..., : half - reach])
    torch.testing.assert_close(mixed[..., half + reach :], high[..., half + reach :])
    border = slice(half - 4, half + 4)
    for other in (low, high):
        assert (mixed - other)[..., border].abs().max() > 1e-3


@torch.no_grad()
def test_codec_and_type_of_all_and_of_each_agree(model):
    frames = random_frames(2, 3, *SIZE)
    codecs = torch.tensor([codec_code("hevc"), codec_code("av1")])
    types = torch.tensor([frame_type_code("I"), frame_type_code("B")])
    for qp in (30.0, torch.tensor([30.0, 30.0]), torch.full((2, *MAP), 30.0)):
        both = model(frames, qp, codecs, types)
        for image in range(2):
            told = codecs[image].item(), types[image].item()
            single = model(frames[image : image + 1], 30.0, *told)[0]
            torch.testing.assert_close(both[image], single)
    same = model(frames, 30.0, 2, types)
    torch.testing.assert_close(model(frames, 30.0, torch.tensor([2, 2]), types), same)


@torch.no_grad()
@pytest.mark.parametrize("place", [0, 1], ids=["codec", "frame type"])
def test_each_code_counts_and_none_is_unknown(model, place):
    frames = random_frames(1, 3, *SIZE)
    codes = range(len((CODECS, FRAME_TYPES)[place]))
    told = [[code, 0] if place == 0 else [0, code] for code in codes]
    enhanced = [model(frames, 30.0, *codes) for codes in told]
    assert torch.equal(model(frames, 30.0), enhanced[0])
    for code, one in enumerate(enhanced):
        for other in enhanced[:code]:
            assert (one - other).abs().max() > 1e-4


def test_codes():
    """Places in the tables of weights: they must never change."""
    assert [codec_code(name) for name in ("h264", "hevc", "vp9", "av1")] == [1, 2, 3, 4]
    assert [frame_type_code(letter) for letter in "IPB"] == [1, 2, 3]
    assert codec_code("mpeg2video") == codec_code("unknown") == frame_type_code("?") == 0
    assert frame_type_code("SI") == 0


@torch.no_grad()
def test_frames_keep_their_precision(model):
    """Weights in 16 bits make a correction; the frame that it is added to stays as it is."""
    rough = randomised("dualres_s").to(torch.bfloat16)
    torch.nn.init.zeros_(rough.output.weight)
    frames = random_frames(1, 3, *SIZE)
    assert torch.equal(rough(frames, 30.0), frames)
    assert model(frames.double(), 30.0).dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 2, 16, 16), (1, 4, 16, 16), (3, 16, 16), (1, 1, 3, 16, 16)])
def test_wrong_shape(model, shape):
    with pytest.raises(ValueError, match=r"frames must be \(B, 3 or 1, H, W\), got"):
        model(torch.zeros(shape), 30.0)


def test_a_map_finer_than_blocks_of_8():
    with pytest.raises(ValueError, match="no finer than the features"):
        randomised("dualres_s")(torch.zeros(1, 3, 32, 32), torch.full((1, 8, 8), 30.0))


@pytest.mark.parametrize("option", ["width", "deep_width", "before", "deep", "after"])
def test_wrong_options(option):
    with pytest.raises(ValueError, match=f"{option} must be a whole number of at least 1, got 0"):
        create_model("dualres_s", **{option: 0})


def test_qps_that_do_not_ascend():
    with pytest.raises(ValueError, match="ascending"):
        create_model("dualres_s", qps=(32, 22))


@pytest.mark.parametrize(
    ("name", "parameters", "field"), [("dualres_s", 433_432, 188), ("dualres_m", 1_269_560, 284)]
)
def test_sizes(name, parameters, field):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert spec_of(model).receptive_field == field
    assert (spec_of(model).planes, spec_of(model).alignment) == ("yuv", 8)
    assert spec_of(model).takes_qp and spec_of(model).takes_coding


@torch.no_grad()
def test_maps_of_integers_are_looked_up(model):
    """To the same gains as maps of numbers."""
    frames = torch.rand(2, 3, 40, 56)
    blocks = torch.randint(0, 64, (2, 5, 7))
    expected = model(frames, blocks.float(), 1, 2)
    for dtype in (torch.uint8, torch.int64):
        torch.testing.assert_close(model(frames, blocks.to(dtype), 1, 2), expected)


@torch.no_grad()
def test_a_map_beyond_the_table(model):
    """What lies outside counts as its end, also next to the table of another image."""
    frames, codecs = torch.rand(2, 3, 16, 16), torch.tensor([1, 2])
    beyond, ends = (
        torch.tensor(pair).view(2, 1, 1).expand(2, 2, 2) for pair in ((64, -1), (63, 0))
    )
    torch.testing.assert_close(model(frames, beyond, codecs), model(frames, ends, codecs))


@torch.no_grad()
def test_a_map_of_integers_in_float64(model):
    model = model.double()
    frames, blocks = (
        torch.rand(1, 3, 16, 16, dtype=torch.float64),
        torch.tensor([[[30, 31], [9, 60]]]),
    )
    expected = model(frames, blocks.double())
    torch.testing.assert_close(model(frames, blocks), expected, rtol=0, atol=1e-12)


def test_shares_of_qps():
    """Those of the two neighbours in the table, or of its end."""
    qps = torch.tensor([10.0, 20.0, 40.0])
    shares = qp_shares(torch.tensor([[5.0, 10.0], [25.0, 63.0]]), qps)
    assert shares.tolist() == [[[1, 0, 0], [1, 0, 0]], [[0, 0.75, 0.25], [0, 0, 1]]]
    assert qp_shares(torch.tensor([7, 50]), qps[:1]).tolist() == [[1], [1]]


@torch.no_grad()
def test_shares_act_as_the_map_does():
    model = randomised("dualres_s")
    frames, qp = in_420(2, *SIZE), 60 * random_frames(2, *MAP)
    codes = torch.tensor([1, 2]), torch.tensor([3, 1])
    shares = qp_shares(qp, torch.tensor(model.qps, dtype=torch.float32))
    torch.testing.assert_close(
        model(frames, shares, *codes), model(frames, qp, *codes), rtol=1e-4, atol=1e-5
    )


def test_blocks_compile_together():
    """One graph for each width, however many blocks there are, with gradients as without."""
    model = DualResolution(4, 6, 2, 2, 1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    qp = qp_shares(60 * random_frames(2, *MAP), torch.tensor(model.qps, dtype=torch.float32))
    arguments = (random_frames(2, 3, *SIZE), qp, torch.tensor([1, 2]), torch.tensor([3, 1]))
    output = model(*arguments)
    output.sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for block in (*model.before, *model.deep, *model.after):
        block.forward = torch.compile(
            block.forward, dynamic=False, fullgraph=True, backend="aot_eager"
        )
    model.zero_grad()
    again = model(*arguments)
    again.sum().backward()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    torch.testing.assert_close(again, output)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-4)
