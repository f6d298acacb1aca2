"""Windows that are drawn on the device: planes, maps and both versions stay together."""

import numpy as np
import pytest
import torch

from support.packed_files import random_packed
from support.waiting import NoWaiting
from vqe_fast.data.crops import CropSampler, uniform
from vqe_fast.data.packed import NO_BLOCKS, Crops, Packed

CPU = torch.device("cpu")


def numbered(side=64):
    """Two crops whose blocks are numbered alike in all planes and in the map."""
    cells = side // 8
    numbers = np.arange(2 * cells * cells, dtype=np.uint8).reshape(2, cells, cells)
    planes = [numbers.repeat(n, 1).repeat(n, 2).reshape(2, -1) for n in (8, 4, 4)]
    samples = np.concatenate(planes, 1)
    ones = np.ones(2, np.uint8)
    return Crops(side, samples, samples, np.arange(2), numbers, np.zeros(2, np.float32), ones, ones)


def test_planes_and_map_stay_together():
    sampler, seen = CropSampler(numbered(), CPU), set()
    for step in range(40):
        windows = sampler.draw(torch.tensor(step), 4, 32)
        enlarged = windows.qp.repeat_interleave(8, 1).repeat_interleave(8, 2)
        for frames in (windows.compressed, windows.pristine):
            assert frames.shape == (4, 3, 32, 32)
            torch.testing.assert_close(frames * 255, enlarged[:, None].expand_as(frames))
        seen |= {tuple(blocks.flatten().tolist()) for blocks in windows.qp}
    differences = {(row[1] - row[0], row[4] - row[0]) for row in seen}
    assert differences == {
        (a * x, b * y) for a in (1, -1) for b in (1, -1) for x, y in ((1, 8), (8, 1))
    }, "all eight orientations"
    assert {min(row) // 64 for row in seen} == {0, 1}, "both crops"
    assert len({min(row) for row in seen}) > 20, "most of the 2 × 25 places"


def test_pristine_and_frame_qp(tmp_path):
    path = tmp_path / "packed.safetensors"
    groups, _ = random_packed(path, count=4, versions=3)
    sampler = CropSampler(Packed.read(path).training, CPU)
    windows = sampler.whole(0, 100)
    assert len(sampler) == len(windows.qp) == 12
    for number in range(12):
        group, version = groups[number // 3], number % 3
        for frames, samples in (
            (windows.compressed, group.compressed[version]),
            (windows.pristine, group.pristine),
        ):
            found = (frames[number] * 255).round().byte().numpy()
            assert np.array_equal(found[0].ravel(), samples[: 48 * 48])
            chroma = found[1:, ::2, ::2].ravel()
            assert np.array_equal(chroma, samples[48 * 48 :])
            assert np.array_equal(found[1:, 1::2, 1::2].ravel(), chroma)
        blocks = group.blocks[version].astype(np.float32)
        told = np.where(blocks == NO_BLOCKS, group.qp[version], blocks)
        assert np.array_equal(windows.qp[number].numpy(), told)
    assert sampler.whole(8, 100).codec.tolist() == windows.codec[8:].tolist()


def test_what_is_not_told():
    draw = CropSampler(numbered(), CPU).draw
    windows = [draw(torch.tensor(step), 64, 16, 0.25) for step in range(20)]
    for codes in ([w.codec for w in windows], [w.frame_type for w in windows]):
        assert (torch.cat(codes) == 0).double().mean().item() == pytest.approx(0.25, abs=0.04)
    assert (draw(torch.tensor(0), 64, 16).codec == 1).all()


def test_the_same_step_has_the_same_windows():
    crops = numbered()
    draws = [
        CropSampler(crops, CPU, seed).draw(torch.tensor(step), 8, 16).qp
        for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not any(torch.equal(draws[0], other) for other in draws[2:])


def test_uniform_numbers():
    """As many in each part as chance would have, in a step and across steps, and independent."""
    rows = torch.stack([uniform(torch.tensor(step), 7, 1000) for step in range(200)])
    assert rows.min() >= 0 and rows.max() < 1
    for counts in (torch.histc(rows, 50, 0, 1), torch.histc(rows[:, 0], 10, 0, 1)):
        expected = counts.sum() / len(counts)
        assert ((counts - expected).square() / expected).sum() < 2.5 * len(counts)
    for pair in ((rows[:, 0], rows[:, 1]), (rows[0], rows[1]), (rows[:-1, 5], rows[1:, 5])):
        assert torch.corrcoef(torch.stack(pair))[0, 1].abs() < 0.25


def test_nothing_waits_for_the_device():
    sampler, step = CropSampler(numbered(), CPU), torch.tensor(3)
    with NoWaiting():
        sampler.draw(step, 4, 32, 0.1)
