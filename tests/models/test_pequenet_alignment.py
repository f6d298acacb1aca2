"""What section IV-F of PeQuENet puts in the place of attention."""

import pytest
import torch

from vqe_fast import create_model
from vqe_fast.models import load_published
from vqe_fast.models.cost import cost
from vqe_fast.models.pequenet import published_name
from vqe_fast.models.pequenet_alignment import DeformableAlignment, aligned_by_flow
from vqe_fast.weights import WeightsError


def built(alignment, **options):
    torch.manual_seed(0)
    model = create_model("pequenet", alignment=alignment, **options)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 4 and not name.startswith("vgg"):
            torch.nn.init.kaiming_normal_(parameter)
            parameter.data *= 0.6
    return model


@pytest.mark.parametrize("alignment", ("deformable", "flow"))
def test_alignments(alignment):
    """Both neighbours count, what aligns them learns, and a stream gives what a window does."""
    model = built(alignment)
    frames = torch.rand(1, 3, 1, 34, 52)
    enhanced = model(frames, 32)
    assert enhanced.shape == (1, 1, 34, 52)
    enhanced.square().mean().backward()
    learnt = [
        parameter.grad.abs().sum() > 0
        for name, parameter in model.named_parameters()
        if "deformable" in name or name.startswith("spynet")
    ]
    assert learnt and all(learnt)
    model.eval()
    with torch.no_grad():
        for index in (0, 2):
            changed = frames.clone()
            changed[:, index] = 1 - changed[:, index]
            assert not torch.equal(model(changed, 32), enhanced)
        stream = model.stream()
        pushed = [stream.push(frames[:, index], 32) for index in range(3)]
        torch.testing.assert_close(pushed[2], enhanced)


@torch.no_grad()
def test_features_follow_the_flow():
    """Four pixels to the right in the frame are one in features of a quarter of its size."""
    reference = torch.rand(1, 2, 6, 8)
    flow = torch.zeros(1, 2, 24, 32)
    flow[:, 0], flow[:, 1] = 4, -8
    aligned = aligned_by_flow(reference, flow)
    torch.testing.assert_close(aligned[:, :, 2:, :-1], reference[:, :, :-2, 1:])
    odd = aligned_by_flow(reference, flow[..., :23, :31])
    assert odd.shape == reference.shape


@torch.no_grad()
def test_untrained_nothing_is_moved():
    """Half of each tap, where it is."""
    block = DeformableAlignment(8)
    features, reference = torch.rand(2, 1, 8, 5, 6)
    conv = block.align.conv
    expected = torch.nn.functional.leaky_relu(
        torch.nn.functional.conv2d(reference, conv.weight / 2, conv.bias, padding=1), 0.1
    )
    torch.testing.assert_close(block(features, reference), expected)


def test_the_authors_weights_are_for_attention():
    with torch.device("meta"):
        theirs, model = (create_model("pequenet", alignment=a) for a in ("attention", "deformable"))
    state = {published_name(name): value for name, value in theirs.state_dict().items()}
    with pytest.raises(WeightsError, match=r"lacks branches\.following\.deformable"):
        load_published(model, state)


def test_arithmetic():
    """Table V: at 1080p local alignment is cheaper than attention to the whole frame."""
    spent = {}
    for alignment in ("attention", "deformable", "flow"):
        with torch.device("meta"):
            model = create_model("pequenet", alignment=alignment)
        spent[alignment] = cost(model).kmac_per_pixel
    assert spent["attention"] > max(spent["deformable"], spent["flow"])
