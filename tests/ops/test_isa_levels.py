"""The code paths for older processors, chosen through VQE_FAST_ISA in a new process for each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.contract import ISA_LEVELS
from vqe_fast import _host as host

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("isa", ISA_LEVELS[:-1])
def test_lower_isa_levels(isa):
    """Values, gradients and threads of every operator that has code for the level."""
    best = host.best_isa()
    if ISA_LEVELS.index(isa) >= ISA_LEVELS.index(best):
        pytest.skip(f"{isa} is not below the level of this processor, {best}")
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "support.isa_level", str(TESTS / "ops")]
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"VQE_FAST_ISA": isa, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 50, run.stdout[-3000:]
