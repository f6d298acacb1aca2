"""The program vqe-fast: what it prints, where, and its exit codes."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from fractions import Fraction

import av
import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

import vqe_fast
from support.media import damage_packet, full_disk, read_frames, read_packets, write_clip
from support.processes import PATIENCE, wait_for
from support.side_data import CAPTIONS, with_messages
from vqe_fast.cli.app import app
from vqe_fast.models import create_model, list_models
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.quality import QUALITIES, model_for


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained carcnn_small: it starts as the identity."""
    path = tmp_path_factory.mktemp("weights") / "identity.safetensors"
    save_file(create_model("carcnn_small").state_dict(), path, {"model": "carcnn_small"})
    return path


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=6, audio=("aac",))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def enhance(clip, target, weights, *options):
    return run("enhance", clip, target, "--weights", weights, "--precision", "fp32", *options)


def assert_refused(result, *words, code=2):
    """One sentence on stderr, that exit code, no traceback."""
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("vqe-fast: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_enhance(clip, tmp_path, weights):
    """Without a terminal there is one line on stdout and nothing on stderr."""
    target = tmp_path / "out.mp4"
    result = enhance(clip, target, weights)
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(target))}: 6 frames in [\d.]+ s \([\d.]+ fps\), "
        r"[\d.]+ kB → [\d.]+ kB, carcnn_small in fp32 on \w+\n",
        result.stdout,
    )
    assert len(read_frames(target)) == 6
    assert read_packets(target, "audio") == read_packets(clip, "audio")


def test_options_reach_the_engine(clip, tmp_path, weights):
    """An option swallowed in silence is worse than none."""
    target = tmp_path / "out.mkv"
    target.write_text("old")
    options = "--codec ffv1 --frames 2 --overwrite --quiet --device cpu --model carcnn_small"
    result = enhance(clip, target, weights, *options.split())
    assert (result.exit_code, result.output) == (0, "")
    pairs = zip(read_frames(clip)[:2], read_frames(target), strict=True)
    assert all((a == b).all() for (_, x), (_, y) in pairs for a, b in zip(x, y, strict=True))
    small = enhance(clip, target, weights, "--overwrite", "--crf", 51, "--preset", "ultrafast")
    size = target.stat().st_size
    large = enhance(clip, target, weights, "--overwrite", "--crf", 0, "--preset", "veryslow")
    assert (small.exit_code, large.exit_code) == (0, 0)
    assert target.stat().st_size > 2 * size


@pytest.mark.parametrize("quality", (*QUALITIES, None))
def test_a_quality_stands_for_a_model(clip, tmp_path, quality):
    """All of them name weights that ship; balanced is meant where nothing is said."""
    options = [] if quality is None else ["--quality", quality]
    result = run("enhance", clip, tmp_path / "out.mp4", "--frames", 1, *options)
    assert result.exit_code == 0, result.output
    assert f", {model_for(quality or 'balanced')} in " in result.stdout


def test_a_quality_and_a_model_are_refused(clip, tmp_path, weights):
    for options in (("--model", "identity"), ("--weights", weights)):
        result = run("enhance", clip, tmp_path / "out.mp4", "--quality", "best", *options)
        assert_refused(result, "--quality stands for a model and its weights")


def test_tiles_are_mentioned(clip, tmp_path, weights):
    result = enhance(clip, tmp_path / "out.mp4", weights, "--tile", 32, "--max-memory", "1GiB")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(", in tiles of 32 pixels\n")
    assert_refused(enhance(clip, tmp_path / "o.mp4", weights, "--max-memory", "much"), "'much'")
    assert_refused(enhance(clip, tmp_path / "o.mp4", weights, "--clip-frames", 20), "recurrent")


def test_progress_on_a_terminal(clip, tmp_path, weights, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    result = enhance(clip, tmp_path / "out.mp4", weights)
    assert result.exit_code == 0
    assert "6/6" in result.stderr
    assert "frames in" in result.stdout


def test_quiet_on_a_terminal(clip, tmp_path, weights, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    result = enhance(clip, tmp_path / "out.mp4", weights, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_refusals(clip, tmp_path, weights):
    existing = tmp_path / "existing.mp4"
    existing.write_text("precious")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_text("precious")
    out = tmp_path / "out.mp4"
    assert_refused(enhance(tmp_path / "none.mp4", out, weights), "there is no file", code=3)
    assert_refused(enhance(garbage, out, weights), "is not a video", code=3)
    assert_refused(enhance(clip, existing, weights), "exists already")
    assert_refused(enhance(clip, clip, weights, "--overwrite"), "is the source itself")
    assert_refused(enhance(clip, tmp_path / "no" / "out.mp4", weights), "there is no directory")
    assert_refused(enhance(clip, out, garbage), "garbage.safetensors is not a readable")
    assert_refused(enhance(clip, out, tmp_path / "none"), "there is no weights file")
    assert_refused(enhance(clip, out, weights, "--model", "vdsr"), "'vdsr'", *list_models())
    assert_refused(enhance(clip, out, weights, "--codec", "magic"), "libx264, libx265")
    assert_refused(enhance(clip, out, weights, "--device", "cuda:99"), "cuda:99")
    assert existing.read_text() == "precious"
    assert not out.exists()


@pytest.mark.parametrize("option", [("--precision", "int4"), ("--frames", "0"), ("--crf", "good")])
def test_malformed_options(clip, tmp_path, option):
    result = run("enhance", clip, tmp_path / "out.mp4", *option)
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert "Traceback" not in result.output


def test_write_error_is_one_sentence(clip, tmp_path, weights):
    """A full disk shows in the middle of the work, in another thread."""
    with full_disk(4096):
        result = enhance(clip, tmp_path / "out.mp4", weights, "--codec", "ffv1")
    assert_refused(result, "out.mp4 cannot be written: File too large")
    assert sorted(tmp_path.iterdir()) == [clip]


def test_a_bug_is_not_dressed_up_as_bad_input(clip, tmp_path, weights, monkeypatch):
    """Catching every ValueError would hide our own errors behind a friendly sentence."""

    def broken(self, frame):
        raise ValueError("a bug")

    monkeypatch.setattr(Enhancer, "__call__", broken)
    result = enhance(clip, tmp_path / "out.mp4", weights)
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)


def test_damage_is_reported(tmp_path, weights):
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=6, options={"g": "1"})
    damage_packet(source, 3)
    result = enhance(source, tmp_path / "out.mp4", weights)
    assert result.exit_code == 1
    assert "5 frames in" in result.stdout
    assert "in.mkv is damaged: 1 packets could not be decoded or copied" in result.stderr
    assert len(read_frames(tmp_path / "out.mp4")) == 5


def test_identity_needs_no_weights(clip, tmp_path):
    """How users check that the tool leaves the rest of a file alone."""
    target = tmp_path / "out.mkv"
    result = run("enhance", clip, target, "--model", "identity", "--codec", "ffv1")
    assert (result.exit_code, result.stderr) == (0, "")
    pairs = zip(read_frames(clip), read_frames(target), strict=True)
    assert all((a == b).all() for (_, x), (_, y) in pairs for a, b in zip(x, y, strict=True))


def test_formats_reach_the_engine(tmp_path):
    source = write_clip(
        tmp_path / "in.mkv",
        codec="libx265",
        size=(70, 66),
        options={"x265-params": "log-level=none"},
    )
    target = tmp_path / "out.mkv"
    options = "--model identity --codec source --pix-fmt yuv444p10le --quiet"
    result = run("enhance", source, target, *options.split())
    assert (result.exit_code, result.output) == (0, "")
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.pix_fmt) == ("hevc", "yuv444p10le")


def test_interlaced_reaches_the_engine(tmp_path):
    source = write_clip(
        tmp_path / "in.mkv", scan="tff", size=(64, 64), options={"flags": "+ilme+ildct"}
    )
    target = tmp_path / "out.mkv"
    refused = run("enhance", source, target, "--model", "identity")
    assert_refused(refused, "is interlaced", "--interlaced fields", code=3)
    options = ("--model", "identity", "--interlaced", "fields")
    assert run("enhance", source, target, *options).exit_code == 0


def test_what_is_not_kept_is_said(tmp_path):
    source = write_clip(tmp_path / "in.h264", options={"bf": "0"})
    source.write_bytes(with_messages(source.read_bytes(), CAPTIONS, hevc=False))
    result = run("enhance", source, tmp_path / "out.mkv", "--model", "identity", "--codec", "ffv1")
    assert result.exit_code == 0
    assert result.stderr == f"vqe-fast: not kept of {source}: closed captions\n"


def test_times_that_restart_are_said(tmp_path):
    source = write_clip(tmp_path / "in.ts", time_base=Fraction(1, 25), muxer="mpegts")
    source.write_bytes(source.read_bytes() * 2)
    result = run("enhance", source, tmp_path / "out.mkv", "--model", "identity")
    assert result.exit_code == 0
    assert f"the timestamps of {source} restart or jump" in result.stderr
    assert ": 2 pieces" in result.stderr


def test_scaled_frames_are_said(tmp_path):
    source = tmp_path / "in.h264"
    clips = [write_clip(tmp_path / f"{i}.h264", size=(i, 48), frames=3) for i in (64, 96)]
    source.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    options = ("--model", "identity", "--on-change", "scale")
    result = run("enhance", source, tmp_path / "out.mkv", *options)
    assert result.exit_code == 0
    assert f"3 of 6 frames of {source} have another size" in result.stderr
    assert "scaled to 64x48 yuv420p" in result.stderr


SLOW = """
import time
import torch
from vqe_fast.models import ModelSpec, register_model

class Slow(torch.nn.Module):
    spec = ModelSpec("y", 0, False, False, 1, 1, (0.0, 1.0))
    def forward(self, luma):
        time.sleep(0.05)
        return luma

@register_model
def slow():
    return Slow()

from vqe_fast.cli.app import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(tmp_path, number):
    """Exit code 130, no file under the final name, no temporary file, no traceback."""
    clip = write_clip(tmp_path / "in.mkv", frames=200, size=(32, 32))
    nothing = tmp_path / "nothing.safetensors"
    save_file({}, nothing)
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-P", "-c", SLOW, "enhance", clip, tmp_path / "out.mp4"]
    process = subprocess.Popen(
        [*map(str, command), "--model", "slow", "--weights", str(nothing), "--precision", "fp32"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    wait_for(lambda: sorted(tmp_path.iterdir()) != before, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (out, err.count("\n")) == ("", 1)
    assert "out.mp4 was not written; --segment-seconds 30 keeps finished parts" in err
    assert sorted(tmp_path.iterdir()) == before


def test_the_terminal_is_closed(tmp_path):
    """Nobody can be told any more; the temporary file goes all the same."""
    clip = write_clip(tmp_path / "in.mkv", frames=200, size=(32, 32))
    nothing = tmp_path / "nothing.safetensors"
    save_file({}, nothing)
    command = [sys.executable, "-P", "-c", SLOW, "enhance", clip, tmp_path / "out.mp4"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], [*map(str, command), "--model", "slow", "--weights", str(nothing)])
    seen = b""
    while b"/200" not in seen:
        seen += os.read(terminal, 4096)
    assert len(list(tmp_path.iterdir())) == 3
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert sorted(tmp_path.iterdir()) == [clip, nothing]


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_signal_handlers_are_put_back(clip, tmp_path, weights):
    handlers = [signal.getsignal(number) for number in SIGNALS]
    enhance(clip, tmp_path / "out.mp4", weights)
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(clip, tmp_path, weights, monkeypatch, number):
    """Shells make background jobs ignore Ctrl-C; nohup ignores the end of the terminal."""
    before = signal.signal(number, signal.SIG_IGN)

    def signalled(self, steps):
        signal.raise_signal(number)
        return iter(steps)

    monkeypatch.setattr(Enhancer, "__call__", signalled)
    try:
        assert enhance(clip, tmp_path / "out.mp4", weights).exit_code == 0
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_imports(clip, number):
    """An exception in the midst of importing torch would show as another one."""
    code = (
        "import builtins, os, sys\n"
        "from vqe_fast.cli.app import main\n"
        "original = builtins.__import__\n"
        "def importing(name, *rest):\n"
        f"    name == 'torch._C' and os.kill(os.getpid(), {int(number)})\n"
        "    return original(name, *rest)\n"
        "builtins.__import__ = importing\n"
        "main()"
    )
    command = [sys.executable, "-P", "-c", code, "enhance", str(clip), str(clip.parent / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "vqe-fast: interrupted\n")


def test_threads_that_wait_leave_the_cores_to_the_codecs():
    """OpenMP asks its environment once, when torch is imported."""
    code = (
        "import os, sys, vqe_fast.cli.app as program\n"
        "program.app = lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)\n"
        "program.main()"
    )
    command = [sys.executable, "-P", "-c", code]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "passive False\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize("words", [("models",), ("info", "--json"), ("--version",)])
def test_standard_output_is_full(words):
    command = [sys.executable, "-P", "-c", "import vqe_fast.cli.app as a; a.main()", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    sentence = "vqe-fast: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, sentence)


def test_models():
    result = run("models")
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert set(list_models()) <= set(rows)
    assert "1,182,913" in rows["carcnn"]
    assert "luma" in rows["carcnn"]
    cells = {name: row.split() for name, row in rows.items()}
    assert cells["carcnn_small"][2] == "167"
    assert cells["carcnn"][2] == "1,181"
    assert cells["dualres_m"][2] == "59"
    assert cells["identity"][2] == "0"
    _, *tables = result.stdout.split("What the weights of ")
    assert any("ΔPSNR of chroma" in table for table in tables)
    for table in tables:
        assert ("ΔPSNR of chroma" in table) == table.startswith("dualres")


@pytest.mark.parametrize("columns", [80, 120])
def test_models_on_a_terminal(columns, monkeypatch):
    """Lines are broken between words; nothing is cut off."""
    monkeypatch.setenv("COLUMNS", str(columns))
    table = run("models").stdout.partition("kMAC/pixel:")[0]
    assert max(map(len, table.splitlines())) <= columns
    words = table.split()
    for word in ("receptive", "weights", "17,987,661", "galteri_very_fast", "chroma,", "codec,"):
        assert word in words
    wide = "luma and chroma, QP, codec, frame type           188 px" in table
    assert wide == (columns == 120)


def test_info():
    """The JSON is the dictionary itself; the text names every leaf."""
    result = run("info", "--json")
    assert json.loads(result.stdout) == vqe_fast.info()
    text = run("info").stdout
    assert f"vqe_fast: {vqe_fast.__version__}" in text
    assert "    cuda: " in text


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"vqe-fast {vqe_fast.__version__}\n")


def test_the_program_starts_without_heavy_imports():
    """PyAV and rich's progress bars take longer than printing a version."""
    code = "import sys, vqe_fast.cli.app; print({'av', 'rich.progress'} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-P", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "set()\n"
