"""ONNX detectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqe_fast.evaluation.yolo import Layout, Letterbox, detections, letterboxed, recognised

_OUTPUTS = ("boxes", "labels", "scores")
_USUAL_SIDE = 640
_SAMPLES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}

_Arrays = Sequence[NDArray[Any]]
_Detect = Callable[[NDArray[np.uint8]], _Arrays]


class OnnxDetector:
    """ONNX detector as torchvision or a YOLO is usually exported.

    One input of pictures. Of torchvision's: float32 RGB in [0, 1], (3, H, W) or (1, 3, H, W), of
    any H and W; three outputs, called boxes, labels and scores or in this order: (N, 4) left, top,
    right, bottom in pixels of the input, (N,), and (N,), perhaps with a leading dimension of 1. Of
    YOLO's: (1, 3, H, W), float32, float16 or uint8, to the outputs of
    :func:`vqe_fast.evaluation.yolo.recognised`; pictures are scaled to the network's size, or to
    640×640 where it takes any.

    Args:
        path: the ``.onnx`` file.

    Raises:
        ValueError: onnxruntime or the file is missing, or the file is another kind of network.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError("a detector needs onnxruntime: pip install onnxruntime") from error
        if not path.is_file():
            raise ValueError(f"there is no detector {path}")
        try:
            session = onnxruntime.InferenceSession(
                str(path), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's own kinds have no common parent
            raise ValueError(
                f"{path} is not an ONNX network that runs here: {_first_line(error)}"
            ) from error
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or not _takes_a_picture(inputs[0]):
            taken = ", ".join(f"{put.name} {put.type} {put.shape}" for put in inputs)
            raise ValueError(
                f"{path} is not a detector of pictures: it takes {taken}, not one picture "
                "(3, H, W) or (1, 3, H, W)"
            )
        names = _of_torchvision(outputs)
        self._detect: _Detect = (
            _Torchvision(path, session, names) if names else _Yolo(path, session)
        )

    def __call__(self, picture: NDArray[np.uint8]) -> _Arrays:
        """Boxes, labels and scores of a picture, (H, W, 3) RGB.

        Raises:
            ValueError: the network takes pictures of another size only, or gives no scores.
        """
        return self._detect(picture)


def _takes_a_picture(put: Any) -> bool:
    # Sizes that may change are names, or None; a batch there may be or not.
    leading = zip(put.shape[-3::-1], (3, 1), strict=False)
    return (
        put.type in _SAMPLES
        and len(put.shape) in (3, 4)
        and all(size == wanted or not isinstance(size, int) for size, wanted in leading)
    )


def _of_torchvision(outputs: Sequence[Any]) -> list[str]:
    """Names of boxes, labels and scores; none of another network."""
    names = [output.name for output in outputs]
    if {*_OUTPUTS} <= {*names}:
        return [*_OUTPUTS]
    ranks = [len(output.shape) for output in outputs[: len(_OUTPUTS)]]
    in_order = len(ranks) == len(_OUTPUTS) and ranks[1] == ranks[2] == ranks[0] - 1
    return names[: len(_OUTPUTS)] if in_order else []


class _Torchvision:
    """A detector of torchvision, which scales its pictures itself."""

    def __init__(self, path: Path, session: Any, names: list[str]) -> None:
        self._path, self._session, self._names = path, session, names
        self._input = session.get_inputs()[0]

    def __call__(self, picture: NDArray[np.uint8]) -> _Arrays:
        height, width = picture.shape[:2]
        wanted = self._input.shape[-2:]
        for have, want in zip((height, width), wanted, strict=True):
            if isinstance(want, int) and want != have:
                raise ValueError(
                    f"{self._path} takes pictures of {wanted[1]}x{wanted[0]} only, got "
                    f"{width}x{height}: export it with sizes that may change"
                )
        values = _prepared(picture.astype(np.float32), self._input)
        boxes, labels, scores = self._session.run(self._names, {self._input.name: values})
        return [boxes.reshape(-1, 4), labels.reshape(-1), scores.reshape(-1)]


class _Yolo:
    """A YOLO network, whose layout is recognised from what it gives for an empty picture."""

    def __init__(self, path: Path, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0]
        size = self._input.shape[-2:]
        usual = _trained_size(session)
        self._size = tuple(
            side if isinstance(side, int) else other
            for side, other in zip(size, usual, strict=True)
        )
        empty = np.full((*self._size, 3), 114, np.float32)
        try:
            outputs = self._run(empty, bgr_bytes=False)
        except Exception as error:  # onnxruntime's own kinds have no common parent
            raise ValueError(
                f"{path} does not run on a picture of {self._size[1]}x{self._size[0]}: "
                f"{_first_line(error)}"
            ) from error
        layout = recognised(outputs, *self._size)
        if layout is None:
            shapes = ", ".join(
                f"{put.name} {found.shape}"
                for put, found in zip(session.get_outputs(), outputs, strict=True)
            )
            raise ValueError(
                f"{path} is not a detector as torchvision or a YOLO exports them: for a picture of "
                f"{self._size[1]}x{self._size[0]} it gives {shapes}; export it with its boxes "
                "decoded, see docs/evaluation.md"
            )
        detections(layout, outputs, Letterbox(1.0, 0, 0, self._size[1], self._size[0]))
        self._layout: Layout = layout

    def __call__(self, picture: NDArray[np.uint8]) -> _Arrays:
        whole, place = letterboxed(picture, *self._size)
        outputs = self._run(whole, bgr_bytes=self._layout.bgr_bytes)
        return detections(self._layout, outputs, place)

    def _run(self, picture: NDArray[np.float32], *, bgr_bytes: bool) -> list[NDArray[np.float64]]:
        values = _prepared(picture, self._input, bgr_bytes=bgr_bytes)
        found = self._session.run(None, {self._input.name: values})
        return [np.asarray(each, np.float64) for each in found]


def _prepared(picture: NDArray[np.float32], put: Any, *, bgr_bytes: bool = False) -> NDArray[Any]:
    """A picture (H, W, 3), RGB from 0 to 255, as a network's input wants it."""
    samples = _SAMPLES[put.type]
    if samples is np.uint8:
        picture = picture.round()
    elif not bgr_bytes:
        picture = picture / np.float32(255)
    planes = (picture[..., ::-1] if bgr_bytes else picture).transpose(2, 0, 1)
    values = np.ascontiguousarray(planes, samples)
    return values[None] if len(put.shape) == 4 else values


def _trained_size(session: Any) -> tuple[int, int]:
    """Height and width that a network was trained at, as Ultralytics notes it; else 640×640."""
    noted = session.get_modelmeta().custom_metadata_map.get("imgsz", "")
    sides = [int(side) for side in re.findall(r"\d+", noted)]
    return (sides[0], sides[1]) if len(sides) == 2 else (_USUAL_SIDE, _USUAL_SIDE)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
