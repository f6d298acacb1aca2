"""Modes of ``torch.distributed``: run, it prints what every operator does in them.

In a process of its own, which ends without taking its process group down: Gloo's threads may wait
for the interpreter, which then waits for them.
"""

import json
import os

import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from support import process_group
from support.mode_cells import checked, refused
from support.modes import OPERATORS


class Weighted(torch.nn.Module):
    """An operator behind parameters."""

    def __init__(self, function, tensors):
        super().__init__()
        self.function = function
        self.factors = torch.nn.ParameterList(torch.full_like(t[..., :1], 0.5) for t in tensors)

    def forward(self, *tensors):
        pairs = zip(self.factors, tensors, strict=True)
        return self.function(*(factor * tensor for factor, tensor in pairs))


def gradients_of(module, tensors, whole=None):
    """Of the parameters of a module, called as a part of another one."""
    (whole or module)(*tensors).square().sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    return [each.full_tensor() if isinstance(each, DTensor) else each for each in gradients]


def alone(function, tensors):
    return gradients_of(Weighted(function, tensors), tensors)


def data_parallel(function, tensors):
    module = Weighted(function, tensors)
    return gradients_of(module, tensors, torch.nn.parallel.DistributedDataParallel(module))


def fully_sharded(function, tensors):
    module = Weighted(function, tensors)
    fully_shard(module, mesh=distributed.init_device_mesh("cpu", (1,)))
    return gradients_of(module, tensors)


def of_dtensors(function, tensors):
    mesh = distributed.init_device_mesh("cpu", (1,))
    spread = [distribute_tensor(tensor, mesh, [Shard(0)]) for tensor in tensors]
    return function(*spread).full_tensor()


MODES = {
    "DistributedDataParallel": (data_parallel, alone),
    "FSDP2": (fully_sharded, alone),
}
"""Mode → ((function, tensors) → its results, those of plain PyTorch without it)."""


if __name__ == "__main__":
    process_group.begin()
    cells = {
        mode: {operator: checked(operator, *way) for operator in OPERATORS}
        for mode, way in MODES.items()
    }
    cells["DTensor"] = {operator: refused(operator, of_dtensors) for operator in OPERATORS}
    print(json.dumps(cells), flush=True)
    os._exit(0)
