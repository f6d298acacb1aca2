"""What makes a compressed clip better: the interface, and the one that does nothing."""

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
    """What restoring a clip took.

    Attributes:
        seconds: that it took; None where nothing was run.
        note: what else there is to know, in few words.
    """

    seconds: float | None = None
    note: str = ""


class Restorer(Protocol):
    """Restores compressed clips.

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
        """All that decides about its frames of ``case``, as JSON has it.

        A measured clip is measured anew when this has changed.
        """
        ...

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Puts the restored frames of a clip, as many as it has, into ``frames``.

        Raises:
            Exception: any; it costs this clip at this setting, and no other.
        """
        ...


@dataclass(frozen=True)
class Tuned:
    """One restorer in several strengths, of which each setting gets the best.

    That is the one with the greatest PSNR of luma, mean over the clips it is then measured on: an
    upper bound of what the method can do.

    Attributes:
        strengths: the candidates.
    """

    strengths: Sequence[Restorer]


@dataclass(frozen=True)
class Compressed:
    """The compressed clip as it is."""

    planes: str = "nothing"
    timed: Timed = ""

    def identity(self, case: Case) -> Mapping[str, Any]:
        """Nothing but its kind."""
        return {"kind": COMPRESSED}

    def restore(self, case: Case, frames: FrameStore) -> Work:
        """Decodes."""
        for frame in case.compressed():
            frames.append(frame)
        return Work()
