"""Operators, and the modes of PyTorch's autograd and of ``torch.func``."""

import threading

import torch
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

FRAME = (2, 3, 12, 14)


def seeded(*shapes):
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator, "dtype": torch.float64}
    return tuple(torch.rand(shape, **options) for shape in shapes)


def moved(planes):
    """Vectors for blocks of 4×4, all of them (1.5, 1.5) pixels."""
    return torch.full_like(planes[:, :2, ::4, ::4], 6, dtype=torch.int16)


OPERATORS = {
    "charbonnier_loss": (lambda of, x, y: of.charbonnier_loss(x, y, 1e-3), (FRAME, FRAME)),
    "ssim_loss": (lambda of, x, y: of.ssim_loss(x, y), (FRAME, FRAME)),
    "ssim, a map": (
        lambda of, x, y: of.ssim(x, y, padding="same", reduction="none"),
        (FRAME, FRAME),
    ),
    "ssim_loss, a uniform window": (
        lambda of, x, y: of.ssim_loss(x, y, window="uniform", window_size=7),
        (FRAME, FRAME),
    ),
    "ssim_mse_loss": (lambda of, x, y: of.ssim_mse_loss(x, y), (FRAME, FRAME)),
    "ms_ssim": (
        lambda of, x, y: of.ms_ssim(x, y, window_size=3, weights=(0.4, 0.6)),
        (FRAME, FRAME),
    ),
    "cross_frame_attention": (
        lambda of, q, k, v: of.cross_frame_attention(q, k, v, scale=0.5),
        ((2, 4, 5, 6), (2, 4, 7, 3), (2, 8, 7, 3)),
    ),
    "qp_modulate": (
        lambda of, x, v: of.qp_modulate(x, v, activation="leaky_relu"),
        (FRAME, (2, 3)),
    ),
    "qp_modulate, a map": (lambda of, x, v: of.qp_modulate(x, v), (FRAME, (2, 3, 4, 7))),
    "qp_gains": (lambda of, table, bias: of.qp_gains(30.0, table, bias), ((4, 3), (3,))),
    "local_variance": (lambda of, x: of.local_variance(x, 2), (FRAME,)),
    "astf_mask, of the same frame": (lambda of, x: of.astf_mask(x, x, x, 2) * x, (FRAME,)),
    "astf_fuse": (
        lambda of, d, s: of.astf_fuse(d, s, s, s, radius=2, sharpen=0.5),
        (FRAME, FRAME),
    ),
    "unsharp_mask": (lambda of, x: of.unsharp_mask(x, 0.5), (FRAME,)),
    "block_warp": (lambda of, x: of.block_warp(x, moved(x), block_size=4), ((2, 3, 20, 28),)),
    "block_match, and block_warp": (
        lambda of, x, y: of.block_warp(x, of.block_match(y, x)[0]) + y,
        ((2, 1, 24, 40), (2, 1, 24, 40)),
    ),
}
"""Name, maybe with a variant → (a call of it in a module, the shapes of its tensors)."""


def squared(function):
    """A scalar whose gradient depends on the result."""
    return lambda *tensors: function(*tensors).square().sum()


def leaves_of(tensors):
    return [tensor.clone().requires_grad_() for tensor in tensors]


def backward(function, tensors):
    leaves = leaves_of(tensors)
    return torch.autograd.grad(squared(function)(*leaves), leaves)


def double_backward(function, tensors):
    leaves = leaves_of(tensors)
    first = torch.autograd.grad(squared(function)(*leaves), leaves, create_graph=True)
    return torch.autograd.grad(sum(grad.square().sum() for grad in first), leaves)


def batched_backward(function, tensors):
    leaves = leaves_of(tensors)
    result = squared(function)(*leaves)
    return torch.autograd.grad(
        result, leaves, result.new_tensor([1.0, -2.0]), is_grads_batched=True
    )


def four_threads(function, tensors):
    """Backward passes through one graph at the same time."""
    leaves = leaves_of(tensors)
    result = squared(function)(*leaves)
    found, start = [None] * 4, threading.Barrier(4)

    def run(number):
        start.wait()
        found[number] = torch.autograd.grad((number + 1) * result, leaves, retain_graph=True)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def checkpointed(function, tensors):
    def again(*tensors):
        return checkpoint(function, *tensors, use_reentrant=False)

    return backward(again, tensors)


def offloaded(function, tensors):
    with torch.autograd.graph.save_on_cpu():
        return backward(function, tensors)


def forward_mode(function, tensors):
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(tensor, torch.ones_like(tensor)) for tensor in tensors]
        return forward_ad.unpack_dual(function(*duals)).tangent


def two_of(tensors):
    return tuple(torch.stack((tensor, tensor.flip(-1))) for tensor in tensors)


def compiled(function, **options):
    torch.compiler.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


FUNC = torch.func
PLACES = {1: 0, 2: (0, 1), 3: (0, 1, 2)}

DERIVATIVES = {
    "backward": backward,
    "twice": double_backward,
    "is_grads_batched": batched_backward,
    "jacobian": lambda f, t: torch.autograd.functional.jacobian(squared(f), t, vectorize=True),
    "four threads": four_threads,
    "checkpoint": checkpointed,
    "save_on_cpu": offloaded,
    "forward_ad": forward_mode,
    "grad": lambda f, t: FUNC.grad(squared(f), PLACES[len(t)])(*t),
    "vjp": lambda f, t: FUNC.vjp(squared(f), *t)[1](torch.tensor(2.0, dtype=torch.float64)),
    "jacrev": lambda f, t: FUNC.jacrev(squared(f))(*t),
    "jvp": lambda f, t: FUNC.jvp(f, t, tuple(map(torch.ones_like, t)))[1],
    "jacfwd": lambda f, t: FUNC.jacfwd(squared(f))(*t),
    "grad of grad": lambda f, t: FUNC.grad(lambda *x: FUNC.grad(squared(f))(*x).square().sum())(*t),
    "vmap": lambda f, t: FUNC.vmap(f)(*two_of(t)),
    "vmap of grad": lambda f, t: FUNC.vmap(FUNC.grad(squared(f)))(*two_of(t)),
    "functionalize": lambda f, t: FUNC.functionalize(f)(*t),
    "compiled grad": lambda f, t: compiled(FUNC.grad(squared(f)))(*t),
}
"""Mode → (function, tensors) → its results; the same mode of the reference must give them too."""
