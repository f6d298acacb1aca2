"""ASTF's fusion of two enhancements of 1080p, against plain PyTorch and OpenCV with NumPy.

OpenCV gets its frames as it likes them, interleaved. Run: ``pytest benchmarks/bench_fusion.py``;
compare medians within one group.
"""

import functools

import numpy as np
import pytest
import torch
from side_by_side import (
    REPLAY,
    durations,
    installed,
    peak_bytes,
    peak_resident_bytes,
    replayed,
)

from vqe_fast import nn, ops, reference

pytestmark = replayed

HEIGHT, WIDTH = 1080, 1920
SHARPEN = 0.5
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class OpenCV:
    """What a user of OpenCV would write; how many pixels each window has is known beforehand."""

    def __init__(self):
        import cv2

        self.cv2 = cv2
        cv2.setNumThreads(torch.get_num_threads())
        ones = np.ones((HEIGHT, WIDTH), np.float32)
        self.share = 1 / self.boxes(cv2.boxFilter, ones)
        self.latest = []

    def boxes(self, sum_up, values):
        """Sums over the part of each window that lies in the image."""
        border = self.cv2.BORDER_CONSTANT
        return sum_up(values, self.cv2.CV_32F, (23, 23), normalize=False, borderType=border)

    def variance(self, luma):
        """Of every window."""
        mean = self.cv2.multiply(self.boxes(self.cv2.boxFilter, luma), self.share)
        square = self.cv2.multiply(self.boxes(self.cv2.sqrBoxFilter, luma), self.share)
        return self.cv2.subtract(square, self.cv2.multiply(mean, mean, dst=mean), dst=square)

    def variance_and_bounds(self, frame):
        """Of the luma of RGB."""
        variance = self.variance(self.cv2.cvtColor(frame, self.cv2.COLOR_RGB2GRAY))
        return variance, self.cv2.minMaxLoc(variance)[:2]

    def fused(self, detail, smooth, known):
        """Fused and sharpened, with the variances and bounds of three frames."""
        low = min(bounds[0] for _, bounds in known)
        high = max(bounds[1] for _, bounds in known)
        scale = 1 / (high - low)
        mask = (known[1][0] - low) * scale
        blended = self.cv2.blendLinear(detail, smooth, mask, 1 - mask)
        blurred = self.cv2.GaussianBlur(blended, (3, 3), 0.8)
        return self.cv2.addWeighted(blended, 1 + SHARPEN, blurred, -SHARPEN, 0, dst=blended)

    def fuse(self, detail, previous, smooth, following):
        """A frame by itself."""
        known = [self.variance_and_bounds(frame) for frame in (previous, smooth, following)]
        return self.fused(detail, smooth, known)

    def push(self, detail, smooth):
        """A frame of a video; as good as the fused one before it."""
        self.latest = [*self.latest, self.variance_and_bounds(smooth)][-3:]
        known = self.latest if len(self.latest) == 3 else [self.latest[-1]] * 3
        return self.fused(detail, smooth, known)


def frames(device, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return list(torch.rand(4, 1, 3, HEIGHT, WIDTH, generator=generator).to(device, dtype))


def interleaved(frame):
    return np.ascontiguousarray(frame[0].movedim(0, -1).numpy())


def planar(frame):
    return torch.from_numpy(np.atleast_3d(frame)).movedim(-1, 0)[None]


def fuse_with(module):
    return functools.partial(module.astf_fuse, sharpen=SHARPEN)


IMPLEMENTATIONS = {
    "vqe_fast": lambda: fuse_with(ops),
    "eager": lambda: fuse_with(reference),
    "compile": lambda: torch.compile(fuse_with(reference)),
}


def missing(name, device):
    """Why an alternative cannot be measured; nothing if it can."""
    if name != "opencv":
        return None
    if device == "cuda":
        return "OpenCV as it is installed has no CUDA"
    return None if installed("cv2") else "opencv is not installed"


def awaited(function, device):
    def step():
        result = function()
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    return step


def measured_steps(steps, expected, device, tolerance=1e-4):
    """name → (seconds of each call, bytes at the peak); none where a result is wrong."""
    for name, step in steps.items():
        results, wanted = step(), expected
        results = results if isinstance(results, tuple) else (results,)
        for result, exact in zip(results, wanted, strict=True):
            result = planar(result) if isinstance(result, np.ndarray) else result
            error = (result.double() - exact).norm() / exact.norm()
            assert error < tolerance, f"{name} is wrong by {error:.2g}"
    times = durations(steps, budget=8.0)
    peak = peak_resident_bytes if device == "cpu" else functools.partial(peak_bytes, device=device)
    return {name: (times[name], peak(step)) for name, step in steps.items()}


@functools.cache
def forward(device):
    images = frames(device)
    expected = (fuse_with(reference)(*(frame.double() for frame in images)),)
    steps = {
        name: awaited(functools.partial(make(), *images), device)
        for name, make in IMPLEMENTATIONS.items()
    }
    if missing("opencv", device) is None:
        steps["opencv"] = functools.partial(OpenCV().fuse, *map(interleaved, images))
    return measured_steps(steps, expected, device)


@functools.cache
def both(device):
    detail, previous, smooth, following = frames(device)
    grad = torch.rand_like(detail)

    def gradients(function, dtype=torch.float32):
        leaves = [frame.to(dtype).requires_grad_() for frame in (detail, smooth)]
        others = [frame.to(dtype) for frame in (previous, following)]
        upstream = grad.to(dtype)

        def step():
            fused = function(leaves[0], others[0], leaves[1], others[1])
            return torch.autograd.grad(fused, leaves, upstream)

        return awaited(step, device)

    expected = gradients(fuse_with(reference), torch.float64)()
    steps = {name: gradients(make()) for name, make in IMPLEMENTATIONS.items()}
    return measured_steps(steps, expected, device)


@functools.cache
def streamed(device):
    """A frame of a video, of whose neighbours the variance is known."""
    detail, _, smooth, _ = frames(device)
    stream = nn.FusionStream(sharpen=SHARPEN)
    stream.push(detail, smooth)
    double = detail.double(), smooth.double()
    expected = (fuse_with(reference)(double[0], double[1], double[1], double[1]),)
    steps = {"vqe_fast": awaited(lambda: stream.push(detail, smooth), device)}
    if missing("opencv", device) is None:
        opencv, pair = OpenCV(), (interleaved(detail), interleaved(smooth))
        steps["opencv"] = lambda: opencv.push(*pair)
    return measured_steps(steps, expected, device)


@functools.cache
def variance(device):
    luma = frames(device)[0][:, :1].contiguous()
    functions = {
        "vqe_fast": ops.local_variance,
        "eager": reference.local_variance,
        "compile": torch.compile(reference.local_variance),
    }
    steps = {
        name: awaited(functools.partial(function, luma), device)
        for name, function in functions.items()
    }
    if missing("opencv", device) is None:
        steps["opencv"] = functools.partial(OpenCV().variance, luma[0, 0].numpy())
    return measured_steps(steps, (reference.local_variance(luma.double()),), device)


WHAT = {
    "astf_fuse forward": forward,
    "astf_fuse forward and backward": both,
    "astf_fuse, a frame of a stream": streamed,
    "local_variance forward": variance,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", (*IMPLEMENTATIONS, "opencv"))
@pytest.mark.parametrize("what", WHAT)
def test_fusion(benchmark, what, name, device):
    if reason := missing(name, device):
        pytest.skip(reason)
    results = WHAT[what](device)
    if name not in results:
        pytest.skip(f"{name} does not do this")
    benchmark.group = f"{what} 1080p float32 {device}"
    times, benchmark.extra_info["peak_bytes"] = results[name]
    REPLAY.hand_over(benchmark, times)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the ceiling is that of a GPU")
def test_copy_ceiling(benchmark):
    """How long it takes to read and write as many bytes as fusing a frame of a stream must."""
    benchmark.group = "astf_fuse, a frame of a stream 1080p float32 cuda"
    # detail and smooth are read, smooth twice, the map is written and read, the result written.
    values = 4 * 3 + 2
    bytes_moved = 4 * values * HEIGHT * WIDTH
    source = torch.empty(bytes_moved // 2, dtype=torch.uint8, device="cuda")
    step = awaited(lambda: source.clone(), "cuda")
    REPLAY.hand_over(benchmark, durations({"copy": step}, budget=2.0)["copy"])
