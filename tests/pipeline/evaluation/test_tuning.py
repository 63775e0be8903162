"""Tuning: what is chosen, and when it is adopted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation import (
    Entries,
    Pool,
    ReplayRetriever,
    choose,
    collect,
    fusion_grid,
    tune_fusion,
    tune_scoring,
)
from twopass.pipeline.fusion import fusion
from twopass.retriever.corpus.documents import Document
from twopass.retriever.hits import Hits

SIZE = 20


def _pool(first: float, second: float, size: int = 60) -> Pool:
    """Make queries of which each stage knows the relevant document by so much more than chance."""
    generator = np.random.default_rng(0)
    found: dict[str, Hits] = {}
    scores: dict[tuple[str, str], float] = {}
    for number in range(size):
        query = f"q{number}"
        noise = generator.normal(0, 1, (2, SIZE))
        noise[:, 0] += first, second
        order = np.argsort(-noise[0])
        ids = [f"{query}-{i}" for i in order]
        found[query] = Hits.of(ids, np.exp(noise[0][order]), ids)
        scores |= {(query, f"{query}-{i}"): float(noise[1][i]) for i in range(SIZE)}

    qrels = {query: {f"{query}-0": 1} for query in found}
    run = {query: Entries(hits.ids, hits.scores) for query, hits in found.items()}
    corpus = (Document(id, id) for hits in found.values() for id in hits.ids)
    queries = {query: query for query in found}
    return collect(
        ReplayRetriever(run, qrels, corpus), Known(scores), queries, qrels, depth=SIZE, k=SIZE
    )


class Known:
    """A second stage that was asked before."""

    def __init__(self, scores: dict[tuple[str, str], float]) -> None:
        self._scores = scores

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return np.array([self._scores[pair] for pair in pairs], np.float32)


def test_two_stages_that_know_different_things_are_fused() -> None:
    pool = _pool(2.0, 2.0, size=120)
    tuned = tune_fusion(pool)
    assert tuned.adopted
    assert tuned.reranks
    assert tuned.choice.best in tuned.grid
    assert tuned.settings == tuned.grid[tuned.choice.best]
    best = [*tuned.grid].index(tuned.choice.best)
    assert tuned.choice.means[best] == tuned.choice.means.max()
    assert tuned.choice.held_out.mean() <= tuned.choice.means.max() + 1e-12


def test_a_second_stage_that_knows_all_is_left_alone() -> None:
    tuned = tune_fusion(_pool(0.0, 6.0))
    assert not tuned.adopted
    assert tuned.reranks
    assert tuned.settings == {"method": "reranker"}


def test_a_second_stage_that_knows_nothing_is_not_used() -> None:
    tuned = tune_fusion(_pool(6.0, 0.0))
    assert not tuned.adopted
    assert not tuned.reranks


def test_each_query_is_held_out_once() -> None:
    values = np.random.default_rng(1).random((5, 23))
    names = [f"s{i}" for i in range(5)]
    found = choose(names, values, folds=4, seed=3)
    again = choose(names, values, folds=4, seed=3)
    np.testing.assert_array_equal(found.held_out, again.held_out)
    assert len(found.folds) == 4
    for query, value in enumerate(found.held_out):
        assert value in [values[names.index(name), query] for name in found.folds]
    assert found.best == names[int(values.mean(axis=1).argmax())]


def test_a_better_setting_is_found_without_being_seen() -> None:
    values = np.random.default_rng(1).random((3, 30)) + np.array([[0.0], [2.0], [0.0]])
    np.testing.assert_array_equal(choose("abc", values).held_out, values[1])


@pytest.mark.parametrize("folds", [1, 4])
def test_too_few_queries(folds: int) -> None:
    with pytest.raises(EvaluationError, match=f"expected from 2 to 3 folds.*found {folds}"):
        choose(["a"], np.zeros((1, 3)), folds=folds)


def test_k1_and_b_are_adopted_when_they_are_better() -> None:
    noise = np.random.default_rng(3).random(50) / 10

    def values(k1: float | None, b: float | None) -> NDArray[np.float64]:
        return noise + (0.5 if (k1, b) == (0.9, 0.4) else 0.2)

    assert tune_scoring(values).adopted == (0.9, 0.4)
    assert tune_scoring(lambda *_: noise).adopted is None


@pytest.mark.parametrize("opinions", [2, 3])
@pytest.mark.parametrize("logits", [True, False])
def test_every_fusion_of_the_grid_is_one(logits: bool, opinions: int) -> None:
    columns = np.array([[3.0, 2.0, 1.0], [0.6, 0.7, 0.1], [0.2, 0.9, 0.4]], np.float32)
    columns = columns[[0, 1, 2] if opinions == 3 else [0, 2]]
    grid = fusion_grid(logits=logits, opinions=opinions)
    assert ("weighted min-max 0.20/0.20/0.60" in grid) is (opinions == 3)
    for settings in grid.values():
        parameters = {**settings}
        assert fusion(parameters.pop("method"), **parameters)(columns).shape == (3,)
