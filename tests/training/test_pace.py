"""Precision and threads are chosen by timing, once a run."""

import pytest
import torch

from vqe_fast.training import pace
from vqe_fast.training.pace import Pace, keep_pace, pace_of
from vqe_fast.training.recipe import Recipe
from vqe_fast.training.train import build_model

CPU = torch.device("cpu")


def recipe(**changes):
    content = {
        "model": "carcnn",
        "options": {"width": 8, "blocks": 1},
        "data": {
            "degradations": [{"codec": "libx264", "mode": "qp", "values": [30]}],
            "patch": 32,
            "batch": 2,
        },
        "stages": [{"steps": 1, "loss": [{"name": "mse"}], "optimiser": {"rate": 0.1}}],
    }
    return Recipe.model_validate(content | changes)


def chosen(times, output, monkeypatch, threads=2, **changes):
    """The choice where steps take so long: (precision, threads) → seconds."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(pace, "_seconds", lambda recipe, model, device, *key: times[key])
    return pace_of(recipe(**changes), output, torch.nn.Identity(), CPU)


@pytest.mark.parametrize(
    ("both", "expected"),
    (((3.0, 2.0), ("bf16", 2)), ((3.2, 3.5), ("bf16", 1)), ((2.0, 6.0), ("fp32", 2))),
)
def test_the_fastest_is_taken_if_more_threads_pay(both, expected, tmp_path, monkeypatch):
    times = {("fp32", 1): 5.0, ("bf16", 1): 4.0, ("fp32", 2): both[0], ("bf16", 2): both[1]}
    found = chosen(times, tmp_path, monkeypatch)
    assert (found.precision, found.threads) == expected
    assert found.seconds["bf16, 1 thread"] == 4.0 and len(found.seconds) == 4


def test_a_run_keeps_to_it(tmp_path, monkeypatch):
    """What goes on is to give the same as what was not interrupted."""
    first = chosen({("fp32", 1): 1, ("bf16", 1): 2}, tmp_path, monkeypatch, threads=1)
    keep_pace(first, tmp_path)
    again = chosen({("fp32", 1): 2, ("bf16", 1): 1}, tmp_path, monkeypatch, threads=1)
    assert again == first and first.precision == "fp32"


def test_what_is_given_is_kept(tmp_path, monkeypatch):
    times = {("bf16", 1): 2.0, ("bf16", 2): 1.0}
    assert chosen(times, tmp_path / "a", monkeypatch, precision="bf16").threads == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(pace, "_seconds", None)
    found = pace_of(recipe(precision="fp32"), tmp_path / "b", torch.nn.Identity(), CPU)
    assert (found.precision, found.threads) == ("fp32", 2)


def test_processes_do_not_choose_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = pace_of(recipe(), tmp_path, torch.nn.Identity(), CPU)
    assert found == Pace("bf16", torch.get_num_threads(), {})


@pytest.mark.parametrize(
    ("model", "options"),
    (
        ("carcnn", {"width": 8, "blocks": 1, "qp_adaptive": True}),
        ("basicvsr", {"scale": 1, "width": 8, "blocks": 1}),
        ("dualres_s", {"width": 8, "deep_width": 8}),
        ("pequenet", {}),
    ),
)
def test_times_any_model(model, options, tmp_path, monkeypatch):
    """Every kind of input; nothing is left behind in the model."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    chosen = recipe(model=model, options=options)
    network = build_model(chosen)
    threads = torch.get_num_threads()
    found = pace_of(chosen, tmp_path, network, CPU)
    assert min(found.seconds.values()) > 0 and torch.get_num_threads() == threads
    assert all(parameter.grad is None for parameter in network.parameters())
