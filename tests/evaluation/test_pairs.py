"""Pairs that exist: layouts, two files, two folders."""

import sys
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from support.clips import moving_texture, smooth_noise, write_png
from support.evaluations import Brighter
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast import evaluate
from vqe_fast.cli.app import app
from vqe_fast.data.color import luma_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.data.layouts import find_pairs
from vqe_fast.data.readers import read_mfqe
from vqe_fast.evaluation import Protocol, write_results
from vqe_fast.evaluation.comparable import RGB, comparable, for_files
from vqe_fast.evaluation.model_restorer import Network
from vqe_fast.ops import ssim
from vqe_fast.video.frames.color import BT709, ColorFacts

QPS = (22, 27, 32, 37)
NAME = "Walk_96x64_6"
RGB_SPEC = replace(LUMA_SPEC, planes="rgb")


def write_raw(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame.to_ndarray().tobytes() for frame in frames))


def write_bitstream(path, frames, qp):
    """HEVC as the test model writes it: Annex B, no container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    setting = Degradation("libx265", "qp", qp, structure="low_delay_p")
    with av.open(str(path), "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=25, options=setting.encoder_options())
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_pictures(folder, count, change=lambda pixels: pixels, size=(32, 48)):
    folder.mkdir(parents=True)
    for number in range(count):
        texture = smooth_noise(*size, number)
        pixels = np.stack([texture, 255 - texture, texture // 4], -1)
        write_png(folder / f"{number:06}.png", change(pixels).astype(np.uint8))


def brighter(pixels):
    return np.minimum(pixels.astype(int) + 3, 255)


@pytest.fixture(scope="module")
def mfqe(tmp_path_factory):
    """Raw originals; bitstreams at four QPs, beside one of them what it decodes to."""
    root = tmp_path_factory.mktemp("mfqe")
    frames = moving_texture(6)
    write_raw(root / "raw" / f"{NAME}.yuv", frames)
    for qp in QPS:
        write_bitstream(root / "HM16.5_LDP" / f"QP{qp}" / f"{NAME}.bin", frames, qp)
    write_raw(root / "HM16.5_LDP" / "QP37" / f"{NAME}.yuv", moving_texture(6))
    return root


@pytest.fixture
def run(tmp_path):
    def run(places, pairs, models=(), **options):
        options = {"output": tmp_path / "out", "device": "cpu"} | options
        return evaluate(places, models, pairs=pairs, **options)

    return run


def test_bitstreams_against_raw_originals(mfqe, run):
    """QPs, types and sizes are the stream's; four rates have a BD-rate."""
    found = run([mfqe], "mfqe", {"brighter": Brighter(1)})
    assert found.settings == [f"HM16.5_LDP QP{qp}" for qp in QPS]
    assert found.clips == [NAME] and not found.failed
    case = found.case(NAME, "HM16.5_LDP QP37")
    assert case.stream.qp == [34, 37, 37, 37, 37, 37] and case.stream.types == "IPPPPP"
    assert sum(case.stream.sizes) == case.path.stat().st_size
    assert (case.setting.codec, case.setting.value, case.setting.base_qp) == ("hevc", 37, 37)
    row = found.row(NAME, case.setting.name, "none")
    assert row.bitrate == pytest.approx(case.path.stat().st_size * 8 * 25 / 6 / 1000)
    with av.open(str(case.path)) as container:
        decoded = [luma_of(frame) for frame in container.decode(video=0)]
    originals = [luma_of(frame) for frame in moving_texture(6)]
    errors = [((a - b.astype(float)) ** 2).mean() for a, b in zip(decoded, originals, strict=True)]
    assert row.frames["psnr_y"] == pytest.approx(list(10 * np.log10(255**2 / np.array(errors))))
    (delta,) = found.deltas
    assert delta.family == "HM16.5_LDP QP" and delta.bd_rate is not None


def test_training_reads_bitstreams_too(mfqe, tmp_path):
    (clip,) = read_mfqe(mfqe, tmp_path)
    assert clip.qp("HM16.5_LDP QP37").tolist() == [34, 37, 37, 37, 37, 37]
    assert clip.base_qp("HM16.5_LDP QP37") == 37


def test_two_files_of_one_name(mfqe, tmp_path):
    """Which of them is meant cannot be known, unless one is what the other decodes to."""
    (tmp_path / "a_8x8.mkv").touch()
    (tmp_path / "a_8x8.mp4").touch()
    with pytest.raises(ValueError, match=r"a_8x8\.mp4 are both called a_8x8: rename or remove one"):
        find_pairs(mfqe / "raw", {"x": tmp_path})
    found = find_pairs(mfqe / "raw", {"x": mfqe / "HM16.5_LDP" / "QP37", "y": mfqe / "raw"})
    assert [path.suffix for path in found.clips[0].versions.values()] == [".bin", ".yuv"]


def test_a_model_is_told_the_qps_of_a_bitstream(mfqe, run):
    told = []

    class Listens(Pointwise):
        def forward(self, luma, qp):
            told.append(float(qp))
            return luma

        def __deepcopy__(self, memo):
            return self

    spec = replace(LUMA_SPEC, takes_qp=True)
    network = Network(Listens(spec=spec), device="cpu", precision="fp32")
    place = mfqe / "HM16.5_LDP" / "QP37"
    files = [mfqe / "raw" / f"{NAME}.yuv", place / f"{NAME}.bin", place / f"{NAME}.yuv"]
    del told[:]
    found = run(files[:2], "files", {"listens": network}, frames=4)
    assert not found.failed and told[-4:] == [34, 37, 37, 37]
    assert found.row(NAME, "QP37", "listens").count == 4
    found = run([files[0], files[2]], "files", {"listens": network})
    assert not found.failed and told[-6:] == [37] * 6, "the folder tells"


def test_qp_of_frames_that_tell_none(mfqe, run, tmp_path):
    """Nor does their name: then an option does."""
    original = mfqe / "raw" / f"{NAME}.yuv"
    write_raw(tmp_path / "decoded_96x64.yuv", moving_texture(6))
    found = run([original, tmp_path / "decoded_96x64.yuv"], "files", qp=31)
    (case,) = found.cases
    assert case.setting.base_qp == 31 and case.setting.value is None
    assert found.row(NAME, "decoded_96x64", "none").figures["psnr_y"] == 100
    assert found.row(NAME, "decoded_96x64", "none").bitrate is None


def test_raw_files_whose_names_tell_no_size(mfqe, run, tmp_path):
    """The bitstream tells, of either number of bits."""
    stream = mfqe / "HM16.5_LDP" / "QP37" / f"{NAME}.bin"
    write_raw(tmp_path / "walk.yuv", moving_texture(6))
    (plain,) = run([mfqe / "raw" / f"{NAME}.yuv", stream], "files").rows
    (told,) = run([tmp_path / "walk.yuv", stream], "files", output=None).rows
    assert told.figures == plain.figures and told.setting == "QP37", (
        "as the folder, which tells more"
    )
    refused(run, [tmp_path / "walk.yuv"] * 2, "does not tell its size")


def test_without_rates_there_is_no_curve(run, tmp_path):
    write_pictures(tmp_path / "a" / "x", 2)
    write_pictures(tmp_path / "b" / "x", 2, brighter)
    found = run([tmp_path / "a", tmp_path / "b"], "files")
    write_results(found, tmp_path / "results")
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert "rate_distortion.png" not in names and {"rows.csv", "frames.csv", "report.md"} <= names
    assert ",,4," not in (tmp_path / "results" / "rows.csv").read_text()


@pytest.fixture
def gopro(tmp_path):
    for clip in ("GOPR0384_11_00", "GOPR0385_11_01"):
        write_pictures(tmp_path / "test" / clip / "sharp", 2)
        write_pictures(tmp_path / "test" / clip / "blur", 2, brighter)
    write_pictures(tmp_path / "test" / "GOPR0384_11_00" / "blur_gamma", 2, brighter)
    write_pictures(tmp_path / "test" / "GOPR0396_11_00" / "sharp", 2)
    return tmp_path / "test"


def test_gopro_is_compared_in_rgb(gopro, run):
    """PSNR and SSIM are of the pictures as they are, after a model too."""
    same = Pointwise(lambda rgb: rgb, RGB_SPEC)
    found = run([gopro], "gopro", {"same": same}, settings="multiscale")
    texture = smooth_noise(32, 48, 0)
    before = np.stack([texture, 255 - texture, texture // 4]).astype(np.uint8)
    after = brighter(before).astype(np.uint8)
    error = ((after.astype(float) - before) ** 2).mean()
    images = (torch.tensor(each)[None].float() / 255 for each in (after, before))
    expected = 10 * np.log10(255**2 / error), ssim(*images).item()
    for restorer in ("none", "same"):
        row = found.row("GOPR0384_11_00", "blur", restorer)
        assert row.frames["psnr_rgb"][0] == pytest.approx(expected[0])
        assert row.frames["ssim_rgb"][0] == pytest.approx(expected[1], abs=1e-6)
    assert found.tables == ["psnr_rgb", "ssim_rgb"]


def test_what_lacks_is_named(gopro, run, tmp_path):
    found = run([gopro], "gopro")
    assert found.tables == ["psnr_rgb", "ssim_rgb"]
    assert any("left out: GOPR0396_11_00/sharp" in note for note in found.notes)
    assert any("compared in RGB" in note for note in found.notes)
    (failed,) = found.failed
    assert (failed.clip, failed.setting) == ("GOPR0385_11_01", "blur_gamma")
    assert failed.error == "there is no compressed version of it"
    write_results(found, tmp_path / "results")


@pytest.mark.parametrize("seed", range(3))
def test_every_colour_comes_back(seed):
    """What models take holds every RGB value of 8 bits."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pixels[:2] = [[[0, 0, 0]], [[255, 0, 255]]]
    frame = for_files(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    assert frame.format.name == "yuv444p10le"
    back = comparable(frame, RGB, ColorFacts(BT709, full_range=False))
    assert np.array_equal(back.to_ndarray(format="rgb24"), pixels)


def test_ldv_folders_of_frames(run, tmp_path):
    write_pictures(tmp_path / "gt" / "001", 2)
    write_pictures(tmp_path / "QP37" / "001", 2, brighter)
    found = run([tmp_path], "ldv", {"brighter": Brighter(0)})
    assert found.settings == ["QP37"] and not found.failed


def test_rgb_against_a_stream(run, tmp_path):
    """Originals of RGB: the stream's own matrix makes RGB of it."""
    write_pictures(tmp_path / "gt", 3, size=(64, 96))
    frames = [
        av.VideoFrame.from_ndarray(np.full((64, 96, 3), 90, np.uint8), format="rgb24")
        for _ in range(3)
    ]
    for frame in frames:
        frame.pts = None
    encode(
        [comparable(frame, "yuv420p", ColorFacts(5, full_range=False)) for frame in frames],
        Degradation("libx264", "qp", 20),
        Fraction(25),
        tmp_path / "grey.mkv",
    )
    found = run([tmp_path / "gt", tmp_path / "grey.mkv"], "files", {"same": Brighter(0)})
    (case,) = found.cases
    assert case.pixel_format == RGB and case.rate == 25 and not found.failed
    texture = smooth_noise(64, 96, 0)
    original = np.stack([texture, 255 - texture, texture // 4]).astype(float)
    expected = 10 * np.log10(255**2 / ((original - 90) ** 2).mean())
    assert found.row("gt", "grey", "none").frames["psnr_rgb"][0] == pytest.approx(expected, abs=0.1)


def test_it_goes_on(mfqe, run):
    """Nothing is measured twice, unless a file has changed."""
    pair = [mfqe / "raw" / f"{NAME}.yuv", mfqe / "HM16.5_LDP" / "QP22" / f"{NAME}.bin"]
    model = Brighter(2)
    first = run(pair, "files", {"b": model})
    again = run(pair, "files", {"b": model})
    assert model.calls == 1
    assert [row.to_dict() for row in again.rows] == [row.to_dict() for row in first.rows]
    run([pair[0], mfqe / "HM16.5_LDP" / "QP27" / f"{NAME}.bin"], "files", {"b": model})
    assert model.calls == 2


def test_workers(mfqe, run):
    """Rows and figures are those of one process."""
    alone = run([mfqe], "mfqe", {"b": Brighter(2)})
    together = run([mfqe], "mfqe", {"b": Brighter(2)}, processes=2, output=None)
    assert [row.figures for row in alone.rows] == [row.figures for row in together.rows]


def test_a_program_gets_a_file_of_the_frames_compared(mfqe, run, tmp_path):
    """Of raw frames a copy without loss; of a stream that is compared in part that part."""
    script = tmp_path / "copy.py"
    script.write_text("import shutil, sys\nshutil.copy(sys.argv[1], sys.argv[2])\n")
    command = f"cmd:{sys.executable} {script} {{input}} {{output}}"
    place = mfqe / "HM16.5_LDP" / "QP37"
    files = [mfqe / "raw" / f"{NAME}.yuv", place / f"{NAME}.yuv", place / f"{NAME}.bin"]
    for compressed, frames in ((files[1], None), (files[2], 3)):
        found = run([files[0], compressed], "files", {"copy": command}, frames=frames)
        before, after = (found.row(NAME, "QP37", name) for name in ("none", "copy"))
        assert not found.failed and dict(before.frames) == dict(after.frames)
        assert len(after.frames["psnr_y"]) == (frames or 6)


def test_ten_bits_are_named(run, tmp_path):
    for name, level in (("a_32x32_10bit", 400), ("b_32x32_10bit", 404)):
        samples = np.full(32 * 32 * 3 // 2 * 2, level, "<u2")
        (tmp_path / f"{name}.yuv").write_bytes(samples.tobytes())
    found = run([tmp_path / "a_32x32_10bit.yuv", tmp_path / "b_32x32_10bit.yuv"], "files")
    assert "frames of yuv420p10le are compared after conversion to 8-bit 4:2:0" in found.notes
    psnr = found.rows[0].figures["psnr_y"]
    assert psnr == pytest.approx(10 * np.log10(255**2), abs=0.01)


def refused(run, places, message, pairs="files", **options):
    with pytest.raises(ValueError, match=message):
        run(places, pairs, **options)


def test_pairs_that_do_not_belong_together(run, tmp_path):
    write_raw(tmp_path / "a_96x64.yuv", moving_texture(4))
    write_raw(tmp_path / "b_96x64.yuv", moving_texture(3))
    write_raw(tmp_path / "c_64x64.yuv", moving_texture(4, 64, 64))
    a, b, c = (tmp_path / name for name in ("a_96x64.yuv", "b_96x64.yuv", "c_64x64.yuv"))
    refused(run, [a, b], "b_96x64.yuv has 3 frames, its original .*a_96x64.yuv 4: .* the first 3")
    refused(run, [a, c], "c_64x64.yuv is 64x64, its original .*a_96x64.yuv 96x64: scale or crop")
    refused(run, [a], "takes ORIGINAL COMPRESSED, got .* alone")
    refused(run, [a, tmp_path], "must be of a kind")
    refused(run, [a, tmp_path / "no.mkv"], "there is no .*no.mkv")
    refused(run, [a, b], "takes the folder of the data set", pairs="mfqe")
    refused(run, [a, b], "pairs are files, mfqe, ldv, gopro, got 'vimeo'", pairs="vimeo")
    refused(run, [a, b], "without size", settings=Protocol(size=(64, 64), frames=2))
    refused(run, [a, b], "leave the cache", cache=tmp_path)
    refused(run, [a, b], "or a protocol without degradations", settings="carcnn")
    assert run([a, b], "files", frames=3).rows[0].count == 3


def test_protocols_with_a_colour_of_their_own(gopro, run):
    protocol = Protocol(chroma="original")
    with pytest.raises(ValueError, match="makes RGB of Y'CbCr in its own way"):
        run([gopro], "gopro", settings=protocol)


def test_encoding_takes_settings(tmp_path):
    with pytest.raises(ValueError, match="give settings, or pairs"):
        evaluate([tmp_path], [])
    with pytest.raises(ValueError, match="a QP of its own goes with pairs"):
        evaluate([tmp_path], [], [{"codec": "libx264", "mode": "qp", "values": [30]}], qp=3)


def test_on_the_command_line(mfqe, tmp_path):
    """Without a model the pairs are measured as they are."""

    def call(*words):
        words = ["evaluate", *words, "--output", tmp_path / "out", "--device", "cpu"]
        return CliRunner().invoke(app, [str(word) for word in words])

    result = call("--pairs", "mfqe", mfqe)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "HM16.5_LDP QP37" in result.stdout and "identity" not in result.stdout
    pair = mfqe / "raw" / f"{NAME}.yuv", mfqe / "HM16.5_LDP" / "QP37" / f"{NAME}.bin"
    result = call("--pairs", "files", *pair, "--model", "identity", "--frames", "2")
    assert result.exit_code == 0 and "(±0.00)" in result.stdout
    for words, message in (
        (("--crf", "30"), "leave --crf and --max-bitrate out"),
        (("--qp", "22,27"), "--qp takes one QP such as 37, got '22,27'"),
    ):
        result = call("--pairs", "files", *pair, *words)
        assert result.exit_code == 2 and message in " ".join(result.stderr.split())
