"""Everything that can be compared, and that it is what users would get."""

import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from support.evaluations import Brighter
from support.media import read_frames
from support.modules import LUMA_SPEC, Blend, Pointwise, Recurrent
from support.sharp_weights import MODEL, STRENGTH, ship_sharp_weights
from support.small_models import SMALL, randomised
from vqe_fast import create_model, enhance_video, evaluate
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.index import Index
from vqe_fast.data.prepared import Prepared
from vqe_fast.evaluation import command_restorer
from vqe_fast.evaluation.case import prepared_cases
from vqe_fast.evaluation.command_restorer import Command, Spp
from vqe_fast.evaluation.model_restorer import Network
from vqe_fast.evaluation.restorer import Tuned, Work
from vqe_fast.evaluation.setting import Setting
from vqe_fast.evaluation.store import FrameStore
from vqe_fast.models.published import published_names
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.video import session
from vqe_fast.video.frames.color import ColorFacts

RGB_SPEC = replace(LUMA_SPEC, planes="rgb")
YUV_SPEC = replace(LUMA_SPEC, planes="yuv")
needs_ffmpeg = pytest.mark.skipif(
    command_restorer.ffmpeg_version() is None, reason="the program ffmpeg is not installed"
)


@pytest.fixture
def case(run, cache):
    """A compressed clip."""
    run()
    clips = Prepared.open(cache).index.clips
    (clip,) = [clip for clip in clips if (clip.name, clip.frames) == ("b", 6)]
    cases = prepared_cases(Prepared(cache, Index(clips=[clip])))
    return next(case for case in cases if case.setting.name == "x264 QP 40")


def planes_by(restorer, case, folder):
    """The restored frames, each as its planes."""
    with FrameStore(folder, case.size, case.color) as frames:
        restorer.restore(case, frames)
        return [[np.array(p) for p in _planes(frame)] for frame in frames]


def _planes(frame):
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        yield rows[:, : plane.width]


@pytest.mark.parametrize(
    "model",
    [
        Pointwise(lambda luma: luma * 0.9 + 0.05),
        Pointwise(lambda rgb: rgb.flip(1) * 0.7 + 0.1, RGB_SPEC),
        Blend(1, 2, 1),
        Recurrent(),
        randomised("carcnn_small"),
        Pointwise(lambda yuv: yuv * 0.9 + 0.02, YUV_SPEC),
        randomised("dualres_s"),
    ],
    ids=["luma", "rgb", "neighbours", "recurrent", "told QPs", "yuv", "told how it was coded"],
)
def test_frames_are_those_of_enhance(model, case, tmp_path):
    """Sample for sample, chroma too; not in the precision that happens to be faster."""
    where = {"device": "cpu", "precision": "fp32"}
    enhance_video(case.path, tmp_path / "out.mkv", model, codec="ffv1", **where)
    expected = [planes for _, planes in read_frames(tmp_path / "out.mkv")]
    found = planes_by(Network(model, **where), case, tmp_path)
    assert len(found) == len(expected) == 6
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("spec", "words"),
    [(LUMA_SPEC, "luma"), (RGB_SPEC, "RGB"), (YUV_SPEC, "luma and chroma")],
)
def test_what_a_model_works_on(spec, words):
    assert Network(Pointwise(spec=spec), device="cpu").planes == words


def test_base_qp(case, tmp_path):
    """What PeQuENet is told, and a model that takes none is not."""
    told = []

    class Listens(Pointwise):
        def forward(self, luma, qp):
            told.append(float(qp))
            return luma

        def __deepcopy__(self, memo):
            return self

    model = Listens(spec=replace(LUMA_SPEC, takes_qp=True))
    restorer = Network(model, device="cpu", qp="base")
    planes_by(restorer, case, tmp_path)
    assert told[-6:] == [40] * 6
    assert restorer.identity(case)["qp"] == 40
    assert Network(Pointwise(), device="cpu", qp="base").identity(case)["qp"] is None
    crf = replace(case, setting=Setting.of(Degradation("libx264", "crf", 30)))
    assert restorer.identity(crf)["qp"] is None


def test_weights_say_which_qp(case, tmp_path):
    """That of each frame, unless they were trained with the encoder's."""
    for qp, told in (("frame", None), ("base", 40)):
        path = tmp_path / f"{qp}.safetensors"
        model = randomised("carcnn_small")
        save_weights(model, path, "carcnn_small", SMALL["carcnn_small"], qp)
        assert Network("carcnn_small", path, device="cpu").identity(case)["qp"] == told


def test_strengths_count(case, monkeypatch):
    """Weights that ship with others make other frames; a module of its own has none."""
    table = {"h264": [[22.0, 0.0], [30.0, 1.0]]}
    before = Network("carcnn_small", device="cpu").identity(case)
    monkeypatch.setattr(session, "shipped_strengths", lambda name: table)
    assert Network("carcnn_small", device="cpu").identity(case) == before | {"strength": table}
    assert Network(Pointwise(), device="cpu").identity(case)["strength"] == {}


def test_looks(run, case, tmp_path, monkeypatch):
    """Beside the faithful weights, with their strengths; a strength that is none is refused."""
    ship_sharp_weights(tmp_path, monkeypatch)
    names = [MODEL, f"{MODEL}:faithful", f"{MODEL}:sharp:0.5", f"{MODEL}:sharp"]
    found = run(names, [{"codec": "libx264", "mode": "qp", "values": [40]}])
    plain, faithful, half, sharp = (
        [found.row(clip, "x264 QP 40", name).figures for clip in found.clips] for name in names
    )
    assert plain == faithful and half not in (plain, sharp) and sharp != plain
    assert Network(MODEL, look="sharp", device="cpu").identity(case)["strength"] == STRENGTH
    with pytest.raises(ValueError, match=r"a look is faithful, sharp, or sharp:0\.5"):
        run([f"{MODEL}:sharp:2"])
    with pytest.raises(ValueError, match="no sharp weights ship for the model carcnn_small"):
        run(["carcnn_small:sharp"])


def test_weights_in_every_form(run, tmp_path):
    """A file for a named model, a file that names it itself, and the folder of a training."""
    model = randomised("carcnn_small")
    (tmp_path / "run").mkdir()
    weights = tmp_path / "run" / "weights.safetensors"
    save_weights(model, weights, "carcnn_small", SMALL["carcnn_small"])
    names = [f"carcnn_small:{weights}", str(weights), str(tmp_path / "run")]
    found = run(names, [{"codec": "libx264", "mode": "qp", "values": [40]}])
    assert found.restorers == ["none", *names]
    first, *others = [[found.row(c, "x264 QP 40", n) for c in found.clips] for n in names]
    for rows in others:
        assert [row.figures for row in rows] == [row.figures for row in first]
    hashes = {found.facts["restorers"][name]["weights"] for name in names}
    assert len(hashes) == 1


def test_published_weights(run, tmp_path):
    torch.manual_seed(0)
    model = create_model("basicvsr", scale=1, width=8, blocks=1)
    state = model.state_dict()
    names = published_names(model, "basicsr")
    torch.save(
        {"params": {theirs: state[ours] for theirs, ours in names.items()}}, tmp_path / "b.pth"
    )
    with pytest.raises(ValueError, match="does not fit"):
        run([f"pequenet:{tmp_path / 'b.pth'}"])
    with pytest.raises(ValueError, match=r"read for basicvsr and pequenet, not for carcnn"):
        run([f"carcnn:{tmp_path / 'b.pth'}"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("carcnn", "no weights ship"),
        ("carcnn_small:nowhere.safetensors", "there is no weights file nowhere"),
        ("pyproject", "there is no model 'pyproject': give none, spp, cmd:"),
        ("cmd:", "cmd: takes a command"),
        ("cmd:cp {input}", "lacks {output}"),
        ("cmd:cp 'a", "cannot be read: No closing quotation"),
        ("cmd:no-such-program {input} {output}", "no program no-such-program"),
    ],
)
def test_refused_names(run, name, message):
    with pytest.raises(ValueError, match=message):
        run([name])


def test_weights_that_do_not_say_whose(run, tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not say whose weights it holds, and fits none"):
        run([str(tmp_path / "w.safetensors")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no weights file .*empty/weights.safetensors"):
        run([str(tmp_path / "empty")])


def test_commands(run, tmp_path):
    """One that copies, one that writes nothing, and one that fails."""
    python = f"cmd:{sys.executable} -c"
    models = {
        "copy": "cmd:cp {input} {output}",
        "nothing": f"{python} pass {{input}} {{output}}",
        "fails": f"{python} 'import sys; sys.exit(\"first\\nlast\")' {{input}} {{output}}",
        "text": f'{python} \'import sys; open(sys.argv[2], "w").write("x")\' {{input}} {{output}}',
    }
    found = run(models, [{"codec": "libx264", "mode": "qp", "values": [40]}])
    rows = {name: found.row("a", "x264 QP 40", name) for name in models}
    assert found.gain(rows["copy"], "psnr_y") == 0 and rows["copy"].timed == "command"
    assert "wrote no {output}" in rows["nothing"].error
    assert rows["fails"].error.endswith("ended with code 1: last")
    assert "cannot be read as video" in rows["text"].error
    assert found.facts["restorers"]["copy"]["words"] == ["cp", "{input}", "{output}"]


@pytest.mark.parametrize(
    ("matrix", "full_range", "expected"),
    [
        # Y of (200, 50, 100): 0.299·200 + 0.587·50 + 0.114·100 = 100.55, BT.709 85.5.
        (5, True, 100.55),
        (5, False, 16 + 100.55 * 219 / 255),
        (1, True, 85.5),
    ],
)
def test_rgb_from_a_program(tmp_path, matrix, full_range, expected):
    """It counts by the matrix and range of the compressed clip."""
    picture = np.broadcast_to(np.array([200, 50, 100], np.uint8), (16, 16, 3))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    with FrameStore(tmp_path, (16, 16), ColorFacts(matrix, full_range)) as frames:
        frames.append(frame)
        (kept,) = frames
        assert kept.format.name == "yuv420p"
        assert abs(next(_planes(kept)).mean() - expected) < 1


def test_other_sizes_are_refused(tmp_path):
    with (
        FrameStore(tmp_path, (16, 16), ColorFacts(1, False)) as frames,
        pytest.raises(ValueError, match="gave frames of 32x16 for 16x16"),
    ):
        frames.append(av.VideoFrame(32, 16, "yuv420p"))


@needs_ffmpeg
def test_spp(run, case, tmp_path):
    """Each setting gets the strength that does best, and the report says which."""
    plain = planes_by(Command(("cp", "{input}", "{output}")), case, tmp_path)
    filtered = planes_by(Spp(13), case, tmp_path)
    assert any((a[0] != b[0]).any() for a, b in zip(plain, filtered, strict=True))
    found = run(["spp"])
    notes = {row.setting: row.note for row in found.rows if row.restorer == "spp"}
    assert all(note.startswith("spp=quality=6:qp=") for note in notes.values())
    assert len({row.note for row in found.rows if row.setting == "x264 QP 30"} - {""}) == 1
    about = found.facts["restorers"]["spp"]
    assert len(about["strengths"]) == 8 and about["ffmpeg"].startswith("ffmpeg version")


def test_spp_without_ffmpeg(run, monkeypatch):
    """A row that says so, and no refusal."""
    monkeypatch.setattr(command_restorer, "ffmpeg_version", lambda: None)
    found = run(["spp"])
    assert {row.error for row in found.failed} == {"not installed: spp takes the program ffmpeg"}
    assert len(found.failed) == 4
    assert not found.row("a", "x264 QP 30", "none").error


def test_the_best_strength(run):
    strengths = [Brighter(steps) for steps in (9, 1, 3)]
    found = run({"ours": Tuned(strengths)})
    assert found.restorers == ["none", "ours"]
    assert {row.note for row in found.rows if row.restorer == "ours"} == {"1 steps"}
    assert [each.calls for each in strengths] == [4, 8, 4]
    run({"ours": Tuned(strengths)})
    assert [each.calls for each in strengths] == [4, 8, 4], "trials are kept too"


def test_too_few_frames(run):
    class Lazy(Brighter):
        def restore(self, case, frames):
            return Work()

    found = run({"lazy": Lazy(1)})
    assert {row.error for row in found.failed} == {"it gave 0 frames for 6: give one for each"}


def test_other_degradations(clips, tmp_path):
    """Blurred and intra-coded versions, whose frames stand for several or are full range."""
    settings = [{"codec": "mjpeg", "mode": "quality", "values": [40]}]
    found = evaluate([clips], ["identity"], settings, output=tmp_path)
    assert not found.failed
    assert found.row("a", "JPEG 40", "identity").note in ("fp32", "bf16")
    assert all(found.gain(row, "psnr_rgb") == 0 for row in found.rows)


class Convolution(torch.nn.Module):
    """As a user writes it: weights in float32, and no casts."""

    spec = replace(LUMA_SPEC, receptive_field=3)

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, luma):
        return luma + 0.1 * self.conv(luma)


@pytest.mark.parametrize("instructions", [{}, {"avx512_bf16": True}], ids=["plain", "bfloat16"])
def test_a_module_of_ones_own(clips, tmp_path, monkeypatch, instructions):
    """At the default options, whatever the processor has: the sum with the frame needs float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    torch.manual_seed(0)
    settings = [{"codec": "libx264", "mode": "qp", "values": [40]}]
    found = evaluate([clips], {"mine": Convolution()}, settings, output=tmp_path)
    rows = [row for row in found.rows if row.restorer == "mine"]
    assert not found.failed and [row.note for row in rows] == ["fp32"] * 2
    assert all(found.gain(row, "psnr_y") != 0 for row in rows)


def test_the_quality_ensemble(run, tmp_path):
    """Told the QP of each frame, near 40, it goes to the generator for that alone."""
    options = SMALL["galteri_ensemble"]
    ensemble = randomised("galteri_ensemble")
    weights = tmp_path / "w.safetensors"
    save_weights(ensemble, weights, "galteri_ensemble", options)
    last = tmp_path / "last.safetensors"
    save_weights(ensemble.generators[-1], last, options["generator"], options["generator_options"])
    settings = [{"codec": "libx264", "mode": "qp", "values": [40]}]
    found = run([str(weights), str(last)], settings, precision="fp32")
    assert not found.failed
    for clip in found.clips:
        one, other = (found.row(clip, "x264 QP 40", str(name)) for name in (weights, last))
        assert one.figures == other.figures and one.note == "fp32, QP of each frame"
