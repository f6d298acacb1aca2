import io

import av
import cv2
import numpy as np
import pytest

from support.clips import smooth_noise
from vqe_fast.data.color import rows_of
from vqe_fast.data.jpeg import encode_jpeg


def picture(height, width):
    frame = av.VideoFrame(width, height, "yuv420p")
    for seed, plane in enumerate(frame.planes):
        rows_of(plane)[:] = smooth_noise(plane.height, plane.width, seed)
    return frame


def decoded(data):
    with av.open(io.BytesIO(data)) as container:
        (frame,) = container.decode(video=0)
    return [rows_of(plane).astype(int) for plane in frame.planes]


@pytest.mark.parametrize("size", [(64, 96), (66, 98), (8, 2)])
@pytest.mark.parametrize("quality", [1, 10, 50, 90, 100])
def test_luma_is_what_libjpeg_makes_of_it(size, quality):
    """Same tables, same rounding but for ties: what articles call quality 10 is meant here too."""
    frame = picture(*size)
    luma, *_ = decoded(encode_jpeg(frame, quality))
    _, file = cv2.imencode(".jpg", rows_of(frame.planes[0]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    reference = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE).astype(int)
    assert luma.shape == reference.shape
    assert np.abs(luma - reference).mean() < 0.5
    if quality >= 50:  # else both could be far from the picture in the same way
        assert np.abs(luma - rows_of(frame.planes[0])).mean() < 8


def test_chroma_belongs_to_its_place():
    """Blocks of the three planes are interleaved: one out of order would shift all that follow."""
    frame = picture(48, 80)
    for plane, read in zip(frame.planes, decoded(encode_jpeg(frame, 98)), strict=True):
        assert np.abs(rows_of(plane).astype(int) - read).mean() < 1


def test_other_decoders_read_it():
    frame = picture(33 // 2 * 2, 50)
    file = np.frombuffer(encode_jpeg(frame, 95), np.uint8)
    gray = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE).astype(int)
    assert np.abs(gray - rows_of(frame.planes[0])).mean() < 2


def test_flat_frames_and_extreme_steps():
    """No coefficient but one, then the largest that there are."""
    for values in (np.full((16, 16), 128), np.indices((16, 16)).sum(0) % 2 * 255):
        frame = av.VideoFrame(16, 16, "yuv420p")
        for plane in frame.planes:
            rows_of(plane)[:] = values[: plane.height, : plane.width]
        luma, *_ = decoded(encode_jpeg(frame, 100))
        assert np.abs(luma - values).max() <= 2
