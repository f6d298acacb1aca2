"""Installs what the package needs, and not the package, so that nothing is built.

Run with the Python to install into: ``python .ci/requirements.py LIST…``, where a list is
``dependencies`` or the name of an extra of pyproject.toml.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "project"
]


def requirements(name: str) -> list[str]:
    """Those of a list, and of the extras that it refers to."""
    extras = PROJECT["optional-dependencies"]
    found = []
    for one in PROJECT["dependencies"] if name == "dependencies" else extras[name]:
        own = re.fullmatch(rf"{PROJECT['name']}\[(.*)\]", one)
        found += [r for extra in own[1].split(",") for r in requirements(extra)] if own else [one]
    return found


if __name__ == "__main__":
    asked = [one for name in sys.argv[1:] for one in requirements(name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    sys.exit(subprocess.run([*pip, *dict.fromkeys(asked)]).returncode)
