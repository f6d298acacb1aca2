import pytest
from torch import nn

from vqe_fast import create_model, list_models
from vqe_fast.models import register_model, spec_of


def test_lists_and_builds_every_model():
    assert {"carcnn", "carcnn_small"} <= set(list_models())
    for name in list_models():
        assert spec_of(create_model(name)).planes in {"y", "rgb", "yuv"}


def test_unknown_model_names_those_that_exist():
    with pytest.raises(ValueError, match=r"no model is named 'carcn'; there are: .*carcnn"):
        create_model("carcn")


def test_unknown_option_is_an_error():
    """A mis-spelt option that is swallowed trains another network than its user believes."""
    with pytest.raises(TypeError, match="carcnn has no option 'widht'; it has: width, blocks"):
        create_model("carcnn", widht=32)


def test_a_name_is_registered_once():
    def carcnn() -> nn.Module:
        return nn.Identity()

    with pytest.raises(ValueError, match="'carcnn' is registered already"):
        register_model(carcnn)


def test_pretrained_without_shipped_weights():
    with pytest.raises(ValueError, match="no weights ship for the model 'carcnn'"):
        create_model("carcnn", pretrained=True)


def test_a_model_without_parameters_needs_no_weights():
    assert not list(create_model("identity", pretrained=True).parameters())
