"""What an evaluation measures, and what it does not do twice."""

import json
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from support.evaluations import QPS, Brighter
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise, brighter
from support.small_models import randomised
from vqe_fast import evaluate
from vqe_fast.data import prepared
from vqe_fast.data.clips import read_clip
from vqe_fast.data.color import luma_of
from vqe_fast.evaluation import Protocol, measuring, worker_setup
from vqe_fast.evaluation.evaluator import ENCODES
from vqe_fast.evaluation.journal import JOURNAL_NAME, Journal
from vqe_fast.evaluation.model_restorer import Network
from vqe_fast.metrics.frame_measure import FrameMeasure
from vqe_fast.ops import ssim


@pytest.fixture
def restored(monkeypatch):
    """Counts the clips that networks restore."""
    calls = []
    original = Network.restore

    def restore(self, case, frames):
        calls.append((case.clip, case.setting.name))
        return original(self, case, frames)

    monkeypatch.setattr(Network, "restore", restore)
    return calls


def test_figures(run, clips):
    """PSNR, SSIM and bit rate of the compressed clip, computed here from the files."""
    found = run({"brighter": brighter(3)})
    assert found.clips == ["a", "b"]
    assert found.settings == ["x264 QP 30", "x264 QP 40"]
    assert found.restorers == ["none", "brighter"]
    row = found.row("b", "x264 QP 40", "none")
    case = found.case("b", "x264 QP 40").stream
    originals = np.stack([luma_of(frame) for frame in read_clip(clips / "b.mkv").frames])
    assert row.count == 6 == len(case.sizes)
    assert row.bitrate == pytest.approx(sum(case.sizes) * 8 / (6 / 25) / 1000)
    assert row.fps is None and not row.error
    assert row.figures["ms_ssim_y"] is None, "64 rows are too few for five scales"
    before, after = row.frames["psnr_y"], found.row("b", "x264 QP 40", "brighter").frames["psnr_y"]
    assert len(before) == len(after) == len(originals)
    assert row.figures["psnr_y"] == pytest.approx(np.mean(before))
    assert row.figures["fluctuation"] == pytest.approx(np.std(before))
    assert row.figures["flicker"] is None or row.figures["flicker"] >= 0


def test_figures_of_known_frames(run, cache):
    """A model that adds a step to every sample of the stream."""
    found = run({"brighter": brighter(3)})
    stream = found.case("a", "x264 QP 40").stream
    with av.open(str(stream.path)) as container:
        compressed = np.stack([luma_of(frame) for frame in container.decode(video=0)])
    clip = json.loads((cache / "index.json").read_text())["clips"][0]
    originals = [luma_of(frame) for frame in read_clip(cache / clip["pristine"]["path"]).frames]
    row = found.row("a", "x264 QP 40", "brighter")
    for number, (luma, original) in enumerate(zip(compressed, originals, strict=True)):
        restored = np.minimum(luma.astype(int) + 3, 255)
        error = ((restored - original.astype(int)) ** 2).mean()
        psnr = 10 * np.log10(255**2 / error)
        assert row.frames["psnr_y"][number] == pytest.approx(psnr, abs=1e-9)
        pair = (torch.tensor(each)[None, None].float() / 255 for each in (restored, original))
        assert row.frames["ssim_y"][number] == pytest.approx(ssim(*pair).item(), abs=1e-6)
    assert row.fps > 0 and row.timed == "model"


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A clip with colours, and where its compressed version is kept."""
    folder = tmp_path_factory.mktemp("coloured")
    clip = write_clip(folder / "clip.mkv", codec="ffv1", size=(64, 48), frames=4)
    return clip, folder / "encodes"


def test_chroma(coloured, tmp_path):
    """PSNR of Cb and Cr for all; models of luma gain none."""
    path, cache = coloured
    shift = torch.tensor([0, 3, -2]).view(3, 1, 1) / 255
    yuv = Pointwise(lambda frames: frames + shift, replace(LUMA_SPEC, planes="yuv"))
    models = {"luma": brighter(3), "both": yuv}
    options = {"output": tmp_path, "cache": cache, "device": "cpu"}
    qp_40 = [{"codec": "libx264", "mode": "qp", "values": [40]}]
    found = evaluate([path], models, qp_40, **options)
    none, luma, both = found.rows
    originals = [planes for _, planes in read_frames(path)]
    compressed = [planes for _, planes in read_frames(found.case(none.clip, none.setting).path)]
    for index, (name, steps) in enumerate([("psnr_u", 3), ("psnr_v", -2)], start=1):
        for row, added in ((none, 0), (luma, 0), (both, steps)):
            expected = [
                peak_signal_noise_ratio(
                    planes[index], (other[index].astype(int) + added).clip(0, 255).astype(np.uint8)
                )
                for planes, other in zip(originals, compressed, strict=True)
            ]
            assert row.frames[name] == pytest.approx(expected, abs=1e-9)
    assert both.figures["psnr_y"] == none.figures["psnr_y"]
    assert found.chroma_gain(luma) == 0
    gains = [both.figures[name] - none.figures[name] for name in ("psnr_u", "psnr_v")]
    assert found.chroma_gain(both) == pytest.approx(np.mean(gains)) != 0
    assert found.facts["restorers"]["both"]["works on"] == "luma and chroma"


def test_grey_clips_have_no_chroma_to_gain(run):
    """Theirs is equal to the original's, whatever a model makes of it."""
    shift = torch.tensor([0, 1, 1]).view(3, 1, 1) / 255
    yuv = Pointwise(lambda frames: frames + shift, replace(LUMA_SPEC, planes="yuv"))
    found = run({"ours": yuv})
    for row in found.rows:
        is_spoilt = row.restorer == "ours"
        assert (row.figures["psnr_u"] < 50) == is_spoilt
        assert found.chroma_gain(row) is None


def test_figures_of_another_edition(run, restored, monkeypatch):
    """What an earlier version measured is measured anew."""
    monkeypatch.setattr(measuring, "_EDITION", measuring._EDITION - 1)
    run(["identity"])
    assert len(restored) == 4
    monkeypatch.setattr(measuring, "_EDITION", measuring._EDITION + 1)
    run(["identity"])
    assert len(restored) == 8


def test_a_model_that_does_nothing_gains_nothing(run):
    found = run(["identity"])
    for row in found.rows:
        gains = [found.gain(row, name) for name in row.figures]
        assert all(gain in (0, None) for gain in gains)
    assert all(mean.worst[1] == 0 for mean in found.means)


def test_nothing_is_done_twice(run, restored, monkeypatch):
    first = run(["identity"])
    assert len(restored) == 4
    made = []
    monkeypatch.setattr(prepared, "write_stream", lambda *_: made.append(1))
    again = run(["identity"])
    assert (len(restored), made) == (4, [])
    assert [row.to_dict() for row in again.rows] == [row.to_dict() for row in first.rows]


def test_another_model_or_measure_is_measured_anew(clips, cache, restored, tmp_path):
    model = randomised("carcnn_small")
    settings = Protocol.model_validate({"degradations": QPS})

    def count(settings=settings):
        options = {"output": tmp_path, "cache": cache, "device": "cpu"}
        evaluate([clips / "a.mkv"], {"ours": model}, settings, **options)
        return len(restored)

    assert count() == 2
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)
    assert count() == 4
    assert count(settings.model_copy(update={"chroma": "original"})) == 6
    assert count() == 6


def test_measures_that_are_asked_for(run, monkeypatch):
    """Means, each frame, gains; what another version measures is measured anew."""
    pytest.importorskip("imageio_ffmpeg", reason="no program has xpsnr: pip install imageio-ffmpeg")
    models = {"ours": Brighter(2)}
    found = run(models, metrics=["xpsnr", "vmaf", "xpsnr"])
    assert found.extra_tables == ["xpsnr", "vmaf"]
    assert found.facts["measures"]["vmaf"]["model"] == "vmaf_v0.6.1"
    for row in found.rows:
        assert len(row.frames["vmaf"]) == len(row.frames["xpsnr"]) == row.count
        assert row.figures["vmaf"] == pytest.approx(np.mean(row.frames["vmaf"]))
        assert row.figures["xpsnr"] == pytest.approx(np.mean(row.frames["xpsnr"]), abs=0.5)
    none, ours = found.rows[:2]
    assert found.gain(ours, "vmaf") == ours.figures["vmaf"] - none.figures["vmaf"] != 0
    assert models["ours"].calls == 4


def test_another_version_of_a_measure(run, monkeypatch):
    """What it measures is measured anew."""
    models = {"ours": Brighter(2)}
    for version, calls in ((1, 2), (1, 2), (2, 4)):
        about = {"version": version}
        red = FrameMeasure("dists", lambda x, y: float(x[0].mean()), about)
        monkeypatch.setattr(worker_setup, "find_measures", lambda *_, red=red: [red])
        found = run(models, [{**QPS[0], "values": [40]}], metrics=["dists"])
        assert models["ours"].calls == calls
        assert found.facts["measures"] == {"dists": about}
        assert 0 < found.rows[0].figures["dists"] < 255


def test_interrupted(run, tmp_path):
    """What was measured before Ctrl-C is kept, and nothing is encoded again."""
    models = {"ours": Brighter(1, {2: KeyboardInterrupt()})}
    with pytest.raises(KeyboardInterrupt):
        run(models, cache=None)
    lines = (tmp_path / "out" / JOURNAL_NAME).read_text().splitlines()
    assert len(lines) == 5, "three compressed clips and two restored ones"
    encoded = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / ENCODES).rglob("*.mkv")}
    assert len(encoded) == 4
    found = run(models, cache=None)
    assert models["ours"].calls == 3 + 2 and not found.failed
    assert {p: p.stat().st_mtime_ns for p in encoded} == encoded


def test_a_crash_costs_one_row(run):
    """It says why, and is tried again the next time."""
    models = {"ours": Brighter(1, {1: RuntimeError("it broke\nin detail")}), "id": Brighter(0)}
    found = run(models)
    (failed,) = found.failed
    assert (failed.clip, failed.setting, failed.error) == (
        "a",
        "x264 QP 40",
        "RuntimeError: it broke",
    )
    assert len(found.rows) == 12 and not failed.figures
    mean = next(m for m in found.means if (m.setting, m.restorer) == (failed.setting, "ours"))
    assert (mean.clips, mean.asked) == (1, 2)
    assert not run(models).failed
    assert models["ours"].calls == 5 and models["id"].calls == 4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Pointwise(lambda luma: luma[..., :32, :]), "size"),
        (Pointwise(lambda luma: luma * float("nan")), "not finite"),
    ],
)
def test_wrong_frames(run, model, message):
    found = run({"ours": model})
    assert len(found.failed) == 4
    assert all(message in row.error for row in found.failed)


def test_without_a_folder(clips, cache):
    """Then nothing is kept but the compressed clips, where those were asked to be."""
    found = evaluate([clips / "a.mkv"], [], QPS, cache=cache, frames=None)
    assert found.clips == ["a"] and found.restorers == ["none"]
    assert found.deltas == []


def test_progress(run):
    told, plans, encoding = [], [], []
    run(
        ["identity"],
        announce=plans.append,
        encoding=lambda *each: encoding.append(each),
        progress=lambda *each: told.append(each),
    )
    assert told == [(n, 8) for n in range(1, 9)]
    assert plans[0].clips == 2


def test_the_journal(tmp_path):
    with Journal(tmp_path) as journal:
        journal.put({"a": 1}, {"value": [1, None]})
        journal.put({"a": 2}, 5)
    path = tmp_path / JOURNAL_NAME
    path.write_text(path.read_text()[:-9])
    with Journal(tmp_path) as journal:
        assert journal.get({"a": 1}) == {"value": [1, None]}
        assert journal.get({"a": 2}) is None, "its line was cut off"
        journal.put({"a": 3}, 7)
    with Journal(tmp_path) as journal:
        assert (journal.get({"a": 1}), journal.get({"a": 3})) == ({"value": [1, None]}, 7)
    path.write_text("something else\n")
    with pytest.raises(ValueError, match="not what an evaluation has written: delete it"):
        Journal(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": "nothing"}, "no protocol nothing: give a .yaml file, or one of carcnn"),
        ({"settings": [{"codec": "libx264", "mode": "qp", "values": [99]}]}, "0..51, got 99"),
        ({"models": ["carcn"]}, "no model 'carcn'"),
        ({"models": ["identity", "pequenet"]}, "no weights ship"),
        ({"metrics": ["mvaf"]}, "no measure mvaf"),
        ({"device": "cuda:77"}, "cannot be used here"),
        ({"detector": "nowhere.onnx"}, "nowhere.onnx"),
        ({"frames": 0}, "frames"),
    ],
)
def test_refusals(run, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(**options)
    assert not (tmp_path / "out").exists()


def test_the_same_name_twice(run):
    program = "cmd:cp {input} {output}"
    with pytest.raises(ValueError, match="two models are called cp"):
        run([program, program + " "])


def test_the_name_of_the_compressed_clip(run):
    assert run({"none": "none", "ours": brighter(0)}, frames=2).restorers == ["none", "ours"]
    with pytest.raises(ValueError, match="none is the compressed clip: give the model another"):
        run({"none": brighter(0)})


def test_spec_is_needed(run):
    with pytest.raises(ValueError, match="has no spec"):
        run({"ours": torch.nn.Identity()})
