"""Training recipes, as YAML."""

from __future__ import annotations

from pathlib import Path

from vqe_fast.data.shipped_yaml import find_yaml


def find_recipe(name: str) -> Path:
    """The path of a recipe: a file, or one that ships, by name.

    Args:
        name: a path, or the name of a recipe that ships.

    Raises:
        ValueError: there is no such file, and none of that name ships.
    """
    return find_yaml(name, Path(__file__).parent, "recipe")
