"""Objective of restoration: compressed frames to pristine ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from vqe_fast.data.pairs import PairedClip
from vqe_fast.data.teacher import STEPS, Teacher
from vqe_fast.data.windows import Batch, WindowSampler
from vqe_fast.metrics import psnr
from vqe_fast.models import spec_of
from vqe_fast.training.losses import NO_ERROR, build_losses
from vqe_fast.training.recipe import Recipe, StageRecipe

_SHOWN = 4
_MAX_PSNR = 100.0  # dB, that of equal frames


class Restored(NamedTuple):
    """Output, input and target of a batch, (N, C, H, W) in [0, 1]; N = B, or B·T of whole clips.

    ``wanted`` is what the output shall be, where that is not ``pristine``.
    """

    output: Tensor
    compressed: Tensor
    pristine: Tensor
    wanted: Tensor | None = None


def sampler_for(
    recipe: Recipe,
    model: nn.Module,
    clips: Sequence[PairedClip],
    teacher: Teacher | None = None,
) -> WindowSampler:
    """Sampler of windows from ``clips`` that fit ``model``, with the corrections of ``teacher``."""
    spec, data = spec_of(model), recipe.data
    whole = spec.recurrent or data.target == "all"
    return WindowSampler(
        clips,
        planes=spec.planes,
        frames=data.window if whole else 2 * spec.temporal_radius + 1,
        target="all" if whole else "middle",
        patch=data.patch,
        batch=data.batch,
        flips=data.flips,
        rotations=data.rotations,
        reversals=data.reversals,
        qp=data.qp,
        align=data.align,
        unknown=data.unknown,
        teacher=teacher,
    )


class _ForClips(Protocol):
    def clip(self, frames: Tensor, *told: Tensor) -> Tensor: ...


class Restoration:
    """Objective that restores compressed frames.

    Args:
        model: the whole model.
        stage: what of it is trained for what.
        device: where the losses are computed.
        target: whether a windowed model learns from the middle frame of windows, or from all of
            clips.

    Raises:
        ValueError: the model has no part of a name that the stage gives, takes no teacher, or has
            no method ``clip`` for whole clips.
    """

    def __init__(
        self,
        model: nn.Module,
        stage: StageRecipe,
        device: torch.device,
        target: Literal["middle", "all"] = "middle",
    ) -> None:
        self._spec = spec_of(model)
        self._path = stage.modules
        self._in_clips = target == "all" and not self._spec.recurrent
        if self._in_clips and not callable(getattr(model, "clip", None)):
            raise ValueError("the model has no method clip: leave out target, or let it be middle")
        in_clips = self._in_clips or self._spec.recurrent
        if stage.teacher and (in_clips or self._spec.planes == "rgb"):
            raise ValueError(
                f"stage {stage.name}: a teacher's luma is for models that see single frames of it"
            )
        try:
            self.trained = model.get_submodule(self._path[-1]) if self._path else model
            for name in self._path:
                model.get_submodule(name)
        except AttributeError as error:
            raise ValueError(f"stage {stage.name}: {error}") from error
        self.losses = build_losses(stage.loss, self._spec.planes).to(device)

    def __call__(self, model: nn.Module, batch: Batch) -> Restored:
        """Runs ``model``, this or a copy of it; only the trained part has a graph."""
        spec = self._spec
        compressed, pristine = (x.float() / 255 for x in (batch.compressed, batch.pristine))
        whole = spec.recurrent or self._in_clips
        middle = compressed.shape[1] // 2
        frames = compressed if whole or spec.temporal_radius else compressed[:, middle]
        arguments: list[Tensor] = []
        told = slice(None) if spec.coding_of_window else middle
        if spec.takes_qp:
            arguments.append(_checked(batch.qp[:, told]))
        if spec.takes_coding:
            arguments += [batch.codec, batch.frame_type[:, told]]
        values = frames
        if self._path:
            *before, last = (model.get_submodule(name) for name in self._path)
            with torch.no_grad():
                for part in before:
                    values = part(values)
            output = last(values)
        elif self._in_clips:
            output = cast(_ForClips, model).clip(values, *arguments)
        else:
            output = model(values, *arguments)
        if whole:
            flat = (output.flatten(0, 1), compressed.flatten(0, 1), pristine.flatten(0, 1))
            return Restored(flat[0].float(), *flat[1:])
        restored = Restored(output.float(), compressed[:, middle], pristine[:, 0])
        return (
            restored._replace(wanted=_wanted(restored, batch)) if batch.taught.numel() else restored
        )

    def terms(self, restored: Restored) -> dict[str, Tensor]:
        """The terms of the loss, in float32."""
        device = restored.output.device.type
        wanted = restored.pristine if restored.wanted is None else restored.wanted
        with torch.autocast(device, enabled=False):
            return {
                name: loss(restored.output, wanted, restored.compressed)
                for name, loss in self.losses.items()
            }

    def figures(self, restored: Restored) -> dict[str, Tensor]:
        """ΔPSNR and PSNR in dB, of luma if there is one, and ΔPSNR of chroma.

        Patches without error, such as flat ones, are left out.
        """
        luma = 1 if self._spec.planes == "yuv" else None
        found = {
            "psnr_gain": _gain(restored, slice(None, luma)),
            "psnr": _psnr(restored.output[:, :luma], restored.pristine[:, :luma]).mean(),
        }
        if luma is not None:
            found["chroma_gain"] = _gain(restored, slice(luma, None))
        return found

    def picture(self, restored: Restored) -> Tensor:
        """Crops of a few frames: compressed, restored, pristine."""
        columns = [
            frames[:_SHOWN, : 1 if self._spec.planes == "yuv" else None].clamp(0, 1)
            for frames in (restored.compressed, restored.output, restored.pristine)
        ]
        rows = [
            torch.cat((before, after, original), dim=-1)
            for before, after, original in zip(*columns, strict=True)
        ]
        return torch.cat(rows, dim=-2)


def _wanted(restored: Restored, batch: Batch) -> Tensor:
    """Luma as a teacher corrects it, other planes as they were before compression."""
    luma = restored.compressed[:, :1] + batch.taught[:, 0].float() / (255 * STEPS)
    return torch.cat([luma, restored.pristine[:, 1:]], dim=1)


def _gain(restored: Restored, channels: slice) -> Tensor:
    """Mean gain in PSNR, in dB, of the images that have an error; 0 if none has."""
    output, compressed, pristine = (
        frames[:, channels] for frames in (restored.output, restored.compressed, restored.pristine)
    )
    gains = _psnr(output, pristine) - _psnr(compressed, pristine)
    counted = (compressed - pristine).square().mean((1, 2, 3)) > NO_ERROR
    return gains[counted].mean() if counted.any() else gains.new_zeros(())


def _psnr(frames: Tensor, pristine: Tensor) -> Tensor:
    return psnr(frames.clamp(0, 1), pristine, ceiling=_MAX_PSNR)


def _checked(qp: Tensor) -> Tensor:
    if qp.isnan().any():
        raise ValueError(
            "the QP of some frames is not known, but the model takes one: prepare the clips with "
            "a codec whose QPs can be read, or choose another qp in the recipe's data"
        )
    return qp
