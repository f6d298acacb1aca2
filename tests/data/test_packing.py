"""Packing prepared clips: what is in the file is in the clips, at one place of one frame."""

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from support.clips import moving_texture, smooth_noise, write_png
from support.pairs import write_lossless
from vqe_fast.cli.app import app
from vqe_fast.data.color import split_planes
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.packed import NO_BLOCKS, Packed
from vqe_fast.data.packing import HELD_OUT, pack
from vqe_fast.data.prepared import prepare
from vqe_fast.data.sources import Source
from vqe_fast.video import read_qp

SIDE = 32
SETTINGS = [
    Degradation("libx264", "crf", 30),
    Degradation("libx264", "qp", 40),
    Degradation("libx265", "qp", 32),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packing")
    for name, step in (("slow", 1), ("fast", 3), ("other", 2)):
        write_lossless(folder / f"{name}.mkv", moving_texture(3, 80, 64, step=step))
    return folder


@pytest.fixture(scope="module")
def prepared(folder):
    """Two clips to train on, and another."""
    return [
        prepare([Source(folder / f"{n}.mkv", n) for n in names], SETTINGS, folder / "cache")
        for names in (("slow", "fast"), ("other",))
    ]


def packed(prepared, path, **options):
    options = {"side": SIDE, "versions": 2, "recipe": "r.yaml", "data": "textures"} | options
    contents = pack(*prepared, path, **options)
    return contents, Packed.read(path)


def place_of(crop, clips):
    """(clip, frame, top, left) where a pristine crop comes from."""
    places = []
    for number, clip in enumerate(clips):
        luma, *_ = split_planes(clip.pristine("yuv"), *clip.shape[1:])
        for top in range(0, luma.shape[1] - SIDE + 1, 8):
            for left in range(0, luma.shape[2] - SIDE + 1, 8):
                frames = luma[:, top : top + SIDE, left : left + SIDE].reshape(len(luma), -1)
                same = (frames == crop[: SIDE * SIDE]).all(1)
                places += [(number, int(frame), top, left) for frame in np.flatnonzero(same)]
    (place,) = places
    return place


def cut(samples, size, top, left):
    halves = (1, 2, 2)
    return np.concatenate(
        [
            plane[top // n : (top + SIDE) // n, left // n : (left + SIDE) // n].ravel()
            for plane, n in zip(split_planes(samples, *size), halves, strict=True)
        ]
    )


def test_crops_are_those_of_the_clips(prepared, tmp_path):
    contents, found = packed(prepared, tmp_path / "p.safetensors", mib=1)
    spots = []
    for part, crops in zip(prepared, (found.training, found.held_out), strict=True):
        for group, pristine in enumerate(crops.pristine):
            number, frame, top, left = place_of(pristine, part.clips)
            spots.append((id(part), number, frame, top // SIDE, left // SIDE))
            clip, entry = part.clips[number], part.index.clips[number]
            size, versions = clip.shape[1:], np.flatnonzero(crops.group == group)
            assert np.array_equal(pristine, cut(clip.pristine("yuv")[frame], size, top, left))
            expected = {}
            for name, stream in entry.streams.items():
                read = read_qp(part.folder / stream.file.path)[frame]
                blocks = np.full((4, 4), NO_BLOCKS)
                if read.blocks is not None and np.ptp(read.blocks):
                    whole = read.blocks.repeat(2, 0).repeat(2, 1)
                    blocks = whole[top // 8 :, left // 8 :][:4, :4]
                codec, types = clip.coding(name)
                samples = cut(clip.compressed("yuv", name)[frame], size, top, left)
                told = (clip.qp(name)[frame], codec, types[frame], blocks.tobytes()[:0])
                expected[samples.tobytes()] = (*told[:3], blocks.tolist())
            assert len(versions) == 2
            errors = []
            for version in versions:
                samples = crops.compressed[version]
                qp, codec, kind, blocks = expected[samples.tobytes()]
                assert crops.qp[version] == qp
                assert (crops.codec[version], crops.frame_type[version]) == (codec, kind)
                assert crops.blocks[version].tolist() == blocks
                errors.append(np.abs(samples.astype(int) - pristine).sum())
            assert errors == sorted(errors, reverse=True)
    assert len(spots) == len(set(spots)) == 3 * 3 * 4, "all there are, each once"
    assert (found.training.blocks != NO_BLOCKS).any() and (found.training.blocks == NO_BLOCKS).any()
    assert (contents.crops, contents.held_out) == (24, 12)
    assert contents.pixels == 48 * SIDE**2
    assert contents.bytes == (tmp_path / "p.safetensors").stat().st_size
    assert sum(contents.codecs.values()) == 48 and contents.codecs.keys() == {"h264", "hevc"}
    assert contents.settings == 3


def test_the_size_is_kept(prepared, tmp_path):
    told = []
    path = tmp_path / "p.safetensors"
    contents, _ = packed(prepared, path, mib=0.03, progress=lambda *numbers: told.append(numbers))
    assert 0.5 * 0.03 * 2**20 < contents.bytes <= 0.03 * 2**20
    assert 0 < contents.held_out < contents.crops < 24
    assert told[-1][0] <= told[-1][1] and told == sorted(told)
    held_out = told[contents.held_out - 1]
    assert held_out[0] <= HELD_OUT * held_out[1]


def test_the_seed_decides(prepared, tmp_path):
    files = [tmp_path / f"{n}.safetensors" for n in range(3)]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        packed(prepared, path, mib=0.03, seed=seed)
    contents = [path.read_bytes() for path in files]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 36}, "the side of a crop must be a multiple of 8 from 16 on, got 36"),
        ({"side": 72}, "slow is 80×64, smaller than a crop of 72|other is 80×64, smaller"),
        ({"versions": 0}, "versions must be 1 to 255, got 0"),
        ({"mib": 0.005}, r"0.005 MiB hold no crop of 32×32: allow more"),
    ],
)
def test_what_cannot_be(prepared, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        packed(prepared, tmp_path / "p.safetensors", **options)
    assert not any(tmp_path.iterdir())


def test_the_command(folder, tmp_path):
    for name in ("data", "validate"):
        (tmp_path / name).mkdir()
        picture = smooth_noise(160, 220, seed=len(name))
        write_png(tmp_path / name / "still.png", np.repeat(picture[..., None], 3, axis=2))
    recipe = {
        "model": "dualres_s",
        "data": {
            "degradations": [{"codec": "libx264", "mode": "qp", "values": [38, 44]}],
            "still_frames": 2,
            "still_size": [96, 64],
        },
        "stages": [{"steps": 1, "loss": [{"name": "l1"}], "optimiser": {"rate": 0.1}}],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = ["pack", tmp_path / "recipe.yaml", "--data", tmp_path / "data", "--side", 48]
    command += ["--validate", tmp_path / "validate", "--cache", tmp_path / "cache"]
    command += ["--output", tmp_path / "packed.safetensors"]
    run = CliRunner().invoke(app, [*map(str, command), "data.still_frames=1"])
    assert run.exit_code == 0, run.output
    assert "2 crops of 48×48 and 2 held out" in run.stdout and "h264 4; 2 settings" in run.stdout
    assert Packed.read(tmp_path / "packed.safetensors").about["recipe"] == "recipe.yaml"
    run = CliRunner().invoke(app, [*map(str, command), "--side", "80"])
    assert (run.exit_code, "smaller than a crop of 80" in run.stderr) == (2, True)
