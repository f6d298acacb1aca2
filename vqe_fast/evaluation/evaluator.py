"""The evaluator: encodes, restores, measures; results already there are reused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import ValidationError
from torch import nn

from vqe_fast._precision import Precision
from vqe_fast._version import __version__
from vqe_fast._whole_number import whole_number
from vqe_fast.data.prepared import Plan, prepare
from vqe_fast.data.sources import file_checksum
from vqe_fast.data.spec import expand, problems
from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.detection import Detector
from vqe_fast.evaluation.environment import facts
from vqe_fast.evaluation.journal import Journal
from vqe_fast.evaluation.measuring import Measures, luma_psnr
from vqe_fast.evaluation.onnx import OnnxDetector
from vqe_fast.evaluation.protocol import Protocol, find_protocol
from vqe_fast.evaluation.resolve_restorers import find_restorers
from vqe_fast.evaluation.restorer import Restorer, Tuned, Work
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import Row
from vqe_fast.evaluation.store import FrameStore
from vqe_fast.metrics.perceptual import Perceptual
from vqe_fast.video.inference.load import pick_device

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
        models: registered names, whose weights ship; ``"NAME:FILE"`` with a file of weights
            (``.safetensors``, or ``.pth`` as others publish them); a ``.safetensors`` file or the
            output folder of ``vqe-fast train``; ``"none"``; ``"spp"``; ``"cmd:PROGRAM {input}
            {output}"``. As a mapping, name → one of these, a module with a ``spec``, or an
            object with the methods of :class:`vqe_fast.evaluation.Restorer`.
        settings: a protocol, its file or the name of one that ships; or degradations as the files
            of ``vqe-fast prepare`` have them, such as
            ``[{"codec": "libx264", "mode": "qp", "values": [22, 27, 32, 37]}]``.
        output: folder for what has been measured; None for a temporary one.
        cache: folder for the compressed clips; None for ``encodes`` in ``output``.
        frames: how many frames of a clip to take at most; None for what the protocol says.
        metrics: measures of pyiqa, of :data:`vqe_fast.metrics.perceptual.NAMES`.
        detector: of objects, an ``.onnx`` file, see
            :class:`vqe_fast.evaluation.onnx.OnnxDetector`, or a callable: RGB (H, W, 3) uint8 →
            boxes (N, 4), labels (N,) and scores (N,).
        device: where models run.
        precision: of their weights.
        model_options: those to build each registered model with, beside those of its weights.
        workers: encoders at a time; None for one a core.
        announce: told what will be encoded before it is.
        encoding: told now and then how many frames of how many are encoded.
        progress: told how many rows of how many are measured.

    Returns:
        The rows, with their tables.

    Raises:
        ValueError: clips, models, settings or measures that cannot be.
        VideoError: a model that cannot enhance video, or no such device.
    """
    protocol = _protocol(settings)
    if frames is not None:
        frames = whole_number("frames", frames, 1)
        protocol = _validated(protocol.model_dump() | {"frames": frames})
    if workers is not None:
        workers = whole_number("workers", workers, 1)
    sources = protocol.sources([Path(clip) for clip in clips])
    restorers = find_restorers(
        models, device=device, precision=precision, model_options=model_options
    )
    perceptual = Perceptual(metrics, pick_device(device))
    chosen_detector, detector_name = _detector(detector)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vqe-fast-"))
            if output is None
            else output
        )
        journal = stack.enter_context(Journal(folder))
        prepared = prepare(
            sources,
            expand(protocol.degradations),
            folder / ENCODES if cache is None else Path(cache),
            cut_threshold=protocol.cut_threshold,
            workers=workers,
            announce=announce,
            progress=encoding,
        )
        session = _Session(
            journal=journal,
            folder=folder,
            measures=Measures(
                perceptual=perceptual,
                chroma=protocol.chroma,
                conversion=protocol.conversion,
                detector=chosen_detector,
                detector_name=detector_name,
                folder=folder,
            ),
            cases=[
                Case(clip, setting, prepared.folder)
                for clip in prepared.index.clips
                for setting in clip.streams
            ],
            progress=progress,
        )
        rows = session.rows(restorers)
        about = facts(session.cases, str(pick_device(device)))
        about["restorers"] = {
            name: _described(restorer, session.cases[0]) for name, restorer in restorers.items()
        }
        return Evaluation(
            protocol=protocol,
            rows=rows,
            streams={(case.clip.name, case.setting): case.stream for case in session.cases},
            facts=about,
            extra_tables=[*perceptual.names, *(["map"] if chosen_detector else [])],
        )


@dataclass
class _Session:
    """The work of one call."""

    journal: Journal
    folder: Path
    measures: Measures
    cases: list[Case]
    progress: Progress | None
    _done: int = 0
    _total: int = field(default=0, init=False)

    def rows(self, restorers: Mapping[str, Restorer | Tuned]) -> list[Row]:
        """All rows, clip by clip, setting by setting."""
        tuned = {name: each for name, each in restorers.items() if isinstance(each, Tuned)}
        trials = sum(len(restorer.strengths) for restorer in tuned.values())
        self._total = len(self.cases) * (len(restorers) + trials)
        chosen = {
            (name, setting): self._tune(restorer, setting)
            for name, restorer in tuned.items()
            for setting in dict.fromkeys(case.setting for case in self.cases)
        }
        return [
            self._row(case, name, chosen[name, case.setting])
            if isinstance(restorer, Tuned)
            else self._row(case, name, restorer)
            for case in self.cases
            for name, restorer in restorers.items()
        ]

    def _tune(self, restorer: Tuned, setting: str) -> Restorer:
        """The strength with the greatest PSNR, mean over the clips on which none failed."""
        cases = [case for case in self.cases if case.setting == setting]
        found = [[self._trial(case, each) for case in cases] for each in restorer.strengths]
        whole = [column for column in zip(*found, strict=True) if None not in column]
        if not whole:
            return restorer.strengths[0]
        means = [fmean(value or 0.0 for value in values) for values in zip(*whole, strict=True)]
        return restorer.strengths[means.index(max(means))]

    def _trial(self, case: Case, restorer: Restorer) -> float | None:
        """PSNR of luma; None if it fails."""
        key = self._key(case, restorer) | {"trial": True}
        value: float | None = self.journal.get(key)
        if value is None:
            try:
                with FrameStore(self.folder, case.size, case.color) as frames:
                    _restore(restorer, case, frames)
                    value = luma_psnr(case, frames)
                self.journal.put(key, value)
            except Exception:  # the row that is made with it will say why
                value = None
        self._tick()
        return value

    def _row(self, case: Case, name: str, restorer: Restorer) -> Row:
        """Measures, unless that is known already."""
        base = Row(case.clip.name, case.setting, name, case.count, case.bitrate)
        try:
            key = self._key(case, restorer) | {"measures": self.measures.identity()}
            known = self.journal.get(key)
            if known is None:
                known = self._measured(case, restorer)
                self.journal.put(key, known)
            row = replace(base, **known)
        except Exception as error:  # a model of anyone's: whatever it raises costs this row only
            row = replace(base, error=_sentence(error))
        self._tick()
        return row

    def _measured(self, case: Case, restorer: Restorer) -> dict[str, Any]:
        with FrameStore(self.folder, case.size, case.color) as frames:
            work = _restore(restorer, case, frames)
            measured = self.measures.of(case, frames)
        return {
            "figures": dict(measured.figures),
            "frames": dict(measured.frames),
            "fps": case.count / work.seconds if work.seconds else None,
            "timed": restorer.timed,
            "note": work.note,
            "matches": None if measured.matches is None else measured.matches.to_dict(),
        }

    def _key(self, case: Case, restorer: Restorer) -> dict[str, Any]:
        return {
            "vqe_fast": __version__,
            "original": case.clip.pristine.sha256,
            "taken": [case.clip.frames, case.stream.first, case.stream.step],
            "stream": case.stream.file.sha256,
            "color": [case.color.matrix, case.color.full_range],
            "restorer": dict(restorer.identity(case)),
        }

    def _tick(self) -> None:
        self._done += 1
        if self.progress is not None:
            self.progress(self._done, self._total)


def _restore(restorer: Restorer, case: Case, frames: FrameStore) -> Work:
    work = restorer.restore(case, frames)
    if len(frames) != case.count:
        raise ValueError(f"it gave {len(frames)} frames for {case.count}: give one for each")
    return work


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


def _detector(
    detector: Detector | str | os.PathLike[str] | None,
) -> tuple[Detector | None, str]:
    """The detector, and what identifies it."""
    if detector is None:
        return None, ""
    if isinstance(detector, str | os.PathLike):
        path = Path(detector)
        return OnnxDetector(path), f"{path.name} {file_checksum(path)}"
    kind = detector if hasattr(detector, "__qualname__") else type(detector)
    return detector, f"{kind.__module__}.{kind.__qualname__}"


def _described(restorer: Restorer | Tuned, case: Case) -> dict[str, Any]:
    """What identifies a restorer, for the report."""
    one = restorer.strengths[0] if isinstance(restorer, Tuned) else restorer
    try:
        about = dict(one.identity(case))
    except ValueError as error:
        return {"error": str(error)}
    if isinstance(restorer, Tuned):
        about["strengths"] = [dict(each.identity(case)) for each in restorer.strengths]
        about.pop("filter", None)
    return about | {"works on": one.planes, "timed": one.timed}


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else "no reason given"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
