"""``make gpu-train``: from a packed file to better weights in so many minutes.

Run: ``python benchmarks/gpu_train.py --data packed.safetensors --output FOLDER`` with the Python
that has torch. Needs NumPy and safetensors beside it, and no network, PyAV or build: where the
package is not installed it is that of this checkout. ``vqe-fast pack`` makes the file.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def find_package():
    """Makes ``import vqe_fast`` work: what is installed, or this checkout, as setup.py lays it out.

    The kernels and the training lie beside the package there.
    """
    if importlib.util.find_spec("vqe_fast") is None:
        sys.path.append(str(ROOT))
        import vqe_fast

        vqe_fast.__path__.append(str(ROOT))


def main():
    """Returns the status to exit with."""
    parser = argparse.ArgumentParser(description="Better weights in so many minutes.")
    parser.add_argument("--data", type=Path, required=True, help="what vqe-fast pack has made")
    parser.add_argument("--output", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--model", default="dualres_s", help="or dualres_m")
    parser.add_argument("--minutes", type=float, default=4, help="for all but reading the file")
    parser.add_argument("--weights", type=Path, help="to start from, .safetensors")
    parser.add_argument("--batch", type=int, default=128, help="windows of a step")
    parser.add_argument("--patch", type=int, default=128, help="their side in pixels")
    parser.add_argument("--rate", type=float, default=0.002, help="of the optimiser")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    asked = parser.parse_args()
    missing = [
        name for name in ("torch", "numpy", "safetensors") if importlib.util.find_spec(name) is None
    ]
    if missing:
        parser.error(f"this Python has no {missing[0]}; use one that has it")
    find_package()
    import torch

    from vqe_fast.data.packed import Packed
    from vqe_fast.training.timed_training import Settings, burst

    options = vars(asked)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        print("a rehearsal on the CPU: no speed of it is one of a GPU", flush=True)
    try:
        packed = Packed.read(options.pop("data"))
        output = options.pop("output")
        burst(Settings(**options), packed, output, device=device, say=_say)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"gpu-train: {error}", file=sys.stderr)
        return 2
    print(f"weights: {output / 'weights.safetensors'}; card.toml and curve.csv are beside them")
    return 0


def _say(text):
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
