"""Tables and files of evaluations that nobody ran."""

import csv
import json
from dataclasses import replace

import av
import pytest

from support.evaluations import made_up, x264
from vqe_fast.data.degradation import Degradation
from vqe_fast.evaluation import files
from vqe_fast.evaluation.files import write_results
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.evaluation.report import conditions
from vqe_fast.evaluation.setting import Setting
from vqe_fast.evaluation.tables import (
    FRAME_RATE,
    WORST,
    asked_measures,
    bjontegaard,
    failures,
    gains_by_family,
    gains_of_clips,
    main_tables,
    summary,
)


def figures(clip, number, restorer):
    psnr = 40 - 3 * number - (clip == "two")
    gain = {"none": 0, "ours": 0.5 if clip == "one" else -0.125}[restorer]
    return {"psnr_y": psnr + gain, "ssim_y": 0.9 + gain / 100, "flicker": None}


def cells(table):
    return [list(row) for row in table.rows]


def test_settings_beside_each_other():
    found = made_up(x264(22, 27), figures)
    psnr, ssim = main_tables(found)
    assert psnr.title == "PSNR, dB, mean over the clips"
    assert list(psnr.header) == ["x264 QP", "22", "27"]
    assert cells(psnr) == [
        ["compressed", "39.50", "36.50"],
        ["ours", "**39.69** (+0.19)", "**36.69** (+0.19)"],
    ]
    assert cells(ssim)[1][1] == "**0.9019** (+0.0019)"
    (plain, _) = main_tables(made_up(x264(22), figures, protocol={"gains": False}))
    assert cells(plain)[1] == ["ours", "**39.69**"]


def test_restorers_beside_each_other():
    layout = {"layout": "restorers", "tables": ["psnr_y"]}
    (table,) = main_tables(made_up(x264(22, 27), figures, protocol=layout))
    assert list(table.header) == ["setting", "compressed", "ours"]
    assert cells(table) == [
        ["x264 QP 22", "39.50", "**39.69** (+0.19)"],
        ["x264 QP 27", "36.50", "**36.69** (+0.19)"],
    ]


def test_clips_below_each_other():
    found = made_up(x264(22, 27), figures, protocol={"layout": "clips", "tables": ["psnr_y"]})
    (table,) = main_tables(found)
    assert list(table.header) == ["setting", "clip", "compressed", "ours", "Δ"]
    assert cells(table)[:4] == [
        ["x264 QP 22", "one", "40.00", "40.50", "+0.50"],
        ["", "two", "39.00", "38.88", "-0.12"],
        ["", "**mean**", "**39.50**", "**39.69**", "**+0.19**"],
        ["x264 QP 27", "one", "37.00", "37.50", "+0.50"],
    ]
    assert table.sections == [0, 3]


def test_means():
    found = made_up(x264(22), figures)
    none, ours = found.means
    assert (none.fps, none.worst) == (None, ("two", 0.0)) or none.worst[1] == 0
    assert (ours.worst, ours.fps, ours.clips) == (("two", -0.125), 20.0, 2)
    assert ours.gains["psnr_y"] == pytest.approx(0.1875)
    table = summary(found, ["psnr_y", "flicker"])
    assert list(table.header) == ["setting", "", "PSNR, dB", "worst clip's ΔPSNR", "frames/s"]
    assert cells(table)[1] == ["", "ours", "39.69 (+0.19)", "-0.12", "20.0"]
    fewer = table.without(WORST, FRAME_RATE)
    assert cells(fewer)[1] == ["", "ours", "39.69 (+0.19)"] and len(fewer.header) == 3


@pytest.mark.parametrize(("fps", "told"), [(20.0, "20.0"), (0.0312, "0.031")])
def test_slow_rates_are_not_zero(fps, told):
    found = made_up(x264(22), figures)
    means = [replace(mean, fps=mean.fps and fps) for mean in found.means]
    vars(found)["means"] = means  # a cached property
    assert cells(summary(found, ["psnr_y"]))[1][-1] == told


def coloured(clip, number, restorer):
    """Cr gains nothing, and of the second clip nothing has any chroma to gain."""
    grey, blue = clip == "two", 1.0 if restorer == "ours" else 0.0
    chroma = {} if grey else {"psnr_u": 42.0 + blue, "psnr_v": 44.0}
    return figures(clip, number, restorer) | chroma


def test_chroma():
    found = made_up(x264(22), coloured)
    ours = found.row("one", "x264 QP 22", "ours")
    assert (found.chroma_gain(ours), found.means[1].chroma_gain) == (0.5, 0.5)
    assert found.chroma_gain(found.row("two", "x264 QP 22", "ours")) is None
    table = summary(found, ["psnr_y", "psnr_u", "psnr_v"])
    assert list(table.header)[3:6] == ["PSNR of Cb, dB", "PSNR of Cr, dB", WORST]
    assert list(table.header)[6:] == ["ΔPSNR of chroma", FRAME_RATE]
    assert cells(table)[0][3:] == ["42.00", "44.00", "–", "–", "–"]
    assert cells(table)[1][3:] == ["43.00 (+1.00)", "44.00 (±0.00)", "-0.12", "+0.50", "20.0"]


def test_frames_without_an_error():
    """They have nothing to gain, so what comes of them does not count; nor do whole clips."""
    found = made_up(x264(22), figures)
    columns = {
        ("one", "none"): [40.0, 100.0, 38.0],
        ("one", "ours"): [41.0, 50.0, 40.0],
        ("two", "none"): [100.0] * 3,
        ("two", "ours"): [55.0] * 3,
    }
    rows = [replace(row, frames={"psnr_y": columns[row.clip, row.restorer]}) for row in found.rows]
    found = replace(found, rows=rows)
    gains = [found.gain(found.row(clip, "x264 QP 22", "ours"), "psnr_y") for clip in found.clips]
    assert gains == [1.5, None]
    assert (found.means[1].gains["psnr_y"], found.means[1].worst) == (1.5, ("one", 1.5))
    assert cells(gains_by_family(found)) == [
        ["x264 QP: 22", "ours", "+1.50", "+1.50 (one at 22)", "–"]
    ]


def test_gains_by_family():
    """A line for each codec, structure and mode."""
    low_delay = x264(32, 37, structure="low_delay_p")
    found = made_up([*x264(22, 27), *low_delay, Degradation("none", blur=7)], coloured)
    table = gains_by_family(found)
    assert list(table.header) == ["settings", "", "luma", "worst clip, luma", "chroma"]
    assert cells(table) == [
        ["x264 QP: 22, 27", "ours", "+0.19", "**-0.12** (two at 22)", "+0.50"],
        ["x264 QP low-delay P: 32, 37", "ours", "+0.19", "**-0.12** (two at 32)", "+0.50"],
        ["blur 7", "ours", "+0.19", "**-0.12** (two)", "+0.50"],
    ]
    first = found.gains[0]
    assert (first.settings, first.worst) == (
        ["x264 QP 22", "x264 QP 27"],
        ("two", "x264 QP 22", -0.125),
    )
    some = made_up(x264(0, 27), figures, errors=[("two", 0, "ours")])
    assert cells(gains_by_family(some)) == [
        ["x264 QP: 0, 27", "ours (3 of 4)", "+0.29", "**-0.12** (two at 27)", "–"]
    ]
    alone = replace(some, rows=[row for row in some.rows if row.restorer == "none"])
    assert gains_by_family(alone) is None and gains_of_clips(alone) == []


def test_losses_are_marked():
    (table,) = gains_of_clips(made_up(x264(22, 27), figures))
    assert table.title == "ΔPSNR of luma of each clip at x264 QP, dB; losses in bold"
    assert cells(table) == [["one", "ours", "+0.50", "+0.50"], ["two", "ours", *["**-0.12**"] * 2]]
    degradations = [*x264(22), Degradation("libx265", "qp", 22)]
    headers = [list(table.header) for table in gains_of_clips(made_up(degradations, figures))]
    assert headers == [["x264 QP", "", "22"], ["x265 QP", "", "22"]]


def test_failures():
    """They leave gaps, and are named; gains are over the clips that are left."""
    found = made_up(x264(22, 27), figures, errors=[("one", 1, "ours")])
    assert cells(failures(found)) == [["one", "x264 QP 27", "ours", "it broke"]]
    assert cells(summary(found, ["psnr_y"]))[3][:3] == [
        "",
        "ours (1 of 2 clips)",
        "35.88 (-0.12)",
    ]
    assert cells(gains_of_clips(found)[0])[0] == ["one", "ours", "+0.50", "–"]
    assert failures(made_up(x264(22), figures)) is None


def test_without_the_compressed_clip():
    """What cannot be compared has no gain."""
    found = made_up(x264(22), figures, errors=[("one", 0, "none")])
    assert found.gain(found.row("one", "x264 QP 22", "ours"), "psnr_y") is None
    assert found.means[1].gains["psnr_y"] == pytest.approx(-0.125)


def test_measures_that_were_asked_for():
    """A line for each at each setting, the better one in bold, whichever way is up."""
    found = made_up(
        x264(22, 27),
        lambda *row: (
            figures(*row)
            | {
                "vmaf": 80 + 2.5 * (row[2] == "ours"),
                "niqe": None if row[1] else 4 + (row[2] == "ours"),
            }
        ),
    )
    assert asked_measures(found) is None
    table = asked_measures(replace(found, extra_tables=["vmaf", "niqe"]))
    assert list(table.header) == ["setting", "", "compressed", "ours"]
    assert cells(table) == [
        ["x264 QP 22", "VMAF ↑", "80.00", "**82.50** (+2.50)"],
        ["", "NIQE ↓", "**4.000**", "5.000 (+1.000)"],
        ["x264 QP 27", "VMAF ↑", "80.00", "**82.50** (+2.50)"],
        ["", "NIQE ↓", "–", "–"],
    ]
    assert table.sections == [0, 2]


def test_bjontegaard():
    found = made_up(x264(22, 27, 32, 37), figures)
    (delta,) = found.deltas
    assert (delta.family, delta.restorer, delta.clips) == ("x264 QP", "ours", 2)
    # A step of QP costs 3 dB and half the rate.
    assert delta.bd_psnr == pytest.approx(0.1875)
    expected = (2 ** (-0.5 / 3) + 2 ** (0.125 / 3)) / 2 * 100 - 100
    assert delta.bd_rate == pytest.approx(expected, abs=0.01)
    assert cells(bjontegaard(found)) == [
        ["x264 QP", "ours", f"{expected:+.1f} %", "+0.19 dB", "2 of 2"]
    ]
    more = made_up([*x264(22, 27, 32, 37), *x264(22, 27, structure="intra")], figures)
    assert cells(bjontegaard(more)) == cells(bjontegaard(found)) and len(more.deltas) == 2
    few = made_up(x264(22, 27), figures)
    assert "at least 4 points" in few.deltas[0].problem and bjontegaard(few) is None


def test_families():
    names = {
        Setting.of(each).family
        for each in (
            *x264(22, 27),
            *x264(22, structure="low_delay_p"),
            Degradation("libx264", "crf", 29, max_bitrate=2000),
            Degradation("mjpeg", "quality", 7, blur=7),
            Degradation("none", blur=7),
        )
    }
    assert names == {
        "x264 QP",
        "x264 QP low-delay P",
        "x264 CRF max 2000k",
        "blur 7 JPEG",
        "blur 7",
    }


@pytest.mark.parametrize(
    ("degradations", "header"),
    [
        (x264(22), ["x264 QP", "22"]),
        (x264(22, 27, structure="low_delay_p"), ["x264 QP … low-delay P", "22", "27"]),
        (
            [*x264(22), Degradation("libx265", "qp", 22)],
            ["… QP 22", "x264", "x265"],
        ),
        (
            [Degradation("libx264", "crf", crf, max_bitrate=900) for crf in (29, 35)],
            ["x264 CRF … max 900k", "29", "35"],
        ),
    ],
)
def test_headers_are_short(degradations, header):
    assert list(main_tables(made_up(degradations, figures))[0].header) == header


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [(1.005, False, "1.00"), (None, True, "–"), (-0.001, True, "±0.00"), (0.0, True, "±0.00")],
)
def test_numbers(value, signed, text):
    assert FIGURES["psnr_y"].write(value, signed=signed) == text


def test_files(tmp_path):
    """All that is written, each complete."""
    found = made_up(x264(22, 27, 32, 37), coloured, errors=[("one", 1, "ours")])
    write_results(replace(found, extra_tables=["vmaf"]), tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "rows.csv").open()))
    assert len(rows) == 16
    assert rows[1]["restorer"] == "ours" and rows[1]["psnr_y_gain"] == "0.5"
    assert (rows[0]["chroma"], rows[0]["conversion"]) == ("decoded", "stream")
    assert rows[3]["error"] == "it broke" and rows[3]["psnr_y"] == ""
    assert [rows[1][name] for name in ("psnr_u", "psnr_v", "psnr_u_gain", "chroma_gain")] == [
        "43.0",
        "44.0",
        "1.0",
        "0.5",
    ]
    assert rows[0]["chroma_gain"] == rows[3]["chroma_gain"] == ""
    frames = list(csv.DictReader((tmp_path / "out" / "frames.csv").open()))
    assert len(frames) == 15 * 3
    assert [frames[1][name] for name in ("frame", "type", "qp", "bytes")] == ["1", "P", "", "200"]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["facts"]["machine"] == "a machine"
    assert results["rows"][1]["gains"]["psnr_y"] == results["rows"][1]["gains"]["chroma"] == 0.5
    assert results["families"][0]["chroma"] == 0.5
    assert results["bjontegaard"][0]["clips"] == 1
    report = (tmp_path / "out" / "report.md").read_text()
    for words in (
        "# Evaluation",
        "ΔPSNR by codec",
        "PSNR of Cb, dB",
        "ΔPSNR of chroma",
        "Bjøntegaard",
        "it broke",
        "- vmaf: ffmpeg 9.0, libvmaf 3.1.0, model vmaf_v0.6.1",
        "| VMAF ↑ | – | – |",
        "weights 0123456789abcdef…",
        "a machine",
    ):
        assert words in report
    curves = ["rate_distortion.png", "rate_vmaf.png"]
    pictures = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("*.png"))
    assert pictures == ["frames/one.png", "frames/two.png", "gains.png", *curves]
    for path in tmp_path.rglob("*.png"):
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).width > 400
    assert not list(tmp_path.rglob("*partial*"))


@pytest.mark.parametrize("strength", [{}, {"h264": [[22, 0], [30, 1]]}])
def test_what_identifies_a_model(strength):
    """Tables are told of in words, and only where there are some."""
    found = made_up(x264(22), figures)
    about = {"kind": "network", "weights": "0123456789abcdef0123", "strength": strength, "qp": None}
    facts = {**found.facts, "restorers": {"none": {}, "ours": about}}
    line = conditions(replace(found, facts=facts))[-1]
    words = ", less than its whole correction where its card says so" if strength else ""
    assert line == f"- ours: weights 0123456789abcdef…{words}"


def test_a_file_that_cannot_be_completed(tmp_path, monkeypatch):
    """The old one stays, and no part of the new one."""
    found = made_up(x264(22), figures)
    write_results(found, tmp_path)
    before = (tmp_path / "report.md").read_text()
    monkeypatch.setattr(files, "to_markdown", lambda evaluation: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_results(found, tmp_path)
    assert (tmp_path / "report.md").read_text() == before
    assert not list(tmp_path.rglob("*partial*"))


def test_pipes_in_names():
    table = failures(made_up(x264(22), figures, clips=("a|b",), errors=[("a|b", 0, "ours")]))
    assert "| a\\|b |" in table.to_markdown()
