"""Optical flow as a user of OpenCV would compute and follow it."""

import numpy as np
import torch


class Flow:
    """Flow from frames to references, both (H, W) in bytes: ``"DIS"`` or ``"Farnebäck"``."""

    def __init__(self, method):
        import cv2

        cv2.setNumThreads(torch.get_num_threads())
        preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        dis = cv2.DISOpticalFlow_create(preset)
        # Those of OpenCV's tutorial.
        options = (0.5, 3, 15, 3, 5, 1.2, 0)
        self.flow = {
            "DIS": lambda frame, other: dis.calc(frame, other, None),
            "Farnebäck": lambda frame, other: cv2.calcOpticalFlowFarneback(
                frame, other, None, *options
            ),
        }[method]

    def __call__(self, frames):
        """(H, W, 2), x first."""
        return self.flow(*frames)


def in_bytes(luma):
    """(1, 1, H, W) in [0, 1] → (H, W)."""
    return np.ascontiguousarray((luma[0, 0] * 255).round().byte().numpy())


def follow(luma, flow):
    """Fetches for each pixel of luma (1, 1, H, W) what its flow (H, W, 2) points to, bicubic."""
    height, width = luma.shape[2:]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    left, top = x.floor(), y.floor()
    warped = torch.zeros(height, width)
    for i in (-1, 0, 1, 2):
        row = (top + i).clamp(0, height - 1).long()
        along = torch.zeros(height, width)
        for k in (-1, 0, 1, 2):
            column = (left + k).clamp(0, width - 1).long()
            along += catmull_rom(x - left, k) * luma[0, 0, row, column]
        warped += catmull_rom(y - top, i) * along
    return warped[None, None]


def catmull_rom(part, offset):
    """The weight of the pixel at an offset, for positions that are so far beyond that at 0."""
    distance = (part - offset).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return torch.where(distance < 1, near, far)
