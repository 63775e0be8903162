"""The judge of clauses and explanations: a real OpenSearch, on real documents."""

from __future__ import annotations

import json
import random
import re
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.retriever.analysis import get_analyzer
from twopass.retriever.corpus import read_documents
from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index
from twopass.retriever.query.language import Occur, parse
from twopass.retriever.scoring import Lucene

pytestmark = pytest.mark.server

K = 100
ANALYZER = "english"  # its stop words leave holes in phrases


class Server:
    """One index of a server, with the documents' contents in the field ``contents``."""

    def __init__(self, url: str, analyzer: str, documents: Sequence[Document]) -> None:
        self._url = f"{url}/clauses-{analyzer}"
        field = {"type": "text", "analyzer": analyzer}
        self._call(
            "PUT",
            "",
            {
                "settings": {"number_of_shards": 1, "number_of_replicas": 0},
                "mappings": {"properties": {"contents": field}},
            },
        )
        for start in range(0, len(documents), 1000):
            lines: list[object] = []
            for document in documents[start : start + 1000]:
                lines += [{"index": {"_id": document.id}}, {"contents": document.contents}]
            assert not self._call("POST", "/_bulk", *lines)["errors"]
        self._call("POST", "/_refresh")

    def search(self, queries: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
        lines: list[object] = []
        for query in queries:
            lines += [{}, {"query": query, "size": K, "_source": False}]
        answers = self._call("POST", "/_msearch", *lines)["responses"]
        return [{hit["_id"]: hit["_score"] for hit in a["hits"]["hits"]} for a in answers]

    def explain(self, query: dict[str, Any], id: str) -> float:
        value = self._call("POST", f"/_explain/{id}", {"query": query})["explanation"]["value"]
        return float(value)

    def _call(self, method: str, path: str, *lines: object) -> Any:
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        kind = "application/json" if len(lines) < 2 else "application/x-ndjson"
        request = urllib.request.Request(
            self._url + path, body or None, {"Content-Type": kind}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def documents(data: Callable[[str], Path]) -> list[Document]:
    return list(read_documents(data("scifact")))


@pytest.fixture(scope="module")
def server(opensearch_url: str, documents: list[Document]) -> Server:
    return Server(opensearch_url, ANALYZER, documents)


@pytest.fixture(scope="module")
def index(documents: list[Document]) -> BM25Index:
    scoring = Lucene(lengths="lucene-byte")
    return BM25Index.build(documents, analyzer=ANALYZER, scoring=scoring)


def make_queries(documents: Sequence[Document], n: int, words: str) -> list[str]:
    """Queries of words and phrases that stand in documents; ``words`` matches a word."""
    draw = random.Random(7)

    def clause() -> str:
        found = re.findall(words, draw.choice(documents).contents) or ["x"]
        length = draw.choice([1, 2, 2, 3, 4])
        start = draw.randrange(len(found))
        body = " ".join(found[start : start + length])
        body = f'"{body}"' if draw.random() < 0.6 else body.split()[0]
        return draw.choice(["", "", "", "+", "-"]) + body + draw.choice(["", "", "^2", "^0.5"])

    return [" ".join(clause() for _ in range(draw.choice([1, 1, 2, 3, 4]))) for _ in range(n)]


def as_bool(query: str) -> dict[str, Any]:
    parts: dict[Occur, list[object]] = {occur: [] for occur in Occur}
    for clause in parse(query).clauses:
        if not get_analyzer(ANALYZER).terms(clause.text):
            continue  # a clause of stop words says nothing, as in the server's query_string
        kind = "match" if clause.occur is Occur.SHOULD and not clause.quoted else "match_phrase"
        body = {"contents": {"query": clause.text, "boost": clause.boost}}
        parts[clause.occur].append({kind: body})
    if not parts[Occur.SHOULD] and not parts[Occur.REQUIRED]:
        return {"match_none": {}}  # the server finds everything else, all with score 0
    return {
        "bool": {
            "should": parts[Occur.SHOULD],
            "must": parts[Occur.REQUIRED],
            "must_not": parts[Occur.EXCLUDED],
        }
    }


def check(index: BM25Index, queries: Sequence[str], expected: Sequence[dict[str, float]]) -> None:
    assert sum(map(len, expected)) > 20 * len(queries)
    for query, hits, scores in zip(
        queries, index.search(queries, K, syntax="query"), expected, strict=True
    ):
        np.testing.assert_allclose(
            hits.scores, list(scores.values()), rtol=0, atol=1e-4, err_msg=query
        )
        found = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
        # Of those with the lowest score either may have left out others with the same score.
        last = min(scores.values(), default=0) + 1e-4
        for id, score in scores.items():
            assert found.get(id, last) == pytest.approx(score, abs=1e-4), (query, id)


def test_clauses_equal_bool_queries(
    index: BM25Index, server: Server, documents: list[Document]
) -> None:
    queries = make_queries(documents, 80, r"[^\s\"\\^+-][^\s\"\\^]*")
    check(index, queries, server.search([as_bool(query) for query in queries]))


def test_the_syntax_is_a_part_of_lucenes(
    index: BM25Index, server: Server, documents: list[Document]
) -> None:
    queries = make_queries(documents, 80, r"\b[A-Za-z]+\b")
    queries = [query for query in queries if "match_none" not in as_bool(query)]
    expected = server.search(
        [{"query_string": {"query": query, "default_field": "contents"}} for query in queries]
    )
    check(index, queries, expected)


def test_explanations_have_the_same_value(
    index: BM25Index, server: Server, documents: list[Document]
) -> None:
    queries = make_queries(documents, 30, r"\b\w+\b")
    for query, hits in zip(queries, index.search(queries, 3, syntax="query"), strict=True):
        for id in hits.ids:
            found = index.explain(query, id, syntax="query")
            assert found.score == pytest.approx(server.explain(as_bool(query), id), abs=1e-4)
