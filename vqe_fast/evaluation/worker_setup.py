"""Setup of workers that measure: restorers and measures, made once in each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vqe_fast._machine import machine_name, peers
from vqe_fast._precision import Precision
from vqe_fast.data.sources import file_checksum
from vqe_fast.evaluation.detection import Detector
from vqe_fast.evaluation.measuring import Measures
from vqe_fast.evaluation.onnx import OnnxDetector
from vqe_fast.evaluation.resolve_restorers import Wanted, find_restorers
from vqe_fast.evaluation.restorer import Restorer, Tuned
from vqe_fast.evaluation.rgb import Chroma, Conversion
from vqe_fast.metrics.measures import find_measures
from vqe_fast.video.inference.load import pick_device
from vqe_fast.video.inference.memory import is_out_of_memory


@dataclass(frozen=True)
class Workplace:
    """What a worker measures with.

    Attributes:
        restorers: name → restorer.
        measures: of all rows.
        machine: its name.
    """

    restorers: Mapping[str, Restorer | Tuned]
    measures: Measures
    machine: str

    def restorer(self, name: str, strength: int) -> Restorer:
        """A restorer; of one in several strengths that with this number."""
        found = self.restorers[name]
        return found.strengths[strength] if isinstance(found, Tuned) else found


@dataclass(frozen=True)
class WorkplacePlan:
    """Plan of a workplace, as :func:`vqe_fast.evaluate` takes it.

    Attributes:
        models: what to compare.
        precision: of the weights.
        model_options: those to build each registered model with.
        metrics: names of measures.
        detector: of objects; None to do without.
        chroma: see :mod:`vqe_fast.evaluation.rgb`.
        conversion: the same.
        folder: where there is room for frames; a worker that does not see it takes that for
            temporary files.
    """

    models: Sequence[str] | Mapping[str, Wanted]
    precision: Precision
    model_options: Mapping[str, Any] | None
    metrics: Sequence[str]
    detector: Detector | str | os.PathLike[str] | None
    chroma: Chroma
    conversion: Conversion
    folder: Path

    def make(self, device: str, processes: int | None) -> Workplace:
        """The workplace.

        Args:
            device: where models run.
            processes: how many share it; None for as many as have such a share of the machine's
                cores as this one.

        Raises:
            ValueError: models or measures that cannot be.
            VideoError: a model that cannot enhance video, or no such device.
        """
        restorers = find_restorers(
            self.models,
            device=device,
            precision=self.precision,
            model_options=self.model_options,
            processes=peers() if processes is None else processes,
        )
        chosen = pick_device(device)
        detector, detector_name = _detector(self.detector)
        measures = Measures(
            asked=find_measures(self.metrics, chosen),
            chroma=self.chroma,
            conversion=self.conversion,
            detector=detector,
            detector_name=detector_name,
            folder=self.folder,
        )
        return Workplace(restorers, measures, machine_name(str(chosen)))


class MeasureSetup:
    """Setup of the workers of an evaluation.

    Args:
        plan: of their workplaces.
        here: the workplace of this process, which other processes do not get.
        processes: how many run a model on the same device; None for as many as have such a share
            of the machine's cores as the worker.
    """

    refusals: tuple[type[Exception], ...] = (ValueError,)

    def __init__(self, plan: WorkplacePlan, here: Workplace, processes: int | None) -> None:
        self._plan, self._processes = plan, processes
        self._here: Workplace | None = here
        self._start = os.getcwd()

    def __getstate__(self) -> dict[str, Any]:
        """Without the workplace of this process: each worker makes its own."""
        return {**vars(self), "_here": None}

    def make(self, device: str) -> Workplace:
        """The workplace of a worker.

        Raises:
            ValueError: it does not see a file, or lacks a package, that all need.
        """
        if self._here is not None:
            return self._here
        if os.path.isdir(self._start):  # a worker on a cluster is elsewhere: paths may be relative
            os.chdir(self._start)
        workplace = self._plan.make(device, self._processes)
        if not self._plan.folder.is_dir():
            room = Path(tempfile.gettempdir())
            return replace(workplace, measures=replace(workplace.measures, folder=room))
        return workplace

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether memory ran out, of a device or of the machine."""
        return is_out_of_memory(error)


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
