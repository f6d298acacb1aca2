"""Lookup of YAML files that ship with the package, by name."""

from __future__ import annotations

from pathlib import Path


def find_yaml(name: str, folder: Path, what: str) -> Path:
    """The path of a YAML file: one of the user's, or one that ships, by name.

    Args:
        name: a path, or the name, less its ending, of a file that ships.
        folder: where those that ship are.
        what: the kind of thing it is, in words.

    Raises:
        ValueError: there is no such file, and none of that name ships.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = {each.stem: each for each in folder.glob("*.yaml")}
    if name not in shipped:
        raise ValueError(
            f"there is no {what} {name}: give a .yaml file, or one of {', '.join(sorted(shipped))}"
        )
    return shipped[name]
