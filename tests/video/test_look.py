"""``--look``: between the faithful weights that ship and the sharp ones."""

import compare_looks
import pytest
import torch

from support.media import read_frames, write_clip
from support.sharp_weights import MODEL, STRENGTH, ship_sharp_weights
from tests.cli.test_enhance import assert_refused, run
from vqe_fast import create_model
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.inference.load import find_model
from vqe_fast.video.look import FAITHFUL, Look
from vqe_fast.video.segments.fingerprint import fingerprint_of
from vqe_fast.video.session import EnhanceSession
from vqe_fast.weights import shipped_strengths


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mkv", size=(64, 48), frames=3, options={"qp": "36"})


@pytest.fixture
def sharp(tmp_path, monkeypatch):
    return ship_sharp_weights(tmp_path, monkeypatch)


def enhanced(clip, name, **options):
    report = enhance_video(
        clip, clip.with_name(name), MODEL, precision="fp32", codec="ffv1", **options
    )
    return report, [planes for _, planes in read_frames(clip.with_name(name))]


@pytest.mark.parametrize(
    ("text", "strength", "shown"),
    [
        ("faithful", 0, "faithful"),
        ("sharp", 1, "sharp"),
        ("sharp:0.25", 0.25, "sharp:0.25"),
        ("sharp:.5", 0.5, "sharp:0.5"),
        ("sharp:1", 1, "sharp"),
        ("sharp:0", 0, "faithful"),
    ],
)
def test_texts(text, strength, shown):
    assert Look.parse(text) == Look(strength) and str(Look.parse(text)) == shown
    assert Look.is_meant(text)


@pytest.mark.parametrize(
    "text",
    ["", "soft", "Sharp", "sharp:", "sharp:1.5", "sharp:-1", "sharp:nan", "faithful:1", "0.5"],
)
def test_other_texts(text):
    with pytest.raises(VideoError, match=r"a look is faithful, sharp, or sharp:0\.5"):
        Look.parse(text)


def test_weights_are_interpolated(sharp):
    for strength in (0.0, 0.25, 1.0):
        network = find_model(MODEL, None, look=Look(strength))
        for name, value in network.state_dict().items():
            before, after = (state[name].float() for state in sharp)
            torch.testing.assert_close(value, before + strength * (after - before))
            if strength in (0, 1):
                assert torch.equal(value, after if strength else before)


def test_faithful_changes_nothing(clip, sharp):
    report, plain = enhanced(clip, "a.mkv")
    _, faithful = enhanced(clip, "b.mkv", look="faithful")
    _, zero = enhanced(clip, "c.mkv", look="sharp:0")
    assert report.options["look"] == "faithful"
    for frames in (faithful, zero):
        assert all(
            (a == b).all()
            for one, two in zip(plain, frames, strict=True)
            for a, b in zip(one, two, strict=True)
        )


def test_of_a_file(clip, sharp, tmp_path):
    """The report and the tag tell the look; segments give the same."""
    plain, faithful = enhanced(clip, "a.mkv")
    report, frames = enhanced(clip, "b.mkv", look="sharp:0.50")
    assert report.options["look"] == "sharp:0.5" and report.weights != plain.weights
    assert any((a[0] != b[0]).any() for a, b in zip(faithful, frames, strict=True))
    _, of_workers = enhanced(clip, "c.mkv", look="sharp:0.5", segment_seconds=0.04)
    assert all((a[0] == b[0]).all() for a, b in zip(frames, of_workers, strict=True))
    told = run("enhance", clip.with_name("b.mkv"), tmp_path / "d.mkv", "--report", "-").stdout
    assert f"model {MODEL}, look sharp:0.5 (weights {report.weights[:12]})" in told


def test_strengths_are_interpolated(sharp):
    """That of a correction, too, which each card tells for its own weights."""
    from vqe_fast.video.inference.strength import Strengths, interpolated

    faithful = shipped_strengths(MODEL)
    table = interpolated(faithful, STRENGTH, 0.25)
    assert interpolated(faithful, STRENGTH, 0) is faithful
    assert interpolated(faithful, STRENGTH, 1) is STRENGTH
    first, second, found = (Strengths(each) for each in (faithful, STRENGTH, table))
    for codec in range(5):
        for qp in (8, 14, 21.5, 25, 31, 33, 51):
            one, two = first.of(codec, qp), second.of(codec, qp)
            expected = [a + (b - a) / 4 for a, b in zip(one, two, strict=True)]
            assert list(found.of(codec, qp)) == pytest.approx(expected)


def test_what_a_session_applies(clip, sharp, tmp_path):
    from vqe_fast.video.options import EncodeOptions, ModelOptions

    def session(look):
        asked = ModelOptions(model=MODEL, look=look)
        return EnhanceSession(clip, tmp_path / "o.mkv", asked, EncodeOptions())

    looks = {look: session(look) for look in ("faithful", "sharp:0.5", "sharp", "sharp:1")}
    assert looks["sharp"].strengths.of(1, 40) == (0.5, 0.5)
    assert looks["sharp:0.5"].strengths.of(1, 40) == pytest.approx((0.75, 0.69))
    prints = [fingerprint_of(each) for each in looks.values()]
    assert len(set(prints)) == 3 and prints[2] == prints[3]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--look", "soft"), "a look is faithful, sharp, or sharp:0.5"),
        (
            ("--look", "sharp", "--quality", "best"),
            "no sharp weights ship for the model dualres_t (they do for: dualres_s, galteri_fast",
        ),
        (
            ("--look", "sharp", "--model", "identity"),
            "no sharp weights ship for the model identity",
        ),
        (
            ("--look", "sharp:0.5", "--weights", "w.safetensors", "--model", MODEL),
            "leave out the look, or the weights of your own",
        ),
    ],
)
@pytest.mark.parametrize("command", ["enhance", "preview"])
def test_refusals(clip, sharp, command, words, sentence):
    before = sorted(clip.parent.iterdir())
    assert_refused(run(command, clip, *words), sentence)
    assert sorted(clip.parent.iterdir()) == before


def test_a_module_has_no_look(clip, sharp):
    with pytest.raises(VideoError, match="a look was given for a module"):
        enhance_video(clip, clip.with_name("o.mkv"), create_model("identity"), look="sharp")
    find_model(create_model("identity"), None, look=FAITHFUL)


def test_models_tell(sharp, monkeypatch):
    monkeypatch.setattr("vqe_fast.models.list_models", lambda: [MODEL])
    rows = run("models").stdout.splitlines()
    (row,) = (row for row in rows if row.startswith(f"{MODEL} "))
    assert row.rstrip().endswith("ship, sharp")


@torch.no_grad()
def test_ways_that_are_compared(sharp):
    """``benchmarks/compare_looks.py``: outputs lie between those of the ends, weights near them."""
    found = compare_looks.looks(MODEL, None)
    frames = torch.rand(1, 3, 24, 24)
    made = {name: model(frames, 37.0) for name, model in found.items()}
    first, last = made["weights 0"], made["weights 1"]
    torch.testing.assert_close(made["outputs 0.25"], first.lerp(last, 0.25))
    for strength in ("0.25", "0.5", "0.75"):
        off = made[f"weights {strength}"] - made[f"outputs {strength}"]
        assert 0 < off.square().mean() < (last - first).square().mean() / 4
