"""The enhancer, the model's stage of the pipeline, and the writer of its results."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import torch
from av.video.frame import VideoFrame
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.models.example import CORNER, example_of
from vqe_fast.models.inference import PreparationError, prepare_inference
from vqe_fast.video.errors import VideoError
from vqe_fast.video.frames.model_input import View
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.frames.sharpen import sharpen_luma
from vqe_fast.video.frames.tensors import load_planes, store_planes
from vqe_fast.video.frames.transfer import UNCHANGED, transfer_for
from vqe_fast.video.inference.dispatch import find_runner
from vqe_fast.video.inference.memory_plan import make_plan
from vqe_fast.video.inference.recurrent import OVERLAP, RecurrentRunner
from vqe_fast.video.inference.runner import InputFrame
from vqe_fast.video.inference.streaming import StreamedRunner
from vqe_fast.video.inference.strength import NONE, WHOLE, Applied
from vqe_fast.video.inference.tiling import refuse_other_shape
from vqe_fast.video.options import ModelOptions
from vqe_fast.video.pipeline.bundle import FrameBundle

STILL = 5
"""Repeats after which a frame counts as a still."""


class Enhancer:
    """A model on its device, with view, memory plan and runner, for the frames of one video.

    A frame that repeats the one before is passed over and gets that one's result; neighbours are
    frames that differ. After five repeats the picture counts as a still: what is waiting for
    neighbours gets none, so that frames do not pile up.

    Attributes:
        precision: dtype of the model's weights: ``fp32``, ``bf16``, ``fp16`` or ``mixed``.
        view: what the model sees of frames.
        applied: whether all of a correction, part of it, or none was applied → to how many frames
            so far, but for repeats.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        device: torch.device,
        view: View,
        probe: VideoFrame,
        options: ModelOptions | None = None,
        processes: int = 1,
    ) -> None:
        """Puts a copy of ``model`` on ``device``.

        Args:
            model: a model that :func:`vqe_fast.video.inference.load.find_model` returned.
            device: where to run.
            view: what the model sees of frames.
            probe: a typical frame, for the choices that are left.
            options: precision, tile, memory, frames of a clip and sharpening; None for the
                defaults.
            processes: how many run the model on this device.

        Raises:
            VideoError: memory does not suffice, an option is out of range, or the model cannot be
                copied or run in the precision asked for.
        """
        options = options or ModelOptions()
        self._transfer = transfer_for(device)
        self._sharpen = options.sharpen
        self._spec = spec_of(model)
        self.view = view
        values = view.values(load_planes(probe, view.planes, device))
        self._shape = values.shape
        corner = values[..., :CORNER, :CORNER]
        try:
            self._model, self.precision = prepare_inference(
                model, device=device, precision=options.precision, graphs=True
            )
        except PreparationError as error:
            raise VideoError(str(error)) from error
        self._plan = make_plan(
            self._model,
            lambda frames: example_of(self._spec, corner, frames),
            (values.shape[-2], values.shape[-1]),
            device,
            options,
            processes,
        )
        self._runner = find_runner(self._model, self._plan)
        self._waiting: deque[FrameBundle] = deque()
        self._frames: deque[tuple[FrameBundle, InputFrame]] = deque()
        self._repeated = 0
        self.applied: Counter[Applied] = Counter()

    @property
    def reach(self) -> int:
        """Neighbouring frames on each side that a result depends on, or of a clip should."""
        return OVERLAP if self._spec.recurrent else self._spec.temporal_radius

    @property
    def is_temporal(self) -> bool:
        """Whether the model sees several frames together."""
        return self.reach > 0

    @property
    def tile(self) -> int | None:
        """Side of the tiles in use; None for whole frames."""
        return self._plan.tiling.tile

    @property
    def is_exact(self) -> bool:
        """Whether frames are what they would be without tiles."""
        return self.tile is None or self._plan.tiling.exact

    @property
    def clip_frames(self) -> int | None:
        """Clip length in use; None for a model that is not recurrent."""
        runner = self._runner
        return runner.clip_frames if isinstance(runner, RecurrentRunner | StreamedRunner) else None

    @property
    def seconds(self) -> float:
        """Seconds during which threads of the runner had frames; 0 if it has none."""
        return self._runner.seconds

    def __call__(self, bundles: Iterable[FrameBundle]) -> Generator[FrameBundle, None, None]:
        """Gives each bundle back once its frame has a result, in order.

        Can be called again, for other frames of the same shape, once it has given back all.

        Args:
            bundles: as :class:`vqe_fast.video.pipeline.analyze.FrameAnalyzer` leaves them.

        Raises:
            VideoError: the model changes the size, or memory does not suffice.
        """
        self._repeated = 0
        with closing(self._runner):
            for bundle in bundles:
                self._waiting.append(bundle)
                for enhanced in self._results(bundle):
                    self._settle(enhanced)
                    yield from self._ready()
                yield from self._ready()
            for enhanced in self._runner.flush():
                self._settle(enhanced)
                yield from self._ready()

    def _results(self, bundle: FrameBundle) -> Iterator[Tensor]:
        if bundle.frame is None:
            return
        if not bundle.repeats:
            self._repeated = 0
            strength = WHOLE if bundle.coding is None else bundle.coding.strength
            if bundle.is_kept:
                self.applied[strength.applied] += 1
            if strength == NONE and not self.is_temporal and not self._sharpen:
                yield from self._runner.flush()
                bundle.result = UNCHANGED
                return
            planes = self._transfer.upload(bundle.frame, self.view.planes)
            frame = InputFrame(planes, self.view, bundle.coding, bundle.begins_scene)
            self._frames.append((bundle, frame))
            yield from self._runner.push(frame)
            return
        self._repeated += 1
        if self._repeated == STILL:
            yield from self._runner.flush()

    @torch.inference_mode()
    def _settle(self, enhanced: Tensor) -> None:
        bundle, frame = self._frames.popleft()
        refuse_other_shape(enhanced, self._shape)
        enhanced = frame.with_strength(enhanced)
        if self._sharpen:
            enhanced = sharpen_luma(enhanced, self._sharpen, self._spec.planes)
        # One number tells of all: the sum of finite values is finite.
        bundle.result = self._transfer.download(
            self.view.samples(frame.planes, enhanced), enhanced.sum().isfinite()
        )

    def _ready(self) -> Iterator[FrameBundle]:
        while self._waiting:
            bundle = self._waiting[0]
            if bundle.frame is not None and not bundle.repeats and bundle.result is None:
                return
            yield self._waiting.popleft()


class ResultWriter:
    """Writes results into the planes of frames, in the encoder's thread.

    Args:
        planes: how many planes a result has.
    """

    def __init__(self, planes: int) -> None:
        self._planes = planes
        self._last: VideoFrame | None = None

    def __call__(self, bundle: FrameBundle) -> None:
        """Writes the result of a bundle, or that of the frame which its frame repeats.

        Raises:
            VideoError: the model gave values that are not finite.
        """
        frame = bundle.frame
        if frame is None:
            return
        if bundle.repeats and self._last is not None:
            for index in range(self._planes):
                plane_view(frame, index)[:] = plane_view(self._last, index)
        elif bundle.result is not None:
            planes = bundle.result.planes()
            if planes is None:
                raise VideoError(
                    "the model gave values that are not finite; "
                    "try the precision fp32, or other weights"
                )
            store_planes(frame, planes)
            bundle.result = None
            self._last = frame
