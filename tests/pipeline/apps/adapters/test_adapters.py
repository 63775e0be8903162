"""Adapters inside the real frameworks: what they return is what the pipeline and scorer say."""

from __future__ import annotations

from typing import Any

import pytest

from twopass.pipeline.fusion import rrf
from twopass.pipeline.search import SearchPipeline

QUERY = "cat hunts mice"
TEXTS = ["An owl at night.", "The cat hunts mice.", "A cat.", "mice"]


@pytest.fixture
def pipeline(animals: Any, overlap: Any) -> SearchPipeline:
    return SearchPipeline(animals, overlap, rrf, depth=20)


def _order(overlap: Any) -> list[str]:
    scores = overlap.predict([(QUERY, text) for text in TEXTS])
    return [text for _, text in sorted(zip(-scores, TEXTS, strict=True), key=lambda pair: pair[0])]


async def test_langchain(pipeline: SearchPipeline, overlap: Any) -> None:
    from langchain_core.documents import Document

    from twopass.pipeline.apps.adapters.langchain import TwopassReranker, TwopassRetriever

    expected = pipeline.search(QUERY, 5)
    retriever = TwopassRetriever(pipeline=pipeline, k=5)
    for found in (retriever.invoke(QUERY), await retriever.ainvoke(QUERY)):
        assert [each.id for each in found] == expected.ids.tolist()
        assert [each.metadata["fused"] for each in found] == expected.fused.tolist()
        assert {each.metadata["status"] for each in found} == {"complete"}
    documents = [Document(page_content=text, metadata={"n": n}) for n, text in enumerate(TEXTS)]
    reranker = TwopassReranker(scorer=overlap, top_n=3)
    ranked = reranker.compress_documents(documents, QUERY)
    assert [each.page_content for each in ranked] == _order(overlap)[:3]
    assert all(TEXTS[each.metadata["n"]] == each.page_content for each in ranked)
    assert "relevance_score" not in documents[0].metadata


async def test_llama_index(pipeline: SearchPipeline, overlap: Any) -> None:
    from llama_index.core.schema import NodeWithScore, TextNode

    from twopass.pipeline.apps.adapters.llama_index import TwopassReranker, TwopassRetriever

    expected = pipeline.search(QUERY, 5)
    retriever = TwopassRetriever(pipeline, k=5)
    for found in (retriever.retrieve(QUERY), await retriever.aretrieve(QUERY)):
        assert [each.node.node_id for each in found] == expected.ids.tolist()
        assert [each.score for each in found] == expected.fused.tolist()
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    ranked = TwopassReranker(scorer=overlap, top_n=3).postprocess_nodes(nodes, query_str=QUERY)
    assert [each.node.get_content() for each in ranked] == _order(overlap)[:3]
    with pytest.raises(ValueError, match="expected a query to rerank by"):
        TwopassReranker(scorer=overlap).postprocess_nodes(nodes)


def test_haystack(overlap: Any) -> None:
    from haystack import Document, Pipeline

    from twopass.pipeline.apps.adapters.haystack import TwopassRanker

    whole = Pipeline()
    whole.add_component("ranker", TwopassRanker(overlap, top_k=3))
    documents = [Document(content=text) for text in TEXTS]
    found = whole.run({"ranker": {"query": QUERY, "documents": documents}})["ranker"]["documents"]
    assert [each.content for each in found] == _order(overlap)[:3]
    assert TwopassRanker(overlap).run(QUERY, []) == {"documents": []}
