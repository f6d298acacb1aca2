"""What a worker takes of a Ray cluster, and how many of them its nodes have room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_CORES = 4
_EPSILON = 1e-6  # fractions of a GPU add up to a little less than a whole one


@dataclass(frozen=True)
class WorkerResources:
    """What a worker takes of its node.

    Attributes:
        cpus: cores, and threads of PyTorch.
        gpus: GPUs, or a fraction of one, which workers then share; 0 for none.
    """

    cpus: int
    gpus: float

    @property
    def device(self) -> str:
        """Where the model of such a worker runs: workers see their own GPUs only."""
        return "cuda:0" if self.gpus else "cpu"

    def __str__(self) -> str:
        cores = f"{self.cpus} {'core' if self.cpus == 1 else 'cores'}"
        return f"{cores} and {self.gpus:g} GPU" if self.gpus else cores

    def fits(self, nodes: Sequence[dict[str, Any]]) -> int:
        """How many such workers the nodes have room for, other jobs aside."""
        room = 0
        for node in nodes:
            here = _of(node, "CPU") // self.cpus
            if self.gpus:
                here = min(here, (_of(node, "GPU") + _EPSILON) // self.gpus)
            room += int(here)
        return room


def resources_for(
    nodes: Sequence[dict[str, Any]], worker_cpus: int | None, worker_gpus: float | None
) -> WorkerResources:
    """What a worker takes on these nodes.

    Args:
        nodes: those alive, as ``ray.nodes`` lists them.
        worker_cpus: cores, or None: with a GPU its part of the node's cores, so that each GPU of
            the smallest node gets a worker; without one 4, or all of the smallest node's.
        worker_gpus: GPUs, or None: one if a node has any.
    """
    if worker_gpus is None:
        worker_gpus = float(any(_of(node, "GPU") >= 1 for node in nodes))
    if worker_cpus is None:
        if worker_gpus:
            parts = [
                _of(node, "CPU") / (_of(node, "GPU") / worker_gpus)
                for node in nodes
                if _of(node, "GPU") >= worker_gpus
            ]
        else:
            parts = [min(_CORES, _of(node, "CPU")) for node in nodes if _of(node, "CPU") >= 1]
        worker_cpus = max(1, int(min(parts, default=_CORES)))
    return WorkerResources(worker_cpus, worker_gpus)


def _of(node: dict[str, Any], resource: str) -> float:
    return float(node["Resources"].get(resource, 0))
