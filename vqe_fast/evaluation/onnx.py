"""ONNX detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_OUTPUTS = ("boxes", "labels", "scores")


class OnnxDetector:
    """ONNX detector with the inputs and outputs of torchvision's detectors when exported.

    One input, float32 RGB in [0, 1], (3, H, W) or (1, 3, H, W), of any H and W; three outputs,
    called boxes, labels and scores or in this order: (N, 4) left, top, right, bottom in pixels of
    the input, (N,), and (N,), perhaps with a leading dimension of 1.

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
            self._session = onnxruntime.InferenceSession(
                str(path), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's own kinds have no common parent
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{path} is not an ONNX network that runs here: {reason}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        names = [output.name for output in outputs]
        if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4) or len(names) < len(_OUTPUTS):
            raise ValueError(
                f"{path} is not a detector as torchvision exports them: it takes "
                f"{[put.shape for put in inputs]} and gives {', '.join(names)}, not an image "
                "(3, H, W) or (1, 3, H, W) and boxes, labels, scores"
            )
        self._path = path
        self._input = inputs[0]
        self._outputs = [*_OUTPUTS] if {*_OUTPUTS} <= {*names} else names[: len(_OUTPUTS)]

    def __call__(self, picture: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Boxes, labels and scores of a picture, (H, W, 3) RGB.

        Raises:
            ValueError: the network takes pictures of another size only.
        """
        values = picture.transpose(2, 0, 1).astype(np.float32) / 255
        wanted = self._input.shape[-2:]
        for have, want in zip(values.shape[-2:], wanted, strict=True):
            if isinstance(want, int) and want != have:
                raise ValueError(
                    f"{self._path} takes pictures of {wanted[1]}x{wanted[0]} only, got "
                    f"{values.shape[2]}x{values.shape[1]}: export it with sizes that may change"
                )
        values = values[None] if len(self._input.shape) == 4 else values
        boxes, labels, scores = self._session.run(self._outputs, {self._input.name: values})
        return [boxes.reshape(-1, 4), labels.reshape(-1), scores.reshape(-1)]
