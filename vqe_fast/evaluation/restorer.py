"""The restorer interface, and the restorer that leaves the compressed clip as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.row import COMPRESSED
from vqe_fast.evaluation.store import FrameStore

Timed = Literal["", "model", "command"]
"""What is timed: nothing, the model alone, or a command with its decoder and encoder."""


class Work(NamedTuple):
    """Seconds that restoring a clip took, and a note.

    Attributes:
        seconds: that it took; None where nothing was run.
        note: what else there is to know, in few words.
    """

    seconds: float | None = None
    note: str = ""


class Restorer(Protocol):
    """Interface of what restores compressed clips.

    Attributes:
        planes: what it works on, for people: ``"luma"``, ``"luma and chroma"``, ``"RGB"``,
            ``"the file"``.
        timed: what :meth:`restore` times.
    """

    @property
    def planes(self) -> str: ...  # noqa: D102

    @property
    def timed(self) -> Timed: ...  # noqa: D102

    def identity(self, case: Case) -> Mapping[str, Any]:
        """Fingerprint of all that decides about its frames of ``case``, as JSON has it.

        A measured clip is measured anew when this has changed.
        """
        ...

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Restores a clip, with as many frames as it has, into ``frames``.

        Raises:
            Exception: any; it costs this clip at this setting, and no other.
        """
        ...


@dataclass(frozen=True)
class Tuned:
    """A restorer in several strengths, of which each setting gets the best.

    That is the one with the greatest PSNR of luma, mean over the clips it is then measured on: an
    upper bound of what the method can do.

    Attributes:
        strengths: the candidates.
    """

    strengths: Sequence[Restorer]


@dataclass(frozen=True)
class Compressed:
    """The baseline: the compressed clip as it is."""

    planes: str = "nothing"
    timed: Timed = ""

    def identity(self, case: Case) -> Mapping[str, Any]:
        """The kind of restorer alone."""
        return {"kind": COMPRESSED}

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Decodes the clip."""
        for frame in case.compressed():
            frames.append(frame)
        return Work()
