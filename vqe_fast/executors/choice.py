"""Choice of an executor: this process, a pool of processes, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from vqe_fast._machine import cores
from vqe_fast.executors.executor import Executor, Setup
from vqe_fast.executors.inline import InlineExecutor
from vqe_fast.executors.process_pool import ProcessPool


@dataclass(frozen=True)
class WantedWorkers:
    """Which workers a user asks for.

    Attributes:
        count: how many; None for one, or on a cluster for as many as it has room for.
        cluster: address of a Ray cluster; None for this machine.
        cpus: cores of each on a cluster; None for what suits its nodes.
        gpus: GPUs of each on a cluster; None for one where there are any.
    """

    count: int | None = None
    cluster: str | None = None
    cpus: int | None = None
    gpus: float | None = None


def executor_for(
    make: Callable[[int | None], Setup], device: str, wanted: WantedWorkers
) -> Executor:
    """The executor that is asked for.

    Args:
        make: the setup of workers of which so many run a model on the same device; of None for as
            many as have such a share of the machine's cores as the worker.
        device: of the models, ``auto`` for a GPU where there is one.
        wanted: which workers.

    Raises:
        ValueError: fewer than one worker, fewer GPUs than workers, options of a cluster without
            one, or a device with one.
        UnsendableError: the setup cannot be sent to processes; a cluster says so when entered.
    """
    if wanted.count is not None and wanted.count < 1:
        raise ValueError(f"there must be at least 1 worker, got {wanted.count}")
    if wanted.cluster is not None:
        if device != "auto":
            raise ValueError(
                "workers on a cluster have the GPUs that Ray gives them; leave the device out, "
                "and say --worker-gpus 0 for workers without"
            )
        from vqe_fast.executors.ray_cluster import RayCluster

        return RayCluster(
            make(None),
            wanted.cluster,
            worker_cpus=wanted.cpus,
            worker_gpus=wanted.gpus,
            workers=wanted.count,
        )
    if wanted.cpus is not None or wanted.gpus is not None:
        raise ValueError(
            "cores and GPUs of each worker are those of workers on a cluster: say which by "
            "--cluster, or leave --worker-cpus and --worker-gpus out"
        )
    if wanted.count in (None, 1):
        return InlineExecutor(make(1), device)
    devices = worker_devices(device, wanted.count)
    threads = max(1, cores() // wanted.count)
    return ProcessPool(make(devices.count(devices[0])), devices, threads)


def worker_devices(device: str, workers: int) -> list[str]:
    """The device of each worker: a GPU of its own, or the CPU.

    Raises:
        ValueError: there are fewer GPUs.
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
        raise ValueError(
            f"each worker gets a GPU of its own: {workers} were asked for, where {device} stands "
            f"for {there}; ask for fewer workers"
        )
    return [f"cuda:{index}" for index in range(workers)]
