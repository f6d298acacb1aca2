"""What models are told of how frames were coded, beside the QP."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.frames import CPU
from support.media import read_frames, write_clip
from support.memory import threads
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.models.coding import CODECS, FRAME_TYPES, codec_code, frame_type_code
from vqe_fast.video import enhance_video, read_qp
from vqe_fast.video.inference.frame_coding import CodingArguments, FrameCoding, of_frame, of_window

SPEC = replace(LUMA_SPEC, takes_qp=True, takes_coding=True, alignment=8, receptive_field=17)
QP_SPEC = replace(SPEC, takes_coding=False)


class Listens(Pointwise):
    """A model that keeps what it is told, and adds to each block its own QP."""

    def __init__(self):
        super().__init__(spec=SPEC)
        self.told = []

    def forward(self, luma, qp, codec=0, frame_type=0):
        self.told.append((qp, codec, frame_type))
        if not isinstance(qp, torch.Tensor):
            return luma
        height, width = luma.shape[-2:]
        spread = qp[:, None].repeat_interleave(8, -1).repeat_interleave(8, -2)
        return luma + spread[..., :height, :width] / 255

    def __deepcopy__(self, memo):
        return self


ENCODERS = {
    "libx264": ("h264", {"qp": "30", "bf": "2", "b_strategy": "0"}),
    "libx265": ("hevc", {"x265-params": "qp=30:bframes=2:log-level=none"}),
    "libvpx-vp9": ("vp9", {"crf": "40", "b": "0"}),
    "libsvtav1": ("av1", {"qp": "40", "svtav1-params": "lp=1"}),
    "mpeg4": ("mpeg4", {}),
}


def enhance(source, tmp_path, **options):
    model = Listens()
    options |= {"codec": "ffv1", "precision": "fp32"}
    with threads(1):  # one frame after the other
        enhance_video(source, tmp_path / "out.mkv", model, **options)
    return model.told


@pytest.mark.parametrize("encoder", ENCODERS)
def test_codec_and_types_of_frames(tmp_path, encoder):
    name, options = ENCODERS[encoder]
    source = write_clip(
        tmp_path / "in.mkv", codec=encoder, frames=7, size=(64, 64), options=options
    )
    told = enhance(source, tmp_path)
    assert {codec for _, codec, _ in told} == {codec_code(name)}
    types = [frame.type for frame in read_qp(source)]
    assert [kind for _, _, kind in told] == [frame_type_code(letter) for letter in types]
    assert types[0] == "I" and (
        encoder == "mpeg4" or len(set(types)) > 1 or encoder == "libvpx-vp9"
    )


def test_codes():
    assert codec_code("h264") == CODECS.index("h264") and codec_code("mpeg4") == 0
    assert frame_type_code("B") == FRAME_TYPES.index("B") and frame_type_code("S") == 0


def test_a_qp_that_is_given_is_told_alone(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=3, options={"qp": "30"})
    assert enhance(source, tmp_path, qp=35) == [(35.0, codec_code("h264"), 0)] * 3


@pytest.mark.parametrize("size", [(64, 48), (70, 50)])
def test_blocks(tmp_path, size):
    """Of H.264 with adaptive quantisation, as the stream has them; tiles see their part."""
    options = {"crf": "30", "aq-mode": "2", "aq-strength": "3"}
    source = write_clip(tmp_path / "in.mp4", frames=3, size=size, options=options)
    width, height = size
    frames = read_qp(source)
    assert any(len(np.unique(frame.blocks)) > 1 for frame in frames)
    expected = [
        np.kron(frame.blocks, np.ones((2, 2)))[: -(-height // 8), : -(-width // 8)]
        for frame in frames
    ]
    told = [qp for qp, _, _ in enhance(source, tmp_path)]
    assert all(np.array_equal(qp[0], blocks) for qp, blocks in zip(told, expected, strict=True))
    whole = (tmp_path / "out.mkv").rename(tmp_path / "whole.mkv")
    assert len(enhance(source, tmp_path, tile=32)) > 3
    assert (tmp_path / "out.mkv").stat().st_size == whole.stat().st_size
    assert _lumas(tmp_path / "out.mkv") == _lumas(whole)


def _lumas(path):
    return [planes[0].tobytes() for _, planes in read_frames(path)]


def test_arguments_of_several_frames():
    """Maps if all frames have one, else the QPs of the frames; each field hears of its frame."""
    blocks = torch.arange(4.0).view(1, 2, 2)
    codings = [FrameCoding(20.0, blocks, 1, 2), FrameCoding(30.0, blocks + 10, 2, 3)]
    qp, codec, kind = CodingArguments(codings, SPEC, CPU).of((slice(8, 16), slice(0, 16)))
    assert qp.tolist() == [[[2, 3]], [[12, 13]]]
    assert (codec.tolist(), kind.tolist()) == ([1, 2], [2, 3])
    qp, codec, _ = CodingArguments(codings, SPEC, CPU, pictures=2).of((slice(0, 8), slice(0, 8)))
    assert (qp.tolist(), codec.tolist()) == ([20, 20, 30, 30], [1, 1, 2, 2])
    codings[1] = replace(codings[1], blocks=None)
    assert CodingArguments(codings, SPEC, CPU).of()[0].tolist() == [20, 30]
    assert CodingArguments(codings[:1], QP_SPEC, CPU).of() == (20.0,)
    assert CodingArguments([None], SPEC, CPU).of() == ()
    assert CodingArguments(codings, LUMA_SPEC, CPU).of() == ()


def test_arguments_of_windows():
    """QP and type of each frame, for each of its fields, and one codec."""
    spec = replace(SPEC, coding_of_window=True)
    codings = [FrameCoding(20.0, None, 1, 2), FrameCoding(30.0, torch.ones(1, 2, 2), 1, 3)]
    qps, codec, types = of_window(codings, spec, pictures=2)
    assert (qps.tolist(), codec, types.tolist()) == ([[20, 30]] * 2, 1, [[2, 3]] * 2)
    (qps,) = of_window(codings, replace(spec, takes_coding=False), pictures=1)
    assert qps.tolist() == [[20, 30]]
    assert of_window([None, None], spec, pictures=1) == ()
    assert of_frame(codings[1], spec) == (30.0, 1, 3)
    assert of_frame(codings[1], QP_SPEC) == (30.0,)
    assert of_frame(codings[1], LUMA_SPEC) == of_frame(None, spec) == ()
