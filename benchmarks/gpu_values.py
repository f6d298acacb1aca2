"""Values and gradients of every operator against float64, beside plain PyTorch in the same dtype.

Run: ``python benchmarks/gpu_values.py [--device cuda] [--journal FILE]``. A figure is right if its
error is at most twice that of plain PyTorch, three times for gradients: the rule of the tests, here
at the size of real frames. Takes seconds; of long attention maps only the first and last rows are
compared.
"""

import argparse
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from operator_cases import operator_cases

from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, allowed_error, relative_rms
from vqe_fast.bench.case import in_float64, run

RIGHT, WRONG, FAILED = "right", "wrong", "failed"
FLOAT64_UNITS = 4096
"""Allowed in float64, where plain PyTorch is the measure and has an error of its own."""


@dataclass(frozen=True)
class Figure:
    """The error of one result or gradient.

    Attributes:
        case: the call.
        of: ``result``, or which gradient.
        error: relative, in the root mean square; None if the call failed.
        plain: that of plain PyTorch.
        allowed: for ``error``.
        verdict: ``right``, ``wrong``, or ``failed`` and what was said.
    """

    case: str
    of: str
    error: float | None
    plain: float | None
    allowed: float | None
    verdict: str


def figures(case):
    """All figures of a case; what it raises is a figure too."""
    try:
        return _compared(case)
    except Exception as error:
        said = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        return [Figure(str(case), "all", None, None, None, f"{FAILED}: {said}")]


def _compared(case):
    function = case.build()
    sample = case.sample(function)
    part = function.part(sample)
    actual = [tensor.detach() for tensor in function.view(run(function.ours, sample))]
    plain = [tensor.detach() for tensor in run(function.plain, part)]
    exact = [tensor.detach() for tensor in run(function.plain, in_float64(part))]
    found = []
    for index, (a, p, e) in enumerate(zip(actual, plain, exact, strict=True)):
        factor = GRADIENT_FACTOR if index else VALUE_FACTOR
        allowed = allowed_error(p, e, factor, FLOAT64_UNITS)
        error = relative_rms(a, e)
        verdict = RIGHT if a.shape == e.shape and error <= allowed else WRONG
        of = f"gradient {index}" if index else "result"
        found.append(Figure(str(case), of, error, relative_rms(p, e), allowed, verdict))
    return found


def told(figure):
    """A figure in a line."""
    if figure.error is None:
        return f"{figure.case}: {figure.verdict}"
    times = figure.error / figure.plain if figure.plain else 0
    return (
        f"{figure.case}, {figure.of}: {figure.error:.2e}, plain {figure.plain:.2e}, {times:.2f} "
        f"times, at most {figure.allowed:.2e}: {figure.verdict}"
    )


def main():
    """Returns the exit status: 1 if a figure is not right."""
    parser = argparse.ArgumentParser(description="Operators against float64.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--journal", type=Path, help="file to append every figure to")
    parser.add_argument("--seconds", type=float, help="after which no case is begun")
    parser.add_argument("--tiny", action="store_true", help="a few pixels of each")
    asked = parser.parse_args()
    # Plain PyTorch is the measure: its convolutions and products of float32 are to be of float32.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    start = time.monotonic()
    counts = {RIGHT: 0, WRONG: 0, FAILED: 0}
    cases = operator_cases(asked.device, asked.tiny)
    for number, case in enumerate(cases):
        if asked.seconds is not None and time.monotonic() - start > asked.seconds:
            print(f"{len(cases) - number} cases of {len(cases)} are left out: the time is over")
            break
        for figure in figures(case):
            counts[figure.verdict.partition(":")[0]] += 1
            print(told(figure), flush=True)
            if asked.journal:
                with asked.journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(figure)) + "\n")
        gc.collect()
        if asked.device == "cuda":
            torch.cuda.empty_cache()
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    print(f"{words} in {time.monotonic() - start:.1f}s")
    return int(counts[WRONG] + counts[FAILED] > 0)


if __name__ == "__main__":
    sys.exit(main())
