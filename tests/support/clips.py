"""Small moving pictures made from noise."""

import av
import numpy as np


def smooth_noise(height, width, seed=0):
    """A texture with detail at several scales, (height, width) uint8."""
    generator = np.random.default_rng(seed)
    picture = np.zeros((height, width))
    for step in (1, 2, 4, 8, 16):
        coarse = generator.normal(size=(height // step + 2, width // step + 2))
        picture += np.kron(coarse, np.ones((step, step)))[:height, :width] * step
    picture -= picture.mean()
    return (128 + 40 * picture / picture.std()).clip(0, 255).astype(np.uint8)


def moving_texture(frames, width=96, height=64, step=3):
    """yuv420p frames that look at a texture through a window moving by ``step`` pixels."""
    texture = smooth_noise(height, width + frames * step)
    result = []
    for index in range(frames):
        window = texture[:, index * step : index * step + width]
        planes = np.concatenate([window, np.full((height // 2, width), 128, np.uint8)])
        result.append(av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p"))
    return result


def write_png(path, pixels):
    """Writes (H, W, 3) uint8 pixels as a PNG."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "rgb24"
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
