"""Options of a registered model, from the command line and the API."""

import pytest
from safetensors.torch import save_file

from tests.cli.test_enhance import assert_refused, run
from tests.support.media import write_clip
from vqe_fast import create_model
from vqe_fast.cli.option_parameters import values_by_name
from vqe_fast.evaluation.resolve_restorers import find_restorers
from vqe_fast.video import VideoError, enhance_video

SMALL = {"blocks": 1, "width": 8}


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mkv", size=(32, 32), frames=2)


@pytest.fixture
def weights(tmp_path):
    """Of a small network, by a program that says nothing of it."""
    path = tmp_path / "w.safetensors"
    save_file(create_model("carcnn", **SMALL).state_dict(), path)
    return path


def test_api_and_report(clip, tmp_path, weights):
    out = tmp_path / "out.mkv"
    report = enhance_video(clip, out, "carcnn", weights=weights, model_options=SMALL)
    assert report.options["model_options"] == SMALL and report.frames_out == 2


def test_command_line(clip, tmp_path, weights):
    out = tmp_path / "out.mkv"
    command = ["enhance", clip, out, "--model", "carcnn", "--weights", weights]
    assert_refused(run(*command), "lacks blocks.1.first.bias; build the model with the options")
    result = run(*command, "--option", "blocks=1", "--option", "width=8")
    assert result.exit_code == 0 and out.exists()
    assert_refused(run(*command, "--overwrite", "--option", "size=8"), "no option 'size'", "width")
    assert_refused(run(*command, "--overwrite", "--option", "width"), "looks like width=32, got")


def test_evaluate_takes_them(weights):
    found = find_restorers(
        [f"carcnn:{weights}"], device="cpu", precision="fp32", model_options=SMALL
    )
    assert len(found) == 2


def test_wrong_values(clip, tmp_path, weights):
    out = tmp_path / "out.mkv"
    with pytest.raises(VideoError, match=r"cannot be built with these options: .*blocks"):
        enhance_video(clip, out, "carcnn", weights=weights, model_options={"blocks": 0})
    with pytest.raises(VideoError, match="module that is built already; leave them out"):
        enhance_video(clip, out, create_model("identity"), model_options=SMALL)
    assert not out.exists()


def test_texts():
    told = ["qp-adaptive=true", "qps=[22,37]", "width=8", "mode=soft"]
    assert values_by_name(told) == {
        "qp_adaptive": True,
        "qps": [22, 37],
        "width": 8,
        "mode": "soft",
    }
    assert values_by_name([]) is None
    with pytest.raises(VideoError, match="width of the model is given twice"):
        values_by_name(["width=1", "width=2"])
