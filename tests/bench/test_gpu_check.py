"""``make gpu-check`` where there is no GPU, and what it does when things go wrong."""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import again
import facts
import gpu_check
import installing
import pytest
import results_file
import stages
import torch
from stages import DONE, NO_TIME, OVER, RED, Stages

CHECKOUT = Path(gpu_check.__file__).parents[1]
REHEARSED = (
    "driver",
    "package",
    "values",
    "host module",
    "tests are found without PyAV",
    "suites",
    "kernels",
    "calls",
    "variants of attention",
)


@pytest.fixture(autouse=True)
def _known_facts(monkeypatch):
    made = {"slug": "here", "name": "Here", "device": "cpu", "threads": 1, "system": "x"}
    known = {"machine": made, "versions": {}, "commit": "abc"}
    monkeypatch.setattr(stages, "facts", lambda device: known)


def run_of(tmp_path, **options):
    return Stages(tmp_path / "scratch", tmp_path / "out", device="cpu", **options)


def python(code):
    return [sys.executable, "-c", code]


def test_rehearsal(tmp_path):
    """Every suite of the GPU runs once on tiny shapes; its tests are found without PyAV."""
    script = CHECKOUT / "benchmarks" / "gpu_check.py"
    command = [sys.executable, str(script), "--quick", "--output", str(tmp_path)]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    log = (tmp_path / "log.txt").read_text("utf-8", "replace")
    assert run.returncode == 0, run.stdout + run.stderr + log[-3000:]
    (path,) = tmp_path.glob("*.json")
    assert path.stem == facts.slug(facts.cpu_name())
    results = results_file.read(path)
    outcomes = {stage["name"]: stage["outcome"] for stage in results["stages"]}
    assert outcomes == dict.fromkeys(REHEARSED, DONE)
    assert {file.name for file in tmp_path.iterdir()} <= {"log.txt", path.name, *gpu_check.FILES}
    figures = [json.loads(line) for line in (tmp_path / "values.jsonl").read_text().splitlines()]
    assert {figure["verdict"] for figure in figures} == {"right"} and len(figures) > 100
    rows = results_file.rows_of(results)
    suites = {"ceiling", "attention", "block_match", "charbonnier", "fusion", "modulation", "ssim"}
    assert {row.operator for row in rows} == suites | {"model"}
    # Large models are left out where even a tiny frame is expected to take long.
    assert {row.status for row in rows if row.role == "own"} - {"measured", "is for GPUs"} <= {
        row.status for row in rows if row.operator == "model" and row.status.startswith("left out")
    }
    measured = {row.case for row in rows if row.operator == "model" and row.status == "measured"}
    assert {"carcnn_small", "galteri_very_fast", "multiscale", "pequenet"} <= measured


def test_stages_keep_their_results_when_one_is_ended(tmp_path):
    run = run_of(tmp_path)
    assert run.run("first", python("print('3 passed in 0.1s')"), 20) is not None
    slow = "import time; print('a PASSED\\nb FAILED', flush=True); time.sleep(60)"
    start = time.monotonic()
    assert run.run("slow", python(slow), 1.5) is None
    assert time.monotonic() - start < 20
    assert run.run("red", python("raise SystemExit(3)"), 20) is None
    results = results_file.read(tmp_path / "out" / "here.json")
    assert [stage["outcome"] for stage in results["stages"]] == [DONE, OVER, RED]
    assert [stage["said"] for stage in results["stages"]] == [
        "3 passed in 0.1s",
        "1 passed, 1 failed",
        "",
    ]
    assert run.red


def test_stages_run_side_by_side(tmp_path):
    """The log has the output of each in one piece, and the seconds are those of its process."""
    run = run_of(tmp_path)
    (tmp_path / "scratch").mkdir()
    start = time.monotonic()
    other = run.start("other", python("import time; print('a'); time.sleep(1.5); print('b')"), 20)
    assert run.run("one", python("import time; time.sleep(3)"), 20) is not None
    assert run.finish(other).split() == ["a", "b"]
    seconds = {stage["name"]: stage["seconds"] for stage in run.results["stages"]}
    assert 1.4 < seconds["other"] < time.monotonic() - start - 0.8
    assert "\na\nb\n" in (tmp_path / "out" / "log.txt").read_text()
    slow = run.start("slow", python("import time; time.sleep(60)"), 1.5)
    assert run.finish(slow) is None
    assert run.results["stages"][-1]["outcome"] == OVER


def test_a_program_that_is_not_there_stops_nothing(tmp_path):
    run = run_of(tmp_path)
    assert run.run("one", ["no-such-program"], 20) is None
    assert run.run("two", python("pass"), 20) is not None
    (first, second) = run.results["stages"]
    assert first["outcome"] == RED and "no-such-program" in first["said"]
    assert second["outcome"] == DONE


def test_a_long_text_loses_its_middle(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("".join(f"{number}\n" for number in range(5000)))
    stages.shorten(path, 1000)
    text = path.read_text()
    assert text.startswith("0\n1\n2\n") and text.endswith("4998\n4999\n")
    assert "are left out here" in text and path.stat().st_size <= 1000
    stages.shorten(path, 1000)
    assert path.read_text() == text


def test_what_a_stage_starts_ends_with_it(tmp_path):
    """Tests and builds start processes of their own."""
    marker = tmp_path / "marker"
    child = f"import time; time.sleep(3); open({str(marker)!r}, 'w')"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); "
    run_of(tmp_path).run("slow", python(code + "time.sleep(60)"), 1.5)
    time.sleep(3)
    assert not marker.exists()


def test_no_stage_begins_after_the_time(tmp_path):
    run = run_of(tmp_path, seconds=0.5)
    run.run("one", python("pass"), 20)
    assert run.results["stages"][0]["outcome"] == NO_TIME
    assert not run.red


def test_an_installed_package_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(installing, "_loads", lambda environment, library: "loaded")
    run = run_of(tmp_path)
    assert installing.install(run, tmp_path / "site")
    assert run.results["stages"][0]["said"] == "it is installed"
    assert installing.start_host_module(run, tmp_path / "site") is None


def test_libraries_of_other_sources_are_not_taken(tmp_path, monkeypatch, capsys):
    """Nor is a wheel of another Python; then it is built, or a sentence says what is missing."""
    monkeypatch.setattr(installing, "_loads", lambda environment, library: "it was not built")
    monkeypatch.setattr(installing, "_has", lambda module: module != "pybind11")
    package, run = tmp_path / "package", run_of(tmp_path)
    installing.pack(tmp_path, package)
    (package / "sources.sha256").write_text("of others")
    wheel = tmp_path / "vqe_fast-0.1.0-cp39-cp39-linux_x86_64.whl"
    wheel.write_bytes(b"")
    assert not installing.install(run, tmp_path / "site", package=package, wheel=wheel)
    assert "csrc/ or setup.py has changed since" in capsys.readouterr().out
    (stage,) = run.results["stages"]
    assert stage["outcome"] == RED
    assert stage["said"].startswith("a build needs pybind11; install")


def test_a_build_whose_library_does_not_load_is_red(tmp_path, monkeypatch):
    monkeypatch.setattr(installing, "_loads", lambda environment, library: "no such symbol")
    monkeypatch.setattr(installing, "_cannot_build", lambda: None)
    monkeypatch.setattr(installing, "PIP", python("pass"))
    monkeypatch.setattr(installing, "ROOT", tmp_path)
    run = run_of(tmp_path)
    assert not installing.install(run, tmp_path / "site", package=tmp_path)
    assert [stage["outcome"] for stage in run.results["stages"]] == [DONE, RED]
    assert run.results["stages"][1]["said"] == "no such symbol"


class Listed(Stages):
    """Writes down what it is to run, and its limit, and runs nothing."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.listed = []

    def _begin(self, name, command, limit, environment, log):
        self.listed.append((name, list(map(str, command)), limit, log != self._log))


@pytest.fixture(name="listed")
def _listed(monkeypatch):
    """All stages that a call begins."""
    made = []

    def stages(*arguments, **options):
        made.append(Listed(*arguments, **options | {"device": "cpu"}))
        made[0].device = "cuda"
        return made[0]

    def install(stages, site, **_):
        site.mkdir()
        (site / "vqe_fast").mkdir()
        return True

    monkeypatch.setattr(gpu_check, "Stages", stages)
    monkeypatch.setattr(gpu_check, "install", install)
    monkeypatch.setattr(gpu_check.shutil, "which", lambda program: f"/bin/{program}")
    monkeypatch.setattr(gpu_check.importlib.util, "find_spec", lambda module: module)
    return made


def test_the_first_call(tmp_path, listed):
    """In this order; what runs beside the others ends before anything is timed."""
    gpu_check.first_call(tmp_path, None, None)
    (run,) = listed
    assert [name for name, *_ in run.listed] == [
        "driver",
        "kernels",
        "host module",
        "ceilings",
        "compiled models",
        "values",
        "own kernels",
        "alternatives",
        "variants of attention",
        "models",
        "video",
        "tests of values and gradients",
        "other operator tests",
        "model tests",
    ]
    beside = {name for name, *_, meanwhile in run.listed if meanwhile}
    assert beside == {"kernels", "host module", "compiled models"}
    limits = {name: limit for name, _, limit, meanwhile in run.listed if not meanwhile}
    assert limits.items() <= gpu_check.LIMITS.items()
    assert sum(gpu_check.LIMITS.values()) <= gpu_check.SECONDS <= 480


def test_the_second_call(tmp_path, listed):
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    failed = ["tests/ops/test_ssim.py::test_x[cuda a]", "tests/ops/test_ssim.py::test_y"]
    (earlier / "failed.txt").write_text("".join(f"{name}\n" for name in failed * 2))
    gpu_check.second_call(tmp_path / "out", None, earlier)
    (run,) = listed
    commands = {name: command for name, command, *_ in run.listed}
    profiled = [f"profile of {operator}" for operator in gpu_check.OPERATOR_SUITES]
    assert list(commands) == ["host module", "memory checker", "failed tests", *profiled]
    assert commands["failed tests"].count("tests/ops/test_ssim.py") == 1
    limits = {name: limit for name, _, limit, _ in run.listed}
    assert limits["failed tests"] == gpu_check.LIMITS_AGAIN["failed tests"]
    assert limits["failed tests"] >= gpu_check.MEANWHILE
    assert sum(gpu_check.LIMITS_AGAIN.values()) <= gpu_check.SECONDS_AGAIN <= 150


def test_what_is_left_to_do(tmp_path, listed, capsys):
    """What was asked, what failed, and which tests."""
    with gpu_check._begun(tmp_path) as run:
        run.record("models", 3, RED, "1 failed")
        (tmp_path / "failed.txt").write_text("tests/a.py::test_b\n")
        gpu_check._tell(run)
    told = capsys.readouterr().out
    assert (tmp_path / "summary.txt").read_text() in told
    assert "asked at least 60 %: not measured" in told
    assert "failed: models (1 failed)" in told
    assert "failed: 1 tests, named in failed.txt" in told


def test_failed_tests_run_again(tmp_path):
    """Their names are kept as they fail, in one process or several; nothing else runs again."""
    (tmp_path / "test_made.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('value', (1, 2, 3), ids=lambda value: f'of {value}')\n"
        "def test_made(value):\n"
        "    assert value == 1\n"
    )
    failed = tmp_path / "failed.txt"
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "benchmarks")}
    command = [*stages.PYTEST, "-p", "again", "test_made.py"]
    options = [*stages.parallel(2), "--failed-to", str(failed)]
    run = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "2 failed, 1 passed" in run([*command, *options]).stdout
    expected = ["test_made.py::test_made[of 2]", "test_made.py::test_made[of 3]"]
    assert sorted(again.names(failed)) == expected
    assert again.files_of(failed) == ["test_made.py"]
    assert "2 failed, 1 deselected" in run([*command, "--again", str(failed)]).stdout


COMPILING = """
import sys
import torch
import triton
from no_device import NoDevice
from precompile import without_launches
from vqe_fast.kernels import charbonnier

triton.runtime.driver.set_active(NoDevice())
with without_launches():
    image = torch.zeros(64, dtype=torch.bfloat16)
    charbonnier.charbonnier_loss(image, image, 1e-6, 0, True)
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: gpu-check itself shows it")
def test_kernels_compile_without_a_launch(tmp_path):
    """Into the cache that later processes read, through the launch of the operator."""
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT / "benchmarks"),
        "TRITON_CACHE_DIR": str(tmp_path),
        "TRITON_INTERPRET": "0",
    }
    command = [sys.executable, "-P", "-c", COMPILING]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (kernel,) = tmp_path.rglob("*.cubin")
    assert kernel.stat().st_size > 1000
    assert json.loads(kernel.with_suffix(".json").read_text())["target"]["arch"] == 90


def test_compare_refuses_what_is_no_commit():
    command = [sys.executable, str(CHECKOUT / "benchmarks" / "compare.py"), "no-such-commit"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == (
        "vqe_fast: no-such-commit is no commit with these benchmarks; choose a later one\n"
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("NVIDIA H200", "nvidia-h200"), ("AMD EPYC™ 9004", "amd-epyc-9004")]
)
def test_slug(name, expected):
    assert facts.slug(name) == expected
