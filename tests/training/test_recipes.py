from importlib import resources

import pytest

from vqe_fast.data.spec import expand
from vqe_fast.training.losses import build_losses
from vqe_fast.training.recipe import Recipe, ScheduleRecipe, read_recipe
from vqe_fast.training.train import build_model

RECIPES = sorted(
    entry.name
    for entry in resources.files("vqe_fast.training.recipes").iterdir()
    if entry.name.endswith(".yaml")
)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_valid_and_its_model_exists(name):
    with resources.as_file(resources.files("vqe_fast.training.recipes") / name) as path:
        recipe = read_recipe(path)
    # Published trunks are a download: what is left is tested with random ones.
    options = recipe.options | ({"vgg": "random"} if "vgg" in recipe.options else {})
    build_model(recipe.model_copy(update={"options": options}))
    for stage in recipe.stages:
        build_losses([term.model_copy(update={"trunk": "random"}) for term in stage.loss])
    grids = recipe.data.degradations
    assert len(expand(grids)) == sum(len(grid.expand()) for grid in grids)


def rates(steps=100, **schedule):
    chosen = ScheduleRecipe.model_validate(schedule)
    return [chosen.factor_at(step, steps) for step in range(steps)]


def test_schedules():
    """Of multi-scale, ASTF, PeQuENet, and ours."""
    assert rates() == [1.0] * 100
    stepped = rates(kind="steps", period=40, factor=0.3)
    assert stepped[39:41] + stepped[79:81] == pytest.approx([1, 0.3, 0.3, 0.09])
    cosine = rates(kind="cosine", warmup=10)
    assert cosine[0] == 0.1 and cosine[10] == max(cosine) == 1 and 0 < cosine[-1] < 0.01
    again = rates(kind="restarts", period=25, minimum=0.1)
    assert again[0] == again[25] == again[75] == 1 and again[24] == pytest.approx(0.1, abs=0.01)
    assert again[:25] == again[50:75]


def test_cooldown():
    falling = rates(kind="cooldown", warmup=10, period=20, minimum=0.2)
    assert falling[0] == 0.1 and falling[9:81] == [1.0] * 72
    assert falling[90] == pytest.approx(0.6) and falling[99] == pytest.approx(0.24)
    assert rates(steps=50, kind="cooldown", period=20)[:30] == [1.0] * 30


@pytest.mark.parametrize("kind", ("constant", "cooldown", "cosine", "restarts", "steps"))
def test_schedules_that_agree(kind):
    """Two lengths agree as far as their rates do."""
    schedule = ScheduleRecipe(kind=kind, warmup=10, period=20)
    first, second = ([schedule.factor_at(step, steps) for step in range(80)] for steps in (80, 100))
    differ = [n for n, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]
    same = differ[0] if differ else 80
    agree = [step for step in range(81) if schedule.agrees_until(step, 80, 100)]
    assert agree == list(range(len(agree))) and agree[-1] <= same <= agree[-1] + 1
    assert schedule.agrees_until(80, 80, 80)


@pytest.mark.parametrize("kind", ("cooldown", "restarts", "steps"))
def test_a_schedule_without_its_period(kind):
    with pytest.raises(ValueError, match=f"a schedule of {kind} needs a period"):
        ScheduleRecipe(kind=kind)


def test_nothing_to_learn_from():
    stage = {"steps": 1, "loss": [], "optimiser": {"rate": 1}}
    data = {"degradations": [{"codec": "libx264", "mode": "qp", "values": [30]}]}
    with pytest.raises(ValueError, match="loss must have a term where there is no adversarial"):
        Recipe.model_validate({"model": "carcnn", "data": data, "stages": [stage]})


def test_steps_of_carcnn():
    """Section 4.3: 360 epochs of 90,000 frames, 128 in a batch."""
    with resources.as_file(resources.files("vqe_fast.training.recipes") / "carcnn.yaml") as path:
        recipe = read_recipe(path)
    assert recipe.stages[0].steps * recipe.data.batch == 360 * 90_000


def test_parts_that_do_not_fit():
    """Two optimisers in turn and parts of batches; features of a discriminator that has none."""
    stage = {"steps": 1, "loss": [{"name": "l1"}], "optimiser": {"rate": 1, "accumulate": 2}}
    critic = {"discriminator": "sub_patch", "loss": "standard", "weight": 1}
    critic["optimiser"] = {"rate": 1}
    data = {"degradations": [{"codec": "libx264", "mode": "qp", "values": [30]}]}
    content = {"model": "carcnn", "data": data, "stages": [stage | {"adversarial": critic}]}
    with pytest.raises(ValueError, match="accumulate must be 1 where a discriminator learns"):
        Recipe.model_validate(content)
    stage["optimiser"]["accumulate"], critic["feature_matching"] = 1, 1
    with pytest.raises(ValueError, match="feature_matching needs the discriminator patch"):
        Recipe.model_validate(content)
