"""``vqe-fast evaluate``."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.evaluations import made_up, x264
from support.processes import PATIENCE, wait_for
from vqe_fast.cli.app import app
from vqe_fast.cli.evaluate import _print
from vqe_fast.evaluation.journal import JOURNAL_NAME
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.metrics.measures import NAMES


@pytest.fixture
def call(clips, cache, tmp_path):
    def call(*options, clips=clips):
        command = ["evaluate", clips, "--output", tmp_path / "out", "--cache", cache]
        command += ["--device", "cpu", *options]
        return CliRunner().invoke(app, [str(part) for part in command])

    return call


def test_tables(call, tmp_path):
    result = call("--model", "identity", "--qp", "30, 40")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "x264 QP 30" in result.stdout and "identity" in result.stdout
    assert "(±0.00)" in result.stdout
    assert "ΔPSNR by codec" in result.stdout and "x264 QP: 30, 40" in result.stdout
    assert "report.md has more" in result.stdout.replace("\n", "")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.md", "rows.csv", "frames.csv", "results.json", "gains.png"} <= names
    again = call("--model", "identity", "--qp", "30,40")
    assert "0 to encode, about 0 B, 4 kept" in again.stdout


def test_losses_are_bold(capsys):
    """As a terminal has it, not as Markdown."""
    psnr = {"none": 40.0, "ours": 39.0}
    _print(made_up(x264(22), lambda clip, number, name: {"psnr_y": psnr[name]}), Path("out"))
    printed = capsys.readouterr().out
    assert "-1.00 (one at 22)" in printed and "*" not in printed


def test_measures_fit_a_terminal(capsys):
    """However many are asked for: they stand below each other."""
    names = [name for name in FIGURES if name in NAMES]
    values = {"none": 40.0, "ours": 41.5}
    found = made_up(
        x264(22, 27),
        lambda clip, number, name: dict.fromkeys(["psnr_y", "ssim_y", *names], values[name]),
    )
    _print(replace(found, extra_tables=names), Path("out"))
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    words = " ".join(printed.split())
    assert "x264 QP 22 VMAF ↑ 40.00 41.50 (+1.50)" in words
    assert "EfficientNet distance ↓ 40.0000 41.5000 (+1.5000)" in words


def test_protocols_and_grids(call):
    result = call("--model", "none", "--crf", "35,41", "--max-bitrate", "60,40", "--frames", "2")
    assert result.exit_code == 0, result.output
    assert "x264 CRF 41 max 40k" in result.stdout
    result = call("--model", "none", "--protocol", "pequenet-release", "--frames", "2")
    assert result.exit_code == 0, result.output
    assert "Note: NOT comparable" in result.stdout


def test_a_row_that_fails(call):
    result = call("--model", f"cmd:{sys.executable} -c pass {{input}} {{output}}", "--qp", "40")
    assert result.exit_code == 1
    assert "What failed" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --protocol, or one of --qp and --crf"),
        (["--qp", "22", "--crf", "22"], "give --protocol, or one of --qp and --crf"),
        (["--qp", "22", "--max-bitrate", "9"], "--max-bitrate goes with --crf"),
        (["--qp", "many"], "--qp takes whole numbers like 22,27,32, got 'many'"),
        (["--qp", "99"], "must lie in 0..51, got 99"),
        (["--protocol", "carcnn", "--qp", "22"], "a protocol has its own settings"),
        (["--protocol", "none"], "there is no protocol none"),
        (["--qp", "22", "--codec", "libx263"], "libx264"),
        (["--qp", "22", "--model", "carcn"], "there is no model 'carcn'"),
        (["--qp", "22", "--metrics", "mvaf"], "there is no measure mvaf"),
        (["--qp", "22", "--detector", "no.onnx"], "no.onnx"),
    ],
)
def test_refusals(call, options, message, tmp_path):
    result = call(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("vqe-fast: ") and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_clips(call, tmp_path):
    result = call("--qp", "40", clips=tmp_path / "nowhere")
    assert result.exit_code == 2 and "holds no clip or photograph" in result.stderr


def test_interrupted(clips, cache, tmp_path):
    """Exit code 130, one line, and what was measured stays."""
    slow = f"cmd:{sys.executable} -c 'import time; time.sleep(60)' {{input}} {{output}}"
    command = ["evaluate", clips, "--output", tmp_path / "out", "--cache", cache, "--qp", "30,40"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from vqe_fast.cli.app import main; main()"]
        + [str(part) for part in [*command, "--model", slow]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = tmp_path / "out" / JOURNAL_NAME
    try:
        wait_for(lambda: journal.exists() and journal.read_text().count("\n"), process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err.count("\n")) == (130, 1), err
    assert "interrupted; run it again" in err
    assert journal.read_text().endswith("\n")
    assert not (tmp_path / "out" / "report.md").exists()
