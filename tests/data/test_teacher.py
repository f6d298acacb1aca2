"""Corrections of a teacher: what they are, that they are kept, and what is learnt from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.pairs import QP_44, luma_frames, prepare_clip
from vqe_fast import create_model
from vqe_fast.data.teacher import STEPS, Teacher, teach
from vqe_fast.data.windows import WindowSampler
from vqe_fast.training.fabric import make_fabric
from vqe_fast.training.recipe import Recipe, StageRecipe
from vqe_fast.training.restoration import Restoration
from vqe_fast.training.train import Validated, train

CPU = torch.device("cpu")
NAME = QP_44.name


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    ramp = np.linspace(20, 200, 96 * 96).reshape(96, 96)
    noise = np.random.default_rng(0).normal(0, 12, (3, 96, 96))
    lumas = (ramp + noise).clip(0, 255).astype(np.uint8)
    return prepare_clip(luma_frames(lumas), [QP_44], tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="module")
def teacher():
    return Teacher("carcnn_small", CPU)


def test_corrections_are_what_the_network_adds(clip, teacher):
    found = teacher.corrections(clip, NAME)
    model = create_model("carcnn_small", pretrained=True).eval()
    luma = torch.tensor(clip.compressed("y", NAME))[:, None].float() / 255
    with torch.no_grad():
        expected = 255 * (model(luma, torch.tensor(clip.qp(NAME))) - luma)[:, 0]
    assert found.shape == (3, 96, 96) and found.dtype == np.int8
    # A part of a step for rounding, and the network in bfloat16.
    torch.testing.assert_close(torch.tensor(found) / STEPS, expected, rtol=0.05, atol=0.3)
    assert np.abs(found).max() > STEPS / 2


def test_they_are_computed_once(clip, teacher, monkeypatch):
    told = []
    teach(teacher, [clip], lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]
    monkeypatch.setattr(Teacher, "_correction", None)
    assert np.array_equal(
        Teacher("carcnn_small", CPU).corrections(clip, NAME),
        teacher.corrections(clip, NAME),
    )


def test_windows_show_the_same_place(clip, teacher):
    """Corrections are cut, mirrored and turned as the frames that they belong to."""
    luma = clip.compressed("y", NAME).astype(int)
    taught = teacher.corrections(clip, NAME).astype(int)
    pairs = set(zip(luma.ravel().tolist(), taught.ravel().tolist(), strict=True))
    batch = WindowSampler([clip], planes="yuv", patch=32, batch=16, align=8, teacher=teacher).draw(
        0, 0
    )
    assert batch.taught.shape == (16, 1, 1, 32, 32)
    drawn = zip(
        batch.compressed[:, 0, 0].flatten().tolist(), batch.taught.flatten().tolist(), strict=True
    )
    assert set(drawn) <= pairs
    assert WindowSampler([clip], planes="y", patch=32, batch=2).draw(0, 0).taught.shape[2] == 0


def test_a_student_learns_from_it(clip, tmp_path):
    """What the teacher does to luma, from nothing and from chroma that is right already."""
    recipe = Recipe.model_validate(
        {
            "model": "dualres_s",
            "options": {"width": 16, "deep_width": 16, "deep": 1, "after": 1},
            "data": {
                "degradations": [{"codec": "libx264", "mode": "qp", "values": [44]}],
                "patch": 64,
                "batch": 4,
                "align": 8,
                "unknown": 0.1,
            },
            "stages": [
                {
                    "teacher": "carcnn_small",
                    "steps": 120,
                    "loss": [{"name": "relative_mse", "options": {"floor": 1e-5}}],
                    "optimiser": {
                        "name": "muon",
                        "rate": 0.01,
                        "adam_rate": 0.005,
                        "beside": ["output"],
                    },
                    "schedule": {"kind": "cooldown", "warmup": 10, "period": 60},
                    "ema": None,
                }
            ],
            "validation": {"every": 120, "batches": 1},
            "precision": "fp32",
        }
    )
    reports = []
    train(
        recipe,
        [clip],
        tmp_path,
        fabric=make_fabric("cpu"),
        validation=[clip],
        report=reports.append,
    )
    gains = [r.figures["psnr_gain"] for r in reports if isinstance(r, Validated)]
    assert gains[0] == 0 and gains[-1] > 0.02


def test_what_is_learnt(clip, teacher):
    """The teacher's luma, the pristine chroma."""
    stage = StageRecipe(
        steps=1, loss=[{"name": "mse"}], optimiser={"rate": 1.0}, teacher="carcnn_small"
    )
    model = create_model("dualres_s", width=8, deep_width=8)
    options = {"planes": "yuv", "patch": 32, "batch": 4, "align": 8}
    batch = WindowSampler([clip], teacher=teacher, **options).draw(0, 0)
    restored = Restoration(model, stage, CPU)(model, batch)
    taught = restored.compressed[:, :1] + batch.taught[:, 0] / (255 * STEPS)
    torch.testing.assert_close(restored.wanted[:, :1], taught)
    assert torch.equal(restored.wanted[:, 1:], restored.pristine[:, 1:])
    expected = (restored.output - restored.wanted).square().mean()
    assert Restoration(model, stage, CPU).terms(restored)["mse"].item() == pytest.approx(
        expected.item()
    )


@pytest.mark.parametrize("name", ("galteri_very_fast", "dualres_s"))
def test_others_cannot_teach(name, monkeypatch):
    monkeypatch.setattr(
        "vqe_fast.data.teacher.create_model", lambda name, pretrained: create_model(name)
    )
    with pytest.raises(ValueError, match=f"{name} cannot be a teacher"):
        Teacher(name, CPU)


def test_unknown_qps_are_refused(clip, teacher):
    version = replace(clip.settings[NAME], qp=np.full(3, np.nan, np.float32))
    version = replace(
        version, footage=replace(version.footage, store=version.footage.store.with_name("x"))
    )
    unknown = replace(clip, settings={NAME: version})
    with pytest.raises(ValueError, match="are not known, which the teacher is told"):
        teacher.corrections(unknown, NAME)
