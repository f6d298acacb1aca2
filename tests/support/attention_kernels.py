"""The attention kernels as they are launched for the shapes of models, and tensor cores emulated.

Kernels are the same for every size: only dtypes and channels make another one.
"""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch

from support.triton_kernels import Specialisation
from vqe_fast.kernels import attention_kernels
from vqe_fast.kernels.attention_plan import KERNELS, parts, plan, variants

CHANNELS = ((128, 256), (256, 512))
"""Of query and value in PeQuENet, at a quarter of the frame and below."""

POSITIONS = (480 * 270, 240 * 135, 104 * 240, 120 * 67, 64 * 96, 52 * 30)
"""Of 1080p at a quarter, an eighth and a sixteenth, of smaller and of odd frames."""

_FUNCTIONS = {
    "forward": "forward_kernel",
    "grad_query": "grad_query_kernel",
    "grad_key": "grad_reference_kernel",
    "grad_value": "grad_reference_kernel",
}
_NAMES = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def specialisation(kernel, arch, chosen):
    """A kernel of ``KERNELS`` by a plan."""
    function = getattr(attention_kernels, _FUNCTIONS[kernel])
    constants = {name: _named(value) for name, value in chosen.constants.items()}
    copied = _NAMES[constants["DTYPE"][3:]]
    wide = _NAMES[constants["ACC"][3:]]
    blocks = {
        "query": ("BLOCK_M", "BLOCK_D"),
        "key": ("BLOCK_N", "BLOCK_D"),
        "value": ("BLOCK_N", "BLOCK_C"),
        "grad_output": ("BLOCK_M", "BLOCK_C"),
    }
    signature = {}
    for name in function.arg_names:
        if name in blocks:
            rows, columns = (constants[block] for block in blocks[name])
            tile = f"tensordesc<{copied}[1, {rows}, {columns}]>"
            signature[name] = tile if constants["TMA"] else f"*{copied}"
        elif name.startswith("p_"):
            signature[name] = f"*{wide}"
        elif name not in constants:
            signature[name] = "fp32" if name in ("power", "factor") else "i32"
    return Specialisation(
        attention_kernels.__name__,
        _FUNCTIONS[kernel],
        signature,
        constants,
        chosen.num_warps,
        chosen.num_stages,
        aligned=True,
        disassembled=True,
        archs=(arch,),
    )


def real_kernels():
    """{(kernel, dtype, precision, (channels, value_channels), arch, variant): specialisation}.

    All that sm_90 runs but float64, of the narrower channels with all variants; of the rest the
    wider channels.
    """
    sm_90 = ((torch.bfloat16, "ieee", 90), (torch.float32, "ieee", 90))
    others = (
        (torch.float32, "tf32", 90),
        (torch.bfloat16, "ieee", 80),
        (torch.float32, "ieee", 80),
        (torch.float64, "ieee", 90),
    )
    asked = {}
    for kernel in KERNELS:
        for channels in CHANNELS:
            for dtype, precision, arch in sm_90 + others * (channels == CHANNELS[-1]):
                named = variants(kernel, dtype, *channels, arch, precision)
                for name in list(named) if channels == CHANNELS[0] else list(named)[:1]:
                    one = (kernel, dtype, precision, channels, arch, name)
                    asked[one] = specialisation(kernel, arch, named[name])
    sizes = {"C": 512, "BLOCK_C": 32}
    of_delta = {"BLOCK_M": 64, "ACC": "tl.float32", "PARTS": 1}
    for kernel, more in (("combine", {"BLOCK_M": 32}), ("delta", of_delta)):
        one = (kernel, torch.bfloat16, "ieee", CHANNELS[-1], 90, "")
        asked[one] = _beside(f"{kernel}_kernel", **sizes, **more)
    return asked


def _beside(kernel, **constants):
    """One of the kernels beside those of ``KERNELS``, for bfloat16."""
    types = {"p_output": "*bf16", "p_grad_output": "*bf16"}
    signature = {
        name: types.get(name, "*fp32") if name.startswith("p_") else "i32"
        for name in getattr(attention_kernels, kernel).arg_names
        if name not in constants
    }
    how = (attention_kernels.__name__, kernel, signature, constants)
    return Specialisation(*how, aligned=True, archs=(90,))


def distinct_kernels(shapes, dtypes, arch=90):
    """What forward and backward of these (channels, value channels) and dtypes compile."""
    compiled = set()
    for channels, value_channels in shapes:
        for dtype in dtypes:
            for kernel in KERNELS:
                chosen = plan(kernel, dtype, channels, value_channels, arch)
                constants = tuple((name, str(value)) for name, value in chosen.constants.items())
                compiled.add((_FUNCTIONS[kernel], dtype, constants))
            compiled.add(("delta_kernel", dtype, chosen.constants["C"], parts(dtype, "ieee")))
            compiled.add(("combine_kernel", dtype, chosen.constants["C"]))
    return compiled


@contextmanager
def tensor_cores():
    """Lets the interpreter multiply bfloat16, which it does not know, as tensor cores do.

    Sixteen exact products at a time are added to the sum and what float32 cannot hold is cut off,
    never rounded.
    """
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    plain = InterpreterBuilder.create_dot

    def create_dot(self, a, b, d, *others):
        if a.dtype.scalar != tl.bfloat16:
            return plain(self, a, b, d, *others)
        left, right = (
            (operand.data.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
            for operand in (a, b)
        )
        total = d.data
        with np.errstate(invalid="ignore"):
            for first in range(0, left.shape[1], 16):
                exact = left[:, first : first + 16] @ right[first : first + 16] + total
                total = exact.astype(np.float32)
                over = np.abs(total) > np.abs(exact)
                total[over] = np.nextafter(total[over], np.float32(0))
        return TensorHandle(total, d.dtype.scalar)

    with mock.patch.object(InterpreterBuilder, "create_dot", create_dot):
        yield


def _named(value):
    """A Triton dtype as its name in ``triton.language``, other values as they are."""
    names = {"fp64": "float64", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
    return f"tl.{names[str(value)]}" if str(value) in names else value
