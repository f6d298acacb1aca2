"""Resume state: the plan of an enhancement in segments, and what is finished of it, as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vqe_fast.video.report import Outcome, read_outcome
from vqe_fast.video.segments.packet_file import PartFacts
from vqe_fast.video.segments.segment_reader import Seam
from vqe_fast.video.segments.split import Segment

_ABOUT = (
    "Finished segments of a video that vqe-fast is enhancing. To go on, give the same command "
    "again with --resume; to start anew, delete this folder."
)


@dataclass(frozen=True)
class Part:
    """A finished segment: its file, its seams to the neighbours, its outcome.

    Attributes:
        facts: of its file.
        first: the first frame as decoded; None if nothing of the segment decoded.
        following: the first frame after it as decoded; None at the end of the video.
        outcome: what came of it.
    """

    facts: PartFacts
    first: Seam | None
    following: Seam | None
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Part:
        """The part from what :meth:`to_dict` made, or JSON of it."""
        first, following = (
            None if seam is None else (int(seam[0]), int(seam[1]))
            for seam in (fields["first"], fields["following"])
        )
        outcome = read_outcome(fields["outcome"])
        return cls(PartFacts(**fields["facts"]), first, following, outcome)


@dataclass(frozen=True)
class Joined:
    """What came of joining all parts.

    Attributes:
        inode: of the file that gets the target's name next.
        size: its bytes.
        damaged_packets: packets of other streams that it did not take.
        not_kept: what of the source, beside side data of its frames, it lacks, in words.
    """

    inode: int
    size: int
    damaged_packets: int
    not_kept: tuple[str, ...]


@dataclass
class State:
    """Resume state of a run: fingerprint, choices, segments.

    Attributes:
        request: everything that decides what the frames will be, to be compared.
        chosen: what the first run chose by itself, for all others to keep to.
        segments: the plan.
        joined: what came of joining them, once all are joined.
    """

    request: dict[str, Any]
    chosen: dict[str, Any]
    segments: list[Segment]
    joined: Joined | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {
            "about": _ABOUT,
            "request": self.request,
            "chosen": self.chosen,
            "segments": [asdict(segment) for segment in self.segments],
            "joined": None if self.joined is None else asdict(self.joined),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> State:
        """The state from what :meth:`to_dict` made, or JSON of it."""
        joined = fields["joined"]
        if joined is not None:
            joined = Joined(**{**joined, "not_kept": tuple(joined["not_kept"])})
        segments = [Segment(**each) for each in fields["segments"]]
        return cls(fields["request"], fields["chosen"], segments, joined)
