"""The official clients, pointed at the proxy instead of at their server."""

from __future__ import annotations

from collections.abc import Iterator

import elasticsearch
import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch, helpers

from ..running import Running
from .engines import Engine, Start, ids

pytestmark = pytest.mark.server

QUERY = {"match": {"text": "cat hunts mice near the river"}}


on_elasticsearch = pytest.mark.parametrize("engine", ["elasticsearch"], indirect=True)
on_opensearch = pytest.mark.parametrize("engine", ["opensearch"], indirect=True)


@pytest.fixture
def client(proxy: Running) -> Iterator[Elasticsearch]:
    with Elasticsearch(proxy.url, http_compress=True) as client:
        yield client


@on_elasticsearch
def test_search(client: Elasticsearch, engine: Engine) -> None:
    found = client.search(
        index=engine.index, query=QUERY, size=5, highlight={"fields": {"text": {}}}
    )
    assert found.meta.headers["x-twopass-status"] == "complete"
    assert found["hits"]["hits"][0]["_id"] == "d04"
    assert "<em>" in found["hits"]["hits"][0]["highlight"]["text"][0]
    assert found["hits"]["total"] == engine.search({"query": QUERY})["hits"]["total"]


@on_elasticsearch
def test_searches(client: Elasticsearch, engine: Engine) -> None:
    searches = [{"index": engine.index}, {"query": QUERY}, {}, {"query": QUERY, "size": 2}]
    found = client.msearch(index=engine.index, searches=searches)
    assert [len(answer["hits"]["hits"]) for answer in found["responses"]] == [10, 2]
    assert ids(found["responses"][0])[:2] == ids(found["responses"][1])


@on_elasticsearch
async def test_an_async_client(engine: Engine, proxy: Running) -> None:
    async with AsyncElasticsearch(proxy.url, node_class="httpxasync") as client:
        found = await client.search(index=engine.index, query=QUERY)
    assert found["hits"]["hits"][0]["_id"] == "d04"


@on_elasticsearch
def test_errors_are_the_clients_own(client: Elasticsearch, engine: Engine) -> None:
    with pytest.raises(elasticsearch.NotFoundError, match="index_not_found_exception"):
        client.search(index="twopass-proxy-none", query=QUERY)
    with pytest.raises(elasticsearch.BadRequestError, match="parsing_exception"):
        client.search(index=engine.index, query=QUERY, rescore={"neural": {"windows": 3}})
    with pytest.raises(elasticsearch.AuthorizationException, match=r"proxy\.allow"):
        client.count(index=engine.index)
    with pytest.raises(elasticsearch.AuthorizationException, match="_search/scroll"):
        list(helpers.scan(client, index=engine.index, query={"query": QUERY}))


@on_elasticsearch
def test_what_is_opened_works(engine: Engine, start: Start) -> None:
    allow = ["_count", "_search/scroll", "_pit", "GET _doc", "HEAD {index}"]
    proxy = start(engine.url, allow=allow)
    with Elasticsearch(proxy.url) as client:
        assert client.indices.exists(index=engine.index)
        assert client.count(index=engine.index)["count"] == 60
        assert client.get(index=engine.index, id="d07")["_source"]["number"] == 7
        scanned = helpers.scan(
            client, index=engine.index, query={"query": {"match_all": {}}}, size=25
        )
        assert len({hit["_id"] for hit in scanned}) == 60
        pit = client.open_point_in_time(index=engine.index, keep_alive="1m")["id"]
        found = client.search(pit={"id": pit}, query=QUERY, size=5)
        assert found.meta.headers["x-twopass-status"] == "complete"
        assert found["hits"]["hits"][0]["_id"] == "d04"
        client.close_point_in_time(id=found["pit_id"])
        with pytest.raises(elasticsearch.AuthorizationException):
            client.delete(index=engine.index, id="d07")


@on_elasticsearch
def test_a_body_as_the_query_builder_of_the_client_writes_it(
    proxy: Running, engine: Engine
) -> None:
    from elasticsearch.dsl import Q, Search

    with Elasticsearch(proxy.url) as client:
        search = Search(using=client, index=engine.index).query(
            Q("bool", must=[Q("match", text="cat hunts mice")], filter=[Q("term", kind="cat")])
        )
        found = search[0:4].execute()
        assert {hit.kind for hit in found} == {"cat"}
        assert found[0].meta.id in ("d03", "d04", "d05")


@on_opensearch
def test_opensearch_py(proxy: Running, engine: Engine) -> None:
    from opensearchpy import OpenSearch

    client = OpenSearch(proxy.url)
    try:
        found = client.search(index=engine.index, body={"query": QUERY, "size": 3})
        assert found["_twopass"]["status"] == "complete"
        assert found["hits"]["hits"][0]["_id"] == "d04"
        many = client.msearch(body=[{"index": engine.index}, {"query": QUERY, "size": 3}])
        assert many["responses"][0]["hits"] == found["hits"]
    finally:
        client.close()
