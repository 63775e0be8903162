from __future__ import annotations

import numpy as np
import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.filters import Equal
from twopass.retriever.index.index import BM25Index
from twopass.retriever.index.requests import SearchRequest
from twopass.retriever.scoring import BM25Plus, Lucene

RNG = np.random.default_rng(3)
WORDS = [f"w{i}" for i in range(60)]
QUERIES = [" ".join(RNG.choice(WORDS, 5)) for _ in range(150)]


def documents(start, end):
    for i in range(start, end):
        text = " ".join(RNG.choice(WORDS, RNG.integers(1, 15)))
        yield Document(f"d{i}", text, metadata={"odd": bool(i % 2)})


@pytest.fixture(scope="module", params=[Lucene(), BM25Plus()], ids=["lucene", "plus"])
def index(request):
    """Three segments, one of them with deletions."""
    with BM25Index.build(documents(0, 400), analyzer="whitespace", scoring=request.param) as index:
        index.delete([f"d{i}" for i in range(0, 400, 7)])
        index.add(documents(400, 450))
        index.add(documents(450, 460))
        yield index


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert list(one.ids) == list(other.ids)
        np.testing.assert_array_equal(one.scores, other.scores)  # to the last bit
        assert list(one.texts) == list(other.texts)


@pytest.mark.parametrize("filter", [None, Equal("odd", True)])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 10, 10_000])
def test_many_queries_are_answered_as_one_by_one(index, k, threads, filter):
    expected = [index.search([query], k, filter=filter)[0] for query in QUERIES]
    assert all(map(len, expected))
    assert_same(index.search(QUERIES, k, filter=filter, threads=threads), expected)


def test_requests_of_all_kinds_may_be_mixed(index):
    kinds = [
        {},
        {"k": 3},
        {"filter": Equal("odd", False)},
        {"syntax": "query"},
    ]
    requests = [SearchRequest(query, **kinds[i % 4]) for i, query in enumerate(QUERIES)]
    requests.append(SearchRequest('"w1 w2" -w3', syntax="query"))
    requests.append(SearchRequest("+w1 w2 -w3", 5, Equal("odd", True), "query"))
    expected = [index.msearch([request])[0] for request in requests]
    assert_same(index.msearch(requests), expected)
    assert_same(index.msearch(requests, threads=2), expected)


def test_no_requests_have_no_answers(index):
    assert index.search([], 10) == index.msearch([], threads=2) == []
