"""Restorers that are models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from av.packet import Packet
from av.video.frame import VideoFrame
from torch import nn

from vqe_fast._precision import Precision
from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.restorer import Timed, Work
from vqe_fast.evaluation.store import FrameStore
from vqe_fast.models import spec_of
from vqe_fast.models.model_hash import model_hash
from vqe_fast.video.look import FAITHFUL
from vqe_fast.video.media.reader import Item
from vqe_fast.video.options import EncodeOptions, ModelOptions
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.session import EnhanceSession
from vqe_fast.weights import metadata_of

_PLANES = {"y": "luma", "rgb": "RGB", "yuv": "luma and chroma"}

Told = Literal["frame", "base"]
"""A QP: that of the frame, or that the encoder was asked for."""


class Network:
    """Restorer by a model, run as :func:`vqe_fast.enhance_video` runs it, without the encoder.

    Args:
        model: a registered name, or a module with a ``spec``.
        weights: ``.safetensors`` file for it; None for those that ship, or the module's own.
        look: of the weights that ship, see :class:`vqe_fast.video.look.Look`.
        device: where to run.
        precision: of the weights.
        qp: what a model is told that takes QPs: that of each frame in its stream, or the one that
            the encoder was asked for; None for what the file of weights says it was trained with,
            or else that of each frame. Where an encoder was asked for none, it is that of each
            frame.
        options: those to build a registered model with, beside those of its weights.
        processes: how many run models on the same device.

    Raises:
        VideoError: there is no such model or device.
        WeightsError: the weights are missing, unreadable, or another model's.
    """

    timed: Timed = "model"

    def __init__(
        self,
        model: str | nn.Module,
        weights: Path | None = None,
        *,
        look: str = str(FAITHFUL),
        device: str = "auto",
        precision: Precision = "auto",
        qp: Told | None = None,
        options: Mapping[str, Any] | None = None,
        processes: int = 1,
    ) -> None:
        chosen = ModelOptions(
            model=model,
            weights=weights,
            look=look,
            model_options=options,
            device=device,
            precision=precision,
        )
        encode = EncodeOptions(codec="ffv1")
        self._session = EnhanceSession(Path(), Path(), chosen, encode, processes=processes)
        self._spec = spec_of(self._session.network)
        trained = None if weights is None else metadata_of(weights).get("qp")
        self._qp = qp or trained or "frame"
        self.planes = _PLANES[self._spec.planes]
        self.model_hash = model_hash(self._session.network)

    def identity(self, case: Case) -> Mapping[str, Any]:
        """Structure, weights, strength of its correction, device, precision, and source of QPs."""
        return {
            "kind": "network",
            "weights": self.model_hash,
            "strength": self._session.strengths.table,
            "device": self._session.device.type,
            "precision": self._session.model.precision,
            "qp": self._asked(case),
        }

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Runs the model over the clip."""
        asked = self._asked(case)
        with ExitStack() as stack:
            path = stack.enter_context(case.video_file(cut=False))
            session = self._session.adjusted(source=path, qp=asked)
            video = stack.enter_context(session.open())
            qps = stack.enter_context(session.qp_provider())
            enhancer = session.enhancer(video)
            analyzer = FrameAnalyzer(planes=enhancer.view.planes, temporal=enhancer.is_temporal)
            bundles = session.bundles(_compared(video.items(), case), video, analyzer, qps)
            _, timings = run(bundles, enhancer, _Kept(frames), lambda done: None)
            note = enhancer.precision
            if self._spec.takes_qp:
                note += ", QP of each frame" if asked is None else ", the encoder's QP"
            if enhancer.tile is not None:
                exact = "" if enhancer.is_exact else ", which change the result a little"
                note += f", tiles of {enhancer.tile} pixels{exact}"
        return Work(timings["model"], note)

    def _asked(self, case: Case) -> float | None:
        """The QP of all frames that the model is told; None for that of each, or for none."""
        if self._tells_none(case):
            takes = self._spec.takes_qp or self._session.strengths.is_needed
        else:
            takes = self._spec.takes_qp and self._qp == "base"
        return case.setting.base_qp if takes else None

    @staticmethod
    def _tells_none(case: Case) -> bool:
        """Whether a stream that was there before tells no QP, so that its setting has to."""
        return case.setting.is_given and all(qp is None for qp in case.stream.qp)


def _compared(items: Iterable[Item], case: Case) -> Iterator[Item]:
    """The items; of a stream that goes on behind what is compared, up to the last such frame."""
    left = case.count
    for item in items:
        yield item
        left -= isinstance(item, VideoFrame)
        if not left and not case.stream.is_whole:
            return


class _Kept:
    """Where the engine's frames go instead of an encoder."""

    def __init__(self, frames: FrameStore) -> None:
        self._frames = frames

    def write(self, item: VideoFrame | Packet[Any]) -> None:
        if isinstance(item, VideoFrame):
            self._frames.append(item)

    def finish(self) -> None:
        """Nothing is left to do."""
