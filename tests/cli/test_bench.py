"""``vqe-fast bench`` as a user types it."""

import pytest
from typer.testing import CliRunner

from vqe_fast.bench import measure as measuring
from vqe_fast.cli.app import app


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch):
    """Compiling takes seconds and is torch.compile's business."""
    monkeypatch.setattr("vqe_fast.bench.functions.compiled", lambda function: function)


def bench(*arguments):
    run = CliRunner().invoke(app, ["bench", "--seconds", "0", "--device", "cpu", *arguments])
    if run.exception and not isinstance(run.exception, SystemExit):
        raise run.exception
    return run


@pytest.mark.parametrize(
    ("operator", "shape", "more"),
    [
        ("attention", "1,16,6,7", ("--dtype", "bf16")),
        ("block_match", "1,2,17,20", ("--direction", "both")),
        ("charbonnier", "2,3,8,8", ("--direction", "both")),
        ("fusion", "1,1,30,40", ()),
        ("modulation", "1,4,20,30", ()),
        ("ssim", "1,3,16,20", ("--direction", "both")),
    ],
)
def test_a_line_for_each_implementation(operator, shape, more):
    run = bench("--op", operator, "--shape", shape, *more)
    assert run.exit_code == 0, run.output
    assert f"({shape.replace(',', ', ')})" in run.output
    for name in ("vqe_fast", "eager", "torch.compile"):
        (line,) = [line for line in run.output.splitlines() if line.split()[:1] == [name]]
        assert any(unit in line for unit in (" ns", " µs", " ms")), line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--op", "sim"), "there is no operator 'sim'; did you mean ssim? choose one of attention"),
        (("--op", "ssim", "--shape", "3,16,16"), "a shape is four positive numbers, such as"),
        (("--op", "ssim", "--shape", "1,3,0,16"), "a shape is four positive numbers, such as"),
        (("--op", "ssim", "--shape", "1,3,5,5"), "input must be at least 11×11"),
        (("--op", "fusion", "--shape", "1,2,8,8"), "detail must"),
        (("--op", "charbonnier", "--shape", "999,999,9999,9999"), "are free; choose a smaller"),
        ((), "give --op for an operator, or --model for models"),
        (("--op", "ssim", "--model", "carcnn"), "give --op for an operator, or --model"),
        (("--model", "carcn"), "carcnn"),
        (("--model", "carcnn", "--size", "720p"), "a size is WIDTHxHEIGHT, such as 1280x720; got"),
        (("--model", "carcnn", "--option", "depth=3"), "depth"),
        (("--op", "ssim", "--device", "tpu"), "the device must be auto, cpu or cuda, got 'tpu'"),
    ],
)
def test_refusals_are_a_sentence(arguments, says):
    run = bench(*arguments)
    assert run.exit_code == 2
    assert says in run.stderr and len(run.stderr.splitlines()) == 1


def test_models():
    """Of single frames, with a stream, and recurrent; the first is the yardstick."""
    names = ("identity", "dualres_t", "dualres_r")
    run = bench("--size", "32x48", *(part for name in names for part in ("--model", name)))
    assert run.exit_code == 0, run.output
    rows = [line.split() for line in run.output.splitlines()]
    found = {row[0]: row for row in rows if row and row[0] in names}
    assert list(found) == list(names) and found["identity"][-1] == "1.00"
    assert all(float(row[1]) > 0 for row in found.values())
    assert "32x48, fp32; " in run.output and "times identity" in run.output


def test_options_of_models():
    """A thousand times fewer parameters are faster."""
    speeds = []
    for width in (2, 64):
        run = bench("--model", "carcnn", "--option", f"width={width}", "--size", "96x96")
        (row,) = [line.split() for line in run.output.splitlines() if "carcnn  " in line]
        speeds.append(float(row[1]))
    assert speeds[0] > speeds[1]


def test_a_map_that_does_not_fit_is_left_out(monkeypatch):
    monkeypatch.setattr(measuring, "available_memory", lambda device: 1000)
    run = bench("--op", "attention", "--shape", "1,16,6,7")
    assert run.exit_code == 0
    assert "\neager: needs 13.8 KiB, 0.977 KiB are free\n" in run.output


def test_a_wrong_result_is_exit_code_1(monkeypatch):
    monkeypatch.setattr("vqe_fast.ops.charbonnier_loss", lambda x, y: (x - y).square().mean())
    run = bench("--op", "charbonnier", "--shape", "1,1,8,8")
    assert run.exit_code == 1 and "wrong: relative error" in run.output
