"""The evaluator: encodes, restores, measures; results already there are reused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from vqe_fast._precision import Precision
from vqe_fast._whole_number import whole_number
from vqe_fast.data.prepared import Plan, prepare
from vqe_fast.data.spec import expand, problems
from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.detection import Detector
from vqe_fast.evaluation.environment import facts
from vqe_fast.evaluation.journal import Journal
from vqe_fast.evaluation.protocol import Protocol, find_protocol
from vqe_fast.evaluation.restorer import Restorer, Tuned
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.rows import RowMeasurer
from vqe_fast.evaluation.tasks import Outcome
from vqe_fast.evaluation.worker_setup import MeasureSetup, WorkplacePlan
from vqe_fast.executors.choice import WantedWorkers, executor_for
from vqe_fast.executors.executor import ExecutorError, UnsendableError
from vqe_fast.video.errors import WorkerError

ENCODES = "encodes"
"""Folder of the compressed clips, below the output folder unless another is given."""

Progress = Callable[[int, int], None]


def evaluate(
    clips: Sequence[str | os.PathLike[str]],
    models: Sequence[str] | Mapping[str, str | nn.Module | Restorer | Tuned],
    settings: str | Protocol | Sequence[Mapping[str, Any]],
    *,
    output: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    frames: int | None = None,
    metrics: Sequence[str] = (),
    detector: Detector | str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    model_options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    processes: int | None = None,
    cluster: str | None = None,
    worker_cpus: int | None = None,
    worker_gpus: float | None = None,
    announce: Callable[[Plan], None] | None = None,
    encoding: Progress | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measures what models gain on clips that real encoders compressed.

    The compressed clips themselves, ``none``, are always measured: gains and BD-rates are against
    them. Clips are what :func:`vqe_fast.enhance_video` makes of the compressed files, less the
    encoder at the end: the same rounding to 8 bits, the same neighbours, QPs, tiles and clips of
    recurrent models.

    A model that fails on a clip costs one row, which says why. With an ``output`` folder an
    interrupted call goes on where it was: what has been encoded and measured stays, unless the
    clip, the model or what is measured has changed.

    Args:
        clips: files of pristine video, photographs, or folders of them.
        models: registered names, whose weights ship; ``"NAME:sharp"`` or ``"NAME:sharp:0.5"``
            for a look of these, see :class:`vqe_fast.video.look.Look`; ``"NAME:FILE"`` with a
            file of weights (``.safetensors``, or ``.pth`` as others publish them); a
            ``.safetensors`` file or the output folder of ``vqe-fast train``; ``"none"``;
            ``"spp"``; ``"cmd:PROGRAM {input} {output}"``. As a mapping, name → one of these, a
            module with a ``spec``, or an object with the methods of
            :class:`vqe_fast.evaluation.Restorer`.
        settings: a protocol, its file or the name of one that ships; or degradations as the files
            of ``vqe-fast prepare`` have them, such as
            ``[{"codec": "libx264", "mode": "qp", "values": [22, 27, 32, 37]}]``.
        output: folder for what has been measured; None for a temporary one.
        cache: folder for the compressed clips; None for ``encodes`` in ``output``.
        frames: how many frames of a clip to take at most; None for what the protocol says.
        metrics: names of more measures, of :data:`vqe_fast.metrics.measures.NAMES`.
        detector: of objects, an ``.onnx`` file, see
            :class:`vqe_fast.evaluation.onnx.OnnxDetector`, or a callable: RGB (H, W, 3) uint8 →
            boxes (N, 4), labels (N,) and scores (N,).
        device: where models run.
        precision: of their weights.
        model_options: those to build each registered model with, beside those of its weights.
        workers: encoders at a time, which are threads of this process; None for one a core. For
            workers that restore and measure see ``processes``.
        processes: workers that restore and measure, each a process with a GPU of its own, or on a
            CPU with its share of the cores; what they are given must be fit for :mod:`pickle`.
            None for one, which is this process, or on a cluster for as many as it has room for.
            Figures are the same, but speeds compare with no others.
        cluster: restore and measure on a Ray cluster, as ``cluster`` of
            :func:`vqe_fast.enhance_video`; all nodes have to see the compressed clips.
        worker_cpus: cores of each worker on a cluster; None for what suits its nodes.
        worker_gpus: GPUs of each worker on a cluster; None for one where there are any.
        announce: told what will be encoded before it is.
        encoding: told now and then how many frames of how many are encoded.
        progress: told how many rows of how many are measured.

    Returns:
        The rows, with their tables.

    Raises:
        ValueError: clips, models, settings or measures that cannot be.
        VideoError: a model that cannot enhance video, or no such device.
        WorkerError: there are no workers, or one cannot measure at all.
    """
    protocol = _protocol(settings)
    if frames is not None:
        frames = whole_number("frames", frames, 1)
        protocol = _validated(protocol.model_dump() | {"frames": frames})
    if workers is not None:
        workers = whole_number("workers", workers, 1)
    sources = protocol.sources([Path(clip) for clip in clips])
    wanted = WantedWorkers(processes, cluster, worker_cpus, worker_gpus)
    with ExitStack() as stack, _said_of_workers():
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vqe-fast-"))
            if output is None
            else output
        ).resolve()
        plan = WorkplacePlan(
            models=models,
            precision=precision,
            model_options=model_options,
            metrics=metrics,
            detector=detector,
            chroma=protocol.chroma,
            conversion=protocol.conversion,
            folder=folder,
        )
        here = plan.make(device, 1)
        executor = stack.enter_context(
            executor_for(lambda processes: MeasureSetup(plan, here, processes), device, wanted)
        )
        journal = stack.enter_context(Journal(folder))
        prepared = prepare(
            sources,
            expand(protocol.degradations),
            folder / ENCODES if cache is None else Path(cache).resolve(),
            cut_threshold=protocol.cut_threshold,
            workers=workers,
            announce=announce,
            progress=encoding,
        )
        cases = [
            Case(clip.model_copy(update={"streams": {setting: stream}}), setting, prepared.folder)
            for clip in prepared.index.clips
            for setting, stream in clip.streams.items()
        ]
        measurer = RowMeasurer(executor, journal, cases, here.restorers, progress)
        rows = measurer.rows()
        about = facts(cases, measurer.machines)
        about["restorers"] = {
            name: _described(restorer, measurer.described(name))
            for name, restorer in here.restorers.items()
        }
        about["measures"] = measurer.measures
        about["workers_lost"] = measurer.lost
        return Evaluation(
            protocol=protocol,
            rows=rows,
            streams={(case.clip.name, case.setting): case.stream for case in cases},
            facts=about,
            extra_tables=[*dict.fromkeys(metrics), *(["map"] if detector else [])],
        )


@contextmanager
def _said_of_workers() -> Iterator[None]:
    """Errors of executors as those of this package's functions."""
    try:
        yield
    except ExecutorError as error:
        raise WorkerError(str(error)) from error
    except UnsendableError as error:
        raise ValueError(
            f"a model, restorer or detector cannot be sent to workers ({error}): give names and "
            "files, or measure in one process"
        ) from error


def _protocol(settings: str | Protocol | Sequence[Mapping[str, Any]]) -> Protocol:
    if isinstance(settings, Protocol):
        return settings
    if isinstance(settings, str):
        return find_protocol(settings)
    return _validated({"degradations": [dict(each) for each in settings]})


def _validated(fields: dict[str, Any]) -> Protocol:
    try:
        return Protocol.model_validate(fields)
    except ValidationError as error:
        raise ValueError(f"the settings are not as they must be: {problems(error)}") from error


def _described(restorer: Restorer | Tuned, found: Sequence[Outcome]) -> dict[str, Any]:
    """What identifies a restorer, for the report."""
    if found[0].error:
        return {"error": found[0].error}
    one = restorer.strengths[0] if isinstance(restorer, Tuned) else restorer
    about = dict(found[0].value)
    if isinstance(restorer, Tuned):
        about["strengths"] = [each.value for each in found]
        about.pop("filter", None)
    return about | {"works on": one.planes, "timed": one.timed}
