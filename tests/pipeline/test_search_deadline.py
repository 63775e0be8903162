"""Searches under a deadline: what was scored is above what was not, in every fusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.pipeline.errors import SearchError
from twopass.pipeline.fusion import fusion, fusions, reranker, rrf
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index

PARAMETERS: dict[str, dict[str, Any]] = {
    "rbc": {"phi": 0.8},
    "comb-gmnz": {"gamma": 1.5},
    "log-odds": {"calibration": {"name": "sigmoid", "temperature": 5}},
}
QUERIES = ["cat hunts mice", "zebra", "owl at night", "river"]


class Reaching(Scorer):
    """A scorer that reaches a given number of pairs by any deadline; with an opinion more."""

    def __init__(self, inner: Any, reaches: int, *, cheap: bool = False) -> None:
        self.inner, self.reaches, self.cheap = inner, reaches, cheap
        self.deadlines: list[float | None] = []
        self.pairs: list[tuple[str, str]] = []

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        self.deadlines.append(deadline)
        self.pairs = list(pairs)
        values = self.inner.predict(pairs)
        if deadline is not None:
            values[self.reaches :] = np.nan
        reason = "out of time" if np.isnan(values).any() else ""
        columns = {"length": np.float32([len(text) for _, text in pairs])} if self.cheap else {}
        return Scores(values, reason, "reaching", columns=columns)


@pytest.mark.parametrize("name", sorted(fusions()))
@given(reaches=st.integers(0, 40))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_was_not_scored_stays_below_in_its_order(
    animals: BM25Index, overlap: Any, name: str, reaches: int
) -> None:
    method = fusion(name, **PARAMETERS.get(name, {}))
    pipeline = SearchPipeline(animals, Reaching(overlap, reaches), method, depth=30, deadline=9)
    for query, ranking in zip(QUERIES, pipeline.search_many(QUERIES, 60), strict=True):
        scored = ranking.status.scored
        places = ranking.retrieval_ranks.tolist()
        assert sorted(places[:scored]) == list(range(1, scored + 1))
        assert places[scored:] == list(range(scored + 1, len(places) + 1))
        assert np.isnan(ranking.rerank[scored:]).all()
        if scored:
            assert np.isnan(ranking.fused[scored:]).all()
            alone = SearchPipeline(animals, overlap, method, depth=scored).search(query, scored)
            assert ranking.ids[:scored].tolist() == alone.ids.tolist()
            np.testing.assert_array_equal(ranking.fused[:scored], alone.fused)
        else:
            np.testing.assert_array_equal(ranking.fused, ranking.retrieval)


def test_queries_share_the_time_rank_by_rank(animals: BM25Index, overlap: Any) -> None:
    scorer = Reaching(overlap, 10)
    found = SearchPipeline(animals, scorer, reranker, depth=20).search_many(
        ["cat", "zebra", "owl", "river"], 20, deadline=5
    )
    assert [ranking.status.scored for ranking in found] == [4, 0, 3, 3]
    assert [ranking.status.outcome for ranking in found] == [
        "partial",
        "skipped",
        "partial",
        "partial",
    ]
    assert found[0].status.reason == "out of time"
    assert found[0].status.by == "reaching"
    assert [query for query, _ in scorer.pairs[:4]] == ["cat", "owl", "river", "cat"]


def test_very_many_queries_share_it_too(
    animals: BM25Index, overlap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twopass.pipeline.search._PAIRS_AT_ONCE", 10)
    scorer = Reaching(overlap, 8)
    pipeline = SearchPipeline(animals, scorer, reranker, depth=12)
    found = pipeline.search_many(["cat", "dog", "fox", "hen"], deadline=5)
    assert [ranking.status.scored for ranking in found] == [2, 2, 2, 2]
    assert len(scorer.deadlines) == 1


def test_one_query_may_be_complete_where_another_is_not(overlap: Any) -> None:
    texts = ["a rare word", *(f"a common word {n}" for n in range(9))]
    index = BM25Index.build(Document(str(n), text) for n, text in enumerate(texts))
    pipeline = SearchPipeline(index, Reaching(overlap, 6), rrf)
    whole, part = pipeline.search_many(["rare", "common"], deadline=5)
    assert (whole.status.outcome, whole.status.reason) == ("complete", "")
    assert (part.status.outcome, part.status.scored) == ("partial", 5)


def test_the_deadline_counts_from_the_call(animals: BM25Index, overlap: Any) -> None:
    scorer = Reaching(overlap, 9)
    pipeline = SearchPipeline(animals, scorer, rrf, deadline=5.0)
    pipeline.search("cat")
    pipeline.search("cat", deadline=2.0)
    pipeline.search("cat", deadline=math.inf)
    first, second, none = scorer.deadlines
    assert first is not None
    assert second is not None
    assert none is None
    assert second < 2 < first < 5


def test_nothing_in_time_is_the_first_stage(animals: BM25Index, overlap: Any) -> None:
    ranking = SearchPipeline(animals, overlap, rrf).search("cat", 5, deadline=1e-9)
    assert ranking.status.outcome == "failed"
    assert "0 of 12 scored" in ranking.status.reason
    np.testing.assert_array_equal(ranking.fused, ranking.retrieval)
    assert overlap.calls == []


async def test_async_too(animals: BM25Index, overlap: Any) -> None:
    scorer = Reaching(overlap, 4)
    pipeline = SearchPipeline(animals, scorer, rrf, deadline=7)
    assert (await pipeline.asearch("cat")).status.scored == 4
    assert (await pipeline.asearch("cat", deadline=math.inf)).status.outcome == "complete"


@pytest.mark.parametrize("bad", [0, -1.0, True, "1", math.nan])
def test_a_deadline_is_a_time(animals: BM25Index, overlap: Any, bad: Any) -> None:
    with pytest.raises(SearchError, match="expected deadline to be seconds above 0"):
        SearchPipeline(animals, overlap, rrf, deadline=bad)
    with pytest.raises(SearchError, match="expected deadline to be seconds above 0"):
        SearchPipeline(animals, overlap, rrf).search("cat", deadline=bad)


def test_further_opinions_are_columns(animals: BM25Index, overlap: Any) -> None:
    seen: list[Any] = []

    def last_two(columns: Any) -> Any:
        seen.append(columns)
        return columns[1] + columns[2]

    scorer = Reaching(overlap, 5, cheap=True)
    ranking = SearchPipeline(animals, scorer, last_two, depth=10).search("cat", 12, deadline=5)
    assert seen[0].shape == (3, 5)  # what the final scorer has
    lengths = np.float32([len(text) for text in ranking.texts])
    np.testing.assert_array_equal(ranking.columns["length"][:10], lengths[:10])
    assert np.isnan(ranking.columns["length"][10:]).all()
    assert (np.diff(lengths[5:10]) <= 0).all()  # below the final scorer's, the opinion before it
    assert ranking.to_dicts()[0]["columns"] == {"length": lengths[0]}
    weighted = fusion("weighted", weights=[0.3, 0.7])
    both = SearchPipeline(animals, scorer, weighted, depth=10).search("cat")
    alone = SearchPipeline(animals, overlap, weighted, depth=10).search("cat")
    assert both.ids.tolist() == alone.ids.tolist()
