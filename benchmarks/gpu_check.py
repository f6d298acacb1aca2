"""``make gpu-check``: everything that only a GPU can show, in less than nine minutes.

Run: ``python benchmarks/gpu_check.py [--output FOLDER]`` with the Python that has torch. Needs no
network and no PyAV. Stages have limits, the most important come first, and the results file is
written after each of them: what is ended keeps what it had. Without a GPU, or with ``--dry``, it
checks all that can be checked: the CUDA library builds for sm_80 and sm_90, Triton compiles, the
tests and suites for the GPU are found without PyAV, every suite runs once on tiny shapes.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

# Before the package is installed, what needs neither a build nor other packages is taken from here.
sys.path.append(str(Path(__file__).parents[1]))

from installing import build_for, install
from results_file import RESULTS
from stages import NO_AV, PYTEST, Stages, parallel

SECONDS = 525
OPERATOR_SUITES = ("attention", "charbonnier", "modulation", "fusion", "ssim")
MODEL = ("model",)
MODEL_TESTS = ("tests/models", "tests/nn")
TEST_OPTIONS = (
    "-v",
    "--tb=short",
    "--maxfail=100",
    "--benchmark-disable",
    "--continue-on-collection-errors",
)
THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
"""Of each process that runs tests; several do at the same time."""


def measure(output, seconds, wheel):
    """All stages on a GPU; returns whether one failed."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        stages = Stages(scratch, output, device="cuda", seconds=seconds)
        if not install(stages, scratch / "site", wheel):
            return True
        stages.suites("ceilings", ["ceilings"], 15)
        operators = [*PYTEST, "tests/ops", *TEST_OPTIONS, *parallel(8)]
        stages.run("operator tests on the GPU", [*operators, "-k", "cuda"], 150, THREADS)
        for suite, limit in zip(OPERATOR_SUITES, (70, 10, 15, 15, 25), strict=True):
            stages.suites(suite, [suite], limit)
        stages.suites("models", ["models"], 120)
        models = [*PYTEST, *MODEL_TESTS, *TEST_OPTIONS, *parallel(8)]
        stages.run("model tests on the GPU", [*models, "-k", "cuda"], 60, THREADS)
        stages.run("other model tests", [*models, "-k", "not cuda"], 60, THREADS)
        stages.run("other operator tests", [*operators, "-k", "not cuda"], 120, THREADS)
        _tell(stages)
        return stages.red


def _tell(stages):
    """Prints what was asked of GPUs beside what was measured."""
    from results_file import rows_of
    from targets import verdicts

    rows = rows_of(stages.results)
    for operator, text, limit, measured, verdict in verdicts(rows, "cuda", OPERATOR_SUITES + MODEL):
        print(f"{operator}: {text}: {measured}, asked {limit}: {verdict}")


def rehearse(output, quick):
    """All that can be checked without a GPU; returns whether something failed."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        stages = Stages(scratch, output, device="cpu", tiny=True)
        stages.environment |= {"TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1"}
        if not quick:
            build_for(stages, scratch, "8.0;9.0")
            compile_only = [*PYTEST, "tests/ops", "-q", "-k", "compiles_for_gpus"]
            stages.run("Triton kernels for sm_80 and sm_90", compile_only, 300)
        found = [*NO_AV, "tests/ops", *MODEL_TESTS, "-q", "--collect-only", "--no-header"]
        stages.run("tests are found without PyAV", found, 120)
        stages.suites("suites", ["ceilings", *OPERATOR_SUITES, "models"], 120, without_av=True)
        return stages.red


def main():
    """Returns whether something failed."""
    parser = argparse.ArgumentParser(description="What only a GPU can show; a rehearsal without.")
    parser.add_argument("--output", type=Path, help="folder of the results file and the log")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all stages together")
    parser.add_argument("--wheel", type=Path, help="of vqe_fast, built elsewhere")
    parser.add_argument("--dry", action="store_true", help="a rehearsal, also on a GPU")
    parser.add_argument("--quick", action="store_true", help="a rehearsal that compiles nothing")
    asked = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        parser.error("this Python has no torch; use the one that has it")
    import torch

    if asked.dry or asked.quick or not torch.cuda.is_available():
        print("a rehearsal: no figure of it is one of a GPU", flush=True)
        if asked.output:
            return rehearse(asked.output, asked.quick)
        with tempfile.TemporaryDirectory() as folder:
            return rehearse(Path(folder), asked.quick)
    return measure(asked.output or RESULTS, asked.seconds, asked.wheel)


if __name__ == "__main__":
    sys.exit(int(main()))
