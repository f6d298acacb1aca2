"""``make gpu-check`` where there is no GPU, and what it does when things go wrong."""

import os
import subprocess
import sys
import time
from pathlib import Path

import facts
import gpu_check
import installing
import pytest
import results_file
import stages
from stages import DONE, NO_TIME, OVER, RED, Stages

CHECKOUT = Path(gpu_check.__file__).parents[1]


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
    assert [stage["outcome"] for stage in results["stages"]] == [DONE] * 2
    rows = results_file.rows_of(results)
    suites = {"ceiling", "attention", "charbonnier", "fusion", "modulation", "ssim", "model"}
    assert {row.operator for row in rows} == suites
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
    monkeypatch.setattr(installing, "_cuda_library", lambda environment: "loaded")
    run = run_of(tmp_path)
    assert installing.install(run, tmp_path / "site", None)
    assert run.results["stages"][0]["said"] == "it is installed"


def test_a_wheel_of_another_python_is_passed_over(tmp_path, monkeypatch):
    """Then it is built here, or the sentence says what is missing for that."""
    monkeypatch.setattr(installing, "_cuda_library", lambda environment: "it was not built")
    monkeypatch.setattr(installing, "_has", lambda module: module != "pybind11")
    wheel = tmp_path / "vqe_fast-0.1.0-cp39-cp39-linux_x86_64.whl"
    wheel.write_bytes(b"")
    run = run_of(tmp_path)
    assert not installing.install(run, tmp_path / "site", wheel)
    (stage,) = run.results["stages"]
    assert stage["outcome"] == RED
    assert stage["said"].startswith("a build needs pybind11; install")


def test_a_build_whose_library_does_not_load_is_red(tmp_path, monkeypatch):
    monkeypatch.setattr(installing, "_cuda_library", lambda environment: "no such symbol")
    monkeypatch.setattr(installing, "_cannot_build", lambda: None)
    monkeypatch.setattr(installing, "PIP", python("pass"))
    monkeypatch.setattr(installing, "ROOT", tmp_path)
    run = run_of(tmp_path)
    assert not installing.install(run, tmp_path / "site", None)
    assert [stage["outcome"] for stage in run.results["stages"]] == [DONE, RED]
    assert run.results["stages"][1]["said"] == "no such symbol"


def test_seconds_of_all_stages_are_below_nine_minutes():
    assert gpu_check.SECONDS <= 540


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
