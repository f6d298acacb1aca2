"""What each GPU kernel takes, compiled for an H100 that need not be here.

Run: ``python benchmarks/kernel_resources.py [--checkout PATH] [--only PATTERN] [--markdown FILE]``;
for before and after once for each of two checkouts. Needs torch and Triton, and for the kernels in
CUDA C++ nvcc; says what it leaves out.

Triton kernels are those that the launchers launch for the calls below: they get tensors without
memory, and each launch is compiled instead. Kernels in CUDA C++ are all that the ``*_cuda.cu`` of
``csrc`` instantiate. Instructions are those of the hottest loop, or of the kernel where there is
none, as they stand there: branches not taken are counted, slow paths of divisions and roots are
not. Instructions a value are those for the values that a thread has in an iteration: features,
pixels or logits. In Triton they follow from the tile, in CUDA C++ they are in ``VALUES``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "0"  # before a kernel is read

import sass
import torch
import triton
from no_device import TARGET, NoDevice
from torch import Tensor
from torch.utils.cpp_extension import include_paths
from triton.compiler import ASTSource

MULTIPROCESSORS = 132
TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
VALUES = [
    (r"\bssim_kernel<.*, (7|9|11), 0>", 2),
    (r"\bssim_kernel<", 1),
    (r"\b(variance|mean|variance_gradient)_kernel<BoxVariant<", 4),
    (r"\bsharpen_rows_kernel<SharpVariant<\d+, \d+, 3,", 12),
    (r"\bsharpen_rows_kernel<SharpVariant<\d+, \d+, 1,", 4),
]
"""Values that a thread has in an iteration, for kernels in CUDA C++: of the first pattern that is
found in a name. Other checkouts may want others: ``--values 'ssim_kernel<=1'``."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    call: str
    kernel: str
    registers: int
    stack: int
    shared: int
    instructions: int
    of: str  # "loop" or "kernel"
    values: int | None
    wide: int
    narrow: int
    calls: int

    def cells(self) -> list[str]:
        """Its text, with what follows from the numbers."""
        each = f"{self.instructions / self.values:.1f}" if self.values else "–"
        values = str(self.values) if self.values else "–"
        counted = f"{self.instructions} ({self.of})"
        numbers = (self.registers, self.stack, self.shared)
        rest = (f"{self.wide} / {self.narrow}", str(self.calls))
        return [self.call, self.kernel, *map(str, numbers), counted, values, each, *rest]


TITLES = ["call", "kernel", "registers", "stack", "shared memory", "instructions", "values"]
TITLES += ["instructions a value", "wide / narrow", "calls"]


def empty(*shape: int, dtype: torch.dtype, channels_last: bool = False) -> Tensor:
    """A tensor without memory."""
    tensor = torch.empty(*shape, dtype=dtype, device="meta")
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last else tensor


def calls(kernels: Kernels) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is launched: the shapes, dtypes and layouts of models at 1080p and of training."""
    wide = torch.float32
    for dtype in (torch.bfloat16, torch.float32):
        for channels in (128, 256):
            query = empty(1, channels, 270, 480, dtype=dtype)
            value = empty(1, 2 * channels, 270, 480, dtype=dtype)
            title = f"attention {channels}, {2 * channels} {name_of(dtype)}"
            yield (
                f"{title}, forward",
                kernels.of("attention", "cross_frame_attention", query, query, value, 1.0),
            )
            forward = kernels.of("attention", "cross_frame_attention", query, query, value, 1.0)
            yield f"{title}, forward", forward
            yield (
                f"{title}, backward",
                kernels.of(
                    "attention",
                    "cross_frame_attention_backward",
                    *(value, query, query, value, forward, 1.0, [True] * 3),
                ),
            )
    for dtype in (torch.float32, torch.bfloat16):
        x = empty(32, 3, 1080, 1920, dtype=dtype)
        title = f"charbonnier {name_of(dtype)}"
        loss = ("charbonnier", "charbonnier_loss", x, x, 1e-3)
        yield f"{title}, mean", kernels.of(*loss, 1, True)
        yield f"{title}, map", kernels.of(*loss, 0, False)
        yield (
            f"{title}, map, backward",
            kernels.of("charbonnier", "charbonnier_loss_backward", x, x, x, 1e-3, 0),
        )
    vectors = empty(1, 2, 135, 240, dtype=torch.int16)
    for dtype in (torch.float32, torch.bfloat16):
        luma = empty(1, 1, 1080, 1920, dtype=dtype)
        title = f"block matching {name_of(dtype)}"
        yield title, kernels.of("block_match", "block_match", luma, luma, None, 8)
        for shape, cell in (((1, 1, 1080, 1920), 1), ((1, 64, 270, 480), 4)):
            planes, title = empty(*shape, dtype=dtype), f"block warp {name_of(dtype)}, cell {cell}"
            arguments = (planes, vectors, 8, cell)
            yield f"{title}, forward", kernels.of("block_match", "block_warp", *arguments)
            yield f"{title}, backward", kernels.of("block_match", "block_warp_backward", *arguments)
    for channels_last in (True, False):
        layout = "channels_last" if channels_last else "NCHW"
        x = empty(16, 64, 540, 960, dtype=torch.bfloat16, channels_last=channels_last)
        for size, named in (((1, 1), "a QP a frame"), ((34, 60), "maps of QPs")):
            gains = empty(16, 64, *size, dtype=wide)
            title = f"modulation bfloat16 {layout}, {named}"
            yield f"{title}, forward", kernels.of("modulation", "qp_modulate", x, gains, [0.0])
            yield (
                f"{title}, backward",
                kernels.of("modulation", "qp_modulate_backward", x, x, gains, [0.0], [True, True]),
            )
    qp, table = empty(16, dtype=torch.float64), empty(4, 64, dtype=wide)
    arguments = (qp, table, empty(64, dtype=wide), [22.0, 27.0, 32.0, 37.0])
    yield "gains float32, forward", kernels.of("modulation", "qp_gains", *arguments)
    yield (
        "gains float32, backward",
        kernels.of("modulation", "qp_gains_backward", empty(16, 64, dtype=wide), *arguments),
    )


def name_of(dtype: torch.dtype) -> str:
    """``float32``"""
    return str(dtype).removeprefix("torch.")


class Kernels:
    """The launchers of a checkout, and what they launched last."""

    def __init__(self, checkout: Path) -> None:
        self.launched: list[tuple[object, dict[str, object]]] = []
        # The package itself would want its libraries, which these do without.
        for name, folder in (("vqe_fast", "vqe_fast"), ("vqe_fast.kernels", "kernels")):
            module = types.ModuleType(name)
            module.__path__ = [str(checkout / folder)]
            sys.modules[name] = module
        triton.runtime.driver.set_active(NoDevice())
        triton.knobs.runtime.jit_cache_hook = self._launch
        device = types.SimpleNamespace(major=9, minor=0, multi_processor_count=MULTIPROCESSORS)
        torch.cuda.is_available = lambda: True
        torch.cuda.get_device_properties = lambda *_: device
        torch.cuda.get_device_capability = lambda *_: (9, 0)

    def _launch(self, *, fn: object, compile: dict[str, object], **_: object) -> bool:
        """Called by Triton before it compiles a kernel, which it does not if this is True."""
        self.launched.append((fn, compile))
        return True

    def of(self, module: str, launcher: str, *arguments: object) -> Callable[[], object]:
        """A call of a launcher, which fails where the checkout has none of that name.

        Another call among the arguments stands for what it returns, and is not counted.
        """

        def call() -> object:
            imported = importlib.import_module(f"vqe_fast.kernels.{module}")
            given: list[object] = []
            for argument in arguments:
                given += argument() if callable(argument) else [argument]  # type: ignore[operator]
            self.launched.clear()
            return getattr(imported, launcher)(*given)

        return call


def triton_rows(checkout: Path, only: str) -> Iterator[Row]:
    """Of every kernel that the calls launch; each is compiled once."""
    kernels, seen = Kernels(checkout), set()
    for title, call in calls(kernels):
        if not re.search(only, title):
            continue
        try:
            call()
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            print(f"left out: {title}: {error}", file=sys.stderr)
            continue
        for fn, how in kernels.launched:
            if how["specialization_data"] in seen:
                continue
            seen.add(how["specialization_data"])
            source = ASTSource(
                fn.jit_function, how["signature"], how["constants"], how["configs"][0]
            )
            options = {name: how[name] for name in ("num_warps", "num_ctas", "num_stages")}
            compiled = triton.compile(source, target=TARGET, options=options)
            tile = {fn.jit_function.arg_names[at[0]]: n for at, n in how["constants"].items()}
            names = {name for name in tile if name.startswith("BLOCK")}
            if {"BLOCK_M", "BLOCK_N"} <= names:
                names = {"BLOCK_M", "BLOCK_N"}  # logits; other blocks are of their channels
            values = prod(tile[name] for name in names) / (32 * how["num_warps"])
            for row in rows_of(compiled.asm["cubin"], title, lambda _, n=values: int(n)):
                yield replace(row, shared=compiled.metadata.shared)


def cuda_rows(checkout: Path, only: str) -> Iterator[Row]:
    """Of every kernel that the sources in CUDA C++ instantiate."""
    if shutil.which("nvcc") is None:
        print("left out: kernels in CUDA C++, because there is no nvcc", file=sys.stderr)
        return
    include = [f"-I{path}" for path in [*include_paths(), checkout / "csrc"]]
    for source in sorted(checkout.glob("csrc/**/*_cuda.cu")):
        title = source.stem.removesuffix("_cuda")
        if not re.search(only, title):
            continue
        with tempfile.NamedTemporaryFile(suffix=".cubin") as binary:
            flags = ["-cubin", f"-arch=sm_{TARGET.arch}", "-O3", "-std=c++20", "-DUSE_CUDA"]
            run = subprocess.run(["nvcc", *flags, *include, "-o", binary.name, source])
            if run.returncode:
                print(f"left out: {source.name}, which does not compile", file=sys.stderr)
                continue
            yield from rows_of(Path(binary.name).read_bytes(), title, values_of)


def values_of(kernel: str) -> int | None:
    """By ``VALUES``."""
    return next((values for name, values in VALUES if re.search(name, kernel)), None)


def rows_of(binary: bytes, title: str, values: Callable[[str], int | None]) -> Iterator[Row]:
    """Of every kernel of a compiled file."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        usage = _output(TOOL, "--dump-resource-usage", file.name)
        code = sass.functions(_output(TOOL, "-sass", file.name))
    taken = r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)"
    for mangled, *numbers in re.findall(taken, usage):
        name = _demangled(mangled)
        body = sass.body(code[mangled])
        loop = sass.hottest_loop(body)
        counted = body if loop is None else loop
        yield Row(
            title,
            name,
            *map(int, numbers),
            instructions=len(counted),
            of="kernel" if loop is None else "loop",
            values=values(name),
            **dict(zip(("wide", "narrow"), sass.wide_and_narrow(counted), strict=True)),
            calls=sass.count(counted, "CALL"),
        )


def _demangled(name: str) -> str:
    if not name.startswith("_Z") or shutil.which("c++filt") is None:
        return name
    whole = re.sub(r"\(\w+(::\w+)*\)(?=-?\d)", "", _output("c++filt", name).strip())
    return re.sub(r"\(.*|^void |\w+::", "", whole)


def _output(*command: object) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def markdown(rows: list[Row]) -> str:
    """The table."""
    lines = [TITLES, ["---"] * 2 + ["--:"] * (len(TITLES) - 2), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def terminal(rows: list[Row]) -> str:
    """The table in columns."""
    lines = [TITLES, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "".join("  ".join(line).rstrip() + "\n" for line in aligned)


def main() -> None:
    """Prints the table, and writes it."""
    parser = argparse.ArgumentParser(description="What each GPU kernel takes.")
    checkout = Path(__file__).resolve().parents[1]
    parser.add_argument("--checkout", type=Path, default=checkout, help="whose kernels")
    parser.add_argument("--only", default="", help="a pattern of calls and operators")
    parser.add_argument(
        "--values", action="append", default=[], help="PATTERN=NUMBER, before those of VALUES"
    )
    parser.add_argument("--markdown", type=Path, help="a file for the table")
    asked = parser.parse_args()
    for pattern, _, number in (text.rpartition("=") for text in asked.values):
        VALUES.insert(0, (pattern, int(number)))
    checkout = asked.checkout.resolve()
    rows = [*triton_rows(checkout, asked.only), *cuda_rows(checkout, asked.only)]
    print(terminal(rows), end="")
    if asked.markdown:
        asked.markdown.write_text(markdown(rows))


if __name__ == "__main__":
    main()
