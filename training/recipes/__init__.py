"""Training recipes, as YAML."""

from __future__ import annotations

from pathlib import Path


def find_recipe(name: str) -> Path:
    """The path of a recipe.

    Args:
        name: a path, or the name of a recipe that ships.

    Raises:
        ValueError: there is no such file, and none of that name ships.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = {recipe.stem: recipe for recipe in Path(__file__).parent.glob("*.yaml")}
    if name not in shipped:
        raise ValueError(
            f"there is no recipe {name}: give a .yaml file, or one of {', '.join(sorted(shipped))}"
        )
    return shipped[name]
