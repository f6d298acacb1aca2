"""Runs a single-frame luma model on frames, in place."""

from __future__ import annotations

from pathlib import Path

import torch
from av.video.frame import VideoFrame
from torch import nn

from vqe_fast.models import create_model, list_models
from vqe_fast.models.inference import DTYPES, Precision, prepare_inference
from vqe_fast.models.registry import ModelSpec
from vqe_fast.video.errors import VideoError
from vqe_fast.video.planes import read_luma, write_luma
from vqe_fast.video.qp.track import QPTrack
from vqe_fast.weights import load_weights, options_in

_TYPICAL_QP = 32.0


class LumaEnhancer:
    """A model made ready for the frames of one video.

    Attributes:
        precision: dtype of the model's weights: ``fp32``, ``bf16`` or ``fp16``.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        probe: VideoFrame,
        qps: QPTrack | None = None,
    ) -> None:
        """Puts a copy of ``model`` on ``device`` in the precision asked for.

        Args:
            model: a model that :func:`find_model` returned.
            device: where to run.
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
            probe: a typical frame, for the choice that ``"auto"`` leaves.
            qps: of the frames, for a model that takes them.
        """
        self._device = device
        self._qps = qps
        self._model, dtype = prepare_inference(
            model,
            device=device,
            precision=precision,
            probe=read_luma(probe, device),
            qp=None if qps is None else _TYPICAL_QP,
        )
        self.precision = next(name for name, known in DTYPES.items() if known is dtype)

    @torch.inference_mode()
    def __call__(self, frame: VideoFrame) -> None:
        """Replaces the luma of ``frame`` by the model's.

        Raises:
            VideoError: the model's answer has another shape, or values that are not finite, or the
                QP that it takes is not known.
        """
        luma = read_luma(frame, self._device)
        qp = () if self._qps is None else (self._qps.of(frame.pts, luma),)
        enhanced = self._model(luma, *qp)
        if enhanced.shape != luma.shape:
            raise VideoError(
                f"the model made {tuple(enhanced.shape)} of luma {tuple(luma.shape)}; "
                "give one that keeps the size"
            )
        if not torch.isfinite(enhanced).all():
            raise VideoError(
                f"the model gave values that are not finite in {self.precision}; "
                "try the precision fp32, or other weights"
            )
        write_luma(frame, enhanced)


def find_model(model: str | nn.Module, weights: Path | None) -> nn.Module:
    """The model to run, with its weights, if it is one that works frame by frame on luma.

    Args:
        model: a registered name, or a module with a ``spec``.
        weights: a ``.safetensors`` file for it; without one, a registered name gets the weights
            that ship with the package, and a module keeps its own.

    Raises:
        VideoError: unknown name, no spec, or a spec that asks for more than luma of one frame.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    if isinstance(model, str):
        if model not in list_models():
            raise VideoError(
                f"there is no model {model!r}; choose one of {', '.join(list_models())}"
            )
        options = {} if weights is None else options_in(weights)
        network = create_model(model, pretrained=weights is None, **options)
    else:
        network = model
    _refuse_unsupported(network, model_name(model))
    if weights is not None:
        load_weights(network, weights)
    return network


def model_name(model: str | nn.Module) -> str:
    """What to call ``model`` in messages and reports."""
    return model if isinstance(model, str) else type(model).__name__


def pick_device(name: str) -> torch.device:
    """The device ``name``; for ``"auto"`` the first GPU if there is one, else the CPU.

    Raises:
        VideoError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise VideoError(f"the device {name!r} cannot be used here; choose cpu or auto") from error
    return device


def _refuse_unsupported(model: nn.Module, name: str) -> None:
    spec = getattr(model, "spec", None)
    if not isinstance(spec, ModelSpec):
        raise VideoError(f"the model {name} has no spec; give it a vqe_fast.models.ModelSpec")
    wishes = {
        "RGB frames": spec.planes != "y",
        "neighbouring frames": spec.temporal_radius > 0 or spec.recurrent,
        f"values in {spec.value_range}": spec.value_range != (0.0, 1.0),
    }
    unmet = [wish for wish, wanted in wishes.items() if wanted]
    if unmet:
        raise VideoError(
            f"the model {name} takes {' and '.join(unmet)}, which video enhancement does not "
            "offer yet; choose a model that takes the luma of one frame in [0, 1]"
        )
