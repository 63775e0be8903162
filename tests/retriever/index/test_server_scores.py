"""The judges of the scores: a real Elasticsearch and a real OpenSearch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from twopass.retriever.elastic import ElasticsearchRetriever, connect
from twopass.retriever.elastic.transfer import export_to_server
from twopass.retriever.hits import Hits
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import Lucene

pytestmark = pytest.mark.server

DEPTH = 100
K1, B = 0.9, 0.4
ENGINES = {"elasticsearch": "standard", "opensearch": "english"}


@pytest.mark.parametrize("name", ["scifact", "nfcorpus"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_top_hundred_of_every_query(
    engine: str, name: str, data: Callable[[str], Path], request: pytest.FixtureRequest
) -> None:
    folder = data(name)
    queries = judged_queries(folder)
    scoring = Lucene(K1, B, "lucene-byte", scaled=engine == "elasticsearch")
    index = BM25Index.build(read_documents(folder), analyzer=ENGINES[engine], scoring=scoring)
    url = request.getfixturevalue(f"{engine}_url")
    remote = searched_there(index, url, engine, queries)
    for query, here, there in zip(queries, index.search(queries, DEPTH), remote, strict=True):
        assert_same(query, here, there)


def judged_queries(folder: Path) -> list[str]:
    """The queries that the test split judges."""
    beir = BeirFolder(folder)
    judged = read_qrels(beir.qrels("test"))
    return [text for id, text in read_queries(beir.queries).items() if id in judged]


def searched_there(index: BM25Index, url: str, engine: str, queries: Sequence[str]) -> list[Hits]:
    connection = connect(url, engine=engine, timeout=60)  # type: ignore[arg-type]
    name = f"test-{uuid4().hex}"
    remote = ElasticsearchRetriever(url, name, engine=engine, timeout=60)  # type: ignore[arg-type]
    try:
        assert export_to_server(index, connection, name).failed == 0
        return remote.search(queries, DEPTH)
    finally:
        connection.request("DELETE", f"/{name}", ignore_unavailable="true")
        connection.close()
        remote.close()


def assert_same(query: str, here: Hits, there: Hits) -> None:
    np.testing.assert_allclose(here.scores, there.scores, rtol=0, atol=1e-4, err_msg=query)
    ours = dict(zip(here.ids, here.scores, strict=True))
    theirs = dict(zip(there.ids, there.scores, strict=True))
    last = min(here.scores[-1], there.scores[-1]) if len(here) else 0.0
    for id in ours.keys() ^ theirs.keys():  # only documents that tie with the last may differ
        assert abs(ours.get(id, theirs.get(id)) - last) <= 1e-4, query
    for id in ours.keys() & theirs.keys():
        assert abs(ours[id] - theirs[id]) <= 1e-4, (query, id)
