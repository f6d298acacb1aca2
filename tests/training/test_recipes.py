from importlib import resources

import pytest

from vqe_fast import create_model
from vqe_fast.training.recipe import read_recipe
from vqe_fast.training.spec import expand

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
    grids = recipe.data.degradations
    assert len(expand(grids)) == sum(len(grid.expand()) for grid in grids)
