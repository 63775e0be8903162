"""Transient failures of a server: nothing is lost and nothing comes twice.

The server here is a small one of our own on a real socket, since a real one cannot be made to fail
at a chosen moment; the clients are the official ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from faults import Answer, Fault, FaultyServer, serving

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import Connection, ElasticsearchRetriever, connect, load_documents
from twopass.retriever.elastic.upload import create_documents
from twopass.retriever.errors import RefusedError, UnreachableError

pytestmark = pytest.mark.usefixtures("waits")

DOCUMENTS = [Document(f"d{number}", f"text {number} 😀") for number in range(1_203)]


class Faulty(FaultyServer):
    """Keeps documents.

    Attributes:
        busy: how often each document is still refused with 429.
        documents: what it keeps.

    """

    def __init__(self) -> None:
        super().__init__()
        self.busy: dict[str, int] = {}
        self.documents: dict[str, Any] = {}

    def create(self, id: str, source: Any) -> dict[str, Any]:
        if self.busy.get(id, 0):
            self.busy[id] -= 1
            status, error = 429, {"type": "es_rejected_execution_exception", "reason": "full"}
        elif id in self.documents:
            status, error = 409, {"type": "version_conflict_engine_exception", "reason": "exists"}
        else:
            self.documents[id] = source
            return {"create": {"_id": id, "status": 201}}
        return {"create": {"_id": id, "status": status, "error": error}}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        del method, headers
        product = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
        return 200, product, json.dumps(self.result(path, body)).encode()

    def result(self, path: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/_bulk"):
            lines = [json.loads(line) for line in body.splitlines()]
            pairs = zip(lines[::2], lines[1::2], strict=True)
            return {"items": [self.create(action["create"]["_id"], it) for action, it in pairs]}
        if path.endswith("/_msearch"):
            return {"responses": [self.found() for _ in range(len(body.splitlines()) // 2)]}
        return {"acknowledged": True}

    def found(self) -> dict[str, Any]:
        if self.busy.get("search", 0):
            self.busy["search"] -= 1
            return {"error": {"type": "e", "reason": "queue full"}, "status": 429}
        return {"hits": {"hits": []}}


@pytest.fixture
def server() -> Iterator[Faulty]:
    with serving(Faulty()) as server:
        yield server


@pytest.fixture(params=["elasticsearch", "opensearch"])
def connection(server: Faulty, request: pytest.FixtureRequest) -> Iterator[Connection]:
    made = connect(server.url, engine=request.param)
    yield made
    made.close()


def created(connection: Connection, documents: list[Document] = DOCUMENTS) -> list[tuple[str, str]]:
    outcomes = create_documents(connection, "i", documents)
    return [(outcome.id, outcome.reason) for outcome in outcomes]


ALL_TAKEN = [(document.id, "") for document in DOCUMENTS]


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["half", 200, "refuse"],
        [429],
        [503, 429, 502],
        [200, 504, 504, 200, 503],
        ["lose"],
        [200, "lose", 503, "lose"],
        [429] * 8,
    ],
    ids=str,
)
def test_everything_arrives_once(
    server: Faulty, connection: Connection, faults: list[Fault]
) -> None:
    server.faults = list(faults)
    assert created(connection) == ALL_TAKEN
    assert [*server.documents] == [document.id for document in DOCUMENTS]
    assert all(server.documents[d.id]["text"] == d.text for d in DOCUMENTS)
    assert len(server.requests) == 3 + sum(fault != 200 for fault in faults)


def test_no_more_is_read_than_is_sent(server: Faulty, connection: Connection) -> None:
    drawn = 0

    def source() -> Iterator[Document]:
        nonlocal drawn
        for document in DOCUMENTS:
            drawn += 1
            yield document

    for done, _ in enumerate(create_documents(connection, "i", source())):
        assert drawn <= 500 * (done // 500 + 1) + 1
    assert drawn == len(DOCUMENTS)


def test_single_documents_are_sent_again(server: Faulty, connection: Connection) -> None:
    server.busy = {"d3": 2, "d700": 1, "d701": 3}
    server.faults = [200, "lose"]
    assert created(connection) == ALL_TAKEN
    assert server.documents.keys() == {document.id for document in DOCUMENTS}


def test_what_stays_busy_is_counted(server: Faulty, connection: Connection) -> None:
    server.busy = {"d5": 1_000}
    report = load_documents(connection, "i", DOCUMENTS, analysis={})
    assert (report.loaded, report.failed, report.reasons) == (1_202, 1, (("d5", "full"),))
    assert len(server.documents) == 1_202


def test_what_was_there_before_is_refused(server: Faulty, connection: Connection) -> None:
    server.documents["d5"] = {"text": "another"}
    refused = [(id, reason) for id, reason in created(connection) if reason]
    assert refused == [("d5", "exists")]
    assert server.documents["d5"] == {"text": "another"}


def test_a_server_that_stays_away(server: Faulty, connection: Connection) -> None:
    server.faults = [200, *[503] * 9]
    with pytest.raises(UnreachableError, match="503"):
        load_documents(connection, "i", DOCUMENTS, analysis={})
    assert server.requests == ["PUT /i", *["POST /i/_bulk"] * 9, "DELETE /i"]


def test_waits_grow_by_chance(server: Faulty, connection: Connection, waits: list[float]) -> None:
    server.faults = [429] * 8
    created(connection, DOCUMENTS[:1])
    for number, wait in enumerate(waits):
        least = min(0.5 * 2**number, 20)
        assert least <= wait <= least + 0.25
    assert len({wait % 0.5 for wait in waits}) == len(waits) == 8


@pytest.mark.parametrize("fault", [429, 502, 503, 504, "lose"])
def test_a_search_is_sent_again(
    server: Faulty, connection: Connection, fault: Fault, waits: list[float]
) -> None:
    server.faults = [fault, fault, fault]
    remote = ElasticsearchRetriever(server.url, "i", engine=connection.engine)
    assert [len(hits) for hits in remote.search(["x", "y"], 3)] == [0, 0]
    assert (len(server.requests), len(waits)) == (4, 3)
    server.faults = [fault] * 4
    with pytest.raises(UnreachableError):
        remote.search(["x"], 3)
    remote.close()


def test_single_searches_are_sent_again(server: Faulty, connection: Connection) -> None:
    server.busy = {"search": 3}
    remote = ElasticsearchRetriever(server.url, "i", engine=connection.engine)
    assert [len(hits) for hits in remote.search(["x", "y"], 3)] == [0, 0]
    assert len(server.requests) == 3  # both, both, one
    server.busy = {"search": 100}
    with pytest.raises(UnreachableError, match="429: queue full"):
        remote.search(["x"], 3)
    remote.close()


@pytest.mark.parametrize("status", [400, 500])
def test_what_is_refused_is_not_sent_again(
    server: Faulty, connection: Connection, status: int
) -> None:
    server.faults = [status]
    with pytest.raises(RefusedError, match=str(status)):
        connection.request("POST", "/_search", {})
    assert len(server.requests) == 1


@pytest.mark.parametrize("engine", ["elasticsearch", "opensearch"])
def test_what_takes_too_long_is_not_sent_again(server: Faulty, engine: Any) -> None:
    server.faults = ["hang"]
    connection = connect(server.url, engine=engine, timeout=0.2)
    with pytest.raises(UnreachableError, match="did not answer"):
        connection.request("POST", "/_search", {})
    server.released.set()
    connection.close()
    assert len(server.requests) == 1
