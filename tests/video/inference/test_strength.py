"""Corrections that are applied in part or not at all, where the weights' card says so."""

import numpy as np
import pytest
import torch

from support.frames import assert_luma, enhancer_of, textured
from support.frames import lumas as lumas_of
from support.media import read_frames, write_clip
from support.modules import Pointwise
from vqe_fast.models import list_models
from vqe_fast.models.coding import CODECS, codec_code
from vqe_fast.video import enhance_video
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.strength import NONE, WHOLE, Strength, Strengths
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import ResultWriter
from vqe_fast.weights import model_of_card, shipped, shipped_strengths

H264, AV1 = codec_code("h264"), codec_code("av1")


def test_between_the_points_of_the_table():
    strengths = Strengths({"h264": [[20, 0.0], [30, 1.0, 0.5]], "other": [[0, 0.5]]})
    found = [strengths.of(H264, qp) for qp in (12, 20, 25, 30, 51)]
    assert found == [NONE, NONE, (0.5, 0.25), (1, 0.5), (1, 0.5)]
    assert strengths.of(AV1, 30) == strengths.of(0, 30) == (0.5, 0.5) and strengths.is_needed
    assert Strengths({"h264": [[20, 1.0, 0.5]]}).is_needed
    assert Strengths({"h264": [[20, 0.0]]}).of(AV1, 10) == WHOLE and not Strengths({}).is_needed


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[20, 1.5]], "must lie in 0 to 1 at ascending"),
        ([[20, 1, -1]], "must lie in 0 to 1 at ascending"),
        ([[30, 0], [20, 1]], "must lie in 0 to 1 at ascending"),
        ([[20]], "must be rows of a QP, a strength"),
    ],
)
def test_wrong_tables_are_refused(rows, sentence):
    with pytest.raises(ValueError, match=rf"the strengths for av1 {sentence}"):
        Strengths({"av1": rows})


def test_luma_and_chroma():
    frames, enhanced = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    strength = Strength(0.75, 0.25)
    found = strength.of_correction(frames, enhanced)
    assert [plane.unique().tolist() for plane in found[0]] == [[0.75], [0.25], [0.25]]
    gray = strength.of_correction(frames[:, :1], enhanced[:, :1])
    assert gray.unique().tolist() == [0.75]
    assert [each.applied for each in (WHOLE, strength, NONE)] == ["whole", "part", "none"]


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=4, size=(64, 48), options={"qp": "36", "bf": "0"})


def enhance(clip, folder, monkeypatch, table, **options):
    monkeypatch.setattr("vqe_fast.video.session.shipped_strengths", lambda name: table)
    folder.mkdir()
    options = {"model": "carcnn_small", "precision": "fp32", "codec": "ffv1"} | options
    report = enhance_video(clip, folder / "out.mkv", **options)
    return report, [planes for _, planes in read_frames(folder / "out.mkv")]


def lumas(frames):
    return np.stack([planes[0] for planes in frames]).astype(int)


def test_part_of_the_correction(clip, tmp_path, monkeypatch):
    """Half of it, to rounding; the report tells how many frames got how much."""
    before = lumas([planes for _, planes in read_frames(clip)])
    report, whole = enhance(clip, tmp_path / "whole", monkeypatch, {"hevc": [[0, 0.0]]})
    assert report.applied == {"whole": 4}
    report, half = enhance(clip, tmp_path / "half", monkeypatch, {"h264": [[0, 0.5]]})
    assert report.applied == {"part": 4}
    wanted = before + (lumas(whole) - before) / 2
    assert np.abs(lumas(half) - wanted).max() <= 0.75 and (lumas(half) != before).any()


@pytest.mark.parametrize("model", ("carcnn_small", "galteri_very_fast"))
@pytest.mark.parametrize("options", ({}, {"segment_seconds": 0.08}), ids=("one pass", "segments"))
def test_none_of_it(clip, tmp_path, monkeypatch, model, options):
    """Frames come out as they are, also under a model that is not told QPs."""
    table = {"other": [[30, 1.0], [31, 0.0]]}
    report, frames = enhance(clip, tmp_path / "none", monkeypatch, table, model=model, **options)
    assert report.applied == {"none": 4} and report.qp_sources == {"stream": 4}
    for (_, old), new in zip(read_frames(clip), frames, strict=True):
        assert all(map(np.array_equal, old, new))


def test_none_of_it_costs_nothing(monkeypatch):
    """Such a frame is not even taken to the device, and the ones before it come first."""
    frames = [textured(number) for number in range(5)]
    enhancer = enhancer_of(Pointwise(lambda luma: 1 - luma), frames[0])
    taken, upload = [], enhancer._transfer.upload

    def counted(frame, count):
        taken.append(frame.pts)
        return upload(frame, count)

    monkeypatch.setattr(enhancer._transfer, "upload", counted)
    before = lumas_of(frames)
    given = [WHOLE, NONE, NONE, WHOLE, NONE]
    bundles = [
        FrameBundle(frame=frame, coding=FrameCoding(30.0, strength=strength))
        for frame, strength in zip(frames, given, strict=True)
    ]
    write, order = ResultWriter(1), []
    for bundle in enhancer(bundles):
        write(bundle)
        order.append(bundle)
    assert order == bundles and taken == [0, 3]
    expected = torch.stack(
        [
            1 - luma if strength == WHOLE else luma
            for luma, strength in zip(before, given, strict=True)
        ]
    )
    assert_luma(frames, expected)


def test_order_is_kept_among_frames(clip, tmp_path, monkeypatch):
    """Some frames of a clip are left alone, others not."""
    qps = iter([30.0, 40.0, 30.0, 40.0])
    monkeypatch.setattr("vqe_fast.video.qp.provider._limited", lambda qp: next(qps))
    table = {"h264": [[35, 0.0], [36, 1.0]]}
    report, frames = enhance(clip, tmp_path / "some", monkeypatch, table)
    assert report.applied == {"whole": 2, "none": 2}
    kept = [
        np.array_equal(old[0], new[0])
        for (_, old), new in zip(read_frames(clip), frames, strict=True)
    ]
    assert kept == [True, False, True, False]


def test_weights_of_ones_own_are_applied_whole(clip, tmp_path, monkeypatch):
    from importlib import resources

    path = resources.files("vqe_fast.weights") / "carcnn_small.safetensors"
    table = {"other": [[0, 0.0]]}
    report, _ = enhance(clip, tmp_path / "own", monkeypatch, table, weights=path)
    assert report.applied == {"whole": 4}


@pytest.mark.parametrize(
    "name", [card for card in shipped() if model_of_card(card) in list_models()]
)
def test_tables_that_ship(name):
    """They name codecs that exist, and leave next to lossless video alone."""
    table = shipped_strengths(name)
    assert set(table) <= {*CODECS, "other"}
    strengths = Strengths(table)
    for codec in range(len(CODECS)):
        light, heavy = strengths.of(codec, 10), strengths.of(codec, 51)
        assert heavy.luma >= light.luma and heavy.chroma >= light.chroma
    assert strengths.of(H264, 10) == NONE
