"""Clips in which a texture drifts, and the windows of their frames."""

import torch

from vqe_fast.models.dualres_neighbours import REACH

WINDOW = 2 * REACH + 1


def clip(frames, size=(48, 64), channels=3, noise=0.03, seed=0):
    """A texture that moves by (2, 1) pixels from frame to frame, with noise of each frame's own."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    sides = (height + frames) // 4 + 2, (width + 2 * frames) // 4 + 2
    canvas = torch.rand(1, channels, *sides, generator=generator)
    canvas = torch.nn.functional.interpolate(canvas, scale_factor=4, mode="bicubic").clamp(0, 1)
    views = [canvas[..., n : n + height, 2 * n : 2 * n + width] for n in range(frames)]
    video = torch.cat(views)
    return (video + noise * torch.randn(video.shape, generator=generator)).clamp(0, 1)


def windows(video):
    """The window around each frame of a video, (T, 9, ...)."""
    last = len(video) - 1
    return torch.stack(
        [
            video[[min(max(n, 0), last) for n in range(t - REACH, t + REACH + 1)]]
            for t in range(len(video))
        ]
    )
