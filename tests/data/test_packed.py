"""Files of crops: what goes in comes out."""

import lzma

import numpy as np
import pytest
from safetensors.numpy import save_file

from support.packed_files import random_group, random_packed
from vqe_fast.data.packed import Packed, write_packed

NAMES = ("compressed", "blocks", "qp", "codec", "frame_type")


@pytest.mark.parametrize("side", (16, 48))
def test_round_trip(tmp_path, side):
    path = tmp_path / "packed.safetensors"
    parts = random_packed(path, side, count=5, held_out=2, versions=3)
    packed = Packed.read(path)
    for crops, groups in zip((packed.training, packed.held_out), parts, strict=True):
        assert crops.side == side
        assert np.array_equal(crops.pristine, [group.pristine for group in groups])
        assert np.array_equal(crops.group, np.repeat(range(len(groups)), 3))
        for name in NAMES:
            found = np.concatenate([getattr(group, name) for group in groups])
            assert np.array_equal(getattr(crops, name), found), name
    assert packed.about == {"recipe": "none.yaml", "data": "noise", "seed": 0}


def test_numbers_of_versions_differ(tmp_path):
    generator = np.random.default_rng(0)
    groups = [random_group(16, versions, generator) for versions in (1, 4, 2)]
    coded = [group.coded(16) for group in groups]
    write_packed(tmp_path / "p.safetensors", 16, coded[:2], coded[2:], {})
    packed = Packed.read(tmp_path / "p.safetensors")
    assert packed.training.group.tolist() == [0, 1, 1, 1, 1]
    assert np.array_equal(packed.training.compressed[1:], groups[1].compressed)
    assert np.array_equal(packed.held_out.compressed, groups[2].compressed)


def test_smaller_than_lzma_alone_makes_it():
    group = random_group(96, 4, np.random.default_rng(0))
    samples = group.compressed.tobytes() + group.pristine.tobytes()
    assert len(group.coded(96).content) < 0.9 * len(lzma.compress(samples))


def missing(path):
    path.unlink()


def damaged(path):
    content = bytearray(path.read_bytes())
    content[-2000:] = bytes(2000)
    path.write_bytes(content)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def weights(path):
    save_file({"a": np.zeros(3)}, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing, "there is no packed file .*: make one with vqe-fast pack"),
        (damaged, "is damaged"),
        (cut_off, "is not a readable .safetensors file"),
        (weights, "is not a packed file of this version"),
    ],
)
def test_what_is_no_packed_file(tmp_path, change, message):
    path = tmp_path / "packed.safetensors"
    random_packed(path)
    change(path)
    with pytest.raises(ValueError, match=message):
        Packed.read(path)
