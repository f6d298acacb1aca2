"""Outputs of YOLO networks as they are usually exported to ONNX, made into detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vqe_fast.evaluation.detection import Detections, overlaps

Values = NDArray[np.float64]

LEAST_SCORE = 0.001
"""Score from which on a detection counts, for precision at every recall."""

IOU = 0.6
"""Intersection over union above which the less sure of two boxes of a class is dropped."""

MOST = 300
"""Detections of a picture, the surest."""

_PADDING = 114
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))


class Layout(NamedTuple):
    """How a network wants its picture and tells its objects.

    Attributes:
        objects: the network's outputs → boxes, labels and scores in its input.
        overlapping: whether boxes of the same object are still to be suppressed.
        bgr_bytes: whether it wants blue, green, red from 0 to 255, not RGB from 0 to 1.
    """

    objects: Callable[[Sequence[Values]], Detections]
    overlapping: bool = True
    bgr_bytes: bool = False


def recognised(outputs: Sequence[Values], height: int, width: int) -> Layout | None:
    """The layout of a YOLO network's outputs, by their shapes; None for another network.

    - (1, N, 5 + C), N three boxes for each cell: YOLOv3 to YOLOv7. Centre, size, objectness,
      classes.
    - The same with one box for each cell: YOLOX, decoded or not; YOLOv6, where every objectness
      is 1.
    - (1, 4 + C, N): YOLOv8 and later. Centre, size, classes.
    - (1, N, 6): YOLOv10, YOLO26 and whatever suppresses by itself. Corners, score, class.
    - (N, 7): YOLOv7 that suppresses by itself. Number of the picture, corners, class, score.
    - (1, N, 1, 4) and (1, N, C): YOLOv4 of PyTorch. Corners as shares of the input; classes.
    - (1, N, 4) and (1, N, C): YOLO-NAS. Corners; classes.

    Args:
        outputs: what the network gave.
        height: of its input.
        width: of its input.
    """
    shapes = [output.shape for output in outputs]
    if len(shapes) == 2 and len(shapes[1]) == 3:
        boxes = shapes[1][1]
        if shapes[0][1:] in ((boxes, 1, 4), (boxes, 4)):
            size = (width, height) * 2 if len(shapes[0]) == 4 else (1,) * 4
            return Layout(lambda found: _by_class(found[0].reshape(-1, 4) * size, found[1][0]))
    first = outputs[0]
    if first.ndim == 2 and first.shape[1] == 7:
        return Layout(_numbered, overlapping=False)
    if first.ndim != 3:
        return None
    cells = [sum((height // s) * (width // s) for s in strides) for strides in _STRIDES]
    _, rows, columns = first.shape
    if columns >= 6 and rows in [3 * count for count in cells]:
        return Layout(_with_objectness)
    if columns >= 6 and rows in cells:
        return _one_for_each_cell(first[0], _Grid.of(_STRIDES[cells.index(rows)], height, width))
    if rows >= 5 and columns in cells:
        return Layout(lambda found: _by_class(_corners(found[0][0, :4].T), found[0][0, 4:].T))
    return Layout(_finished, overlapping=False) if columns == 6 else None


class _Grid(NamedTuple):
    """Cells of a network's outputs: left top corners in pixels (N, 2), and sides (N, 1)."""

    corners: Values
    sides: Values

    @classmethod
    def of(cls, strides: Sequence[int], height: int, width: int) -> Self:
        corners, sides = [], []
        for stride in strides:
            down, along = np.mgrid[: height // stride, : width // stride] * float(stride)
            corners.append(np.stack([along.ravel(), down.ravel()], 1))
            sides.append(np.full((along.size, 1), float(stride)))
        return cls(np.concatenate(corners), np.concatenate(sides))


def _one_for_each_cell(rows: Values, grid: _Grid) -> Layout:
    if (rows[:, 4] == 1).all():
        return Layout(_with_objectness)
    if np.abs(rows[:, :2]).mean() > grid.sides.min():
        return Layout(_with_objectness, bgr_bytes=True)

    def decoded(found: Sequence[Values]) -> Detections:
        rows = found[0][0]
        centres = rows[:, :2] * grid.sides + grid.corners
        boxes = np.concatenate([centres, np.exp(rows[:, 2:4]) * grid.sides], 1)
        return _by_class(_corners(boxes), rows[:, 4:5] * rows[:, 5:])

    return Layout(decoded, bgr_bytes=True)


def _with_objectness(found: Sequence[Values]) -> Detections:
    rows = found[0][0]
    return _by_class(_corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5:])


def _finished(found: Sequence[Values]) -> Detections:
    rows = found[0][0]
    return Detections.of([rows[:, :4], rows[:, 5], rows[:, 4]])


def _numbered(found: Sequence[Values]) -> Detections:
    rows = found[0]
    return Detections.of([rows[:, 1:5], rows[:, 5], rows[:, 6]])


def _corners(boxes: Values) -> Values:
    """Left, top, right and bottom from centre and size."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)


def _by_class(boxes: Values, scores: Values) -> Detections:
    """Each box as the class of its greatest score, of (N, C)."""
    labels = scores.argmax(1)
    return Detections.of([boxes, labels, scores[np.arange(len(scores)), labels]])


def suppressed(found: Detections) -> Detections:
    """Non-maximum suppression by class: at most :data:`MOST` boxes, the surest first."""
    kept: list[int] = []
    for label in np.unique(found.labels):
        left = np.flatnonzero(found.labels == label)
        left = left[np.argsort(-found.scores[left], kind="stable")]
        taken = 0
        while len(left) and taken < MOST:
            kept.append(int(left[0]))
            taken += 1
            shared = overlaps(found.boxes[left[0]], found.boxes[left])
            shared[0] = 1
            left = left[shared <= IOU]
    order = np.array(kept, np.int64)
    return _chosen(found, order[np.argsort(-found.scores[order], kind="stable")][:MOST])


def _chosen(found: Detections, which: NDArray[Any]) -> Detections:
    return Detections(*(each[which] for each in found))


class Letterbox(NamedTuple):
    """Where a picture lies in a network's input.

    Attributes:
        scale: pixels of the input for one of the picture.
        left: columns of padding before it.
        top: rows of padding above it.
        width: of the picture itself.
        height: of the picture itself.
    """

    scale: float
    left: int
    top: int
    width: int
    height: int

    def back(self, found: Detections) -> Detections:
        """Detections in the input as detections in the picture, cut off at its edges."""
        boxes = (found.boxes - [self.left, self.top] * 2) / self.scale
        boxes = boxes.clip(0, [self.width, self.height] * 2)
        return found._replace(boxes=boxes)


def letterboxed(
    picture: NDArray[np.uint8], height: int, width: int
) -> tuple[NDArray[np.float32], Letterbox]:
    """A picture (H, W, 3) in the middle of (height, width, 3), its aspect kept, grey around it.

    Scaled bilinearly without antialiasing, as these networks are trained; 0 to 255.
    """
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inside = [max(1, round(side * scale)) for side in picture.shape[:2]]
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    scaled = functional.interpolate(planes, inside, mode="bilinear", align_corners=False)
    top, left = (height - inside[0]) // 2, (width - inside[1]) // 2
    whole = np.full((height, width, 3), _PADDING, np.float32)
    whole[top : top + inside[0], left : left + inside[1]] = scaled[0].permute(1, 2, 0).numpy()
    return whole, Letterbox(scale, left, top, picture.shape[1], picture.shape[0])


def detections(layout: Layout, outputs: Sequence[Values], place: Letterbox) -> Detections:
    """What a network found, in pixels of the picture.

    Raises:
        ValueError: scores are none from 0 to 1.
    """
    found = layout.objects(outputs)
    if len(found.scores) and not -0.01 <= found.scores.min() <= found.scores.max() <= 1.01:
        raise ValueError(
            f"the detector gives scores from {found.scores.min():.2f} to {found.scores.max():.2f}, "
            "not from 0 to 1: take a network of boxes alone, exported with its last layer"
        )
    found = _chosen(found, found.scores >= LEAST_SCORE)
    return place.back(suppressed(found) if layout.overlapping else found)
