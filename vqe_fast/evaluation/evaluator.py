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
from vqe_fast.evaluation.case import Case, prepared_cases
from vqe_fast.evaluation.comparable import RGB
from vqe_fast.evaluation.detection import Detector
from vqe_fast.evaluation.environment import facts
from vqe_fast.evaluation.journal import Journal
from vqe_fast.evaluation.pair_cases import PairedCases, paired_cases
from vqe_fast.evaluation.protocol import Protocol, find_protocol
from vqe_fast.evaluation.restorer import Restorer, Tuned
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import Row
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
    settings: str | Protocol | Sequence[Mapping[str, Any]] | None = None,
    *,
    pairs: str | None = None,
    qp: float | None = None,
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
    """Measures what models gain on clips that real encoders compressed, here or before.

    The compressed clips themselves, ``none``, are always measured: gains and BD-rates are against
    them. Clips are what :func:`vqe_fast.enhance_video` makes of the compressed files, less the
    encoder at the end: the same rounding to 8 bits, the same neighbours, QPs, tiles and clips of
    recurrent models.

    A model that fails on a clip costs one row, which says why. With an ``output`` folder an
    interrupted call goes on where it was: what has been encoded and measured stays, unless the
    clip, the model or what is measured has changed.

    Args:
        clips: files of pristine video, photographs, or folders of them; with ``pairs`` what these
            are found in.
        models: registered names, whose weights ship; ``"NAME:sharp"`` or ``"NAME:sharp:0.5"``
            for a look of these, see :class:`vqe_fast.video.look.Look`; ``"NAME:FILE"`` with a
            file of weights (``.safetensors``, or ``.pth`` as others publish them); a
            ``.safetensors`` file or the output folder of ``vqe-fast train``; ``"none"``;
            ``"spp"``; ``"cmd:PROGRAM {input} {output}"``. As a mapping, name → one of these, a
            module with a ``spec``, or an object with the methods of
            :class:`vqe_fast.evaluation.Restorer`.
        settings: a protocol, its file or the name of one that ships; or degradations as the files
            of ``vqe-fast prepare`` have them, such as
            ``[{"codec": "libx264", "mode": "qp", "values": [22, 27, 32, 37]}]``. With ``pairs``
            None, or a protocol without degradations.
        pairs: layout of pairs of clips that are compressed, or even restored, already: ``"mfqe"``,
            ``"ldv"`` or ``"gopro"`` for the folder of such a data set; ``"files"`` for the original
            and then its compressed versions, all files, or all folders of files of the same names.
            Rows ``none`` are the pairs as they are, so that ``models`` may be empty. None to
            encode.
        qp: of pairs, the QP of all frames where neither stream nor name tells one, as ``QP37``
            does.
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
        encoding: told now and then how many frames of how many are encoded, or clips of pairs
            looked at.
        progress: told how many rows of how many are measured.

    Returns:
        The rows, with their tables.

    Raises:
        ValueError: clips, models, settings or measures that cannot be.
        VideoError: a model that cannot enhance video, or no such device.
        WorkerError: there are no workers, or one cannot measure at all.
    """
    protocol = _protocol(settings, pairs)
    if pairs is None and qp is not None:
        raise ValueError("a QP of its own goes with pairs: clips are encoded at the settings' QPs")
    if pairs is not None and cache is not None:
        raise ValueError("pairs are compressed already: leave the cache of compressed clips out")
    if frames is not None:
        frames = whole_number("frames", frames, 1)
        protocol = _validated(protocol.model_dump(exclude_unset=True) | {"frames": frames})
    if workers is not None:
        workers = whole_number("workers", workers, 1)
    places = [Path(clip) for clip in clips]
    sources = protocol.sources(places) if pairs is None else []
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
        given = PairedCases([], [], [])
        if pairs is None:
            prepared = prepare(
                sources,
                expand(protocol.degradations),
                folder / ENCODES if cache is None else Path(cache).resolve(),
                cut_threshold=protocol.cut_threshold,
                workers=workers,
                announce=announce,
                progress=encoding,
            )
            cases = prepared_cases(prepared)
        else:
            given = paired_cases(
                places, pairs, frames=protocol.frames, qp=qp, workers=workers, progress=encoding
            )
            cases = list(given.cases)
            protocol = _for_pairs(protocol, cases)
        measurer = RowMeasurer(executor, journal, cases, here.restorers, progress)
        rows = _with_missing(measurer.rows(), given.missing)
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
            cases=cases,
            facts=about,
            extra_tables=[*dict.fromkeys(metrics), *(["map"] if detector else [])],
            remarks=given.remarks,
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


def _protocol(
    settings: str | Protocol | Sequence[Mapping[str, Any]] | None, pairs: str | None
) -> Protocol:
    if isinstance(settings, Protocol):
        protocol = settings
    elif isinstance(settings, str):
        protocol = find_protocol(settings)
    elif settings is None:
        protocol = Protocol()
    else:
        protocol = _validated({"degradations": [dict(each) for each in settings]})
    if pairs is None and not protocol.degradations:
        raise ValueError("there is nothing to compress clips by: give settings, or pairs")
    idle = sorted(protocol.model_fields_set - {"frames", *Protocol.__annotations__})
    if pairs is not None and (idle or protocol.degradations):
        raise ValueError(
            "pairs are compressed already: give no settings, or a protocol without "
            f"{', '.join(idle) or 'degradations'}"
        )
    return protocol


def _for_pairs(protocol: Protocol, cases: Sequence[Case]) -> Protocol:
    """The protocol, with tables of RGB for pairs of RGB unless it says which."""
    is_rgb = [case.pixel_format == RGB for case in cases]
    if any(is_rgb) and (protocol.chroma, protocol.conversion) != ("decoded", "stream"):
        raise ValueError(
            "the protocol makes RGB of Y'CbCr in its own way, but there are originals of RGB: give "
            "another protocol, or none"
        )
    if all(is_rgb) and "tables" not in protocol.model_fields_set:
        return protocol.model_copy(update={"tables": ["psnr_rgb", "ssim_rgb"]})
    return protocol


def _with_missing(rows: Sequence[Row], missing: Sequence[tuple[str, str]]) -> list[Row]:
    """The rows, with one that says so for each version that a clip lacks and others have."""
    restorers = dict.fromkeys(row.restorer for row in rows)
    lacking = [
        Row(clip, setting, restorer, 0, None, error="there is no compressed version of it")
        for clip, setting in missing
        for restorer in restorers
    ]
    clips = list(dict.fromkeys(row.clip for row in rows))
    settings = list(dict.fromkeys(row.setting for row in rows))

    def place(row: Row) -> tuple[int, int]:
        return clips.index(row.clip), settings.index(row.setting)

    return sorted([*rows, *lacking], key=place)


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
