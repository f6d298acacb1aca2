"""Transfer of planes between CPU and the model's device, on a GPU by streams and pinned memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from av.video.frame import VideoFrame
from torch import Tensor, cuda

from vqe_fast.video.frames.tensors import load_planes


class Result:
    """The planes of an enhanced frame on the CPU, or an asynchronous copy on its way there.

    Args:
        planes: the first planes of the frame, each (1, 1, h, w), on the CPU.
        finite: whether the values that they were made from are finite.
        arrival: before it nothing of that may be looked at; None if all is there.
    """

    def __init__(
        self, planes: Sequence[Tensor], finite: Tensor, arrival: cuda.Event | None = None
    ) -> None:
        self._planes = planes
        self._finite = finite
        self._arrival = arrival

    def wait(self) -> None:
        """Waits for the copy."""
        if self._arrival is not None:
            self._arrival.synchronize()
            self._arrival = None

    def planes(self) -> Sequence[Tensor] | None:
        """The planes, waited for; None if values were not finite."""
        self.wait()
        return self._planes if self._finite else None


UNCHANGED = Result((), torch.tensor(True))
"""The result of a frame that stays as it is."""


class Transfer(Protocol):
    """Uploads planes to the model's device, and downloads results."""

    def upload(self, frame: VideoFrame, count: int) -> list[Tensor]:
        """The first ``count`` planes of ``frame``, each (1, 1, h, w) on the device.

        What is launched on the device from now on sees the samples. On a CPU they are the frame's
        own memory; elsewhere the frame may change.
        """
        ...

    def download(self, planes: Sequence[Tensor], finite: Tensor) -> Result:
        """Begins the copy of planes to the CPU, to be waited for in another thread.

        Args:
            planes: on the device, each (1, 1, h, w).
            finite: on the device: whether the values that they were made from are finite.
        """
        ...


def transfer_for(device: torch.device) -> Transfer:
    """The transfer to and from ``device``."""
    return Streamed(device) if device.type == "cuda" else Direct(device)


class Direct(Transfer):
    """Transfer without copies, for a CPU: the model has the frames' memory.

    Args:
        device: a CPU, or another device that is waited for with each copy.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def upload(self, frame: VideoFrame, count: int) -> list[Tensor]:
        """Tensors on the frame's own memory."""
        return load_planes(frame, count, self._device)

    def download(self, planes: Sequence[Tensor], finite: Tensor) -> Result:
        """The planes themselves, on the CPU."""
        return Result([plane.cpu() for plane in planes], finite)


class Streamed(Transfer):
    """Transfer by CUDA streams and pinned memory, beside the model: neither waits for the other.

    Each direction has a stream, and memory that is locked, so that copies need not be waited for.
    PyTorch keeps such memory, and gives it out anew when the copies that use it are done; that of
    the device likewise, since it is told which streams use it.

    Args:
        device: a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._up = cuda.Stream(device)
        self._down = cuda.Stream(device)

    def upload(self, frame: VideoFrame, count: int) -> list[Tensor]:
        """Asynchronous copies to the GPU: the model's stream waits for them, not the caller."""
        model = cuda.current_stream(self._device)
        planes = []
        for samples in load_planes(frame, count, torch.device("cpu")):
            locked = _locked(samples)
            locked.copy_(samples)
            with cuda.stream(self._up):
                plane = torch.empty(samples.shape, dtype=samples.dtype, device=self._device)
                plane.copy_(locked, non_blocking=True)
            plane.record_stream(model)
            planes.append(plane)
        model.wait_stream(self._up)
        return planes

    def download(self, planes: Sequence[Tensor], finite: Tensor) -> Result:
        """Asynchronous copies from the GPU, with an event that tells when they are done."""
        self._down.wait_stream(cuda.current_stream(self._device))
        arrived = []
        with cuda.stream(self._down):
            for tensor in (*planes, finite):
                locked = _locked(tensor)
                locked.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._down)
                arrived.append(locked)
        # Blocking: who waits for it leaves its core to the encoder.
        arrival = cuda.Event(blocking=True)
        arrival.record(self._down)
        return Result(arrived[:-1], arrived[-1], arrival)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor of the CPU to ``device`` without waiting for the device."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _locked(like: Tensor) -> Tensor:
    """Memory of the CPU that a GPU can copy to and from beside other work."""
    return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)
