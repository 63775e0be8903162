"""Filters in the index: the same documents as the plain meaning of a filter gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import QueryError
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

FIELDS = ["a", "b", "c.d"]
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([-2.5, 0.0, 0.5, 2.0, float("inf"), 2**53, 2**53 + 1, float(2**53), 2**70]),
)
strings = st.sampled_from(["", "x", "y", "é", "\ud800", "\U0001f600", "\uffff"])
values = st.one_of(numbers, strings, st.booleans())
items = st.one_of(
    values, st.none(), st.just(float("nan")), st.lists(values | st.none(), max_size=3)
)
metadata = st.fixed_dictionaries(
    {}, optional={"a": items, "b": items, "c": st.fixed_dictionaries({}, optional={"d": items})}
)
fields = st.sampled_from(FIELDS)


def ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    names = st.sampled_from(["gt", "gte", "lt", "lte"])
    given = st.dictionaries(names, bounds, min_size=1)
    return st.builds(lambda field, limits: Range(field, **limits), fields, given)


leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equal, fields, values),
    st.builds(In, fields, st.lists(values, max_size=3).map(tuple)),
    ranges(numbers),
    ranges(strings),
    st.builds(Exists, fields),
)
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
ALL_FIELDS = Document("all", "word", metadata={"a": 1, "b": 1, "c": {"d": 1}})


def build(parts: Sequence[Sequence[Document]]) -> BM25Index:
    index = BM25Index.build([ALL_FIELDS], analyzer="whitespace")
    for part in parts:
        index.add(part)
    index.delete(["0 0"])
    return index


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(metadata, max_size=5), max_size=3), st.lists(filters, max_size=6))
def test_equal_to_the_plain_meaning(
    collection: list[list[dict[str, Any]]], some: list[Filter]
) -> None:
    parts = [
        [Document(f"{i} {j}", "word", metadata=each) for j, each in enumerate(part)]
        for i, part in enumerate(collection)
    ]
    index = build(parts)
    documents = [ALL_FIELDS, *(document for part in parts for document in part)]
    living = [document for document in documents if document.id != "0 0"]
    for filter in some:
        expected = [document.id for document in living if matches(filter, document.metadata)]
        [hits] = index.search(["word"], 100, filter=filter)
        assert sorted(hits.ids) == sorted(expected)


def test_k_are_returned_if_k_match_and_scores_are_those_without_the_filter() -> None:
    rng = np.random.default_rng(5)
    documents = [
        Document(
            str(i),
            " ".join(f"w{w}" for w in rng.zipf(1.3, 30) if w < 200),
            metadata={"even": bool(i % 2 == 0), "n": i},
        )
        for i in range(3000)
    ]
    index = BM25Index.build(documents, analyzer="whitespace")
    [all_hits] = index.search(["w1 w2 w50"], 3000)
    for filter in (Equal("even", True), Range("n", lt=30), In("n", (5, 6, 7, 9999))):
        [hits] = index.search(["w1 w2 w50"], 10, filter=filter)
        keep = [matches(filter, documents[int(id)].metadata) for id in all_hits.ids]
        np.testing.assert_array_equal(hits.ids, all_hits.ids[keep][:10])
        np.testing.assert_array_equal(hits.scores, all_hits.scores[keep][:10])


def test_an_unknown_field_is_refused_with_those_that_are_near() -> None:
    index = BM25Index.build([ALL_FIELDS, Document("y", "word", metadata={"year": 1})])
    with pytest.raises(QueryError, match=r"'yaer'.*did you mean 'year'"):
        index.search(["word"], 1, filter=Not(And((Exists("a"), Equal("yaer", 1)))))
    with pytest.raises(QueryError, match="no fields"):
        BM25Index.build([Document("a", "b")]).search(["b"], 1, filter=Exists("x"))
    assert len(BM25Index.build([]).search(["b"], 1, filter=Exists("x"))[0]) == 0


def test_metadata_with_many_distinct_values() -> None:
    documents = [
        Document(str(i), "w", metadata={"i": i, "f": i / 7, "s": f"s{i}"}) for i in range(999)
    ]
    index = BM25Index.build(documents)
    for filter in (
        Equal("i", 500),
        Equal("s", "s77"),
        Range("f", gt=3.0, lte=10.0),
        Range("s", gte="s5", lt="s51"),
    ):
        expected = {d.id for d in documents if matches(filter, d.metadata)}
        assert set(index.search(["w"], 999, filter=filter)[0].ids) == expected
