"""``make bench``: all suites on this machine, its results file, and the page.

Run: ``python benchmarks/run.py [SUITE …]``, without names for all. It takes less than fifteen
minutes; what there was no time for is in the results as left out.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import page
from results_file import RESULTS
from stages import Stages

SECONDS = 950
"""For all suites together."""
# Suite → seconds after which it begins no further case.
LIMITS = {
    "ceilings": 15,
    "block_match": 60,
    "charbonnier": 35,
    "modulation": 70,
    "fusion": 60,
    "ssim": 115,
    "attention": 250,
    "models": 215,
    "video": 50,
    "training": 20,
}


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description="Measures, and writes results and page.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(LIMITS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tiny", action="store_true", help="only whether everything works")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    asked = parser.parse_args()
    if unknown := set(asked.suites) - LIMITS.keys():
        parser.error(f"there is no suite {', '.join(unknown)}; choose of {', '.join(LIMITS)}")
    with tempfile.TemporaryDirectory() as scratch:
        stages = Stages(
            Path(scratch), asked.output, device=asked.device, seconds=SECONDS, tiny=asked.tiny
        )
        for suite in asked.suites or LIMITS:
            stages.suites(suite, [suite], LIMITS[suite])
        print(stages.write())
    target = page.PAGE if asked.output == RESULTS else asked.output / page.PAGE.name
    page.main(asked.output, target)
    print(target)
    return 1 if stages.red else 0


if __name__ == "__main__":
    sys.exit(main())
