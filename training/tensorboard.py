"""TensorBoard log of a run: curves and pictures."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from vqe_fast.training.train import Progress, Validated


class Board:
    """Writer of a run's TensorBoard log.

    A context manager, so that nothing is lost at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def __call__(self, report: Progress | Validated) -> None:
        """Adds points to the curves; of a validation also before, after and original."""
        if isinstance(report, Progress):
            values = {f"loss/{name}": value for name, value in report.terms.items()}
            values |= {
                "learning_rate": report.learning_rate,
                "steps_per_second": report.rate,
                "waiting_for_loader": report.waiting,
            }
        else:
            values = {f"validation/{name}": value for name, value in report.figures.items()}
            if report.picture is not None:
                title = f"{report.stage}/before, after, original"
                self._writer.add_image(title, report.picture, report.step)
        for name, value in values.items():
            self._writer.add_scalar(f"{report.stage}/{name}", value, report.step)
