"""``make gpu-package``: the libraries for a GPU machine that has another Python, or no network.

Run: ``python benchmarks/gpu_package.py``. It needs nvcc and no GPU, and leaves both libraries in
``.gpu/package``, a few MiB, for ``make gpu-check`` there: carry the checkout with this folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from installing import PACKAGE, build_package
from stages import Stages

ARCHS = "8.0;9.0"


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description="Builds the libraries for a GPU machine.")
    parser.add_argument("--archs", default=ARCHS, help=f"of its GPU; by default {ARCHS}")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        stages = Stages(scratch, scratch / "output", device="cpu")
        build_package(stages, asked.archs)
        if stages.red:
            print((scratch / "output" / "log.txt").read_text("utf-8", "replace")[-3000:])
    for file in sorted(PACKAGE.glob("*")):
        print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB")
    return int(stages.red)


if __name__ == "__main__":
    sys.exit(main())
