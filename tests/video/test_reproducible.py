"""The same command gives the same file."""

import os
import subprocess
import sys

from tests.support.media import write_clip
from vqe_fast.video import enhance_video
from vqe_fast.video.media.encoders import SOFTWARE

SCRIPT = """
import hashlib, sys
import torch
from vqe_fast import enhance_video

source, folder, *kinds = sys.argv[1:]
torch.set_num_threads(3)
for kind in kinds:
    codec, suffix, pixel_format = kind.split(",")
    target = f"{folder}/{codec}{suffix}"
    enhance_video(
        source, target, "dualres_s", codec=codec, pix_fmt=pixel_format or None, overwrite=True
    )
    with open(target, "rb") as file:
        print(kind, hashlib.sha256(file.read()).hexdigest())
"""
SIZE = (256, 128)  # dnxhd takes no smaller ones
PIXEL_FORMATS = {"prores_ks": "yuv422p10le", "dnxhd": "yuv422p"}


KINDS = [
    f"{name},{suffix},{PIXEL_FORMATS.get(name, '')}"
    for name, encoder in SOFTWARE.items()
    for suffix in encoder.suffixes
]
"""Each encoder that needs no device, in each of its containers."""


def bt709(_, video):
    context = video.codec_context
    context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1


def test_same_bytes(tmp_path):
    """In processes of their own, whose sets and dictionaries have other orders."""
    source = write_clip(tmp_path / "in.mkv", frames=6, size=SIZE, prepare=bt709)
    folders = {seed: tmp_path / seed for seed in ("1", "2", "3")}
    for folder in folders.values():
        folder.mkdir()
    started = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", SCRIPT, source, folder, *KINDS],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, folder in folders.items()
    ]
    sums = [process.communicate()[0].splitlines() for process in started]
    assert all(process.returncode == 0 for process in started)
    assert len(sums[0]) == len(KINDS)
    assert sums[0] == sums[1] == sums[2]


def test_same_bytes_whatever_was_in_memory(tmp_path):
    """x264 with AVX-512 wrote other ones when a process encoded the same again."""
    source = write_clip(tmp_path / "in.mkv", frames=250, size=(96, 64), options={"g": "40"})
    written = set()
    for _ in range(8):
        enhance_video(source, tmp_path / "out.mkv", "identity", segment_seconds=2, overwrite=True)
        written.add((tmp_path / "out.mkv").read_bytes())
    assert len(written) == 1
