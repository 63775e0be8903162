"""The pipeline with the real second stage: a cross-encoder, tiny and untrained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twopass.pipeline.fusion import fusion, reranker
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.retriever.index.index import BM25Index

QUERIES = ["cat hunts mice", "zebra", "an owl that watches the farm at night", "river"]


@pytest.fixture(scope="module")
def cross_encoder(model: Path) -> CrossEncoder:
    return CrossEncoder(str(model), device="cpu")


def test_queries_together_score_as_queries_alone(
    animals: BM25Index, cross_encoder: CrossEncoder
) -> None:
    pipeline = SearchPipeline(animals, cross_encoder, fusion("weighted"), depth=15)
    for query, together in zip(QUERIES, pipeline.search_many(QUERIES, 60), strict=True):
        alone = pipeline.search(query, 60)
        assert sorted(alone.ids) == sorted(together.ids)
        scores = [dict(zip(r.ids, r.rerank, strict=True)) for r in (alone, together)]
        for id in alone.ids:
            np.testing.assert_allclose(scores[0][id], scores[1][id], atol=1e-5)


def test_the_models_scores_make_the_order(animals: BM25Index, cross_encoder: CrossEncoder) -> None:
    query = QUERIES[0]
    ranking = SearchPipeline(animals, cross_encoder, reranker, depth=12).search(query, 12)
    expected = cross_encoder.predict([(query, text) for text in ranking.texts])
    np.testing.assert_allclose(ranking.rerank, expected, atol=1e-5)
    assert ranking.rerank_ranks.tolist() == list(range(1, 13))
    assert len(set(ranking.retrieval_ranks.tolist())) == 12
    assert ranking.retrieval_ranks.tolist() != ranking.rerank_ranks.tolist()
