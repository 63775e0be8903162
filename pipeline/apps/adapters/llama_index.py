"""For LlamaIndex: a retriever, and a node postprocessor that reranks (extra ``llama-index``)."""

from __future__ import annotations

from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from twopass.pipeline.apps.adapters import best
from twopass.pipeline.ranking import Ranking
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.scorer import PairScorer

__all__ = ["TwopassReranker", "TwopassRetriever"]


class TwopassRetriever(BaseRetriever):
    """A search pipeline as a retriever; a node's score is the fused one.

    Args:
        pipeline: both stages.
        k: nodes per query.

    """

    def __init__(self, pipeline: SearchPipeline, *, k: int = 10) -> None:
        self._pipeline = pipeline
        self._k = k
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(self._pipeline.search(query_bundle.query_str, self._k))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(await self._pipeline.asearch(query_bundle.query_str, self._k))


class TwopassReranker(BaseNodePostprocessor):
    """A cross-encoder, or any scorer, that reorders nodes.

    Attributes:
        scorer: what scores (query, text) pairs.
        top_n: how many nodes are kept; by default all.

    """

    scorer: Any
    top_n: int | None = None

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("expected a query to rerank by, found none: pass query_str=")
        scorer: PairScorer = self.scorer
        texts = [each.node.get_content(metadata_mode=MetadataMode.EMBED) for each in nodes]
        ranked = best(scorer, query_bundle.query_str, texts, self.top_n)
        return [NodeWithScore(node=nodes[place].node, score=score) for place, score in ranked]


def _nodes(ranking: Ranking) -> list[NodeWithScore]:
    return [
        NodeWithScore(
            node=TextNode(
                id_=hit["id"],
                text=hit["text"],
                metadata={"retrieval": hit["retrieval"], "rerank": hit["rerank"]},
                excluded_embed_metadata_keys=["retrieval", "rerank"],
                excluded_llm_metadata_keys=["retrieval", "rerank"],
            ),
            score=hit["fused"],
        )
        for hit in ranking.to_dicts()
    ]
