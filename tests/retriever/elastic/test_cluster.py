"""Three Elasticsearch nodes, one of which is killed while documents are loaded and searched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import started
from servers import Cluster

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import (
    ElasticsearchRetriever,
    connect,
    load_documents,
    read_documents,
)
from twopass.retriever.errors import BackendError

from .watching import Loader, Watcher

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
    load_documents(connection, "bare", anchors, analysis={}, shards=3)
    green = {"wait_for_status": "green", "timeout": "25s"}
    assert connection.request("GET", "/_cluster/health/three", **green)["status"] == "green"
    loader = Loader(connection, "three", others)
    retriever = ElasticsearchRetriever(cluster.urls, "three")
    with Watcher(retriever, "anchor", 200) as watcher:
        loader.start()
        assert loader.middle.wait(60)
        cluster.nodes[0].kill()
        down = len(watcher.answers)
        loader.join()
        last = retriever.search(["anchor"], 200)[0]  # the rest of the cluster has it all
    assert loader.outcomes == [(document.id, "") for document in others]
    connection.request("POST", "/three/_refresh")
    ids = sorted(document.id for document in read_documents(connection, "three"))
    assert ids == sorted(document.id for document in [*anchors, *others])
    watcher.check({document.id for document in anchors})
    assert (len(last), last.warnings) == (100, ())
    assert 0 < down < len(watcher.answers)
    check_what_has_no_replica(cluster)
    retriever.close()
    connection.close()


def check_what_has_no_replica(cluster: Cluster) -> None:
    """What the killed node alone had is missing, and said to be."""
    retriever = ElasticsearchRetriever(cluster.urls, "bare")
    [hits] = retriever.search(["anchor"], 200)
    assert 0 < len(hits) < 100
    assert "1 of 3 shards did not answer, so that documents may be missing" in hits.warnings[0]
    with pytest.raises(BackendError):  # pages are whole or fail
        list(retriever.pages("anchor"))
    retriever.close()
