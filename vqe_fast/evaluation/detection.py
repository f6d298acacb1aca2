"""Mean average precision of a detector on compressed and restored frames (CAR-CNN, Table 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

IOU = 0.5
"""Intersection over union from which on a detection may count as found."""

SURE = 0.5
"""Score from which on a detection on the original counts as true."""


class Detections(NamedTuple):
    """Detected objects of a picture: boxes, labels, scores.

    Attributes:
        boxes: (N, 4), left, top, right and bottom in pixels.
        labels: (N,), the class of each.
        scores: (N,), how sure the detector is, 0 to 1.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, found: Sequence[Any]) -> Self:
        """Boxes, labels and scores as arrays.

        Raises:
            ValueError: the shapes do not belong together.
        """
        boxes, labels, scores = (np.asarray(each) for each in found)
        boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
        if boxes.shape != (len(scores), 4) or labels.shape != scores.shape or scores.ndim != 1:
            raise ValueError(
                "a detector gives boxes (N, 4), labels (N,) and scores (N,), got "
                f"{boxes.shape}, {labels.shape} and {scores.shape}"
            )
        return cls(boxes.astype(np.float64), labels.astype(np.int64), scores.astype(np.float64))


Detector = Callable[[NDArray[np.uint8]], Sequence[Any]]
"""RGB (H, W, 3), 8 bits → boxes (N, 4) in pixels, labels (N,) and scores (N,)."""


@dataclass
class Matches:
    """Matches of detections with true objects, over many frames.

    Attributes:
        truths: label → how many true objects.
        found: label → score of each detection, and whether it met a true object of its own.
    """

    truths: dict[int, int] = field(default_factory=dict)
    found: dict[int, list[tuple[float, bool]]] = field(default_factory=dict)

    def add(self, detections: Detections, truth: Detections) -> None:
        """Adds the detections of a frame.

        Of each class, the surest detection chooses first: the true object, not yet taken, that it
        overlaps most, if by at least :data:`IOU`.

        Args:
            detections: in the restored frame.
            truth: in the original; those that are less sure than :data:`SURE` do not count.
        """
        sure = truth.scores >= SURE
        for label in np.unique(np.concatenate([detections.labels, truth.labels[sure]])).tolist():
            wanted = truth.boxes[sure & (truth.labels == label)]
            mine = detections.labels == label
            boxes, scores = detections.boxes[mine], detections.scores[mine]
            self.truths[label] = self.truths.get(label, 0) + len(wanted)
            taken = np.zeros(len(wanted), bool)
            for index in np.argsort(-scores, kind="stable"):
                shared = np.where(taken, 0.0, overlaps(boxes[index], wanted))
                hit = bool(len(wanted)) and bool(shared.max() >= IOU)
                if hit:
                    taken[shared.argmax()] = True
                self.found.setdefault(label, []).append((float(scores[index]), hit))

    def merge(self, others: Matches) -> None:
        """Adds the matches of another clip."""
        for label, count in others.truths.items():
            self.truths[label] = self.truths.get(label, 0) + count
        for label, found in others.found.items():
            self.found.setdefault(label, []).extend(found)

    def mean_average_precision(self) -> float | None:
        """Mean over the classes in the truth of the area under precision over recall.

        Precision counts as the greatest at the same or greater recall (all points, as PASCAL VOC
        has it since 2010). None if there are no true objects.
        """
        classes = [label for label, count in self.truths.items() if count]
        return fmean(map(self._average_precision, classes)) if classes else None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "truths": {str(label): count for label, count in self.truths.items()},
            "found": {
                str(label): [[score, int(hit)] for score, hit in found]
                for label, found in self.found.items()
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The matches from what :meth:`to_dict` gave."""
        return cls(
            {int(label): count for label, count in content["truths"].items()},
            {
                int(label): [(score, bool(hit)) for score, hit in found]
                for label, found in content["found"].items()
            },
        )

    def _average_precision(self, label: int) -> float:
        found = sorted(self.found.get(label, []), key=lambda each: -each[0])
        hits = np.array([hit for _, hit in found], np.float64)
        precision = hits.cumsum() / np.arange(1, len(hits) + 1)
        greatest = np.maximum.accumulate(precision[::-1])[::-1]
        return float((greatest * hits).sum() / self.truths[label])


def overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) with each of others (N, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    common = (high - low).clip(0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return np.asarray(common / np.maximum(areas - common, 1e-12))
