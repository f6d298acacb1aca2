"""Pairs of small videos to compare, and what is in the pages that show them."""

import base64
import json
import re

import av
import numpy as np

from support.media import texture, write_clip

LOSSLESS = {"codec": "ffv1", "pixel_format": "yuv420p"}


def brighter(by):
    """A ``draw`` of :func:`write_clip`: the texture, all samples of luma larger."""

    def draw(frame):
        texture(frame)
        np.frombuffer(frame.planes[0], np.uint8)[:] += np.uint8(by)

    return draw


def numbered(frame):
    """A ``draw``: luma is grey and tells the time, 100 + 4 a frame at 25 frames a second."""
    for index, plane in enumerate(frame.planes):
        grey = 100 + round(frame.pts * float(frame.time_base) * 100) if index == 0 else 128
        np.frombuffer(plane, np.uint8)[:] = grey


def write_three(folder, **options):
    """Paths of a.mp4, compressed, b.mkv, brighter by 3, and r.mkv, its original."""
    return (
        write_clip(folder / "a.mp4", options={"qp": "34"}, **options),
        write_clip(folder / "b.mkv", draw=brighter(3), **LOSSLESS, **options),
        write_clip(folder / "r.mkv", **LOSSLESS, **options),
    )


def data_of(page):
    """The figures in a page."""
    text = page.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def picture_of(page, name):
    """A picture in a page, (H, W, 3)."""
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)<', page.read_text("utf-8"))
    decoder = av.CodecContext.create("webp", "r")
    (frame,) = decoder.decode(av.Packet(base64.b64decode(found[1])))
    return frame.to_ndarray(format="rgb24")


def names_of(page):
    """The names of all pictures in a page."""
    return re.findall(r'<script type="text/plain" id="(\w+)">', page.read_text("utf-8"))


def png_of(path):
    """A PNG, (H, W, 3)."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def holds(sheet, picture):
    """Whether a picture is somewhere in a larger one, pixel for pixel."""
    height, width, _ = picture.shape
    rows, columns = sheet.shape[0] - height + 1, sheet.shape[1] - width + 1
    places = np.ones((rows, columns), bool)
    for y, x in [(0, 0), (0, width - 1), (height - 1, 0), (height // 2, width // 3)]:
        places &= (sheet[y : y + rows, x : x + columns] == picture[y, x]).all(-1)
    return any(
        np.array_equal(sheet[y : y + height, x : x + width], picture)
        for y, x in np.argwhere(places)
    )
