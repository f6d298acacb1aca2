"""Protocols of evaluations: degradations, metrics, and the layout of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from vqe_fast.data.shipped_yaml import find_yaml
from vqe_fast.data.spec import DegradationGrid, PrepareSpec, read_yaml
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.evaluation.rgb import Chroma, Conversion

PROTOCOLS = Path(__file__).parent / "protocols"


class Protocol(PrepareSpec):
    """Protocol of an evaluation: the settings of ``vqe-fast prepare``, and how to compare and show.

    Attributes:
        degradations: what to do to each clip; none for a protocol of pairs, which are compressed
            already.
        title: of the report.
        notes: sentences that stand with every table.
        chroma: whose is shown with restored luma, see :mod:`vqe_fast.evaluation.rgb`.
        conversion: to RGB.
        layout: of the main tables: settings beside each other as in CAR-CNN's, restorers beside
            each other, or clips below each other as in PeQuENet's.
        tables: the figures that get a main table each; a restored one is followed by what it
            gained where ``gains`` is set.
        gains: see ``tables``.
    """

    degradations: list[DegradationGrid] = Field([])
    title: str = "Evaluation"
    notes: list[str] = Field([])
    chroma: Chroma = "decoded"
    conversion: Conversion = "stream"
    layout: Literal["settings", "restorers", "clips"] = "settings"
    tables: list[str] = Field(["psnr_y", "ssim_y"], min_length=1)
    gains: bool = True

    @model_validator(mode="after")
    def _knows_its_figures(self) -> Protocol:
        unknown = [name for name in self.tables if name not in FIGURES]
        if unknown:
            raise ValueError(
                f"tables: there is no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}"
            )
        return self

    @model_validator(mode="after")
    def _takes_all(self) -> Protocol:
        if self.per_clip is not None:
            raise ValueError("per_clip: every clip is measured at all settings; leave it out")
        return self


def find_protocol(name: str) -> Protocol:
    """Reads a protocol: a YAML file, or the name of one that ships.

    Raises:
        ValueError: there is none, or it is not a protocol.
    """
    return read_yaml(find_yaml(name, PROTOCOLS, "protocol"), Protocol)
