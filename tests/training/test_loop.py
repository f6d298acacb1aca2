"""The training loop on small clips in memory."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from support.held_clips import texture_pair
from support.processes import PATIENCE
from vqe_fast.training import losses
from vqe_fast.training.fabric import make_fabric
from vqe_fast.training.recipe import Recipe
from vqe_fast.training.train import Progress, Validated, build_model, refuse_apart, train

STAGE = {
    "steps": 30,
    "loss": [{"name": "charbonnier", "options": {"eps": 0.001}}],
    "optimiser": {"rate": 0.003, "clip_norm": 1.0},
    "schedule": {"kind": "cosine", "warmup": 5},
    "ema": 0.8,
}
ADVERSARIAL = {
    "discriminator": "sub_patch",
    "loss": "standard",
    "weight": 0.01,
    "optimiser": {"rate": 1e-4},
}


def recipe(model="carcnn", options=None, data=None, stage=None, **changes):
    content = {
        "model": model,
        "options": {"width": 8, "blocks": 1} if options is None else options,
        "data": {
            "degradations": [{"codec": "libx264", "mode": "qp", "values": [30, 40]}],
            "patch": 32,
            "batch": 4,
        }
        | (data or {}),
        "stages": [STAGE | (stage or {})],
        "precision": "fp32",
        "report_every": 10,
        "checkpoint_every": 7,
        "validation": {"every": 10, "batches": 2},
    }
    return Recipe.model_validate(content | changes)


@pytest.fixture(scope="module")
def clips():
    return [texture_pair(seed=seed) for seed in range(2)]


@pytest.fixture(scope="module")
def fabric():
    return make_fabric("cpu")


@pytest.mark.parametrize(
    "loss", ({"name": "charbonnier", "options": {"eps": 0.001}}, {"name": "ssim_mse"})
)
def test_training_helps(loss, clips, fabric, tmp_path):
    """150 steps of 1,233 parameters gain on clips that were not trained on."""
    reports = []
    chosen = recipe(stage={"steps": 150, "loss": [loss], "optimiser": {"rate": 0.005}})
    validation = [texture_pair(seed=9)]
    train(chosen, clips, tmp_path, fabric=fabric, validation=validation, report=reports.append)
    gains = [r.figures["psnr_gain"] for r in reports if isinstance(r, Validated)]
    assert len(gains) == 16 and gains[0] == 0 and gains[-1] > 0.3
    steps = [r.step for r in reports if isinstance(r, Progress)]
    assert steps == list(range(10, 151, 10))
    assert {p.name for p in tmp_path.iterdir()} >= {"weights.safetensors", "best.safetensors"}


def interrupted_at(step):
    """A report that presses Ctrl-C after a step."""

    def report(progress):
        if isinstance(progress, Progress) and progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return report


@pytest.mark.parametrize("adversarial", (None, ADVERSARIAL), ids=("regression", "adversarial"))
def test_resumed_run_gives_the_same_weights(adversarial, clips, fabric, tmp_path):
    """Bit for bit, the discriminator's part in it included."""
    model, options = ("carcnn", None) if not adversarial else ("galteri_very_fast", {"blocks": 1})
    chosen = recipe(model, options, stage={"adversarial": adversarial})
    train(chosen, clips, tmp_path / "whole", fabric=fabric)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, clips, tmp_path / "parts", fabric=fabric, report=interrupted_at(20))
    assert not (tmp_path / "parts" / "weights.safetensors").exists()
    assert torch.load(tmp_path / "parts" / "last.pt")["step"] == 20
    steps = []
    train(chosen, clips, tmp_path / "parts", fabric=fabric, report=lambda r: steps.append(r.step))
    assert steps[0] == 30
    whole, parts = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_an_adversary_alone(clips, fabric, tmp_path):
    """As in PeQuENet's Table VII; PSNR decides which weights are best."""
    reports = []
    stage = {"loss": [], "adversarial": ADVERSARIAL, "steps": 10}
    best = {"every": 10, "batches": 1, "best": "loss"}
    chosen = recipe("galteri_very_fast", {"blocks": 1}, stage=stage, validation=best)
    model = train(chosen, clips, tmp_path, fabric=fabric, validation=clips, report=reports.append)
    assert {name for r in reports if isinstance(r, Progress) for name in r.terms} == {
        "adversarial",
        "discriminator",
    }
    assert all("loss" not in r.figures for r in reports if isinstance(r, Validated))
    assert (tmp_path / "best.safetensors").exists() and model.output.weight.any()


def test_another_recipe_does_not_go_on(clips, fabric, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), clips, tmp_path, fabric=fabric, report=interrupted_at(10))
    with pytest.raises(ValueError, match=r"last.pt belongs to a run of another recipe"):
        train(recipe(seed=1), clips, tmp_path, fabric=fabric)


COOLDOWN = {"schedule": {"kind": "cooldown", "warmup": 5, "period": 10}}


def test_a_run_is_prolonged(clips, fabric, tmp_path):
    """What was cooled down goes on from where that began, as if it had been to last so long."""
    longer = recipe(stage=COOLDOWN | {"steps": 45})
    train(longer, clips, tmp_path / "whole", fabric=fabric)
    train(recipe(stage=COOLDOWN), clips, tmp_path / "parts", fabric=fabric)
    steps = []
    train(longer, clips, tmp_path / "parts", fabric=fabric, report=lambda r: steps.append(r.step))
    assert steps[0] == 30 and steps[-1] == 45  # the first report after step 20
    whole, parts = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_an_interrupted_run_is_prolonged(clips, fabric, tmp_path):
    """Before the cooldown it goes on from the last step."""
    with pytest.raises(KeyboardInterrupt):
        train(recipe(stage=COOLDOWN), clips, tmp_path, fabric=fabric, report=interrupted_at(20))
    steps = []
    longer = recipe(stage=COOLDOWN | {"steps": 40})
    train(longer, clips, tmp_path, fabric=fabric, report=lambda r: steps.append(r.step))
    assert steps[0] == 30


def test_a_cosine_is_not_prolonged(clips, fabric, tmp_path):
    train(recipe(), clips, tmp_path, fabric=fabric)
    with pytest.raises(ValueError, match="cannot get another number of steps"):
        train(recipe(stage={"steps": 40}), clips, tmp_path, fabric=fabric)


def test_killed_and_gone_on(clips, tmp_path):
    """SIGKILL in the middle of a step, and again: bit for bit what one run gives."""
    script = Path(__file__).with_name("one_process.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    text = recipe(checkpoint_every=1).model_dump_json()

    def start(folder, *options):
        return subprocess.Popen(
            [sys.executable, script, text, tmp_path / folder, *options], env=environment
        )

    assert start("whole").wait(PATIENCE) == 0
    for step in ("8", "19"):
        assert start("parts", step).wait(PATIENCE) == -signal.SIGKILL
    assert start("parts").wait(PATIENCE) == 0
    whole, parts = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_starts_from_given_weights(clips, fabric, tmp_path):
    """With a rate of almost nothing the result is what it started from."""
    train(recipe(), clips, tmp_path / "first", fabric=fabric)
    still = recipe(stage={"optimiser": {"rate": 1e-12}, "steps": 2})
    start = tmp_path / "first" / "weights.safetensors"
    model = train(still, clips, tmp_path / "second", fabric=fabric, weights=start)
    for key, value in load_file(start).items():
        torch.testing.assert_close(model.state_dict()[key].half(), value)


def test_accumulation_changes_nothing(clips, fabric, tmp_path):
    """Half a batch twice is the batch, to rounding."""
    results = []
    for parts in (1, 2):
        stage = {"optimiser": STAGE["optimiser"] | {"accumulate": parts}, "steps": 5}
        model = train(recipe(stage=stage), clips, tmp_path / str(parts), fabric=fabric)
        results.append(model.state_dict())
    for key in results[0]:
        torch.testing.assert_close(*(r[key] for r in results), rtol=1e-3, atol=1e-6)


def test_qp_reaches_the_model(clips, fabric, tmp_path):
    """The gains of the table's entries that the clips' QPs touch change, and no others."""
    options = {"width": 8, "blocks": 1, "qp_adaptive": True}
    chosen = recipe(options=options)
    model = train(chosen, clips, tmp_path, fabric=fabric)
    torch.manual_seed(chosen.seed)
    before = build_model(chosen).blocks[0].modulation
    changed = (model.blocks[0].modulation.weight != before.weight).any(0)
    # 30 lies between 27 and 32, 40 between 37 and 42.
    assert changed.tolist() == [qp in (27, 32, 37, 42) for qp in before.qps]


def test_stages(clips, fabric, tmp_path):
    """The second trains its own part behind the first's, which keeps its average weights, and of
    that part leaves one layer as it is."""
    stages = [
        STAGE | {"name": "stage1", "modules": ["stage1"], "steps": 6},
        STAGE
        | {"name": "detail", "modules": ["stage1", "detail"], "steps": 6}
        | {"freeze": ["detail.conv_hr"]},
    ]
    options = {"width": 4, "blocks": 1, "radius": 2}
    chosen = recipe("astf", options, {"window": 2, "batch": 2}, stages=stages)
    torch.manual_seed(chosen.seed)
    start = build_model(chosen).state_dict()
    kept = {}

    def remember(report):
        if report.stage == "detail" and report.step == 6 and isinstance(report, Progress):
            kept.update(torch.load(tmp_path / "last.pt")["model"])

    chosen = chosen.model_copy(update={"checkpoint_every": 5, "report_every": 6})
    end = train(chosen, clips, tmp_path, fabric=fabric, report=remember).state_dict()
    learning = {"stage1.conv_hr": True, "detail.conv_hr": False, "detail": True, "smooth": False}
    for part, learns in learning.items():
        keys = [key for key in end if key.startswith(part)]
        assert any(not torch.equal(start[k], end[k]) for k in keys) == learns, part
    assert all(torch.equal(kept[k], end[k]) for k in end if k.startswith("stage1"))


def test_quality_predictor(clips, fabric, tmp_path):
    """It tells strong compression from light after a few steps."""
    reports = []
    chosen = recipe(
        "quality_predictor",
        {"width": 4},
        {"patch": 64, "batch": 8},
        STAGE | {"steps": 400, "loss": [{"name": "l1"}], "schedule": {}},
    )
    train(chosen, clips, tmp_path, fabric=fabric, validation=clips, report=reports.append)
    errors = [-r.figures["minus_error"] for r in reports if isinstance(r, Validated)]
    assert errors[-1] < 4 and errors[-1] < 0.7 * errors[0]


def test_a_loss_that_is_not_finite_stops_the_run(clips, fabric, tmp_path, monkeypatch):
    monkeypatch.setitem(losses._PIXELS, "l1", lambda x, y: (x - y).sum() / 0)
    chosen = recipe(stage={"loss": [{"name": "mse"}, {"name": "l1"}]})
    with pytest.raises(FloatingPointError, match=r"step 0 of training is not finite: l1 is .*pt"):
        train(chosen, clips, tmp_path, fabric=fabric)
    batch = torch.load(tmp_path / "batch-of-step-0.pt")
    assert batch["compressed"].shape == (4, 1, 1, 32, 32)
    assert not list(tmp_path.glob("*.safetensors"))


def test_unknown_qps_are_refused(fabric, tmp_path):
    clip = texture_pair(qps=(30.0,))
    clip.settings["x264 QP 30"].qp[:] = float("nan")
    options = {"width": 8, "blocks": 1, "qp_adaptive": True}
    with pytest.raises(ValueError, match="the QP of some frames is not known"):
        train(recipe(options=options), [clip], tmp_path, fabric=fabric)


def test_unknown_parts_are_refused(clips, fabric, tmp_path):
    with pytest.raises(ValueError, match=r"stage training: .*has no attribute `detail`"):
        train(recipe(stage={"modules": ["detail"]}), clips, tmp_path, fabric=fabric)


def test_unknown_frozen_parts_are_refused(clips, fabric, tmp_path):
    with pytest.raises(ValueError, match=r"freeze: .*has no attribute `spynet`"):
        train(recipe(stage={"freeze": ["spynet"]}), clips, tmp_path, fabric=fabric)


def test_processes_that_do_not_share_a_folder(fabric):
    """Of two nodes one goes on from a checkpoint that the other does not see."""
    refuse_apart({"stage": 0, "step": 7}, Path("run"), fabric)
    other = torch.tensor([0, 0])
    two = SimpleNamespace(device="cpu", all_gather=lambda here: torch.stack([here, other]))
    refuse_apart(None, Path("run"), two)
    with pytest.raises(ValueError, match=r"\(stage 1 step 0, stage 2 step 7\): .*run is not"):
        refuse_apart({"stage": 1, "step": 7}, Path("run"), two)


def test_two_processes_are_one_with_the_whole_batch(clips, fabric, tmp_path):
    """torchrun with two processes: the losses of one process, to rounding."""
    script = Path(__file__).with_name("two_processes.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    subprocess.run(
        [*launcher, "--master-port=29517", script, recipe().model_dump_json(), tmp_path / "two"],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=PATIENCE,
    )
    curves = [json.loads((tmp_path / "two" / "losses.json").read_text()), []]
    report = lambda r: curves[1].append(r.terms["charbonnier"])  # noqa: E731
    train(recipe(), clips, tmp_path / "one", fabric=fabric, report=report)
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)
    one, two = (load_file(tmp_path / n / "weights.safetensors") for n in ("one", "two"))
    for key in one:
        torch.testing.assert_close(one[key].float(), two[key].float(), rtol=5e-3, atol=2e-4)
