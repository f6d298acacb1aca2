"""Teachers, trained networks whose corrections of luma stand in for the originals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqe_fast._atomic_write import atomic_write
from vqe_fast.data.pairs import PairedClip, map_array
from vqe_fast.models import create_model, spec_of
from vqe_fast.models.inference import prepare_inference
from vqe_fast.models.model_hash import model_hash

Corrections = NDArray[np.int8]
"""What a teacher adds to luma, (T, H, W), in eighths of a step of 8 bits."""

STEPS = 8
"""Parts of a step of 8 bits that corrections are rounded to: far below what they are."""


class Teacher:
    """A shipped network as a teacher: its corrections of compressed clips, computed once and kept.

    Its correction can be learnt whole, while most of what originals differ by is noise: with it a
    student gets in a fifth of the steps to where it would get with them.

    Args:
        name: a registered single-frame model of luma with weights that ship.
        device: where to run it.

    Raises:
        ValueError: no weights ship for it, or it takes something else.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        model = create_model(name, pretrained=True)
        spec = spec_of(model)
        if spec.planes != "y" or spec.recurrent or spec.temporal_radius:
            raise ValueError(f"{name} cannot be a teacher: that must see single frames of luma")
        self._key = f"{name}-{model_hash(model)[:12]}"
        self._takes_qp = spec.takes_qp
        self._device = device
        # Rounding to 16 bits changes a quarter of a step at most, and that at random.
        self._model, _ = prepare_inference(model, device=device, precision="bf16")

    def corrections(self, clip: PairedClip, setting: str) -> Corrections:
        """Corrections of a degraded version of a clip, read-only, mapped into memory.

        Raises:
            ValueError: the teacher takes QPs, and that of a frame is not known.
        """
        store = clip.settings[setting].footage.store
        path = store.with_name(f"{store.name}-{self._key}.npy")
        if not path.exists():
            self._compute(clip, setting, path)
        return map_array(path, np.int8)

    def _compute(self, clip: PairedClip, setting: str, path: Path) -> None:
        luma, qps = clip.compressed("y", setting), clip.qp(setting)
        if self._takes_qp and np.isnan(qps).any():
            raise ValueError(
                f"the QPs of {setting} of {clip.name} are not known, which the teacher is told: "
                "leave the teacher out, or degrade clips by codecs that tell"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            target = np.lib.format.open_memmap(draft, "w+", np.int8, luma.shape)
            for number, frame in enumerate(luma):
                target[number] = self._correction(frame, float(qps[number])).cpu().numpy()
            target.flush()
            del target

    @torch.inference_mode()
    def _correction(self, luma: NDArray[np.uint8], qp: float) -> Tensor:
        values = torch.tensor(luma, device=self._device)[None, None].float() / 255
        made: Tensor = self._model(values, *((qp,) if self._takes_qp else ())).float()
        steps = ((made - values)[0, 0] * (255 * STEPS)).round()
        return steps.clamp(-128, 127).to(torch.int8)


def teach(
    teacher: Teacher,
    clips: Sequence[PairedClip],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Computes a teacher's corrections of all degraded versions of some clips.

    Args:
        teacher: whose.
        clips: of whose versions.
        progress: told after each version how many are done, of how many.
    """
    versions = [(clip, setting) for clip in clips for setting in clip.settings]
    for done, (clip, setting) in enumerate(versions, start=1):
        teacher.corrections(clip, setting)
        if progress is not None:
            progress(done, len(versions))
