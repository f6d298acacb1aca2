"""The schema of results, what was asked beside what was measured, and the page."""

import importlib
import json
from dataclasses import replace

import bench_models
import page
import pytest
import torch
from compare import best
from model_runs import Inputs
from plot_results import draw, plotted
from results_file import read, read_journal, rows_of, validate, write
from targets import TARGETS, Target, against, find, share, times, verdicts

from vqe_fast.bench.format import ratio_in_words, seconds_in_words
from vqe_fast.bench.record import Row, quantile, timed, with_ratios

SHAPE = (4, 3, 256, 256)


def row(implementation, median=None, **fields):
    role = "own" if implementation.startswith("vqe_fast") else "alternative"
    made = Row(
        operator="ssim",
        case="ssim_loss",
        shape=SHAPE,
        dtype="float32",
        direction="both",
        device="cpu",
        implementation=implementation,
        role=role,
        work_bytes=8000,
        peak_bytes=5 << 20,
    )
    made = replace(made, **fields)
    if median is None:
        return replace(made, status="not installed", peak_bytes=None)
    return timed(made, [0.9 * median, median, 1.3 * median])


def ssim_rows(factor=1.0, **fields):
    medians = {"vqe_fast": 0.002 * factor, "pytorch_msssim": 0.09, "pytorch_msssim compiled": 0.03}
    rows = [row(name, median, **fields) for name, median in medians.items()]
    return with_ratios([*rows, row("kornia", **fields)])


def content(rows, device="cpu"):
    return {
        "machine": {
            "slug": "made-up",
            "name": "Made-up 9000",
            "device": device,
            "threads": 2,
            "system": "Linux",
        },
        "versions": {"torch": "2.13.0", "kornia": "not installed"},
        "commit": "0123456789ab",
        "datetime": "2026-01-02T03:04:05+00:00",
        "stages": [{"name": "ssim", "seconds": 1.5, "outcome": "done", "said": "4 passed"}],
        "rows": [each.to_dict() for each in rows],
        "benchmarks": [
            {"name": "one", "extra_info": each.to_dict()} for each in rows if each.median
        ],
    }


@pytest.mark.parametrize(
    ("seconds", "share", "expected"),
    [([3, 1, 2], 0.5, 2), ([1, 2], 0.5, 1.5), ([5], 0.2, 5), ([0, 10, 20, 30, 40, 50], 0.2, 10)],
)
def test_quantile(seconds, share, expected):
    assert quantile(seconds, share) == pytest.approx(expected)


def test_ratio_is_to_the_best_alternative_of_the_dtype():
    ours, eager, compiled, absent = ssim_rows()
    assert ours.ratio == pytest.approx(15)
    assert (eager.ratio, compiled.ratio) == (pytest.approx(1 / 3), pytest.approx(1))
    assert absent.ratio is None
    rows = with_ratios(
        [row("vqe_fast", 0.001, dtype="bfloat16"), row("other", 1.0), row("sum", 0.1)]
    )
    assert rows[0].ratio is None
    assert with_ratios([row("vqe_fast", 1.0), row("sum", 0.1, role="yardstick")])[0].ratio is None


def test_rows_survive_json():
    for each in ssim_rows():
        assert Row.from_dict(json.loads(json.dumps(each.to_dict()))) == each


def test_rows_of_older_versions_have_no_warp_error():
    (older, *_) = (each.to_dict() for each in ssim_rows())
    del older["warp_error"]
    assert Row.from_dict(older).warp_error is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"p20": 9.0}, "out of order"),
        ({"rounds": 0}, "missing or out of order"),
        ({"median": None}, "missing or out of order"),
        ({"status": "not installed"}, "has a time, but was not measured"),
        ({"speed": 3}, "other fields than those of this version: speed"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Row.from_dict(ssim_rows()[0].to_dict() | change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": None}, "the results have no rows"),
        ({"commit": 5}, "the results have no commit, or not as a str"),
        ({"machine": {"slug": "x"}}, "the machine of the results has no device, name"),
        ({"stages": [{"name": "a"}]}, "a stage has name, outcome"),
        ({"rows": []}, "the benchmark one has no row"),
    ],
)
def test_results_without_a_part_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        validate(content(ssim_rows()) | change)


def test_two_rows_of_a_key_are_refused():
    with pytest.raises(ValueError, match="two rows of the same key"):
        validate(content([*ssim_rows(), ssim_rows()[0]]))


def test_results_are_written_in_one_step(tmp_path):
    path = tmp_path / "results" / "made-up.json"
    write(content(ssim_rows()), path)
    assert rows_of(read(path)) == ssim_rows()
    with pytest.raises(ValueError):
        write({"rows": []}, path)
    assert rows_of(read(path)) == ssim_rows() and list(path.parent.iterdir()) == [path]


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match=r"x\.json is not a results file of this version: the res"):
        read(tmp_path / "x.json")


def test_a_journal_keeps_the_last_row_of_a_key(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [row("vqe_fast", 1.0), row("eager", 2.0), row("vqe_fast", 3.0)]
    path.write_text("".join(json.dumps(each.to_dict()) + "\n" for each in rows))
    assert [each.median for each in read_journal(path)] == [3.0, 2.0]
    assert read_journal(tmp_path / "none.jsonl") == []


def test_commits_are_compared_by_their_best_pass(tmp_path):
    for number, median in enumerate((1.0, 0.5)):
        text = json.dumps(row("vqe_fast", median).to_dict()) + "\n"
        (tmp_path / f"{number}.jsonl").write_text(text)
    (found,) = best(tmp_path.glob("*.jsonl")).values()
    assert found.median == 0.5 and found.p20 == pytest.approx(0.5 * 0.94)
    assert found.p80 == pytest.approx(1.0 * 1.18)


def test_shares_of_a_ceiling():
    fields = {"operator": "ceiling", "case": "copy", "role": "yardstick"}
    ceiling = row("PyTorch", 0.5, **fields, shape=(8,), work_bytes=1000)
    ours = row("vqe_fast", 8.0, work_bytes=8000)
    assert share("copy", operator="ssim")([ours, ceiling]) == pytest.approx(0.5)
    assert share("copy", operator="ssim")([ours]) is None
    assert share("copy", operator="fusion")([ours, ceiling]) is None


def test_figures_against_alternatives():
    rows = ssim_rows()
    assert against(operator="ssim")(rows) == pytest.approx(15)
    assert against("pytorch_msssim", operator="ssim")(rows) == pytest.approx(45)
    assert against("kornia", operator="ssim")(rows) is None
    assert against(operator="ssim", dtype="bfloat16")(rows) is None
    rows.append(row("pytorch_msssim", 0.2, dtype="bfloat16"))
    assert against(operator="ssim", other_dtype="bfloat16")(rows) == pytest.approx(100)
    assert find(rows, "kornia") is None  # it is there, without a time


def test_verdicts():
    rows = ssim_rows()
    first = next(verdicts(rows, "cpu", ["ssim"]))
    assert first[2:] == ("at least 30×", "15×", "missed")
    assert next(verdicts(ssim_rows(0.2), "cpu", ["ssim"]))[3:] == ("75×", "met")
    assert {verdict for *_, verdict in verdicts(rows, "cuda", ["ssim"])} == {"not measured"}
    most = Target("ssim", "cpu", "memory", 5, lambda rows: 6.0, times, at_most=True)
    assert not most.is_met(6) and most.is_met(5)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.text)
def test_every_target_is_measured_by_a_suite(target, monkeypatch):
    """A target whose fields no suite has would stay open for ever."""
    monkeypatch.setattr(bench_models, "create_model", lambda name: torch.nn.Identity())
    monkeypatch.setattr(bench_models, "flops_of", lambda name, size, plain: 1)
    monkeypatch.setattr(bench_models, "seconds_expected", lambda flops, device: 0)
    monkeypatch.setattr(bench_models, "inputs_of", lambda *_: Inputs(None, 1, ()))
    suite = "bench_models" if target.operator == "model" else f"bench_{target.operator}"
    planned = [
        importlib.import_module(name).plan(target.device, False)
        for name in (suite, "bench_ceilings")
    ]
    rows = [row for cases in planned for case in cases for row in invented(case)]
    assert target.measure(rows) is not None


def invented(case):
    """The rows of a case with times that nobody measured."""
    work = case.work()
    for candidate in work.candidates:
        bare = replace(
            work.row(candidate), peak_bytes=1, work_bytes=1, work_flops=1, warp_error=1.0
        )
        yield timed(bare, [1.0, 2.0])


def test_page_shows_wins_and_losses(tmp_path):
    rows = ssim_rows()
    rows += ssim_rows(40.0, shape=(1, 1, 64, 64))
    text = page.page([("made-up", content(rows))])
    assert "| ssim_loss (4, 3, 256, 256) float32, forward and backward | **vqe_fast** |" in text
    assert "| **15.0** | 5 MiB |" in text and "| **0.38** | 5 MiB |" in text
    assert "| kornia | not installed |  |  |  |" in text
    assert "against the best | at least 30× | 15× | **missed** |" in text
    assert "**No GPU has been measured yet.**" in text
    assert "Not installed: kornia." in text


def test_page_says_what_did_not_come_to_an_end():
    stages = [{"name": "models", "seconds": 9, "outcome": "ended by its limit", "said": ""}]
    text = page.page([("made-up", content(ssim_rows(), "cuda") | {"stages": stages})])
    assert "**models: ended by its limit.**" in text and "No GPU has been" not in text


def test_page_and_plots_of_a_folder(tmp_path):
    rows = [each for size in (32, 64, 128) for each in ssim_rows(size, shape=(1, 1, size, size))]
    write(content(rows), tmp_path / "made-up.json")
    page.main(tmp_path, tmp_path / "RESULTS.md")
    assert "](results/made-up-ssim.png)" in (tmp_path / "RESULTS.md").read_text("utf-8")
    picture = (tmp_path / "made-up-ssim.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


def test_plot_needs_sizes():
    assert plotted(ssim_rows(), "ssim") == []
    rows = [each for size in (32, 64, 128) for each in ssim_rows(shape=(1, 1, size, size))]
    assert plotted(rows, "ssim") and not plotted(rows, "fusion")
    names = [line.get_label() for line in draw(rows, "ssim", "SSIM").axes[0].get_lines()]
    assert names[0] == "vqe_fast" and len(names) == 3


def test_a_line_of_attention_has_one_number_of_channels():
    shapes = [(1, 8, 2, 2), (1, 8, 4, 4), (1, 8, 8, 8), (1, 16, 4, 4), (1, 16, 8, 8)]
    rows = [row("vqe_fast", 0.1, operator="attention", shape=shape) for shape in shapes]
    assert [each.shape for each in plotted(rows, "attention")] == shapes[:3]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (0.000456, "456 µs"), (4e-9, "4.00 ns")],
)
def test_seconds_in_words(seconds, words):
    assert seconds_in_words(seconds) == words


@pytest.mark.parametrize(("ratio", "words"), [(0.876, "0.88"), (3.14, "3.1"), (45.2, "45")])
def test_ratio_in_words(ratio, words):
    assert ratio_in_words(ratio) == words
