"""Weights without a model's name: whose they are, by what they say or by their tensors."""

import pytest
import torch
from safetensors.torch import save_file

from tests.support.media import write_clip
from vqe_fast import create_model
from vqe_fast.models.published import published_names
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.inference.load import find_model
from vqe_fast.video.inference.weights_owner import chosen_model, owner_of
from vqe_fast.weights import WeightsError


def saved(path, name, metadata=None, **options):
    state = {k: v.contiguous() for k, v in create_model(name, **options).state_dict().items()}
    save_file(state, path, metadata)
    return path


def published(path, **options):
    """A checkpoint of BasicVSR as BasicSR's authors publish it."""
    model = create_model("basicvsr", **options)
    names = published_names(model, "basicsr")
    state = model.state_dict()
    torch.save({"params": {theirs: state[ours] for theirs, ours in names.items()}}, path)
    return path


def test_enhance_without_a_model(tmp_path):
    """What the file says, in API and report."""
    clip = write_clip(tmp_path / "in.mkv", size=(32, 32), frames=2)
    about = {"model": "carcnn_small", "options": '{"blocks": 1, "width": 8}'}
    file = saved(tmp_path / "w.safetensors", "carcnn_small", about, blocks=1, width=8)
    report = enhance_video(clip, tmp_path / "out.mkv", weights=file)
    assert report.model == report.options["model"] == "carcnn_small"


def test_the_default():
    assert chosen_model(None, None) == "dualres_s"
    assert chosen_model("identity", None) == "identity"


@pytest.mark.parametrize("name", ["carcnn_small", "dualres_s", "galteri_fast"])
def test_tensors_tell(tmp_path, name):
    assert owner_of(saved(tmp_path / "w.safetensors", name)) == name


def test_tensors_of_none(tmp_path):
    file = saved(tmp_path / "w.safetensors", "carcnn", width=7)
    with pytest.raises(VideoError, match=r"does not say whose .* fits none .*one of astf"):
        owner_of(file)


def test_no_tensors(tmp_path):
    """One model has none."""
    file = tmp_path / "w.safetensors"
    save_file({}, file)
    assert owner_of(file) == "identity"


def test_a_model_that_is_not_here(tmp_path):
    file = saved(tmp_path / "w.safetensors", "carcnn_small", {"model": "vdsr"}, blocks=1, width=8)
    with pytest.raises(WeightsError, match=r"weights of vdsr, which is no model here"):
        owner_of(file)


def test_published_weights(tmp_path):
    """Found by their names, and built in the size that they have."""
    file = published(tmp_path / "w.pth", scale=1, width=8, blocks=2)
    assert owner_of(file) == "basicvsr"
    model = find_model("basicvsr", file)
    assert (model.scale, model.width, model.blocks) == (1, 8, 2)


def test_published_weights_of_another_size(tmp_path):
    with pytest.raises(VideoError, match=r"basicvsr makes frames 4 times as large"):
        find_model("basicvsr", published(tmp_path / "w.pth", width=8, blocks=2))


def test_published_weights_of_another_model(tmp_path):
    file = published(tmp_path / "w.pth", scale=1, width=8, blocks=2)
    with pytest.raises(WeightsError, match=r"read for basicvsr and pequenet, not for carcnn: name"):
        find_model("carcnn", file)
    with pytest.raises(WeightsError, match=r"w.pth does not fit this model: it lacks"):
        find_model("pequenet", file)
    with pytest.raises(WeightsError, match=r"w.pth cannot be loaded: model must be a BasicVSR"):
        find_model(create_model("carcnn_small"), file)
    (tmp_path / "none.pth").write_bytes(b"no")
    with pytest.raises(WeightsError, match=r"none.pth is not a readable PyTorch file"):
        owner_of(tmp_path / "none.pth")
