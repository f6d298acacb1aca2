"""What is measured is what enhancement writes, sample for sample."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.frames import textured, two_scenes
from support.media import read_frames
from support.modules import LUMA_SPEC, Blend, Pointwise, Recurrent, StreamedBlend, brighter
from support.pairs import prepare_clip, write_lossless
from support.small_models import randomised
from vqe_fast import enhance_video
from vqe_fast.data.clips import stored_frames
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.pairs import Decoded, PairedClip, Variant
from vqe_fast.models.coding import codec_code, frame_type_code
from vqe_fast.models.inference import prepare_inference
from vqe_fast.training.full_frames import restored_frames
from vqe_fast.training.gains import compare, measure
from vqe_fast.video.inference.strength import Strengths

CPU = torch.device("cpu")
QP_37 = Degradation("libx265", "qp", 37, preset="ultrafast")
YUV_SPEC = replace(LUMA_SPEC, planes="yuv")
CUT, FRAMES = 40, 100


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A clip of two scenes, and the file of its compressed version."""
    folder, draw = tmp_path_factory.mktemp("coded"), two_scenes(CUT)
    frames = [textured(number) for number in range(FRAMES)]
    for frame in frames:
        draw(frame)
    clip = prepare_clip(frames, [QP_37], folder)
    (file,) = (path for path in (folder / "cache" / "streams").iterdir() if "x265" in path.name)
    assert clip.cuts == (CUT,)
    return clip, file


def enhanced(model, file, folder):
    """The planes of the frames that enhancement writes, each (T, h, w), and its report."""
    where = {"device": "cpu", "precision": "fp32", "codec": "ffv1"}
    report = enhance_video(file, folder / "out.mkv", model, **where)
    frames = [planes for _, planes in read_frames(folder / "out.mkv")]
    return [np.stack(plane) for plane in zip(*frames, strict=True)], report


def restored(model, clip, setting, numbers, **options):
    """The frames, of the model as :func:`measure` makes it ready."""
    ready, _ = prepare_inference(model, device=CPU, precision="fp32")
    return list(restored_frames(ready, clip, setting, numbers, device=CPU, **options))


def as_stored(planes, clip, model):
    """Planes as pairs of clips have them."""
    if model.spec.planes == "y":
        return planes[0]
    return np.concatenate([plane.reshape(clip.shape[0], -1) for plane in planes], axis=1)


MODELS = {
    "single frames": lambda: Pointwise(lambda luma: luma * 0.9 + 0.05),
    "told QPs": lambda: randomised("carcnn_small"),
    "neighbours": lambda: Blend(1, 2, 3),
    "further neighbours": lambda: Blend(1, 2, 3, 4, 5),
    "streamed": lambda: StreamedBlend(1, 2, 3),
    "recurrent": Recurrent,
    "luma and chroma": lambda: Pointwise(lambda yuv: yuv * 0.8 + 0.1, YUV_SPEC),
    "told how it was coded": lambda: randomised("dualres_s"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_measured_frames_are_those_of_enhance(kind, coded, tmp_path):
    """Of a real stream, with a scene cut, over more frames than a recurrent model sees at once."""
    clip, file = coded
    model = MODELS[kind]()
    planes, report = enhanced(model, file, tmp_path)
    assert report.scene_cuts in (None, 1)
    found = np.stack(restored(model, clip, QP_37.name, range(FRAMES)))
    np.testing.assert_array_equal(found, as_stored(planes, clip, model))
    (row,) = measure(model, [clip])
    pristine = clip.pristine("y")
    assert (row.psnr_after, row.ssim_after) == compare(planes[0], pristine)
    assert (row.chroma_after is None) == (model.spec.planes == "y")


def test_recurrent_models_see_the_same_clips(coded, tmp_path):
    clip, file = coded
    model = Recurrent()
    enhanced(model, file, tmp_path)
    assert model.lengths[-3:] == [CUT, 48, 24]
    model.lengths.clear()
    measure(model, [clip])
    assert model.lengths == [CUT, 48, 24]


@pytest.mark.parametrize("kind", MODELS)
def test_some_of_the_frames(kind, coded):
    """They are what they are among all."""
    clip, _ = coded
    model = MODELS[kind]()
    whole = restored(model, clip, QP_37.name, range(FRAMES))
    some = [0, 3, CUT - 1, CUT, 51, 52, FRAMES - 1]
    found = restored(model, clip, QP_37.name, some)
    for number, frame in zip(some, found, strict=True):
        np.testing.assert_array_equal(frame, whole[number])


@pytest.mark.parametrize(
    ("weights", "expected"),
    # Of 0, 50 and 99 the neighbours too; at the ends of the clip there is one.
    [((1,), 3), ((1, 2, 1), 2 + 3 + 2), ((1, 2, 3, 2, 1), 3 + 5 + 3)],
)
def test_no_more_is_computed(weights, expected, coded):
    calls = []

    class Counts(Blend):
        def forward(self, frames):
            calls.append(1)
            return super().forward(frames)

    model = Counts(*weights)
    if len(weights) == 1:
        model = Pointwise(lambda luma: calls.append(1) or luma)
    restored(model, coded[0], QP_37.name, [0, 50, 99])
    assert len(calls) == expected


def test_part_of_a_correction(coded):
    """By codec and QP, as the card of weights that ship says."""
    clip, _ = coded
    strengths = Strengths({"hevc": [[0, 0.5]]})
    ready, _ = prepare_inference(brighter(8), device=CPU, precision="fp32")
    frames = restored_frames(ready, clip, QP_37.name, [3], device=CPU, strengths=strengths)
    expected = clip.compressed("y", QP_37.name)[3].astype(int) + 4
    np.testing.assert_array_equal(next(frames), expected.clip(0, 255))


@pytest.mark.parametrize("kind", [Recurrent, Pointwise])
def test_nothing_is_asked_for(kind, coded):
    assert restored(kind(), coded[0], QP_37.name, []) == []


def test_the_qps_of_other_frames_do_not_matter(repeating):
    clip, _ = repeating
    qps = np.full(len(MOMENTS), np.nan, np.float32)
    qps[4] = 30
    known = replace(clip, settings={"lossless": replace(clip.settings["lossless"], qp=qps)})
    told = []

    class Listens(Pointwise):
        def forward(self, frames, qp):
            told.append(qp)
            return frames

    assert (
        len(restored(Listens(spec=replace(LUMA_SPEC, takes_qp=True)), known, "lossless", [4])) == 1
    )
    assert told == [30]


MOMENTS = [0, 1, 1, 1, 2, *[3] * 6, 4, 5, *[6] * 5, 7, 8, *[9] * 9]
"""Repeats, two stills, and a frame that is one repeat short of it."""


@pytest.fixture(scope="module")
def repeating(tmp_path_factory):
    """A clip in which frames repeat those before, and its file."""
    folder = tmp_path_factory.mktemp("repeating")
    file = write_lossless(folder / "coded.mkv", [textured(moment) for moment in MOMENTS])
    other = write_lossless(folder / "other.mkv", [textured(100 - each) for each in MOMENTS])
    shape = (len(MOMENTS), 48, 64)

    def footage(path):
        return Decoded(path.name, lambda: stored_frames(path), shape, folder / path.stem)

    variant = Variant(footage(file), np.full(len(MOMENTS), 30, np.float32))
    return PairedClip("repeating", footage(other), {"lossless": variant}), file


@pytest.mark.parametrize("kind", [kind for kind in MODELS if not kind.startswith("told")])
def test_repeated_frames(kind, repeating, tmp_path):
    """They get the result of the frame that they repeat; stills have no neighbours."""
    clip, file = repeating
    model = MODELS[kind]()
    planes, report = enhanced(model, file, tmp_path)
    assert report.duplicated == len(MOMENTS) - len(set(MOMENTS))
    found = np.stack(restored(model, clip, "lossless", range(len(MOMENTS))))
    np.testing.assert_array_equal(found, as_stored(planes, clip, model))
    some = [2, 9, 10, 15, 27]
    for number, frame in zip(some, restored(model, clip, "lossless", some), strict=True):
        np.testing.assert_array_equal(frame, found[number])


def test_what_a_model_is_told(coded):
    """Codec, and type and QP of each frame, or the QP that the encoder was asked for."""
    clip, _ = coded
    told = []

    class Listens(Pointwise):
        def forward(self, frames, qp, codec=None, frame_type=None):
            told.append((qp, codec, frame_type))
            return frames

    spec = replace(YUV_SPEC, takes_qp=True, takes_coding=True)
    numbers = [0, 1, 50]
    restored(Listens(spec=spec), clip, QP_37.name, numbers)
    qps, types = clip.qp(QP_37.name), clip.settings[QP_37.name].types
    hevc = codec_code("hevc")
    expected = [(float(qps[n]), hevc, frame_type_code(types[n])) for n in numbers]
    assert sorted(told) == sorted(expected) and len({types[n] for n in numbers}) > 1
    told.clear()
    restored(Listens(spec=spec), clip, QP_37.name, [1], qp="base")
    assert told == [(37.0, hevc, 0)]
    told.clear()
    restored(Listens(spec=replace(spec, takes_coding=False)), clip, QP_37.name, [1])
    assert told == [(float(qps[1]), None, None)]


def test_unknown_qps(repeating):
    clip, _ = repeating
    model = Pointwise(spec=replace(LUMA_SPEC, takes_qp=True))
    with pytest.raises(ValueError, match="the base QP of lossless of repeating is not known"):
        restored(model, clip, "lossless", [0], qp="base")
