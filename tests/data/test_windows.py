from dataclasses import replace

import numpy as np
import pytest
import torch

from support.pairs import paired, paired_yuv
from vqe_fast.data.windows import WindowSampler
from vqe_fast.models.coding import codec_code, frame_type_code


def numbered(frames=2, height=20, width=30, *, name="numbered", **options):
    """A clip whose samples tell where they are, and versions that are 1 and 2 brighter."""
    pristine = (np.arange(frames * height * width).reshape(frames, height, width) % 199).astype(
        np.uint8
    )
    return paired(name, pristine, {"a": pristine + 1, "b": pristine + 2}, **options)


def timed(frames, cuts=()):
    """A clip whose every sample is the number of its frame, with QPs of 20 more."""
    pristine = np.zeros((frames, 8, 8), np.uint8) + np.arange(frames, dtype=np.uint8)[:, None, None]
    return paired("t", pristine, {"a": pristine}, qp={"a": np.arange(frames) + 20}, cuts=cuts)


def sampler(clips, **options):
    return WindowSampler(clips, **({"planes": "y", "patch": 8, "batch": 64} | options))


def times(windows):
    """Number of each frame of the windows of a timed clip."""
    return windows[:, :, 0, 0, 0]


@pytest.mark.parametrize("frames", [1, 3])
def test_pairs_show_the_same_place_the_same_way_round(frames):
    """A flip or turn of one side, or of one frame, and not of the other would teach nonsense."""
    batch = sampler([numbered(frames=7)], frames=frames, target="all").draw(0, 0)
    assert batch.compressed.shape == batch.pristine.shape == (64, frames, 1, 8, 8)
    assert batch.compressed.dtype == batch.pristine.dtype == torch.uint8
    difference = batch.compressed.int() - batch.pristine.int()
    assert all(pair.unique().numel() == 1 for pair in difference)
    assert {1, 2} == set(difference[:, 0, 0, 0, 0].tolist())


def test_rgb():
    """Channels keep their order whatever the orientation."""
    pristine = np.zeros((3, 3, 16, 16), np.uint8) + np.array([10, 20, 30], np.uint8)[:, None, None]
    batch = sampler([paired("c", pristine, {"a": pristine + 1})], planes="rgb", frames=3).draw(0, 0)
    assert batch.compressed.shape == (64, 3, 3, 8, 8)
    assert batch.pristine.shape == (64, 1, 3, 8, 8)
    assert batch.pristine[:, 0, :, 2, 5].unique(dim=0).tolist() == [[10, 20, 30]]
    assert batch.compressed[:, 1, :, 2, 5].unique(dim=0).tolist() == [[11, 21, 31]]


def numbered_yuv(frames=3, height=32, width=48):
    """4:2:0 whose samples tell where they are: luma by its pixel, chroma by that of its corner."""
    luma = np.arange(height * width).reshape(height, width) % 251
    halves = luma[::2, ::2] // 2, 255 - luma[::2, ::2] // 2
    flat = np.concatenate([plane.ravel() for plane in (luma, *halves)]).astype(np.uint8)
    return paired_yuv("yuv", np.stack([flat] * frames), {"a": np.stack([flat] * frames)}, height)


def test_luma_and_chroma_lie_together():
    """Whichever way round: chroma of each block of 2×2 is that of its pixels."""
    batch = sampler([numbered_yuv()], planes="yuv", align=2).draw(0, 0)
    assert batch.compressed.shape == (64, 1, 3, 8, 8)
    assert torch.equal(batch.compressed, batch.pristine)
    luma, blue, red = batch.compressed[:, 0].int().unbind(1)
    blocks = luma.unfold(1, 2, 2).unfold(2, 2, 2).flatten(3)
    for chroma in (blue, 255 - red):
        spread = chroma.unfold(1, 2, 2).unfold(2, 2, 2).flatten(3)
        assert (spread == spread[..., :1]).all()
        # The corner that chroma tells of is one of the four pixels, wherever turns put it.
        assert (blocks // 2 == spread[..., :1]).any(-1).all()


def test_luma_and_chroma_need_even_places():
    for options in ({"align": 1}, {"align": 2, "patch": 7}):
        with pytest.raises(ValueError, match="with chroma of half the resolution align and patch"):
            sampler([numbered_yuv()], planes="yuv", **options)


def test_codec_and_types_of_frames():
    """As the stream has them, unless they are kept from the model."""
    clip = timed(4)
    version = replace(clip.settings["a"], codec="vp9", types="IPB?")
    clip = replace(clip, settings={"a": version})
    batch = sampler([clip], frames=3).draw(0, 0)
    assert set(batch.codec.tolist()) == {codec_code("vp9")}
    letters = torch.tensor([frame_type_code(letter) for letter in "IPB?"])
    assert torch.equal(batch.frame_type, letters[times(batch.compressed).long()])
    hidden = sampler([clip], frames=3, unknown=0.25, batch=4000).draw(0, 0)
    assert abs((hidden.codec == 0).float().mean().item() - 0.25) < 0.03
    told = hidden.frame_type.any(1)
    assert abs(told.float().mean().item() - 0.75) < 0.03  # every window has a frame of known type
    assert torch.equal(hidden.frame_type[told], letters[times(hidden.compressed).long()][told])
    plain = sampler([clip], frames=3, batch=4000).draw(0, 0)
    assert torch.equal(hidden.compressed, plain.compressed)


def test_reversals():
    """Half of the windows go backwards, with all that is told of their frames, if there are Bs."""
    clip = timed(6)
    version = replace(clip.settings["a"], codec="h264", types="IBBPBP")
    clip = replace(clip, settings={"a": version})
    batch = sampler([clip], frames=3, reversals=True, batch=4000).draw(0, 0)
    seen = times(batch.compressed).int()
    backwards = seen[:, 0] > seen[:, 2]
    assert abs(backwards.float().mean().item() - 0.5) < 0.03
    assert torch.equal(batch.qp, seen + 20.0)
    letters = torch.tensor([frame_type_code(letter) for letter in "IBBPBP"])
    assert torch.equal(batch.frame_type, letters[seen.long()])
    assert torch.equal(batch.pristine[:, 0], batch.compressed[:, 1])
    forwards = sampler([clip], frames=3, batch=4000).draw(0, 0)
    assert torch.equal(times(forwards.compressed)[backwards].flip(1), seen[backwards].byte())
    assert torch.equal(forwards.compressed[~backwards], batch.compressed[~backwards])
    every = sampler([clip], frames=3, target="all", reversals=True, batch=400).draw(0, 0)
    assert torch.equal(every.compressed, every.pristine)


@pytest.mark.parametrize("types", ["IPPPPP", ""])
def test_what_is_coded_from_the_past_is_not_reversed(types):
    clip = timed(6)
    clip = replace(clip, settings={"a": replace(clip.settings["a"], types=types)})
    kept, plain = (sampler([clip], frames=3, reversals=on).draw(0, 0) for on in (True, False))
    assert torch.equal(kept.compressed, plain.compressed)


def test_edge_frames_repeat_around_the_middle():
    """As the engine does it: the neighbour of the first frame is the first frame."""
    batch = sampler([timed(4)], frames=3).draw(0, 0)
    windows = {tuple(window) for window in times(batch.compressed).tolist()}
    assert windows == {(0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 3)}
    assert torch.equal(times(batch.pristine)[:, 0], times(batch.compressed)[:, 1])
    assert torch.equal(batch.qp, times(batch.compressed) + 20.0)


def test_windows_with_all_frames_lie_inside():
    batch = sampler([timed(5)], frames=3, target="all").draw(0, 0)
    windows = {tuple(window) for window in times(batch.compressed).tolist()}
    assert windows == {(0, 1, 2), (1, 2, 3), (2, 3, 4)}
    assert torch.equal(batch.compressed, batch.pristine)


@pytest.mark.parametrize("target", ["middle", "all"])
def test_never_across_a_cut(target):
    clip = timed(12, cuts=(5, 6))
    batch = sampler([clip], frames=5, target=target, batch=256).draw(0, 0)
    scenes = torch.bucketize(times(batch.compressed).contiguous(), torch.tensor([4, 5]))
    assert all(scene.unique().numel() == 1 for scene in scenes)
    assert set(scenes[:, 0].tolist()) == ({0, 1, 2} if target == "middle" else {0, 2})


def test_batches_depend_on_step_and_seed_alone():
    """What lets an interrupted run go on with the same batches."""
    draws = sampler([numbered()])
    first = draws.draw(5, 1).compressed
    draws.draw(6, 1)
    assert torch.equal(draws.draw(5, 1).compressed, first)
    assert not torch.equal(draws.draw(6, 1).compressed, first)
    assert not torch.equal(draws.draw(5, 2).compressed, first)


def test_processes_share_the_batch_of_one():
    """Two with half of the windows each see exactly what one sees."""
    clips = [numbered(), numbered(frames=5, name="longer")]
    whole = sampler(clips, batch=12).draw(3, 0)
    parts = [sampler(clips, batch=12).draw(3, 0, rank=rank, world=3) for rank in range(3)]
    for name in ("compressed", "pristine", "qp"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined.nan_to_num(-1), getattr(whole, name).nan_to_num(-1))


def test_a_window_does_not_depend_on_the_size_of_the_batch():
    small, large = (sampler([numbered()], batch=batch).draw(3, 0) for batch in (4, 9))
    assert torch.equal(small.compressed, large.compressed[:4])


def orientations(**options):
    batch = sampler([numbered()], patch=4, batch=256, **options).draw(0, 0)
    found = set()
    for window in batch.pristine[:, 0, 0].int():
        right, down = window[0, 1] - window[0, 0], window[1, 0] - window[0, 0]
        found.add((int(right), int(down)))
    return {pair for pair in found if max(map(abs, pair)) == 30}  # without where numbers wrap


def test_orientations():
    """Columns differ by 1 and rows by 30 where nothing is turned."""
    turned = {(1, 30), (-30, 1), (-1, -30), (30, -1)}
    mirrored = {(-1, 30), (30, 1), (1, -30), (-30, -1)}
    assert orientations(flips=False, rotations=False) == {(1, 30)}
    assert orientations(flips=True, rotations=False) == {(1, 30), (-1, 30)}
    assert orientations(flips=False, rotations=True) == turned
    assert orientations() == turned | mirrored


def test_every_place_occurs_and_alignment_is_kept():
    clip = numbered(frames=1, height=13, width=10)
    for align, expected in ((1, 6 * 3), (4, 2), (5, 2)):
        options = {"align": align, "flips": False, "rotations": False, "batch": 512}
        corners = sampler([clip], **options).draw(0, 0).pristine[:, 0, 0, 0, 0].unique().tolist()
        places = {(corner // 10, corner % 10) for corner in corners}
        assert len(places) == expected
        assert all(row % align == column % align == 0 for row, column in places)


def test_clips_are_drawn_by_their_pixels():
    small, large = timed(2), numbered(frames=2, height=40, width=48)
    batch = sampler([small, large], batch=2000).draw(0, 0)
    share = torch.isnan(batch.qp[:, 0]).float().mean().item()  # the large one has no QPs
    assert abs(share - 3840 / (3840 + 128)) < 0.02


def test_settings_and_base_qp():
    clip = numbered(base_qp=37.0, qp={"a": [30, 31], "b": [40, 41]})
    assert set(sampler([clip], settings=["b"]).draw(0, 0).qp.flatten().tolist()) == {40, 41}
    assert set(sampler([clip], qp="base").draw(0, 0).qp.flatten().tolist()) == {37}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 24}, "numbered is 30x20, smaller than a patch of 24"),
        ({"frames": 2}, "a window with a middle frame has an odd number, got 2"),
        ({"frames": 3, "target": "all"}, "no scene of any clip has 3 frames in a row of any"),
        ({"settings": ["c"]}, "in a row of c"),
        ({"align": 0}, "must be at least 1, got 1, 8, 64 and 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        sampler([numbered()], **options)


def test_refusals_of_clips_and_processes():
    with pytest.raises(ValueError, match="there is no clip"):
        sampler([])
    with pytest.raises(ValueError, match="a batch of 64 cannot be shared by 3 processes"):
        sampler([numbered()]).draw(0, 0, world=3)
