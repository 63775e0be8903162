"""What is a document, and what is refused."""

from __future__ import annotations

import pytest

from twopass.retriever import BM25Index, Document, RankBM25Retriever
from twopass.retriever.errors import CorpusError, QueryError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": 7, "text": "a"}, "'id': expected a string, found int 7"),
        ({"id": "", "text": "a"}, "'id': expected a name, found an empty string"),
        ({"id": "a", "text": None}, "'text': expected a string, found NoneType"),
        ({"id": "a", "text": "b", "title": 1}, "'title': expected a string, found int 1"),
        ({"id": "a", "text": "b", "metadata": [1]}, "'metadata': expected an object, found list"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(CorpusError, match=message):
        Document(**fields)


def test_contents_are_title_and_text():
    assert Document("a", "text", title="title").contents == "title\ntext"
    assert Document("a", "text").contents == "text"


@pytest.mark.parametrize("read", [BM25Index.build, RankBM25Retriever])
def test_what_is_no_document_is_refused(read):
    with pytest.raises(CorpusError, match="expected a Document, found str 'x'"):
        read([Document("a", "b"), "x"])


def test_an_index_stays_as_it_is_when_a_change_is_refused():
    index = BM25Index.build([Document("a", "b")])
    with pytest.raises(CorpusError, match="expected a Document, found int 1"):
        index.add([Document("c", "d"), 1])
    with pytest.raises(QueryError, match="expected strings, found int 1"):
        index.delete(["a", 1])
    assert [document.id for document in index.documents()] == ["a"]
