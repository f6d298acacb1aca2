"""``make gpu-check``: everything that only a GPU can show, in two calls of few minutes.

Run: ``python benchmarks/gpu_check.py [--output FOLDER]`` with the Python that has torch; then, with
the folder that it filled, ``--again FOLDER``. The first call takes 8 minutes at most and goes from
what matters most to what matters least; the second one, 2.5 minutes, runs tests that failed again,
a memory checker and a profiler, and times the fastest plan of attention once more. Needs no network
and no PyAV. Every stage has its limit, leaves what it has in the output folder at once, and does
not stop the next one when it fails. Without a GPU, or with ``--dry``, it checks all that can be
checked: the package is built for sm_80 and sm_90 and installed, Triton compiles, the tests for the
GPU are found without PyAV, every script and suite runs once on tiny shapes.
"""

import argparse
import contextlib
import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path

# Before the package is installed, what needs neither a build nor other packages is taken from here.
sys.path.append(str(Path(__file__).parents[1]))

from again import files_of, names
from installing import PACKAGE, build_package, install, pack, start_host_module
from stages import LEFT_OUT, NO_AV, NO_TIME, OVER, PYTEST, RED, ROOT, Stages, parallel

SECONDS, SECONDS_AGAIN = 480, 150
"""For all stages of the first call, and of the second."""
OUTPUT = ROOT / ".gpu" / "results"
FILES = ("rows.jsonl", "values.jsonl", "failed.txt", "profile.txt", "summary.txt")
"""In the output folder beside ``log.txt`` and ``<machine>.json``."""
OPERATOR_SUITES = ("attention", "ssim", "fusion", "modulation", "charbonnier", "block_match")
MEASURED = (*OPERATOR_SUITES, "model", "video")
ALTERNATIVES = ("sdpa padded", "sdpa efficient", "sdpa cudnn split", "fused_ssim")
"""Those that a target of a GPU names."""
VALUES = "values or gradients or layouts or expanded or extreme"
"""Tests that tell whether results are right."""
MODEL_TESTS = ("tests/models", "tests/nn")
TEST_OPTIONS = (
    "-v",
    "--tb=short",
    "--maxfail=300",
    "--benchmark-disable",
    "--continue-on-collection-errors",
)
LIMITS = {
    "driver": 5,
    "package": 15,
    "ceilings": 15,
    "values": 35,
    "own kernels": 35,
    "alternatives": 40,
    "variants of attention": 35,
    "models": 60,
    "video": 30,
    "tests of values and gradients": 120,
    "other operator tests": 50,
    "model tests": 40,
}
"""Seconds of each stage of the first call; what runs meanwhile is not among them."""
LIMITS_AGAIN = {"package": 15, "failed tests": 60, "profile": 50, "spread": 20}
MEANWHILE = 60
"""Seconds that compilers, and the memory checker, may take beside other stages."""
WORKERS = 14
THREADS = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""Of each of many processes that run at the same time."""
_GRACE = 10


@contextlib.contextmanager
def _begun(output, seconds=None, *, device="cuda", tiny=False):
    """Stages whose output folder has nothing of an earlier run."""
    output.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (output / name).unlink(missing_ok=True)
    options = {"device": device, "seconds": seconds, "tiny": tiny}
    with tempfile.TemporaryDirectory() as scratch:
        yield Stages(Path(scratch), output, **options, journal=output / "rows.jsonl")


class Check:
    """The stages of both calls.

    Args:
        stages: to run.
        workers: processes that test or compile at the same time.
    """

    def __init__(self, stages, workers=WORKERS):
        self._stages = stages
        self._workers = workers
        self._device = stages.device
        # Both calls of a run, and all of their processes, share what is compiled.
        stages.environment |= {
            "PYTHONUNBUFFERED": "1",
            "TRITON_CACHE_DIR": str(stages.scratch / "triton"),
            "TORCHINDUCTOR_CACHE_DIR": str(stages.scratch / "inductor"),
        }

    def driver(self):
        """What the machine is."""
        command = ["nvidia-smi"] if self._device == "cuda" else [sys.executable, "-VV"]
        self._stages.run("driver", command, LIMITS["driver"])

    def compile_kernels(self):
        """Begins to compile what later stages launch."""
        command = self._script("precompile.py", "kernels", "--processes", str(self._workers))
        return self._stages.start("kernels", command, MEANWHILE, THREADS)

    def compile_models(self):
        """The same of compiled models."""
        command = self._script("precompile.py", "models", "--processes", str(min(self._workers, 4)))
        threads = THREADS | {"TORCHINDUCTOR_COMPILE_THREADS": "4"}
        return self._stages.start("compiled models", command, MEANWHILE, threads)

    def values(self):
        """Every operator against float64."""
        limit = LIMITS["values"]
        options = ["--journal", self._stages.output / "values.jsonl", "--seconds", limit - _GRACE]
        self._stages.run("values", self._script("gpu_values.py", *options), limit)

    def suites(self, name, suites, limit, *options):
        """Some suites, whose last case ends within the limit of the stage."""
        self._stages.suites(name, suites, limit - _GRACE, options=options, grace=_GRACE)

    def variants(self, *only):
        """The plans of attention against each other."""
        limit = LIMITS_AGAIN["spread"] if only else LIMITS["variants of attention"]
        options = [part for name in only for part in ("--bench-only", name)]
        name = "spread" if only else "variants of attention"
        self.suites(name, ["variants"], limit, *options)

    def video(self):
        """From file to file, where PyAV is there."""
        if importlib.util.find_spec("av") is None:
            said = "PyAV is not installed; carry its wheel"
            self._stages.record("video", 0, LEFT_OUT, said)
            return
        self.suites("video", ["video"], LIMITS["video"])

    def tests(self, name, folders, chosen, limit, *options):
        """Tests in several processes; names of those that fail are kept."""
        command = [*PYTEST, "-p", "again", *folders, *TEST_OPTIONS, *parallel(self._workers)]
        command += ["--failed-to", str(self._stages.output / "failed.txt"), *options]
        if chosen:
            command += ["-k", f"({chosen}) and not compiles_for_gpus"]
        places = [str(ROOT / "benchmarks"), self._stages.environment.get("PYTHONPATH")]
        environment = THREADS | {"PYTHONPATH": ":".join(filter(None, places))}
        self._stages.run(name, command, limit, environment)

    def call_all(self):
        """What the memory checker is given, without it."""
        self._stages.run("calls", self._script("call_operators.py", "--all"), 60)

    def check_memory(self):
        """Begins to look for reads and writes out of bounds, in every operator on a few pixels."""
        tool = shutil.which("compute-sanitizer")
        if tool is None:
            said = "compute-sanitizer is not installed"
            self._stages.record("memory checker", 0, LEFT_OUT, said)
            return None
        command = [tool, "--tool", "memcheck", "--error-exitcode", "9"]
        command += self._script("call_operators.py", "--all", "--tiny")
        # Otherwise what lies beyond a tensor belongs to the pool, and is no error.
        environment = THREADS | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        return self._stages.start("memory checker", command, MEANWHILE, environment)

    def profile(self, operators, seconds):
        """What limits each kernel: one launch of each, an operator after the other."""
        tool = shutil.which("ncu")
        if tool is None:
            self._stages.record("profile", 0, LEFT_OUT, "ncu is not installed")
            return
        end = time.monotonic() + seconds
        sections = ("SpeedOfLight", "LaunchStats", "Occupancy", "WarpStateStats")
        sections += ("ComputeWorkloadAnalysis", "MemoryWorkloadAnalysis")
        for operator in operators:
            command = [tool, "--clock-control", "none", "--profile-from-start", "off"]
            command += [part for section in sections for part in ("--section", section)]
            command += self._script("call_operators.py", operator)
            said = self._stages.run(f"profile of {operator}", command, end - time.monotonic())
            if said:
                with (self._stages.output / "profile.txt").open("a", encoding="utf-8") as file:
                    file.write(said)

    def _script(self, name, *arguments):
        command = [sys.executable, str(ROOT / "benchmarks" / name), *map(str, arguments)]
        return [*command, "--device", self._device, *["--tiny"] * self._stages.tiny]


def first_call(output, seconds, wheel):
    """All stages on a GPU; returns whether one failed."""
    with _begun(output, seconds) as stages:
        check = Check(stages)
        check.driver()
        site = stages.scratch / "site"
        if not install(stages, site, wheel=wheel):
            _tell(stages)
            return True
        meanwhile = [check.compile_kernels(), start_host_module(stages, site)]
        check.suites("ceilings", ["ceilings"], LIMITS["ceilings"])
        meanwhile.append(check.compile_models())
        check.values()
        # Nothing runs beside what is timed.
        for running in meanwhile:
            stages.finish(running)
        check.suites("own kernels", OPERATOR_SUITES, LIMITS["own kernels"], "--bench-own")
        names = [f"--bench-only={name}" for name in ("vqe_fast", *ALTERNATIVES)]
        check.suites("alternatives", ["attention", "ssim"], LIMITS["alternatives"], *names)
        check.variants()
        check.suites("models", ["models"], LIMITS["models"], "--bench-own")
        check.video()
        for name, folders, chosen in (
            ("tests of values and gradients", ["tests/ops"], f"cuda and ({VALUES})"),
            ("other operator tests", ["tests/ops"], f"cuda and not ({VALUES})"),
            ("model tests", MODEL_TESTS, "cuda"),
        ):
            check.tests(name, folders, chosen, LIMITS[name])
        _tell(stages)
        return stages.red


def second_call(output, seconds, earlier):
    """What the first call left, whose output ``earlier`` is; returns whether a stage failed."""
    with _begun(output, seconds) as stages:
        check = Check(stages)
        site = stages.scratch / "site"
        if not install(stages, site):
            return True
        stages.finish(start_host_module(stages, site))
        memory = check.check_memory()
        failed = earlier / "failed.txt"
        if failed.exists() and names(failed):
            limit = LIMITS_AGAIN["failed tests"]
            check.tests("failed tests", files_of(failed), None, limit, "--again", str(failed))
        stages.finish(memory)
        check.profile(OPERATOR_SUITES, LIMITS_AGAIN["profile"])
        if best := _best_variant(earlier / "rows.jsonl"):
            check.variants(best)
        _tell(stages)
        return stages.red


def rehearse(output, quick):
    """All that can be checked without a GPU; returns whether something failed."""
    with _begun(output, device="cpu", tiny=True) as stages:
        stages.environment |= {"TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1"}
        check = Check(stages, workers=1)
        check.driver()
        site, package = stages.scratch / "site", stages.scratch / "package"
        installed = Path(importlib.util.find_spec("vqe_fast").origin).parent
        if quick and installed.parent == ROOT:
            package = PACKAGE
        elif quick:
            pack(installed, package)
        else:
            build_package(stages, "8.0;9.0", package)
        if not install(stages, site, package=package, library="cpu"):
            return True
        host = start_host_module(stages, site)
        check.values()
        stages.finish(host)
        if not quick:
            compile_only = [*PYTEST, "tests/ops", "-q", "-k", "compiles_for_gpus"]
            stages.run("Triton kernels for sm_80 and sm_90", compile_only, 300)
        found = [*NO_AV, "tests/ops", *MODEL_TESTS, "-q", "--collect-only", "--no-header"]
        stages.run("tests are found without PyAV", found, 120)
        suites = ["ceilings", *OPERATOR_SUITES, "models"]
        stages.suites("suites", suites, 120, without_av=True)
        check.variants()
        stages.finish(check.compile_kernels())
        check.call_all()
        _tell(stages)
        return stages.red


def _best_variant(rows):
    """The fastest plan of the forward kernel in a journal; nothing if there is none."""
    from results_file import read_journal

    measured = [
        row
        for row in read_journal(rows)
        if row.case.endswith(", variants") and row.direction == "forward" and row.median
    ]
    if not measured:
        return None
    largest = max(measured, key=lambda row: row.work_flops)
    same = [row for row in measured if row.group == largest.group]
    return min(same, key=lambda row: row.median).implementation


def _tell(stages):
    """Prints and keeps what was asked beside what was measured, and what is left to do."""
    from results_file import rows_of
    from targets import verdicts

    results = stages.results
    lines, left = [], []
    of_gpus = MEASURED if stages.device == "cuda" else ()
    for operator, text, limit, measured, verdict in verdicts(rows_of(results), "cuda", of_gpus):
        lines.append(f"{operator}: {text}: {measured}, asked {limit}: {verdict}")
        if verdict != "met":
            left.append(f"{verdict}: {operator}, {text}")
    for stage in results["stages"]:
        if stage["outcome"] in (RED, OVER, NO_TIME, LEFT_OUT):
            said = f" ({stage['said']})" if stage["said"] else ""
            left.append(f"{stage['outcome']}: {stage['name']}{said}")
    failed = stages.output / "failed.txt"
    if failed.exists():
        left.append(f"failed: {len(names(failed))} tests, named in {failed.name}")
    text = "\n".join([*lines, "", "Left to do:", *(left or ["nothing"])])
    print(text)
    (stages.output / "summary.txt").write_text(text + "\n", "utf-8")


def main():
    """Returns whether something failed."""
    parser = argparse.ArgumentParser(description="What only a GPU can show; a rehearsal without.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for all results")
    parser.add_argument("--again", type=Path, help="output of the first call: this is the second")
    parser.add_argument("--seconds", type=float, help="for all stages together")
    parser.add_argument("--wheel", type=Path, help="of vqe_fast, built elsewhere")
    parser.add_argument("--dry", action="store_true", help="a rehearsal, also on a GPU")
    parser.add_argument("--quick", action="store_true", help="a rehearsal that builds no library")
    asked = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        parser.error("this Python has no torch; use the one that has it")
    if asked.again and not (asked.again / "log.txt").exists():
        parser.error(f"{asked.again} is no output of a first call")
    import torch

    if asked.dry or asked.quick or not torch.cuda.is_available():
        print("a rehearsal: no figure of it is one of a GPU", flush=True)
        return rehearse(asked.output, asked.quick)
    if asked.again:
        return second_call(asked.output, asked.seconds or SECONDS_AGAIN, asked.again)
    return first_call(asked.output, asked.seconds or SECONDS, asked.wheel)


if __name__ == "__main__":
    sys.exit(int(main()))
