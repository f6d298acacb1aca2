"""The command ``vqe-fast compare``: what it writes and says, its exit codes."""

import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from support.compared import data_of, png_of, write_three
from support.media import write_clip
from support.processes import PATIENCE, wait_for
from vqe_fast.cli.app import app


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return write_three(tmp_path_factory.mktemp("three"), frames=5)


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def assert_refused(result, *words, code=2):
    """One sentence on stderr and exit code 2."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("vqe-fast: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_page_and_stills(three, tmp_path):
    a, b, r = three
    page, png = tmp_path / "page.html", tmp_path / "stills.png"
    result = run(a, b, "--reference", r, "--output", page, "--png", png, "--frame", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    psnr = data_of(page)["curves"]["psnr"]
    assert first.startswith(f"{page}: 5 frames matched by number, ")
    assert f"A {sum(psnr['A']) / 5:.2f} dB, SSIM 0." in first
    assert f"B {sum(psnr['B']) / 5:.2f} dB, SSIM 0." in first
    assert second.startswith(f"{png}: frame 2, ")
    assert png_of(png).shape[2] == 3


def test_options_of_the_page(three, tmp_path):
    page = tmp_path / "page.html"
    options = ["--start", 0.04, "--frames", 2, "--crop", "32x16+0+8", "--quiet"]
    result = run(*three[:2], "--output", page, *options)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    data = data_of(page)
    assert data["videos"][0]["numbers"] == [1, 2]
    assert (data["width"], data["height"]) == (32, 16)


def test_profile(three, tmp_path):
    png = tmp_path / "profile.png"
    result = run(*three[:2], "--png", png, "--profile", "column=20")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{png}: column 20 of 5 frames, ")


def test_refusals(three, tmp_path, monkeypatch):
    a, b, _ = three
    page, png = tmp_path / "page.html", tmp_path / "out.png"
    other = write_clip(tmp_path / "other.mp4", size=(32, 48), frames=2)
    assert_refused(run(a, b), "--output PAGE.html, --png FILE.png, or both")
    assert_refused(run(a, b, "--output", page, "--png", page), "give two names")
    assert_refused(run(a, b, "--output", page, "--frame", 1), "add --png FILE.png")
    assert_refused(run(a, b, "--output", page, "--profile", "row=1"), "add --png FILE.png")
    both = ["--png", png, "--profile", "row=1"]
    assert_refused(run(a, b, *both, "--frame", 1), "leave out --frame or --profile")
    assert_refused(run(a, b, *both, "--crop", "16x16+0+0"), "leave out --crop")
    assert_refused(run(a, b, "--png", png, "--profile", "3"), "row=Y or column=X")
    assert_refused(run(a, b, "--output", page, "--crop", "half"), "WIDTHxHEIGHT+LEFT+TOP")
    assert_refused(run(a, other, "--output", page), "scale one first", code=3)
    assert_refused(run(a, tmp_path / "none.mp4", "--output", page), "there is no file", code=3)
    assert_refused(run(a, b, "--output", tmp_path / "no" / "p.html"), "cannot be written: No such")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert_refused(run(a, b, "--png", png), "pip install matplotlib")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.mp4"]


def test_interrupting_leaves_no_file(tmp_path):
    clip = write_clip(tmp_path / "long.mkv", codec="ffv1", frames=60, size=(480, 360))
    page = tmp_path / "page.html"
    arguments = ["compare", clip, clip, "--output", page, "--frames", 60]
    program = "from vqe_fast.cli.app import main; main()"
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any(path.stat().st_size for path in tmp_path.glob("*.part*")), process)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert said == "vqe-fast: interrupted, nothing was left half written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["long.mkv"]
