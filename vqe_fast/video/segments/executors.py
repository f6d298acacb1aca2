"""Choice of the executor of a run: this process, a pool of processes, or a Ray cluster."""

from __future__ import annotations

import pickle

import torch

from vqe_fast._machine import cores
from vqe_fast.executors.executor import Executor
from vqe_fast.executors.inline import InlineExecutor
from vqe_fast.executors.process_pool import ProcessPool
from vqe_fast.video.errors import VideoError
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.segments.worker_setup import EnhanceSetup
from vqe_fast.video.session import EnhanceSession


def executor_for(session: EnhanceSession, options: SegmentOptions) -> Executor:
    """The executor that the options ask for; its workers run the model of ``session``.

    Raises:
        VideoError: there are fewer GPUs than workers, or the model cannot be sent to any.
    """
    device = session.model.device
    workers = 1 if options.workers is None else options.workers
    if options.cluster is not None:
        return _cluster(session, options)
    if workers == 1:
        return InlineExecutor(EnhanceSetup(session, processes=1, encoder_threads=0), device)
    devices = worker_devices(device, workers)
    threads = cores_of_each(workers)
    on_one = workers if session.device.type == "cpu" else 1
    setup = EnhanceSetup(session, processes=on_one, encoder_threads=threads)
    try:
        return ProcessPool(setup, devices, threads)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise cannot_be_sent(session, error) from error


def _cluster(session: EnhanceSession, options: SegmentOptions) -> Executor:
    from vqe_fast.executors.ray_cluster import RayCluster

    assert options.cluster is not None
    setup = EnhanceSetup(session, processes=None, encoder_threads=None)
    try:
        return RayCluster(
            setup,
            options.cluster,
            worker_cpus=options.worker_cpus,
            worker_gpus=options.worker_gpus,
            workers=options.workers,
        )
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise cannot_be_sent(session, error) from error


def cannot_be_sent(session: EnhanceSession, error: Exception) -> VideoError:
    """The error for a model that workers cannot have."""
    return VideoError(
        f"the model {type(session.model.model).__name__} cannot be sent to workers ({error}); "
        "give the name of a registered one, or enhance without workers"
    )


def cores_of_each(workers: int) -> int:
    """Processor cores for each worker."""
    return max(1, cores() // workers)


def worker_devices(device: str, workers: int) -> list[str]:
    """The device of each worker: a GPU of its own, or the CPU.

    Raises:
        VideoError: there are fewer GPUs.
    """
    if workers == 1:
        return [device]
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device != "auto":
        place = torch.device(device)
    if place.type == "cpu":
        return ["cpu"] * workers
    there = 1 if place.index is not None else torch.cuda.device_count()
    if workers > there:
        raise VideoError(
            f"each worker gets a GPU of its own: {workers} were asked for, where {device} stands "
            f"for {there}; ask for fewer workers"
        )
    return [f"cuda:{index}" for index in range(workers)]
