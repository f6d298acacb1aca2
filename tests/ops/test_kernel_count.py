"""How long the first run on a GPU takes to compile what it runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vqe_fast.ops._backend import TRITON_OPERATORS

TESTS = Path(__file__).parents[1]
MOST = 300  # of a third of a second each
MOST_OF = {"charbonnier": 40, "modulation": 110}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: its tests compile them")
def test_kernels_of_the_tests_for_a_gpu(record_property):
    """Numbers that need no kernel of their own must not get one: every eps, scale, table of QPs and
    size once made a kernel, 1,735 in all."""
    files = [f"ops/test_{operator}.py" for operator in sorted(TRITON_OPERATORS)]
    command = [sys.executable, "-P", "-m", "pytest", *files, "-q", "-p", "no:cacheprovider"]
    paths = [
        str(TESTS),
        str(TESTS.parent / "benchmarks"),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    command += ["-p", "support.counted_kernels"]
    run = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    found = re.findall(r"^(\w+)\.(\w+): (\d+) kernels$", run.stdout, re.M)
    counts = dict.fromkeys(TRITON_OPERATORS, 0)
    for module, kernel, count in found:
        record_property(f"{module} {kernel}", int(count))
        counts[next(name for name in counts if module.startswith(name))] += int(count)
    assert all(counts.values()), run.stdout[-3000:]
    for operator, most in MOST_OF.items():
        assert counts[operator] <= most, found
    assert sum(counts.values()) <= MOST, counts
