from __future__ import annotations

import pytest

from twopass.reranker.training import RECIPES, Recipe, RecipeError
from twopass.reranker.training.recipe import named_recipe


def test_the_card_s_recipe():
    recipe = RECIPES["gooaq-bce"]
    assert recipe.make_loss().pos_weight == 5
    assert (recipe.batch_size, recipe.learning_rate, recipe.epochs) == (2048, 5e-4, 1)
    assert (recipe.warmup, recipe.decay, recipe.seed) == (0.1, 1.0, 12)
    assert (recipe.precision, recipe.eval_every) == ("bf16", 20)


@pytest.mark.parametrize("steps", [7, 40, 282])
def test_rates_are_those_of_transformers(steps):
    import torch
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimizer, int(0.1 * steps), steps)
    for step in range(steps):
        assert Recipe().rate(step, steps) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_a_late_decay_has_a_plateau():
    rates = [Recipe(warmup=0.1, decay=0.5).rate(step, 110) for step in range(110)]
    assert rates[11:60] == [1.0] * 49
    assert rates[109] == pytest.approx(1 / 49.5)


def test_another_loss_begins_with_its_own_parameters():
    assert named_recipe("gooaq-bce", loss="ranknet").loss_parameters == {}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("best", {}, "expected one of default, gooaq-bce"),
        ("default", {"rate": 1}, "expected names of loss"),
        ("default", {"epochs": 0}, "epochs: expected a number above 0, found 0"),
        ("default", {"warmup": 2}, "at most 1, found 2"),
        ("default", {"freeze": ("head",)}, "freeze: expected 'embeddings' or a number"),
        ("default", {"precision": "int8"}, "found 'int8'"),
    ],
)
def test_mistakes(name, changes, message):
    with pytest.raises(RecipeError, match=message):
        named_recipe(name, **changes)
