"""Setup of workers that enhance segments of any number of files with one model."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vqe_fast._machine import peers
from vqe_fast.storage.location import Location
from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.memory import is_out_of_memory
from vqe_fast.video.options import EncodeOptions, ModelOptions
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.session import EnhanceSession
from vqe_fast.weights import WeightsError

ENCODER_THREADS = 8
"""Of each segment's encoder, on every machine: what x264 and x265 write depends on how many."""


@dataclass(frozen=True)
class Job:
    """A file to read, and the file to write."""

    source: Location
    target: Location


class EnhanceSetup:
    """Setup of the workers of a run: its model, loaded once in each, and its encoder.

    Args:
        session: whose options are those of all files.
        processes: how many run the model on the same device; None for as many as have such a
            share of the machine's cores as this worker.
    """

    refusals: tuple[type[Exception], ...] = (VideoError, WeightsError)

    def __init__(self, session: EnhanceSession, processes: int | None) -> None:
        self._session: EnhanceSession | None = session
        weights = session.model.weights
        self._model: ModelOptions = replace(
            session.model, weights=None if weights is None else os.path.abspath(weights)
        )
        self._encode: EncodeOptions = session.encode
        self._processes = processes

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which each worker builds from the options."""
        return {**vars(self), "_session": None}

    def make(self, device: str) -> EnhanceContext:
        """The context of a worker.

        Raises:
            VideoError: there is no such model or device.
            WeightsError: the weights are missing, unreadable, or another model's.
        """
        session = self._session
        if session is None or device != self._model.device:
            model = replace(self._model, device=device)
            session = EnhanceSession(Path(), Path(), model, self._encode)
        return EnhanceContext(
            session.adjusted(
                processes=peers() if self._processes is None else self._processes,
                encoder_threads=ENCODER_THREADS,
            )
        )

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether memory ran out, of a device or of the machine."""
        return is_out_of_memory(error)


class EnhanceContext:
    """A worker's model and options, and the enhancer of the file that it works on.

    Args:
        base: the session for any file.
    """

    def __init__(self, base: EnhanceSession) -> None:
        self._base = base
        self._of: tuple[Job, dict[str, Any]] | None = None
        self._session = base
        self._enhancer: Enhancer | None = None

    def session(self, job: Job) -> EnhanceSession:
        """The session of a file, before anything is chosen."""
        return self._base.adjusted(source=job.source, target=job.target)

    def pinned(self, job: Job, chosen: dict[str, Any]) -> EnhanceSession:
        """The session of a file with the choices that hold for all of its segments."""
        return self.session(job).adjusted(
            precision=chosen["precision"],
            tile=chosen["tile"],
            clip_frames=chosen["clip_frames"],
            crf=chosen["crf"],
            fingerprint=chosen["fingerprint"],
        )

    def enhancer(self, job: Job, chosen: dict[str, Any]) -> tuple[EnhanceSession, Enhancer]:
        """Session and enhancer of a file; those of the last one are kept.

        Raises:
            VideoError: source or options do not allow it.
        """
        if self._enhancer is None or self._of != (job, chosen):
            self._enhancer = None  # before memory is planned anew
            self._session = self.pinned(job, chosen)
            self._enhancer = self._session.make_enhancer()
            self._of = job, chosen
        return self._session, self._enhancer
