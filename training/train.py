"""The training loop: from pairs of clips and a recipe to a file of weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from vqe_fast.data.loader import Loader
from vqe_fast.data.pairs import PairedClip
from vqe_fast.data.teacher import Teacher
from vqe_fast.data.windows import Batch, WindowSampler
from vqe_fast.models import create_model, spec_of
from vqe_fast.models.galteri import PREDICTOR, QualityPredictor
from vqe_fast.training.adversary import Adversary
from vqe_fast.training.checkpoint import (
    BEST_NAME,
    PLATEAU_NAME,
    STATE_NAME,
    WEIGHTS_NAME,
    load_state,
    save_state,
    save_weights,
)
from vqe_fast.training.freezing import frozen
from vqe_fast.training.growth import load_start
from vqe_fast.training.interruption import Interruption
from vqe_fast.training.learner import Average, Learner
from vqe_fast.training.objective import Objective, total
from vqe_fast.training.prediction import Prediction
from vqe_fast.training.recipe import Recipe, StageRecipe
from vqe_fast.training.restoration import Restoration, sampler_for

_VALIDATION_SEED = 1 << 32


@dataclass(frozen=True)
class Progress:
    """Progress of a run: stage, step, loss, learning rate, speed.

    Attributes:
        stage: name of the stage.
        step: the step just done, of ``steps``.
        steps: of the stage.
        terms: means of the loss's terms since the last report.
        learning_rate: of the step.
        rate: steps a second.
        waiting: share of the time that was spent waiting for the loader.
    """

    stage: str
    step: int
    steps: int
    terms: Mapping[str, float]
    learning_rate: float
    rate: float
    waiting: float


@dataclass(frozen=True)
class Validated:
    """Result of a validation: figures of the averaged model after a step, and a picture."""

    stage: str
    step: int
    figures: Mapping[str, float]
    picture: Tensor | None


Report = Callable[[Progress | Validated], None]


def build_model(recipe: Recipe) -> nn.Module:
    """Builds the model of a recipe, with initial weights."""
    if recipe.model == PREDICTOR:
        return QualityPredictor(**recipe.options)
    return create_model(recipe.model, **recipe.options)


def train(
    recipe: Recipe,
    clips: Sequence[PairedClip],
    output: Path,
    *,
    fabric: Fabric,
    validation: Sequence[PairedClip] = (),
    weights: Path | None = None,
    report: Report | None = None,
) -> nn.Module:
    """Trains a model and writes ``weights.safetensors`` into ``output``.

    ``last.pt`` is written there every ``checkpoint_every`` steps, at the end of a stage and when
    the run is interrupted. A run that finds one goes on from it, with the same batches and results
    as an uninterrupted run, also if the numbers of steps to come have changed since. With
    validation clips the weights that did best are kept as ``best.safetensors``.

    Args:
        recipe: the run.
        clips: the material.
        output: a folder, made if it does not exist.
        fabric: where to train; each of its processes takes its share of every batch.
        validation: clips that are not trained on.
        weights: a file of weights to start from, see
            :func:`vqe_fast.training.growth.load_start`; what the model has beside them starts anew.
        report: told of progress, in the first process.

    Returns:
        The exponential moving average of the model, in evaluation mode.

    Raises:
        FloatingPointError: the loss is not finite; the batch is kept in ``output``.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the run can go on.
        ValueError: the recipe does not fit the clips, or ``output`` holds another run.
        WeightsError: ``weights`` are missing or do not fit.
    """
    run = _Run(recipe, clips, output, fabric, validation, weights, report or (lambda _: None))
    with Interruption() as interruption:
        return run.to_the_end(interruption)


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        clips: Sequence[PairedClip],
        output: Path,
        fabric: Fabric,
        validation: Sequence[PairedClip],
        weights: Path | None,
        report: Report,
    ) -> None:
        self.recipe, self.output, self.fabric = recipe, output, fabric
        self.report = report if fabric.is_global_zero else lambda _: None
        output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.model = build_model(recipe)
        if weights is not None:
            load_start(self.model, weights)
        self.model.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.clips = clips
        self.validation = sampler_for(recipe, self.model, validation) if validation else None

    def to_the_end(self, interruption: Interruption) -> nn.Module:
        state = load_state(self.output, self.recipe, self.fabric.device)
        refuse_apart(state, self.output, self.fabric)
        first = state["stage"] if state else 0
        if state:
            self.model.load_state_dict(state["model"])
        average = self.model
        for number in range(first, len(self.recipe.stages)):
            with frozen(self.model, self.recipe.stages[number].freeze):
                stage = _Stage(self, number)
                if state and number == first:
                    stage.restore(state)
                average = stage.to_the_end(interruption)
            self.model.load_state_dict(average.state_dict())
        if self.fabric.is_global_zero:
            self.keep(average, WEIGHTS_NAME)
        self.fabric.barrier()
        return average.eval()

    def keep(self, model: nn.Module, file: str) -> None:
        """Writes weights into the output folder."""
        recipe = self.recipe
        save_weights(model, self.output / file, recipe.model, recipe.options, recipe.data.qp)


class _Stage:
    def __init__(self, run: _Run, number: int) -> None:
        self.run, self.number = run, number
        self.recipe: StageRecipe = run.recipe.stages[number]
        fabric, model = run.fabric, run.model
        self.objective: Objective = (
            Prediction(model, self.recipe)
            if run.recipe.model == PREDICTOR
            else Restoration(model, self.recipe, fabric.device, run.recipe.data.target)
        )
        self.average = Average(model, self.recipe.ema)
        self.learner = Learner(self.objective.trained, self.recipe.optimiser, fabric)
        self.adversary, self.critic = None, None
        if self.recipe.adversarial:
            self.adversary = Adversary(
                self.recipe.adversarial, fabric.device, spec_of(model).planes
            )
            self.critic = Learner(
                self.adversary.discriminator, self.recipe.adversarial.optimiser, fabric
            )
        teacher = None
        if self.recipe.teacher is not None:
            teacher = Teacher(self.recipe.teacher, fabric.device)
        self.sampler = sampler_for(run.recipe, model, run.clips, teacher)
        whole = not self.recipe.modules
        compiled = run.recipe.compile and whole
        self.forward = cast(nn.Module, torch.compile(model)) if compiled else model
        self.start, self.best = 0, -math.inf

    def to_the_end(self, interruption: Interruption) -> nn.Module:
        run, recipe, steps = self.run, self.run.recipe, self.recipe.steps
        fabric, cooldown = run.fabric, self.recipe.schedule.cooldown
        terms: list[dict[str, float]] = []
        waited = 0.0
        if run.validation and self.start == 0:
            self._validate(run.validation, 0)
        self.run.model.train()
        since = time.perf_counter()
        with self._loader() as loader:
            for step, batch in enumerate(loader, self.start):
                rate = self.learner.schedule(self.recipe.schedule, step, steps)
                if self.critic:
                    self.critic.schedule(self.recipe.schedule, step, steps)
                terms.append(self._checked(self._step(_moved(batch, fabric.device)), batch, step))
                done = step + 1
                if done % recipe.report_every == 0 or done == steps:
                    now = time.perf_counter()
                    means = _means(terms, fabric)
                    pace = len(terms) / (now - since)
                    share = (loader.waited - waited) / (now - since)
                    run.report(Progress(self.recipe.name, done, steps, means, rate, pace, share))
                    terms, since, waited = [], now, loader.waited
                if run.validation and (done % recipe.validation.every == 0 or done == steps):
                    self._validate(run.validation, done)
                    since, waited = time.perf_counter(), loader.waited
                if cooldown and done == steps - cooldown:
                    self._save(done, PLATEAU_NAME)
                interrupted = _anywhere(interruption.asked, fabric)
                if interrupted or done % recipe.checkpoint_every == 0 or done == steps:
                    self._save(done)
                if interrupted:
                    raise KeyboardInterrupt
        return self.average.model

    def _loader(self) -> Loader:
        fabric, recipe = self.run.fabric, self.run.recipe
        return Loader(
            self.sampler,
            recipe.seed + self.number,
            self.start,
            self.recipe.steps,
            rank=fabric.global_rank,
            world=fabric.world_size,
            pin_memory=fabric.device.type == "cuda",
        )

    def _step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the generator, after one of the discriminator if there is one."""
        parts = self.recipe.optimiser.accumulate
        added: dict[str, Tensor] = {}
        self.learner.forget()
        for part in _parts(batch, parts):
            with self.run.fabric.autocast():
                result = self.objective(self.forward, part)
            terms = self.objective.terms(result)
            if self.adversary and self.critic:
                critics = self.adversary.own_terms(result)
                self.critic.forget()
                total(critics).backward()
                self.critic.step()
                terms |= self.adversary.generator_terms(result)
                added |= {name: term.detach() for name, term in critics.items()}
            (total(terms) / parts).backward()
            for name, term in terms.items():
                added[name] = added.get(name, 0) + term.detach() / parts
        self.learner.step()
        self.average.update()
        return added

    def _checked(self, terms: dict[str, Tensor], batch: Batch, step: int) -> dict[str, float]:
        """The terms as numbers."""
        names, values = list(terms), torch.stack(list(terms.values())).tolist()
        found = dict(zip(names, values, strict=True))
        wrong = [name for name, value in found.items() if not math.isfinite(value)]
        if wrong:
            path = self.run.output / f"batch-of-step-{step}.pt"
            torch.save({field.name: getattr(batch, field.name) for field in fields(batch)}, path)
            raise FloatingPointError(
                f"the loss of step {step} of {self.recipe.name} is not finite: {wrong[0]} is "
                f"{found[wrong[0]]}; the batch is in {path}, a lower rate or clip_norm may help"
            )
        return found

    @torch.no_grad()
    def _validate(self, sampler: WindowSampler, step: int) -> None:
        run = self.run
        if run.fabric.is_global_zero:
            model = self.average.model.eval()
            found: list[dict[str, float]] = []
            picture = None
            for number in range(run.recipe.validation.batches):
                batch = _moved(sampler.draw(number, _VALIDATION_SEED), run.fabric.device)
                with run.fabric.autocast():
                    result = self.objective(model, batch)
                figures = self.objective.figures(result)
                if terms := self.objective.terms(result):
                    figures["loss"] = total(terms)
                found.append({name: figure.item() for name, figure in figures.items()})
                picture = self.objective.picture(result) if number == 0 else picture
            means = {name: fmean(each[name] for each in found) for name in found[0]}
            by_loss = run.recipe.validation.best == "loss" and "loss" in means
            score = -means["loss"] if by_loss else means[next(iter(means))]
            if score > self.best:
                self.best = score
                run.keep(model, BEST_NAME)
            run.model.train()
            run.report(Validated(self.recipe.name, step, means, picture))
        run.fabric.barrier()

    def _save(self, step: int, name: str = STATE_NAME) -> None:
        run = self.run
        if run.fabric.is_global_zero:
            state: dict[str, Any] = {
                "recipe": run.recipe.identity(),
                "steps": [stage.steps for stage in run.recipe.stages],
                "stage": self.number,
                "step": step,
                "best": self.best,
                "model": run.model.state_dict(),
                "average": self.average.state(),
                "optimiser": self.learner.state(),
            }
            if self.adversary and self.critic:
                state["discriminator"] = self.adversary.discriminator.state_dict()
                state["critic"] = self.critic.state()
            save_state(state, run.output, name)
        run.fabric.barrier()

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what :meth:`_save` wrote."""
        self.start, self.best = state["step"], state["best"]
        self.average.restore(state["average"])
        self.learner.restore(state["optimiser"])
        if self.adversary and self.critic:
            self.adversary.discriminator.load_state_dict(state["discriminator"])
            self.critic.restore(state["critic"])


def refuse_apart(state: Mapping[str, Any] | None, output: Path, fabric: Fabric) -> None:
    """Refuses a run whose processes found different checkpoints, as nodes with own folders do.

    Args:
        state: that this process found; None if none.
        output: where it looked.
        fabric: of all processes, each of which has to call this.

    Raises:
        ValueError: others begin elsewhere.
    """
    here = torch.tensor([state["stage"], state["step"]] if state else [0, 0], device=fabric.device)
    starts = fabric.all_gather(here)
    assert isinstance(starts, Tensor)
    steps = {(stage, step) for stage, step in starts.reshape(-1, 2).tolist()}
    if len(steps) > 1:
        listed = ", ".join(f"stage {stage + 1} step {step}" for stage, step in sorted(steps))
        raise ValueError(
            f"the processes of this run would begin at different steps ({listed}): give an output "
            f"folder that all nodes share, which {output} is not"
        )


def _means(terms: Sequence[Mapping[str, float]], fabric: Fabric) -> dict[str, float]:
    """Of each term, over the steps and all processes."""
    own = torch.tensor([fmean(term[name] for term in terms) for name in terms[0]])
    together = fabric.all_reduce(own.to(fabric.device), reduce_op="mean")
    assert isinstance(together, Tensor)
    return dict(zip(terms[0], together.tolist(), strict=True))


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        *(getattr(batch, field.name).to(device, non_blocking=True) for field in fields(batch))
    )


def _anywhere(asked: bool, fabric: Fabric) -> bool:
    """Whether any process was asked to stop: they do it at the same step."""
    if fabric.world_size == 1:
        return asked
    found = fabric.all_reduce(torch.tensor(float(asked), device=fabric.device), reduce_op="sum")
    return bool(found)


def _parts(batch: Batch, count: int) -> list[Batch]:
    """A batch in ``count`` parts of the same size."""
    if count == 1:
        return [batch]
    size = len(batch.qp)
    if size % count:
        raise ValueError(f"a batch of {size} cannot be worked through in {count} equal parts")
    pieces = [getattr(batch, field.name).split(size // count) for field in fields(batch)]
    return [Batch(*part) for part in zip(*pieces, strict=True)]
