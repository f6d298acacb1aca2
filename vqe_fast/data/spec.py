"""Specification of prepared data, read from YAML; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vqe_fast.data.degradation import Codec, Degradation, Mode, Structure
from vqe_fast.data.overrides import apply_change
from vqe_fast.data.raw import RawFormat
from vqe_fast.data.sources import Images, Source, find_sources
from vqe_fast.data.stills import CameraMove, Layers
from vqe_fast.video.frames.scene_cuts import CUT_THRESHOLD

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Base of models in which unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DegradationGrid(Strict):
    """Grid of degradations: every combination of value, greatest bit rate and blur.

    The fields are those of :class:`vqe_fast.data.degradation.Degradation`, three of them as
    lists.
    """

    codec: Codec
    mode: Mode | None = None
    values: list[int] | None = Field(None, min_length=1)
    preset: str | None = None
    structure: Structure = "default"
    max_bitrates: list[int] | None = Field(None, min_length=1)
    blurs: list[int] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        self.expand()
        return self

    def expand(self) -> list[Degradation]:
        """One :class:`Degradation` for each combination.

        Raises:
            ValueError: the encoder does not take one of them.
        """
        lists: list[list[int] | list[None]] = [
            given or [None] for given in (self.blurs, self.max_bitrates, self.values)
        ]
        return [
            Degradation(
                self.codec, self.mode, value, self.preset, self.structure, max_bitrate, blur
            )
            for blur, max_bitrate, value in product(*lists)
        ]


class RawSpec(Strict):
    """Size, pixel format and rate of raw YUV files whose names do not tell."""

    size: tuple[int, int]
    pix_fmt: str = "yuv420p"
    rate: Fraction = Fraction(25)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        self.format()
        return self

    def format(self) -> RawFormat:
        """The format as the readers take it.

        Raises:
            ValueError: not a format that can be read.
        """
        return RawFormat(self.size, self.pix_fmt, self.rate)


class PrepareSpec(Strict):
    """Specification of ``vqe-fast prepare``: degradations, and how clips are made of sources.

    Attributes:
        degradations: what to do to each clip.
        per_clip: how many of them each clip gets, drawn evenly over the list by the seed and the
            clip's content; all if None.
        frames: how many frames of a clip to take at most.
        images: whether images are photographs or the frames of clips.
        still_frames: length of the clip that a photograph becomes.
        still_size: its width and height.
        still_layers: with 2 a part of the photograph moves before the rest of it.
        still_resting: the share of photographs over which the camera stands still.
        still_speed: of the camera over photographs, 1 being that of video at 25 frames a second.
        size: width and height, even, that clips are scaled to before they are compressed, whatever
            their aspect ratio; None for their own. Photographs have ``still_size``.
        raw: see :class:`RawSpec`.
        cut_threshold: see :func:`vqe_fast.video.frames.scene_cuts.scene_cuts`.
        seed: of the moves over photographs, and of what is drawn for each clip.
    """

    degradations: list[DegradationGrid] = Field(min_length=1)
    per_clip: int | None = Field(None, ge=1)
    frames: int | None = Field(None, ge=1)
    images: Images = "stills"
    still_frames: int = Field(6, ge=1)
    still_size: tuple[int, int] = (384, 288)
    still_layers: Layers = 1
    still_resting: float = Field(0.0, ge=0, le=1)
    still_speed: float = Field(1.0, gt=0)
    size: tuple[int, int] | None = None
    raw: RawSpec | None = None
    cut_threshold: float = Field(CUT_THRESHOLD, gt=0)
    seed: int = Field(0, ge=0)

    def sources(self, folders: list[Path]) -> list[Source]:
        """The sources of clips in some folders.

        Raises:
            ValueError: there are none.
        """
        return find_sources(
            folders,
            frames=self.frames,
            images=self.images,
            move=CameraMove(
                self.still_frames,
                self.still_size,
                layers=self.still_layers,
                resting=self.still_resting,
                speed=self.still_speed,
            ),
            raw=None if self.raw is None else self.raw.format(),
            seed=self.seed,
            size=self.size,
        )

    @model_validator(mode="after")
    def _has_a_possible_size(self) -> Self:
        if self.size is not None and any(side < 16 or side % 2 for side in self.size):
            raise ValueError(f"size: both numbers must be even and at least 16, got {self.size}")
        return self


def expand(grids: list[DegradationGrid]) -> list[Degradation]:
    """Every degradation of some grids, each once."""
    return list(dict.fromkeys(each for grid in grids for each in grid.expand()))


def read_spec(path: Path) -> PrepareSpec:
    """Reads a specification of prepared data.

    Raises:
        ValueError: the file is not YAML, has an unknown key, lacks one, or holds a wrong value.
    """
    return read_yaml(path, PrepareSpec)


def read_yaml(path: Path, model: type[M], changes: Sequence[str] = ()) -> M:
    """Reads a YAML file, with overrides of :func:`vqe_fast.data.overrides.apply_change`.

    Raises:
        ValueError: it is not YAML, has an unknown key, lacks one, or holds a wrong value.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        for change in changes:
            apply_change(content, change)
        return model.model_validate(content)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{path} is not as it must be: {problems(error)}") from error


def problems(error: ValidationError) -> str:
    """The messages of a validation error, on one line."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    )
