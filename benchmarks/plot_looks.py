"""Draws crops of compressed, faithful, sharp and original frames: ``docs/looks.png``.

Run: ``python benchmarks/plot_looks.py CLIPS --cache CACHE`` with the folder of the clips named in
``CROPS``. Below each crop is its temporal profile: one row of its pixels, frame after frame
downwards, in which what flickers is a dotted line and what stays is a straight one.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vqe_fast import enhance_video
from vqe_fast.data.clips import read_clip
from vqe_fast.data.color import rgb_of
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.prepared import prepare
from vqe_fast.data.sources import find_sources
from vqe_fast.video.frames.color import ColorFacts

TARGET = Path(__file__).parents[1] / "docs" / "looks.png"
INK = "#1f2430"
WIDTH, HEIGHT = 96, 64


class Crop(NamedTuple):
    """A part of a clip: its name, the encoder's setting, a frame, and the upper left corner."""

    clip: str
    codec: str
    value: int
    frame: int
    x: int
    y: int


CROPS = (
    Crop("gopro_hero7", "libx264", 35, 20, 160, 96),
    Crop("phone_geese", "libx264", 35, 20, 160, 96),
    Crop("canon_road", "libx265", 37, 20, 200, 150),
    Crop("gopro_karma", "libx265", 37, 20, 160, 110),
)

Frames = NDArray[np.uint8]
"""RGB of a clip, (T, H, W, 3)."""


def frames_of(path: Path) -> Frames:
    """All frames of a file."""
    frames = read_clip(path).frames
    return np.stack([rgb_of(frame, ColorFacts.of(frame)).transpose(1, 2, 0) for frame in frames])


def versions(crop: Crop, folder: Path, cache: Path) -> dict[str, Frames]:
    """Title → the whole clip, of all that is compared."""
    mode = "crf" if crop.codec == "libx264" else "qp"
    degradation = Degradation(codec=crop.codec, mode=mode, value=crop.value)
    (source,) = (each for each in find_sources([folder]) if each.path.stem == crop.clip)
    prepared = prepare([source], [degradation], cache)
    (clip,) = prepared.index.clips
    ((setting, stream),) = clip.streams.items()
    compressed = prepared.folder / stream.file.path
    found = {setting: frames_of(compressed)}
    with tempfile.TemporaryDirectory() as place:
        for look in ("faithful", "sharp"):
            target = Path(place, f"{look}.mkv")
            enhance_video(compressed, target, model="dualres_s", look=look, codec="ffv1")
            found[look] = frames_of(target)
    return found | {"original": frames_of(source.path)}


def draw(folder: Path, cache: Path) -> Figure:
    """A row of crops and a row of profiles for each of :data:`CROPS`."""
    figure = Figure(figsize=(12.8, 2.05 * 2 * len(CROPS)), layout="constrained")
    panels = figure.subplots(2 * len(CROPS), 4)
    for number, crop in enumerate(CROPS):
        columns = slice(crop.x, crop.x + WIDTH)
        for column, (title, frames) in enumerate(versions(crop, folder, cache).items()):
            upper, lower = panels[2 * number, column], panels[2 * number + 1, column]
            upper.imshow(frames[crop.frame, crop.y : crop.y + HEIGHT, columns])
            profile = frames[:, crop.y + HEIGHT // 2, columns]
            lower.imshow(profile, aspect="auto")
            if column == 0:
                title = f"{crop.clip}, {title}"
            upper.set_title(title, color=INK, fontsize=10)
            for panel in (upper, lower):
                panel.set_axis_off()
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the pristine clips")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="of degraded clips")
    arguments = parser.parse_args()
    draw(arguments.folder, arguments.cache).savefig(TARGET, dpi=100)
