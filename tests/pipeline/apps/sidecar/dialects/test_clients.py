"""Clients of others, as people install them, against a sidecar that listens."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from ..running import Running

# They leave connections open for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

QUERY = "the cat"
DOCUMENTS = ["a dog chased the cat", "owls hunt mice at night", "the cat sat on the mat", "warm"]


@pytest.fixture(autouse=True)
def _loopback_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "*")
    yield
    gc.collect()


@pytest.fixture(scope="module")
def best(server: Running) -> list[str]:
    body = {"query": QUERY, "documents": DOCUMENTS}
    results = server.client.post("/cohere/v2/rerank", json=body).json()["results"]
    return [DOCUMENTS[each["index"]] for each in results]


def test_cohere(server: Running, best: list[str]) -> None:
    cohere = pytest.importorskip("cohere")
    first = cohere.Client(api_key="any", base_url=server.url)
    answer = first.rerank(query=QUERY, documents=DOCUMENTS, top_n=2, return_documents=True)
    assert [each.document.text for each in answer.results] == best[:2]
    second = cohere.ClientV2(api_key="any", base_url=server.url)
    answer = second.rerank(model="any", query=QUERY, documents=DOCUMENTS)
    assert [DOCUMENTS[each.index] for each in answer.results] == best
    assert answer.meta.billed_units.search_units == 1
    with pytest.raises(cohere.errors.BadRequestError, match="at least one document"):
        second.rerank(model="any", query=QUERY, documents=[])


def test_langchain(server: Running, best: list[str]) -> None:
    langchain = pytest.importorskip("langchain_cohere")
    from langchain_core.documents import Document

    reranker = langchain.CohereRerank(cohere_api_key="any", base_url=server.url, model="any")
    found = reranker.compress_documents([Document(each) for each in DOCUMENTS], QUERY)
    assert [each.page_content for each in found] == best[:3]


def test_llama_index(server: Running, best: list[str]) -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.cohere_rerank import CohereRerank
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    nodes = [NodeWithScore(node=TextNode(text=each)) for each in DOCUMENTS]
    for reranker in (
        CohereRerank(api_key="any", base_url=server.url, model="any", top_n=3),
        TextEmbeddingInference(base_url=server.url, top_n=3),
    ):
        found = reranker.postprocess_nodes(nodes, query_str=QUERY)
        assert [each.node.text for each in found] == best[:3]


def test_haystack(server: Running, best: list[str]) -> None:
    rankers = pytest.importorskip("haystack_integrations.components.rankers.cohere")
    from haystack import Document
    from haystack.utils import Secret

    ranker = rankers.CohereRanker(api_key=Secret.from_token("any"), api_base_url=server.url)
    documents = [Document(content=each) for each in DOCUMENTS]
    found = ranker.run(query=QUERY, documents=documents, top_k=3)["documents"]
    assert [each.content for each in found] == best[:3]


def test_elasticsearch(server: Running, best: list[str]) -> None:
    from elasticsearch import BadRequestError, Elasticsearch

    with Elasticsearch(server.url) as client:
        answer = client.inference.rerank(inference_id="any", query=QUERY, input=DOCUMENTS)
        assert [DOCUMENTS[each["index"]] for each in answer["rerank"]] == best
        with pytest.raises(BadRequestError, match="at least one document"):
            client.inference.rerank(inference_id="any", query=QUERY, input=[])
