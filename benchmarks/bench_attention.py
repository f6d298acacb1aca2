"""Cross-frame attention against plain PyTorch, SDPA in its variants, and FlexAttention.

Every implementation takes and gives maps in NCHW.
"""

import functools

from harness import BF16, FP32, Case, cases
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import pad, scaled_dot_product_attention

from vqe_fast.bench.functions import compiled
from vqe_fast.bench.operators.attention import attention


def positions_last(*maps):
    """(B, C, H, W) → (B, 1, H·W, C)."""
    return [tensor.flatten(2).mT.unsqueeze(1) for tensor in maps]


def as_map(attended, like):
    """(B, heads, H·W, C/heads) → (B, C, H, W)."""
    return attended.mT.reshape(like.shape[0], -1, *like.shape[2:])


def sdpa(query, key, value):
    q, k, v = positions_last(query, key, value)
    return as_map(scaled_dot_product_attention(q, k, v, scale=1.0), query)


def sdpa_padded(query, key, value):
    """Query and key with zeros up to the channels of the value, where flash attention runs."""
    q, k, v = (tensor.contiguous() for tensor in positions_last(query, key, value))
    more = v.shape[-1] - q.shape[-1]
    q, k = pad(q, (0, more)), pad(k, (0, more))
    return as_map(scaled_dot_product_attention(q, k, v, scale=1.0), query)


def sdpa_split(query, key, value):
    """The value as several heads of as many channels as query and key."""
    heads = value.shape[1] // query.shape[1]
    q, k = (t.expand(-1, heads, -1, -1) for t in positions_last(query, key))
    v = value.flatten(2).unflatten(1, (heads, -1)).mT
    return as_map(scaled_dot_product_attention(q, k, v, scale=1.0), query)


def flex(query, key, value):
    q, k, v = positions_last(query, key, value)
    return as_map(_compiled_flex()(q, k, v, scale=1.0), query)


@functools.cache
def _compiled_flex():
    return compiled(flex_attention)


SDPA = {"sdpa": sdpa, "sdpa padded": sdpa_padded, "sdpa split": sdpa_split, "flex": flex}
# SDPA itself chooses among its kernels; these name one that it may pass over.
BACKENDS = {
    "sdpa efficient": (sdpa, SDPBackend.EFFICIENT_ATTENTION),
    "sdpa cudnn split": (sdpa_split, SDPBackend.CUDNN_ATTENTION),
}
NAMES = ("vqe_fast", "eager", "torch.compile", *SDPA)
ON_GPU = (*NAMES, *BACKENDS)
SOME = ("vqe_fast", "eager", "sdpa padded")
# Shape of the query, dtype, direction, seconds, implementations. 64×96 is 6,144 positions, 120×208
# a frame of 832×480 at a quarter of its size, 270×480 one of 1080p, whose map takes 62.6 GiB.
CASES = {
    "cpu": [
        *(
            ((1, channels, 64, 96), dtype, direction, 5.0, NAMES)
            for dtype, direction in ((FP32, "forward"), (BF16, "forward"), (FP32, "both"))
            for channels in (128, 256)
        ),
        ((1, 128, 64, 96), BF16, "both", 5.0, NAMES),
        ((1, 128, 16, 24), FP32, "forward", 1.0, SOME),
        ((1, 128, 32, 48), FP32, "forward", 1.0, SOME),
        ((1, 128, 120, 208), FP32, "forward", 1.0, SOME),
        ((1, 128, 270, 480), BF16, "forward", 1.0, ("vqe_fast",)),
        ((1, 128, 270, 480), FP32, "forward", 1.0, ("vqe_fast",)),
    ],
    "cuda": [
        ((1, 128, 270, 480), BF16, "forward", 6.0, ON_GPU),
        ((1, 256, 270, 480), BF16, "forward", 4.0, ON_GPU),
        ((1, 128, 270, 480), BF16, "both", 8.0, ON_GPU),
        ((1, 256, 135, 240), BF16, "both", 4.0, ON_GPU),
        ((1, 128, 120, 208), BF16, "forward", 1.0, ON_GPU),
        ((1, 128, 64, 96), BF16, "forward", 1.0, ON_GPU),
        ((1, 128, 64, 96), FP32, "forward", 1.0, ON_GPU),
    ],
}
TINY = (1, 16, 6, 7)


def plan(device, tiny):
    return [
        Case(
            f"{shape} {dtype} {direction}",
            names,
            functools.partial(work, shape, dtype, direction, device, names),
            budget,
        )
        for shape, dtype, direction, budget, names in cases(CASES, device, tiny and TINY)
    ]


def work(shape, dtype, direction, device, names):
    function = attention(shape, dtype, device, direction)
    usual = {candidate.name: candidate for candidate in function.usual()}
    return function.work([usual.get(name) or alternative(function, name) for name in names])


def alternative(function, name):
    if name in SDPA:
        problem = None
        if name == "flex" and function.device == "cpu" and function.direction == "both":
            problem = "has no backward on the CPU"
        return function.candidate(name, lambda: SDPA[name], problem=problem)
    problem = "is for GPUs" if function.device == "cpu" else None
    implementation, backend = BACKENDS[name]
    return function.candidate(
        name, lambda: implementation, context=lambda: sdpa_kernel(backend), problem=problem
    )


def test_attention(report, case, name):
    report(case, name)
