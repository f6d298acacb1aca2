"""Whole numbers: NumPy's are taken wherever Python's are, floats and bools are refused."""

import json

import numpy as np
import pytest
import torch

from vqe_fast import compare_videos, create_model, enhance_video, evaluate, nn, ops
from vqe_fast.models.cost import cost
from vqe_fast.models.galteri import QualityPredictor
from vqe_fast.models.vgg import VGG
from vqe_fast.video.options import all_options, asked_for, parse_options

FRAMES = torch.rand(4, 1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
x, y, z, w = FRAMES
MOVED = torch.arange(-9, 9).view(1, 2, 3, 3)


def model(name, option, **others):
    """What depends on an option of a model: the shapes of its parameters, and its spec."""

    def build(number):
        built = create_model(name, **{option: number}, **others)
        return [tuple(p.shape) for p in built.parameters()], built.spec

    return build


# Name of the argument → what is made with it, and a number that it takes.
OPERATORS = {
    "radius of local_variance": (lambda n: ops.local_variance(x, n), 3),
    "radius of astf_mask": (lambda n: ops.astf_mask(x, y, z, n), 3),
    "radius of astf_fuse": (lambda n: ops.astf_fuse(x, y, z, w, radius=n), 3),
    "kernel_size of unsharp_mask": (lambda n: ops.unsharp_mask(x, 0.5, n), 3),
    "window_size of ssim": (lambda n: ops.ssim(x, y, window_size=n), 5),
    "window_size of ssim maps": (lambda n: ops.ssim(x, y, window_size=n, reduction="none"), 5),
    "window_size of ssim_loss": (lambda n: ops.ssim_loss(x, y, window_size=n, padding="same"), 5),
    "window_size of ssim_mse_loss": (lambda n: ops.ssim_mse_loss(x, y, window_size=n), 5),
    "window_size of ms_ssim": (lambda n: ops.ms_ssim(x, y, window_size=n, weights=(0.5, 0.5)), 5),
}
FEW_NUMBERS = {
    "block_size of block_match": (lambda n: ops.block_match(x, y, block_size=n)[1], 4),
    "block_size of block_warp": (lambda n: ops.block_warp(x, MOVED, block_size=n), 8),
    "cell of block_warp": (lambda n: ops.block_warp(x[..., :6, :6], MOVED, cell=n), 4),
}
MODULES = {
    "radius of AdaptiveSpatialTemporalFusion": (
        lambda n: nn.AdaptiveSpatialTemporalFusion(n)(FRAMES[None, :, 0], FRAMES[None, :, 0]),
        3,
    ),
    "radius of FusionStream": (lambda n: nn.FusionStream(n)._radius, 3),
    "kernel_size of UnsharpMask": (lambda n: nn.UnsharpMask(0.5, n)(x), 3),
    "window_size of SSIMLoss": (lambda n: nn.SSIMLoss(window_size=n)(x, y), 5),
    "window_size of MSSSIMLoss": (
        lambda n: nn.MSSSIMLoss(window_size=n, weights=(0.5, 0.5))(x, y),
        5,
    ),
    "channels of CrossFrameAttention": (lambda n: nn.CrossFrameAttention(n).key.weight.shape, 8),
    "projected_channels of CrossFrameAttention": (
        lambda n: nn.CrossFrameAttention(8, n).key.weight.shape,
        4,
    ),
    "downsample of CrossFrameAttention": (
        lambda n: nn.CrossFrameAttention(8, downsample=n).downsample,
        2,
    ),
    "num_qps of QPModulation": (lambda n: nn.QPModulation(n, 8).weight.shape, 4),
    "channels of QPModulation": (lambda n: nn.QPModulation(4, n).weight.shape, 8),
}
MODELS = {
    "scale of basicvsr": (model("basicvsr", "scale", width=4, blocks=1), 4),
    "width of basicvsr": (model("basicvsr", "width", blocks=1), 4),
    "blocks of basicvsr": (model("basicvsr", "blocks", width=4), 2),
    "flow_pairs of basicvsr": (model("basicvsr", "flow_pairs", width=4, blocks=1), 2),
    "width of astf": (model("astf", "width", blocks=1), 4),
    "radius of astf": (model("astf", "radius", width=4, blocks=1), 3),
    "width of carcnn": (model("carcnn", "width", blocks=1), 4),
    "blocks of carcnn": (model("carcnn", "blocks", width=4), 2),
    "unshuffle of carcnn": (model("carcnn", "unshuffle", width=4, blocks=1), 2),
    "blocks of galteri_fast": (model("galteri_fast", "blocks"), 2),
    "before of dualres_s": (model("dualres_s", "before"), 1),
    "deep_width of dualres_s": (model("dualres_s", "deep_width"), 16),
    "scales of multiscale": (model("multiscale", "scales"), 2),
    "downsample of pequenet": (model("pequenet", "attention_downsample"), 2),
    "depth of VGG": (lambda n: len(VGG(n).features), 16),
    "width of QualityPredictor": (
        lambda n: sum(p.numel() for p in QualityPredictor(n).parameters()),
        4,
    ),
    "size's height of cost": (
        lambda n: cost(create_model("carcnn", width=4, blocks=1), size=(n, 64)),
        64,
    ),
}
ARGUMENTS = OPERATORS | FEW_NUMBERS | MODULES | MODELS


@pytest.mark.parametrize("kind", (np.int64, np.uint8), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("make", "number"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_numpys_integers(make, number, kind):
    expected, found = make(number), make(kind(number))
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("change", (float, lambda n: n + 0.5, str, lambda _: True, np.float64))
@pytest.mark.parametrize("name", ARGUMENTS)
def test_others_are_refused(name, change):
    make, number = ARGUMENTS[name]
    value = change(number)
    argument = name.partition(" of ")[0]
    with pytest.raises(ValueError, match=rf"{argument} must be an? (odd )?whole number") as caught:
        make(value)
    assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("name", OPERATORS)
def test_numbers_that_change_in_a_graph(name):
    """They are symbols there then; and what is wrong is refused there too."""
    make, number = OPERATORS[name]
    torch.compiler.reset()
    compiled = torch.compile(make, fullgraph=True, backend="eager")
    for each in (number, number + 2, number + 4):
        torch.testing.assert_close(compiled(each), make(each))
    with pytest.raises(Exception, match="whole number"):
        compiled(float(number))


WHOLE_OPTIONS = [each.name for _, each, _ in all_options() if each.type in (int, int | None)]


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_options_of_the_tool(name, tmp_path):
    """Also in the report, which is JSON."""
    assert json.loads(json.dumps(asked_for(*parse_options({name: np.int64(64)}))))[name] == 64
    for wrong in (64.0, True, "64"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number, got {wrong!r}"):
            enhance_video("in.mp4", tmp_path / "out.mp4", **{name: wrong})


@pytest.mark.parametrize("wrong", (2.0, True, 0))
def test_numbers_of_frames(wrong, tmp_path):
    for call in (enhance_video, lambda a, b, frames: compare_videos(a, a, b, frames=frames)):
        message = f"number of frames must be a whole number of at least 1, got {wrong!r}"
        with pytest.raises(ValueError, match=message):
            call("in.mp4", tmp_path / "out.mp4", frames=wrong)
    for option in ("frames", "workers"):
        with pytest.raises(ValueError, match=f"{option} must be a whole number of at least 1"):
            evaluate(["in.mp4"], ["none"], "carcnn", **{option: wrong})
