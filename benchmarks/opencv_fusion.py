"""ASTF's fusion as a user of OpenCV and NumPy would write it."""

import numpy as np
import torch


class OpenCV:
    """Fusion of frames (H, W, 3) or (H, W); how many pixels each window has is known beforehand."""

    def __init__(self, height, width, sharpen):
        import cv2

        self.cv2 = cv2
        self.sharpen = sharpen
        cv2.setNumThreads(torch.get_num_threads())
        ones = np.ones((height, width), np.float32)
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
        return self.cv2.addWeighted(
            blended, 1 + self.sharpen, blurred, -self.sharpen, 0, dst=blended
        )

    def fuse(self, detail, previous, smooth, following):
        """A frame by itself."""
        known = [self.variance_and_bounds(frame) for frame in (previous, smooth, following)]
        return self.fused(detail, smooth, known)

    def push(self, detail, smooth):
        """A frame of a video; as good as the fused one before it."""
        self.latest = [*self.latest, self.variance_and_bounds(smooth)][-3:]
        known = self.latest if len(self.latest) == 3 else [self.latest[-1]] * 3
        return self.fused(detail, smooth, known)


def interleaved(frame):
    """(1, C, H, W) → (H, W, C), or (H, W) for one channel."""
    return np.ascontiguousarray(frame[0].movedim(0, -1).squeeze(-1).numpy())


def planar(frame):
    """The way back."""
    return torch.from_numpy(np.atleast_3d(frame)).movedim(-1, 0)[None]
