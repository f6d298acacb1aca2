"""``index.json`` of prepared clips: what there is, what it was made from, and checksums."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vqe_fast._whole_file import whole_file
from vqe_fast.training.degradation import Degradation
from vqe_fast.video.color import ColorFacts

INDEX_NAME = "index.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """A file: its path, from the index's folder on or absolute, its size and its SHA-256."""

    path: str
    bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class SourceEntry(_Strict):
    """What a clip was made from, and what beside the content decided about its frames."""

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    settings: dict[str, Any]


class StreamEntry(_Strict):
    """A degraded version of a clip.

    Attributes:
        file: the bitstream.
        degradation: what made it.
        first: number of the pristine frame that its first frame stands for.
        step: how many pristine frames one of its frames stands for.
        types: I, P, B or ? for each frame, in display order.
        qp: of each frame; null where nothing tells.
        sizes: bytes of each frame.
    """

    file: FileEntry
    degradation: Degradation
    first: int = Field(0, ge=0)
    step: int = Field(1, ge=1)
    types: str
    qp: list[float | None]
    sizes: list[int]


class ClipEntry(_Strict):
    """A clip and its degraded versions, by the names of their degradations."""

    name: str
    source: SourceEntry
    pristine: FileEntry
    frames: int = Field(ge=1)
    width: int
    height: int
    rate: str
    color: ColorFacts
    cut_threshold: float
    cuts: list[int]
    streams: dict[str, StreamEntry]


class Index(_Strict):
    """All clips of a folder."""

    format: Literal[1] = 1
    clips: list[ClipEntry] = []

    @classmethod
    def read(cls, folder: Path) -> Index:
        """The index of ``folder``.

        Raises:
            ValueError: there is none, or it is not one of this format.
        """
        path = folder / INDEX_NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise ValueError(f"{folder} holds no {INDEX_NAME}: run vqe-fast prepare") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the beginning"
            raise ValueError(
                f"{path} is not an index of this version ({first['msg']} at {place}): "
                "prepare into another folder"
            ) from error

    def write(self, folder: Path) -> None:
        """Writes it into ``folder`` in one step; the lists of numbers take a line each."""
        text = re.sub(
            r"\[[\s\d.,null-]*\]",
            lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"),
            self.model_dump_json(indent=1),
        )
        with whole_file(folder / INDEX_NAME) as draft:
            draft.write_text(text + "\n", "utf-8")
