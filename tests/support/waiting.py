"""What waits for a device, and so cannot be in a CUDA graph."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NoWaiting(TorchDispatchMode):
    """Fails where a value is read from a tensor, or a tensor made from values of Python."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        assert function.overloadpacket not in (
            torch.ops.aten._local_scalar_dense,
            torch.ops.aten.lift_fresh,
        ), f"{function} waits for the device"
        return function(*arguments, **(options or {}))
