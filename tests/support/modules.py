"""Models for tests: what they do to a frame can be said in one line."""

from dataclasses import replace

import torch

from vqe_fast.models import ModelSpec

LUMA_SPEC = ModelSpec(
    planes="y",
    temporal_radius=0,
    recurrent=False,
    takes_qp=False,
    receptive_field=1,
    alignment=1,
    value_range=(0.0, 1.0),
)


class Pointwise(torch.nn.Module):
    """Applies a function to the frames."""

    def __init__(self, function=lambda luma: luma, spec=LUMA_SPEC):
        super().__init__()
        self.function = function
        self.spec = spec

    def forward(self, frames):
        return self.function(frames)


def brighter(steps):
    """A model that adds so many 8-bit steps."""
    return Pointwise(lambda luma: luma + steps / 255)


class Blend(torch.nn.Module):
    """A weighted mean of a frame and its neighbours."""

    def __init__(self, *weights, spec=LUMA_SPEC):
        super().__init__()
        self.weights = torch.tensor(weights).view(-1, 1, 1, 1) / sum(weights)
        self.spec = replace(spec, temporal_radius=len(weights) // 2)

    def forward(self, frames):
        return (frames * self.weights).sum(1)


class StreamedBlend(Blend):
    """The same, frame by frame."""

    def stream(self):
        return _BlendStream(self)


class _BlendStream:
    def __init__(self, model):
        self.model = model
        self.radius = model.spec.temporal_radius
        self.frames, self.left = [], 0

    def push(self, frame):
        self.frames = [*(self.frames or [frame] * self.radius), frame]
        self.left += 1
        return self._enhanced() if self.left > self.radius else None

    def flush(self):
        return self._enhanced() if self.left else None

    def _enhanced(self):
        length = 2 * self.radius + 1
        window = [*self.frames, *[self.frames[-1]] * length][:length]
        del self.frames[0]
        self.left -= 1
        return self.model(torch.stack(window, 1))


class Recurrent(torch.nn.Module):
    """Passes half of what it has on to the next frame, in both directions."""

    def __init__(self, spec=LUMA_SPEC):
        super().__init__()
        self.spec = replace(spec, recurrent=True)
        self.lengths = []

    def forward(self, clip):
        self.lengths.append(clip.shape[1])
        forward, backward = (self._pass(frames) for frames in (clip, clip.flip(1)))
        return (forward + backward.flip(1)) / 2

    @staticmethod
    def _pass(clip):
        state = clip[:, 0]
        states = []
        for frame in clip.unbind(1):
            state = (state + frame) / 2
            states.append(state)
        return torch.stack(states, 1)

    def __deepcopy__(self, memo):
        return self


class RunsOut(torch.nn.Module):
    """Runs out of memory in some calls, counted from 0, before it does what another model does."""

    def __init__(self, model, *calls, error=None):
        super().__init__()
        self.model = model
        self.spec = model.spec
        self.calls = set(calls)
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.sizes = []

    def forward(self, frames):
        self.sizes.append(tuple(frames.shape))
        if len(self.sizes) - 1 in self.calls:
            raise self.error
        return self.model(frames)

    def __deepcopy__(self, memo):
        return self
