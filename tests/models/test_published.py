import copy

import pytest
import torch

from support.recurrent import randomised
from vqe_fast import create_model
from vqe_fast.models import SPyNet, load_published
from vqe_fast.models.published import published_names
from vqe_fast.weights import WeightsError

BLOCKS = 2


def basicsr_layers():
    """The layers of basicsr/archs/basicvsr_arch.py and spynet_arch.py that hold weights."""
    for level in range(6):
        yield from (f"spynet.basic_module.{level}.basic_module.{i}" for i in (0, 2, 4, 6, 8))
    for trunk in ("backward_trunk", "forward_trunk"):
        yield f"{trunk}.main.0"
        yield from (f"{trunk}.main.2.{b}.conv{i}" for b in range(BLOCKS) for i in (1, 2))
    yield from ("fusion", "upconv1", "upconv2", "conv_hr", "conv_last")


def mmagic_layers():
    """The layers of mmagic/models/editors/basicvsr/basicvsr_net.py that hold weights."""
    for level in range(6):
        yield from (f"spynet.basic_module.{level}.basic_module.{i}.conv" for i in range(5))
    for trunk in ("backward_resblocks", "forward_resblocks"):
        yield f"{trunk}.main.0"
        yield from (f"{trunk}.main.2.{b}.conv{i}" for b in range(BLOCKS) for i in (1, 2))
    yield "fusion"
    yield from ("upsample1.upsample_conv", "upsample2.upsample_conv", "conv_hr", "conv_last")


LAYERS = {"basicsr": basicsr_layers, "mmagic": mmagic_layers}
PUBLISHERS = pytest.mark.parametrize("publisher", list(LAYERS))


def small(seed=0):
    torch.manual_seed(seed)
    return randomised(create_model("basicvsr", width=8, blocks=BLOCKS), seed=seed)


def layers_of(model):
    """Weight and bias of each layer, in the order of the forward pass, which both files share."""
    parts = [model.spynet, model.backward_trunk, model.forward_trunk]
    parts += [model.fusion, model.upsample, model.conv_hr, model.conv_last]
    for part in parts:
        yield from (m for m in part.modules() if isinstance(m, torch.nn.Conv2d))


def as_published(model, publisher):
    """The model's weights under the published names, matched by their place in the network."""
    state = {"spynet.mean": model.spynet.mean, "spynet.std": model.spynet.std}
    for name, layer in zip(LAYERS[publisher](), layers_of(model), strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = layer.weight.data, layer.bias.data
    return state


@PUBLISHERS
def test_names(publisher):
    """Every weight has exactly one published name, and the list above is complete."""
    names = published_names(small(), publisher)
    assert set(names) == set(as_published(small(), publisher))
    assert len(names) == len(small().state_dict())


def wrapped(state, wrapper):
    if wrapper == "generator":
        inside = {f"generator.{name}": value for name, value in state.items()}
        return {"meta": {"epoch": 1}, "state_dict": {**inside, "step_counter": torch.zeros(1)}}
    if wrapper == "module":
        return {f"module.{name}": value for name, value in state.items()}
    if wrapper == "params_ema":
        return {"params": {name: 2 * value for name, value in state.items()}, "params_ema": state}
    return {wrapper: state} if wrapper else state


@pytest.mark.parametrize("wrapper", ["", "params", "params_ema", "module", "generator"])
@PUBLISHERS
def test_loads_what_was_published(publisher, wrapper, tmp_path):
    source, model, clip = small(), small(seed=1), torch.rand(1, 3, 3, 32, 32)
    torch.save(wrapped(as_published(source, publisher), wrapper), tmp_path / "weights.pth")
    assert not torch.equal(model(clip), source(clip))
    load_published(model, tmp_path / "weights.pth")
    assert torch.equal(model(clip), source(clip))


# At the full size both publishers have 64 feature maps, however many there are before.
WIDE = {"upconv1": (128, 32), "upconv2": (256, 32), "conv_hr": (64, 64), "conv_last": (3, 64)}
MMAGIC = {"upconv1": "upsample1.upsample_conv", "upconv2": "upsample2.upsample_conv"}


@PUBLISHERS
def test_another_width(publisher):
    """Shapes as the publishers' code makes them of num_feat=32 or mid_channels=32."""
    model = create_model("basicvsr", width=32, blocks=BLOCKS)
    state = as_published(randomised(model), publisher)
    for layer, channels in WIDE.items():
        name = MMAGIC.get(layer, layer) if publisher == "mmagic" else layer
        state[f"{name}.weight"] = torch.rand(*channels, 3, 3)
        state[f"{name}.bias"] = torch.rand(channels[0])
    load_published(model, state)
    assert torch.equal(model.conv_last.bias, state["conv_last.bias"])
    with pytest.raises(WeightsError, match=r"; build the model with width=32, blocks=2$"):
        load_published(create_model("basicvsr"), state)


@PUBLISHERS
def test_loads_spynet_alone(publisher):
    """Its files leave the mean and the standard deviation out."""
    source, frames = small().spynet, torch.rand(2, 1, 3, 32, 32)
    state = as_published(small(), publisher)
    state = {
        name.removeprefix("spynet."): value
        for name, value in state.items()
        if name.startswith("spynet.basic_module")
    }
    spynet = SPyNet()
    load_published(spynet, {"params": state})
    assert torch.equal(spynet(*frames), source(*frames))


def test_loads_into_the_dtype_of_the_model():
    model = small().bfloat16()
    load_published(model, as_published(small(seed=1), "mmagic"))
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())


@PUBLISHERS
def test_says_what_differs(publisher):
    """And leaves the model as it was."""
    state = as_published(small(seed=1), publisher)
    gone = next(name for name in state if name.endswith("main.2.1.conv2.bias"))
    del state[gone]
    state["edvr.conv_first.weight"] = torch.zeros(1)
    state["conv_hr.weight"] = torch.zeros(32, 64, 3, 3)
    model = small()
    before = copy.deepcopy(model.state_dict())
    message = (
        f"release does not fit this model: it lacks {gone}, "
        "has unknown edvr.conv_first.weight, has another shape for conv_hr.weight"
    )
    with pytest.raises(WeightsError, match=message.replace(".", r"\.")):
        load_published(model, state, name="release")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_long_lists_of_differences_are_cut():
    """The usual mistake: a file of 30 blocks into a model of fewer."""
    model = create_model("basicvsr", scale=1, width=8, blocks=1)
    message = (
        "it has unknown backward_trunk.main.2.1.conv1.bias, backward_trunk.main.2.1.conv1.weight, "
        "backward_trunk.main.2.1.conv2.bias and 9 more, has another shape for conv_hr.bias, "
        "conv_hr.weight, conv_last.weight; build the model with scale=4, blocks=2"
    )
    with pytest.raises(WeightsError, match=message.replace(".", r"\.")):
        load_published(model, as_published(small(), "basicsr"))


def test_unreadable_files(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(WeightsError, match=r"there is no weights file .*weights\.pth"):
        load_published(small(), path)
    path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(WeightsError, match=r"weights\.pth is not a readable PyTorch file: "):
        load_published(small(), path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match=r"weights\.pth holds no tensors by name; expected a"):
        load_published(small(), path)


def test_another_model():
    with pytest.raises(TypeError, match="a SPyNet or a PeQuENet, got CARCNN"):
        load_published(create_model("carcnn_small"), {})
