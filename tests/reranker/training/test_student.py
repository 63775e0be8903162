"""Weights to begin with: fewer layers, new small models, new heads."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoModel, AutoTokenizer

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.training import Recipe, RecipeError, start_from
from twopass.reranker.training.student import layer_numbers

PAIRS = [("What is the capital?", "Berlin is the capital."), ("road", "A small town.")]


@pytest.mark.parametrize(
    ("total", "count", "take", "numbers"),
    [
        (6, 3, "lower", [0, 1, 2]),
        (6, 3, "even", [0, 2, 5]),
        (12, 6, "even", [0, 2, 4, 7, 9, 11]),
        (6, 6, "even", [0, 1, 2, 3, 4, 5]),
        (6, 1, "even", [0]),
    ],
)
def test_which_layers(total, count, take, numbers):
    assert layer_numbers(total, count, take) == numbers


@pytest.mark.parametrize("count", [0, 7])
def test_no_more_layers_than_there_are(count):
    with pytest.raises(RecipeError, match=f"expected 1 to the model's 6, found {count}"):
        layer_numbers(6, count, "even")


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert", "modernbert"])
def test_begins_as_the_model_that_it_is_given(tiny, kind):
    subject = start_from(tiny(kind), Recipe(max_length=64), device="cpu")
    expected = CrossEncoder(tiny(kind), device="cpu").logits(PAIRS).values[:, 0]
    np.testing.assert_allclose(subject.predict(PAIRS), expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert"])
def test_one_layer_is_the_model_without_the_other(tiny, kind, tmp_path):
    recipe = Recipe(max_length=64)
    subject = start_from(tiny(kind), recipe, layers=1, take="lower", device="cpu")
    subject.save(tmp_path, recipe, half=False)
    loaded = CrossEncoder(tmp_path, device="cpu")
    np.testing.assert_allclose(loaded.predict(PAIRS), subject.predict(PAIRS), atol=2e-5)
    whole = start_from(tiny(kind), recipe, device="cpu")
    assert not np.allclose(whole.predict(PAIRS), subject.predict(PAIRS), atol=1e-3)


def test_an_encoder_gets_a_new_head_by_the_seed(tiny, tmp_path):
    AutoModel.from_pretrained(tiny("bert")).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny("bert")).save_pretrained(tmp_path)
    one, same, other = (
        start_from(tmp_path, Recipe(seed=seed), device="cpu").predict(PAIRS) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("hidden", [96, 128])
def test_a_width_that_does_not_fit(tiny, hidden):
    with pytest.raises(RecipeError, match=f"expected a multiple of 64 up to 32, found {hidden}"):
        start_from(tiny("bert"), Recipe(), hidden=hidden)


def test_no_model(tmp_path):
    with pytest.raises(ModelError):
        start_from(tmp_path, Recipe())
