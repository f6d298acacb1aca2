"""PeQuENet on 416×240: its stream against a plain rendering, both with the same weights.

The plain one computes the features of all three frames for each frame and stores the attention
maps. Run: ``pytest benchmarks/bench_pequenet.py``; compare medians, seconds a frame.
"""

import copy
import functools

import pytest
import torch
from side_by_side import REPLAY, durations, peak_resident_bytes, replayed

import vqe_fast

pytestmark = replayed

HEIGHT, WIDTH, QP = 240, 416, 37
NAMES = ("stream bfloat16", "stream float32", "plain bfloat16", "plain float32")


@functools.cache
def measured():
    """name → (seconds of each frame, bytes at the peak), where the enhanced frames agree."""
    torch.manual_seed(0)
    model = vqe_fast.create_model("pequenet").eval()
    frames = torch.rand(1, 3, 1, HEIGHT, WIDTH)
    steps = {}
    for name in NAMES:
        kind, dtype = name.split()
        layout = {"memory_format": torch.channels_last} if kind == "stream" else {}
        own = copy.deepcopy(model).to(getattr(torch, dtype), **layout)
        luma = frames.to(getattr(torch, dtype))
        stream = own.stream()

        @torch.inference_mode()
        def plain(own=own, luma=luma):
            with vqe_fast.backend("reference"):
                return own(luma, QP)

        @torch.inference_mode()
        def streamed(stream=stream, luma=luma):
            return stream.push(luma[:, 1], QP)

        steps[name] = plain if kind == "plain" else streamed
    with torch.inference_mode():
        still = frames[:, [1, 1, 1]]
        expected = model(still, QP)
        for name in NAMES[:2]:
            steps[name]()
            error = (steps[name]().float() - expected).norm() / expected.norm()
            assert error < (1e-4 if name.endswith("32") else 5e-2), f"{name} is wrong by {error}"
    times = durations(steps, budget=60.0)
    return {name: (times[name], peak_resident_bytes(step)) for name, step in steps.items()}


@pytest.mark.parametrize("name", NAMES)
def test_frames_per_second(benchmark, name):
    benchmark.group = f"PeQuENet {WIDTH}×{HEIGHT} cpu"
    times, benchmark.extra_info["peak_bytes"] = measured()[name]
    benchmark.extra_info["frames_per_second"] = round(1 / sorted(times)[len(times) // 2], 3)
    REPLAY.hand_over(benchmark, times)
