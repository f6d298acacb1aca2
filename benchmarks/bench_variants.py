"""The plans that a kernel of cross-frame attention may be launched by, against each other.

Each is checked like an implementation; the fastest right one should be the first of
``kernels/attention_plan.py``.
"""

import contextlib
import functools
from dataclasses import replace

import torch
from harness import BF16, Case

from vqe_fast.bench.operators.attention import attention
from vqe_fast.kernels import attention_plan

# Kernels, shape of the query, direction, seconds.
CASES = [
    (("forward",), (1, 128, 270, 480), "forward", 8.0),
    (("grad_query", "grad_key", "grad_value"), (1, 128, 270, 480), "both", 10.0),
    (("forward",), (1, 256, 270, 480), "forward", 6.0),
    (("forward",), (1, 128, 64, 96), "forward", 1.0),
]
TINY = (1, 16, 6, 7)


def plan(device, tiny):
    planned = []
    for kernels, shape, direction, budget in CASES:
        size = TINY if tiny else shape
        pairs = [(kernel, name) for kernel in kernels for name in variants(kernel, size)]
        names = tuple(f"{kernel} {name}" for kernel, name in pairs)
        build = functools.partial(work, pairs, size, direction, device)
        planned.append(Case(f"{', '.join(kernels)} {size} {direction}", names, build, budget))
    return planned


def asked_of(kernel, shape):
    """The arguments of ``variants`` and ``plan`` for the GPU here; an H100 where there is none."""
    major, minor = torch.cuda.get_device_capability() if torch.cuda.is_available() else (9, 0)
    return kernel, BF16, shape[1], 2 * shape[1], 10 * major + minor


def variants(kernel, shape):
    return attention_plan.variants(*asked_of(kernel, shape))


@contextlib.contextmanager
def launched_by(kernel, name):
    """Within it a kernel has one plan."""
    known = attention_plan.variants

    def only(asked, *arguments):
        found = known(asked, *arguments)
        return {name: found[name]} if asked == kernel else found

    attention_plan.variants = only
    try:
        yield
    finally:
        attention_plan.variants = known


def work(pairs, shape, direction, device):
    function = attention(shape, BF16, device, direction)
    function = replace(function, case="cross_frame_attention, variants")
    return function.work([candidate(function, kernel, name, shape) for kernel, name in pairs])


def candidate(function, kernel, name, shape):
    context = functools.partial(launched_by, kernel, name)

    def make():
        with context():
            assert attention_plan.plan(*asked_of(kernel, shape)) == variants(kernel, shape)[name]
        return function.ours

    return function.candidate(f"{kernel} {name}", make, role="yardstick", context=context)


def test_variants(report, case, name):
    report(case, name)
