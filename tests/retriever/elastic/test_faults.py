"""Real servers behind a proxy that fails on command: nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

import pytest
from faults import Fault, FaultyProxy, serving

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import (
    Connection,
    ElasticsearchRetriever,
    connect,
    load_documents,
    publish_documents,
    read_documents,
)
from twopass.retriever.errors import UnreachableError

from .conftest import Remote

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("waits")]

DOCUMENTS = [Document(f"d{number}", f"cat {number}", "Ünï 😀") for number in range(1_203)]
FAULTS: list[Fault] = ["refuse", "lose", "half", "slow", 429, 502, 503, 504]


class Proxy(FaultyProxy):
    """Fails once for each request that begins with a key of ``planned`` as well."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.planned: dict[str, Fault] = {}

    def take_fault(self, request: str, headers: Mapping[str, str]) -> Fault:
        fault = super().take_fault(request, headers)
        for start in [start for start in self.planned if request.startswith(start)]:
            return self.planned.pop(start)
        return fault


@pytest.fixture
def proxy(remote: Remote) -> Iterator[Proxy]:
    with serving(Proxy(remote.url)) as proxy:
        yield proxy


@pytest.fixture
def connection(remote: Remote, proxy: Proxy) -> Iterator[Connection]:
    made = connect(proxy.url, engine=remote.engine)
    yield made
    made.close()


def ids_there(remote: Remote) -> list[str]:
    return sorted(document.id for document in read_documents(remote.connection, remote.name))


@pytest.mark.parametrize("seed", range(3))
def test_loading_loses_and_doubles_nothing(
    remote: Remote, proxy: Proxy, connection: Connection, seed: int
) -> None:
    random = Random(seed)
    for _ in range(5):  # requests, each of which fails up to twice
        proxy.faults += [*random.sample(FAULTS, 2), 200]
    report = load_documents(connection, remote.name, DOCUMENTS, analysis={})
    assert (report.loaded, report.failed) == (1_203, 0)
    assert ids_there(remote) == sorted(document.id for document in DOCUMENTS)


def test_an_index_whose_making_was_not_confirmed_is_used(
    remote: Remote, proxy: Proxy, connection: Connection
) -> None:
    proxy.faults = ["lose"]
    assert load_documents(connection, remote.name, DOCUMENTS[:3], analysis={}).loaded == 3
    assert [request for request in proxy.requests if request.startswith("PUT")] == [
        f"PUT /{remote.name}"
    ] * 2


@pytest.mark.parametrize("remove_old", [False, True])
def test_an_alias_whose_move_was_not_confirmed_has_moved(
    remote: Remote, proxy: Proxy, connection: Connection, remove_old: bool
) -> None:
    publish_documents(connection, remote.name, DOCUMENTS[:3], analysis={})
    proxy.planned = {"POST /_aliases": "lose"}
    done = publish_documents(
        connection, remote.name, DOCUMENTS[:2], analysis={}, remove_old=remove_old
    )
    assert proxy.planned == {}
    assert [*remote.connection.request("GET", f"/{remote.name}/_alias")] == [done.index]
    assert ids_there(remote) == ["d0", "d1"]


def test_searches_are_answered_or_fail_by_type(remote: Remote, proxy: Proxy) -> None:
    load_documents(remote.connection, remote.name, DOCUMENTS[:20], analysis={})
    retriever = ElasticsearchRetriever(proxy.url, remote.name, engine=remote.engine, retries=1)
    random = Random(0)
    faults = [random.choice([200, *FAULTS]) for _ in range(120)]
    proxy.faults = list(faults)
    answered = failed = 0
    while proxy.faults:
        try:
            [hits] = retriever.search(["cat"], 50)
        except UnreachableError:
            failed += 1
        else:
            answered += 1
            assert (len(hits), hits.warnings) == (20, ())
    assert answered > 20
    assert failed > 20
    retriever.close()


def test_pages_go_on_after_a_lost_one(remote: Remote, proxy: Proxy) -> None:
    load_documents(remote.connection, remote.name, DOCUMENTS[:20], analysis={}, shards=3)
    retriever = ElasticsearchRetriever(proxy.url, remote.name, engine=remote.engine)
    proxy.faults = [503, 200, "half", 200, "lose", 429, "refuse"]
    ids = [id for page in retriever.pages("cat", 6) for id in page.ids]
    assert sorted(ids) == sorted(document.id for document in DOCUMENTS[:20])
    retriever.close()
