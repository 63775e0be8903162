from __future__ import annotations

from typing import Any

import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import IndexFields
from twopass.retriever.errors import QueryError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"head": {"line": "T"}, "body": "B"}, Document("1", "B", "T")),
        ({"head.line": "T", "body": ["a", "b"]}, Document("1", "a\nb", "T")),
        ({"head": [{"line": "T"}, {"line": "U"}], "body": 7}, Document("1", "7", "T\nU")),
        ({"body": "B", "more": ["", "M", None]}, Document("1", "B\nM")),
        ({"head": "no object", "body": {"not": "text"}}, Document("1", "", "")),
        ({}, Document("1", "")),
    ],
)
def test_title_and_text_wherever_they_are(source: dict[str, Any], expected: Document) -> None:
    fields = IndexFields(("body",), title="head.line", text=("body", "more"))
    assert fields.document("1", source) == expected


def test_metadata_is_an_object_or_all_the_rest() -> None:
    source = {"title": "T", "text": "x", "metadata": {"year": 1}, "lang": "en"}
    assert IndexFields().document("1", source).metadata == {"year": 1}
    rest = IndexFields(metadata="").document("1", source).metadata
    assert rest == {"metadata": {"year": 1}, "lang": "en"}
    assert IndexFields().path("year") == "metadata.year"
    assert IndexFields(metadata="").path("year") == "year"


def test_queries_by_field_and_weight() -> None:
    assert IndexFields().match("q") == {"match": {"contents": {"query": "q"}}}
    assert IndexFields(("title^2.5", "body")).match("q") == {
        "multi_match": {"query": "q", "fields": ["title^2.5", "body"]}
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"search": ()}, r"search: expected a tuple of one or more fields, found \(\)"),
        ({"search": "title"}, "search: expected a tuple of one or more fields, found 'title'"),
        ({"search": ("title^x",)}, "expected a field as title or title^2, found 'title^x'"),
        ({"text": ()}, "text: expected a tuple"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message.replace("^", r"\^")):
        IndexFields(**arguments)
