"""Three Elasticsearch nodes, one of which is killed while documents are loaded and searched."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread

import pytest
from conftest import started
from servers import Cluster

from retriever.documents import Document
from retriever.elastic import ElasticsearchRetriever, connect, load_documents, read_documents
from retriever.elastic.bulk import create_documents

from .watching import Watcher

pytestmark = pytest.mark.server


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started(Cluster()) as cluster:
        yield cluster


def test_a_node_is_killed(cluster: Cluster) -> None:
    anchors = [Document(f"a{number}", "anchor") for number in range(100)]
    others = [Document(f"d{number}", "cat") for number in range(6_000)]
    connection = connect(cluster.urls)
    load_documents(connection, "three", anchors, analysis={}, shards=3, replicas=1)
    green = {"wait_for_status": "green", "timeout": "25s"}
    assert connection.request("GET", "/_cluster/health/three", **green)["status"] == "green"
    reached = Event()
    outcomes = []

    def source() -> Iterator[Document]:
        for number, document in enumerate(others):
            if number == 2_000:
                reached.set()
            yield document

    def load() -> None:
        outcomes.extend(create_documents(connection, "three", source()))

    loader = Thread(target=load)
    retriever = ElasticsearchRetriever(cluster.urls, "three")
    with Watcher(retriever, "anchor", 200) as watcher:
        loader.start()
        assert reached.wait(60)
        cluster.nodes[0].kill()
        down = len(watcher.answers)
        loader.join()
        last = retriever.search(["anchor"], 200)[0]  # the rest of the cluster has it all
    assert [(outcome.id, outcome.reason) for outcome in outcomes] == [(d.id, "") for d in others]
    connection.request("POST", "/three/_refresh")
    ids = sorted(document.id for document in read_documents(connection, "three"))
    assert ids == sorted(document.id for document in [*anchors, *others])
    watcher.check({document.id for document in anchors})
    assert (len(last), last.warnings) == (100, ())
    assert 0 < down < len(watcher.answers)
    retriever.close()
    connection.close()
