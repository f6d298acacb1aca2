from importlib import resources

import pytest

from vqe_fast import create_model
from vqe_fast.training.recipe import expand, read_recipe

RECIPES = sorted(
    entry.name
    for entry in resources.files("vqe_fast.training.recipes").iterdir()
    if entry.name.endswith(".yaml")
)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_valid_and_its_model_exists(name):
    with resources.as_file(resources.files("vqe_fast.training.recipes") / name) as path:
        recipe = read_recipe(path)
    create_model(recipe.model, **recipe.options)
    assert len(set(expand(recipe.data.degradations))) == len(expand(recipe.data.degradations))
