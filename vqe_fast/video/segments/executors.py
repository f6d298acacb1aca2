"""Choice of the executor of a run: this process, a pool of processes, or a Ray cluster."""

from __future__ import annotations

from vqe_fast.executors.choice import WantedWorkers
from vqe_fast.executors.choice import executor_for as executor_of
from vqe_fast.executors.executor import Executor, UnsendableError
from vqe_fast.video.errors import VideoError
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.segments.worker_setup import EnhanceSetup
from vqe_fast.video.session import EnhanceSession


def executor_for(session: EnhanceSession, options: SegmentOptions) -> Executor:
    """The executor that the options ask for; its workers run the model of ``session``.

    Raises:
        VideoError: there cannot be such workers.
        UnsendableError: the model cannot be sent to any.
    """

    def setup(processes: int | None) -> EnhanceSetup:
        return EnhanceSetup(session, processes)

    wanted = WantedWorkers(
        options.workers, options.cluster, options.worker_cpus, options.worker_gpus
    )
    try:
        return executor_of(setup, session.model.device, wanted)
    except UnsendableError:
        raise
    except ValueError as error:
        raise VideoError(str(error)) from error


def cannot_be_sent(session: EnhanceSession, error: UnsendableError) -> VideoError:
    """The error for a model that workers cannot have."""
    return VideoError(
        f"the model {type(session.model.model).__name__} cannot be sent to workers ({error}); "
        "give the name of a registered one, or enhance without workers"
    )
