"""Measures by name."""

import inspect

import pytest
import torch

from vqe_fast.cli.evaluate import evaluate
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.metrics.measures import NAMES, find_measures


def test_unknown_names():
    with pytest.raises(ValueError, match="no measure mvaf: choose among vmaf, vmaf_neg, xpsnr, "):
        find_measures(["mvaf"], torch.device("cpu"))


def test_none_are_asked_for():
    assert find_measures([], torch.device("cpu")) == []


def test_every_name_is_told_and_shown():
    """By the option's help, and with a title in tables."""
    told = inspect.signature(evaluate, eval_str=True).parameters["metrics"].annotation
    (option,) = told.__metadata__
    listed = option.help.partition(": ")[2].partition(";")[0].split(", ")
    assert sorted(listed) == sorted(NAMES) and set(NAMES) <= FIGURES.keys()
