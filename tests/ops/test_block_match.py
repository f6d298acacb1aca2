import itertools
import re

import pytest
import torch
from torch.nn import functional as F

import vqe_fast
from support.contract import DEVICES, DTYPES, OPCHECKS, OperatorContract
from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from support.layouts import LAYOUTS
from support.memory import poisoned_memory, threads
from support.triton_kernels import Specialisation, compile_only, interpreted
from vqe_fast import ops, reference
from vqe_fast.reference.block_match import cells, quantised

VARIANTS = ({"block_size": 8}, {"block_size": 4})


def texture(height, width, seed=0):
    """Luma (1, 1, H, W) in 8 bits, as float32: smooth and with detail everywhere."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 1, height + 8, width + 8, generator=generator)
    smooth = F.avg_pool2d(F.avg_pool2d(noise, 5, 1), 5, 1)
    stretched = (smooth - smooth.amin()) / (smooth.amax() - smooth.amin())
    return (stretched * 255).round() / 255


def grid(size, block_size):
    return tuple(-(-side // block_size) for side in size)


def vectors_for(batch, size, side):
    """Vectors in every direction, at every part of a pixel, some of them far outside."""
    shape = (batch, 2, *grid(size, side))
    count = shape[0] * shape[1] * shape[2] * shape[3]
    return ((torch.arange(count) * 37) % 331 - 165).view(shape)


class TestBlockMatch:
    isas = ("baseline", "avx2", "avx512")
    variants = tuple(
        {**variant, "candidates": given} for variant in VARIANTS for given in (False, True)
    )
    # Batch, height, width.
    shapes = ((1, 48, 88), (1, 1, 1), (2, 37, 53), (1, 3, 140), (1, 70, 5), (0, 8, 8))
    small_shape = (2, 21, 30)

    def make_arguments(self, shape, variant, dtype=torch.float32, device="cpu"):
        """A frame that moved in one half and is noise in the other."""
        batch, height, width = shape
        moved = texture(height + 40, width + 40, seed=height)
        noise = texture(height, width, seed=width + 1)
        frame = moved[..., 20 : height + 20, 20 : width + 20].repeat(batch, 1, 1, 1)
        other = moved[..., 17 : height + 17, 25 : width + 25].repeat(batch, 1, 1, 1)
        other[..., width // 2 :] = noise[..., width // 2 :]
        tensors = [
            (255 * luma).round().to(dtype) if dtype == torch.uint8 else luma.to(dtype)
            for luma in (frame, other)
        ]
        block_size = variant["block_size"]
        candidates = vectors_for(batch, (height, width), block_size) * 3
        options = {
            "block_size": block_size,
            "candidates": candidates.to(device) if variant["candidates"] else None,
        }
        return [tensor.to(device) for tensor in tensors], options

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("dtype", (*DTYPES, torch.uint8), ids=str)
    def test_vectors(self, dtype, device, shape, variant):
        """Vectors and errors are those of plain PyTorch, to the bit."""
        tensors, options = self.make_arguments(shape, variant, dtype, device)
        with poisoned_memory():
            vectors, errors = ops.block_match(*tensors, **options)
        expected = reference.block_match(*tensors, **options)
        batch, *size = shape
        assert vectors.shape == (batch, 2, *grid(size, variant["block_size"]))
        assert vectors.dtype == torch.int16 and errors.dtype == torch.float32
        assert torch.equal(vectors, expected[0]) and torch.equal(errors, expected[1])

    def test_threads_give_the_same_bits(self, shape, variant):
        tensors, options = self.make_arguments(shape, variant)
        results = []
        for count in (1, 2, 3):
            with threads(count):
                results.append(ops.block_match(*tensors, **options))
        for other in results[1:]:
            assert all(map(torch.equal, results[0], other))

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
    def test_layouts(self, layout, device, variant):
        tensors, options = self.make_arguments(self.small_shape, variant, device=device)
        expected = ops.block_match(*tensors, **options)
        if variant["candidates"]:
            options["candidates"] = layout(options["candidates"])
        laid = ops.block_match(*map(layout, tensors), **options)
        assert all(map(torch.equal, laid, expected))
        assert all(result.is_contiguous() for result in laid)

    @pytest.mark.parametrize("device", DEVICES)
    def test_opcheck(self, device, variant):
        tensors, options = self.make_arguments(self.small_shape, variant, device=device)
        arguments = (*tensors, options["candidates"], options["block_size"])
        overload = torch.ops.vqe_fast.block_match.default
        torch.library.opcheck(overload, arguments, test_utils=OPCHECKS)

    @pytest.mark.parametrize("device", DEVICES)
    def test_compile(self, device, variant):
        """One graph, no break, the same bits."""
        torch.compiler.reset()
        compiled = torch.compile(ops.block_match, fullgraph=True, backend="aot_eager")
        for shape in (self.small_shape, *self.shapes[-3:-1]):
            tensors, options = self.make_arguments(shape, variant, device=device)
            results = compiled(*tensors, **options)
            assert all(map(torch.equal, results, ops.block_match(*tensors, **options)))

    @pytest.mark.parametrize("device", DEVICES)
    def test_autocast(self, device, variant):
        """Autocast changes nothing."""
        tensors, options = self.make_arguments(self.small_shape, variant, device=device)
        expected = ops.block_match(*tensors, **options)
        with torch.autocast(device, torch.bfloat16):
            assert all(map(torch.equal, ops.block_match(*tensors, **options), expected))

    def test_reference_backend(self, variant, monkeypatch):
        """``backend("reference")`` must not touch a kernel."""
        tensors, options = self.make_arguments(self.small_shape, variant)
        expected = reference.block_match(*tensors, **options)
        monkeypatch.setattr(torch.ops.vqe_fast, "block_match", None)
        with vqe_fast.backend("reference"):
            assert all(map(torch.equal, ops.block_match(*tensors, **options), expected))

    def test_vmap(self, variant):
        """A batch of batches, by the reference."""
        tensors, options = self.make_arguments((3, 21, 30), variant)
        size = options.pop("block_size")
        batched = [
            tensor[:, None] for tensor in (*tensors, options["candidates"]) if tensor is not None
        ]

        def match(frame, other, candidates=None):
            return ops.block_match(frame, other, block_size=size, candidates=candidates)

        found = torch.func.vmap(match)(*batched)
        expected = ops.block_match(*tensors, block_size=size, **options)
        assert all(torch.equal(a[:, 0], b) for a, b in zip(found, expected, strict=True))

    def test_no_gradient(self, variant):
        """Neither vectors nor errors ask for one, also where the frames do."""
        tensors, options = self.make_arguments(self.small_shape, variant)
        for name in ("auto", "reference"):
            with vqe_fast.backend(name):
                results = ops.block_match(*(t.requires_grad_() for t in tensors), **options)
            assert not any(result.requires_grad for result in results)


def interior(vectors, border):
    """The vectors of blocks whose windows, displaced, lie in the frame."""
    return vectors[..., border:-border, border:-border]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-3, 2), (7, -11), (-30, 17)], ids=str)
def test_whole_shifts_are_found(shift, variant):
    """Exactly, with errors of 0."""
    x, y = shift
    wide = texture(192 + 64, 256 + 64)
    frame, moved = (
        wide[..., 32 - dy : 224 - dy, 32 - dx : 288 - dx] for dx, dy in ((0, 0), (x, y))
    )
    vectors, errors = ops.block_match(frame, moved, **variant)
    border = 40 // variant["block_size"]
    expected = torch.tensor((4 * x, 4 * y), dtype=torch.int16).view(1, 2, 1, 1)
    inner = interior(vectors, border)
    assert torch.equal(inner, expected.expand_as(inner))
    assert interior(errors, border).count_nonzero() == 0


TAPS = {0: (0, 128, 0, 0), 1: (-9, 111, 29, -3), 2: (-8, 72, 72, -8), 3: (-3, 29, 111, -9)}


def displaced(luma, x, y):
    """A frame that looks like luma displaced by quarters of a pixel, but for 8 pixels around it."""
    for vector, dim in ((x, 3), (y, 2)):
        taps = torch.tensor(TAPS[vector % 4]).double().view((1, 1, 1, 4) if dim == 3 else (4, 1))
        filtered = F.conv2d((luma * 255).double().round(), taps.view(1, 1, *taps.shape[-2:]))
        bytes = torch.floor((filtered + 64) / 128).clamp(0, 255)
        luma = F.pad(bytes / 255, (1, 2, 0, 0) if dim == 3 else (0, 0, 1, 2)).float()
        luma = luma.roll(-(vector // 4), dim)
    return luma


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("shift", list(itertools.product((-6, 1, 2, 7), (0, 3, -14))), ids=str)
def test_parts_of_pixels_are_found(shift, variant):
    """Exactly, where a frame is made of the reference by the same filter."""
    other = texture(160, 192)
    vectors, errors = ops.block_match(displaced(other, *shift), other, **variant)
    border = 24 // variant["block_size"]
    expected = torch.tensor(shift, dtype=torch.int16).view(1, 2, 1, 1)
    assert (interior(vectors, border) == expected).all()
    assert interior(errors, border).count_nonzero() == 0


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_constant_picture_stands_still(variant):
    """Everything costs the same: the shortest vector is taken, and no candidate."""
    frame = torch.full((1, 1, 45, 61), 0.3)
    candidates = torch.full((1, 2, *grid((45, 61), variant["block_size"])), 40)
    vectors, errors = ops.block_match(frame, frame, candidates=candidates, **variant)
    assert vectors.count_nonzero() == 0 and errors.count_nonzero() == 0


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_what_was_covered_has_large_errors(variant):
    """An object that is in one of the frames only."""
    frame = texture(96, 96)
    other = frame.clone()
    frame[..., 40:56, 40:56] = torch.rand(
        16, 16, generator=torch.Generator().manual_seed(3)
    ).round()
    _, errors = ops.block_match(frame, other, **variant)
    size = variant["block_size"]
    covered = torch.zeros(errors.shape, dtype=torch.bool)
    covered[..., 40 // size : 56 // size, 40 // size : 56 // size] = True
    assert errors[covered].min() > 0.2
    assert errors[..., : 32 // size, :].max() == 0


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_candidates_reach_further(variant):
    """A motion beyond the hierarchy's range is found where a candidate tells of it; and refined."""
    wide = texture(96, 400)
    frame, other = wide[..., :160], wide[..., 100:260]
    size = variant["block_size"]
    candidates = torch.zeros(1, 2, *grid((96, 160), size), dtype=torch.int16)
    candidates[:, 0] = -4 * 100 + 1
    without, _ = ops.block_match(frame, other, **variant)
    vectors, errors = ops.block_match(frame, other, candidates=candidates, **variant)
    inner = (..., slice(16 // size, -16 // size), slice(104 // size, -16 // size))
    assert (vectors[inner][:, 0] == -400).all() and errors[inner].count_nonzero() == 0
    assert (without[inner][:, 0] != -400).any()


def test_far_candidates():
    """The largest numbers are clamped, and see what is replicated beyond the border."""
    frame, other = texture(24, 40), texture(24, 40, seed=1)
    for value in (-(2**62), -32768, 32767, 2**62):
        candidates = torch.full((1, 2, 3, 5), value)
        found = ops.block_match(frame, other, candidates=candidates)
        expected = reference.block_match(frame, other, candidates=candidates)
        assert all(map(torch.equal, found, expected))


def every_level(dtype):
    """Luma at the levels of 8 bits, between them, outside of them, and what is not a number."""
    levels = torch.arange(256, dtype=torch.float64)
    values = torch.cat((levels, levels + 0.5, levels + 0.25)) / 255
    extreme = torch.tensor([-1, 2, -0.001, 1.001, torch.inf, -torch.inf, torch.nan, -0.0])
    return torch.cat((values, extreme.double())).view(1, 1, 8, -1).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_quantisation(dtype):
    """Ties to even, clamped, NaN as 0; in float32 at least."""
    luma = every_level(dtype)
    wide = luma.to(torch.promote_types(dtype, torch.float32))
    plain = (wide * 255).round().clamp(0, 255).nan_to_num(0).to(torch.uint8)
    assert torch.equal(quantised(luma), plain.long())
    found = ops.block_match(luma, luma.flip(-1))
    assert all(map(torch.equal, found, ops.block_match(plain, plain.flip(-1))))


WARPS = tuple(
    {"block_size": block_size, "cell": cell}
    for cell, block_size in ((1, 8), (1, 4), (2, 8), (4, 8), (4, 4))
)


class TestBlockWarp(OperatorContract):
    isas = ("baseline", "avx2", "avx512")
    variants = WARPS
    # A part of the kernel takes 64 rows.
    shapes = ((1, 1, 1, 1), (0, 2, 4, 5), (2, 0, 9, 8), (1, 2, 130, 37), (2, 3, 21, 30))
    small_shape = (2, 3, 9, 13)
    float64_units = 64  # sums of values of both signs, in another order than plain PyTorch's

    @staticmethod
    def function(planes, block_size, cell):
        return ops.block_warp(
            planes, vectors_of(planes, block_size // cell), block_size=block_size, cell=cell
        )

    @staticmethod
    def reference(planes, block_size, cell):
        return reference.block_warp(
            planes, vectors_of(planes, block_size // cell), block_size=block_size, cell=cell
        )

    def make_tensors(self, shape, dtype, device):
        generator = torch.Generator().manual_seed(sum(shape))
        return [torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)]

    def schema_calls(self, tensors, variant):
        (planes,) = tensors
        names = torch.ops.vqe_fast
        vectors = vectors_of(planes, variant["block_size"] // variant["cell"]).short()
        arguments = (planes, vectors, *variant.values())
        yield names.block_warp.default, arguments
        yield names.block_warp_backward.default, arguments

    @pytest.mark.parametrize("device", DEVICES)
    def test_autocast(self, device, variant):
        """Autocast changes nothing: the result has the planes' dtype."""
        (planes,) = self.make_tensors(self.small_shape, torch.bfloat16, device)
        expected = self.function(planes, **variant)
        with torch.autocast(device, torch.float16):
            actual = self.function(planes, **variant)
        assert torch.equal(actual, expected) and actual.dtype == torch.bfloat16


def vectors_of(planes, side):
    batch, _, *size = planes.shape
    return vectors_for(batch, size, side).to(planes.device)


def by_hand(planes, vectors, block_size, cell):
    """Pixel by pixel, by the formula of Catmull and Rom."""

    def kernel(t):
        t = abs(t)
        if t >= 2:
            return 0
        return 1.5 * t**3 - 2.5 * t**2 + 1 if t < 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2

    height, width = planes.shape[2:]
    warped = torch.zeros_like(planes)
    for y, x in itertools.product(range(height), range(width)):
        side = block_size // cell
        at = vectors[0, :, y // side, x // side].tolist()
        if cell == 4:
            at = [int(abs(v) / 16 + 0.5) * (1 if v > 0 else -1) for v in at]
        else:
            at = [v / (4 * cell) for v in at]
        place = x + at[0], y + at[1]
        for i, j in itertools.product(range(-2, 4), repeat=2):
            row, column = int(place[1] // 1) + i, int(place[0] // 1) + j
            weight = kernel(place[1] - row) * kernel(place[0] - column)
            row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
            warped[..., y, x] += weight * planes[..., row, column]
    return warped


@pytest.mark.parametrize("function", (ops.block_warp, reference.block_warp), ids=("ops", "plain"))
@pytest.mark.parametrize("variant", WARPS, ids=str)
def test_warp_by_hand(variant, function):
    """The reference too is checked here."""
    planes = torch.randn(1, 2, 11, 14, generator=torch.Generator().manual_seed(0)).double()
    vectors = vectors_of(planes, variant["block_size"] // variant["cell"])
    torch.testing.assert_close(
        function(planes, vectors, **variant), by_hand(planes, vectors, **variant)
    )


def test_half_a_cell_goes_away_from_zero():
    planes = torch.arange(9.0).view(1, 1, 1, 9)
    for vector, expected in ((7, 4), (8, 5), (23, 5), (24, 6), (-7, 4), (-8, 3), (-24, 2)):
        vectors = torch.zeros(1, 2, 1, 9, dtype=torch.int16)
        vectors[:, 0] = vector
        assert ops.block_warp(planes, vectors, block_size=4, cell=4)[0, 0, 0, 4] == expected


def test_warping_by_what_was_matched():
    """Brings the reference back to the frame."""
    wide = texture(100, 120)
    frame, other = wide[..., 4:, 6:], wide[..., :-4, :-6]
    vectors, _ = ops.block_match(frame, other)
    warped = ops.block_warp(other, vectors)
    inner = (..., slice(-16), slice(-16))
    torch.testing.assert_close(warped[inner], frame[inner], rtol=0, atol=1e-6)


@interpreted
@pytest.mark.parametrize(
    ("shape", "variant"),
    [((2, 9, 18), TestBlockMatch.variants[0]), ((1, 9, 13), TestBlockMatch.variants[3])],
    ids=str,
)
def test_triton_match_interpreted(shape, variant):
    """The CUDA path's integers, masks, margins and images; the same bits as the reference's."""
    from vqe_fast.kernels import block_match as kernels

    tensors, options = TestBlockMatch().make_arguments(shape, variant)
    with poisoned_memory():
        found = kernels.block_match(*tensors, options["candidates"], options["block_size"])
    assert all(map(torch.equal, found, reference.block_match(*tensors, **options)))


@interpreted
@pytest.mark.parametrize("dtype", (*DTYPES, torch.uint8), ids=str)
def test_triton_quantises_interpreted(dtype):
    from vqe_fast.kernels import block_match as kernels

    luma = every_level(dtype) if dtype != torch.uint8 else every_level(torch.float32).byte()
    plane = kernels._quantised(luma)
    assert torch.equal(plane, quantised(luma)[:, 0].byte())
    assert torch.equal(kernels._cells(plane), cells(plane[:, None].long())[:, 0].byte())


@interpreted
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.float16), ids=str)
@pytest.mark.parametrize("variant", WARPS, ids=str)
def test_triton_warp_interpreted(variant, dtype):
    """The CUDA path's weights, rounding, masks and images; and what it adds up."""
    from vqe_fast.kernels import block_match as kernels

    test = TestBlockWarp()
    (planes,) = test.make_tensors((2, 2, 37, 30), dtype, "cpu")
    grad = test.make_tensors((2, 2, 37, 30), dtype, "cpu")[0].flip(-1).contiguous()
    results = []
    for cast in (dtype, torch.float64):
        leaf = planes.to(cast).requires_grad_()
        result = test.reference(leaf, **variant)
        results.append([result.detach(), *torch.autograd.grad(result, leaf, grad.to(cast))])
    vectors = vectors_of(planes, variant["block_size"] // variant["cell"]).short()
    with poisoned_memory():
        warped = kernels.block_warp(planes, vectors, *variant.values())
        gradient = kernels.block_warp_backward(grad, vectors, *variant.values())
    for index, (a, control, exact) in enumerate(zip((warped, gradient), *results, strict=True)):
        factor = GRADIENT_FACTOR if index else VALUE_FACTOR
        assert_no_worse(a, control, exact, factor, float64_units=64)


def specialisation(kernel, constants, types=None, num_warps=4):
    """A kernel as it is launched, for pointers that are multiples of 16."""
    from vqe_fast.kernels import block_match as kernels

    types = {"p_frame": "*u8", "p_reference": "*u8", "p_bytes": "*u8", "p_cells": "*u8"} | {
        "p_candidates": "*i64",
        "p_errors": "*fp32",
        **(types or {}),
    }
    signature = {
        name: types.get(name, "*i32" if name.startswith("p_") else "i32")
        for name in getattr(kernels, kernel).arg_names
        if name not in constants
    }
    pointers = tuple(name for name in signature if name.startswith("p_"))
    named = (kernels.__name__, kernel, signature, constants)
    return Specialisation(*named, num_warps=num_warps, divisible=pointers)


def test_triton_compiles_for_gpus():
    """Every kernel for sm_80 and sm_90, in the dtypes and block sizes that a user has."""
    from vqe_fast.kernels import block_match as kernels

    asked = [specialisation("cells_kernel", {"BLOCK": kernels.PIXELS})]
    for element, dtype in (
        ("bf16", torch.bfloat16),
        ("fp32", torch.float32),
        ("fp64", torch.double),
    ):
        luma = {"p_luma": f"*{element}"}
        wide = "tl.float64" if element == "fp64" else "tl.float32"
        constants = {"ACC": wide, "BLOCK": kernels.PIXELS, "WHOLE": kernels.whole_of(dtype)}
        asked.append(specialisation("quantise_kernel", constants, luma))
        for transposed, cell in itertools.product((False, True), (1, 4)):
            constants = {"TRANSPOSED": transposed, "SIDE": 8 // cell, "CELL": cell}
            constants |= {"ACC": "tl.float64" if transposed else wide, "BLOCK": kernels.WARPED}
            to = "*fp64" if transposed else f"*{element}"
            types = {"p_from": f"*{element}", "p_to": to, "p_vectors": "*i16"}
            asked.append(specialisation("warp_kernel", constants, types))
    for block_size, flag in itertools.product((4, 8), (False, True)):
        constants = {"BLOCK_SIZE": block_size, "BLOCKS": kernels.BLOCKS}
        asked.append(specialisation("whole_kernel", constants | {"GIVEN": flag}))
        types = {"p_vectors": "*i16" if flag else "*i32"}
        asked.append(specialisation("adopt_kernel", constants | {"LAST": flag}, types))
        constants = {"SIDE": block_size // 4, "BLOCKS": kernels.BLOCKS}
        asked.append(specialisation("coarse_kernel", constants))
    footprints = compile_only(asked)
    assert len(footprints) == 2 * len(asked)
    for (index, arch), footprint in footprints.items():
        assert footprint.fits(arch), (asked[index], footprint)


LUMA, VECTORS = torch.zeros(1, 1, 16, 20), torch.zeros(1, 2, 2, 3, dtype=torch.int16)
WRONG = {
    "frame must be a tensor, got list": lambda: ops.block_match([1], LUMA),
    "frame must be a tensor of float64": lambda: ops.block_match(LUMA.int(), LUMA),
    "frame must be luma (B, 1, H, W) of at least 1×1, got (1, 3, 4, 4)": lambda: ops.block_match(
        torch.zeros(1, 3, 4, 4), LUMA
    ),
    "frame must be luma (B, 1, H, W) of at least 1×1, got (1, 1, 0, 4)": lambda: ops.block_match(
        torch.zeros(1, 1, 0, 4), LUMA
    ),
    "reference must have the shape of frame, (1, 1, 16, 20); got (1, 1, 16, 19)": lambda: (
        ops.block_match(LUMA, LUMA[..., 1:])
    ),
    "reference must be torch.float32 like frame; got torch.uint8": lambda: ops.block_match(
        LUMA, LUMA.byte()
    ),
    "reference must be on cpu like frame; got meta": lambda: ops.block_match(LUMA, LUMA.to("meta")),
    "block_size must be 4 or 8, got 16": lambda: ops.block_match(LUMA, LUMA, block_size=16),
    "candidates must be a tensor, got tuple": lambda: ops.block_match(
        LUMA, LUMA, candidates=(0, 0)
    ),
    "candidates must be a tensor of int16, int32 or int64, got torch.float32: quarter pixels are "
    "whole numbers": lambda: ops.block_match(LUMA, LUMA, candidates=VECTORS.float()),
    "candidates must be (1, 2, 4, 5), a vector for each block; got (1, 2, 2, 3)": lambda: (
        ops.block_match(LUMA, LUMA, block_size=4, candidates=VECTORS)
    ),
    "candidates must be on cpu like the rest; got meta": lambda: ops.block_match(
        LUMA, LUMA, candidates=VECTORS.to("meta")
    ),
    "planes must be a tensor of float64": lambda: ops.block_warp(LUMA.byte(), VECTORS),
    "planes must be (B, C, H, W) of at least 1×1, got (16, 20)": lambda: ops.block_warp(
        LUMA[0, 0], VECTORS
    ),
    "block_size must be 4 or 8, got 2": lambda: ops.block_warp(LUMA, VECTORS, block_size=2),
    "cell must be 1, 2 or 4, got 8": lambda: ops.block_warp(LUMA, VECTORS, cell=8),
    "vectors must be a tensor of int16": lambda: ops.block_warp(LUMA, VECTORS.double()),
    "vectors must be (1, 2, 8, 10), a vector for each block; got (1, 2, 2, 3)": lambda: (
        ops.block_warp(LUMA, VECTORS, cell=4)
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        WRONG[message]()


def test_vectors_reach_as_far_as_the_search():
    """Eight cells, two pixels and three quarters to each side; in noise some do."""
    generator = torch.Generator().manual_seed(0)
    frame, reference = torch.rand(2, 1, 1, 256, 256, generator=generator)
    vectors, _ = ops.block_match(frame, reference)
    assert 4 * 8 * 4 < vectors.abs().max() <= 4 * (8 * 4 + 2) + 3


@pytest.mark.parametrize("block_size", [4, 8])
def test_without_memory(block_size):
    """Shapes and dtypes on the meta device are those of the result."""
    luma = torch.rand(2, 1, 21, 35)
    found = ops.block_match(luma.to("meta"), luma.to("meta"), block_size=block_size)
    expected = ops.block_match(luma, luma, block_size=block_size)
    assert [(each.shape, each.dtype) for each in found] == [
        (each.shape, each.dtype) for each in expected
    ]
    assert all(each.is_meta for each in found)
