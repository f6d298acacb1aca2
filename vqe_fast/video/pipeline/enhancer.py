"""Runs a model of any kind over a stream of frames."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import torch
from av.video.frame import VideoFrame
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.models.inference import DTYPES, PROBE_SIDE, Precision, prepare_inference
from vqe_fast.video.errors import VideoError
from vqe_fast.video.frames.model_input import View
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.frames.tensors import load_planes, store_planes
from vqe_fast.video.frames.transfer import UNCHANGED, transfer_for
from vqe_fast.video.inference.dispatch import example_of, find_runner
from vqe_fast.video.inference.memory_plan import Wishes, make_plan
from vqe_fast.video.inference.recurrent import OVERLAP, RecurrentRunner
from vqe_fast.video.inference.runner import Shot
from vqe_fast.video.inference.strength import NONE, WHOLE, Applied
from vqe_fast.video.inference.tiling import refuse_other_shape
from vqe_fast.video.pipeline.item import Step

_TYPICAL_QP = 32.0
_CLIP = 3

STILL = 5
"""Repeats after which a frame counts as a still."""


class Enhancer:
    """A model made ready for the frames of one video.

    A frame that repeats the one before is passed over and gets that one's result; neighbours are
    frames that differ. After five repeats the picture counts as a still: what is waiting for
    neighbours gets none, so that frames do not pile up.

    Attributes:
        precision: dtype of the model's weights: ``fp32``, ``bf16`` or ``fp16``.
        view: what the model sees of frames.
        applied: whether all of a correction, part of it, or none was applied → to how many frames
            so far, but for repeats.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        view: View,
        probe: VideoFrame,
        wishes: Wishes | None = None,
    ) -> None:
        """Puts a copy of ``model`` on ``device`` in the precision asked for.

        Args:
            model: a model that :func:`vqe_fast.video.inference.load.find_model` returned.
            device: where to run.
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
            view: what the model sees of frames.
            probe: a typical frame, for the choices that are left.
            wishes: of the user.

        Raises:
            VideoError: memory does not suffice, or a wish is out of range.
        """
        self._transfer = transfer_for(device)
        self._spec = spec_of(model)
        self.view = view
        values = view.values(load_planes(probe, view.planes, device))
        self._shape = values.shape
        corner = values[..., :PROBE_SIDE, :PROBE_SIDE]
        self._model, dtype = prepare_inference(
            model,
            device=device,
            precision=precision,
            probe=example_of(self._spec, values if device.type == "cuda" else corner, _CLIP),
            qp=_TYPICAL_QP if self._spec.takes_qp else None,
            graphs=True,
        )
        self.precision = next(name for name, known in DTYPES.items() if known is dtype)
        self._plan = make_plan(
            self._model,
            lambda frames: example_of(self._spec, corner, frames),
            (values.shape[-2], values.shape[-1]),
            device,
            wishes or Wishes(),
        )
        self._runner = find_runner(self._model, self._plan)
        self._waiting: deque[Step] = deque()
        self._shots: deque[tuple[Step, Shot]] = deque()
        self._repeated = 0
        self.applied: Counter[Applied] = Counter()

    @property
    def reach(self) -> int:
        """Frames on each side that a frame's result is made from, or for a clip should be."""
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
        """Frames of a clip in use; None for a model that is not recurrent."""
        runner = self._runner
        return runner.clip_frames if isinstance(runner, RecurrentRunner) else None

    @property
    def seconds(self) -> float:
        """During which frames were under way beside the caller; 0 if none ever are."""
        return self._runner.seconds

    def __call__(self, steps: Iterable[Step]) -> Generator[Step, None, None]:
        """Gives each step back once its frame has a result, in order.

        Can be called again, for other frames of the same shape, once it has given back all.

        Args:
            steps: as :class:`vqe_fast.video.pipeline.analyze.Watch` leaves them.

        Raises:
            VideoError: the model changes the size, or memory does not suffice.
        """
        self._repeated = 0
        with closing(self._runner):
            for step in steps:
                self._waiting.append(step)
                for enhanced in self._results(step):
                    self._settle(enhanced)
                    yield from self._ready()
                yield from self._ready()
            for enhanced in self._runner.flush():
                self._settle(enhanced)
                yield from self._ready()

    def _results(self, step: Step) -> Iterator[Tensor]:
        if step.frame is None:
            return
        if not step.repeats:
            self._repeated = 0
            strength = WHOLE if step.coding is None else step.coding.strength
            if step.is_kept:
                self.applied[strength.applied] += 1
            if strength == NONE and not self.is_temporal:
                yield from self._runner.flush()
                step.result = UNCHANGED
                return
            planes = self._transfer.upload(step.frame, self.view.planes)
            shot = Shot(planes, self.view, step.coding, step.begins_scene)
            self._shots.append((step, shot))
            yield from self._runner.push(shot)
            return
        self._repeated += 1
        if self._repeated == STILL:
            yield from self._runner.flush()

    @torch.inference_mode()
    def _settle(self, enhanced: Tensor) -> None:
        step, shot = self._shots.popleft()
        refuse_other_shape(enhanced, self._shape)
        enhanced = shot.with_strength(enhanced)
        # One number tells of all: the sum of finite values is finite.
        step.result = self._transfer.download(
            self.view.samples(shot.planes, enhanced), enhanced.sum().isfinite()
        )

    def _ready(self) -> Iterator[Step]:
        while self._waiting:
            step = self._waiting[0]
            if step.frame is not None and not step.repeats and step.result is None:
                return
            yield self._waiting.popleft()


class ResultWriter:
    """Puts results into the planes of frames; done beside the model, in the encoder's thread.

    Args:
        planes: how many planes a result has.
    """

    def __init__(self, planes: int) -> None:
        self._planes = planes
        self._last: VideoFrame | None = None

    def __call__(self, step: Step) -> None:
        """Writes the result of a step, or that of the frame which its frame repeats.

        Raises:
            VideoError: the model gave values that are not finite.
        """
        frame = step.frame
        if frame is None:
            return
        if step.repeats and self._last is not None:
            for index in range(self._planes):
                plane_view(frame, index)[:] = plane_view(self._last, index)
        elif step.result is not None:
            planes = step.result.planes()
            if planes is None:
                raise VideoError(
                    "the model gave values that are not finite; "
                    "try the precision fp32, or other weights"
                )
            store_planes(frame, planes)
            step.result = None
            self._last = frame
