"""For Haystack: a ranker component (extra ``haystack``)."""

from __future__ import annotations

from dataclasses import replace

from haystack import Document, component

from twopass.pipeline.apps.adapters import best
from twopass.reranker.contract.scorer import PairScorer

__all__ = ["TwopassRanker"]


@component
class TwopassRanker:
    """A cross-encoder, or any scorer, that reorders documents.

    Args:
        scorer: what scores (query, document) pairs.
        top_k: how many documents are kept; by default all.

    """

    def __init__(self, scorer: PairScorer, *, top_k: int | None = None) -> None:
        self._scorer = scorer
        self._top_k = top_k

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the documents best first, each with its score."""
        texts = [each.content or "" for each in documents]
        ranked = best(self._scorer, query, texts, self._top_k if top_k is None else top_k)
        return {"documents": [replace(documents[place], score=score) for place, score in ranked]}
