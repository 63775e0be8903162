"""Moving an index to real servers and back."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterator
from uuid import uuid4

import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import Connection, ElasticsearchRetriever, connect, read_documents
from twopass.retriever.elastic.queries import IndexFields
from twopass.retriever.elastic.transfer import (
    export_bulk,
    export_settings,
    export_to_server,
    import_from_server,
)
from twopass.retriever.errors import (
    AnalysisError,
    BackendError,
    IndexExistsError,
    RefusedError,
    RemoteIndexMissingError,
    ScoringError,
    UnreachableError,
)
from twopass.retriever.filters import (
    And,
    Equal,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    matches,
)
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import Lucene, Okapi

DOCUMENTS = [
    Document("a", "Cats chase mice.", "Cats", {"year": 2001, "tags": ["pets", "cats"]}),
    Document("b", "Dogs chase cats; cats run.", "", {"year": 1999.5, "tags": "dogs", "new": True}),
    Document("ü/ç?", '日本語 cats 😀\u2028\n"quoted"', "Über", {"author": {"name": "Ö. P."}}),
    Document("d", "", "", {}),
    Document("e", "Nothing here about them", "Mice", {"year": 2001, "new": False, "tags": []}),
]

FILTERS: list[Filter] = [
    Equal("year", 2001),
    Equal("new", True),
    Equal("tags", "cats"),
    Equal("author.name", "Ö. P."),
    Equal("missing", 1),
    In("tags", ("dogs", "pets")),
    In("tags", ()),
    Range("year", gte=1999.5, lt=2001),
    Range("tags", gt="cats", lte="dogs"),
    Exists("tags"),
    Exists("author.name"),
    Not(Equal("year", 2001)),
    And((Exists("year"), Not(Equal("new", False)))),
    Or((Equal("new", True), Equal("tags", "pets"))),
    And(()),
    Or(()),
]


@pytest.fixture(scope="module")
def index() -> BM25Index:
    scoring = Lucene(k1=0.9, b=0.4, lengths="lucene-byte")
    return BM25Index.build(DOCUMENTS, analyzer="standard", scoring=scoring)


@pytest.fixture(params=["elasticsearch", "opensearch"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    url = request.getfixturevalue(f"{request.param}_url")
    made = connect(url, engine=request.param)
    yield made
    made.close()


@pytest.fixture
def name(connection: Connection) -> Iterator[str]:
    made = f"test-{uuid4().hex}"
    yield made
    connection.request("DELETE", f"/{made}", ignore_unavailable="true")


def test_bulk_lines(index: BM25Index) -> None:
    stream = io.StringIO()
    assert export_bulk(index.documents(), stream, index="cats") == len(DOCUMENTS)
    lines = [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    assert lines[0] == {"create": {"_index": "cats", "_id": "a"}}
    assert lines[1]["metadata"] == {"year": 2001, "tags": ["pets", "cats"]}
    assert [line["text"] for line in lines[1::2]] == [document.text for document in DOCUMENTS]


def test_only_the_servers_formula_moves() -> None:
    index = BM25Index.build(DOCUMENTS, analyzer="standard", scoring=Okapi())
    with pytest.raises(ScoringError, match="okapi"):
        export_settings(index)


def test_an_analyser_that_the_server_lacks() -> None:
    index = BM25Index.build(DOCUMENTS, analyzer="arabic")
    with pytest.raises(AnalysisError, match="arabic"):
        export_settings(index)


def test_unreachable() -> None:
    with pytest.raises(UnreachableError, match="did not answer"):
        ElasticsearchRetriever("http://127.0.0.1:9", "cats", retries=0).search(["x"], 1)


@pytest.mark.parametrize("engine", ["elasticsearch", "opensearch"])
def test_an_address_that_is_none(engine: str) -> None:
    with pytest.raises(BackendError):
        connect("no address", engine=engine, bad_option=1).request("GET", "/")  # type: ignore[arg-type]


def test_an_unknown_engine() -> None:
    with pytest.raises(BackendError, match="expected one of elasticsearch, opensearch"):
        connect("http://127.0.0.1:9", engine="solr")  # type: ignore[arg-type]


@pytest.mark.server
class TestServer:
    def test_there_and_back(self, index: BM25Index, connection: Connection, name: str) -> None:
        done: list[int] = []
        report = export_to_server(index, connection, name, progress=done.append)
        assert (report.loaded, report.failed, done[-1]) == (5, 0, 5)
        back = sorted(import_from_server(connection, name), key=lambda document: document.id)
        assert back == sorted(DOCUMENTS, key=lambda document: document.id)

    def test_bulk_lines_load(self, index: BM25Index, connection: Connection, name: str) -> None:
        stream = io.StringIO()
        export_bulk(index.documents(), stream, index=name)
        connection.request("PUT", f"/{name}", export_settings(index))
        url = connection.request("GET", "/_nodes/http")["nodes"]
        (node,) = url.values()
        request = urllib.request.Request(
            f"http://{node['http']['publish_address']}/_bulk?refresh=true",
            stream.getvalue().encode(),
            {"Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["errors"] is False
        assert connection.request("GET", f"/{name}/_count")["count"] == 5

    def test_pages(self, index: BM25Index, connection: Connection, name: str) -> None:
        assert export_to_server(index, connection, name, shards=2).failed == 0
        ids = [document.id for document in read_documents(connection, name, page=2)]
        assert sorted(ids) == sorted(document.id for document in DOCUMENTS)

    def test_an_index_that_exists(
        self, index: BM25Index, connection: Connection, name: str
    ) -> None:
        export_to_server(index, connection, name)
        with pytest.raises(IndexExistsError, match=name):
            export_to_server(index, connection, name)
        assert connection.request("GET", f"/{name}/_count")["count"] == 5

    def test_a_failure_leaves_no_index(
        self, index: BM25Index, connection: Connection, name: str
    ) -> None:
        def stop(done: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            export_to_server(index, connection, name, progress=stop)
        with pytest.raises(RemoteIndexMissingError):
            connection.request("GET", f"/{name}")

    def test_what_the_server_refuses_is_counted(self, connection: Connection, name: str) -> None:
        kinds = [Document("1", "x", metadata={"v": 1}), Document("2", "y", metadata={"v": "word"})]
        mixed = BM25Index.build(kinds, analyzer="standard")
        report = export_to_server(mixed, connection, name)
        assert (report.loaded, report.failed) == (1, 1)
        assert report.reasons[0][0] == "2"
        assert "metadata.v" in report.reasons[0][1]

    def test_a_missing_index(self, connection: Connection) -> None:
        with pytest.raises(RemoteIndexMissingError, match="no such index"):
            list(import_from_server(connection, "nowhere"))

    def test_a_refused_request(self, connection: Connection) -> None:
        with pytest.raises(RefusedError, match="400"):
            connection.request("POST", "/_search", {"query": {"no_such_query": {}}})

    def test_filters_mean_the_same(
        self, index: BM25Index, connection: Connection, name: str
    ) -> None:
        export_to_server(index, connection, name)
        for filter in FILTERS:
            body = {"query": {"bool": {"filter": [filter.to_elasticsearch(IndexFields().path)]}}}
            hits = connection.request("POST", f"/{name}/_search", body)["hits"]["hits"]
            expected = {d.id for d in DOCUMENTS if matches(filter, d.metadata)}
            assert {hit["_id"] for hit in hits} == expected, filter

    def test_several_shards_score_as_one(
        self,
        index: BM25Index,
        connection: Connection,
        name: str,
        request: pytest.FixtureRequest,
    ) -> None:
        export_to_server(index, connection, name, shards=3)
        url = request.getfixturevalue(f"{connection.engine}_url")
        remote = ElasticsearchRetriever(url, name, engine=connection.engine, global_statistics=True)
        queries = ["cats", "mice run"]
        factor = 1.9 if connection.engine == "elasticsearch" else 1
        for here, there in zip(index.search(queries, 5), remote.search(queries, 5), strict=True):
            assert set(here.ids) == set(there.ids)
            assert here.scores * factor == pytest.approx(there.scores, abs=1e-5)
        remote.close()

    def test_the_retriever_agrees(
        self,
        index: BM25Index,
        connection: Connection,
        name: str,
        request: pytest.FixtureRequest,
    ) -> None:
        export_to_server(index, connection, name)
        url = request.getfixturevalue(f"{connection.engine}_url")
        remote = ElasticsearchRetriever(url, name, engine=connection.engine)
        queries, filter = ["cats", "mice run", "nowhere", ""], Not(Equal("new", False))
        for here, there in zip(
            index.search(queries, 3, filter=filter),
            remote.search(queries, 3, filter=filter),
            strict=True,
        ):
            assert here.ids.tolist() == there.ids.tolist()
            assert here.texts.tolist() == there.texts.tolist()
            # Elasticsearch keeps a constant factor that Lucene and OpenSearch have given up.
            factor = 1.9 if connection.engine == "elasticsearch" else 1
            assert here.scores * factor == pytest.approx(there.scores, abs=1e-5)
        remote.close()
