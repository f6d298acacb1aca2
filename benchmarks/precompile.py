"""Compiles what a run on a GPU will launch, in several processes, into the caches that it reads.

Run: ``python benchmarks/precompile.py kernels`` for the Triton kernels of the operators at the
shapes of the suites and of ``gpu_values.py``, which launches none of them; ``python
benchmarks/precompile.py models`` for the models that the suites compile. ``TRITON_CACHE_DIR`` and
``TORCHINDUCTOR_CACHE_DIR`` say where the caches are.
"""

import argparse
import contextlib
import gc
import importlib
import subprocess
import sys
import time
import traceback

import torch

TRITON_SUITES = ("attention", "variants", "modulation", "charbonnier", "block_match")


@contextlib.contextmanager
def without_launches():
    """Within it Triton compiles kernels, where there is a GPU their launchers too, and runs none.

    Results are what lay in memory. A kernel that takes more than a GPU has fails as ever.
    """
    from triton.runtime.jit import JITFunction

    run = JITFunction.run

    def compile_only(kernel, *arguments, grid, warmup, **options):
        compiled = run(kernel, *arguments, grid=grid, warmup=True, **options)
        if torch.cuda.is_available():
            assert compiled.run  # which makes the launcher and loads the kernel
        return compiled

    JITFunction.run = compile_only
    try:
        yield
    finally:
        JITFunction.run = run


def kernel_jobs(device, tiny):
    """(name, what calls an operator once, its argument) of all cases with Triton kernels."""
    from operator_cases import operator_cases

    from vqe_fast.bench.case import run

    def call(case):
        function = case.build()
        run(function.ours, case.sample(function))

    def call_candidate(pair):
        work, candidate = pair
        candidate.make()(work.sample(0))

    jobs = []
    for name in TRITON_SUITES:
        for case in importlib.import_module(f"bench_{name}").plan(device, tiny):
            work = case.work()
            jobs += [
                (f"{name} {case} {candidate.name}", call_candidate, (work, candidate))
                for candidate in work.candidates
                if candidate.role != "alternative"
            ]
    cases = operator_cases(device, tiny)
    return jobs + [(str(case), call, case) for case in cases if case.operator in TRITON_SUITES]


def model_jobs(device, tiny):
    """The same of the models that the suite compiles."""
    import bench_models
    from model_runs import Fast, inputs_of

    from vqe_fast import create_model

    size = bench_models.TINY if tiny else bench_models.SIZES["cuda"][0]
    dtype = torch.bfloat16 if device == "cuda" else torch.float32

    def call(name):
        torch.manual_seed(0)
        model = create_model(name).eval()
        run = Fast(model, dtype, device)
        run.compile()
        for number in range(2):
            run(inputs_of(model, size, device, number))

    return [(name, call, name) for name in bench_models.FIRST]


JOBS = {"kernels": kernel_jobs, "models": model_jobs}


def share(jobs, part, parts):
    """Does every ``parts``-th job; returns how many failed."""
    failed = 0
    for name, call, case in jobs[part::parts]:
        start = time.monotonic()
        try:
            call(case)
        except Exception:
            failed += 1
            traceback.print_exc()
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return failed


def main():
    """Returns the exit status: 1 if something does not compile."""
    parser = argparse.ArgumentParser(description="Fills the caches of compilers.")
    parser.add_argument("what", choices=JOBS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--part", type=int, help="of a process that another one started")
    parser.add_argument("--tiny", action="store_true", help="a few pixels of each")
    asked = parser.parse_args()
    start = time.monotonic()
    if asked.processes > 1 and asked.part is None:
        command = [sys.executable, *sys.argv]
        children = [
            subprocess.Popen([*command, "--part", str(part)], stdin=subprocess.DEVNULL)
            for part in range(asked.processes)
        ]
        failed = sum(child.wait() != 0 for child in children)
        print(f"{asked.processes} processes, {failed} failed, in {time.monotonic() - start:.1f}s")
        return int(failed > 0)
    jobs = JOBS[asked.what](asked.device, asked.tiny)
    context = without_launches() if asked.what == "kernels" else contextlib.nullcontext()
    with context:
        failed = share(jobs, asked.part or 0, asked.processes)
    print(f"{failed} failed in {time.monotonic() - start:.1f}s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
