"""For LangChain: a retriever, and a document compressor that reranks (extra ``langchain``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
    Callbacks,
)
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from twopass.pipeline.apps.adapters import best
from twopass.pipeline.ranking import Ranking
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.scorer import PairScorer

__all__ = ["TwopassReranker", "TwopassRetriever"]


class TwopassRetriever(BaseRetriever):
    """A search pipeline as a retriever.

    Each document's metadata contain its ``id``, the scores ``retrieval``, ``rerank`` and ``fused``,
    and the ``status`` of the second stage.

    Attributes:
        pipeline: both stages.
        k: documents per query.

    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    pipeline: SearchPipeline
    k: int = 10

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return _documents(self.pipeline.search(query, self.k))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return _documents(await self.pipeline.asearch(query, self.k))


class TwopassReranker(BaseDocumentCompressor):
    """A cross-encoder, or any scorer, that reorders another retriever's documents.

    Attributes:
        scorer: what scores (query, document) pairs.
        top_n: how many documents are kept; by default all.

    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    scorer: Any
    top_n: int | None = None

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return the documents best first, each with ``relevance_score`` in its metadata."""
        del callbacks
        scorer: PairScorer = self.scorer
        ranked = best(scorer, query, [each.page_content for each in documents], self.top_n)
        return [
            documents[place].model_copy(
                update={"metadata": {**documents[place].metadata, "relevance_score": score}}
            )
            for place, score in ranked
        ]


def _documents(ranking: Ranking) -> list[Document]:
    return [
        Document(
            id=hit["id"],
            page_content=hit["text"],
            metadata={
                **{name: hit[name] for name in ("id", "retrieval", "rerank", "fused")},
                "status": ranking.status.outcome,
            },
        )
        for hit in ranking.to_dicts()
    ]
