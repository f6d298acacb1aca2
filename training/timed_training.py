"""Timed training: better weights in so many minutes, from a packed file on one device."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqe_fast.data.crops import CropSampler, Windows
from vqe_fast.data.packed import BLOCK, Packed
from vqe_fast.models import create_model
from vqe_fast.models.dualres import DualResolution, ModulatedBlock, qp_shares
from vqe_fast.training.crop_gains import Gains, crop_gains
from vqe_fast.training.graphed_step import fastest_step
from vqe_fast.training.growth import grow, load_start
from vqe_fast.training.losses import relative_mse_loss
from vqe_fast.training.stacked_muon import StackedMuon
from vqe_fast.training.timed_files import save_best, save_curve
from vqe_fast.training.timed_schedule import ClockSchedule
from vqe_fast.weights import load_shipped, shipped, shipped_options

# The loss, the optimisers and their rates are those of recipes/shipped_dualres_s.yaml.
_FLOOR = 3e-5
_CHANNELS = (15.0, 2.5, 2.5)
_ADAM_SHARE = 0.35  # of Muon's rate
_BETAS = (0.9, 0.99)
_UNKNOWN = 0.1
_DECAY = 0.999  # of the average, a step
_TOGETHER = 10  # steps that a GPU is given at a time


@dataclass(frozen=True)
class Settings:
    """Settings of a timed training, those of the recipe ``shipped_dualres_s`` but for the batch.

    Attributes:
        model: a registered :class:`vqe_fast.models.dualres.DualResolution`.
        minutes: for all of it, reading the file excepted.
        batch: windows of a step.
        patch: their side in pixels, a multiple of 8.
        rate: of Muon; what Adam trains beside has a share of it.
        seed: of what is drawn.
        weights: to start from; those that ship, of ``dualres_s`` for a model without any, if None.
    """

    model: str = "dualres_s"
    minutes: float = 4.0
    batch: int = 128
    patch: int = 128
    rate: float = 0.002
    seed: int = 0
    weights: Path | None = None


def burst(
    settings: Settings,
    packed: Packed,
    output: Path,
    *,
    device: torch.device,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = print,
) -> Gains:
    """Trains a model for some minutes, and keeps the averaged weights with the best score.

    At the beginning and after every minute the average is measured on the crops held out, a line is
    added to ``curve.csv`` in ``output``, and ``weights.safetensors`` and ``card.toml`` are replaced
    if it is the best so far: a run that is cut off leaves them.

    Args:
        settings: of the run.
        packed: the crops.
        output: a folder, made if it does not exist.
        device: where to train; bfloat16 on a GPU, float32 on a CPU.
        clock: in seconds.
        say: told how it goes.

    Returns:
        The gains of the weights kept.

    Raises:
        FloatingPointError: the loss is not finite; what was kept before stays.
        ValueError: a setting is out of range, or the weights do not fit.
    """
    start = clock()
    _check(settings, packed)
    return _Run(settings, packed, output, device, lambda: clock() - start, say).to_the_end()


def _check(settings: Settings, packed: Packed) -> None:
    if not 0 < settings.minutes < math.inf:
        raise ValueError(f"minutes must be above 0, got {settings.minutes}")
    if settings.batch < 1:
        raise ValueError(f"batch must be at least 1, got {settings.batch}")
    if not 0 < settings.rate < math.inf:
        raise ValueError(f"rate must be above 0, got {settings.rate}")
    side = packed.training.side
    if settings.patch % BLOCK or not BLOCK <= settings.patch <= side:
        raise ValueError(
            f"patch must be a multiple of {BLOCK} of at most the {side} of the file's crops, "
            f"got {settings.patch}"
        )


def _start(settings: Settings) -> DualResolution:
    """The model with the weights to start from."""
    torch.manual_seed(settings.seed)
    model = create_model(settings.model, **shipped_options(settings.model))
    if not isinstance(model, DualResolution):
        raise ValueError(f"{settings.model} cannot be trained so: take dualres_s or dualres_m")
    if settings.weights is not None:
        load_start(model, settings.weights)
    elif settings.model in shipped():
        load_shipped(model, settings.model)
    else:
        smaller = create_model("dualres_s", pretrained=True)
        assert isinstance(smaller, DualResolution)
        grow(model, smaller)
    return model


class _Run:
    def __init__(
        self,
        settings: Settings,
        packed: Packed,
        output: Path,
        device: torch.device,
        elapsed: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self.settings, self.packed, self.output = settings, packed, output
        self.device, self.elapsed, self.say = device, elapsed, say
        model = _start(settings).train()
        output.mkdir(parents=True, exist_ok=True)
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval()
        self.training = CropSampler(packed.training, device, settings.seed)
        self.held_out = CropSampler(packed.held_out, device)
        self.qps = torch.tensor(model.qps, dtype=torch.float32, device=device)
        self.floor = torch.tensor(_FLOOR, device=device)
        self.channels = torch.tensor(_CHANNELS, device=device)
        self.count = torch.zeros((), dtype=torch.int64, device=device)
        self.loss = torch.zeros((), device=device)
        self.steps = self.measured = 0
        self.best: Gains | None = None
        self.curve: list[dict[str, float | None]] = []
        self._make_optimisers()

    def _make_optimisers(self) -> None:
        """Muon for convolutions but the last, Adam for the rest, both with rates as tensors."""
        chosen = {
            name: weight
            for name, weight in self.model.named_parameters()
            if weight.dim() == 4 and not name.startswith("output.")
        }
        rest = [weight for name, weight in self.model.named_parameters() if name not in chosen]
        self.rate, self.adam_rate = (torch.zeros((), device=self.device) for _ in range(2))
        self.muon = StackedMuon(list(chosen.values()), self.rate)
        capturable = self.device.type == "cuda"
        self.adam = torch.optim.Adam(
            rest, self.adam_rate, _BETAS, fused=True, capturable=capturable
        )

    def to_the_end(self) -> Gains:
        """All of it."""
        since = self.elapsed()
        self.keep(0)
        last = self.elapsed() - since  # what it will take to measure at the end
        if last >= 30 * self.settings.minutes:
            raise ValueError(
                f"measuring takes {last:.0f} s here: give more minutes, or a file with fewer crops"
            )
        schedule = ClockSchedule(60 * self.settings.minutes - last)
        self.set_rates(schedule)
        step = fastest_step(self.step, self.blocks(), self.device, self.say)
        together = _TOGETHER if self.device.type == "cuda" else 1
        minute = 1
        while not schedule.is_over(self.elapsed()):
            self.set_rates(schedule)
            for _ in range(together):
                step()
            self.steps = int(self.count)  # waits for the device
            if 60 * minute <= self.elapsed() < schedule.seconds:
                self.keep(minute)
                minute = int(self.elapsed() // 60) + 1
        return self.keep(self.settings.minutes)

    def blocks(self) -> list[nn.Module]:
        """What makes up most of the model."""
        return [module for module in self.model.modules() if isinstance(module, ModulatedBlock)]

    def set_rates(self, schedule: ClockSchedule) -> None:
        """As the clock says."""
        rate = self.settings.rate * schedule.factor_at(self.elapsed(), self.steps)
        self.rate.fill_(rate)
        self.adam_rate.fill_(_ADAM_SHARE * rate)

    def step(self) -> None:
        """A step of training; nothing in it waits for the device."""
        settings = self.settings
        self.count += 1
        windows = self.training.draw(self.count, settings.batch, settings.patch, _UNKNOWN)
        for weight in self.model.parameters():
            weight.grad = None
        in_bfloat16 = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, in_bfloat16, cache_enabled=False):
            restored = self.restored(self.model, windows)
        loss = relative_mse_loss(
            restored.float(), windows.pristine, windows.compressed, self.floor, self.channels
        )
        loss.backward()
        self.muon.step()
        self.adam.step()
        with torch.no_grad():
            averages, weights = (list(each.parameters()) for each in (self.average, self.model))
            torch._foreach_lerp_(averages, weights, 1 - _DECAY)
            self.loss += loss

    def restored(self, model: nn.Module, windows: Windows) -> Tensor:
        """What a model makes of windows."""
        frames = windows.compressed.contiguous(memory_format=torch.channels_last)
        shares = qp_shares(windows.qp, self.qps)
        restored: Tensor = model(frames, shares, windows.codec, windows.frame_type)
        return restored

    def keep(self, minute: float) -> Gains:
        """Measures the average, tells it, and saves it if it is the best so far.

        Returns:
            The best so far.
        """
        taken, self.measured = self.steps - self.measured, self.steps
        loss = self.loss.item() / taken if taken else None
        self.loss.zero_()
        gains = crop_gains(lambda windows: self.restored(self.average, windows), self.held_out)
        if not math.isfinite(gains.score + (loss or 0)):
            raise FloatingPointError(
                f"the loss is not finite any more at step {self.steps}: try a lower rate; "
                f"{self.output} has the best weights from before"
            )
        is_best = self.best is None or gains.score > self.best.score
        self.say(
            f"minute {minute:g}, step {self.steps}: ΔPSNR of luma {gains.luma:+.4f} dB, of chroma "
            f"{gains.chroma:+.4f} dB"
            + ("" if loss is None else f"; loss {loss:.5f}")
            + (", kept" if is_best else "")
        )
        self.curve.append(
            {
                "minute": minute,
                "step": self.steps,
                "loss": loss,
                "luma_gain": gains.luma,
                "chroma_gain": gains.chroma,
            }
        )
        save_curve(self.output, self.curve)
        if self.best is None or is_best:
            self.best = gains
            name = self.settings.model
            options = shipped_options(name)
            save_best(self.output, self.average, name, options, self.facts(minute), gains.codecs)
        return self.best

    def facts(self, minute: float) -> dict[str, Any]:
        """What the card says of the weights as they are now."""
        settings, packed = self.settings, self.packed
        start = settings.weights or (
            "those that ship" if settings.model in shipped() else "those that ship for dualres_s"
        )
        is_gpu = self.device.type == "cuda"
        place = torch.cuda.get_device_name(self.device) if is_gpu else self.device.type
        return {
            "recipe": f"{minute:g} of {settings.minutes:g} minutes on {place} from {start}: "
            f"{settings.batch} windows of {settings.patch} pixels a step, rate {settings.rate:g}",
            "data": f"packed file with SHA-256 {packed.sha256}, of {packed.about['data']} by "
            f"{packed.about['recipe']}",
            "validated_on": f"the {len(self.held_out)} crops of it that were held out, each whole",
            "minutes": minute,
            "steps": self.steps,
            "batch": settings.batch,
            "seed": settings.seed,
        }
