"""Packed files of random crops."""

import numpy as np

from support.clips import smooth_noise
from vqe_fast.data.packed import NO_BLOCKS, CropGroup, write_packed


def random_group(side, versions, generator, noise=12):
    """A texture, and versions of it with less and less noise; every second one has a map of QPs."""
    cells = side // 8
    pristine = np.concatenate(
        [smooth_noise(size, size, generator.integers(1 << 30)).ravel() for size in sizes(side)]
    )
    errors = [
        generator.normal(0, noise / (1 + number), pristine.shape) for number in range(versions)
    ]
    compressed = np.stack([(pristine + error).round().clip(0, 255) for error in errors])
    blocks = generator.integers(10, 52, (versions, cells, cells), np.uint8)
    blocks[::2] = NO_BLOCKS
    return CropGroup(
        pristine,
        compressed.astype(np.uint8),
        blocks,
        generator.uniform(20, 40, versions).astype(np.float32),
        generator.integers(1, 5, versions, np.uint8),
        generator.integers(1, 4, versions, np.uint8),
    )


def sizes(side):
    """Of luma and both planes of chroma."""
    return side, side // 2, side // 2


def random_packed(path, side=48, count=6, held_out=2, versions=2, seed=0):
    """Writes a file; returns its groups, those to train on and those held out."""
    generator = np.random.default_rng(seed)
    groups = [random_group(side, versions, generator) for _ in range(count + held_out)]
    coded = [group.coded(side) for group in groups]
    about = {"recipe": "none.yaml", "data": "noise", "seed": seed}
    write_packed(path, side, coded[:count], coded[count:], about)
    return groups[:count], groups[count:]
