"""Commands whose packages are not installed say what to install."""

import subprocess
import sys

import pytest

PROGRAM = (
    "import sys; sys.modules[sys.argv.pop(1)] = None; from vqe_fast.cli.app import main; main()"
)
TRAINING = ("--data", "clips", "--output", "out")


@pytest.mark.parametrize(
    ("package", "installs", "arguments"),
    [
        ("yaml", "pyyaml", ("prepare", "spec.yaml", *TRAINING)),
        ("yaml", "pyyaml", ("train", "carcnn_small", *TRAINING)),
        ("lightning_fabric", "lightning-fabric", ("train", "carcnn_small", *TRAINING)),
        ("yaml", "pyyaml", ("ablate", "carcnn_losses", *TRAINING, "--validate", "clips")),
        ("scipy", "scipy", ("evaluate", "clips", "--output", "out", "--protocol", "carcnn")),
    ],
)
def test_missing_package(package, installs, arguments, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, package, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"vqe-fast: {package} is not installed: pip install {installs}\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert not any(tmp_path.iterdir())
