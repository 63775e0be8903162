from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError, ScoringError, SearchError
from twopass.pipeline.fusion import fusion, reranker, rrf
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.errors import InputError, QueryTooLongError, RerankerError
from twopass.retriever.errors import QueryError
from twopass.retriever.filters import Equal, Range
from twopass.retriever.index.index import BM25Index

WEIGHTED = fusion("weighted", weights=[0.4, 0.6])
QUERIES = ["cat hunts mice", "owl at night", "zebra", "", "the old river", "dog on a warm roof"]


class Scoring:
    """A pair scorer that does what it is told."""

    def __init__(self, predict: Any) -> None:
        self.predict = predict


def test_both_stages_make_one_ranking(animals: BM25Index, overlap: Any) -> None:
    query = "cat hunts mice on a warm roof"
    [hits] = animals.search([query], 20)
    scores = overlap.predict([(query, text) for text in hits.texts])
    fused = WEIGHTED(np.stack([hits.scores, scores]))
    order = np.argsort(-fused, kind="stable")[:5]

    ranking = SearchPipeline(animals, overlap, WEIGHTED, depth=20).search(query, 5)

    assert ranking.ids.tolist() == hits.ids[order].tolist()
    assert ranking.texts.tolist() == hits.texts[order].tolist()
    np.testing.assert_array_equal(ranking.retrieval, hits.scores[order])
    np.testing.assert_array_equal(ranking.rerank, scores[order])
    np.testing.assert_array_equal(ranking.fused, fused[order])
    np.testing.assert_array_equal(ranking.retrieval_ranks, order + 1)
    places = np.argsort(np.argsort(-scores, kind="stable"), kind="stable") + 1
    np.testing.assert_array_equal(ranking.rerank_ranks, places[order])
    assert (ranking.status.outcome, ranking.status.scored) == ("complete", 20)
    assert min(ranking.timings.retrieval, ranking.timings.rerank, ranking.timings.fusion) > 0


def test_many_queries_are_scored_at_once_and_equal_one_by_one(
    animals: BM25Index, overlap: Any
) -> None:
    pipeline = SearchPipeline(animals, overlap, WEIGHTED, depth=30)
    many = pipeline.search_many(QUERIES, 7)
    assert len(overlap.calls) == 1
    for query, ranking in zip(QUERIES, many, strict=True):
        alone = pipeline.search(query, 7)
        assert alone.ids.tolist() == ranking.ids.tolist()
        np.testing.assert_array_equal(alone.fused, ranking.fused)
        assert alone.status == ranking.status
    assert [len(many[2]), len(many[3])] == [0, 0]
    assert many[2].status.outcome == "skipped"
    assert many[2].status.reason == "no candidates"


def test_very_many_queries_come_in_bounded_chunks(
    animals: BM25Index, overlap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twopass.pipeline.search._PAIRS_AT_ONCE", 50)
    pipeline = SearchPipeline(animals, overlap, WEIGHTED, depth=20)
    found = pipeline.stream(["cat", "dog", "fox", "hen", "owl"], 3)
    assert overlap.calls == []
    assert next(found).texts[0].startswith("The cat")
    assert overlap.calls == [24]  # two queries, of twelve candidates each
    assert len(list(found)) == 4
    assert overlap.calls == [24, 24, 12]


def test_no_queries(animals: BM25Index, overlap: Any) -> None:
    assert SearchPipeline(animals, overlap, rrf).search_many([]) == []
    assert overlap.calls == []


@given(
    k=st.integers(1, 30),
    depth=st.integers(1, 30),
    query=st.lists(st.sampled_from(["cat", "dog", "mice", "river", "night"]), min_size=1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_k_only_cuts_and_depth_only_limits(
    animals: BM25Index, overlap: Any, k: int, depth: int, query: list[str]
) -> None:
    pipeline = SearchPipeline(animals, overlap, WEIGHTED, depth=depth)
    text = " ".join(query)
    ranking, longest = pipeline.search(text, k), pipeline.search(text, 60)
    assert len(ranking) == min(k, len(longest))
    assert ranking.ids.tolist() == longest.ids[:k].tolist()
    np.testing.assert_array_equal(ranking.fused, longest.fused[:k])
    reranked, beyond = longest.retrieval_ranks[:depth], longest.retrieval_ranks[depth:]
    assert sorted(reranked) == list(range(1, len(reranked) + 1))
    assert beyond.tolist() == list(range(depth + 1, len(longest) + 1))
    assert np.isnan(longest.fused[depth:]).all()
    assert np.isnan(longest.rerank[depth:]).all()


def test_ties_keep_the_first_stages_order(animals: BM25Index) -> None:
    constant = Scoring(lambda pairs: np.zeros(len(pairs), dtype=np.float32))
    ranking = SearchPipeline(animals, constant, reranker).search("cat at night", 10)
    assert ranking.retrieval_ranks.tolist() == list(range(1, 11))


def test_depth_fusion_and_filter_by_call(overlap: Any) -> None:
    from twopass.retriever.corpus.documents import Document

    index = BM25Index.build(
        Document(f"d{i}", f"word {'pad ' * i}", metadata={"even": i % 2 == 0}) for i in range(8)
    )
    pipeline = SearchPipeline(index, overlap, WEIGHTED, depth=2)
    ranking = pipeline.search(
        "word pad", 8, depth=3, fusion=rrf, filter=Equal(field="even", value=True)
    )
    assert sorted(ranking.ids) == ["d0", "d2", "d4", "d6"]
    assert np.isnan(ranking.fused).sum() == 1
    assert 2 / 64 < ranking.fused[0] <= np.float32(2 / 61)  # RRF of three, not a weighted sum


def test_without_a_second_stage(animals: BM25Index) -> None:
    ranking = SearchPipeline(animals, None, rrf).search("owl at night", 4)
    [hits] = animals.search(["owl at night"], 4)
    assert ranking.ids.tolist() == hits.ids.tolist()
    np.testing.assert_array_equal(ranking.fused, hits.scores)
    assert np.isnan(ranking.rerank).all()
    assert (ranking.status.outcome, ranking.status.reason) == ("skipped", "no second stage")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (
            lambda n: np.zeros(n - 1, dtype=np.float32),
            r"shape \(12,\), found \(11,\)",
        ),
        (lambda n: np.zeros((n, 3), dtype=np.float32), r"found \(12, 3\); a model with several"),
        (lambda n: np.full(n, np.nan, dtype=np.float32), "found nan for query 'cat' and passage"),
        (lambda n: np.full(n, np.inf, dtype=np.float32), "found inf"),
        (lambda n: np.zeros(n, dtype=np.int64), "expected float scores from Scoring, found int64"),
    ],
)
def test_scores_that_cannot_be_used(animals: BM25Index, scores: Any, message: str) -> None:
    scorer = Scoring(lambda pairs: scores(len(pairs)))
    with pytest.raises(ScoringError, match=message):
        SearchPipeline(animals, scorer, rrf).search("cat")
    forgiving = SearchPipeline(animals, scorer, rrf, on_error="first-stage")
    assert forgiving.search("cat").status.outcome == "failed"


def _unreachable(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
    raise RerankerError("no answer from the model server")


def test_a_failing_scorer_is_raised_or_forgiven(animals: BM25Index) -> None:
    with pytest.raises(RerankerError, match="no answer"):
        SearchPipeline(animals, Scoring(_unreachable), rrf).search("cat")
    forgiving = SearchPipeline(animals, Scoring(_unreachable), rrf, on_error="first-stage")
    found, nothing = forgiving.search_many(["cat", "zebra"], 3)
    [hits] = animals.search(["cat"], 3)
    assert found.ids.tolist() == hits.ids.tolist()
    np.testing.assert_array_equal(found.fused, hits.scores)
    assert found.status.outcome == "failed"
    assert found.status.reason == "RerankerError: no answer from the model server"
    assert nothing.status.outcome == "skipped"


def test_one_querys_fault_does_not_fail_the_others(animals: BM25Index, overlap: Any) -> None:
    def predict(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        if any(len(query) > 20 for query, _ in pairs):
            raise QueryTooLongError("too long")
        return overlap.predict(pairs)

    forgiving = SearchPipeline(animals, Scoring(predict), rrf, on_error="first-stage")
    rankings = forgiving.search_many(["cat", "dog " * 9, "owl"], 3)
    assert [ranking.status.outcome for ranking in rankings] == ["complete", "failed", "complete"]
    with pytest.raises(InputError):
        SearchPipeline(animals, Scoring(predict), rrf).search_many(["cat", "dog " * 9])


def test_the_first_stages_errors_are_not_forgiven(animals: BM25Index, overlap: Any) -> None:
    backwards = Range("year", gte=2, lt=1)
    pipeline = SearchPipeline(animals, overlap, rrf, on_error="first-stage")
    with pytest.raises(QueryError):
        pipeline.search("cat", filter=backwards)


@pytest.mark.parametrize(
    "bad",
    [
        lambda columns: columns,
        lambda columns: columns[0, 1:],
        lambda columns: columns[0] * np.float32(np.inf),
    ],
)
def test_a_fusion_that_breaks_its_promise(animals: BM25Index, overlap: Any, bad: Any) -> None:
    with pytest.raises(FusionError, match="expected from the fusion"):
        SearchPipeline(animals, overlap, bad).search("cat")


def test_a_document_that_fusion_does_not_place_stays_below(
    animals: BM25Index, overlap: Any
) -> None:
    def only_third(columns: NDArray[np.float32]) -> NDArray[np.float32]:
        fused = np.full(columns.shape[1], np.nan, dtype=np.float32)
        fused[2] = 0.5
        return fused

    ranking = SearchPipeline(animals, overlap, only_third).search("cat", 5)
    assert ranking.retrieval_ranks.tolist() == [3, 1, 2, 4, 5]


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "10", None])
def test_k_and_depth_are_counts(animals: BM25Index, overlap: Any, bad: Any) -> None:
    pipeline = SearchPipeline(animals, overlap, rrf)
    with pytest.raises(SearchError, match="expected k to be a whole number of at least 1"):
        pipeline.search("cat", bad)
    with pytest.raises(SearchError, match="expected depth to be a whole number"):
        SearchPipeline(animals, overlap, rrf, depth=bad)
    if bad is not None:
        with pytest.raises(SearchError, match="expected depth"):
            pipeline.search("cat", depth=bad)


def test_queries_are_strings(animals: BM25Index, overlap: Any) -> None:
    pipeline = SearchPipeline(animals, overlap, rrf)
    with pytest.raises(SearchError, match=r"found one string: use search\(\)"):
        pipeline.search_many("cat")
    with pytest.raises(SearchError, match="query 1 to be a string, found NoneType"):
        pipeline.search_many(["cat", None])  # type: ignore[list-item]
    with pytest.raises(SearchError, match="expected on_error"):
        SearchPipeline(animals, overlap, rrf, on_error="ignore")  # type: ignore[arg-type]


def test_its_parts_can_be_seen(animals: BM25Index, overlap: Any) -> None:
    pipeline = SearchPipeline(animals, overlap, rrf, depth=7)
    assert (pipeline.retriever, pipeline.scorer, pipeline.fusion) == (animals, overlap, rrf)
    assert pipeline.depth == 7
    assert SearchPipeline(animals, None, rrf).scorer is None


async def test_a_misspelt_option_is_an_error(animals: BM25Index, overlap: Any) -> None:
    pipeline = SearchPipeline(animals, overlap, rrf)
    for search in (pipeline.search, pipeline.search_many, pipeline.stream):
        with pytest.raises(TypeError, match="unexpected keyword argument 'dept'"):
            search("cat", 3, dept=5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'dept'"):
        await pipeline.asearch("cat", 3, dept=5)  # type: ignore[call-arg]


def test_candidates_are_what_both_stages_say(animals: BM25Index, overlap: Any) -> None:
    pipeline = SearchPipeline(animals, overlap, WEIGHTED, depth=4)
    [candidates] = pipeline.candidates(["cat hunts mice"], 6)
    first, second = candidates.columns
    hits = candidates.hits
    np.testing.assert_array_equal(first, hits.scores)
    pairs = [("cat hunts mice", text) for text in hits.texts[:4]]
    np.testing.assert_array_equal(second[:4], overlap.predict(pairs))
    assert np.isnan(second[4:]).all()


async def test_async_searches_run_beside_each_other(animals: BM25Index, overlap: Any) -> None:
    barrier = threading.Barrier(2, timeout=10)

    def predict(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        barrier.wait()  # passes only when two searches are inside at once
        return overlap.predict(pairs)

    pipeline = SearchPipeline(animals, Scoring(predict), rrf)
    cat, owl = await asyncio.gather(pipeline.asearch("cat", 3), pipeline.asearch("owl", 4))
    assert (len(cat), len(owl)) == (3, 4)


async def test_a_cancelled_search_frees_its_caller_at_once(
    animals: BM25Index, overlap: Any
) -> None:
    inside, finish = threading.Event(), threading.Event()

    def predict(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        inside.set()
        finish.wait(10)
        return overlap.predict(pairs)

    pipeline = SearchPipeline(animals, Scoring(predict), rrf)
    task = asyncio.create_task(pipeline.asearch("cat"))
    await asyncio.to_thread(inside.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finish.set()
    assert len(await SearchPipeline(animals, overlap, rrf).asearch("cat", 3)) == 3
