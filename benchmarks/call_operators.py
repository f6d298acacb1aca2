"""Calls operators of this package alone, for a profiler or a memory checker around it.

Run: ``ncu --profile-from-start off python benchmarks/call_operators.py ssim`` profiles the kernels
of one call, forward and backward, after a first one; ``compute-sanitizer python
benchmarks/call_operators.py --all --tiny`` calls every operator in every dtype and layout.
"""

import argparse
import sys

import torch
from operator_cases import BF16, FP32, LAST, PLANAR, operator_cases

from vqe_fast.bench.case import run

# Operator → dtype and layout of the call that is profiled, the first such one.
PROFILED = {
    "attention": (BF16, LAST),
    "ssim": (FP32, PLANAR),
    "fusion": (FP32, PLANAR),
    "modulation": (BF16, LAST),
    "charbonnier": (FP32, PLANAR),
    "block_match": (FP32, PLANAR),
}


def call(case):
    """One call and its gradients."""
    function = case.build()
    sample = case.sample(function)
    return lambda: run(function.ours, sample)


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description="Calls of operators, for a profiler.")
    parser.add_argument("operators", nargs="*", metavar="OPERATOR", help=", ".join(PROFILED))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--all", action="store_true", help="every case of every operator")
    parser.add_argument("--tiny", action="store_true", help="a few pixels of each")
    asked = parser.parse_args()
    if unknown := set(asked.operators) - PROFILED.keys():
        parser.error(f"there is no {', '.join(unknown)}; choose of {', '.join(PROFILED)}")
    cases = operator_cases(asked.device, asked.tiny)
    if not asked.all:
        chosen = []
        for operator in asked.operators:
            wanted = (operator, *PROFILED[operator])
            chosen.append(next(c for c in cases if (c.operator, c.dtype, c.layout) == wanted))
        cases = chosen
    on_gpu = asked.device == "cuda"
    for case in cases:
        step = call(case)
        step()
        if on_gpu:
            torch.cuda.synchronize()
        if not asked.all:
            if on_gpu:
                torch.cuda.profiler.start()
            step()
            if on_gpu:
                torch.cuda.synchronize()
                torch.cuda.profiler.stop()
        print(f"called {case}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
