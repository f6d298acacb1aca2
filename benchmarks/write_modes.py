"""Writes docs/modes.md: what gives the result of each operator in each mode of PyTorch.

Run: ``make modes``; it takes two minutes and a C++ compiler.
"""

import itertools
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

TARGET = Path(__file__).parents[1] / "docs" / "modes.md"

_HEAD = """# Operators in the modes of PyTorch

What gives the result of an operator, on a CPU, value and gradient where a mode has both:

- **kernel**: the operator itself;
- **both**: its value is the kernel's, its gradient comes from plain PyTorch, which can be
  differentiated again and batched;
- **reference**: plain PyTorch, as `vqe_fast.reference` has it;
- **refused**: an error says so.

Made by `make modes`. `tests/ops/test_modes.py` does all of it anew, and compares every result with
that of plain PyTorch: no cell is wrong in silence. Every module of `vqe_fast.nn` can be copied,
pickled and saved, whole or as a state dict (`tests/nn/test_copies.py`).
"""

_NOTES = {
    "twice": "`create_graph=True`, and the gradient of the gradient.",
    "jacobian": "`torch.autograd.functional.jacobian(vectorize=True)`.",
    "four threads": "Four backward passes through one graph at the same time.",
    "checkpoint": "`torch.utils.checkpoint`, not reentrant.",
    "forward_ad": "Forward-mode AD. The operators of `torch.ops.vqe_fast` themselves refuse it.",
    "grad": "This and the following to `functionalize` are transforms of `torch.func`.",
    "compiled grad": "`torch.func.grad` under `torch.compile(fullgraph=True)`.",
    "torch.compile": "`fullgraph=True`; the tests of each operator also generate code.",
    "torch.compile, dynamic shapes": "A second and a third size without compiling again. Sizes "
    "that are equal in the first call torch takes for one, and compiles again when they differ.",
    "compiled autograd": "The backward pass alone as one graph.",
    "torch.export": "Saved and loaded again; `torch.jit.trace` too.",
    "make_fx": "Value and gradient in one graph, with symbolic sizes.",
    "AOTInductor": "A package that Python loads again, after `import vqe_fast`.",
    "a subclass": "Of `torch.Tensor`, which results belong to as well.",
    "a wrapper subclass": "With a `__torch_dispatch__` of its own.",
    "FakeTensorMode": "Tensors without values: nothing looks at one, as in a CUDA graph; on a GPU "
    "`tests/ops/test_cuda_graphs.py` captures each operator and its gradient.",
    "autocast": "Losses in float32, attention in autocast's dtype, others in their own.",
    "FSDP2": "`fully_shard`. In a process group modules keep nothing of their parameters, which "
    "FSDP exchanges in place.",
    "DTensor": "`Operator vqe_fast.… does not have a sharding strategy registered`: call operators "
    "on `to_local()`, or in `torch.distributed.tensor.experimental.local_map`.",
}


def page(cell):
    """The text of the page, with (operator, mode) → its cell."""
    from support.mode_cells import MODES
    from support.modes import OPERATORS

    lines = [
        _HEAD,
        f"| | {' | '.join(map(_titled, OPERATORS))} |",
        "|---" * (len(OPERATORS) + 1) + "|",
    ]
    for mode in MODES:
        cells = [cell(operator, mode) for operator in OPERATORS]
        lines.append(f"| {mode} | {' | '.join(cells)} |")
    lines += ["", *(f"- **{mode}**: {_NOTES[mode]}" for mode in MODES if mode in _NOTES)]
    return "\n".join(lines) + "\n"


def written(text):
    """(operator, mode) → its cell in a page."""
    from support.modes import OPERATORS

    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {
        (operator, mode): cell
        for mode, *cells in rows[1:]
        for operator, cell in itertools.zip_longest(OPERATORS, cells)
    }


def _titled(operator):
    name, *variant = operator.split(",")
    return ",".join([f"`{name}`", *variant])


if __name__ == "__main__":
    from support.mode_cells import cell

    TARGET.write_text(page(cell), "utf-8")
